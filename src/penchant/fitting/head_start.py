"""Where the climb of a linear head starts, and by which curvature it goes: a subsample tells both.

Up to some hundred parameters the subsample's curvature is formed and factorised; beyond, or where
a few steps will do, products with it cost less, and some conjugate-gradient steps stand for it.

Legend: as in `head_pairs.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from penchant.errors import DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import HeadDensity, HeadPairs
from penchant.fitting.shrinkage import evidence_spread
from penchant.fitting.subspace import Precondition, climb_subspace, see
from penchant.numerics.arrays import Array
from penchant.numerics.conjugate_gradients import conjugate_gradients

# Parameters up to which a subsample's curvature is formed: beyond, products cost less.
LARGEST_MATRIX = 640
# The part of all pairs that products are taken with, and how many of them a step may cost.
_PRODUCT_SHARE = 5
_MOST_PRODUCTS = 10
# With all pairs, where a subsample was of no use.
_MOST_OF_ALL = 100
# What products leave of a step: the second while a climb of a few steps is under way, for which
# the curvature of a subsample is not worth more.
_LEFT, _MUCH_LEFT = 0.1, 0.5
# The part of a curvature that sums of single precision may leave open, and of a dimension's own
# what the others must leave of it to be more than such a sum's last digits.
_BLUR, _ROUNDING = 1e-5, 1e-6
# Tolerance from which on a climb takes two or three steps.
_FEW_STEPS = 1e-4
# Where fewer than this part of the pairs say nearly everything, a subsample of them does not tell
# how much is left to gain, and a climb ends at a finer tolerance.
_TYPICAL, _FINE = 0.1, 1e-6
# Pairs for each of the subsample's from which on half of them are worth a step of their own.
_MANY = 8


def _subsample(pairs: HeadPairs, wanted: int) -> HeadPairs:
    """Every so many pairs. With their own weight, not that of all: what they say of the weights is
    to be held against the prior as what it is."""
    sample = pairs.every(max(len(pairs) // wanted, 1))
    return sample if sample.weight.sum() > 0 else pairs.every(1)


def _is_typical(said: Float[Array, " B"]) -> bool:
    """Whether what pairs say is spread over many of them: (sum x)^2 / sum x^2 counts how many."""
    return bool(said.sum() ** 2 >= _TYPICAL * len(said) * (said @ said))


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadStart:
    """The subsample's optimum, the prior scale, and the inverse curvature as a function. tolerance:
    of the climb to come, as asked, or finer where a subsample cannot tell what is left. quick: an
    inverse that costs less, for a climb that `solve` then only has to confirm; None for none."""

    theta: Float[Array, " T"]
    scale: float
    solve: Precondition
    tolerance: float
    quick: Precondition | None = None


def start_head(
    pairs: HeadPairs,
    model: GapModel,
    prior_scale: float | None,
    *,
    column_scale: float,
    per_parameter: int,
    evidence_rounds: int,
    tolerance: float,
) -> HeadStart:
    """A subsample of so many pairs per parameter, its optimum and its curvature; without a prior
    scale, the one that the subsample's evidence prefers, re-estimated so often at most. tolerance:
    of the climb to come; a few steps are not worth a matrix."""
    size = pairs.features.shape[1] + pairs.columns.shape[1] + model.num_own
    is_small = prior_scale is None or size <= LARGEST_MATRIX
    has_matrix = is_small and (prior_scale is None or tolerance < _FEW_STEPS)
    wanted = per_parameter * size if is_small else len(pairs) // _PRODUCT_SHARE
    # Products cost less than a matrix, so that more pairs may be asked.
    wanted += 0 if has_matrix or not is_small else wanted // 2
    sample = _subsample(pairs, max(wanted, 1024))
    squares = np.einsum("bd,bd->b", sample.features, sample.features).astype(np.float64)
    check_numbers(pairs, squares)
    if not _is_typical(sample.weight * squares):
        tolerance = min(tolerance, _FINE)
    share = float(pairs.weight.sum() / sample.weight.sum())
    # A weight vector of one over the length of a typical difference makes gaps of order 1.
    scale = prior_scale or 1.0 / max(float(np.sqrt(squares.mean())), 1e-12)
    density = HeadDensity(
        pairs=sample, model=model, precision=head_precision(pairs, size, scale, column_scale)
    )
    theta = np.zeros(size)
    if not has_matrix:
        rough = _rough(density) if is_small else None
        solve = rough(1.0) if rough else _by_products(density, theta, left=_MUCH_LEFT)
        climb = climb_subspace(density, theta, solve, tolerance=1e-3, max_steps=10)
        theta = climb.theta
        solve = _by_products(density, theta, share, rough=rough and rough(share))
        quick = None
        if not is_small and tolerance >= _FEW_STEPS:
            quick = _by_products(density, theta, share, left=_MUCH_LEFT)
        if pairs.second is None and len(pairs) >= _MANY * len(sample):
            theta = _half_step(pairs, density, theta, solve)
        return HeadStart(theta=theta, scale=scale, solve=solve, quick=quick, tolerance=tolerance)
    theta, information = _newton(density, theta)
    for _ in range(evidence_rounds if prior_scale is None else 0):
        fresh = _evidence_scale(information, density, theta, scale)
        moved, scale = abs(np.log(fresh / scale)), fresh
        density = replace(density, precision=head_precision(pairs, size, scale, column_scale))
        if moved < 0.02:
            break
        theta, information = _newton(density, theta)
    solve = solver(share * information, density.precision)
    return HeadStart(theta=theta, scale=scale, solve=solve, tolerance=tolerance)


def _newton(
    density: HeadDensity, theta: Float[Array, " T"], max_rounds: int = 8
) -> tuple[Float[Array, " T"], Float[Array, "T T"]]:
    """The optimum on the subsample, to a thousandth, and the curvature there. Each curvature serves
    for several steps, since a pass over a subsample costs far less; the first, far from the
    optimum, comes from a quarter of it."""
    information = _quarter(density)
    for _ in range(max_rounds):
        solve = solver(information, density.precision)
        climb = climb_subspace(density, theta, solve, tolerance=1e-3, max_steps=6)
        theta, information = climb.theta, density.information(climb.theta)
        if climb.converged:
            break
    return theta, information


def _half_step(
    pairs: HeadPairs, sample: HeadDensity, theta: Float[Array, " T"], solve: Precondition
) -> Float[Array, " T"]:
    """One step by every other pair, which costs half of a step and spares a whole one: what the
    subsample does not know is the larger part of what is left."""
    half = pairs.every(2)
    half = replace(half, weight=2.0 * half.weight)
    # Numbers that are not finite are told of when all are read.
    with np.errstate(over="ignore", invalid="ignore"):
        sight = see(replace(sample, pairs=half), theta)
        return theta + solve(sight.gradient - sample.precision * theta)


def _quarter(density: HeadDensity) -> Float[Array, "T T"]:
    """The curvature at zero from a quarter of the pairs."""
    part = replace(density, pairs=_subsample(density.pairs, max(len(density.pairs) // 4, 1024)))
    information = part.information(np.zeros(len(density.precision)))
    return information * (density.weight.sum() / part.weight.sum())


def _rough(density: HeadDensity) -> Callable[[float], Precondition]:
    """For so many times the pairs, an inverse of that curvature: within a half of the right one, so
    that a few products do the rest."""
    information = _quarter(density)
    return lambda share: solver(share * information, density.precision)


def solver(information: Float[Array, "T T"], precision: Float[Array, " T"]) -> Precondition:
    """The inverse of the curvature."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    bend = information + np.diag(precision)
    own = np.diag(bend)
    try:
        factor = cho_factor(bend, check_finite=False)
        is_lost = bool((np.diag(factor[0]) ** 2 < _ROUNDING * own).any())
    except LinAlgError:
        is_lost = True
    if is_lost:
        # Of features that say the same twice, where the prior is lost in single precision.
        factor = cho_factor(bend + _BLUR * own.max() * np.eye(len(own)), check_finite=False)
    return lambda gradient: cho_solve(factor, gradient, check_finite=False)


