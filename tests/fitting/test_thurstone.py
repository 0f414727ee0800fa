"""Means and noises of Thurstonian utilities: truth found, gradient, units, bad input."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.pair_counts import PairCounts
from penchant.errors import ConfigError, DataError
from penchant.fitting.thurstone import ThurstoneConfig, _Density, fit_thurstone
from penchant.numerics.arrays import ndtr


def votes(mean, noise, num_votes, rng):
    size = len(mean)
    first, second = (index.astype(np.int32) for index in np.triu_indices(size, 1))
    p = ndtr((mean[first] - mean[second]) / np.hypot(noise[first], noise[second]))
    wins = rng.binomial(num_votes, p).astype(float)
    return PairCounts(
        items=tuple(f"i{k}" for k in range(size)), first=first, second=second,
        first_wins=wins, second_wins=num_votes - wins, ties=np.zeros(len(wins)),
    )  # fmt: skip


def test_means_and_noises_are_found_again():
    rng = np.random.default_rng(0)
    mean, noise = rng.normal(size=40), 0.5 * np.exp(0.4 * rng.normal(size=40))
    fit = fit_thurstone(votes(mean, noise, 60, rng), ThurstoneConfig(noise_spread=0.5))
    assert fit.converged
    truth = (mean - mean.mean()) / mean.std()
    assert np.abs(fit.mean - truth).max() < 0.35
    assert np.corrcoef(np.log(fit.noise), np.log(noise))[0, 1] > 0.6
    assert np.median(fit.noise) == pytest.approx(np.median(noise) / mean.std(), rel=0.2)
    first, second = np.triu_indices(40, 1)
    p = ndtr((mean[first] - mean[second]) / np.hypot(noise[first], noise[second]))
    assert np.abs(fit.win_probability(first, second) - p).mean() < 0.03


def test_the_gradient_is_the_slope_of_the_density():
    rng = np.random.default_rng(1)
    counts = votes(rng.normal(size=5), np.ones(5), 7, rng)
    density = _Density(counts, ThurstoneConfig())
    theta = rng.normal(size=10)
    gradient = density.slope(theta).gradient
    step = 1e-6
    slow = [(density.slope(theta + e).value - density.slope(theta - e).value) / (2 * step)
            for e in step * np.eye(10)]  # fmt: skip
    np.testing.assert_allclose(gradient, slow, rtol=1e-5, atol=1e-6)


def test_relabelling_and_reversing_do_nothing_but_relabel_and_reverse():
    rng = np.random.default_rng(2)
    counts = votes(rng.normal(size=6), np.ones(6), 9, rng)
    fit = fit_thurstone(counts)
    flipped = replace(counts, first_wins=counts.second_wins, second_wins=counts.first_wins)
    np.testing.assert_allclose(fit_thurstone(flipped).mean, -fit.mean, atol=1e-4)
    assert fit.mean.mean() == pytest.approx(0.0, abs=1e-12)
    assert fit.mean.std() == pytest.approx(1.0)
    one, two = fit.win_probability(np.array([0, 3]), np.array([3, 0]))
    assert one + two == pytest.approx(1.0)


def test_without_a_spread_of_noises_all_have_one():
    rng = np.random.default_rng(3)
    fit = fit_thurstone(votes(rng.normal(size=6), np.ones(6), 9, rng),
                        ThurstoneConfig(noise_spread=0.0))  # fmt: skip
    assert np.ptp(fit.noise) == pytest.approx(0.0, abs=1e-12)


def test_winners_of_everything_and_draws_of_everything_stay_finite():
    counts = votes(np.array([50.0, 0.0, 0.0]), np.ones(3), 20, np.random.default_rng(0))
    fit = fit_thurstone(counts)
    assert np.all(np.isfinite(fit.mean))
    assert fit.win_probability(np.array([0]), np.array([1]))[0] > 0.9
    even = fit_thurstone(replace(counts, first_wins=np.full(3, 10.0), second_wins=np.full(3, 10.0)))
    np.testing.assert_allclose(even.win_probability(np.array([0]), np.array([1])), 0.5, atol=1e-6)


def test_nothing_to_fit_and_odd_scales_are_refused():
    counts = votes(np.zeros(3), np.ones(3), 4, np.random.default_rng(0))
    with pytest.raises(DataError, match="no votes"):
        fit_thurstone(replace(counts, first_wins=np.zeros(3), second_wins=np.zeros(3)))
    with pytest.raises(ConfigError, match="noise_spread = -1"):
        fit_thurstone(counts, ThurstoneConfig(noise_spread=-1.0))
