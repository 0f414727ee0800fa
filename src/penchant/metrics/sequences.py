"""Intervals of a mean without the normal law: for any sample size, and for looking at any time.

Legend: B observations, in the order in which they came.
"""

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.metrics.intervals import Interval
from penchant.numerics.arrays import Array

# The largest bet of the plug-in sequence (Waudby-Smith and Ramdas 2024 take 1/2 or 3/4).
_MOST_BET = 0.5


def empirical_bernstein(
    values: Float[Array, " B"], low: float, high: float, level: float = 0.95
) -> Interval:
    """An interval that holds at every sample size for values within [low, high].

    mean -+ sqrt(2 V log(4 / alpha) / B) + 7 (high - low) log(4 / alpha) / (3 (B - 1)), V the sample
    variance (Maurer and Pontil 2009, theorem 4, both sides). It holds at least as often as it says,
    most often more.
    """
    _check_range(values, low, high)
    num = len(values)
    if num < 2:
        return Interval(float(np.mean(values)) if num else np.nan, np.nan, np.nan)
    log_term = np.log(4.0 / (1.0 - level))
    reach = np.sqrt(2.0 * values.var(ddof=1) * log_term / num)
    reach += 7.0 * (high - low) * log_term / (3.0 * (num - 1))
    mean = float(values.mean())
    return Interval(mean, max(low, float(mean - reach)), min(high, float(mean + reach)))


def confidence_sequence(
    values: Float[Array, " B"], low: float, high: float, level: float = 0.95
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """Ends of intervals that hold at all times at once, after 1, 2, .. B values in [low, high].

    The predictable plug-in empirical-Bernstein sequence (Waudby-Smith and Ramdas 2024, theorem 2),
    intersected over time. Looking after every value and stopping when one likes costs nothing.
    Values need be neither independent nor alike, only have one conditional mean.
    """
    _check_range(values, low, high)
    alpha, num = 1.0 - level, len(values)
    unit = (values - low) / (high - low)
    times = np.arange(1, num + 1)
    mean = (0.5 + np.cumsum(unit)) / (times + 1)
    spread = (0.25 + np.cumsum((unit - mean) ** 2)) / (times + 1)
    # A bet may rest on what was seen before it, never on the value that it is laid on.
    mean_before = np.concatenate([[0.5], mean[:-1]])
    spread_before = np.concatenate([[0.25], spread[:-1]])
    bet = np.sqrt(2.0 * np.log(2.0 / alpha) / (spread_before * times * np.log1p(times)))
    bet = np.minimum(bet, _MOST_BET)
    price = 4.0 * (unit - mean_before) ** 2 * (-np.log1p(-bet) - bet) / 4.0
    staked = np.cumsum(bet)
    centre = np.cumsum(bet * unit) / staked
    reach = (np.log(2.0 / alpha) + np.cumsum(price)) / staked
    below = np.maximum.accumulate(np.maximum(centre - reach, 0.0))
    above = np.minimum.accumulate(np.minimum(centre + reach, 1.0))
    return low + (high - low) * below, low + (high - low) * above


def asymptotic_sequence(
    values: Float[Array, " B"], level: float = 0.95, tightest_at: float | None = None
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """Ends of intervals for looking at all times, of values without known bounds.

    mean_t -+ s_t sqrt(2 (t rho^2 + 1) / (t^2 rho^2) log(sqrt(t rho^2 + 1) / alpha)): Robbins'
    normal mixture (Howard, Ramdas, McAuliffe and Sekhon 2021) with an estimated spread
    (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024), right as t grows. rho makes it tightest
    after `tightest_at` values, all of them by default. The first ends are infinite.
    """
    alpha, num = 1.0 - level, len(values)
    times = np.arange(1, num + 1)
    mean = np.cumsum(values) / times
    # Centred first: a difference of squares would lose all digits far from 0.
    apart = values - (values[0] if num else 0.0)
    spread = np.cumsum(apart**2) / times - (np.cumsum(apart) / times) ** 2
    spread = np.sqrt(np.maximum(spread, 0.0))
    at = tightest_at or num
    rho2 = (-2.0 * np.log(alpha) + np.log(-2.0 * np.log(alpha)) + 1.0) / max(at, 1.0)
    inner = times * rho2 + 1.0
    reach = spread * np.sqrt(2.0 * inner / (times**2 * rho2) * np.log(np.sqrt(inner) / alpha))
    # One value has no spread, which is not certainty.
    reach[:2] = np.inf
    return mean - reach, mean + reach


def _check_range(values: Float[Array, " B"], low: float, high: float) -> None:
    if not low < high:
        raise ConfigError(f"the range is {low} to {high}; expected the lower end first.")
    # A little beyond the ends is rounding.
    slack = 1e-9 * (high - low)
    if len(values) and not (values.min() >= low - slack and values.max() <= high + slack):
        raise ConfigError(
            f"values run from {values.min():.6g} to {values.max():.6g}; expected all of them "
            f"between {low:.6g} and {high:.6g}. Give ends that no value can pass."
        )
