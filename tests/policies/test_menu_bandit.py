"""Menus that change, any answer, and probabilities that are true of what is shown."""

from statistics import NormalDist

import numpy as np
import pytest

from penchant.beliefs.neural_worths import NeuralConfig
from penchant.beliefs.online_worths import OnlineWorths
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Binary, Outcome, Rating
from penchant.feedback.channel_order import BestWorst, Ranking
from penchant.feedback.channel_pair import Pair
from penchant.policies.bandits.answers import answer_on
from penchant.policies.bandits.joint import Grants, best_together, menu_probabilities
from penchant.policies.bandits.linear import expected_share
from penchant.policies.bandits.menu import MenuBandit, MenuBanditConfig
from penchant.policies.bandits.rules import (
    Greedy,
    InverseGap,
    InverseGapLoss,
    Softmax,
    Thompson,
    UpperConfidence,
    inverse_gap_loss,
)

EVERYTHING = (Choice(), Ranking(), Pair(ties="davidson"), BestWorst(), Rating(levels=5), Binary())
MENU = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.5, -0.5], "d": [-1.0, 0.3]}


def test_chances_to_be_best_are_the_share_of_draws_in_which_an_option_is():
    rng = np.random.default_rng(0)
    for num in (2, 3, 6):
        half = rng.normal(size=(num, num))
        mean, covariance = rng.normal(size=num), half @ half.T
        draws = rng.multivariate_normal(mean, covariance, size=200_000)
        share = np.bincount(draws.argmax(axis=1), minlength=num) / 200_000
        near = 0.004 if num == 2 else 0.012
        np.testing.assert_allclose(best_together(mean, covariance), share, atol=near)


@pytest.mark.parametrize("num", [2, 3])
def test_options_that_are_one_and_the_same_share_evenly(num):
    found = best_together(np.ones(num), np.ones((num, num)))
    np.testing.assert_allclose(found, 1 / num)
    np.testing.assert_allclose(best_together(np.array([0.0, 1.0]), np.ones((2, 2))), [0, 1])


@pytest.mark.parametrize("width", [0.5, 2.0])
def test_optimism_on_shared_weights_is_ridge_regression_written_out(width):
    """The slow twin: all rewards solved anew each round, the largest mean plus width spreads."""
    rng, truth = np.random.default_rng(1), np.array([0.5, -1.0, 0.3])
    bandit = MenuBandit(
        3, channels=[Outcome()], rule=UpperConfidence(width=width),
        config=MenuBanditConfig(noise=0.4, prior_scale=2.0),
    )  # fmt: skip
    seen, paid = np.zeros((0, 3)), np.zeros(0)
    for _ in range(60):
        menu = rng.normal(size=(int(rng.integers(2, 7)), 3))
        covariance = np.linalg.inv(np.eye(3) / 4.0 + seen.T @ seen / 0.16)
        mean = covariance @ seen.T @ paid / 0.16
        spread = np.sqrt(np.einsum("kd,de,ke->k", menu, covariance, menu))
        decision = bandit.decide({str(k): x for k, x in enumerate(menu)})
        assert decision.order == (int((menu @ mean + width * spread).argmax()),)
        reward = float(menu[decision.order[0]] @ truth + 0.4 * rng.normal())
        bandit.update(decision, "reward", reward)
        seen, paid = np.vstack([seen, menu[decision.order[0]]]), np.append(paid, reward)


def test_thompson_on_shared_weights_shows_what_draws_of_the_weights_would():
    rng = np.random.default_rng(2)
    bandit = MenuBandit(3, channels=[Outcome()], config=MenuBanditConfig(noise=0.5))
    for _ in range(8):
        menu = {str(k): rng.normal(size=3) for k in range(4)}
        bandit.update(bandit.decide(menu), "reward", float(rng.normal()))
    law, menu = bandit.belief_.law, rng.normal(size=(5, 3))
    covariance = law.covariance_of(np.eye(4))[:3, :3]
    draws = rng.multivariate_normal(law.mean[:3], covariance, size=100_000) @ menu.T
    share = np.bincount(draws.argmax(axis=1), minlength=5) / 100_000
    decision = bandit.decide({str(k): x for k, x in enumerate(menu)})
    np.testing.assert_allclose(decision.probabilities, share, atol=0.012)


