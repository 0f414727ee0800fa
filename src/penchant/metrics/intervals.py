"""Means over observations of people, with intervals that know a person answers more than once.

Legend: B observations, C clusters (people, most often), R bootstrap draws.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array

# Two-sided 95 % of the normal distribution.
Z95 = 1.959963984540054
# The outer quantiles of 30 draws hold nine of ten, not nineteen of twenty, and jump with the seed.
ENOUGH_FOR_QUANTILES = 200
_DRAWS_AT_ONCE = 4_000_000  # clusters times draws held in memory: 32 MB


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its interval; NaN where the data cannot say."""

    estimate: float
    low: float
    high: float


def students_quantile(degrees: Float[Array, "*N"], level: float) -> Float[Array, "*N"]:
    """Half the width of a two-sided interval, in standard errors: of Student's distribution, the
    normal's where degrees of freedom are infinite."""
    from scipy.special import ndtri, stdtrit

    finite = np.isfinite(degrees)
    student = stdtrit(np.where(finite, degrees, 1.0), (1 + level) / 2)
    return np.where(finite, student, ndtri((1 + level) / 2))


def clustered_mean(
    values: Float[Array, " B"],
    cluster: Int[Array, " B"],
    weight: Float[Array, " B"] | None = None,
    level: float = 0.95,
) -> Interval:
    """The weighted mean with an interval robust to dependence within clusters.

    The mean is a ratio of sums over clusters, sum_b w_b v_b / sum_b w_b; its variance is by the
    delta method C / (C - 1) sum_c (sum_{b in c} w_b (v_b - mean) / sum_b w_b)^2 (Cochran 1977,
    section 6; Liang and Zeger 1986), its interval Student's t with C - 1 degrees of freedom. The
    mean of nothing is NaN, the interval of a single cluster too.
    """
    from scipy.special import stdtrit

    totals, weights = _sums(values, cluster, weight)
    num, whole = len(totals), weights.sum()
    if not num or whole <= 0:
        return Interval(np.nan, np.nan, np.nan)
    mean = totals.sum() / whole
    if num == 1 or not np.isfinite(mean):
        return Interval(float(mean), np.nan, np.nan)
    deviations = (totals - mean * weights) / whole
    error = np.sqrt(num / (num - 1) * (deviations**2).sum())
    reach = float(stdtrit(num - 1, (1 + level) / 2) * error)
    return Interval(float(mean), float(mean - reach), float(mean + reach))


def reach_of_mean(values: Float[Array, " N"], level: float = 0.95) -> float:
    """Half the width of the interval of a mean of independent runs, by Student's t: of five seeds
    1.4 times the normal's. NaN of a single run."""
    found = clustered_mean(values, np.arange(len(values)), level=level)
    return found.high - found.estimate


def drawn_interval(
    value: Float[Array, "..."], draws: Float[Array, "N ..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """The 95 % interval of a figure that was worked out again for each of N draws of our doubt.

    The quantiles of the draws; of fewer than 200, whose quantiles lie too far in and jump with the
    seed, 1.96 root mean squares about the value. Where some draws are infinite, such as ratios
    whose denominator lost its sign, there is no middle between them and a number: the outer of the
    two draws about each quantile is taken. Without draws it is NaN.
    """
    if not len(draws):
        nothing = np.full_like(value, np.nan)
        return nothing, nothing
    if not np.isfinite(draws).all():
        low = np.quantile(draws, 0.025, axis=0, method="lower")
        return low, np.quantile(draws, 0.975, axis=0, method="higher")
    if len(draws) >= ENOUGH_FOR_QUANTILES:
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        return low, high
    reach = Z95 * np.sqrt(((draws - value) ** 2).mean(axis=0))
    return value - reach, value + reach


def bootstrap_mean(
    values: Float[Array, " B"],
    cluster: Int[Array, " B"],
    generator: np.random.Generator,
    weight: Float[Array, " B"] | None = None,
    level: float = 0.95,
    num_draws: int = 2000,
) -> Interval:
    """The weighted mean with percentiles of its bootstrap over whole clusters (Efron 1979).

    A draw takes C clusters with replacement and all observations of each. The mean of nothing is
    NaN, the interval of a single cluster too.
    """
    totals, weights = _sums(values, cluster, weight)
    num = len(totals)
    if not num or weights.sum() <= 0:
        return Interval(np.nan, np.nan, np.nan)
    mean = float(totals.sum() / weights.sum())
    if num == 1 or not np.isfinite(mean):
        return Interval(mean, np.nan, np.nan)
    both = np.stack([totals, weights], axis=1)
    means = []
    at_once = max(1, _DRAWS_AT_ONCE // num)
    for start in range(0, num_draws, at_once):
        size = min(at_once, num_draws - start)
        times = generator.multinomial(num, np.full(num, 1 / num), size=size)
        drawn = times @ both
        means.append(drawn[:, 0] / drawn[:, 1])
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high))


def dense_codes(cluster: Int[Array, " B"]) -> tuple[Int[Array, " B"], int]:
    """The clusters numbered without gaps, and how many there are."""
    names, codes = np.unique(cluster, return_inverse=True)
    return codes, len(names)


def _sums(
    values: Float[Array, " B"], cluster: Int[Array, " B"], weight: Float[Array, " B"] | None
) -> tuple[Float[Array, " C"], Float[Array, " C"]]:
    codes, num = dense_codes(cluster)
    weight = np.ones(len(values)) if weight is None else weight
    # A row of weight 0 says nothing, not even that its value is infinite.
    counted = np.where(weight > 0, values, 0.0) * weight
    totals = np.bincount(codes, counted, minlength=num).astype(np.float64)
    return totals, np.bincount(codes, weight, minlength=num).astype(np.float64)
