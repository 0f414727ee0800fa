"""A linear reward learnt from pairs of trajectory segments, by what they earned or by regret.

Legend: S segments, T steps, N states, A actions, F features, B pairs.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError, DataError
from penchant.feedback.corrupted_pair import soft_log_prob, soft_score
from penchant.fitting.lbfgs import Slope, climb_lbfgs
from penchant.numerics.arrays import Array, sigmoid
from penchant.numerics.planning import FiniteWorld, plan, successor_features

Model = Literal["regret", "partial_return"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Segments:
    """states[s, t], t = 0 .. T, and actions[s, t]; length: steps taken, what comes after is
    padding."""

    states: Int[Array, "S T1"]
    actions: Int[Array, "S T"]
    length: Int[Array, " S"]

    @property
    def begun(self) -> Int[Array, " S"]:
        """The state where each begins."""
        return self.states[:, 0]

    @property
    def ended(self) -> Int[Array, " S"]:
        """The state that its last step leads to."""
        return self.states[np.arange(len(self.length)), self.length]

    @property
    def taken(self) -> Bool[Array, "S T"]:
        """Which steps are no padding."""
        return np.arange(self.actions.shape[1]) < self.length[:, None]


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentPairs:
    """won: the share of the first, a tie being a half."""

    segments: Segments
    first: Int[Array, " B"]
    second: Int[Array, " B"]
    won: Float[Array, " B"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrajectoryHead:
    """weights: reward per unit of each feature, in log-odds of preferring. covariance: of them, as
    if the best policy stayed what it is. log_likelihood: nats."""

    weights: Float[Array, " F"]
    covariance: Float[Array, "F F"]
    log_likelihood: float
    converged: bool


def segment_features(
    segments: Segments, features: Float[Array, "N A F"], discount: float
) -> Float[Array, "S F"]:
    """sum_t gamma^t phi(s_t, a_t)."""
    weight = np.where(segments.taken, discount ** np.arange(segments.actions.shape[1]), 0.0)
    return np.einsum("st,stf->sf", weight, features[segments.states[:, :-1], segments.actions])


def fit_trajectory_head(
    world: FiniteWorld,
    features: Float[Array, "N A F"],
    pairs: SegmentPairs,
    model: Model,
    *,
    temperature: float = 0.0,
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
    `segment_discount`: within a segment, the world's own where it is None. `temperature`, in
    log-odds: regret against people who choose their steps as they choose between segments, with
    soft values V = t log mean_a exp(Q / t), so that minus regret is sum_t gamma^t t log pi /
    pi_uniform of the steps (dynamic discrete choice, Rust 1987) where moves are certain and the
    discount within a segment is the world's; 0 is against the best policy, a large one against
    steps at random.

    Raises `DataError` where a pair has no answer, `ConfigError` for a temperature below zero or
    one of returns, where nobody looks ahead.
    """
    if not temperature >= 0 or (temperature > 0 and model == "partial_return"):
        raise ConfigError(
            f"got temperature={temperature} with model={model!r}; expected 0 or more, and 0 for "
            "returns. Leave it out, or take model='regret'."
        )
    if not np.all((pairs.won >= 0) & (pairs.won <= 1)):
        raise DataError("some pairs have no answer; expected the share of the first, 0 to 1.")
    discount = world.discount if segment_discount is None else segment_discount
    segments = pairs.segments
    summed = segment_features(segments, features, discount)
    begun, ended = segments.begun, segments.ended
    ahead = (discount**segments.length)[:, None]

    # Beside a uniform policy, so that to go on is not worth something of its own.
    spared = temperature * np.log(features.shape[1])

    def gaps(weights: Float[Array, " F"]) -> tuple[Array, Array]:
        """What parts two segments for each weight, and the gap between their worths."""
        along, open_ = summed, np.zeros(len(begun))
        if model == "regret":
            found = plan(world, features @ weights - spared, temperature=temperature,
                         tolerance=1e-7)  # fmt: skip
            following = successor_features(world, found.policy, features)
            along = summed + ahead * following[ended] - following[begun]
            # The best value is psi w; a soft one is also paid for what it leaves open.
            rest = (
                found.values - following @ weights if temperature > 0 else np.zeros(len(features))
            )
            open_ = ahead[:, 0] * rest[ended] - rest[begun]
        apart = along[pairs.first] - along[pairs.second]
        return apart, apart @ weights + open_[pairs.first] - open_[pairs.second]

    def slope(weights: Float[Array, " F"]) -> Slope:
        apart, gap = gaps(weights)
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
    apart, gap = gaps(best.theta)
    bend = (apart * (sigmoid(gap) * sigmoid(-gap))[:, None]).T @ apart
    return TrajectoryHead(
        weights=best.theta,
        covariance=np.linalg.inv(bend + np.eye(len(bend)) / prior_scale**2),
        log_likelihood=best.value + prior,
        converged=best.converged,
    )