def test_options_are_shown_in_front_as_often_as_their_probability_says():
    bandit, count = (
        MenuBandit(2, rule=Softmax(temperature=0.5), random_state=1),
        dict.fromkeys(MENU, 0),
    )
    bandit.update(bandit.decide(MENU, slots=4), "pick", "a")
    decisions = [bandit.decide(MENU, slots=2) for _ in range(2000)]
    for decision in decisions:
        count[decision.ranking[0]] += 1
        assert len(set(decision.ranking)) == 2
    p = decisions[0].probabilities
    assert p.sum() == pytest.approx(1.0)
    gap = np.abs(np.array(list(count.values())) - 2000 * p)
    assert (gap < 4 * np.sqrt(2000 * p * (1 - p))).all()
    assert decisions[0].probability == p[decisions[0].order[0]]


def test_where_chances_end_the_largest_means_come_next():
    bandit = MenuBandit(2, channels=[Ranking()], rule=Greedy())
    bandit.update(bandit.decide(MENU, slots=4), "ranking", ["b", "a", "c", "d"])
    worth = {name: np.dot(x, bandit.belief_.part_worths) for name, x in MENU.items()}
    assert len(set(worth.values())) == 4
    assert bandit.decide(MENU, slots=4).ranking == tuple(sorted(worth, key=lambda n: -worth[n]))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("pick", "a"),
        ("ranking", ["a", "b"]),
        ("pair", {"winner": "a", "loser": "d"}),
        ("best_worst", {"best": "a", "worst": "d"}),
        ("rating", {"a": 4, "d": 0}),
        ("reward", {"a": 1, "d": 0}),
        ("edit", [3.0, 0.0]),
    ],
)
def test_every_kind_of_answer_teaches_what_it_says(kind, value):
    bandit = MenuBandit(2, channels=EVERYTHING, rule=Greedy())
    for _ in range(12):
        bandit.update(bandit.decide(MENU, slots=4), kind, value)
    # All of them speak for the first feature, of which `a` has most.
    assert bandit.belief_.part_worths[0] > 0.3
    assert bandit.decide(MENU).ranking == ("a",)


def test_a_tie_brings_worths_together_and_nothing_picked_lowers_all():
    bandit = MenuBandit(2, channels=EVERYTHING, rule=Greedy())
    decision = bandit.decide(MENU, slots=4)
    bandit.update(decision, "pair", {"winner": "a", "loser": "b"})
    before = bandit.belief_.part_worths
    bandit.update(decision, "pair", {"winner": "a", "loser": "b", "is_tie": True})
    after = bandit.belief_.part_worths
    assert 0 < after[0] - after[1] < before[0] - before[1]
    bar = bandit.belief_.own_parameters("binary")[0]
    bandit.update(decision, "pick", None)
    assert bandit.belief_.own_parameters("binary")[0] > bar


def test_a_pick_of_all_that_was_shown_is_a_yes_where_that_can_be_learnt():
    for channels in (EVERYTHING, (Choice(),)):
        bandit = MenuBandit(2, channels=channels, rule=Greedy())
        decision = bandit.decide({"a": [1.0, 0.0]})
        bandit.update(decision, "pick", "a")
        assert (bandit.belief_.part_worths[0] > 0) == (channels is EVERYTHING)
    with pytest.raises(DataError, match="those shown"):
        bandit.update(decision, "pick", "b")


def test_chance_can_be_given_to_a_decision():
    bandit = MenuBandit(2)
    orders = [
        bandit.decide(MENU, slots=4, generator=np.random.default_rng(seed)).order
        for seed in (1, 1, 2, 3, 4)
    ]
    assert orders[0] == orders[1]
    assert len(set(orders)) > 1


def regret_of(kind, seed, rounds=25):
    """Six options, three shown; the same people, asked in one way or another."""
    rng, people = np.random.default_rng(seed), np.random.default_rng((seed, 1))
    truth = 1.5 * rng.normal(size=4)
    channel = {"pick": Choice(), "reward": Binary()}[kind]
    bandit, lost = MenuBandit(4, channels=[channel], random_state=seed), 0.0
    for _ in range(rounds):
        menu = rng.normal(size=(6, 4))
        decision = bandit.decide({str(k): x for k, x in enumerate(menu)}, slots=3)
        worth = menu[list(decision.order)] @ truth
        lost += (menu @ truth).max() - worth[0]
        noisy = worth + people.gumbel(size=3)
        if kind == "pick":
            bandit.update(decision, "pick", decision.ranking[int(noisy.argmax())])
        else:
            bandit.update(decision, "reward", int(noisy.argmax() == 0))
    return lost


