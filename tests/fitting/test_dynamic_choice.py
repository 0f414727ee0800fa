"""Rewards from choices that look ahead: Bellman's equation holds, the anchor is a gauge, doubt."""

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.fitting.dynamic_choice import fit_dynamic_choice
from penchant.fitting.value_system import Paths
from penchant.numerics.arrays import log_sum_exp
from penchant.numerics.planning_horizon import best_plan
from penchant.simulation.grids import walk

TABLE = np.eye(8).reshape(4, 2, 8)


def world(seed, horizon=3, anchor=0, discount=1.0):
    rng = np.random.default_rng(seed)
    moves = rng.dirichlet(np.ones(4), size=(4, 2))
    quality = rng.normal(size=(horizon, 4, 2))
    quality[:, :, anchor] = 0.0
    values = np.concatenate([log_sum_exp(quality, axis=2), np.zeros((1, 4))])
    reward = np.array([quality[t] - discount * moves @ values[t + 1] for t in range(horizon)])
    return moves, quality, values, reward, rng


def seen(moves, quality, values, num, rng):
    return walk(quality - values[:-1, :, None], moves, rng.integers(4, size=num), rng)


@pytest.mark.parametrize("discount", [1.0, 0.7])
def test_rewards_that_obey_the_anchor_are_found_again(discount):
    moves, quality, values, reward, rng = world(0, anchor=1, discount=discount)
    paths = seen(moves, quality, values, 60_000, rng)
    found = fit_dynamic_choice(TABLE, moves, paths, anchor=1, discount=discount)
    np.testing.assert_allclose(found.quality, quality, atol=0.08)
    np.testing.assert_allclose(found.reward, reward, atol=0.1)
    np.testing.assert_array_equal(found.quality[:, :, 1], 0.0)


def test_what_was_found_solves_bellman_s_equation_where_features_tell_everything_apart():
    moves, quality, values, _, rng = world(1)
    paths = seen(moves, quality, values, 500, rng)
    found = fit_dynamic_choice(TABLE, moves, paths, discount=0.9, ridge=1e-9)
    for step in range(3):
        again = found.reward[step] + 0.9 * moves @ found.values[step + 1]
        np.testing.assert_allclose(again, found.quality[step], atol=1e-6)


def test_another_anchor_gives_another_reward_and_the_same_choices_and_best_policy():
    moves, quality, values, _, rng = world(2)
    paths = seen(moves, quality, values, 5000, rng)
    one, two = (fit_dynamic_choice(TABLE, moves, paths, anchor=a, ridge=1e-9) for a in (0, 1))
    assert np.abs(one.reward - two.reward).max() > 0.3
    np.testing.assert_allclose(
        one.quality[..., 1] - one.quality[..., 0], two.quality[..., 1] - two.quality[..., 0],
        atol=1e-3,
    )  # fmt: skip
    # f_t(s) = -Q_t(s, other anchor): r + f_t(s) - E f_(t+1)(s'), by hand.
    f = np.concatenate([-one.quality[:, :, 1], np.zeros((1, 4))])
    moved = np.array([one.reward[t] + f[t][:, None] - moves @ f[t + 1] for t in range(3)])
    np.testing.assert_allclose(two.reward, moved, atol=5e-3)
    policies = [best_plan(each.reward, moves).log_policy for each in (one, two)]
    np.testing.assert_array_equal(*policies)


def test_doubt_shrinks_with_the_square_root_of_what_was_seen_and_is_largest_where_nothing_was():
    state = np.zeros((40, 1), dtype=int)
    action = np.repeat([0, 1], [36, 4])[:, None]
    found = fit_dynamic_choice(
        TABLE, np.full((4, 2, 4), 0.25), Paths(state=state, action=action), ridge=1e-6
    )
    assert found.doubt[0, 0, 0] == pytest.approx(1 / 6, rel=1e-3)
    assert found.doubt[0, 0, 1] == pytest.approx(1 / 2, rel=1e-3)
    assert found.doubt[0, 1, 0] == pytest.approx(1e3, rel=1e-3)
    np.testing.assert_allclose(found.pessimistic(2.0), found.reward - 2.0 * found.doubt)


def test_what_cannot_be_fitted_is_refused():
    moves, quality, values, _, rng = world(3)
    paths = seen(moves, quality, values, 5, rng)
    with pytest.raises(DataError, match="expected 0 to 3"):
        fit_dynamic_choice(TABLE, moves, Paths(state=paths.state + 4, action=paths.action))
    with pytest.raises(ConfigError, match="anchor=2"):
        fit_dynamic_choice(TABLE, moves, paths, anchor=2)
    with pytest.raises(ConfigError, match="ridge"):
        fit_dynamic_choice(TABLE, moves, paths, ridge=0.0)