def solver_of_all(density: HeadDensity, theta: Float[Array, " T"]) -> Precondition:
    """The inverse of the curvature of all pairs, where that of a few of them has led nowhere."""
    if len(theta) <= LARGEST_MATRIX:
        return solver(density.information(theta), density.precision)
    return _by_products(density, theta, most=_MOST_OF_ALL)


def _by_products(
    density: HeadDensity, theta: Float[Array, " T"], share: float = 1.0, *, left: float = _LEFT,
    most: int = _MOST_PRODUCTS, rough: Precondition | None = None,
) -> Precondition:  # fmt: skip
    """The same without a matrix, by so many products at most and but for a part `left`: some with
    a subsample cost less than a pass over all."""
    end, own = density.cuts
    found = density.respond(density.gaps(theta), theta[own:])
    pairs, bend = density.pairs, share * density.weight * found.bend
    cross = share * density.weight[:, None] * found.cross
    own_bend = share * np.tensordot(density.weight, found.own_bend, 1)
    diagonal = density.precision.copy()
    if rough is None:
        diagonal[:end] += pairs.squares(bend)
        diagonal[end:own] += bend @ pairs.columns**2
        diagonal[own:] += np.diag(own_bend)

    def times(vector: Float[Array, " T"]) -> Float[Array, " T"]:
        own_part, slope = vector[own:], np.empty(len(pairs))

        def bent(rows: slice, gap: Float[Array, " _"]) -> Float[Array, " _"]:
            slope[rows] = bend[rows] * gap + cross[rows] @ own_part
            return slope[rows]

        gap, pull = pairs.sweep(vector[:end], vector[end:own], bent)
        rest = [pairs.columns.T @ slope, cross.T @ gap + own_bend @ own_part]
        return np.concatenate([pull, *rest]) + density.precision * vector

    return lambda gradient: conjugate_gradients(
        times, gradient, diagonal, tolerance=left, max_steps=most, precondition=rough
    )


