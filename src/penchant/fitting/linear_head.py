"""A linear reward head on embeddings: pairs in the hundred thousands, dimensions in the thousands.

The worth of text n is f_n' w; a pair's gap is the difference of two worths plus z_b' beta for
what belongs to the pair itself (first shown, say). The climb starts at the optimum of a
subsample, whose curvature then preconditions a few steps over all pairs (`subspace.py`): the
curvature of some 16 D pairs is that of all to within a quarter, so that each step leaves a tenth of
the loss still to be gained or less, and the matrix of all pairs is formed once or never. In many
dimensions, or for a loss within a ten-thousandth or more, that of the subsample is not formed
either.

Legend: B pairs, N texts, D dimensions, C columns of the pair, M own parameters of the likelihood,
T = D + C + M parameters, A pairs of a subsample.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError, DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import HeadDensity, HeadPairs
from penchant.fitting.head_start import (
    HeadStart,
    check_numbers,
    head_precision,
    solver_of_all,
    start_head,
)
from penchant.fitting.subspace import Climb, Sight, climb_subspace, see
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread

# Standard deviation of what is free, wide enough to be felt nowhere but where no pair tells.
_FREE = 1e3
# Steps by which a climb ends if the subsample's curvature is that of all pairs.
_PATIENCE = 30
# And by that of all pairs, before it is asked again.
_ROUND = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadConfig:
    """subsample: pairs per parameter whose curvature preconditions the climb; beyond 640 parameters
    with a given prior scale it is a fifth of the pairs, and products with them. tolerance: stop
    when the expected gain of one more step is below this share of the loss, which says less of what
    is left where hardly a pair is in doubt; 1e-9 is the limit of float32 features, and where a few
    pairs say nearly everything 1e-6 the coarsest. max_steps: each one reading of all pairs, or one
    and a half; more where the climb goes on by the curvature of all pairs. evidence_rounds:
    re-estimates of the prior scale, at most, where the data choose it."""

    subsample: int = 16
    tolerance: float = 1e-9
    max_steps: int = 200
    evidence_rounds: int = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearHead:
    """The fitted head. `prior_scale` is the standard deviation of each weight before any data;
    `gain_left` the nats that one more step would bring; `effective` how many of the weights the
    data determine."""

    weights: Float[Array, " D"]
    coefficients: Float[Array, " C"]
    own: Float[Array, " M"]
    prior_scale: float
    log_likelihood: float
    covariance: Float[Array, "T T"] | None
    effective: float
    converged: bool
    iterations: int
    gain_left: float
    seconds: float

    @property
    def theta(self) -> Float[Array, " T"]:
        """All parameters, as the covariance has them."""
        return np.concatenate([self.weights, self.coefficients, self.own])


@one_blas_thread
def fit_linear_head(
    pairs: HeadPairs,
    model: GapModel,
    *,
    prior_scale: float | None = None,
    column_scale: float = _FREE,
    has_covariance: bool = True,
    config: HeadConfig | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> LinearHead:
    """The posterior mode; weights ~ N(0, prior_scale^2), columns ~ N(0, column_scale^2), by
    default as good as free, as own parameters are.

    prior_scale None: chosen by the evidence (MacKay 1992) on a subsample, whose curvature is then
    formed whatever the dimension. covariance: of all parameters, from the curvature of all pairs
    (D^2 per pair: seconds beyond a thousand dimensions; `has_covariance=False` leaves it out).
    `on_step(step, log_posterior)`.

    Raises `DataError` for features that are not finite or pairs without weight, `ConfigError` for
    a scale that is not positive.
    """
    began = time.perf_counter()
    config = config or HeadConfig()
    _check(pairs, prior_scale, column_scale)
    start = start_head(
        pairs,
        model,
        prior_scale,
        column_scale=column_scale,
        per_parameter=config.subsample,
        evidence_rounds=config.evidence_rounds,
        tolerance=config.tolerance,
    )
    given, pairs = pairs, pairs.compact()
    size = len(start.theta)
    everything = HeadDensity(
        pairs=pairs, model=model,
        precision=head_precision(pairs, size, start.scale, column_scale),
    )  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):
        sight = see(everything, start.theta)
    check_numbers(given, sight.shift)
    climb = _climb(everything, start, sight, config, on_step or (lambda step, value: None))
    covariance, effective = None, np.nan
    if has_covariance:
        exact = everything.information(climb.theta)
        covariance = np.linalg.inv(exact + np.diag(everything.precision))
        effective = size - float(everything.precision @ np.diag(covariance))
    end, own = everything.cuts
    return LinearHead(
        weights=climb.theta[:end],
        coefficients=climb.theta[end:own],
        own=climb.theta[own:],
        prior_scale=start.scale,
        log_likelihood=climb.log_likelihood,
        covariance=covariance,
        effective=effective,
        converged=climb.converged,
        iterations=climb.iterations,
        gain_left=climb.gain_left,
        seconds=time.perf_counter() - began,
    )


def _climb(
    density: HeadDensity, start: HeadStart, sight: Sight, config: HeadConfig,
    on_step: Callable[[int, float], None],
) -> Climb:  # fmt: skip
    """By the curvature of the subsample, at first by what a few products make of it; by that of all
    pairs where the two differ because a few of them have nearly all the weight, say."""
    theta, solve, taken, patience = start.theta, start.solve, 0, _PATIENCE
    if start.quick is not None:
        climb = climb_subspace(
            density, theta, start.quick, tolerance=start.tolerance, sight=sight,
            max_steps=min(config.max_steps, _ROUND), on_step=on_step,
        )  # fmt: skip
        theta, taken, sight = climb.theta, climb.iterations, see(density, climb.theta)
    while True:
        climb = climb_subspace(
            density, theta, solve, tolerance=start.tolerance, sight=sight,
            max_steps=min(config.max_steps - taken, patience),
            on_step=_counted_on(on_step, taken),
        )  # fmt: skip
        taken += climb.iterations
        is_stuck = solve is not start.solve and climb.iterations < patience
        if climb.converged or is_stuck or taken >= config.max_steps:
            return replace(climb, iterations=taken)
        theta, sight, patience = climb.theta, see(density, climb.theta), _ROUND
        solve = solver_of_all(density, theta)


def _counted_on(on_step: Callable[[int, float], None], taken: int) -> Callable[[int, float], None]:
    return lambda step, value: on_step(taken + step, value)


def _check(pairs: HeadPairs, prior_scale: float | None, column_scale: float) -> None:
    if not (prior_scale is None or prior_scale > 0) or not column_scale > 0:
        raise ConfigError(
            f"got prior_scale={prior_scale} and column_scale={column_scale}; expected a positive "
            "standard deviation of each weight, or None to let the data choose it, and a positive "
            "one of each column's."
        )
    if not pairs.weight.sum() > 0:
        raise DataError(
            f"got {len(pairs)} pairs with a total weight of {pairs.weight.sum():g}; expected at "
            "least one pair with a positive weight."
        )
