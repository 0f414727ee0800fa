"""Intervals that hold at any size and at any time: they cover, and shrink as they should."""

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.metrics.sequences import asymptotic_sequence, empirical_bernstein


def ever_missed(low, high, truth, start=0):
    return bool(((low[start:] > truth) | (high[start:] < truth)).any())


def test_the_normal_interval_looked_at_all_the_time_does_not_hold_and_the_sequence_does():
    rng = np.random.default_rng(1)
    naive = honest = 0
    for _ in range(150):
        values = rng.exponential(size=1000) - 1.0
        times = np.arange(1, 1001)
        mean = np.cumsum(values) / times
        spread = np.sqrt(np.cumsum(values**2) / times - mean**2)
        reach = 1.96 * spread / np.sqrt(times)
        naive += ever_missed(mean - reach, mean + reach, 0.0, start=100)
        honest += ever_missed(*asymptotic_sequence(values), 0.0, start=100)
    assert naive > 0.15 * 150
    assert honest <= 0.06 * 150


@pytest.mark.parametrize("looked_at", [2, 3, 40, 59])
def test_a_look_says_the_same_whatever_comes_later(looked_at):
    values = np.random.default_rng(2).random(60)
    other = values.copy()
    other[looked_at:] = 1.0
    whole, changed = asymptotic_sequence(values), asymptotic_sequence(other)
    for end in (0, 1):
        early = asymptotic_sequence(values[:looked_at])[end]
        np.testing.assert_array_equal(whole[end][:looked_at], early)
        np.testing.assert_array_equal(changed[end][:looked_at], early)
        assert not np.array_equal(whole[end][looked_at:], changed[end][looked_at:])


def test_ends_are_tightest_where_they_were_told_to_be():
    values = np.random.default_rng(3).normal(size=400)
    reach = [(np.subtract(*asymptotic_sequence(values, tightest_at=at)[::-1])[-1])
             for at in (40, 400, 4000)]  # fmt: skip
    assert reach[1] < min(reach[0], reach[2])


def test_bernstein_covers_small_skewed_samples_and_is_close_to_normal_in_large_ones():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(150):
        found = empirical_bernstein((rng.random(40) < 0.05) * 20.0, 0.0, 20.0)
        covered += found.low <= 1.0 <= found.high
    assert covered >= 0.95 * 150
    many = empirical_bernstein(rng.random(1_000_000), 0.0, 1.0)
    normal = 1.96 * np.sqrt(1 / 12 / 1_000_000)
    assert normal < many.high - many.estimate < 1.6 * normal


def test_units_do_not_matter():
    values = np.random.default_rng(4).random(50)
    one, two = empirical_bernstein(values, 0.0, 1.0), empirical_bernstein(9 * values, 0.0, 9.0)
    assert two.low == pytest.approx(9 * one.low)
    far = asymptotic_sequence(values + 1e9)[0][-1] - 1e9
    assert far == pytest.approx(asymptotic_sequence(values)[0][-1], abs=1e-5)


def test_values_beyond_the_ends_are_refused():
    with pytest.raises(ConfigError, match="no value can pass"):
        empirical_bernstein(np.array([0.5, 1.2]), 0.0, 1.0)
    with pytest.raises(ConfigError, match="lower end first"):
        empirical_bernstein(np.array([0.5]), 1.0, 0.0)


def test_one_value_bounds_nothing():
    assert np.isinf(asymptotic_sequence(np.array([0.3]))[0][0])
    assert np.isnan(empirical_bernstein(np.array([0.3]), 0.0, 1.0).low)
