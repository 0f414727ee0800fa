"""Strengths from pair counts under a normal prior: mode and curvature, for some hundred items.

The likelihood is that of `paired_density`; its curvature is a matrix here, since every covariance
is asked for, and the prior's scale can be learnt.

Legend: Q pairs that met, N items.
"""

import numpy as np
from jaxtyping import Float

from penchant.beliefs.strengths import Strengths
from penchant.data.pair_counts import PairCounts
from penchant.errors import ConfigError
from penchant.fitting.newton import Evaluation, NewtonConfig, maximise
from penchant.fitting.paired_density import PairModel, log_likelihood, slopes
from penchant.fitting.paired_information import laplacian
from penchant.numerics.arrays import Array

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
    size, precision, model = counts.num_items, scale**-2, PairModel()

    def evaluate(theta: Float[Array, " N"]) -> Evaluation:
        found = slopes(counts, theta, 0.0, model)
        information = laplacian(counts.first, counts.second, found.bend, size)
        information[np.diag_indices(size)] += precision
        return Evaluation(
            value=log_likelihood(counts, theta, 0.0, model)
            - 0.5 * precision * float(theta @ theta),
            gradient=found.gradient - precision * theta,
            information=information,
        )

    optimum = maximise(evaluate, start, NewtonConfig(tolerance=1e-10))
    return Strengths(
        items=counts.items,
        mean=optimum.theta,
        covariance=np.linalg.inv(optimum.information),
        prior_scale=scale,
        converged=optimum.converged,
    )