def test_a_pick_among_three_teaches_more_than_whether_the_first_was_picked():
    gaps = [regret_of("reward", seed) - regret_of("pick", seed) for seed in range(5)]
    assert np.mean(gaps) > 3 * np.std(gaps, ddof=1) / np.sqrt(5)


def test_persons_are_shown_what_they_like_and_strangers_what_all_like():
    rng = np.random.default_rng(0)
    config = MenuBanditConfig(person_scale=1.0)
    bandit = MenuBandit(2, rule=Greedy(), config=config)
    for _ in range(25):
        menu = {str(k): x for k, x in enumerate(rng.normal(size=(3, 2)))}
        for person, axis in (("ann", 0), ("bob", 1), ("cem", 0), ("dee", 0)):
            decision = bandit.decide(menu, person=person, slots=3)
            best = max(menu, key=lambda name: menu[name][axis])
            bandit.update(decision, "pick", best)
    plain = {"first": [1.0, 0.0], "second": [0.0, 1.0]}
    assert bandit.decide(plain, person="ann").ranking == ("first",)
    assert bandit.decide(plain, person="bob").ranking == ("second",)
    assert bandit.decide(plain, person="new").ranking == ("first",)
    bandit.forget("bob")
    assert bandit.decide(plain, person="bob").ranking == ("first",)


def test_a_wider_thompson_and_a_floor_show_more_of_what_seems_worse():
    mean, covariance = np.array([1.0, 0.0]), np.array([[0.5, 0.2], [0.2, 0.4]])
    # Of both options together: the gap's variance is 0.5 + 0.4 - 2 * 0.2.
    for width in (0.5, 1.0, 2.0):
        p = menu_probabilities(Thompson(width=width), mean, covariance, 1)
        assert p[0] == pytest.approx(NormalDist().cdf(1.0 / (width * np.sqrt(0.5))))
        floored = menu_probabilities(
            Thompson(width=width), mean, covariance, 1, grants=Grants(floor=0.2)
        )
        np.testing.assert_allclose(floored, 0.8 * p + 0.1)


def test_rules_that_count_in_rewards_are_given_shares_above_the_bar():
    mean, covariance = np.array([0.5, 2.0]), np.diag([0.3, 0.1])
    share = 1 / (1 + np.exp(-(mean - 1.0) / np.sqrt(1 + np.pi / 8 * np.diag(covariance))))
    rule = InverseGap(gamma=10.0, growth=0.0)
    p = menu_probabilities(rule, mean, covariance, 1, bar=1.0)
    assert p[0] == pytest.approx(1 / (2 + 10 * (share[1] - share[0])))
    worths = menu_probabilities(rule, mean, covariance, 1)
    assert worths[0] == pytest.approx(1 / (2 + 10 * 1.5))


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_menu_bandit_can_be_put_away_and_taken_up_again(tmp_path, is_sparse):
    config = MenuBanditConfig(person_scale=0.5, is_sparse=is_sparse)
    bandit = MenuBandit(2, config=config)
    decision = bandit.decide(MENU, person="ann", slots=3)
    bandit.update(decision, "pick", decision.ranking[1])
    bandit.save(tmp_path / "bandit")
    again = MenuBandit(2, belief=OnlineWorths.load(tmp_path / "bandit"))
    for person in ("ann", None):
        one, two = bandit.decide(MENU, person=person), again.decide(MENU, person=person)
        np.testing.assert_array_equal(one.probabilities, two.probabilities)
    with pytest.raises(ConfigError, match="no config"):
        MenuBandit(2, belief=bandit.belief_, config=config)


