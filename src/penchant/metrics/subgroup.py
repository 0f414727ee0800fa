"""A measure in every subgroup, and on whom it is worst, allowing for having looked at them all.

Legend: B observations, C clusters (people), Z subgroups, R draws.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import DataError
from penchant.metrics.intervals import dense_codes
from penchant.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Subgroups:
    """The mean of a measure in each subgroup and its excess over the mean of everybody.

    `low` and `high` hold for all subgroups at once, as do the ends of the excess; `p_value` is the
    adjusted one of the excess being 0. A subgroup of one cluster has no interval (NaN).
    """

    names: tuple[str, ...]
    mean: Float[Array, " Z"]
    low: Float[Array, " Z"]
    high: Float[Array, " Z"]
    excess: Float[Array, " Z"]
    excess_low: Float[Array, " Z"]
    excess_high: Float[Array, " Z"]
    p_value: Float[Array, " Z"]
    num_observations: Int[Array, " Z"]
    num_clusters: Int[Array, " Z"]

    def worst(self, higher_is_worse: bool = True) -> int:
        """The place of the subgroup that fares worst, among those with an interval if any."""
        sign = 1.0 if higher_is_worse else -1.0
        judged = np.isfinite(self.low)
        return int(np.argmax(np.where(judged | ~judged.any(), sign * self.mean, -np.inf)))


def by_subgroup(
    values: Float[Array, " B"],
    member: Bool[Array, "B Z"],
    names: tuple[str, ...],
    cluster: Int[Array, " B"],
    generator: np.random.Generator,
    weight: Float[Array, " B"] | None = None,
    level: float = 0.95,
    num_draws: int = 4000,
) -> Subgroups:
    """Means by subgroup with simultaneous intervals, robust to dependence within clusters.

    The critical value is the `level` quantile of max_z |t_z| over draws in which every cluster's
    contribution is multiplied by a standard normal (the multiplier bootstrap of Chernozhukov,
    Chetverikov and Kato 2013); p-values are the share of draws whose largest |t| exceeds a
    subgroup's (Westfall and Young 1993, single step). Subgroups may overlap and leave people out.

    Raises DataError if there is no observation, or a name without one.
    """
    num = member.sum(axis=0)
    if not len(values) or (num == 0).any():
        empty = [name for name, count in zip(names, num, strict=True) if not count]
        raise DataError(
            f"subgroups without an observation: {', '.join(empty) or 'all'}; expected at least one "
            "in each. Leave these names out."
        )
    weight = np.ones(len(values)) if weight is None else weight
    codes, num_clusters = dense_codes(cluster)

    def sums(each: Float[Array, " B"]) -> Float[Array, "C Z"]:
        columns = [np.bincount(codes, each * column, minlength=num_clusters) for column in member.T]
        return np.stack(columns, axis=1)

    totals, weights = sums(weight * values), sums(weight)
    with np.errstate(invalid="ignore"):
        mean = totals.sum(axis=0) / weights.sum(axis=0)
        influence = (totals - mean * weights) / weights.sum(axis=0)
    whole = weight.sum()
    overall = (weight * values).sum() / whole
    of_all = (
        np.bincount(codes, weight * (values - overall), minlength=num_clusters)[:, None] / whole
    )
    present = (sums(np.ones(len(values))) > 0).sum(axis=0)
    # A share of the clusters is outside a subgroup: the correction counts those inside.
    inflate = np.sqrt(np.where(present > 1, present / np.maximum(present - 1, 1), np.nan))
    signs = generator.standard_normal((num_draws, num_clusters))
    mean_reach, _ = _simultaneous(influence * inflate, signs, level)
    excess_reach, largest = _simultaneous((influence - of_all) * inflate, signs, level)
    excess = mean - overall
    statistic = np.abs(excess) / _errors((influence - of_all) * inflate)
    exceeded = (largest[:, None] >= statistic).sum(axis=0)
    p_value = np.where(np.isfinite(statistic), (1 + exceeded) / (1 + num_draws), np.nan)
    return Subgroups(
        names, mean, mean - mean_reach, mean + mean_reach,
        excess, excess - excess_reach, excess + excess_reach, p_value,
        num, present,
    )  # fmt: skip


def _errors(influence: Float[Array, "C Z"]) -> Float[Array, " Z"]:
    return np.sqrt((influence**2).sum(axis=0))


def _simultaneous(
    influence: Float[Array, "C Z"], signs: Float[Array, "R C"], level: float
) -> tuple[Float[Array, " Z"], Float[Array, " R"]]:
    """How far the intervals reach, and the largest |t| of each draw."""
    errors = _errors(influence)
    known = np.isfinite(errors) & (errors > 0)
    if not known.any():
        return np.where(errors == 0, 0.0, np.nan), np.zeros(len(signs))
    drawn = np.abs(signs @ (influence[:, known] / errors[known]))
    largest = drawn.max(axis=1)
    return float(np.quantile(largest, level)) * errors, largest
