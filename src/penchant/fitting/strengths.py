"""Strengths from pair counts under a normal prior: mode and curvature, for some hundred items.

Legend: Q pairs that met, N items.
"""

import numpy as np
from jaxtyping import Float

from penchant.beliefs.strengths import Strengths
from penchant.data.pair_counts import PairCounts
from penchant.errors import ConfigError
from penchant.fitting.newton import Evaluation, NewtonConfig, maximise
from penchant.numerics.arrays import Array, log_sigmoid, sigmoid

# Scales that the evidence is followed to; votes that separate everything would ask for more.
_SMALLEST, _LARGEST = 0.05, 10.0


def fit_strengths(
    counts: PairCounts,
    *,
    prior_scale: float | None = None,
    start: Float[Array, " N"] | None = None,
) -> Strengths:
    """Laplace's approximation of p(r | votes), with log p(i beats j) = log sigmoid(r_i - r_j) and
    r_i ~ N(0, prior_scale^2) (Bradley and Terry 1952; MacKay 1992). Ties are half a win each.

    prior_scale None learns it from the votes: the fixed point of scale^2 = mean of mean_i^2 +
    covariance_ii, which climbs Laplace's evidence. Without a vote the belief is the prior, of
    scale 1 where it was to be learnt. 95 % intervals of gaps covered 94 to 95 % in simulation with
    the scale given, 93 % with it learnt from 20 items of three votes a pair, 90 % from 8.

    Raises `ConfigError` for a scale that is not positive.
    """
    if prior_scale is not None and not 0 < prior_scale < np.inf:
        raise ConfigError(
            f"prior_scale is {prior_scale}; expected a positive standard deviation in log-odds, "
            "or None to learn it."
        )
    theta = np.zeros(counts.num_items) if start is None else start
    scale = 1.0 if prior_scale is None else prior_scale
    belief = _at_scale(counts, scale, theta)
    if prior_scale is not None or counts.votes <= 0:
        return belief
    for _ in range(50):
        second_moment = belief.mean**2 + np.diag(belief.covariance)
        wanted = float(np.clip(np.sqrt(second_moment.mean()), _SMALLEST, _LARGEST))
        if abs(wanted - scale) < 0.01 * scale:
            break
        scale = wanted
        belief = _at_scale(counts, scale, belief.mean)
    return belief


def _at_scale(counts: PairCounts, scale: float, start: Float[Array, " N"]) -> Strengths:
    first, second = counts.first, counts.second
    wins = counts.first_wins + 0.5 * counts.ties
    votes = counts.first_wins + counts.second_wins + counts.ties
    size, precision = counts.num_items, scale**-2

    def evaluate(theta: Float[Array, " N"]) -> Evaluation:
        gap = theta[first] - theta[second]
        slope = wins - votes * sigmoid(gap)
        bend = votes * sigmoid(gap) * sigmoid(-gap)
        information = np.zeros((size, size))
        information[first, second] = -bend
        information[second, first] = -bend
        information[np.diag_indices(size)] = precision - information.sum(axis=1)
        return Evaluation(
            value=float(wins @ log_sigmoid(gap) + (votes - wins) @ log_sigmoid(-gap))
            - 0.5 * precision * float(theta @ theta),
            gradient=np.bincount(first, slope, size) - np.bincount(second, slope, size)
            - precision * theta,
            information=information,
        )  # fmt: skip

    optimum = maximise(evaluate, start, NewtonConfig(tolerance=1e-10))
    return Strengths(
        items=counts.items,
        mean=optimum.theta,
        covariance=np.linalg.inv(optimum.information),
        prior_scale=scale,
        converged=optimum.converged,
    )
