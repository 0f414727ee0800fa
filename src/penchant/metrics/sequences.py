"""Intervals of a mean without the normal law: for any sample size, and for looking at any time.

Legend: B observations, in the order in which they came.
"""

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.metrics.intervals import Interval
from penchant.numerics.arrays import Array


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


def asymptotic_sequence(
    values: Float[Array, " B"], level: float = 0.95, tightest_at: float = 1000.0
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """Ends of intervals for looking at all times, of values without known bounds.

    mean_t -+ s_t sqrt(2 (t rho^2 + 1) / (t^2 rho^2) log(sqrt(t rho^2 + 1) / alpha)): Robbins'
    normal mixture (Howard, Ramdas, McAuliffe and Sekhon 2021) with an estimated spread
    (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024), right as t grows. rho makes it tightest
    after `tightest_at` values, a number settled before the first look: were it that of all values
    so far, each look would have a rho of its own, and the ends would not hold over all looks. The
    first ends are infinite.
    """
    alpha, num = 1.0 - level, len(values)
    times = np.arange(1, num + 1)
    mean = np.cumsum(values) / times
    # Centred first: a difference of squares would lose all digits far from 0.
    apart = values - (values[0] if num else 0.0)
    spread = np.cumsum(apart**2) / times - (np.cumsum(apart) / times) ** 2
    spread = np.sqrt(np.maximum(spread, 0.0))
    rho2 = (-2.0 * np.log(alpha) + np.log(-2.0 * np.log(alpha)) + 1.0) / tightest_at
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
