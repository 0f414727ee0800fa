"""Exact errors where items form many small islands: one small matrix for each, all at once.

A million items seen once are half a million islands of two. To solve for draws over all of them
costs minutes and is exact nowhere; each island's own inverse is a handful of multiplications.

Legend: N items, I islands of one size, n items of each, R draws.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.fitting.paired_information import PairedInformation
from penchant.numerics.arrays import Array

# Larger islands are left to draws; so are islands whose matrices together pass this many numbers.
MOST_ON_ISLAND = 200
_MOST_NUMBERS = 50_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class IslandErrors:
    """variance of each strength, in the gauge of the information; draws have its covariance."""

    variance: Float[Array, " N"]
    draws: Float[Array, "R N"]


def has_small_islands(information: PairedInformation) -> bool:
    """Whether every island is small enough for a matrix of its own."""
    size = np.bincount(information.island).astype(np.float64)
    return bool(size.max(initial=0.0) <= MOST_ON_ISLAND and size @ size <= _MOST_NUMBERS)


def island_errors(
    information: PairedInformation, num_draws: int, generator: np.random.Generator
) -> IslandErrors:
    """The diagonal of the inverse information, island by island, and draws of it.

    The tie parameter ties the islands together by one direction only, its response u to all
    strengths: (A - b b' / c)^-1 = A^-1 + u u' / (c - b' u) with u = A^-1 b (Sherman and Morrison
    1950). Raises `DataError` where some gap is infinite.
    """
    N = information.num_items
    variance, draws, response = np.zeros(N), np.zeros((num_draws, N)), np.zeros(N)
    for items, matrix in _matrices(information):
        root = _inverse_root(matrix)
        gauge = information.gauge[items]
        # Columns less their mean by the gauge, as strengths are.
        root = root - np.einsum("in,inm->im", gauge, root)[:, None, :]
        variance[items] = (root**2).sum(axis=2)
        noise = generator.standard_normal((*items.shape, num_draws))
        draws[:, items] = np.moveaxis(root @ noise, 2, 0)
        pulled = np.einsum("inm,in->im", root, information.border[items])
        response[items] = np.einsum("inm,im->in", root, pulled)
    left = information.tie_curvature - float(information.border @ response)
    if information.tie_curvature > 0.0 and left > 0.0:
        variance += response**2 / left
        draws += np.outer(generator.standard_normal(num_draws) / np.sqrt(left), response)
    return IslandErrors(variance=variance, draws=draws)


def _matrices(
    information: PairedInformation,
) -> Iterator[tuple[Int[Array, "I n"], Float[Array, "I n n"]]]:
    """Islands of each size: their items, and the information among these, made definite by a level
    that the gauge takes off again."""
    order = np.argsort(information.island, kind="stable")
    size_of = np.bincount(information.island)
    begin = np.cumsum(size_of) - size_of
    place = np.empty(information.num_items, dtype=np.int64)
    place[order] = np.arange(information.num_items) - begin[information.island[order]]
    level = float(information.diagonal.mean()) or 1.0
    island_of_pair = information.island[information.first]
    for size in np.unique(size_of):
        chosen = np.flatnonzero(size_of == size)
        items = order[begin[chosen][:, None] + np.arange(size)]
        number = np.full(len(size_of), -1)
        number[chosen] = np.arange(len(chosen))
        pairs = np.flatnonzero(number[island_of_pair] >= 0)
        where = number[island_of_pair[pairs]]
        i, j = place[information.first[pairs]], place[information.second[pairs]]
        weight = information.weight[pairs]
        matrix = np.full((len(chosen), size, size), level / size)
        # Each pair stands once: nothing is written twice.
        matrix[where, i, j] -= weight
        matrix[where, j, i] -= weight
        for one in (i, j):
            np.add.at(matrix, (where, one, one), weight)
        yield items, matrix + _prior_of(information, items)


def _prior_of(information: PairedInformation, items: Int[Array, "I n"]) -> Array:
    """`StrengthPrior.information` among the items of each island."""
    prior = information.prior
    if prior is None:
        return 0.0
    held, anchor = (prior.held / prior.scale**2)[items], prior.anchor[items]
    apart = np.eye(items.shape[1]) - anchor[:, None, :]
    return np.einsum("iab,ia,iac->ibc", apart, held, apart)


def _inverse_root(matrix: Float[Array, "I n n"]) -> Float[Array, "I n n"]:
    """X with X X' the inverse."""
    try:
        root = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        root = np.zeros_like(matrix)
    pivots = np.einsum("inn->in", root)
    if (pivots.min(axis=1) < 1e-7 * pivots.max(axis=1)).any() or not pivots.all():
        raise DataError(
            "some items are infinitely far apart or not comparable, so that their strengths have "
            "no standard errors. Fit with a weak prior (`prior_scale`), which bounds them."
        )
    return np.swapaxes(np.linalg.inv(root), 1, 2)
