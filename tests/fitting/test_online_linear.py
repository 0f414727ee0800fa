"""One reward at a time ends where all at once would: the posterior of the weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.fitting.online_linear import OnlineLinear


def empty(num_arms=2, num_features=3, *, forgetting=1.0, is_binary=False, prior_precision=0.7):
    return OnlineLinear.empty(
        num_arms,
        num_features,
        prior_precision=prior_precision,
        forgetting=forgetting,
        is_binary=is_binary,
    )


def rewards(seed, num=30, num_arms=2, num_features=3):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(num_arms, size=num),
        rng.normal(size=(num, num_features)),
        rng.normal(size=num),
        rng.uniform(0.2, 2.0, size=num),
    )


def closed_form(arm, seen, *, forgetting=1.0, prior_precision=0.7):
    """The slow twin: all rewards of an arm at once."""
    arms, x, reward, weight = seen
    mine = np.flatnonzero(arms == arm)
    count = forgetting ** (len(arms) - 1 - mine) * weight[mine]
    precision = prior_precision * np.eye(x.shape[1]) + (x[mine].T * count) @ x[mine]
    return precision, np.linalg.solve(precision, x[mine].T @ (count * reward[mine]))


@pytest.mark.parametrize("forgetting", [1.0, 0.9])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_rewards_one_by_one_are_ridge_regression_on_all(forgetting, seed):
    learner, seen = empty(forgetting=forgetting), rewards(seed)
    for arm, x, reward, weight in zip(*seen):
        learner.learn(int(arm), x, float(reward), float(weight))
    for arm in range(2):
        precision, mean = closed_form(arm, seen, forgetting=forgetting)
        np.testing.assert_allclose(learner.covariance[arm], np.linalg.inv(precision), atol=1e-9)
        trace = np.trace(learner.covariance[arm])
        assert np.linalg.eigvalsh(learner.covariance[arm])[-1] <= learner.size[arm, 0] * (1 + 1e-12)
        assert learner.size[arm, 0] <= trace * (1 + 1e-12)
        assert (np.triu(learner.root[arm], 1) == 0).all()
        np.testing.assert_allclose(learner.mean[arm], mean, atol=1e-9)


@pytest.mark.parametrize("is_compiled", [True, False])
def test_the_bound_of_a_covariance_follows_it_closer_than_its_trace(is_compiled):
    """Of ten features known alike the trace is ten times the largest eigenvalue, the length of the
    covariance three times that; it may be as old as the trace has fallen by three in ten since."""
    learner, rng = empty(num_arms=1, num_features=10), np.random.default_rng(0)
    learner.is_compiled = is_compiled
    for _ in range(400):
        learner.learn(0, rng.normal(size=10), 0.0, 1.0)
    largest = np.linalg.eigvalsh(learner.covariance[0])[-1]
    length = np.linalg.norm(learner.covariance[0])
    assert largest < length <= learner.size[0, 0] < 1.5 * length
    assert learner.size[0, 0] < 0.6 * np.trace(learner.covariance[0])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_without_forgetting_the_order_of_rewards_does_not_matter(seed):
    arms, x, reward, weight = rewards(seed)
    order = np.random.default_rng(seed).permutation(len(arms))
    first, second = empty(), empty()
    for t in range(len(arms)):
        first.learn(int(arms[t]), x[t], float(reward[t]), float(weight[t]))
        t = order[t]
        second.learn(int(arms[t]), x[t], float(reward[t]), float(weight[t]))
    np.testing.assert_allclose(first.mean, second.mean, atol=1e-9)


@pytest.mark.parametrize("is_binary", [False, True])
@pytest.mark.parametrize("forgetting", [1.0, 0.95])
def test_compiled_loops_are_their_plain_twins(is_binary, forgetting):
    fused = empty(forgetting=forgetting, is_binary=is_binary)
    plain = empty(forgetting=forgetting, is_binary=is_binary)
    plain.is_compiled = False
    assert fused.loops is not plain.loops
    for arm, x, reward, weight in zip(*rewards(5, num=200)):
        answer = float(reward > 0) if is_binary else float(reward)
        fused.learn(int(arm), x, answer, float(weight))
        plain.learn(int(arm), x, answer, float(weight))
    np.testing.assert_allclose(fused.mean, plain.mean, atol=1e-9)
    np.testing.assert_allclose(fused.root, plain.root, atol=1e-9)
    np.testing.assert_allclose(fused.size, plain.size, rtol=1e-9)
    found, slow = np.empty((2, 2)), np.empty((2, 2))
    x = np.array([0.3, -1.0, 2.0])
    fused.moments(x, *found)
    plain.moments(x, *slow)
    np.testing.assert_allclose(found, slow, atol=1e-10)
    np.testing.assert_allclose(slow[1], np.sqrt([x @ c @ x for c in plain.covariance]), atol=1e-10)


@given(
    seed=st.integers(0, 10_000),
    reward=st.sampled_from([0.0, 1.0, 0.3]),
    weight=st.floats(0.1, 5.0),
)
@settings(max_examples=40, deadline=None)
def test_an_answer_moves_the_weights_to_the_mode_of_prior_times_likelihood(seed, reward, weight):
    rng = np.random.default_rng(seed)
    learner = empty(num_arms=1, is_binary=True, prior_precision=0.2)
    x = rng.normal(size=3) * 3.0
    before = learner.mean[0] + 0.0
    precision = np.linalg.inv(learner.covariance[0])
    learner.learn(0, x, reward, weight)
    after = learner.mean[0]
    p = 1.0 / (1.0 + np.exp(-x @ after))
    slope = weight * (reward - p) * x - precision @ (after - before)
    np.testing.assert_allclose(slope, 0.0, atol=1e-9)
    np.testing.assert_allclose(
        np.linalg.inv(learner.covariance[0]),
        precision + weight * p * (1 - p) * np.outer(x, x),
        atol=1e-9,
    )


def test_answers_one_by_one_find_the_weights_that_made_them():
    rng = np.random.default_rng(0)
    truth = np.array([1.0, -2.0, 0.5])
    learner = empty(num_arms=1, is_binary=True)
    for x in rng.normal(size=(8000, 3)):
        learner.learn(0, x, float(rng.random() < 1 / (1 + np.exp(-x @ truth))), 1.0)
    error = learner.mean[0] - truth
    assert (
        error @ np.linalg.solve(learner.covariance[0], error) < 16.0
    )  # chi-square, 3 degrees: 99.9 %


def test_what_is_not_seen_again_returns_to_the_prior():
    learner = empty(num_arms=1, forgetting=0.8)
    learner.learn(0, np.array([5.0, 0.0, 0.0]), 10.0, 1.0)
    for _ in range(200):
        learner.learn(0, np.array([0.0, 1.0, 0.0]), 1.0, 1.0)
    assert learner.mean[0, 0] == pytest.approx(0.0, abs=1e-9)
    assert learner.covariance[0, 0, 0] == pytest.approx(1 / 0.7)
    assert learner.mean[0, 1] == pytest.approx(5.0 / 5.7, rel=1e-6)


def test_a_reward_that_counts_nothing_changes_nothing():
    learner = empty(forgetting=0.5)
    learner.learn(0, np.ones(3), 1.0, 1.0)
    before = learner.mean + 0.0
    learner.learn(0, np.ones(3), 9.0, 0.0)
    np.testing.assert_array_equal(learner.mean, before)


@pytest.mark.parametrize("is_compiled", [True, False])
def test_features_that_nearly_say_the_same_are_learnt_as_from_all_at_once(is_compiled):
    """Their difference is a ten-millionth of their size: an inverse that is kept by subtraction
    gives the variance of what is well known wrong by a factor of four."""
    rng = np.random.default_rng(0)
    base, gap = rng.normal(size=(3000, 1)), 1e-7 * rng.normal(size=(3000, 1))
    x = 1000.0 * np.hstack([base, base + gap])
    reward = x @ np.array([1.0, -0.5]) + rng.normal(size=3000)
    learner = empty(num_arms=1, num_features=2, prior_precision=1e-8)
    learner.is_compiled = is_compiled
    for at, paid in zip(x, reward):
        learner.learn(0, at, float(paid), 1.0)
    # By QR of the rows with the prior's below: no squares, so that the difference stays.
    rows = np.vstack([x, 1e-4 * np.eye(2)])
    factor = np.linalg.qr(rows)[1]
    expected = np.linalg.lstsq(rows, np.append(reward, [0, 0]), rcond=None)[0]
    for direction in (np.array([1.0, -1.0]), np.array([1.0, 1.0])):
        mean, spread = np.empty(1), np.empty(1)
        learner.moments(direction, mean, spread)
        doubt = np.linalg.norm(np.linalg.solve(factor.T, direction))
        np.testing.assert_allclose(spread[0], doubt, rtol=1e-6)
        assert abs(mean[0] - direction @ expected) < 1e-2 * doubt


def test_a_belief_is_not_changed_by_later_rewards():
    learner = empty()
    belief = learner.belief(("a", "b"), 0.5)
    learner.learn(0, np.ones(3), 1.0, 1.0)
    assert (belief.mean == 0).all()
    mean, spread = learner.belief(("a", "b"), 0.5).moments(np.ones((1, 3)))
    here = np.empty((2, 2))
    learner.moments(np.ones(3), *here)
    np.testing.assert_allclose(mean[0], here[0])
    np.testing.assert_allclose(spread[0], 0.5 * here[1])


def test_draws_of_a_belief_have_its_moments():
    learner = empty()
    for arm, x, reward, weight in zip(*rewards(2)):
        learner.learn(int(arm), x, float(reward), float(weight))
    belief = learner.belief(("a", "b"), 0.5)
    drawn = belief.draw(20_000, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(axis=0), belief.mean, atol=0.02)
    np.testing.assert_allclose(
        np.cov(drawn[:, 1].T), 0.25 * belief.covariance[1], atol=0.05 * belief.covariance[1].max()
    )


@pytest.mark.parametrize(
    "values", [{"forgetting": 0.0}, {"forgetting": 1.1}, {"prior_precision": 0.0}]
)
def test_numbers_out_of_range_are_refused_at_the_start(values):
    with pytest.raises(ConfigError, match="expected"):
        empty(**values)
