"""Choosing among many policies judged on one log, corrected for having looked at all of them.

Legend: M policies, B rounds, C clusters, R draws.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.metrics.intervals import dense_codes
from penchant.metrics.rank_intervals import simultaneous_ranks
from penchant.numerics.arrays import Array

_DRAWS = 4000


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyChoice:
    """value, low, high: intervals that all hold together. may_be_best: policies that no other
    surely beats. beats_logged: surely better than the logging policy earned, all together.
    best: of the highest estimate; `best_low` is what it surely earns, though it was picked by
    looking."""

    value: Float[Array, " M"]
    low: Float[Array, " M"]
    high: Float[Array, " M"]
    may_be_best: Bool[Array, " M"]
    beats_logged: Bool[Array, " M"]
    best: int

    @property
    def best_low(self) -> float:
        return float(self.low[self.best])


def choose_policy(
    terms: Float[Array, "M B"],
    logged: Float[Array, " B"],
    cluster: Int[Array, " B"],
    generator: np.random.Generator,
    *,
    weight: Float[Array, " B"] | None = None,
    level: float = 0.95,
) -> PolicyChoice:
    """Compare estimates by their terms (`metrics/off_policy.py`) on the same rounds.

    Values hold together by the `level` quantile of the largest |t| under Student's joint law of
    the estimates with C - 1 degrees of freedom; which policies beat which, and the logged reward,
    by the same maximum over differences, stepped down (Romano and Wolf 2005;
    `simultaneous_ranks`). `logged` is the reward of each round. Of one cluster nobody knows a
    spread: no end is known and nothing is told apart.
    """
    everyone = np.vstack([terms, logged])
    value, covariance = joint_mean(everyone, cluster, weight)
    degrees = dense_codes(cluster)[1] - 1
    if degrees < 1:
        return _nothing_known(value[:-1])
    errors = np.sqrt(np.diag(covariance))[:-1]
    drawn = generator.multivariate_normal(
        np.zeros(len(terms)), covariance[:-1, :-1], size=_DRAWS, method="svd"
    )
    # Few clusters know their spread badly, all policies together: one denominator for all.
    drawn /= np.sqrt(generator.chisquare(degrees, size=(_DRAWS, 1)) / degrees)
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = np.nan_to_num(np.abs(drawn) / errors).max(axis=1)
    reach = float(np.quantile(largest, level)) * errors
    above_policies = _above(value[:-1], covariance[:-1, :-1], degrees, generator, level)
    above = _above(value, covariance, degrees, generator, level)
    return PolicyChoice(
        value=value[:-1], low=value[:-1] - reach, high=value[:-1] + reach,
        may_be_best=~above_policies.any(axis=0), beats_logged=above[:-1, -1],
        best=int(np.argmax(value[:-1])),
    )  # fmt: skip


def _above(
    value: Float[Array, " M"],
    covariance: Float[Array, "M M"],
    degrees: int,
    generator: np.random.Generator,
    level: float,
) -> Bool[Array, "M M"]:
    """Which surely beat which, all pairs together. Those that are one and the same on every round
    (a policy named twice, the log judged by itself) are compared as one: the rounding between them
    has no error to be measured by, and would hide all other differences."""
    first = _same_as(value, covariance)
    kept, place = np.unique(first, return_inverse=True)
    found = simultaneous_ranks(
        value[kept], covariance[np.ix_(kept, kept)], generator, level=level,
        degrees_of_freedom=np.full(len(kept), float(degrees)),
    )  # fmt: skip
    assert found.above is not None
    return np.asarray(found.above[np.ix_(place, place)])


def _same_as(value: Float[Array, " M"], covariance: Float[Array, "M M"]) -> Int[Array, " M"]:
    """Of each the first that it cannot be told from but for rounding."""
    variance = np.diag(covariance)
    size = np.sqrt(variance[:, None] + variance) + 1e-300
    apart = np.sqrt(np.maximum(variance[:, None] + variance - 2.0 * covariance, 0.0))
    # A variance of a difference is known to some 1e-16 of its parts, its root to 1e-8.
    is_same = (apart <= 1e-7 * size) & (np.abs(value[:, None] - value) <= 1e-7 * size)
    np.fill_diagonal(is_same, True)
    return is_same.argmax(axis=0)


def _nothing_known(value: Float[Array, " M"]) -> PolicyChoice:
    unknown = np.full(len(value), np.nan)
    return PolicyChoice(
        value=value, low=unknown, high=unknown, may_be_best=np.ones(len(value), dtype=bool),
        beats_logged=np.zeros(len(value), dtype=bool), best=int(np.argmax(value)),
    )  # fmt: skip


def joint_mean(
    terms: Float[Array, "M B"],
    cluster: Int[Array, " B"],
    weight: Float[Array, " B"] | None = None,
) -> tuple[Float[Array, " M"], Float[Array, "M M"]]:
    """Weighted means and their covariance, clustered: `clustered_mean` for several at once."""
    weight = np.ones(terms.shape[1]) if weight is None else weight
    codes, num = dense_codes(cluster)
    mean = terms @ weight / weight.sum()
    totals = np.stack(
        [np.bincount(codes, weight * (row - m), minlength=num) for row, m in zip(terms, mean)]
    )
    return mean, num / max(num - 1, 1) * totals @ totals.T / weight.sum() ** 2
