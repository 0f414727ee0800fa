"""A menu's options that cost something are shown from a budget, at a price that it teaches."""

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_option import Outcome
from penchant.policies.bandits.joint import Grants, menu_probabilities
from penchant.policies.bandits.menu import MenuBandit
from penchant.policies.bandits.pacing import Pacing
from penchant.policies.bandits.rules import Greedy, InverseGap, Thompson


def earned(is_priced, num_rounds=1500, budget=300, seed=0):
    """Worths known: what a rule earns a unit that shows whatever is worth more than its price."""
    rng, pacing, got = (
        np.random.default_rng(seed),
        Pacing(budget=budget, num_rounds=num_rounds),
        0.0,
    )
    for worth in 1.0 + 0.8 * rng.normal(size=num_rounds):
        price = pacing.price if is_priced else 0.0
        is_shown = pacing.left >= 1.0 and worth > price
        got += worth * is_shown
        pacing = pacing.after(float(is_shown))
    return got / budget, pacing


def test_a_price_earns_nearly_what_hindsight_does_and_spends_the_budget():
    """Of the best fifth of N(1, 0.8) each is worth 2.12 on average, of those that come first 1."""
    per_unit, pacing = earned(is_priced=True)
    assert per_unit > 0.9 * 2.12
    assert pacing.left <= 0.05 * 300
    assert earned(is_priced=False)[0] < 1.2


def test_units_of_the_budget_do_not_matter():
    """Costs and budget in cents: prices a hundredth, everything else the same."""
    euros, cents = Pacing(budget=5.0, num_rounds=20), Pacing(budget=500.0, num_rounds=20)
    for cost in (0.0, 1.0, 1.0, 0.5, 0.0, 1.0):
        euros, cents = euros.after(cost), cents.after(100 * cost)
        assert cents.price == pytest.approx(euros.price / 100)
        assert cents.left == pytest.approx(100 * euros.left)


def test_the_price_rises_with_spending_above_the_pace_and_falls_below_it():
    begun = Pacing(budget=10.0, num_rounds=100, price=0.5)
    assert begun.after(1.0).price > begun.price
    assert begun.after(1.0).after(0.0).price < begun.after(1.0).price
    assert Pacing(budget=10.0, num_rounds=100).after(0.0).price == 0.0


def test_a_bandit_shows_what_is_worth_its_price_and_never_more_than_is_left():
    bandit = MenuBandit(
        2, channels=(Outcome(),), rule=Greedy(), pacing=Pacing(budget=30.0, num_rounds=400)
    )
    rng, spent = np.random.default_rng(0), 0.0
    for _ in range(400):
        menu = {"free": [0.0, 0.0], "offer": [1.0, float(rng.normal())]}
        made = bandit.decide(menu, cost={"offer": 1.0})
        spent += made.ranking[0] == "offer"
        assert made.probabilities.sum() == pytest.approx(1.0)
        bandit.update(made, "reward", 1.0 + menu["offer"][1] if made.ranking[0] == "offer" else 0.0)
    assert spent <= 30
    assert bandit.pacing.spent == spent
    assert spent >= 25


def test_what_cannot_be_paid_is_not_shown_and_gets_no_share_of_any_floor():
    mean, covariance = np.array([1.0, 3.0, 0.5]), np.eye(3)
    charge, grants = np.array([0.0, np.inf, 0.2]), Grants(floor=0.2, exposure=0.15)
    for rule in (Greedy(), Thompson()):
        found = menu_probabilities(rule, mean, covariance, 1, None, grants, charge)
        assert found[1] == 0.0
        assert found.sum() == pytest.approx(1.0)
        assert found.min(where=np.array([True, False, True]), initial=1.0) >= 0.15 - 1e-12
        alone = menu_probabilities(rule, mean[[0, 2]], np.eye(2), 1, None, grants, charge[[0, 2]])
        np.testing.assert_allclose(found[[0, 2]], alone)


def test_a_charge_on_all_alike_changes_nothing():
    rng = np.random.default_rng(1)
    mean, root = rng.normal(size=4), rng.normal(size=(4, 4))
    for rule in (Greedy(), Thompson()):
        plain = menu_probabilities(rule, mean, root @ root.T, 1)
        charged = menu_probabilities(rule, mean, root @ root.T, 1, charge=np.full(4, 0.7))
        np.testing.assert_allclose(plain, charged, atol=1e-9)


def test_a_charge_is_worth_taken_from_what_is_charged():
    rng = np.random.default_rng(2)
    mean, root, charge = rng.normal(size=4), rng.normal(size=(4, 4)), np.array([0, 0.5, 2.0, 0.1])
    for rule in (Greedy(), Thompson(), InverseGap()):
        charged = menu_probabilities(rule, mean, root @ root.T, 1, charge=charge)
        shifted = menu_probabilities(rule, mean - charge, root @ root.T, 1)
        np.testing.assert_array_equal(charged, shifted)
    # Yes or no: rules that count in reward are charged in shares of yes, not in log-odds.
    found = menu_probabilities(
        InverseGap(), np.zeros(2), np.zeros((2, 2)), 1, 0.0, charge=np.array([0.0, 0.3])
    )
    np.testing.assert_allclose(found[1], 1 / (2 + 30 * 0.3))


def test_exposure_is_granted_in_every_menu():
    bandit = MenuBandit(1, rule=Greedy(), exposure=0.1)
    made = bandit.decide({"a": [1.0], "b": [2.0], "c": [3.0]})
    for _ in range(20):
        bandit.update(made, "pick", made.ranking[0])
    assert (bandit.decide({"a": [1.0], "b": [2.0], "c": [3.0]}).probabilities >= 0.1 - 1e-12).all()
    crowd = {str(k): [float(k)] for k in range(20)}
    np.testing.assert_allclose(bandit.decide(crowd).probabilities, 0.05)


def test_costs_without_a_budget_and_menus_that_cannot_be_paid_are_refused():
    bandit = MenuBandit(1)
    with pytest.raises(DataError, match="no budget"):
        bandit.decide({"a": [1.0]}, cost={"a": 1.0})
    paced = MenuBandit(1, pacing=Pacing(budget=1.0, num_rounds=5))
    with pytest.raises(DataError, match="0 or more"):
        paced.decide({"a": [1.0]}, cost={"b": 1.0})
    with pytest.raises(DataError, match="expected 1"):
        paced.decide({"a": [1.0], "b": [1.0]}, slots=2)
    with pytest.raises(DataError, match="cheapest option costs 2"):
        paced.decide({"a": [1.0], "b": [1.0]}, cost={"a": 2.0, "b": 3.0})
    with pytest.raises(ConfigError, match="budget is -1"):
        Pacing(budget=-1.0, num_rounds=5)
    with pytest.raises(ConfigError, match="exposure is 2"):
        Grants(exposure=2.0)
