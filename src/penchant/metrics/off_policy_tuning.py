"""How far to cut or shrink importance weights: the least estimated mean squared error.

Legend: B rounds, L candidates.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from penchant.metrics.off_policy import shrunk_weights
from penchant.numerics.arrays import Array

NUM_CANDIDATES = 16
# Of the standard error. Were the bias known to be a quarter, 95 % intervals would hold 94 times in
# 100; it is estimated from the same heavy weights that it cuts, most often too small, so that
# clipped weights hold 90 to 93 times in benign worlds and less where overlap is poor.
MOST_BIAS = 0.25
# Weights as used to each round's further influence on the estimate (through a fitted model).
Influence = Callable[[Float[Array, " B"]], Float[Array, " B"]]


def switch_threshold(
    weight: Float[Array, " B"],
    residual: Float[Array, " B"],
    value: Float[Array, " B"],
    influence: Influence | None = None,
) -> float:
    """The weight beyond which `switch_doubly_robust` should trust the model; inf: never."""
    return _least_error(
        weight, residual, value, lambda most: np.where(weight <= most, weight, 0.0), 1.0, influence
    )


def shrinkage(
    weight: Float[Array, " B"],
    residual: Float[Array, " B"],
    value: Float[Array, " B"],
    influence: Influence | None = None,
) -> float:
    """The lambda of `shrunk_doubly_robust`; inf: no shrinkage."""
    return _least_error(
        weight, residual, value, lambda much: shrunk_weights(weight, much), 2.0, influence
    )


def clip(weight: Float[Array, " B"], reward: Float[Array, " B"]) -> float:
    """The largest weight that `clipped_ips` should let stand; inf: all."""
    return _least_error(
        weight, reward, np.zeros_like(reward), lambda most: np.minimum(weight, most), 1.0, None
    )


def _least_error(
    weight: Float[Array, " B"],
    residual: Float[Array, " B"],
    value: Float[Array, " B"],
    changed: Callable[[float], Float[Array, " B"]],
    power: float,
    influence: Influence | None,
) -> float:
    """The least estimated variance / B + bias^2 among those whose interval still holds.

    The bias of weights w' in place of w is E[(w' - w)(r - q)], estimated by its mean over the
    rounds (and so not known); it may be no more than `MOST_BIAS` standard errors, as an interval
    around a biased estimate misses. (Su et al. 2020, section 5, minimise alone, with a
    high-probability bound on the bias; one no smaller than its standard error would never cut
    anything.) Candidates are quantiles of w, raised to `power`, and infinity.
    `influence` adds what the fitted model's own doubt does to the terms: without it, leaning on the
    model looks free.
    """
    largest = float(weight.max(initial=0.0))
    if not 0 < largest < np.inf:
        return np.inf
    positive = weight[weight > 0]
    steps = np.quantile(positive, 1.0 - np.geomspace(0.5, 0.5 / len(positive), NUM_CANDIDATES - 1))
    best, least = np.inf, np.inf
    for candidate in (np.inf, *np.unique(steps)[::-1] ** power):
        other = changed(float(candidate))
        terms = value + other * residual
        if influence is not None:
            terms = terms + influence(other)
        lost = (weight - other) * residual
        variance, bias = terms.var() / len(terms), lost.mean()
        error = variance + bias**2
        if error < least and bias**2 <= MOST_BIAS**2 * variance:
            best, least = float(candidate), error
    return best
