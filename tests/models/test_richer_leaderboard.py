"""The leaderboard's richer models: one table each, the whole fit beside it, updates, bad input."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.votes import Votes
from penchant.errors import ConfigError, DataError
from penchant.fitting.votes_classes import VoterClassesFit
from penchant.fitting.votes_drift import DriftFit
from penchant.fitting.votes_reliability import VotersFit
from penchant.models.leaderboard import Leaderboard
from penchant.simulation.votes import VoteWorld, simulate_votes


def made(seed=0, **sizes):
    defaults = {"num_items": 6, "num_votes": 1500, "log_tie": -0.7, "num_voters": 60}
    return simulate_votes(VoteWorld(**(defaults | sizes)), np.random.default_rng(seed)).votes


def scores(board):
    return {row.name: row.strength for row in board.standings_}


def test_voters_all_alike_leave_the_plain_table():
    votes = made()
    plain, board = Leaderboard().fit(votes), Leaderboard(voters="reliability").fit(votes)
    assert isinstance(board.detail_, VotersFit)
    expected = scores(plain)
    assert all(abs(value - expected[name]) < 0.1 for name, value in scores(board).items())
    assert "picks the one shown first" in board.summary()


def test_classes_of_voters_are_weighed_by_share_and_each_is_told():
    votes = made(1, class_shares=(0.6, 0.4), num_votes=3000)
    board = Leaderboard(voters="classes").fit(votes)
    found = board.detail_
    assert isinstance(found, VoterClassesFit)
    together = found.shares @ found.strengths
    np.testing.assert_allclose([scores(board)[name] for name in found.items], together, atol=1e-9)
    assert sum("Voters of class" in warning for warning in board.warnings_) == 2


def test_drifting_scores_are_those_at_the_end_and_take_in_further_votes():
    votes = made(2, num_times=10, drift=0.4, num_votes=3000)
    early = votes.take(np.flatnonzero(votes.time < 8))
    late = votes.take(np.flatnonzero(votes.time >= 8))
    board = Leaderboard(has_drift=True).fit(early)
    assert isinstance(board.detail_, DriftFit)
    before = scores(board)
    board.update(late)
    whole = Leaderboard(has_drift=True).fit(votes)
    after, expected = scores(board), scores(whole)
    strayed = max(abs(after[name] - expected[name]) for name in after)
    moved = max(abs(before[name] - expected[name]) for name in after)
    assert strayed < 0.1 < moved
    assert sum(row.votes for row in board.standings_) == pytest.approx(2 * 3000)


def test_an_update_reads_the_covariates_that_were_asked_for_and_no_others():
    votes = made(6, num_times=6, num_votes=900, coefficients=(0.5, 0.1))
    early = votes.take(np.flatnonzero(votes.time < 4))
    late = votes.take(np.flatnonzero(votes.time >= 4))
    board = Leaderboard(has_drift=True, covariates=("x0",)).fit(early).update(late)
    assert board.fit_.covariate_names == ("x0",)
    assert board.fit_.coefficients[0] == pytest.approx(0.5, abs=0.2)
    bare = replace(late, covariates=np.zeros((len(late), 0)), covariate_names=())
    with pytest.raises(ConfigError, match="lack the covariates"):
        board.update(bare)


def test_an_update_of_plain_votes_is_the_fit_of_all():
    votes = made(3)
    board = Leaderboard().fit(votes.take(np.arange(700))).update(votes.take(np.arange(700, 1500)))
    expected = scores(Leaderboard().fit(votes))
    assert all(abs(value - expected[name]) < 1e-5 for name, value in scores(board).items())


def two_islands(votes):
    """The same votes twice, on items that never meet; the later half has higher names."""
    other = tuple(f"other {name}" for name in votes.items)
    both = votes.take(np.tile(np.arange(len(votes)), 2))
    shift = np.repeat([0, len(votes.items)], len(votes))
    return replace(
        both, items=votes.items + other, first=both.first + shift, second=both.second + shift
    )


def test_islands_stay_apart_with_drift_and_its_updates():
    votes = two_islands(made(7, num_times=6, num_votes=900))
    # Let the second island be voted on alone, so that common centring would show.
    votes = votes.take(np.flatnonzero((votes.first < 6) | (votes.time < 5)))
    early = votes.take(np.flatnonzero(votes.time < 4))
    late = votes.take(np.flatnonzero(votes.time >= 4))
    board = Leaderboard(has_drift=True).fit(early)
    for _ in range(2):
        assert {row.island for row in board.standings_} == {0, 1}
        for island in (0, 1):
            rows = [row for row in board.standings_ if row.island == island]
            assert sorted(row.rank for row in rows) == [1, 2, 3, 4, 5, 6]
            assert sum(row.strength for row in rows) == pytest.approx(0.0, abs=1e-9)
        if board.fit_.log_likelihood is not None:
            board.update(late)
    assert board.fit_.log_likelihood is None
    assert "not read again" in board.summary()
    bridge = late.take(np.arange(20))
    joined = replace(bridge, second=bridge.first % 6 + 6, first=bridge.first % 6)
    board.update(replace(joined, time=np.full(20, 9.0)))
    assert {row.island for row in board.standings_} == {0}


def test_islands_stay_apart_with_classes():
    votes = two_islands(made(8, num_votes=900))
    alone = votes.take(np.flatnonzero((votes.first != 6) & (votes.second != 6)))
    board = Leaderboard(voters="classes").fit(alone)
    for island in (0, 1):
        rows = [row for row in board.standings_ if row.island == island]
        assert sum(row.strength for row in rows) == pytest.approx(0.0, abs=1e-9)
    assert [row.se for row in board.standings_ if row.island == 2] == [np.inf]


def test_an_update_keeps_who_voted():
    votes = made(3, num_voters=20)
    voters = tuple(reversed(votes.voters))
    late = votes.take(np.arange(700, 1500))
    late = replace(late, voters=voters, voter=19 - late.voter)
    board = Leaderboard().fit(votes.take(np.arange(700))).update(late)
    expected = Leaderboard().fit(votes)
    assert board.bounds_.kind == expected.bounds_.kind == "voter"
    np.testing.assert_allclose(board.bounds_.se, expected.bounds_.se, rtol=1e-6)
    assert [row.name for row in board.standings_] == [row.name for row in expected.standings_]
    assert board.warnings_ == expected.warnings_


def test_an_update_of_counts_says_that_voters_play_no_part():
    votes = made(3)
    board = Leaderboard().fit(votes.counts()).update(votes)
    assert any("who voted" in warning for warning in board.warnings_)


def test_covariates_that_were_not_asked_for_play_no_part():
    votes = made(4, coefficients=(0.5,))
    bare = replace(votes, covariates=np.zeros((1500, 0)), covariate_names=())
    found = Leaderboard(voters="reliability").fit(votes)
    expected = Leaderboard(voters="reliability").fit(bare)
    assert scores(found) == pytest.approx(scores(expected), abs=1e-9)
    asked = Leaderboard(voters="reliability", covariates=("x0",)).fit(votes)
    assert asked.fit_.coefficients[0] == pytest.approx(0.5, abs=0.15)


def test_what_does_not_go_together_is_refused_in_words():
    votes = made(5)
    board = Leaderboard()
    board.voters = "everybody"
    with pytest.raises(ConfigError, match="voters is"):
        board.fit(votes)
    with pytest.raises(ConfigError, match="drift alone"):
        Leaderboard(voters="reliability", has_drift=True).fit(votes)
    with pytest.raises(DataError, match="no times"):
        Leaderboard(has_drift=True).fit(votes)
    with pytest.raises(ConfigError, match="single votes"):
        Leaderboard(voters="reliability").fit(votes.counts())
    with pytest.raises(ConfigError, match="Fit all votes again"):
        Leaderboard(voters="reliability").fit(votes).update(votes)


def echoing(num_voters=40, copies=6):
    """Votes of voters who say everything six times over: one vote each, in truth."""
    rng = np.random.default_rng(5)
    first = rng.integers(0, 4, num_voters * 3)
    second = (first + rng.integers(1, 4, len(first))) % 4
    gap = np.linspace(0.9, -0.9, 4)[first] - np.linspace(0.9, -0.9, 4)[second]
    outcome = (rng.random(len(first)) > 1 / (1 + np.exp(-gap))).astype(int)
    again = np.tile(np.arange(len(first)), copies)
    return Votes.from_outcomes(
        tuple("abcd"), first[again], second[again], outcome[again],
        voter=again // 3, voters=tuple(map(str, range(num_voters))),
        covariates=rng.normal(size=(len(first), 1))[again], covariate_names=("length",),
        context=(again % 2), contexts=("x", "y"), time=(again % 5).astype(float),
    )  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [{"covariates": ("length",)}, {"context": "c"}, {"voters": "classes"},
     {"voters": "reliability"}, {"has_drift": True}],
)  # fmt: skip
def test_intervals_by_voter_beside_every_model_know_that_echoes_tell_nothing(asked, monkeypatch):
    monkeypatch.setattr("penchant.models.leaderboard_fits._RESAMPLES", 20)
    votes = echoing()
    is_pooled = "covariates" in asked or "context" in asked
    kinds = ["wald", "voter_bootstrap"] + (["voter"] if is_pooled else [])
    width = {}
    for kind in kinds:
        board = Leaderboard(interval=kind, **asked).fit(votes)
        assert board.bounds_.kind == kind
        width[kind] = np.mean([row.high - row.low for row in board.standings_])
        assert all(row.low < row.strength < row.high for row in board.standings_)
        assert any("by resamples of whole voters" in n for n in board.bounds_.notes) == (
            kind == "voter_bootstrap"
        )
    # Voters' ways and contexts, where they have a model, explain some of the echo.
    least = 2.0 if "covariates" in asked else 1.2
    assert width["voter_bootstrap"] > least * width["wald"]
    if "voter" in kinds:
        assert width["voter"] > least * width["wald"]
        assert 0.6 < width["voter"] / width["voter_bootstrap"] < 1.7


@pytest.mark.parametrize("asked", [{"has_drift": True}, {"voters": "classes"},
                                   {"voters": "reliability"}])  # fmt: skip
def test_beside_drift_and_models_of_voters_a_sandwich_is_refused_for_the_bootstrap(asked):
    with pytest.raises(ConfigError, match="voter_bootstrap"):
        Leaderboard(interval="voter", **asked).fit(echoing())


def test_models_of_voters_trust_themselves_unless_told_otherwise():
    votes = echoing(copies=2)
    assert Leaderboard(covariates=("length",)).fit(votes).bounds_.kind == "voter"
    assert Leaderboard(voters="reliability").fit(votes).bounds_.kind == "wald"
