"""Leaderboards of rankings whose voters differ, and what their page shows of those who ranked."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from penchant.data.rankings import Rankings
from penchant.errors import ConfigError, DataError
from penchant.evaluation.leaderboard_page import leaderboard_page, render_leaderboard
from penchant.evaluation.leaderboard_voters import _stage_sums, voter_lines
from penchant.fitting.ranked_reliability import RankersFit
from penchant.models.leaderboard import Leaderboard


def made(seed=0, N=6, V=24, each=12, size=4, at_random=0, contrary=0, stages=None):
    """Rankings of some items: of the voters the first are at random, the next want the reverse."""
    rng = np.random.default_rng(seed)
    taste = np.ones(V)
    taste[:at_random], taste[at_random : at_random + contrary] = 0.0, -1.0
    voter = np.repeat(np.arange(V), each)
    item = np.array([rng.permutation(N)[:size] for _ in voter])
    worth = taste[voter, None] * np.linspace(1.5, -1.5, N)[item] + rng.gumbel(size=item.shape)
    item = np.take_along_axis(item, np.argsort(-worth, axis=1), axis=1)
    tier = np.tile(np.minimum(np.arange(size), stages or size), len(voter))
    return Rankings(
        items=tuple("abcdefgh"[:N]), item=item.ravel().astype(np.int32), tier=tier,
        start=np.arange(len(voter) + 1) * size, weight=np.ones(len(voter)), voter=voter,
        voters=tuple(f"v{v}" for v in range(V)),
    )  # fmt: skip


def test_a_board_of_voters_who_rank_names_those_at_random():
    rankings = made(at_random=3, size=6, each=50)
    plain, board = Leaderboard().fit(rankings), Leaderboard(voters="reliability").fit(rankings)
    assert isinstance(board.detail_, RankersFit)
    assert board.fit_.log_likelihood > plain.fit_.log_likelihood + 10
    told = " ".join(board.warnings_)
    assert all(f"`v{v}` (50 rankings) close to random" in told for v in range(3))
    assert "votes" not in told
    p = board.predict_proba([("a", "f")])[0, 0]
    assert p == pytest.approx(
        1 / (1 + np.exp(board.standings_[-1].strength - board.standings_[0].strength))
    )
    assert board.belief_.covariance.shape == (6, 6)
    assert "rankings" in board.summary()
    assert "votes" not in board.summary()


def test_resamples_of_voters_who_rank_are_as_sure_as_the_curvature_says(monkeypatch):
    monkeypatch.setattr("penchant.models.leaderboard_fits._RESAMPLES", 40)
    rankings = made(1, V=30, each=5, at_random=3)
    wald = Leaderboard(voters="reliability").fit(rankings)
    drawn = Leaderboard(voters="reliability", interval="voter_bootstrap").fit(rankings)
    assert drawn.bounds_.kind == "voter_bootstrap"
    assert np.median(drawn.bounds_.se / wald.bounds_.se) == pytest.approx(1.0, abs=0.3)


def test_what_belongs_to_pairs_is_refused_and_what_lacks_voters_told():
    rankings = made()
    for options in ({"voters": "classes"}, {"has_drift": True}, {"context": "topic"}):
        with pytest.raises(ConfigError, match='voters="reliability" and intervals by voter'):
            Leaderboard(**options).fit(rankings)
    with pytest.raises(DataError, match="name no voters"):
        Leaderboard(voters="reliability").fit(replace(rankings, voter=None, voters=()))
    with pytest.raises(ConfigError, match="expected one of auto, wald, voter_bootstrap"):
        Leaderboard(voters="reliability", interval="voter").fit(rankings)


@pytest.mark.parametrize("stages", [4, 1, 2])
def test_pairs_along_the_order_are_as_many_as_enumeration_says(stages):
    strengths = np.array([0.7, -0.2, 1.1, 0.1])
    total = np.zeros(3)
    for order in permutations(range(4)):
        s = strengths[list(order)]
        chance = np.prod([np.exp(s[i]) / np.exp(s[i:]).sum() for i in range(stages)])
        pairs, seen, mean, variance = _stage_sums(s[None], np.array([stages]))[:, 0]
        assert pairs == sum(3 - i for i in range(stages))
        assert seen == sum(s[i] > s[j] for i in range(stages) for j in range(i + 1, 4))
        # Orders beyond the stages count as often as they are enumerated: share them out.
        chance /= np.prod(np.arange(1, 5 - stages)) if stages < 4 else 1
        total += chance * np.array([seen - mean, (seen - mean) ** 2, variance])
    assert total[0] == pytest.approx(0.0, abs=1e-12)
    assert total[1] == pytest.approx(total[2])


def test_voters_against_the_order_stand_out_on_the_page_of_rankings():
    rankings = made(2, contrary=2)
    board = Leaderboard().fit(rankings)
    lines, told = voter_lines(rankings, board)
    assert told.startswith("2 of 24 voters with ten ranked pairs or more")
    found = {line.name: line for line in lines}
    assert {"v0", "v1"} <= set(found)
    assert max(found[name].surprise for name in ("v0", "v1")) < -4
    assert all(line.surprise > -4 for line in lines if line.name not in ("v0", "v1"))
    alike = made(3)
    z = [line.surprise for line in voter_lines(alike, Leaderboard().fit(alike))[0]]
    assert np.sqrt(np.mean(np.square(z))) < 1.7
    html = render_leaderboard(leaderboard_page(board, rankings))
    for word in ("Who ranked how", "288 rankings, 24 voters"):
        assert word in html
    for word in (" votes<", "shown first", "reliability"):
        assert word not in html


def test_the_page_shows_reliabilities_where_they_were_estimated():
    rankings = made(4, at_random=3)
    board = Leaderboard(voters="reliability").fit(rankings)
    page = leaderboard_page(board, rankings)
    shown = {line.name: line.reliability for line in page.voters}
    place = board.detail_.voters.index("v0")
    assert shown["v0"].startswith(f"{board.detail_.reliability[place]:.2f} (0.")
    assert "reliability<br>(95 % interval)" in render_leaderboard(page)


def test_rankings_with_ties_have_a_part_on_voters_too():
    rankings = made(5)
    tier = rankings.tier.reshape(-1, 4).copy()
    tier[::2] = [0, 0, 1, 2]
    tied = replace(rankings, tier=tier.ravel())
    lines, _ = voter_lines(tied, Leaderboard().fit(tied))
    assert lines[0].votes == 12
    assert 0.5 < lines[0].expected < 1.0
