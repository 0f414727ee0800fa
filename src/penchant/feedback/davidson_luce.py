"""Rankings in which a tie is an answer of its own, of any size: the Davidson-Luce model.

Plackett-Luce where, at each stage, a set of one or more of the remaining options is taken
together (Firth, Kosmidis and Turner 2019). A set of size t is worth the mean utility of its
members plus log delta_t, with delta_1 = 1. Two options and sets of at most two are the pair with
ties of Davidson (1970). Own parameters: `parameters[:, m]` is log delta of `tie_sizes[m]`.

Legend: B observations, K (and L) options, M (and N) own parameters, C = M + 1 sizes of sets with
size one first, S kinds of people.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.feedback.derivatives import Curvature, Score, diagonal, outer
from penchant.feedback.ranking import SortedRanking, sort_ranking
from penchant.numerics.arrays import (
    Array,
    align,
    constant,
    log_sum_exp,
    marks,
    mask_options,
    namespace,
    softmax,
    stack,
    take_options,
)


def log_prob(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    rank: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
    *,
    tie_sizes: tuple[int, ...],
) -> Float[Array, " B *S"]:
    """Log-probability of a ranking; a rank of 0 is not ranked, worse than all that are.

    log p = sum over ranks of mean_{k in tie} u_k + log delta_t - log sum_{c} delta_c e_c, where
    e_c is the sum of exp(mean utility) over all sets of c remaining options: the elementary
    symmetric polynomial of exp(u / c).
    """
    xp = namespace(utilities)
    order, delta = _prepare(utilities, offered, rank, parameters)
    log_p = xp.sum(_own_worth(order, delta, tie_sizes), axis=1)
    for place, sums in _suffixes(order, tie_sizes, num_derivatives=0):
        log_norm = log_sum_exp(_weighted(delta, sums), axis=1)
        log_p = log_p - _counted(order, place, log_norm)
    return log_p


def score(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    rank: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
    *,
    tie_sizes: tuple[int, ...],
) -> Score:
    """First derivatives."""
    order, delta = _prepare(utilities, offered, rank, parameters)
    worth, tied = _own_slopes(order, tie_sizes, utilities)
    own = tied[:, 1:]
    for place, sums in _suffixes(order, tie_sizes, num_derivatives=1):
        share = softmax(_weighted(delta, sums), axis=1)
        mean = sum(share[:, c][:, None] * sums[c].gradient for c in range(len(sums)))
        worth = worth - _counted(order, place, mean)
        own = own - _counted(order, place, share[:, 1:])
    return Score(utilities=take_options(worth, order.inverse), parameters=own)


def curvature(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    rank: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
    *,
    tie_sizes: tuple[int, ...],
) -> Curvature:
    """Minus the second derivatives, those of the log-normalisers: all else is linear."""
    xp = namespace(utilities)
    order, delta = _prepare(utilities, offered, rank, parameters)
    total = cross = own = 0.0
    for place, sums in _suffixes(order, tie_sizes, num_derivatives=2):
        share = softmax(_weighted(delta, sums), axis=1)
        mean = sum(share[:, c][:, None] * sums[c].gradient for c in range(len(sums)))
        bend = sum(
            share[:, c][:, None, None]
            * (sums[c].hessian + outer(sums[c].gradient, sums[c].gradient))
            for c in range(len(sums))
        )
        gaps = [share[:, c][:, None] * (sums[c].gradient - mean) for c in range(1, len(sums))]
        tied = share[:, 1:]
        total = total + _counted(order, place, bend - outer(mean, mean))
        cross = cross + _counted(order, place, stack(gaps, axis=2) if gaps else bend[:, :, :0])
        own = own + _counted(order, place, diagonal(tied) - outer(tied, tied))
    inverse = order.inverse
    total = xp.moveaxis(take_options(total, inverse), 2, 1)
    total = xp.moveaxis(take_options(total, inverse), 2, 1)
    return Curvature(utilities=total, cross=take_options(cross, inverse), parameters=own)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sum:
    """The log of a symmetric polynomial, with derivatives to the sorted utilities."""

    value: Float[Array, " B *S"]
    gradient: Float[Array, "B K *S"] | None
    hessian: Float[Array, "B K L *S"] | None


def _suffixes(
    order: SortedRanking, tie_sizes: tuple[int, ...], num_derivatives: int
) -> Iterator[tuple[int, list[_Sum]]]:
    """For each place from the last to the first: the sums e_c over all options from there on."""
    K = order.utilities.shape[1]
    u = mask_options(order.utilities, order.offered, fill=-math.inf)
    zero = 0.0 * order.utilities
    gradient = zero if num_derivatives > 0 else None
    hessian = zero[:, :, None] * zero[:, None] if num_derivatives > 1 else None
    nothing = _Sum(value=zero[:, 0], gradient=gradient, hessian=hessian)
    impossible = _Sum(value=zero[:, 0] - math.inf, gradient=gradient, hessian=hessian)
    sizes = (1, *tie_sizes)
    sums = {size: [nothing] + [impossible] * size for size in sizes}
    for place in range(K - 1, -1, -1):
        step = align(marks(constant(np.array([place]), zero), K), zero)
        for size in sizes:
            for count in range(size, 0, -1):
                sums[size][count] = _with_option(
                    sums[size][count], sums[size][count - 1], u[:, place] / size, step, size
                )
        yield place, [sums[size][size] for size in sizes]


def _with_option(without: _Sum, fewer: _Sum, gain: Array, step: Array, size: int) -> _Sum:
    """One more option may be in the set: e_c <- e_c + exp(u / size) e_{c-1}."""
    both = stack([without.value, gain + fewer.value], axis=1)
    value = log_sum_exp(both, axis=1)
    if without.gradient is None or fewer.gradient is None:
        return _Sum(value=value, gradient=None, hessian=None)
    xp = namespace(value)
    share = softmax(both, axis=1)
    left, taken = share[:, 0][:, None], share[:, 1][:, None]
    slope = xp.where(step, fewer.gradient + 1.0 / size, fewer.gradient)
    gradient = left * without.gradient + taken * slope
    if without.hessian is None or fewer.hessian is None:
        return _Sum(value=value, gradient=gradient, hessian=None)
    bend = (
        left[:, None] * (without.hessian + outer(without.gradient, without.gradient))
        + taken[:, None] * (fewer.hessian + outer(slope, slope))
        - outer(gradient, gradient)
    )
    return _Sum(value=value, gradient=gradient, hessian=bend)


def _prepare(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    rank: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> tuple[SortedRanking, Float[Array, "B C *S"]]:
    """The sorted menus, and log delta of every size, that of one included."""
    xp = namespace(utilities)
    shape = (utilities.shape[0], parameters.shape[1], *utilities.shape[2:])
    delta = xp.broadcast_to(align(parameters, utilities), shape)
    delta = xp.concat([0.0 * utilities[:, :1], delta], axis=1)
    return sort_ranking(utilities, offered, rank), delta


def _own_worth(
    order: SortedRanking, delta: Float[Array, "B C *S"], tie_sizes: tuple[int, ...]
) -> Float[Array, "B K *S"]:
    """What each ranked option brings to its set, with the set's log delta shared out among them."""
    xp = namespace(delta)
    size = order.stop - order.start
    per_set = order.utilities
    for m, tie_size in enumerate((1, *tie_sizes)):
        is_size = align(size == tie_size, per_set)
        per_set = xp.where(is_size, per_set + delta[:, m][:, None], per_set)
    return mask_options(per_set / align(size, per_set), order.is_ranked, fill=0.0)


def _own_slopes(
    order: SortedRanking, tie_sizes: tuple[int, ...], like: Array
) -> tuple[Float[Array, "B K *S"], Float[Array, "B C *S"]]:
    """Derivatives of the sum of the above: to the sorted utilities and to every log delta."""
    xp = namespace(like)
    size = order.stop - order.start
    share = mask_options(0.0 * like + 1.0, order.is_ranked, fill=0.0) / align(size, like)
    counts = [
        xp.sum(mask_options(share, size == tie_size, fill=0.0), axis=1)
        for tie_size in (1, *tie_sizes)
    ]
    return share, stack(counts, axis=1)


def _weighted(delta: Float[Array, "B C *S"], sums: list[_Sum]) -> Float[Array, "B C *S"]:
    return delta + stack([one.value for one in sums], axis=1)


def _counted(order: SortedRanking, place: int, x: Array) -> Array:
    """x where a ranked set begins at this place, 0 elsewhere."""
    xp = namespace(x)
    begins = xp.logical_and(order.is_ranked[:, place], order.start[:, place] == place)
    return xp.where(align(begins, x), x, 0.0)
