"""Directions in the space of rewards: lengths, angles, turns and neighbourhoods."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.utilities.objectives import angles, directed_worths, neighbourhood, turned

SEEDS = st.integers(0, 10_000)


@given(SEEDS, st.floats(0.1, 50.0))
def test_only_where_a_direction_points_counts(seed, length):
    rng = np.random.default_rng(seed)
    rewards, direction = rng.normal(size=(4, 5, 3)), rng.normal(size=3)
    worths = directed_worths(rewards, direction)
    np.testing.assert_allclose(directed_worths(rewards, length * direction), worths)
    unit = direction / np.sqrt((direction**2).sum())
    np.testing.assert_allclose(worths, (rewards * unit).sum(axis=-1))


def test_a_missing_reward_makes_a_worth_missing_where_it_counts_and_only_there():
    rewards = np.array([[1.0, np.nan], [2.0, 3.0]])
    assert np.isnan(directed_worths(rewards, np.array([1.0, 1.0]))[0])
    np.testing.assert_allclose(directed_worths(rewards, np.array([1.0, 0.0])), [1.0, 2.0])


@given(SEEDS, st.floats(0.0, 180.0))
def test_a_turn_is_as_wide_as_asked_and_on_the_shortest_way(seed, degrees):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(2, 4))
    whole = float(angles(one, other))
    found = turned(one, other, np.array([degrees]))[0]
    assert np.linalg.norm(found) == pytest.approx(1.0)
    assert float(angles(found, one)) == pytest.approx(degrees, abs=1e-6)
    if degrees <= whole:
        assert float(angles(found, other)) == pytest.approx(whole - degrees, abs=1e-6)
    np.testing.assert_allclose(
        turned(one, other, np.array([whole]))[0], other / np.linalg.norm(other), atol=1e-9
    )


def test_small_angles_keep_their_digits():
    one = np.array([1.0, 1e-9])
    assert float(angles(one, np.array([1.0, 0.0]))) == pytest.approx(np.degrees(1e-9), rel=1e-6)


@given(SEEDS, st.floats(0.0, 60.0), st.floats(0.0, 60.0))
def test_neighbours_start_at_the_wish_and_end_where_training_begins_or_at_the_widest(
    seed, widest, reach
):
    rng = np.random.default_rng(seed)
    wish, covered = rng.normal(size=(2, 3))
    near = neighbourhood(wish, covered, 5, widest=widest, reach=reach)
    out = np.array(angles(near, wish))
    away = float(angles(wish, covered))
    assert out[0] == pytest.approx(0.0, abs=1e-6)
    assert out[-1] == pytest.approx(min(widest, max(away - reach, 0.0)), abs=1e-6)
    np.testing.assert_allclose(np.diff(out), out[-1] / 4, atol=1e-6)
    if away <= reach:
        np.testing.assert_allclose(near, np.tile(wish / np.linalg.norm(wish), (5, 1)), atol=1e-12)


def test_no_direction_and_opposite_ones_are_refused():
    with pytest.raises(ConfigError, match="no length"):
        directed_worths(np.ones((2, 2)), np.zeros(2))
    with pytest.raises(ConfigError, match="opposite"):
        turned(np.array([1.0, 0.0]), np.array([-1.0, 0.0]), np.array([10.0]))
    with pytest.raises(ConfigError, match="widest=200"):
        neighbourhood(np.ones(2), np.ones(2), 3, widest=200.0)
