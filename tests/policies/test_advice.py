"""Advice: losses of experts are right on average, and regret stays below its bound."""

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.evaluation.play import play_advised
from penchant.policies.bandits.advice import AdviceBandit, AdviceConfig, AdviceDecision
from penchant.policies.bandits.rules import Greedy, UpperConfidence

ADVICE = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [0.2, 0.2, 0.6]])


@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_estimated_losses_are_those_of_following_each_expert_on_average(floor):
    config = AdviceConfig(num_experts=4, num_arms=3, num_rounds=10, floor=floor)
    reward, total = np.array([0.9, 0.1, 0.4]), np.zeros(4)
    p = AdviceBandit(config).decide(ADVICE).probabilities
    assert p.sum() == pytest.approx(1.0)
    assert p.min() >= floor / 3
    for arm in range(3):
        fresh = AdviceBandit(config)
        fresh.update(AdviceDecision(arm, float(p[arm]), p, ADVICE), float(reward[arm]))
        total += p[arm] * fresh._loss
    np.testing.assert_allclose(total, ADVICE @ (1 - reward))


def test_experts_weigh_by_the_exponential_of_their_losses():
    config = AdviceConfig(num_experts=4, num_arms=3, num_rounds=50)
    bandit = AdviceBandit(config, random_state=0)
    decision = bandit.decide(ADVICE)
    bandit.update(decision, 0.25)
    loss = ADVICE[:, decision.arm] * 0.75 / decision.probability
    weight = np.exp(-np.sqrt(2 * np.log(4) / 150) * loss)
    np.testing.assert_allclose(bandit.weights, weight / weight.sum())
    np.testing.assert_allclose(bandit.decide(ADVICE).probabilities, bandit.weights @ ADVICE)


def test_steps_are_those_of_the_bounds_or_what_was_said():
    without = AdviceConfig(num_experts=4, num_arms=3)
    assert without.step(9) == pytest.approx(np.sqrt(np.log(4) / 30))
    assert AdviceConfig(num_experts=4, num_arms=3, rate=0.3).step(9) == 0.3
    # Each answer makes them shorter where the horizon is not known.
    bandit = AdviceBandit(without)
    for _ in range(2):
        bandit.update(bandit.decide(ADVICE), 0.3)
    weight = np.exp(-without.step(2) * bandit._loss)
    np.testing.assert_allclose(bandit.weights, weight / weight.sum())


def test_digits_that_advice_left_out_are_made_up_for():
    config = AdviceConfig(num_experts=4, num_arms=3, floor=0.1)
    found = AdviceBandit(config).decide(ADVICE * (1 - 5e-7)).probabilities
    assert found.sum() == pytest.approx(1.0, abs=1e-12)


def test_arrays_used_again_change_nothing():
    bandit, advice = AdviceBandit(AdviceConfig(num_experts=4, num_arms=3)), ADVICE.copy()
    decision = bandit.decide(advice)
    advice[:] = 1 / 3
    np.testing.assert_array_equal(decision.advice, ADVICE)


def test_arms_are_played_as_often_as_is_said():
    bandit = AdviceBandit(AdviceConfig(num_experts=4, num_arms=3), random_state=1)
    made = [bandit.decide(ADVICE) for _ in range(3000)]
    share = np.bincount([one.arm for one in made], minlength=3) / 3000
    np.testing.assert_allclose(share, made[0].probabilities, atol=0.04)
    assert all(one.probability == one.probabilities[one.arm] for one in made)


@pytest.mark.parametrize("horizon", [400, None])
def test_regret_beside_the_best_expert_is_below_the_bound_whatever_rewards_do(horizon):
    """Arms become good in turn, and the best expert knows a little of it."""
    T, N, K = 400, 6, 3
    rng = np.random.default_rng(0)
    paid = np.eye(K)[np.arange(T) * 4 // T % K]
    advice = rng.dirichlet(np.ones(K), size=(T, N))
    advice[:, 0] = 0.6 * paid + 0.4 / K
    bound = np.sqrt(2 * T * K * np.log(N)) * (1.0 if horizon else np.sqrt(2))
    config = AdviceConfig(num_experts=N, num_arms=K, num_rounds=horizon)
    found = [play_advised(AdviceBandit(config, random_state=s), advice, paid).sum()
             for s in range(5)]  # fmt: skip
    assert 0 < np.mean(found) < bound
    # Following nobody in particular would lose twice as much.
    assert np.mean(found) < 0.5 * ((advice[:, 0] * paid).sum() - T / K)


def test_rules_may_be_the_experts():
    mean, spread = np.array([[0.5, 0.4]]), np.array([[0.01, 0.3]])
    everything = np.ones((1, 2), dtype=bool)
    advice = np.concatenate([
        rule.probabilities(mean, spread, everything, 1) for rule in (Greedy(), UpperConfidence())
    ])  # fmt: skip
    decision = AdviceBandit(AdviceConfig(num_experts=2, num_arms=2)).decide(advice)
    np.testing.assert_allclose(decision.probabilities, [0.5, 0.5])


def test_bad_input_says_what_was_expected():
    with pytest.raises(ConfigError, match="two experts"):
        AdviceConfig(num_experts=1, num_arms=2)
    with pytest.raises(ConfigError, match="0 rounds"):
        AdviceConfig(num_experts=2, num_arms=2, num_rounds=0)
    with pytest.raises(ConfigError, match="expected one of the two"):
        AdviceConfig(num_experts=2, num_arms=2, num_rounds=10, rate=0.1)
    with pytest.raises(ConfigError, match="floor is 2"):
        AdviceConfig(num_experts=2, num_arms=2, floor=2.0)
    with pytest.raises(ConfigError, match="rate is 0"):
        AdviceConfig(num_experts=2, num_arms=2, rate=0.0)
    bandit = AdviceBandit(AdviceConfig(num_experts=2, num_arms=2))
    with pytest.raises(DataError, match=r"shape \(3, 2\)"):
        bandit.decide(np.full((3, 2), 0.5))
    with pytest.raises(DataError, match="1 in all of each expert"):
        bandit.decide(np.full((2, 2), 0.4))
    with pytest.raises(DataError, match="expected 0 to 1"):
        bandit.update(bandit.decide(np.full((2, 2), 0.5)), 2.0)
