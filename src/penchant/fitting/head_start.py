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
# The part of a curvature that sums of single precision may leave open.
_BLUR = 1e-5
# Tolerance from which on a climb takes two or three steps.
_FEW_STEPS = 1e-4
# Pairs for each of the subsample's from which on half of them are worth a step of their own.
_MANY = 8


def _subsample(pairs: HeadPairs, wanted: int) -> HeadPairs:
    """Every so many pairs. With their own weight, not that of all: what they say of the weights is
    to be held against the prior as what it is."""
    rows = np.arange(0, len(pairs), max(len(pairs) // wanted, 1))
    if not pairs.weight[rows].sum() > 0:
        rows = np.arange(len(pairs))
    return HeadPairs(
        features=pairs.differences(rows),
        first=np.arange(len(rows)),
        second=None,
        answer=pairs.answer[rows],
        weight=pairs.weight[rows],
        columns=pairs.columns[rows],
        offset=None if pairs.offset is None else pairs.offset[rows],
    )


def _spread(pairs: HeadPairs) -> float:
    """The length of a typical difference: a weight vector of one over it makes gaps of order 1."""
    return float(np.sqrt((pairs.features.astype(np.float64) ** 2).sum(axis=1).mean()))


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadStart:
    """The subsample's optimum, the prior scale, and the inverse curvature as a function."""

    theta: Float[Array, " T"]
    scale: float
    solve: Precondition


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
    check_numbers(pairs, sample.features @ np.ones(pairs.features.shape[1], dtype=np.float32))
    share = float(pairs.weight.sum() / sample.weight.sum())
    scale = prior_scale or 1.0 / max(_spread(sample), 1e-12)
    density = HeadDensity(
        pairs=sample, model=model, precision=head_precision(pairs, size, scale, column_scale)
    )
    theta = np.zeros(size)
    if not has_matrix:
        rough = _rough(density) if is_small else None
        solve = _solver_by_products(density, theta, 1.0) if rough is None else rough(1.0)
        climb = climb_subspace(density, theta, solve, tolerance=1e-3, max_steps=10)
        solve = _solver_by_products(density, climb.theta, share, rough and rough(share))
        theta = climb.theta
        if pairs.second is None and len(pairs) >= _MANY * len(sample):
            theta = _half_step(pairs, density, theta, solve)
        return HeadStart(theta=theta, scale=scale, solve=solve)
    theta, information = _newton(density, theta)
    for _ in range(evidence_rounds if prior_scale is None else 0):
        fresh = _evidence_scale(information, density, theta, scale)
        moved, scale = abs(np.log(fresh / scale)), fresh
        density = replace(density, precision=head_precision(pairs, size, scale, column_scale))
        if moved < 0.02:
            break
        theta, information = _newton(density, theta)
    return HeadStart(theta=theta, scale=scale, solve=solver(share * information, density.precision))


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
    half = HeadPairs(
        features=pairs.features[::2],
        first=np.arange(len(pairs.answer[::2])),
        second=None,
        answer=pairs.answer[::2],
        weight=2.0 * pairs.weight[::2],
        columns=pairs.columns[::2],
        offset=None if pairs.offset is None else pairs.offset[::2],
    )
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
    try:
        factor = cho_factor(bend, check_finite=False)
    except LinAlgError:
        # Of features that say the same twice, where the prior is lost in single precision.
        blur = _BLUR * np.diag(bend).max()
        factor = cho_factor(bend + blur * np.eye(len(bend)), check_finite=False)
    return lambda gradient: cho_solve(factor, gradient, check_finite=False)


def _solver_by_products(
    density: HeadDensity, theta: Float[Array, " T"], share: float,
    rough: Precondition | None = None,
) -> Precondition:  # fmt: skip
    """The same without a matrix: some products with a subsample cost less than a pass over all."""
    end, own = density.cuts
    found = density.respond(density.gaps(theta), theta[own:])
    pairs, bend = density.pairs, share * density.weight * found.bend
    cross = share * density.weight[:, None] * found.cross
    own_bend = share * np.tensordot(density.weight, found.own_bend, 1)
    diagonal = density.precision.copy()
    if rough is None:
        diagonal[:end] += np.einsum(
            "b,bd,bd->d", bend.astype(np.float32), pairs.features, pairs.features
        )
        diagonal[end:own] += bend @ pairs.columns**2
        diagonal[own:] += np.diag(own_bend)

    def times(vector: Float[Array, " T"]) -> Float[Array, " T"]:
        gap, own_part = density.gaps(vector), vector[own:]
        slope = bend * gap + cross @ own_part
        bent = [pairs.gather(slope), pairs.columns.T @ slope, cross.T @ gap + own_bend @ own_part]
        return np.concatenate(bent) + density.precision * vector

    return lambda gradient: conjugate_gradients(
        times, gradient, diagonal, tolerance=0.1, max_steps=_MOST_PRODUCTS, precondition=rough
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
