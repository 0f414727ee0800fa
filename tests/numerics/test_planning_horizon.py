"""Soft planning against every path written out."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.numerics.planning_horizon import best_plan, expected_visits, soft_plan
from penchant.simulation.grids import grid_moves


def small_world(seed, is_certain):
    rng = np.random.default_rng(seed)
    if is_certain:
        return rng.normal(size=(4, 5)), grid_moves(2, 2), rng.dirichlet(np.ones(4))
    return (
        rng.normal(size=(3, 2)),
        rng.dirichlet(np.ones(3), size=(3, 2)),
        rng.dirichlet(np.ones(3)),
    )


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000))
def test_where_moves_are_certain_a_path_s_log_probability_is_its_return_less_the_start_s_value(
    seed,
):
    reward, moves, _ = small_world(seed, True)
    plan = soft_plan(reward, moves, 3)
    for start in range(4):
        total = 0.0
        for actions in product(range(5), repeat=3):
            here, gained, log_prob = start, 0.0, 0.0
            for step, action in enumerate(actions):
                gained += reward[here, action]
                log_prob += plan.log_policy[step, here, action]
                here = int(moves[here, action].argmax())
            assert log_prob == pytest.approx(gained - plan.values[0, start], abs=1e-10)
            total += np.exp(gained)
        assert plan.values[0, start] == pytest.approx(np.log(total))


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000))
def test_visits_are_those_of_all_paths_weighed_by_their_probability(seed):
    reward, moves, start = small_world(seed, False)
    plan = soft_plan(reward, moves, 3)
    total = np.zeros((3, 2))
    for path in product(range(3), range(2), range(3), range(2), range(3), range(2)):
        states, actions = path[::2], path[1::2]
        chance = start[states[0]]
        for step in range(3):
            chance *= np.exp(plan.log_policy[step, states[step], actions[step]])
            if step < 2:
                chance *= moves[states[step], actions[step], states[step + 1]]
        for state, action in zip(states, actions):
            total[state, action] += chance
    np.testing.assert_allclose(expected_visits(plan.log_policy, moves, start), total, atol=1e-12)
    assert total.sum() == pytest.approx(3.0)


def test_a_sharp_reward_walks_straight_to_the_best_corner():
    moves = grid_moves(3, 3)
    reward = np.zeros((9, 5))
    reward[8] = 50.0
    plan = soft_plan(reward, moves, 6)
    here = 0
    for step in range(6):
        here = int(moves[here, plan.log_policy[step, here].argmax()].argmax())
    assert here == 8


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.floats(0.3, 1.0))
def test_no_policy_earns_more_than_the_best_plan_which_earns_its_own_value(seed, discount):
    reward, moves, _ = small_world(seed, False)
    rewards = np.random.default_rng(seed).normal(size=(3, *reward.shape))
    best = best_plan(rewards, moves, discount)

    def value(policies):
        ahead = np.zeros(3)
        for step in reversed(range(3)):
            ahead = (policies[step] * (rewards[step] + discount * moves @ ahead)).sum(axis=1)
        return ahead

    np.testing.assert_allclose(value(np.exp(best.log_policy)), best.values[0], atol=1e-12)
    for choice in product(product(range(2), repeat=3), repeat=3):
        assert np.all(value(np.eye(2)[np.array(choice)]) <= best.values[0] + 1e-9)
