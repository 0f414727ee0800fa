"""Combinations: the best of hopeful worths, shown as often as is said, each item learnt alone."""

from itertools import combinations

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.evaluation.play import play_combinations
from penchant.policies.bandits.combinations import SemiBandit, largest, one_of_each
from penchant.policies.bandits.rules import Greedy, Thompson, UpperConfidence
from penchant.simulation.arms import bernoulli_arms

ONE = np.ones(1)


def within_budget(worth):
    """Any two items but the first and the second together: no rule of `combinations.py`."""
    best = max((p for p in combinations(range(len(worth)), 2) if p != (0, 1)),
               key=lambda p: worth[list(p)].sum())  # fmt: skip
    return np.isin(np.arange(len(worth)), best)


def test_the_best_of_what_may_be_shown_is_found():
    worth = np.array([3.0, 1.0, 2.0, -1.0])
    assert largest(2)(worth).tolist() == [True, False, True, False]
    assert largest(9)(worth).all()
    assert one_of_each([(0, 2), (1, 3)])(worth).tolist() == [True, True, False, False]


@pytest.mark.parametrize(("width", "hoped"), [(0.0, "ac"), (2.0, "ad")])
def test_optimism_shows_the_most_hopeful_combination_for_sure(width, hoped):
    bandit = SemiBandit("abcd", 1, within_budget, rule=UpperConfidence(width=width), noise=0.5)
    for name, rewards in {"a": [1.0] * 9, "b": [1.0] * 9, "c": [0.2] * 30, "d": [0.0]}.items():
        for reward in rewards:
            bandit._items.learn(ONE, name, reward)
    mean, spread = bandit._items.moments(ONE)
    shown = bandit.decide(ONE)
    assert shown.items == tuple(np.array(list("abcd"))[within_budget(mean + width * spread)])
    assert "".join(shown.items) == hoped
    assert shown.probability == 1.0


def test_thompson_shows_each_combination_as_often_as_is_said():
    bandit = SemiBandit("abc", 1, largest(2), noise=0.5, num_draws=16, random_state=0)
    for name, reward in {"a": 0.9, "b": 0.5, "c": 0.3}.items():
        bandit._items.learn(ONE, name, reward)
    made = [bandit.decide(ONE) for _ in range(1500)]
    drawn = np.mean([[name in one.items for name in "abc"] for one in made], axis=0)
    said = np.mean([one.inclusion for one in made], axis=0)
    np.testing.assert_allclose(drawn, said, atol=0.05)
    assert all(0 < one.probability <= min(one.inclusion["abc".index(n)] for n in one.items)
               for one in made)  # fmt: skip
    assert said.sum() == pytest.approx(2.0)
    # The law itself, by as many draws of one combination each.
    mean, spread = bandit._items.moments(ONE)
    worth = mean + spread * np.random.default_rng(1).normal(size=(20_000, 3))
    truth = (worth > worth.min(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(said, truth, atol=0.03)


@pytest.mark.parametrize("rule", [UpperConfidence(width=2.0), Thompson()])
def test_the_best_combination_is_found_from_answers_of_single_items(rule):
    probability = np.array([0.9, 0.8, 0.6, 0.2, 0.2])
    world = bernoulli_arms(probability, 500, np.random.default_rng(0))
    best = np.array([True, False, True, False, False])
    bandit = SemiBandit("01234", 1, within_budget, rule=rule, noise=0.5, prior_precision=0.25,
                        num_draws=4)  # fmt: skip
    regret = play_combinations(bandit, world, np.broadcast_to(best, (500, 5)))
    assert regret[-200:].mean() < 0.5 * regret[:20].mean()


def test_arrays_used_again_change_nothing():
    context = ONE.copy()
    shown = SemiBandit("ab", 1, largest(1)).decide(context)
    context[:] = 7.0
    assert shown.context == ONE


def test_an_item_without_an_answer_teaches_nothing():
    bandit = SemiBandit("abc", 1, largest(2), rule=UpperConfidence())
    shown = bandit.decide(ONE)
    bandit.update(shown, {shown.items[0]: 1.0})
    assert sorted(bandit.belief_.rounds.tolist()) == [0, 0, 1]


def test_bad_input_says_what_was_expected():
    with pytest.raises(ConfigError, match="one item or more"):
        largest(0)
    with pytest.raises(ConfigError, match="each of an item or more"):
        one_of_each([[0], []])
    with pytest.raises(ConfigError, match="expected UpperConfidence or Thompson"):
        SemiBandit("ab", 1, largest(1), rule=Greedy())
    with pytest.raises(ConfigError, match="Take Thompson"):
        SemiBandit("ab", 1, largest(1), rule=UpperConfidence(floor=0.1))
    bandit = SemiBandit("ab", 1, largest(1), rule=UpperConfidence())
    with pytest.raises(DataError, match="which were shown"):
        bandit.update(bandit.decide(ONE), {"a": 1.0, "b": 0.0})
    with pytest.raises(DataError, match="finite"):
        bandit.decide(np.array([np.nan]))
    with pytest.raises(ConfigError, match="whole numbers from 0"):
        one_of_each([[0, -1]])
    with pytest.raises(DataError, match="from 0 to 1"):
        SemiBandit("ab", 1, one_of_each([[0], [2]])).decide(ONE)


@pytest.mark.parametrize(
    "answer", [[1, 2], [0.0, 1.0, 1.0], [True, False], [[True, False, False]], [False] * 3]
)
@pytest.mark.parametrize("rule", [UpperConfidence(), Thompson()])
def test_places_or_nothing_in_place_of_true_and_false_are_refused(rule, answer):
    bandit = SemiBandit("abc", 1, lambda worth: np.array(answer), rule=rule)
    with pytest.raises(DataError, match="True or False of each of 3 items"):
        bandit.decide(ONE)


def test_what_no_draw_shows_is_judged_too_low_by_as_much_as_is_said():
    """Weights 1 / probability of a combination that is best once in so many draws."""
    bandit = SemiBandit("abc", 1, largest(1), noise=0.5, num_draws=8, random_state=0)
    for name, reward in {"a": 1.0, "b": 0.4, "c": 0.4}.items():
        for _ in range(3):
            bandit._items.learn(ONE, name, reward)
    made = [bandit.decide(ONE) for _ in range(4000)]
    often = np.mean([one.items == ("b",) for one in made])
    assert 0.03 < often < 0.15
    weight = np.mean([(one.items == ("b",)) / one.probability for one in made])
    assert weight == pytest.approx(1.0 - (1.0 - often) ** 8, abs=0.06)
