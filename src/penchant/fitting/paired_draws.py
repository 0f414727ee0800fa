"""Strengths drawn from their doubt, for graphs too large to invert: solves, never an inverse.

Legend: N items, Q pairs that met, R draws.

A right side r with covariance M, the information, gives M^-1 r with covariance M^-1. The share of
an item's variance that is its own, given all others, is known exactly; draws need to tell only the
rest (Siden, Lindgren, Bolin and Villani 2018). Where items met many others the rest is small, and
few draws give errors to a percent.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt

from penchant.fitting.paired_information import PairedInformation
from penchant.numerics.arrays import Array

BLOCK = 32  # draws solved together: a row of 32 doubles is four cache lines


@dataclass(frozen=True, kw_only=True, slots=True)
class SolveConfig:
    """tolerance: largest residual left, relative to the right side in the scale of its errors;
    1e-3 moves a standard error by less than 1e-3 of itself. max_steps: conjugate-gradient steps."""

    tolerance: float = 1e-3
    max_steps: int = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """vectors: M^-1 times the right sides. steps: products with M it took."""

    vectors: Float[Array, "N R"]
    steps: int
    converged: bool


Product = Callable[[Float[Array, "N R"]], Float[Array, "N R"]]


def solve(
    information: PairedInformation,
    right: Float[Array, "N R"],
    config: SolveConfig | None = None,
) -> Solution:
    """M x = r for right sides of mean zero in each island, by conjugate gradients.

    Preconditioned by the diagonal (Jacobi); every column has its own step lengths (Hestenes and
    Stiefel 1952), all share one pass over the pairs.
    """
    config = config or SolveConfig()
    multiply = product_of(information)
    scale = 1.0 / np.maximum(information.diagonal, 1e-300)[:, None]
    x, residual = np.zeros_like(right), right.copy()
    direction = scale * residual
    energy = (residual * direction).sum(axis=0)
    goal = config.tolerance**2 * energy
    steps = 0
    while (energy > goal).any() and steps < config.max_steps:
        image = multiply(direction)
        curvature = (direction * image).sum(axis=0)
        # A column that is solved stops where it is.
        moving = (energy > goal) & (curvature > 0.0)
        size = np.where(moving, energy / np.where(curvature > 0.0, curvature, 1.0), 0.0)
        x += size * direction
        image *= size
        residual -= image
        np.multiply(scale, residual, out=image)
        renewed = np.where(moving, (residual * image).sum(axis=0), energy)
        direction *= np.where(moving, renewed / np.where(energy > 0.0, energy, 1.0), 0.0)
        direction += image
        energy = renewed
        steps += 1
    return Solution(
        vectors=information.in_gauge(x), steps=steps, converged=bool((energy <= goal).all())
    )


def product_of(information: PairedInformation) -> Product:
    """Multiplication by the information, the tie parameter profiled out."""
    degree = information.diagonal + information.border * information.tie_response
    prior = information.prior
    if prior is not None:
        degree = degree - prior.diagonal()
    try:
        from penchant.fitting.paired_draws_fused import information_product as fused
    except ImportError:
        fused = plain_product

    def multiply(vectors: Float[Array, "N R"]) -> Float[Array, "N R"]:
        vectors = np.ascontiguousarray(vectors)
        out = np.empty_like(vectors)
        fused(information.first, information.second, information.weight, degree, vectors, out)
        if information.tie_curvature > 0.0:
            out -= np.outer(information.border, information.tie_response @ vectors)
        if prior is not None:
            out += information.prior_times(vectors)
        return out

    return multiply


def plain_product(
    first: Array, second: Array, weight: Array, diagonal: Array, vectors: Array, out: Array
) -> None:
    """out = diagonal x - sum over pairs of weight (x_second to first, x_first to second)."""
    N = len(diagonal)
    for r, x in enumerate(vectors.T):
        taken = np.bincount(first, weight * x[second], N) + np.bincount(
            second, weight * x[first], N
        )
        out[:, r] = diagonal * x - taken


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Second moments of what pairs push: of the gap, of gap and tie parameter, and of the latter
    over all pairs. Curvatures give the noise of the information, squared scores the sandwich's."""

    gap: Float[Array, " Q"]
    cross: Float[Array, " Q"]
    tie: float

    @classmethod
    def of(cls, information: PairedInformation) -> "Moments":
        return cls(gap=information.weight, cross=information.cross, tie=information.tie_curvature)


@dataclass(frozen=True, kw_only=True, eq=False)
class Chance:
    """The random numbers of a block of draws; the same ones serve both kinds of moments."""

    signs: UInt[Array, " Q"]  # the sign of draw r in bit r
    tie: Float[Array, " R"]
    own: Float[Array, "N R"]  # the prior's noise, zeros without one


def draw_chance(
    information: PairedInformation, num_draws: int, generator: np.random.Generator
) -> Chance:
    """Fresh random numbers for at most 32 draws."""
    return Chance(
        signs=generator.integers(0, 2**32, len(information.weight), dtype=np.uint32),
        tie=generator.standard_normal(num_draws),
        own=prior_noise(information, num_draws, generator),
    )


def noise(information: PairedInformation, moments: Moments, chance: Chance) -> Float[Array, "N R"]:
    """Right sides of mean zero whose covariance is that of the scores, by the moments.

    Each pair pushes its two items apart by the root of its moment, with a random sign: sums over
    an item's pairs are close to normal, and 32 draws cost one random word a pair. The tie
    parameter's push, correlated with the pairs' by the cross terms, is profiled out; the prior
    pushes each item by itself.
    """
    root = np.sqrt(np.maximum(moments.gap, 0.0))
    pushed = np.zeros_like(chance.own)
    try:
        from penchant.fitting.paired_draws_fused import signed_sums as fused
    except ImportError:
        fused = plain_signed_sums
    fused(information.first, information.second, root, chance.signs, pushed)
    if information.tie_curvature > 0.0:
        share = np.where(root > 0.0, moments.cross / np.where(root > 0.0, root, 1.0), 0.0)
        rest = np.sqrt(max(moments.tie - float(share @ share), 0.0))
        tie = rest * chance.tie
        for r in range(len(tie)):
            tie[r] += np.where((chance.signs >> np.uint32(r)) & np.uint32(1), share, -share).sum()
        pushed -= np.outer(information.tie_response, tie)
    return pushed + chance.own


def prior_noise(
    information: PairedInformation, num_draws: int, generator: np.random.Generator
) -> Float[Array, "N R"]:
    """Right sides whose covariance is the prior's information: one more witness of each item."""
    prior = information.prior
    if prior is None:
        return np.zeros((information.num_items, num_draws))
    push = generator.standard_normal((information.num_items, num_draws))
    push *= (prior.held / prior.scale)[:, None]
    push -= prior.anchor[:, None] * information.island_sums(push)[information.island]
    return information.centred(push)


def plain_signed_sums(first: Array, second: Array, push: Array, bits: Array, out: Array) -> None:
    """out += the signed pushes, draw by draw."""
    N, num_draws = out.shape
    for r in range(num_draws):
        signed = np.where((bits >> np.uint32(r)) & np.uint32(1), push, -push)
        out[:, r] += np.bincount(first, signed, N) - np.bincount(second, signed, N)
