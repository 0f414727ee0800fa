"""Which interval is picked, what it says of itself, and resamples that are what they claim."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from fitting.paired_twin import fit_slowly, simulated_votes
from penchant.data.pair_counts import PairCounts
from penchant.data.votes import Votes
from penchant.errors import ConfigError, DataError
from penchant.fitting import paired_errors, paired_islands
from penchant.fitting.interval_kinds import INTERVAL_KINDS, IntervalConfig
from penchant.fitting.paired import PairedConfig, fit_paired
from penchant.fitting.paired_bootstrap import bootstrap_voters, bootstrap_votes
from penchant.fitting.paired_errors import clustered_errors, curvature_errors, vote_errors
from penchant.fitting.paired_intervals import ends_at, point_of, strength_intervals
from penchant.models.standings import paired_bounds, rank_bounds

Z = 1.959963984540054
TRUTH = np.linspace(-0.8, 0.8, 7)
NAMES = tuple("abcdefg")


def votes_of(num_votes, seed=0, voters=None, **world):
    generator = np.random.default_rng(seed)
    first, second, outcome = simulated_votes(TRUTH, num_votes, generator, **world)
    if voters is None:
        return Votes.from_outcomes(NAMES, first, second, outcome)
    voter = generator.integers(0, voters, num_votes)
    names = tuple(f"v{v}" for v in range(voters))
    return Votes.from_outcomes(NAMES, first, second, outcome, voter=voter, voters=names)


def fit(votes, ties="half", **config):
    return fit_paired(votes.counts(), PairedConfig(ties=ties, **config))


@pytest.mark.parametrize("ties", ["half", "davidson", "rao_kupper"])
def test_the_fast_fit_is_the_slow_twin_and_so_are_its_errors(ties):
    votes = votes_of(800, ties="davidson", tie=-0.5)
    slow, fast = fit_slowly(votes.counts(), ties=ties), point_of(fit(votes, ties))
    np.testing.assert_allclose(fast.strengths, slow.strengths, atol=1e-6)
    np.testing.assert_allclose(curvature_errors(fast).se, curvature_errors(slow).se, rtol=1e-6)


def test_auto_trusts_no_more_than_it_must():
    votes = votes_of(3000)
    assert strength_intervals(fit(votes), votes).kind == "wald"
    tied = votes_of(3000, ties="davidson", tie=0.0)
    assert strength_intervals(fit(tied), tied).kind == "sandwich"
    assert strength_intervals(fit(tied, "davidson"), tied).kind == "wald"
    several = votes_of(3000, voters=300)
    assert strength_intervals(fit(several), several).kind == "voter"
    once = Votes.from_outcomes(
        NAMES, votes.first, votes.second, (votes.share < 0.5).astype(int),
        voter=np.arange(3000), voters=tuple(f"v{v}" for v in range(3000)),
    )  # fmt: skip
    assert strength_intervals(fit(once), once).kind == "wald"
    weighted = Votes.from_outcomes(
        NAMES, votes.first, votes.second, (votes.share < 0.5).astype(int), weight=np.full(3000, 2.0)
    )
    assert strength_intervals(fit(weighted), weighted).kind == "sandwich"


def test_where_nothing_is_lopsided_each_kind_is_its_errors_times_its_quantile():
    from scipy.special import stdtrit

    votes = votes_of(4000, voters=200)
    found, point = fit(votes), point_of(fit(votes))
    expected = {
        "wald": Z * curvature_errors(point).se,
        "sandwich": Z * vote_errors(point).se,
    }
    clustered = clustered_errors(point, votes, votes.voter)
    expected["voter"] = stdtrit(clustered.degrees_of_freedom, 0.975) * clustered.se
    for kind, reach in expected.items():
        intervals = strength_intervals(found, votes, IntervalConfig(kind=kind))
        np.testing.assert_allclose(intervals.high - found.strengths, reach, rtol=1e-9)
        np.testing.assert_allclose(found.strengths - intervals.low, reach, rtol=1e-9)
        assert intervals.kind == kind
    profile = strength_intervals(found, votes, IntervalConfig(kind="profile"))
    np.testing.assert_allclose(profile.high, found.strengths + expected["wald"], atol=0.005)


def test_an_item_that_never_lost_is_bounded_below_only_and_all_kinds_say_so():
    votes = votes_of(300, voters=40)
    winner = Votes.from_outcomes(
        (*NAMES, "new"), np.append(votes.first, [7] * 6), np.append(votes.second, np.arange(6)),
        np.append((votes.share < 0.5).astype(int), [0] * 6),
        voter=np.append(votes.voter, np.arange(6)), voters=votes.voters,
    )  # fmt: skip
    found = fit(winner)
    for kind in INTERVAL_KINDS:
        config = IntervalConfig(kind=kind, num_resamples=50)
        intervals = strength_intervals(found, winner, config, np.random.default_rng(0))
        assert np.isfinite(intervals.low[7])
        assert intervals.low[7] < found.strengths[7]
        assert intervals.high[7] == np.inf
        assert np.isfinite(intervals.high[:7]).all()
        assert not intervals.bounded_above[7]
        assert any("bound 1 item on one side" in note for note in intervals.notes)
    prior = strength_intervals(found, winner, IntervalConfig(unbounded="prior"))
    assert found.strengths[7] < prior.high[7] < 20
    assert any("prior's word" in note for note in prior.notes)
    assert prior.is_lopsided[7]


def test_a_prior_asked_for_bounds_everything():
    votes = votes_of(60)
    counts = votes.counts()
    never = PairCounts(
        items=(*NAMES, "x"), first=np.append(counts.first, 0), second=np.append(counts.second, 7),
        first_wins=np.append(counts.first_wins, 3.0),
        second_wins=np.append(counts.second_wins, 0.0), ties=np.append(counts.ties, 0.0),
    )  # fmt: skip
    found = strength_intervals(fit_paired(never, PairedConfig(ties="half", prior_scale=1.0)))
    assert np.isfinite(found.low).all()
    assert np.isfinite(found.high).all()


def test_few_voters_never_give_narrower_intervals_than_the_curvature_and_it_is_said():
    votes = votes_of(1000, seed=3, voters=6)
    found = fit(votes)
    auto = strength_intervals(found, votes)
    alone = strength_intervals(found, votes, IntervalConfig(kind="voter"))
    plain = strength_intervals(found, votes, IntervalConfig(kind="wald"))
    narrow = alone.high - alone.low < plain.high - plain.low
    assert narrow.any()
    width = np.where(narrow, plain.high - plain.low, alone.high - alone.low)
    np.testing.assert_allclose(auto.high - auto.low, width, rtol=1e-9)
    assert any("fewer than 10 equally busy voters" in note for note in auto.notes)
    np.testing.assert_allclose(np.sqrt(np.diag(auto.errors.covariance)), auto.se)


def test_busy_voters_taken_for_independent_are_mentioned():
    votes = votes_of(1000, voters=40)
    notes = strength_intervals(fit(votes), votes, IntervalConfig(kind="wald")).notes
    assert any("too narrow if voters differ" in note for note in notes)


def test_kinds_that_need_voters_say_so():
    votes = votes_of(200)
    for kind in ("voter", "voter_bootstrap"):
        with pytest.raises(DataError, match="voters"):
            strength_intervals(fit(votes), votes, IntervalConfig(kind=kind))
        with pytest.raises(DataError, match="vote"):
            strength_intervals(fit(votes), None, IntervalConfig(kind=kind))
    one = Votes.from_outcomes(
        NAMES, votes.first, votes.second, (votes.share < 0.5).astype(int),
        voter=np.zeros(200, dtype=int), voters=("only",),
    )  # fmt: skip
    with pytest.raises(DataError, match="at least two"):
        strength_intervals(fit(one), one, IntervalConfig(kind="voter_bootstrap"))


@pytest.mark.parametrize(
    ("field", "value"), [("kind", "exact"), ("level", 1.0), ("num_resamples", 3)]
)
def test_settings_out_of_range_are_refused(field, value):
    settings = {"kind": "auto", "level": 0.95, "num_resamples": 500} | {field: value}
    # Checked by itself: shape checks would refuse an unknown kind before the config does.
    with pytest.raises(ConfigError, match="expected"):
        IntervalConfig.__post_init__(SimpleNamespace(**settings))


def test_resampled_votes_spread_as_the_sandwich_says():
    votes = votes_of(5000, ties="davidson", tie=-0.3)
    found = fit(votes)
    seen = []
    draws = bootstrap_votes(
        found, 400, np.random.default_rng(0), on_resample=lambda done, of: seen.append((done, of))
    )
    np.testing.assert_allclose(draws.std(axis=0), vote_errors(point_of(found)).se, rtol=0.15)
    np.testing.assert_allclose(draws.mean(axis=0), found.strengths, atol=0.01)
    np.testing.assert_allclose(draws.sum(axis=1), 0.0, atol=1e-9)
    assert seen[-1] == (400, 400)


def test_resampled_voters_spread_as_errors_by_voter_say():
    generator = np.random.default_rng(1)
    # Each voter says the same thing ten times: ten votes tell what one does.
    first, second, outcome = simulated_votes(TRUTH, 600, generator)
    votes = Votes.from_outcomes(
        NAMES, np.repeat(first, 10), np.repeat(second, 10), np.repeat(outcome, 10),
        voter=np.repeat(np.arange(600), 10), voters=tuple(f"v{v}" for v in range(600)),
    )  # fmt: skip
    found = fit(votes)
    draws = bootstrap_voters(found, votes, 400, np.random.default_rng(0))
    by_voter = clustered_errors(point_of(found), votes, votes.voter).se
    np.testing.assert_allclose(draws.std(axis=0), by_voter, rtol=0.15)
    blind = bootstrap_votes(found, 100, np.random.default_rng(0))
    np.testing.assert_allclose(draws.std(axis=0) / blind.std(axis=0), np.sqrt(10), rtol=0.3)


def test_ends_at_another_level_are_those_of_intervals_made_at_it():
    votes = votes_of(60, seed=3, voters=30)
    for kind in ("auto", "wald", "voter", "profile"):
        found, config = fit(votes), IntervalConfig(kind=kind)
        low, high = ends_at(found, strength_intervals(found, votes, config), 0.8)
        # "auto" floors its errors by the level it was asked for.
        if kind == "auto":
            continue
        again = strength_intervals(found, votes, dataclasses.replace(config, level=0.8))
        np.testing.assert_allclose(low, again.low, rtol=1e-9)
        np.testing.assert_allclose(high, again.high, rtol=1e-9)


def test_a_seed_repeats_every_kind():
    votes = votes_of(300, voters=50)
    found = fit(votes)
    for kind in INTERVAL_KINDS:
        config = IntervalConfig(kind=kind, num_resamples=20)
        one, two = (
            strength_intervals(found, votes, config, np.random.default_rng(7)) for _ in range(2)
        )
        np.testing.assert_array_equal(one.low, two.low)
        np.testing.assert_array_equal(one.high, two.high)


def test_intervals_of_many_items_are_drawn_and_agree(monkeypatch):
    votes = votes_of(3000, voters=100)
    found = fit(votes)
    exact = {k: strength_intervals(found, votes, IntervalConfig(kind=k)) for k in ("wald", "voter")}
    monkeypatch.setattr(paired_errors, "MOST_DENSE", 3)
    monkeypatch.setattr(paired_islands, "MOST_ON_ISLAND", 0)
    for kind, expected in exact.items():
        drawn = strength_intervals(found, votes, IntervalConfig(kind=kind))
        assert drawn.errors.draws is not None
        np.testing.assert_allclose(drawn.se, expected.se, rtol=0.06)


def soft_votes(share, weight=1.0, copies=1):
    """Votes of seven items by their truth, and of an eighth that `copies` soft votes alone know."""
    votes, at = votes_of(2000), np.full(copies, 7)
    joined = Votes.from_outcomes(
        (*NAMES, "h"), np.append(votes.first, at), np.append(votes.second, 0 * at),
        np.append(np.where(votes.share == 1.0, 0, 1), 0 * at),
    )  # fmt: skip
    return dataclasses.replace(
        joined, share=np.append(votes.share, np.full(copies, share)),
        weight=np.append(np.ones(2000), np.full(copies, weight)),
    )  # fmt: skip


@pytest.mark.parametrize(("copies", "weight"), [(1, 1.0), (1, 50.0), (9, 1.0), (40, 1.0)])
def test_soft_votes_that_agree_are_no_surer_than_so_many_votes(copies, weight):
    votes = soft_votes(0.7, weight, copies)
    found = fit(votes)
    intervals = strength_intervals(found, votes)
    assert intervals.kind == "sandwich"
    # As sure of the gap to the item it met as `copies` votes of 0.7 make it, whatever they weigh.
    assert intervals.se[7] > 0.95 * 7 / 8 / np.sqrt(copies * 0.7 * 0.3)
    assert intervals.high[7] - intervals.low[7] > 1.9 * Z * intervals.se[7]
    np.testing.assert_allclose(np.diag(intervals.errors.covariance), intervals.se**2)
    bounds = paired_bounds(found, intervals, 0.95)
    island = found.connectivity.island
    ranks = rank_bounds(found.strengths, bounds, island, np.random.default_rng(0))
    assert ranks.low[7] < ranks.high[7]
    # Of the others only those change whom the mean over all items makes as unsure.
    if copies > 1:
        plain = vote_errors(point_of(found), votes)
        np.testing.assert_allclose(intervals.se[1:7], plain.se[1:7], rtol=1e-9)


@pytest.mark.parametrize("ties", ["half", "davidson", "rao_kupper"])
@pytest.mark.parametrize("voters", [None, 20])
def test_nothing_but_ties_is_not_certainty(ties, voters):
    at = np.zeros(200, dtype=np.int64)
    named = {} if voters is None else {
        "voter": np.arange(200) % voters, "voters": tuple(f"v{v}" for v in range(voters))
    }  # fmt: skip
    votes = Votes.from_outcomes(("a", "b"), at, at + 1, at + 2, **named)
    found = fit(votes, ties)
    intervals = strength_intervals(found, votes)
    plain = curvature_errors(point_of(found))
    assert intervals.kind == ("sandwich" if voters is None else "voter")
    np.testing.assert_allclose(intervals.high - intervals.low, 2 * Z * plain.se, rtol=1e-6)
    gap = intervals.errors.of_difference(np.array([0]), np.array([1]))
    assert gap > 0.99 * 2.0 * intervals.se[0]


def test_drawn_errors_have_the_same_floor(monkeypatch):
    votes = soft_votes(0.7)
    found = fit(votes)
    exact = strength_intervals(found, votes)
    monkeypatch.setattr(paired_errors, "MOST_DENSE", 0)
    monkeypatch.setattr(paired_islands, "MOST_ON_ISLAND", 0)
    drawn = strength_intervals(found, votes)
    np.testing.assert_allclose(drawn.se, exact.se, rtol=0.1)
    np.testing.assert_allclose(drawn.errors.draws.std(axis=0), drawn.se, rtol=0.15)


@pytest.mark.parametrize("kind", ["wald", "sandwich", "profile", "bootstrap"])
def test_an_unbeaten_newcomer_moves_nobody(kind):
    votes = votes_of(1500)
    joined = Votes.from_outcomes(
        (*NAMES, "new"), np.append(votes.first, [7, 7, 7]), np.append(votes.second, [1, 2, 3]),
        np.append(1 - votes.share, [0, 0, 0]).astype(int),
    )  # fmt: skip
    config = IntervalConfig(kind=kind, num_resamples=100)
    before, after = (strength_intervals(fit(v), v, config) for v in (votes, joined))
    np.testing.assert_allclose(fit(joined).strengths[:7], fit(votes).strengths, atol=1e-3)
    at_most = 0.3 if kind == "bootstrap" else 0.01
    np.testing.assert_allclose(after.se[:7], before.se, rtol=at_most)
    width = after.high[:7] - after.low[:7]
    np.testing.assert_allclose(width, before.high - before.low, rtol=at_most)
    assert after.high[7] == np.inf
    assert np.isfinite(after.low[7])
    # A bootstrap of another seven hundred votes keeps the fit's gauge, whoever it holds itself.
    if kind == "bootstrap":
        draws = bootstrap_votes(fit(joined), 20, np.random.default_rng(0))
        np.testing.assert_allclose(draws[:, :7].mean(axis=1), 0.0, atol=1e-9)


def test_drawn_errors_have_the_same_gauge(monkeypatch):
    votes = votes_of(1500)
    joined = Votes.from_outcomes(
        (*NAMES, "new"), np.append(votes.first, [7, 7]), np.append(votes.second, [1, 2]),
        np.append(1 - votes.share, [0, 0]).astype(int),
    )  # fmt: skip
    point = point_of(fit(joined))
    exact = [curvature_errors(point).se, vote_errors(point).se]
    monkeypatch.setattr(paired_errors, "MOST_DENSE", 0)
    monkeypatch.setattr(paired_islands, "MOST_ON_ISLAND", 0)
    for drawn, expected in zip((curvature_errors(point), vote_errors(point)), exact, strict=True):
        np.testing.assert_allclose(drawn.se, expected, rtol=0.08)
