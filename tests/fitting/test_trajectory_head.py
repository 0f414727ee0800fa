"""Segments by return and by regret: the two forms of regret agree, and rewards are recovered."""

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
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


def chosen_steps(world, features, truth, segments, temperature):
    """sum_t gamma^t t log(pi / uniform) of the steps taken, by the policy of soft values."""
    rewards = features @ truth - temperature * np.log(2)
    policy = plan(world, rewards, temperature=temperature).policy
    steps = np.arange(segments.actions.shape[1])
    weight = np.where(steps < segments.length[:, None], 0.9**steps, 0.0)
    told = np.log(2 * policy[segments.states[:, :-1], segments.actions])
    return temperature * (weight * told).sum(axis=1)


def test_rewards_are_recovered_from_people_who_choose_their_steps_as_they_choose_segments():
    world, following = line()
    features = np.eye(7)[following][:, :, :6]
    truth, rng = np.array([-1.0, -0.3, -1.4, -0.5, -0.9, -1.2]), np.random.default_rng(1)
    segments = walks(following, 4000, rng)
    worth = chosen_steps(world, features, truth, segments, 0.8)
    first, second = np.arange(2000), np.arange(2000, 4000)
    won = 1 / (1 + np.exp(worth[second] - worth[first]))
    pairs = SegmentPairs(segments=segments, first=first, second=second, won=won)
    found = fit_trajectory_head(world, features, pairs, "regret", temperature=0.8)
    floor = (won * np.log(won) + (1 - won) * np.log1p(-won)).sum()
    assert found.log_likelihood == pytest.approx(floor, abs=0.05)
    np.testing.assert_allclose(
        chosen_steps(world, features, found.weights, segments, 0.8), worth, atol=0.05
    )
    # Who is held to the best steps, or to steps at random, is taken for somebody else.
    for temperature in (0.0, 20.0):
        other = fit_trajectory_head(world, features, pairs, "regret", temperature=temperature)
        assert other.log_likelihood < floor - 5.0


@pytest.mark.parametrize(("within", "temperature"), [(None, 0.0), (1.0, 0.0), (0.5, 0.8)])
def test_what_a_fit_says_of_its_pairs_is_regret_by_hand_at_its_weights(within, temperature):
    world, following = line()
    features, segments = np.eye(7)[following][:, :, :4], walks(following, 60, RNG)
    pairs = SegmentPairs(
        segments=segments, first=np.arange(30), second=np.arange(30, 60), won=RNG.random(30)
    )
    found = fit_trajectory_head(
        world, features, pairs, "regret", temperature=temperature, segment_discount=within,
        prior_scale=1.0,
    )  # fmt: skip
    rewards = features @ found.weights
    values = plan(world, rewards - temperature * np.log(2), temperature=temperature).values
    worth = trajectory.minus_regret(
        rewards[segments.states[:, :-1], segments.actions], segments.taken,
        values[segments.begun], values[segments.ended], 0.9 if within is None else within,
    )  # fmt: skip
    first = -np.log1p(np.exp(worth[30:] - worth[:30]))
    second = -np.log1p(np.exp(worth[:30] - worth[30:]))
    said = (pairs.won * first + (1 - pairs.won) * second).sum()
    assert found.log_likelihood == pytest.approx(said, abs=1e-5)


def test_of_several_starts_the_best_is_kept_and_one_may_be_given():
    world, following = line()
    rng = np.random.default_rng(0)
    features, segments = np.eye(7)[following][:, :, :4], walks(following, 40, rng)
    pairs = SegmentPairs(
        segments=segments, first=np.arange(20), second=np.arange(20, 40),
        won=(rng.random(20) < 0.5) * 1.0,
    )  # fmt: skip

    def top(**settings):
        found = fit_trajectory_head(world, features, pairs, "regret", prior_scale=3.0, **settings)
        return found.log_likelihood - 0.5 * (found.weights**2).sum() / 9.0

    # Where nothing is worth anything every policy is best, and some climbs never leave.
    alone = top(num_starts=1)
    assert top(num_starts=4) > alone + 0.5
    assert top(num_starts=1, start=np.full(4, 3.0)) > alone + 0.5


def test_a_temperature_near_zero_is_plain_regret():
    world, following = line()
    features, segments = np.eye(7)[following], walks(following, 40, RNG)
    pairs = SegmentPairs(
        segments=segments, first=np.arange(20), second=np.arange(20, 40), won=RNG.random(20)
    )
    hard, nearly = (
        fit_trajectory_head(world, features, pairs, "regret", temperature=t, prior_scale=1.0)
        for t in (0.0, 1e-4)
    )
    assert nearly.log_likelihood == pytest.approx(hard.log_likelihood, abs=1e-2)


def test_covariance_is_what_weights_scatter_by_from_one_set_of_pairs_to_the_next():
    world, following = line()
    features, truth = np.eye(7)[following][:, :, :3], np.array([-1.0, 0.5, -0.7])
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        segments = walks(following, 800, rng)
        worth = segment_features(segments, features, 0.9) @ truth
        won = (rng.random(400) < 1 / (1 + np.exp(worth[400:] - worth[:400]))).astype(float)
        pairs = SegmentPairs(
            segments=segments, first=np.arange(400), second=np.arange(400, 800), won=won
        )
        found.append(fit_trajectory_head(world, features, pairs, "partial_return"))
    spread = np.std([each.weights for each in found], axis=0)
    said = np.mean([np.sqrt(np.diag(each.covariance)) for each in found], axis=0)
    np.testing.assert_allclose(said, spread, rtol=0.3)


def test_of_a_feature_that_no_step_has_the_prior_is_all_that_is_known():
    world, following = line()
    features = np.concatenate([np.eye(7)[following][:, :, :2], np.zeros((7, 2, 1))], axis=2)
    segments = walks(following, 40, RNG)
    pairs = SegmentPairs(
        segments=segments, first=np.arange(20), second=np.arange(20, 40), won=RNG.random(20)
    )
    found = fit_trajectory_head(world, features, pairs, "partial_return", prior_scale=2.0)
    assert found.weights[2] == 0.0
    np.testing.assert_allclose(found.covariance[2], [0.0, 0.0, 4.0], atol=1e-12)
    assert np.all(np.diag(found.covariance)[:2] < 4.0)


@pytest.mark.parametrize(
    ("model", "temperature"), [("regret", -1.0), ("regret", np.nan), ("partial_return", 1.0)]
)
def test_temperatures_that_mean_nothing_are_refused(model, temperature):
    world, following = line()
    segments = walks(following, 2, RNG)
    pairs = SegmentPairs(
        segments=segments, first=np.array([0]), second=np.array([1]), won=np.array([1.0])
    )
    with pytest.raises(ConfigError, match="0 for returns"):
        fit_trajectory_head(world, np.eye(7)[following], pairs, model, temperature=temperature)