def test_late_answers_count_and_those_that_never_come_do_not():
    bandit = MenuBandit(2)
    decisions = [bandit.decide(MENU, slots=4) for _ in range(3)]
    assert bandit.belief_.num_answers == 0
    bandit.update(decisions[2], "pick", "b")
    bandit.update(decisions[0], "pick", "b")
    assert bandit.belief_.num_answers == 2
    assert bandit.belief_.part_worths[1] > 0


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("thumb", 1, "expected one of reward, pick"),
        ("pick", "z", "expected one of those shown"),
        ("pick", ["a"], "expected one of those shown"),
        ("ranking", "abc", "a list of names"),
        ("ranking", [], "a list of names"),
        ("ranking", ["a", "a"], "every name once"),
        ("pair", {"winner": "a"}, "'winner' and 'loser'"),
        ("pair", {"winner": "a", "loser": "a"}, "expected two"),
        ("best_worst", "a", "'best' and 'worst'"),
        ("rating", 2.5, "whole levels"),
        ("rating", {"z": 1}, "'z'"),
        ("reward", None, "left out"),
        ("reward", float("nan"), "finite"),
        ("reward", 3, "0 or 1"),
        ("edit", [1.0], "expected 2 finite"),
    ],
)
def test_answers_that_cannot_be_say_what_was_expected(kind, value, said):
    bandit = MenuBandit(2, channels=EVERYTHING)
    decision = bandit.decide(MENU, slots=4)
    with pytest.raises(DataError, match=said):
        bandit.update(decision, kind, value)
    assert bandit.belief_.num_answers == 0


def test_a_kind_that_is_not_learnt_from_is_refused():
    bandit = MenuBandit(2)
    with pytest.raises(DataError, match="channel"):
        bandit.update(bandit.decide(MENU), "rating", 3)


@pytest.mark.parametrize(
    ("menu", "slots", "said"),
    [({}, 1, "empty"), ({"a": [1.0]}, 1, "2 finite"), ({"a": [np.nan, 1.0]}, 1, "finite"),
     (MENU, 0, "slots is 0")],
)  # fmt: skip
def test_menus_that_cannot_be_decided_on_are_refused(menu, slots, said):
    with pytest.raises(DataError, match=said):
        MenuBandit(2).decide(menu, slots=slots)


def test_real_rewards_are_taken_where_both_might_be_served():
    assert answer_on("reward", 0.5, ["a", "b"]).kind == "outcome"
    assert answer_on("reward", 1, ["a", "b"], ["binary"]).kind == "binary"
    with pytest.raises(ConfigError, match="prior_scale is 0"):
        MenuBanditConfig(prior_scale=0.0)


def test_the_rule_of_smallest_losses_counts_in_how_often_each_option_would_be_taken():
    worth, everything = np.array([1.0, 0.0, -2.0]), np.ones((1, 3), dtype=bool)
    covariance = np.eye(3)
    rule = InverseGapLoss(gamma=20.0)
    taken = np.exp(worth) / np.exp(worth).sum()
    np.testing.assert_allclose(
        menu_probabilities(rule, worth, covariance, 1),
        inverse_gap_loss(1.0 - taken[None], everything, 20.0)[0],
    )
    clicked = expected_share(worth - 0.3, np.ones(3))
    np.testing.assert_allclose(
        menu_probabilities(rule, worth, covariance, 1, bar=0.3),
        inverse_gap_loss(1.0 - clicked[None], everything, 20.0)[0],
    )
    with pytest.raises(ConfigError, match="without ends"):
        MenuBandit(2, channels=[Outcome()], rule=rule)


def test_beliefs_with_kinds_of_people_and_with_a_network_decide_as_others_do():
    pytest.importorskip("torch")
    for config in (
        MenuBanditConfig(num_kinds=2),
        MenuBanditConfig(network=NeuralConfig(width=4, first=12)),
    ):
        bandit = MenuBandit(2, channels=[Choice()], config=config, rule=Greedy())
        for k in range(24):
            decision = bandit.decide(MENU, person=f"p{k % 12}", slots=4)
            bandit.update(decision, "pick", "a")
        decided = bandit.decide(MENU, person="p1")
        assert decided.ranking == ("a",)
        again = MenuBandit(2, belief=bandit.belief_, rule=Greedy())
        np.testing.assert_array_equal(
            again.decide(MENU, person="p1").probabilities, decided.probabilities
        )
        bandit.forget("p1")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_kinds": 0}, "num_kinds is 0"),
        ({"kind_scale": 0.0}, "kind_scale 0"),
        ({"num_kinds": 2, "network": NeuralConfig()}, "Leave one out"),
    ],
)
def test_kinds_and_networks_that_cannot_be_say_what_was_expected(settings, said):
    with pytest.raises(ConfigError, match=said):
        MenuBanditConfig(**settings)


@pytest.mark.parametrize("settings", [{"width": 0}, {"first": 0}, {"first": 300, "memory": 200}])
def test_a_network_that_cannot_be_trained_is_refused(settings):
    with pytest.raises(ConfigError, match="to remember as many"):
        NeuralConfig(**settings)
