"""Questions of several kinds: what they settle, with what probability, what answers stand for."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.agents.elicitation.answers import Answer, vote_counts
from penchant.agents.elicitation.comparisons import expected_gain, order_laplacian, vote_information
from penchant.agents.elicitation.questions import (
    KINDS,
    QuestionConfig,
    gain,
    questions,
    votes_of,
)
from penchant.beliefs.strengths import Strengths
from penchant.errors import ConfigError
from penchant.fitting.strengths import fit_strengths

seeds = st.integers(0, 10**6)


def belief(seed, size=6):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    return Strengths(
        items=tuple(f"i{k}" for k in range(size)), mean=rng.normal(size=size),
        covariance=root @ root.T / size + 0.05 * np.eye(size), prior_scale=1.0,
    )  # fmt: skip


@given(seeds)
def test_one_vote_settles_what_a_vote_on_its_pair_does(seed):
    one = belief(seed)
    laplacian = order_laplacian(one, 2)
    alone = expected_gain(one, np.array([1]), np.array([4]), top=2)[0]
    assert np.isclose(gain(one, laplacian, [1], [4], 1.0), alone)
    asked = {q.items: q.gain for q in questions(one, QuestionConfig(top=2))}
    assert np.isclose(asked[1, 4], alone)


@given(seeds, st.sampled_from([0.3, 1.0]))
def test_votes_together_settle_what_they_do_one_after_the_other(seed, weight):
    # Rank-one steps of the covariance are a slow twin of the one solve.
    one = belief(seed)
    laplacian = order_laplacian(one, None)
    first, second = [0, 0, 3], [1, 2, 5]
    covariance = one.covariance
    for a, b in zip(first, second):
        told = weight * vote_information(*one.gaps(np.array([a]), np.array([b])))[0]
        column = covariance[:, a] - covariance[:, b]
        covariance = covariance - told * np.outer(column, column) / (
            1 + told * (column[a] - column[b])
        )
    settled = np.trace(laplacian @ (one.covariance - covariance))
    assert np.isclose(gain(one, laplacian, first, second, weight), settled)


@given(seeds, st.lists(st.sampled_from(KINDS), min_size=1, unique=True), st.integers(1, 5))
def test_probabilities_sum_to_one_and_everything_may_be_asked(seed, kinds, top):
    config = QuestionConfig(kinds=tuple(kinds), top=top, explored=0.3)
    found = questions(belief(seed), config, {"rating": [0, 2]})
    share = np.array([each.probability for each in found])
    assert np.isclose(share.sum(), 1.0)
    for kind in kinds:
        own = share[[each.kind == kind for each in found]]
        assert own.min() > 0.299 / len(kinds) / len(own)
    rate = np.array([each.gain / config.seconds[each.kind] for each in found])
    assert share[np.isclose(rate, rate.max())].sum() > 0.7


def test_a_question_that_takes_longer_is_asked_less():
    one = belief(3)
    config = {"kinds": ("pair", "ranking"), "top": None}
    quick = QuestionConfig(seconds={"pair": 50.0, "ranking": 1.0}, **config)
    slow = QuestionConfig(seconds={"pair": 1.0, "ranking": 50.0}, **config)
    assert max(questions(one, quick), key=lambda q: q.probability).kind == "ranking"
    assert max(questions(one, slow), key=lambda q: q.probability).kind == "pair"


def test_nobody_rates_twice_before_everything_once():
    found = questions(belief(0), QuestionConfig(kinds=("rating",)), {"rating": [0, 1, 2, 3]})
    assert [each.items for each in found] == [(4,), (5,)]
    again = questions(belief(0), QuestionConfig(kinds=("rating",)), {"rating": list(range(6))})
    assert len(again) == 6


@pytest.mark.parametrize(
    "wrong",
    [{"kinds": ()}, {"kinds": ("pair", "pair")}, {"explored": 0.0},
     {"list_size": 2}, {"seconds": {"pair": 0.0}}, {"kinds": ("edit",), "seconds": {"pair": 1.0}}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ConfigError, match="expected"):
        QuestionConfig(**wrong)


@pytest.mark.parametrize("top", [0, 6])
def test_a_top_of_nobody_or_all_is_refused(top):
    with pytest.raises(ConfigError, match="top"):
        questions(belief(0), QuestionConfig(top=top))


def test_a_ranking_of_two_is_a_pair_and_of_four_three_votes():
    names = ["a", "b", "c", "d"]
    pair = vote_counts(names, [Answer(kind="pair", items=(2, 0))])
    assert (pair.first.tolist(), pair.second.tolist()) == ([0], [2])
    assert (pair.first_wins.tolist(), pair.second_wins.tolist()) == ([0.0], [1.0])
    ranked = vote_counts(names, [Answer(kind="ranking", items=(3, 1, 0, 2))])
    assert np.isclose(ranked.votes, 3.0)
    assert ranked.second_wins[list(zip(ranked.first, ranked.second)).index((1, 3))] == 0.5
    assert votes_of("ranking", (0, 1))[2] == votes_of("pair", (0, 1))[2] == 1.0


def test_ratings_are_compared_within_a_person_and_the_last_one_counts():
    said = [
        Answer(kind="rating", items=(0,), person="ann", value=1),
        Answer(kind="rating", items=(1,), person="ann", value=3),
        Answer(kind="rating", items=(0,), person="ann", value=5),
        Answer(kind="rating", items=(2,), person="ann", value=3),
        Answer(kind="rating", items=(2,), person="bob", value=5),
        Answer(kind="edit", items=(1,), person="ann", value=0.5),
        Answer(kind="rating", items=(2,), value=1), Answer(kind="rating", items=(1,), value=2),
    ]  # fmt: skip
    counts = vote_counts(["a", "b", "c"], said)
    told = {
        (a, b): each for a, b, *each in zip(
            counts.first.tolist(), counts.second.tolist(), counts.first_wins, counts.second_wins,
            counts.ties,
        )
    }  # fmt: skip
    # Neither bob's single rating, nor those of nobody, nor an edit beside ratings says anything.
    third = 2.0 / 3.0
    assert told == {(0, 1): [third, 0, 0], (0, 2): [third, 0, 0], (1, 2): [0, 0, third]}


def test_a_tie_is_half_a_win_each():
    counts = vote_counts(["a", "b"], [Answer(kind="pair", items=(0, 1), is_tied=True)] * 9)
    assert np.allclose(fit_strengths(counts, prior_scale=1.5).mean, 0.0)
    assert counts.ties.tolist() == [9.0]


@settings(max_examples=1)
@given(st.just(0))
def test_intervals_from_rankings_cover_the_truth(seed):
    # Rankings of four by Plackett and Luce: taken apart at 2 / m a pair they are neither too sure
    # (at a weight of 1 a pair coverage falls below 90 %) nor much too unsure.
    rng = np.random.default_rng(seed)
    hits, num = 0, 0
    for _ in range(60):
        truth = rng.normal(scale=1.5, size=6)
        said = []
        for _ in range(40):
            items = rng.permutation(6)[:4]
            order = items[np.argsort(-(truth[items] + rng.gumbel(size=4)))]
            said.append(Answer(kind="ranking", items=tuple(order.tolist())))
        one = fit_strengths(vote_counts([f"i{k}" for k in range(6)], said), prior_scale=1.5)
        for a, b in permutations(range(6), 2):
            if a < b:
                mean, spread = one.gaps(np.array([a]), np.array([b]))
                hits += abs(mean[0] - (truth[a] - truth[b])) < 1.96 * spread[0]
                num += 1
    assert 0.92 < hits / num < 0.99
