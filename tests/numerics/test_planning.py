"""Planning against policies tried out one by one, against Bellman's equation, and its gradient."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.numerics.planning import (
    FiniteWorld,
    plan,
    policy_values,
    share_of_best,
    successor_features,
)


def world(seed, states=4, actions=2, discount=0.9):
    rng = np.random.default_rng(seed)
    ends = np.zeros(states, dtype=bool)
    ends[-1] = True
    moves = rng.dirichlet(np.ones(states), size=(states, actions))
    return FiniteWorld(moves=moves, ends=ends, discount=discount), rng.normal(
        size=(states, actions)
    )


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_no_policy_earns_more_than_the_plan(seed):
    process, rewards = world(seed)
    found = plan(process, rewards)
    every = [
        policy_values(process, np.eye(2)[list(actions)], rewards)
        for actions in itertools.product(range(2), repeat=4)
    ]
    np.testing.assert_allclose(found.values, np.max(every, axis=0), atol=1e-7)
    np.testing.assert_allclose(
        policy_values(process, found.policy, rewards), found.values, atol=1e-7
    )


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.2, 3.0))
def test_soft_values_solve_their_equation_and_harden_as_the_temperature_falls(seed, temperature):
    process, rewards = world(seed)
    soft = plan(process, rewards, temperature=temperature)
    again = rewards + 0.9 * process.moves @ soft.values
    top = temperature * np.log(np.exp(again / temperature).sum(axis=1))
    np.testing.assert_allclose(soft.values[:-1], top[:-1], atol=1e-6)
    np.testing.assert_allclose(soft.policy.sum(axis=1), 1.0)
    cold = plan(process, rewards, temperature=1e-3)
    np.testing.assert_allclose(cold.values, plan(process, rewards).values, atol=0.02)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_successor_features_are_the_gradient_of_the_best_value(temperature):
    process, _ = world(5)
    rng = np.random.default_rng(6)
    features, weights = rng.normal(size=(4, 2, 3)), rng.normal(size=3)
    policy = plan(process, features @ weights, temperature=temperature).policy
    gradient = successor_features(process, policy, features)
    for f, step in enumerate(1e-5 * np.eye(3)):
        up, down = (
            plan(process, features @ (weights + s * step), temperature=temperature).values
            for s in (1, -1)
        )
        np.testing.assert_allclose(gradient[:, f], (up - down) / 2e-5, atol=1e-3)


def test_undiscounted_ways_to_an_end_are_planned_and_endless_gains_refused():
    line = FiniteWorld.deterministic(
        np.array([[0, 1], [0, 2], [2, 2]]), np.array([False, False, True]), 1.0
    )
    costs = plan(line, np.full((3, 2), -1.0))
    np.testing.assert_allclose(costs.values, [-2.0, -1.0, 0.0])
    with pytest.raises(ConfigError, match="values still move"):
        plan(line, np.ones((3, 2)), max_sweeps=50)
    with pytest.raises(ConfigError, match="0 for the best policy"):
        plan(line, np.ones((3, 2)), temperature=-1.0)
    with pytest.raises(ConfigError, match="may go on for ever"):
        policy_values(line, np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), np.ones((3, 2)))


@pytest.mark.parametrize("temperature", [0.01, 1.0, 30.0])
def test_soft_values_are_those_of_a_thousand_sweeps(temperature):
    process, rewards = world(8, states=6, actions=3, discount=0.97)
    values = np.zeros(6)
    for _ in range(1500):
        ahead = (rewards + 0.97 * process.moves @ values) / temperature
        top = ahead.max(axis=1)
        values = temperature * (top + np.log(np.exp(ahead - top[:, None]).sum(axis=1)))
        values[-1] = 0.0
    found = plan(process, rewards, temperature=temperature, max_sweeps=3)
    np.testing.assert_allclose(found.values, values, rtol=1e-7, atol=1e-7)


def test_the_share_of_the_best_is_one_of_the_truth_and_counted_from_steps_at_random():
    line = FiniteWorld.deterministic(
        np.array([[0, 1], [0, 2], [2, 2]]), np.array([False, False, True]), 0.5
    )
    rewards = np.array([[0.0, 0.0], [0.0, 8.0], [0.0, 0.0]])
    assert share_of_best(line, 3.0 * rewards, rewards) == pytest.approx(1.0)
    # Random steps are worth 16/11 to begin with and 48/11 next to the end, the best 4 and 8.
    low, top = 32 / 11, 6
    assert share_of_best(line, -rewards, rewards) == pytest.approx((0 - low) / (top - low))
    only = np.array([True, False, False])
    assert share_of_best(line, -rewards, rewards, only) == pytest.approx(-16 / (44 - 16))
    assert np.isnan(share_of_best(line, rewards, np.zeros((3, 2))))
