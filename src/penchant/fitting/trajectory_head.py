"""A linear reward learnt from pairs of trajectory segments, by what they earned or by regret.

Legend: S segments, T steps, N states, A actions, F features, B pairs.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.feedback.corrupted_pair import soft_log_prob, soft_score
from penchant.fitting.lbfgs import Slope, climb_lbfgs
from penchant.numerics.arrays import Array
from penchant.numerics.planning import FiniteWorld, plan, successor_features

Model = Literal["regret", "partial_return"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Segments:
    """states[s, t], t = 0 .. T, and actions[s, t]; length: steps taken, what comes after is
    padding."""

    states: Int[Array, "S T1"]
    actions: Int[Array, "S T"]
    length: Int[Array, " S"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentPairs:
    """won: the share of the first, a tie being a half."""

    segments: Segments
    first: Int[Array, " B"]
    second: Int[Array, " B"]
    won: Float[Array, " B"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrajectoryHead:
    """weights: reward per unit of each feature, in log-odds of preferring. log_likelihood: nats."""

    weights: Float[Array, " F"]
    log_likelihood: float
    converged: bool


def segment_features(
    segments: Segments, features: Float[Array, "N A F"], discount: float
) -> Float[Array, "S F"]:
    """sum_t gamma^t phi(s_t, a_t)."""
    steps = np.arange(segments.actions.shape[1])
    weight = np.where(steps < segments.length[:, None], discount**steps, 0.0)
    return np.einsum("st,stf->sf", weight, features[segments.states[:, :-1], segments.actions])


def fit_trajectory_head(
    world: FiniteWorld,
    features: Float[Array, "N A F"],
    pairs: SegmentPairs,
    model: Model,
    *,
    prior_scale: float = 10.0,
    segment_discount: float | None = None,
    start: Float[Array, " F"] | None = None,
    num_starts: int = 4,
    seed: int = 0,
) -> TrajectoryHead:
    """log p(first) = log sigmoid(U_first - U_second), U the return or minus the regret of phi w.

    The optimal values move with the reward; their gradient is the successor features of the best
    policy (Danskin's envelope), so that every evaluation plans once. Values are a maximum, the
    likelihood therefore neither smooth nor concave: the best of several starts is kept.
    `segment_discount`: within a segment, the world's own where it is None.

    Raises `DataError` where a pair has no answer.
    """
    if not np.all((pairs.won >= 0) & (pairs.won <= 1)):
        raise DataError("some pairs have no answer; expected the share of the first, 0 to 1.")
    discount = world.discount if segment_discount is None else segment_discount
    segments = pairs.segments
    summed = segment_features(segments, features, discount)
    begun = segments.states[:, 0]
    ended = segments.states[np.arange(len(begun)), segments.length]
    ahead = (discount**segments.length)[:, None]

    def slope(weights: Float[Array, " F"]) -> Slope:
        along = summed
        if model == "regret":
            policy = plan(world, features @ weights, tolerance=1e-7).policy
            following = successor_features(world, policy, features)
            along = summed + ahead * following[ended] - following[begun]
        # The value is psi w, so that worth and gradient come from the same rows.
        apart = along[pairs.first] - along[pairs.second]
        gap = apart @ weights
        value = soft_log_prob(gap, pairs.won).sum() - 0.5 * (weights**2).sum() / prior_scale**2
        gradient = soft_score(gap, pairs.won) @ apart - weights / prior_scale**2
        return Slope(value=float(value), gradient=gradient)

    rng = np.random.default_rng(seed)
    starts = [np.zeros(features.shape[2]) if start is None else start]
    if model == "regret":
        starts += [rng.normal(size=features.shape[2]) for _ in range(num_starts - 1)]
    climbs = (climb_lbfgs(slope, each, max_steps=300) for each in starts)
    best = max(climbs, key=lambda climb: climb.value)
    prior = 0.5 * float((best.theta**2).sum()) / prior_scale**2
    return TrajectoryHead(
        weights=best.theta, log_likelihood=best.value + prior, converged=best.converged
    )
