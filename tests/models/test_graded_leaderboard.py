"""Graded votes on a leaderboard: truth recovered, what grades add, the scale, bad input."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.votes import Votes
from penchant.errors import ConfigError
from penchant.feedback.thresholds import Symmetric
from penchant.models import leaderboard_fits
from penchant.models.leaderboard import Leaderboard
from penchant.simulation.votes import VoteWorld, simulate_votes

STEPS = (-0.7, 0.2)


def world(seed=0, **sizes):
    defaults = {"num_items": 8, "num_votes": 1500, "grade_steps": STEPS}
    return simulate_votes(VoteWorld(**(defaults | sizes)), np.random.default_rng(seed))


def scores(board):
    return {row.name: row.strength for row in board.standings_}


def in_order(board, votes):
    found = scores(board)
    return np.array([found[name] for name in votes.items])


@pytest.mark.parametrize("has_middle", [True, False])
def test_scores_and_thresholds_come_back_within_their_errors(has_middle):
    inside, apart, truth = 0, [], Symmetric(6 - has_middle).values(np.array([STEPS]))[0]
    for seed in range(12):
        made = world(seed, has_middle_grade=has_middle)
        board = Leaderboard().fit(made.votes)
        ends = {row.name: (row.low, row.high) for row in board.standings_}
        for name, score in zip(made.votes.items, made.scores[0, 0]):
            inside += ends[name][0] <= score <= ends[name][1]
        apart.append(board.grades_.thresholds - truth)
        assert np.abs(board.grades_.given - board.grades_.expected).max() < 0.02
    # 96 intervals of 95 %: their number inside has a standard error of 2.1.
    assert inside >= 96 * 0.95 - 3 * 2.2
    np.testing.assert_allclose(np.mean(apart, axis=0), 0.0, atol=0.05)


def test_grades_tell_more_than_who_was_better():
    """With what grades add, the scores are nearer to the truth and their errors smaller."""
    nearer, smaller = [], []
    for seed in range(10):
        made = world(seed, num_votes=400)
        truth = made.scores[0, 0]
        # Rao and Kupper's ties are three grades: the same scale of scores.
        who_won = Leaderboard(ties="rao_kupper").fit(made.votes.directions())
        boards = [Leaderboard().fit(made.votes), who_won]
        off = [np.sqrt(np.mean((in_order(board, made.votes) - truth) ** 2)) for board in boards]
        se = [np.mean([row.se for row in board.standings_]) for board in boards]
        nearer.append(off[1] - off[0])
        smaller.append(se[1] - se[0])
    assert np.mean(nearer) > 0
    assert min(smaller) > 0


def test_two_grades_are_plain_votes():
    made = world(grade_steps=(), num_votes=600).votes
    names = ("second", "first")
    graded = replace(made, grade=(made.share == 1.0).astype(np.int64), grades=names)
    plain, found = Leaderboard().fit(made), Leaderboard().fit(graded)
    np.testing.assert_allclose(in_order(found, made), in_order(plain, made), atol=1e-6)
    assert found.fit_.log_likelihood == pytest.approx(plain.fit_.log_likelihood, abs=1e-7)


def test_turning_the_scale_round_turns_the_order_round():
    votes = world().votes
    turned = replace(votes, grade=4 - votes.grade)
    there, back = Leaderboard().fit(votes), Leaderboard().fit(turned)
    np.testing.assert_allclose(in_order(there, votes), -in_order(back, votes), atol=1e-6)


def test_roles_of_first_and_second_do_not_matter():
    votes = world().votes
    swapped = replace(votes, first=votes.second, second=votes.first, grade=4 - votes.grade)
    there, back = Leaderboard().fit(votes), Leaderboard().fit(swapped)
    np.testing.assert_allclose(in_order(there, votes), in_order(back, votes), atol=1e-6)


def test_grades_go_with_covariates_contexts_voters_and_drift():
    sizes = {"num_votes": 4000, "coefficients": (0.5,), "num_contexts": 3, "context_spread": 0.7}
    made = world(3, **sizes)
    board = Leaderboard(covariates=("x0",), context="topic").fit(made.votes)
    assert board.fit_.coefficients[0] == pytest.approx(0.5, abs=0.1)
    assert board.fit_.context.spread == pytest.approx(0.7, abs=0.25)

    made = world(4, num_items=5, num_votes=4000, num_voters=30, reliability_spread=0.7,
                 bias_mean=0.4)  # fmt: skip
    board = Leaderboard(voters="reliability").fit(made.votes)
    told = np.corrcoef(board.detail_.mean[:, 0], made.voters[:, 0])[0, 1]
    assert told > 0.8
    assert board.detail_.population.bias_mean == pytest.approx(0.4, abs=0.1)
    assert board.grades_.expected is None

    made = world(5, num_items=5, num_votes=2000, num_times=8, drift=0.4)
    board = Leaderboard(has_drift=True).fit(made.votes)
    assert board.detail_.drift == pytest.approx(0.4, abs=0.15)
    assert np.abs(in_order(board, made.votes) - made.scores[0, -1]).max() < 0.6


def test_an_update_is_the_fit_of_all():
    votes = world(6).votes
    board = Leaderboard().fit(votes.take(np.arange(800))).update(votes.take(np.arange(800, 1500)))
    np.testing.assert_allclose(
        in_order(board, votes), in_order(Leaderboard().fit(votes), votes), atol=1e-6
    )


def test_what_is_foretold_of_a_pair_is_who_is_better():
    votes = world().votes
    board = Leaderboard().fit(votes)
    best, last = board.standings_[0].name, board.standings_[-1].name
    found = board.predict_proba([(best, last), (last, best)])
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    np.testing.assert_allclose(found[0], found[1][[1, 0, 2]])
    assert found[0, 0] > 0.5 > found[0, 1]
    even = Leaderboard().fit(world(has_middle_grade=False).votes)
    assert even.predict_proba([(best, last)]).shape == (1, 2)


def test_an_unbeaten_item_is_bounded_and_said():
    votes = world(num_items=4, num_votes=200).votes
    involved = (votes.first == 0) | (votes.second == 0)
    grade = np.where(involved, np.where(votes.first == 0, 4, 0), votes.grade)
    board = Leaderboard().fit(replace(votes, grade=grade))
    assert board.standings_[0].name == "item 0"
    assert np.isposinf(board.standings_[0].high)
    assert any("item 0" in warning for warning in board.warnings_)


def test_grades_that_nobody_gave_are_told_and_bound_nothing():
    votes = world(9, num_votes=600).votes
    mild = votes.take(np.flatnonzero((votes.grade > 0) & (votes.grade < 4)))
    board = Leaderboard().fit(mild)
    assert board.fit_.converged
    assert board.grades_.names == ("grade 1", "grade 2", "grade 3")
    assert any("Nobody gave the grades `grade 0`, `grade 4`" in text for text in board.warnings_)
    alike = votes.take(np.flatnonzero(votes.grade == 2))
    level = Leaderboard().fit(alike)
    assert any("Every vote has the grade `grade 2`" in text for text in level.warnings_)
    assert max(abs(row.strength) for row in level.standings_) < 1e-6


def test_voters_drawn_anew_give_intervals_of_graded_votes(monkeypatch):
    monkeypatch.setattr(leaderboard_fits, "_RESAMPLES", 60)
    votes = world(1, num_items=5, num_votes=300, num_voters=30).votes
    # The outermost grade is so rare that some draws lack it.
    rare = replace(votes, grade=np.where(np.arange(300) == 5, 4, np.clip(votes.grade, 1, 3)))
    by_voter = Leaderboard(interval="voter").fit(rare)
    drawn = Leaderboard(interval="voter_bootstrap").fit(rare)
    ratio = np.array([a.se / b.se for a, b in zip(by_voter.standings_, drawn.standings_)])
    assert np.all((ratio > 0.5) & (ratio < 2.0))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"interval": "profile"}, "'profile', which graded votes do not go with.*wald"),
        ({"ties": "half"}, "the middle grade is the tie"),
        ({"voters": "classes"}, "classes of voters were asked for, and the votes are graded"),
    ],
)
def test_what_grades_do_not_go_with_is_refused_in_words(options, words):
    with pytest.raises(ConfigError, match=words):
        Leaderboard(**options).fit(world(num_voters=5).votes)


def test_soft_reading_is_one_word_away():
    votes = world().votes
    soft = Leaderboard().fit(votes.ungraded())
    assert soft.grades_ is None
    assert isinstance(votes.ungraded(), Votes)
    assert np.corrcoef(in_order(soft, votes), in_order(Leaderboard().fit(votes), votes))[0, 1] > 0.9
