"""The leaderboard: one table from votes, counts, rankings, records and files, in plain words."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.description import Description
from penchant.data.pair_counts import count_votes
from penchant.data.rankings import Rankings
from penchant.data.readers.read import read
from penchant.data.votes import Votes
from penchant.errors import ConfigError, DataError, NotFittedError
from penchant.models.leaderboard import Leaderboard

PAIRS = Description(layout="pairs", option_columns=("left", "right"), answer="winner")


def made(seed=0, N=6, num_votes=600, num_voters=30, tie_share=0.1):
    rng = np.random.default_rng(seed)
    strengths = np.linspace(1, -1, N)
    first = rng.integers(0, N, num_votes)
    second = (first + rng.integers(1, N, num_votes)) % N
    chance = 1 / (1 + np.exp(strengths[second] - strengths[first]))
    outcome = np.where(rng.random(num_votes) < chance, 0, 1)
    outcome[rng.random(num_votes) < tie_share] = 2
    return Votes.from_outcomes(
        tuple(f"item {i}" for i in range(N)), first.astype(np.int32), second.astype(np.int32),
        outcome, voter=rng.integers(0, num_voters, num_votes),
        voters=tuple(f"voter {v}" for v in range(num_voters)),
    )  # fmt: skip


def as_table(votes):
    words = np.where(votes.tie, "tie", np.where(votes.share == 1, "left", "right"))
    return pa.table({
        "left": [votes.items[i] for i in votes.first],
        "right": [votes.items[i] for i in votes.second],
        "winner": words, "voter": [votes.voters[v] for v in votes.voter],
    })  # fmt: skip


def scores(board):
    return {row.name: row.strength for row in board.standings_}


def test_votes_counts_records_tables_and_files_give_one_table(tmp_path):
    votes = made()
    table = as_table(votes)
    pyarrow.csv.write_csv(table, tmp_path / "votes.csv")
    boards = [
        Leaderboard().fit(votes), Leaderboard().fit(votes.counts()),
        Leaderboard().fit(table, PAIRS), Leaderboard().fit(read(table, PAIRS).records),
        Leaderboard().fit(table),
        Leaderboard().fit(tmp_path / "votes.csv"),
    ]  # fmt: skip
    for board in boards[1:]:
        assert scores(board) == pytest.approx(scores(boards[0]), abs=1e-6)


def test_the_best_stands_first_and_every_field_is_filled():
    board = Leaderboard().fit(made(num_votes=6000))
    names = [row.name for row in board.standings_]
    assert names[0] == "item 0"
    assert names[-1] == "item 5"
    for row in board.standings_:
        assert row.low < row.strength < row.high
        assert row.rank_low <= row.rank <= row.rank_high
        assert row.elo == pytest.approx(1000 + 400 / np.log(10) * row.strength)
        assert row.se > 0
        assert row.votes > 0
    assert sum(row.strength for row in board.standings_) == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(dataclasses.FrozenInstanceError):
        board.standings_[0].rank = 7


@given(st.integers(0, 1000))
@settings(max_examples=10)
def test_ranks_count_the_better_items(seed):
    board = Leaderboard().fit(made(seed, num_votes=150))
    for row in board.standings_:
        better = sum(other.strength > row.strength for other in board.standings_)
        assert row.rank == 1 + better


def test_ranks_are_counted_within_islands():
    first = np.array([0, 0, 0, 1, 3, 3, 4, 2, 1, 2, 4], dtype=np.int32)
    second = np.array([1, 2, 1, 2, 4, 4, 3, 1, 0, 0, 3], dtype=np.int32)
    outcome = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    board = Leaderboard().fit(count_votes(tuple("abcde"), first, second, outcome))
    assert [(row.name, row.rank, row.island) for row in board.standings_][:1] == [("a", 1, 0)]
    small = {row.name: (row.rank, row.rank_low, row.rank_high) for row in board.standings_[3:]}
    assert small == {"d": (1, 1, 2), "e": (2, 1, 2)}
    assert any("2 islands" in text for text in board.warnings_)


def test_errors_are_by_voter_where_voters_are_named():
    votes = made()
    # Everybody votes ten times over: the curvature believes it, errors by voter do not.
    echoed = votes.take(np.repeat(np.arange(len(votes)), 10))
    by_voter = Leaderboard().fit(echoed)
    by_curvature = Leaderboard(interval="wald").fit(echoed)
    assert by_voter.bounds_.kind == "voter"
    ratio = by_voter.bounds_.se / by_curvature.bounds_.se
    assert (ratio > 2).all()


def test_scores_at_equal_position_lose_what_standing_first_is_worth():
    rng = np.random.default_rng(1)
    votes = made(1, num_votes=4000, tie_share=0.0)
    # Who stands first gains a logit; the strongest item mostly stands there.
    truth = np.linspace(1, -1, 6)
    first = np.where(rng.random(4000) < 0.5, 0, votes.first)
    second = np.where(votes.second == first, (first + 1) % 6, votes.second)
    chance = 1 / (1 + np.exp(truth[second] - truth[first] - 1.0))
    shown = Votes.from_outcomes(
        votes.items, first.astype(np.int32), second.astype(np.int32),
        np.where(rng.random(4000) < chance, 0, 1),
        covariates=np.ones((4000, 1)), covariate_names=("shown_first",),
    )  # fmt: skip
    plain, equal = Leaderboard().fit(shown), Leaderboard(covariates=("shown_first",)).fit(shown)
    assert equal.fit_.coefficients[0] == pytest.approx(1.0, abs=0.25)
    gaps = [scores(board)["item 0"] - scores(board)["item 5"] for board in (plain, equal)]
    assert abs(gaps[1] - 2.0) < 0.3
    assert gaps[0] > gaps[1] + 0.3
    assert "shown_first (per unit)" in equal.summary()


def test_rankings_are_ranked_as_rankings():
    rng = np.random.default_rng(0)
    truth = np.linspace(1, -1, 5)
    order = np.argsort(-(truth + rng.gumbel(size=(300, 5))), axis=1)
    rankings = Rankings(
        items=tuple("abcde"), item=order.ravel().astype(np.int32), tier=np.tile(np.arange(5), 300),
        start=np.arange(0, 1501, 5), weight=np.ones(300),
    )  # fmt: skip
    board = Leaderboard().fit(rankings)
    assert [row.name for row in board.standings_] == list("abcde")
    inside = [row.low < t < row.high for row, t in zip(board.standings_, truth)]
    assert sum(inside) >= 4
    with pytest.raises(ConfigError, match="never broken into pairs"):
        Leaderboard(model="bradley_terry").fit(rankings)
    with pytest.raises(ConfigError, match="for pairs"):
        Leaderboard(has_drift=True).fit(rankings)
    with pytest.raises(DataError, match="name no voters"):
        Leaderboard(interval="voter").fit(rankings)
    for kind in ("sandwich", "profile", "bootstrap"):
        other = Leaderboard(interval=kind).fit(rankings)
        np.testing.assert_allclose(other.bounds_.se, board.bounds_.se, rtol=0.25)
        assert other.bounds_.kind == kind


def test_thurstone_scores_are_in_probits_and_its_elo_beside_that_of_bradley_terry():
    votes = made(num_votes=3000, tie_share=0.0)
    logit, probit = Leaderboard().fit(votes), Leaderboard(model="thurstone").fit(votes)
    ratio = logit.standings_[0].strength / probit.standings_[0].strength
    assert 1.5 < ratio < 1.9
    assert logit.standings_[0].elo == pytest.approx(probit.standings_[0].elo, abs=15)
    assert Leaderboard(model="thurstone").fit(made()).fit_.model.ties == "rao_kupper"


def test_a_voter_with_half_of_the_votes_is_named():
    votes = made()
    voter = np.where(np.arange(len(votes)) % 2 == 0, 0, votes.voter)
    board = Leaderboard().fit(dataclasses.replace(votes, voter=voter))
    assert any("`voter 0` cast 5" in text for text in board.warnings_)


def test_an_unbeaten_item_has_no_upper_end():
    counts = count_votes(("best", "b", "c"), np.array([0, 0, 1, 2]), np.array([1, 2, 2, 1]),
                         np.array([0, 0, 0, 0]))  # fmt: skip
    board = Leaderboard().fit(counts)
    assert board.standings_[0].name == "best"
    assert board.standings_[0].high == np.inf
    assert np.isfinite(board.standings_[0].low)
    assert "unbounded" in board.summary()
    assert any("weak prior" in text for text in board.warnings_)


def test_the_same_seed_gives_the_same_table():
    votes = made()
    boards = [Leaderboard(random_state=3).fit(votes) for _ in range(2)]
    assert boards[0].standings_ == boards[1].standings_


def test_options_that_no_data_could_go_with_are_refused():
    with pytest.raises(NotFittedError, match="call of `fit`"):
        Leaderboard().summary()
    with pytest.raises(ConfigError, match="between 0 and 1"):
        Leaderboard(level=95.0).check()
    counts = made().counts()
    for board, words in [
        (Leaderboard(covariates=("length",)), "single votes"),
        (Leaderboard(model="plackett_luce"), "for rankings"),
        (Leaderboard(model="thurstone", ties="davidson"), "logistic link"),
    ]:
        with pytest.raises(ConfigError, match=words):
            board.fit(counts)
    with pytest.raises(ConfigError, match="the votes have the covariates"):
        Leaderboard(covariates=("length",)).fit(made())


@pytest.mark.parametrize("kind", ["sandwich", "profile", "bootstrap"])
@pytest.mark.parametrize(
    "asked",
    [{"covariates": ("shown_first",)}, {"context": "c"}, {"voters": "reliability"},
     {"has_drift": True}],
)  # fmt: skip
def test_intervals_that_a_model_does_not_have_are_refused(kind, asked):
    with pytest.raises(ConfigError, match="do not go with"):
        Leaderboard(interval=kind, **asked).check()
    Leaderboard(interval="wald", **asked).check()


def with_an_unbeaten_item(**columns):
    """`best` and, below it, `next`, which lost to `best` alone, never lose to the four others."""
    votes = made(N=4, num_votes=400)
    first, second = [4, 4, 5, 5], [0, 5, 1, 2]
    return Votes.from_outcomes(
        (*votes.items, "best", "next"), np.append(votes.first, first),
        np.append(votes.second, second),
        np.append(np.where(votes.tie, 2, 1 - votes.share), [0, 0, 0, 0]).astype(int),
        voter=np.append(votes.voter, [0, 1, 2, 3]), voters=votes.voters, **columns,
    )  # fmt: skip


def test_beside_covariates_too_an_unbeaten_item_has_no_upper_end_and_busy_voters_are_told():
    length = np.random.default_rng(1).normal(size=(404, 1))
    votes = with_an_unbeaten_item(covariates=length, covariate_names=("length",))
    board = Leaderboard(covariates=("length",)).fit(votes)
    ends = {row.name: (row.low, row.high) for row in board.standings_}
    assert ends["best"][1] == ends["next"][1] == np.inf
    assert all(np.isfinite(low) for low, _ in ends.values())
    assert all(np.isfinite(ends[f"item {i}"][1]) for i in range(4))
    assert board.bounds_.kind == "voter"
    trusting = Leaderboard(covariates=("length",), interval="wald").fit(votes)
    assert any("voted more than once" in text for text in trusting.warnings_)
    held = Leaderboard(covariates=("length",), prior_scale=2.0).fit(votes)
    assert all(np.isfinite(row.high) for row in held.standings_)
    once = dataclasses.replace(votes, voter=np.arange(404), voters=tuple(map(str, range(404))))
    alone = Leaderboard(covariates=("length",)).fit(once)
    assert alone.bounds_.kind == "wald"
    assert not any("more than once" in text for text in alone.warnings_)


def test_in_rankings_whoever_is_behind_unbeaten_items_only_has_no_upper_end_either():
    rows = [(0, 1, 2, 3)] * 3 + [(1, 3, 2)] * 3
    item = np.concatenate(rows).astype(np.int32)
    start = np.append(0, np.cumsum([len(row) for row in rows]))
    tier = np.concatenate([np.arange(len(row)) for row in rows])
    rankings = Rankings(
        items=tuple("abcd"), item=item, tier=tier, start=start, weight=np.ones(len(rows))
    )
    ends = {row.name: row.high for row in Leaderboard().fit(rankings).standings_}
    assert ends["a"] == ends["b"] == np.inf
    assert np.isfinite([ends["c"], ends["d"]]).all()
    held = Leaderboard(prior_scale=3.0).fit(rankings).standings_
    assert all(np.isfinite([row.low, row.high]).all() for row in held)


def test_the_mean_of_scores_is_of_items_that_no_weak_prior_holds():
    length = np.random.default_rng(1).normal(size=(404, 1))
    votes = with_an_unbeaten_item(covariates=length, covariate_names=("length",))
    board = Leaderboard(covariates=("length",)).fit(votes)
    assert sum(scores(board)[f"item {i}"] for i in range(4)) == pytest.approx(0.0, abs=1e-9)
    rows = np.array([(0, 1, 2, 3)] * 3 + [(0, 3, 2, 1)] * 3, dtype=np.int32)
    rankings = Rankings(
        items=tuple("abcd"), item=rows.ravel(), tier=np.tile(np.arange(4), 6),
        start=np.arange(0, 25, 4), weight=np.ones(6),
    )  # fmt: skip
    found = {row.name: row for row in Leaderboard().fit(rankings).standings_}
    assert sum(found[name].strength for name in "bcd") == pytest.approx(0.0, abs=1e-9)
    # Whoever is held does not widen the others.
    assert found["a"].se > 2.0 * max(found[name].se for name in "bcd")
    alone = dataclasses.replace(
        rankings, items=tuple("bcd"), item=(rows[:, 1:] - 1).ravel(), tier=np.tile(np.arange(3), 6),
        start=np.arange(0, 19, 3),
    )  # fmt: skip
    for row in Leaderboard().fit(alone).standings_:
        assert row.se == pytest.approx(found[row.name].se, rel=0.02)


@pytest.mark.parametrize("asked", [{}, {"covariates": ("length",)}])
def test_in_a_chain_of_wins_the_inner_items_are_bounded_on_neither_side(asked):
    length = np.random.default_rng(0).normal(size=(40, 1))
    place = np.tile([0, 1, 2, 0, 1], 8)
    votes = Votes.from_outcomes(
        tuple("abcde"), place, place + 1, np.zeros(40, dtype=int),
        covariates=length, covariate_names=("length",),
    )  # fmt: skip
    board = Leaderboard(**asked).fit(votes)
    ends = {row.name: (row.low, row.high) for row in board.standings_}
    assert [row.name for row in board.standings_[:4]] == list("abcd")
    assert np.isfinite([ends["a"][0], ends["d"][1]]).all()
    infinite = [ends["a"][1], -ends["b"][0], ends["b"][1], -ends["c"][0], ends["c"][1]]
    assert infinite == [np.inf] * 5
    assert ends["d"][0] == -np.inf
    said = " ".join(board.warnings_)
    assert "holds 4 of 5 items" in said
    assert "around the mean of their island" in said
    if not asked:
        assert "bound 2 items on one side only" in said
        # The last item met nobody.
        assert "bound 3 items on neither side" in said
