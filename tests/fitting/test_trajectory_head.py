"""Segments by return and by regret: the two forms of regret agree, and rewards are recovered."""

import numpy as np
import pytest

from penchant.errors import DataError
from penchant.fitting.trajectory_head import (
    SegmentPairs,
    Segments,
    fit_trajectory_head,
    segment_features,
)
from penchant.numerics.planning import FiniteWorld, plan
from penchant.utilities import trajectory

RNG = np.random.default_rng(0)


def line(size=7, discount=0.9):
    """A corridor whose right end ends everything."""
    cells = np.arange(size)
    following = np.stack([np.maximum(cells - 1, 0), np.minimum(cells + 1, size - 1)], axis=1)
    following[-1] = size - 1
    return FiniteWorld.deterministic(following, cells == size - 1, discount), following


def walks(following, count, rng, steps=3):
    actions = rng.integers(0, 2, (count, steps))
    states = np.zeros((count, steps + 1), dtype=np.int64)
    states[:, 0] = rng.integers(0, len(following) - 1, count)
    for t in range(steps):
        states[:, t + 1] = following[states[:, t], actions[:, t]]
    length = (states[:, :-1] != len(following) - 1).sum(axis=1)
    return Segments(states=states, actions=actions, length=length)


def test_both_forms_of_regret_agree_where_moves_are_certain_and_no_segment_has_less_than_none():
    world, following = line()
    rewards = RNG.normal(size=following.shape)
    best = plan(world, rewards)
    segments = walks(following, 50, RNG)
    taken = np.arange(3) < segments.length[:, None]
    at, end = segments.states[:, :-1], segments.states[np.arange(50), segments.length]
    whole = trajectory.minus_regret(
        rewards[at, segments.actions], taken, best.values[at[:, 0]], best.values[end], 0.9
    )
    advantages = best.action_values - best.values[:, None]
    stepwise = trajectory.minus_regret_of_steps(advantages[at, segments.actions], taken, 0.9)
    np.testing.assert_allclose(whole, stepwise, atol=1e-7)
    assert np.all(whole <= 1e-9)


def test_summed_features_are_what_a_segment_earned():
    _, following = line()
    segments, features = walks(following, 20, RNG), RNG.normal(size=(7, 2, 3))
    weights = RNG.normal(size=3)
    rewards = (features @ weights)[segments.states[:, :-1], segments.actions]
    taken = np.arange(3) < segments.length[:, None]
    np.testing.assert_allclose(
        segment_features(segments, features, 0.9) @ weights,
        trajectory.partial_return(rewards, taken, 0.9),
    )


@pytest.mark.parametrize("model", ["regret", "partial_return"])
def test_a_reward_is_recovered_from_labels_of_its_own_model(model):
    world, following = line()
    features = np.eye(7)[following][:, :, :6]
    truth, rng = np.array([-1.0, -0.3, -1.4, -0.5, -0.9, -1.2]), np.random.default_rng(1)
    segments = walks(following, 6000, rng)
    best = plan(world, features @ truth)
    worth = segment_features(segments, features, 0.9) @ truth
    if model == "regret":
        end = segments.states[np.arange(6000), segments.length]
        worth += 0.9**segments.length * best.values[end] - best.values[segments.states[:, 0]]
    first, second = np.arange(3000), np.arange(3000, 6000)
    won = 1 / (1 + np.exp(worth[second] - worth[first]))
    pairs = SegmentPairs(segments=segments, first=first, second=second, won=won)
    found = fit_trajectory_head(world, features, pairs, model)
    # Labels are shares, without noise: the optimum is the truth but for the prior.
    if model == "partial_return":
        np.testing.assert_allclose(found.weights, truth, atol=0.05)
    np.testing.assert_array_equal(
        plan(world, features @ found.weights).policy[:-1], best.policy[:-1]
    )
    floor = (won * np.log(won) + (1 - won) * np.log1p(-won)).sum()
    assert found.log_likelihood == pytest.approx(floor, abs=1.0)


def test_the_discount_within_a_segment_is_its_own():
    world, following = line()
    features, segments = np.eye(7)[following], walks(following, 40, RNG)
    pairs = SegmentPairs(
        segments=segments, first=np.arange(20), second=np.arange(20, 40), won=RNG.random(20)
    )
    one, other = (
        fit_trajectory_head(world, features, pairs, "regret", segment_discount=d)
        for d in (1.0, 0.9)
    )
    assert one.log_likelihood != other.log_likelihood
    with pytest.raises(DataError, match="no answer"):
        fit_trajectory_head(
            world, features,
            SegmentPairs(segments=segments, first=pairs.first, second=pairs.second,
                         won=np.full(20, np.nan)), "regret",
        )  # fmt: skip
