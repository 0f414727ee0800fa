"""A budget goes to those on whom it does most, and no further."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from penchant.errors import ConfigError, DataError
from penchant.evaluation.play import play, spend
from penchant.policies.bandits.budgeted import BudgetedBandit, ContextClasses, shares_of_budget
from penchant.policies.bandits.linear import LinearBandit
from penchant.policies.bandits.rules import UpperConfidence
from penchant.simulation.arms import class_arms

TABLE = np.array([[0.9, 0.1], [0.1, 0.5], [0.3, 0.2]])
CLASSES = ContextClasses(centres=np.eye(3), frequency=np.full(3, 1 / 3))


def budgeted(budget, num_rounds, classes=CLASSES, **settings):
    bandit = LinearBandit("ab", 3, rule=UpperConfidence(width=0.5))
    return BudgetedBandit(bandit, classes, budget=budget, num_rounds=num_rounds, **settings)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.floats(0.0, 2.0), st.integers(0, 10_000))
def test_shares_of_a_budget_are_those_of_the_linear_program(num, pace, seed):
    rng = np.random.default_rng(seed)
    value, cost = rng.normal(size=num), rng.uniform(0.2, 2.0, size=num)
    frequency = rng.dirichlet(np.ones(num))
    found = shares_of_budget(value, frequency, pace, cost)
    program = linprog(
        -value * frequency, A_ub=[frequency * cost], b_ub=[pace], bounds=(0, 1), method="highs"
    )
    assert (found >= 0).all()
    assert (found <= 1 + 1e-12).all()
    assert found @ (frequency * cost) <= pace + 1e-9
    assert found @ (frequency * value) == pytest.approx(-program.fun, abs=1e-9)


def test_a_class_told_as_two_gets_what_it_got():
    value, frequency = np.array([0.9, 0.4, 0.2]), np.array([0.2, 0.5, 0.3])
    whole = shares_of_budget(value, frequency, 0.45, np.ones(3))
    split = shares_of_budget(
        np.array([0.9, 0.4, 0.4, 0.2]), np.array([0.2, 0.1, 0.4, 0.3]), 0.45, np.ones(4)
    )
    np.testing.assert_allclose(split, whole[[0, 1, 1, 2]])
    assert 0 < whole[1] < 1


def test_what_a_class_costs_counts_against_what_it_pays():
    found = shares_of_budget(np.array([1.0, 0.8]), np.array([0.5, 0.5]), 0.5, np.array([2.0, 1.0]))
    np.testing.assert_allclose(found, [0.0, 1.0])


def test_no_more_is_spent_than_there_is_and_nearly_all_of_it():
    world = class_arms(TABLE, 900, np.random.default_rng(0))
    found = spend(budgeted(150, 900), world)
    assert 130 <= found.is_played.sum() <= 150


def test_a_class_that_cannot_be_paid_any_more_leaves_the_rest_to_others():
    bandit = budgeted(3.5, 400, cost=np.array([3.0, 1.0, 0.75]))
    rng = np.random.default_rng(0)
    for _ in range(400):
        decision = bandit.decide(np.eye(3)[rng.integers(3)])
        if decision.decision is not None:
            bandit.update(decision, 1.0 if decision.place == 0 else 0.2)
        assert bandit.budget_left >= 0.0
    assert bandit.budget_left < 0.75
    dear = budgeted(1.5, 100, cost=np.array([2.0, 1.0, 0.5]))
    for place, reward in ((0, 10.0), (1, -10.0), (2, 0.2)):
        for _ in range(50):
            dear.bandit.update(dear.bandit.decide(np.eye(3)[place]), reward)
    np.testing.assert_allclose(dear.shares(), [0.0, 0.0, 1.5 / 100 / (0.5 / 3)])


def test_the_budget_goes_to_the_class_that_pays_and_its_best_arm_is_found():
    """Of a third of all rounds the best class has one, which pays 0.9."""
    world = class_arms(TABLE, 3000, np.random.default_rng(1), spread=0.02)
    found = spend(budgeted(750, 3000), world)
    late = found.is_played[1500:]
    is_best = world.contexts[1500:, 0] > 0.5
    assert found.share[1500:][is_best].mean() > 0.6
    assert found.share[1500:][~is_best].mean() < 0.05
    assert found.reward[1500:][late].mean() > 0.8
    thinned = ContextClasses(centres=np.full((1, 3), 1 / 3), frequency=np.ones(1))
    assert spend(budgeted(750, 3000, thinned), world).reward_per_unit < 0.7


def test_with_money_for_every_round_it_is_the_bandit_itself():
    world = class_arms(TABLE, 200, np.random.default_rng(2))
    found = spend(budgeted(200, 200), world)
    alone = play(LinearBandit("ab", 3, rule=UpperConfidence(width=0.5)), world)
    assert found.is_played.all()
    np.testing.assert_array_equal(found.reward, alone.reward)


def test_rounds_are_spent_on_as_often_as_their_shares_say():
    """What is logged is what was done: shares of all rounds add up to the rounds spent on."""
    world = class_arms(TABLE, 2000, np.random.default_rng(3))
    found = spend(budgeted(600, 2000, random_state=5), world)
    spread = np.sqrt((found.share * (1 - found.share)).sum())
    assert abs(found.is_played.sum() - found.share.sum()) < 4 * spread + 1


def test_classes_are_found_again_in_contexts_around_them():
    world = class_arms(np.full((4, 2), 0.5), 800, np.random.default_rng(4), spread=0.05)
    found = ContextClasses.learnt(world.contexts, 4, np.random.default_rng(0))
    order = np.argsort(-found.centres @ [1, 2, 3, 4])
    np.testing.assert_allclose(found.centres[order][::-1], np.eye(4), atol=0.02)
    np.testing.assert_allclose(found.frequency, 0.25, atol=0.06)
    assert {found.place(centre) for centre in np.eye(4)} == {0, 1, 2, 3}


def test_what_cannot_be_planned_or_learnt_is_refused():
    with pytest.raises(ConfigError, match="adding up to 1"):
        ContextClasses(centres=np.eye(2), frequency=np.array([0.5, 0.6]))
    with pytest.raises(ConfigError, match="num_classes is 9"):
        ContextClasses.learnt(np.eye(3), 9, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="budget is 0"):
        budgeted(0, 10)
    with pytest.raises(ConfigError, match="above 0 for each of 3 classes"):
        budgeted(1, 10, cost=np.array([1.0, 0.0, 1.0]))
    one = budgeted(1, 1, ContextClasses(centres=np.ones((1, 3)), frequency=np.ones(1)))
    one.decide(np.ones(3))
    with pytest.raises(DataError, match="all rounds"):
        one.decide(np.ones(3))
    idle = budgeted(1e-6, 1)
    with pytest.raises(DataError, match="nothing was spent"):
        idle.update(idle.decide(np.ones(3)), 1.0)
