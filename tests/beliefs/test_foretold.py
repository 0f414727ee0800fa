"""What is expected of answers: each possible one as likely as the likelihood finds it."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.small_batches import mixed_feedback
from penchant.beliefs.belief import Belief
from penchant.beliefs.foretold import foretell, mean_of, values_of
from penchant.errors import DataError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Approval, Binary, Outcome, Rating
from penchant.feedback.channel_order import BestWorst, Ranking
from penchant.feedback.channel_pair import GradedPair, Pair
from penchant.populations.classes import Classes
from penchant.populations.pooled import Pooled
from penchant.utilities.linear import Linear

WORDS = ("poor", "fair", "good", "great")
CHANNELS = {
    "choice": (Choice(), ()),
    "pair": (Pair(ties="davidson"), (0.3,)),
    "ranking": (Ranking(), ()),
    "rating": (Rating(levels=4, labels=WORDS), (-1.0, 0.2, -0.3)),
    "best_worst": (BestWorst(), ()),
    "graded": (GradedPair(levels=5), (-0.5, 0.1)),
    "approval": (Approval(), (0.4,)),
    "binary": (Binary(), (-0.2,)),
    "outcome": (Outcome(has_intercept=True), (-0.3, 0.7)),
}


def one_kind(kind, seed):
    """A block of this kind, of menus of three (pairs: two), as two kinds of people answer it."""
    rng = np.random.default_rng(seed)
    batch = mixed_feedback(rng)
    width = 2 if kind in ("pair", "graded") else 3
    size = len(batch.blocks[0])
    empty = {
        "choice": {"chosen": np.zeros(size, dtype=np.int64)},
        "pair": {"outcome": np.zeros(size, dtype=np.int64)},
        "graded": {"grade": np.zeros(size, dtype=np.int64)},
        "ranking": {"rank": np.tile(np.arange(1, 4), (size, 1))},
        "rating": {"level": np.zeros((size, 3), dtype=np.int64)},
        "best_worst": {
            "best": np.zeros(size, dtype=np.int64), "worst": np.ones(size, dtype=np.int64)
        },
        "approval": {"approved": np.zeros((size, 3), dtype=bool)},
        "binary": {"success": np.zeros((size, 3), dtype=np.int64)},
        "outcome": {"value": np.zeros((size, 3))},
    }[kind]  # fmt: skip
    block = replace(
        batch.blocks[0],
        kind=kind,
        features=batch.blocks[0].features[:, :width],
        offered=batch.blocks[0].offered[:, :width],
        option=batch.blocks[0].option[:, :width],
        answer=empty,
    )
    batch = replace(batch, blocks=(block,))
    channel, own = CHANNELS[kind]
    theta = np.concatenate([rng.normal(size=4), [0.6], own])
    classes = Classes(2)
    return batch, Belief(
        theta=theta,
        parameter_names=tuple(str(m) for m in range(len(theta))),
        utility=Linear(),
        population=classes,
        channels=(channel,),
        channel_sizes=(len(own),),
    )


def said_of(belief, batch, **answer):
    """How likely the likelihood finds one answer, in each row."""
    (block,) = batch.blocks
    full = {name: np.broadcast_to(value, block.answer[name].shape).copy()
            for name, value in answer.items()}  # fmt: skip
    return np.exp(belief.log_prob(replace(batch, blocks=(replace(block, answer=full),)))[0])


def test_how_likely_each_choice_grade_and_vote_is_equals_the_likelihood():
    for kind, name, count in (("choice", "chosen", 3), ("pair", "outcome", 3),
                              ("graded", "grade", 5)):  # fmt: skip
        batch, belief = one_kind(kind, 1)
        (found,) = foretell(belief, batch)
        for place in range(count):
            np.testing.assert_allclose(
                found.answers[:, place], said_of(belief, batch, **{name: place}), rtol=1e-12
            )


def test_how_likely_best_and_worst_are_equals_the_likelihood():
    batch, belief = one_kind("best_worst", 2)
    (found,) = foretell(belief, batch)
    for best, worst in permutations(range(3), 2):
        np.testing.assert_allclose(
            found.answers[:, best, worst], said_of(belief, batch, best=best, worst=worst)
        )
    np.testing.assert_allclose(found.preferred.sum(axis=1), 1.0)
    np.testing.assert_allclose(found.worst.sum(axis=1), 1.0)
    np.testing.assert_allclose(found.worst[:, 0], found.answers[:, 1, 0] + found.answers[:, 2, 0])


def test_who_comes_first_adds_up_over_the_orders_that_begin_so():
    batch, belief = one_kind("ranking", 3)
    (found,) = foretell(belief, batch)
    total = np.zeros_like(found.preferred)
    for order in permutations((1, 2, 3)):
        total[:, order.index(1)] += said_of(belief, batch, rank=np.array(order))
    np.testing.assert_allclose(found.preferred, total, rtol=1e-12)


@pytest.mark.parametrize(("kind", "name", "values"), [
    ("rating", "level", range(4)), ("approval", "approved", (0, 1)), ("binary", "success", (0, 1)),
])  # fmt: skip
def test_of_single_options_the_rest_is_summed_over(kind, name, values):
    batch, belief = one_kind(kind, 4)
    (found,) = foretell(belief, batch)
    for value in values:
        total = sum(
            said_of(belief, batch, **{name: np.array([value, *others])})
            for others in product(values, repeat=2)
        )
        expected = found.answers[:, 0, value] if kind == "rating" else (
            found.preferred[:, 0] if value else 1.0 - found.preferred[:, 0]
        )  # fmt: skip
        np.testing.assert_allclose(expected, total, rtol=1e-10)


def test_a_number_is_expected_at_its_mean():
    batch, belief = one_kind("outcome", 5)
    (found,) = foretell(belief, batch)
    share = np.exp(belief.tastes(batch).log_weights[0])
    taste = share @ belief.theta[:4].reshape(2, 2)
    np.testing.assert_allclose(found.expected, batch.blocks[0].features @ taste + 0.7)
    assert np.isnan(found.preferred).all()


def test_a_rating_by_hand():
    """Logistic distances of a worth of 1 from thresholds -1, 0 and 2."""
    batch, _ = one_kind("rating", 6)
    belief = Belief(
        theta=np.array([1.0, 0.0, -1.0, 0.0, np.log(2.0)]),
        parameter_names=tuple("abcde"),
        utility=Linear(),
        population=Pooled(),
        channels=(Rating(levels=4, labels=("1", "2", "3", "5")),),
        channel_sizes=(3,),
    )
    (block,) = batch.blocks
    features = np.zeros_like(block.features)
    features[:, :, 0] = 1.0
    (found,) = foretell(belief, replace(batch, blocks=(replace(block, features=features),)))
    below = 1.0 / (1.0 + np.exp(-np.array([-2.0, -1.0, 1.0])))
    p = np.diff([0.0, *below, 1.0])
    np.testing.assert_allclose(found.answers[0, 0], p)
    np.testing.assert_allclose(found.expected, p @ [1, 2, 3, 5])


def test_levels_in_words_count_from_one():
    assert values_of(WORDS).tolist() == [1, 2, 3, 4]
    assert values_of(("0", "0.5", "3")).tolist() == [0, 0.5, 3]


def test_a_tie_is_the_third_answer_or_the_middle_grade():
    for kind, place in (("pair", 2), ("graded", 2)):
        batch, belief = one_kind(kind, 7)
        (found,) = foretell(belief, batch)
        np.testing.assert_array_equal(found.tie, found.answers[:, place])
        np.testing.assert_allclose(found.preferred.sum(axis=1) + found.tie, 1.0)
    batch, belief = one_kind("choice", 7)
    assert np.isnan(foretell(belief, batch)[0].tie).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(sorted(set(CHANNELS) - {"outcome"})))
def test_a_history_moves_what_is_expected_towards_it(seed, kind):
    """Bayes by hand: the mean over classes, weighed by what each said of the history."""
    batch, belief = one_kind(kind, seed)
    (found,) = foretell(belief, batch, history=batch)
    theta, weights = belief.theta, np.exp(belief.tastes(batch).log_weights)
    total, parts = np.zeros(len(batch.blocks[0])), []
    for s in range(2):
        alone = replace(
            belief, population=Pooled(),
            theta=np.concatenate([theta[2 * s : 2 * s + 2], theta[5:]]),
        )  # fmt: skip
        share = weights[:, s] * np.exp(batch.blocks[0].weight * alone.log_prob(batch)[0])
        total += share
        parts.append((share, foretell(alone, batch)[0].answers))
    tail = (slice(None), *([None] * (found.answers.ndim - 1)))
    expected = sum((share / total)[tail] * answers for share, answers in parts)
    np.testing.assert_allclose(found.answers, expected, rtol=1e-8)


def test_doubt_is_averaged_over():
    batch, belief = one_kind("rating", 8)
    moved = replace(belief, theta=belief.theta + 0.5)
    each = [foretell(one, batch) for one in (belief, moved)]
    (found,) = mean_of(each)
    np.testing.assert_allclose(found.expected, (each[0][0].expected + each[1][0].expected) / 2)
    assert found.levels == WORDS


def test_a_belief_of_choices_foretells_the_first_and_the_best_but_no_rating():
    _, belief = one_kind("choice", 9)
    for kind in ("ranking", "best_worst"):
        batch, _ = one_kind(kind, 9)
        (found,) = foretell(belief, batch)
        np.testing.assert_allclose(found.preferred, belief.predict_proba(batch)[0])
    batch, _ = one_kind("rating", 9)
    with pytest.raises(DataError, match=r"no likelihood for feedback of kind 'rating'"):
        foretell(belief, batch)