def _evidence_scale(
    information: Float[Array, "T T"], density: HeadDensity, theta: Float[Array, " T"], scale: float
) -> float:
    """The next prior scale, of the weights alone."""
    dimensions, _ = density.cuts
    variance = np.diag(np.linalg.inv(information + np.diag(density.precision)))[:dimensions]
    # Weights of exactly 0 ask for a scale of 0, whose logarithm would not be finite.
    return max(evidence_spread(theta[:dimensions], variance, scale, least=1e-3), 1e-6)


def head_precision(
    pairs: HeadPairs, size: int, scale: float, column_scale: float
) -> Float[Array, " T"]:
    """Of the prior: weights ~ N(0, scale^2), columns ~ N(0, column_scale^2)."""
    # Own parameters are free; this much keeps them finite where no pair tells of them.
    precision = np.full(size, 1e-6)
    dimensions, num_columns = pairs.features.shape[1], pairs.columns.shape[1]
    precision[:dimensions] = 1.0 / scale**2
    precision[dimensions : dimensions + num_columns] = 1.0 / column_scale**2
    return precision


def check_numbers(pairs: HeadPairs, seen: Float[Array, "..."]) -> None:
    """Whatever is made of features shows whether they are finite; which are not is looked up only
    if it does not."""
    if np.isfinite(seen.sum()):
        return
    bad = ~np.isfinite(pairs.features).all(axis=1)
    if not bad.any():
        raise DataError(
            f"the features reach {float(np.abs(pairs.features).max()):.3g}, so large that their "
            "sums are not finite; expected embeddings of ordinary size. Divide them by their "
            "largest."
        )
    raise DataError(
        f"the features of text {int(np.argmax(bad))} are not all finite numbers "
        f"({int(bad.sum())} of {len(bad)} texts are like this). Drop these texts, or embed "
        "them again."
    )
