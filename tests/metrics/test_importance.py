"""Overlap and whether propensities are true."""

import numpy as np
import pytest

from penchant.metrics.importance import drift_p_value, overlap, propensity_test, unsupported_mass


def test_equal_weights_are_worth_all_rounds_and_one_heavy_one_is_worth_one():
    even = overlap(np.ones(200), np.arange(200))
    assert even.effective == pytest.approx(200)
    assert (even.mean_z, even.agreeing, even.max_weight) == (0.0, 1.0, 1.0)
    alone = np.zeros(200)
    alone[3] = 200.0
    found = overlap(alone, np.arange(200))
    assert found.effective == pytest.approx(1)
    assert found.heaviest == 1.0
    assert found.agreeing == 1 / 200


def test_the_mean_weight_is_tested_over_people_not_rounds():
    rng = np.random.default_rng(0)
    each = rng.exponential(1.1, size=100)
    weight, cluster = np.repeat(each, 20), np.repeat(np.arange(100), 20)
    alone = overlap(weight, np.arange(2000)).mean_z
    assert overlap(weight, cluster).mean_z == pytest.approx(alone / np.sqrt(20), rel=0.02)


def test_mass_where_the_log_has_none_is_counted_and_not_known_where_propensities_are_not():
    target, logged = np.array([0.5, 0.5, 0.1, 0.9]), np.array([1.0, 0.0, 0.5, 0.5])
    row = np.array([0, 0, 1, 1])
    assert unsupported_mass(target, logged, row) == pytest.approx(0.25)
    assert np.isnan(unsupported_mass(target, np.array([1.0, np.nan, 0.5, 0.5]), row))
    # What the menus leave out the logging policy did as well.
    assert np.isnan(unsupported_mass(target, np.array([1.0, 0.0, 0.5, 0.3]), row))


def test_weights_that_are_all_alike_and_not_one_are_infinitely_far_from_it():
    each = np.arange(50)
    assert overlap(np.zeros(50), each).mean_z == -np.inf
    assert overlap(np.full(50, 0.3), each).mean_z == -np.inf
    assert overlap(np.full(50, 1.5), each).mean_z == np.inf
    assert overlap(np.ones(50) + 1e-15, each).mean_z == 0.0
    assert overlap(np.full(50, 1 / 6 / 0.1667), each).mean_z == 0.0
    # Neither a heavy weight nor a long log makes a distance look like rounding.
    rng = np.random.default_rng(0)
    assert overlap(1.005 + 0.5 * rng.normal(size=1_000_000), np.arange(1_000_000)).mean_z > 5
    heavy = np.r_[400.0, np.full(999, 0.5)]
    assert overlap(heavy, np.arange(1000)).mean_z == pytest.approx(-0.25, abs=0.01)
    assert np.isnan(overlap(np.full(50, 0.3), np.zeros(50, dtype=int)).mean_z)


def log(said, true, num=3000, seed=0):
    rng = np.random.default_rng(seed)
    taken = (np.cumsum(true) < rng.random(num)[:, None]).sum(axis=1)
    k = len(true)
    return (np.tile(np.arange(k), num), np.repeat(np.arange(num), k), np.tile(said, num),
            taken + k * np.arange(num))  # fmt: skip


def test_true_propensities_pass_about_as_often_as_said_and_false_ones_are_found():
    true = np.array([0.2, 0.3, 0.5])
    tests = [propensity_test(*log(true, true, num=400, seed=s)) for s in range(200)]
    assert np.mean([one.p_value < 0.1 for one in tests]) < 0.16
    spread = np.std([one.z for one in tests], axis=0)
    np.testing.assert_allclose(spread, 1.0, atol=0.15)
    found = propensity_test(*log(np.array([0.25, 0.25, 0.5]), true))
    assert found.p_value < 1e-6
    assert found.z[0] < 0 < found.z[1]
    assert found.taken.sum() == pytest.approx(found.said.sum())


def test_an_option_that_is_hardly_ever_due_is_not_tested():
    found = propensity_test(*log(np.array([1e-4, 0.9999]), np.array([0.002, 0.998]), num=1000))
    assert found.z[0] == 0.0


def test_drift_is_told_from_chance():
    rng = np.random.default_rng(1)
    half = np.repeat([0, 1], 500)
    p_values = [drift_p_value(rng.integers(5, size=1000), half) for _ in range(200)]
    assert 0.02 < np.mean(np.array(p_values) < 0.1) < 0.18
    moved = np.where(half == 1, rng.integers(3, size=1000), rng.integers(5, size=1000))
    assert drift_p_value(moved, half) < 1e-6
    assert drift_p_value(np.zeros(1000, dtype=int), half) == 1.0
