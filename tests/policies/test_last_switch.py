"""Arms that tire and recover: the best cycle is exact, patterns bound it, and learning finds it."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.evaluation.last_switch import follow_learner, follow_rotation, follow_rule
from penchant.numerics.planning import best_cycle_mean
from penchant.policies.sequential.last_switch import (
    LastSwitchBandit,
    LastSwitchConfig,
    PatternPlan,
    Rotation,
    best_average,
    choose_arm,
    plan_patterns,
)
from penchant.simulation.switching import SwitchingArms, drawn_switching, switched


def test_the_best_cycle_is_the_best_of_all_cycles_by_hand():
    """Of a world of three states every simple cycle from the first is tried."""
    following = np.array([[1, 0], [2, 0], [0, 1]])
    rewards = np.array([[0.3, 0.4], [0.1, 0.9], [0.2, 0.8]])
    by_hand = max(0.4, (0.3 + 0.9) / 2, (0.1 + 0.8) / 2, (0.3 + 0.1 + 0.2) / 3)
    assert best_cycle_mean(following, rewards) == pytest.approx(by_hand)


def test_a_cycle_that_cannot_be_reached_earns_nothing():
    following, rewards = np.array([[0], [1]]), np.array([[0.2], [5.0]])
    assert best_cycle_mean(following, rewards) == pytest.approx(0.2)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_no_sequence_of_arms_earns_more_in_the_long_run(seed):
    """All cyclic sequences of up to six plays, run until they repeat themselves."""
    arms = drawn_switching(2, 2, np.random.default_rng(seed))
    best = best_average(arms)
    earned = []
    for length in range(1, 7):
        for cycle in itertools.product(range(2), repeat=length):
            rule = lambda t, pays, c=cycle: c[t % len(c)]  # noqa: E731
            earned.append(follow_rule(arms, rule, 6 * length)[-2 * length :].mean())
    assert max(earned) <= best + 1e-9
    assert max(earned) >= best - 0.02


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_the_program_bounds_the_best_policy_and_rotations_come_near_it(seed):
    rng = np.random.default_rng(seed)
    arms = drawn_switching(3, 3, rng)
    best, plan = best_average(arms), plan_patterns(arms)
    assert plan.bound >= best - 1e-9
    assert (plan.share.sum(axis=1) <= 1 + 1e-9).all()
    load = plan.play / (plan.rest + plan.play)
    assert (plan.share * load).sum() <= 1 + 1e-9
    earned = [follow_rotation(arms, Rotation.drawn(plan, rng), 240).mean() for _ in range(6)]
    assert np.mean(earned) > (1 - np.exp(-1)) * best
    assert max(earned) <= best + 0.02


def test_patterns_are_drawn_by_their_share_and_begin_anywhere():
    plan = PatternPlan(
        rest=np.array([2, 0]), play=np.array([1, 1]), share=np.array([[0.5, 0.2]]), bound=1.0
    )
    rng = np.random.default_rng(0)
    drawn = [Rotation.drawn(plan, rng) for _ in range(4000)]
    rest, phase = (np.array([getattr(d, name)[0] for d in drawn]) for name in ("rest", "phase"))
    for of, share in ((2, 0.5), (0, 0.2), (-1, 0.3)):
        assert (rest == of).mean() == pytest.approx(share, abs=0.03)
    np.testing.assert_allclose(np.bincount(phase[rest == 2]) / (rest == 2).sum(), 1 / 3, atol=0.04)


def test_rest_comes_before_play_and_states_count_both():
    rotation = Rotation(rest=np.array([1, 0, -1]), play=np.array([2, 1, 1]), phase=np.zeros(3, int))
    assert [rotation.wants(t) for t in range(4)] == [(1,), (0, 1), (0, 1), (1,)]
    assert choose_arm((0, 1), np.array([0.1, 0.2, 0.9])) == 1
    assert choose_arm((), np.array([0.1, 0.2, 0.9])) == 2
    since = np.array([3, -1, -3])
    np.testing.assert_array_equal(switched(since, np.array([1]), 3), [3, -2, 1])
    np.testing.assert_array_equal(switched(since, np.array([0]), 3), [-1, 1, 1])
    np.testing.assert_array_equal(switched(since, np.array([2]), 3), [3, 1, -3])


def test_arms_pay_by_their_last_switch():
    arms = SwitchingArms(rested=np.array([[0.5, 0.9]]), tired=np.array([[0.4, 0.1]]))
    for since, pays in [(1, 0.5), (2, 0.9), (7, 0.9), (-1, 0.4), (-2, 0.1), (-9, 0.1)]:
        assert arms.pays(np.array([since]))[0] == pays
    np.testing.assert_allclose(follow_rule(arms, lambda t, p: 0, 4), [0.9, 0.4, 0.1, 0.1])


def test_what_may_be_is_never_below_what_is_and_falls_as_it_is_seen():
    arms, rng = drawn_switching(3, 3, np.random.default_rng(0)), np.random.default_rng(1)
    bandit = LastSwitchBandit(3, LastSwitchConfig(far=3, num_rounds=4000), random_state=0)
    assert (bandit.hope().rested == 1).all()
    follow_learner(arms, bandit, 4000, rng, 0.1)
    hope = bandit.hope()
    assert (hope.rested >= arms.rested - 0.01).all()
    assert (hope.tired >= arms.tired - 0.01).all()
    assert hope.rested.mean() < 1


def test_a_learner_comes_near_what_rotations_of_the_truth_earn():
    shares = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        arms = drawn_switching(3, 3, rng)
        plan = plan_patterns(arms)
        known = np.mean(
            [follow_rotation(arms, Rotation.drawn(plan, rng), 300).mean() for _ in range(8)]
        )
        bandit = LastSwitchBandit(3, LastSwitchConfig(far=3, num_rounds=3000), random_state=rng)
        shares.append(follow_learner(arms, bandit, 3000, rng, 0.1)[1500:].mean() / known)
    assert np.mean(shares) > 0.96


def test_payoffs_that_are_not_monotone_and_answers_out_of_turn_are_refused():
    with pytest.raises(ConfigError, match="1 that fall with rest"):
        SwitchingArms(rested=np.array([[0.9, 0.5]]), tired=np.array([[0.4, 0.1]]))
    with pytest.raises(ConfigError, match="two or more"):
        LastSwitchBandit(1, LastSwitchConfig(far=2, num_rounds=10))
    with pytest.raises(ConfigError, match="one or more of far"):
        LastSwitchConfig(far=0, num_rounds=10)
    bandit = LastSwitchBandit(2, LastSwitchConfig(far=2, num_rounds=10))
    with pytest.raises(DataError, match="before any decision"):
        bandit.update(0.5)
    bandit.decide()
    with pytest.raises(DataError, match="nan came for a decision"):
        bandit.update(float("nan"))
