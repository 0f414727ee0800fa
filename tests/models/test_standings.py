"""Places that the data allow: by differences or score intervals, voters many or few."""

import numpy as np
import pytest
from scipy.special import ndtri, stdtrit

from penchant.data.votes import Votes
from penchant.fitting.interval_kinds import IntervalConfig
from penchant.fitting.paired import PairedConfig, fit_paired
from penchant.fitting.paired_intervals import ends_at, strength_intervals
from penchant.models import standings
from penchant.models.standings import normal_bounds, open_ends, paired_bounds, rank_bounds

ONE_ISLAND = np.zeros(7, dtype=np.int64)


def votes_of(truth, num_votes, voters, seed=0, taste=0.0):
    rng = np.random.default_rng(seed)
    N = len(truth)
    tastes = truth + taste * rng.standard_normal((voters, N))
    voter = rng.integers(0, voters, num_votes)
    first = rng.integers(0, N, num_votes)
    second = (first + rng.integers(1, N, num_votes)) % N
    gap = tastes[voter, first] - tastes[voter, second]
    return Votes.from_outcomes(
        tuple(f"i{n}" for n in range(N)), first, second,
        (rng.random(num_votes) > 1 / (1 + np.exp(-gap))).astype(int),
        voter=voter, voters=tuple(f"v{v}" for v in range(voters)),
    )  # fmt: skip


def places(votes, kind="auto", seed=0, level=0.95):
    fit = fit_paired(votes.counts(), PairedConfig(ties="half"))
    found = strength_intervals(fit, votes, IntervalConfig(kind=kind, num_resamples=50))
    bounds = paired_bounds(fit, found, level)
    rng = np.random.default_rng(seed)
    return fit, found, rank_bounds(fit.strengths, bounds, fit.connectivity.island, rng)


def test_places_follow_from_the_same_errors_whatever_kind_they_are():
    votes = votes_of(np.linspace(-0.8, 0.8, 7), 4000, 100)
    sure = {}
    for kind in ("auto", "wald", "bootstrap", "voter_bootstrap"):
        _, _, place = places(votes, kind)
        np.testing.assert_array_equal(place.rank, [7, 6, 5, 4, 3, 2, 1])
        assert (place.low <= place.rank).all()
        assert (place.rank <= place.high).all()
        np.testing.assert_array_equal(place.low, 1 + place.above.sum(axis=0))
        sure[kind] = (place.high - place.low).sum()
    assert sure["auto"] >= sure["wald"]
    assert sure["wald"] < 42


def test_many_items_are_placed_by_score_intervals_at_sidak_s_level(monkeypatch):
    votes = votes_of(np.linspace(-0.8, 0.8, 7), 3000, 12)
    fit, found, few = places(votes)
    monkeypatch.setattr(standings, "MOST_COMPARED", 6)
    _, _, many = places(votes)
    assert (many.low <= few.low).all()
    assert (many.high >= few.high).all()
    assert many.above is None
    low, high = ends_at(fit, found, 0.95 ** (1 / 7))
    degrees = found.errors.degrees_of_freedom
    wide = stdtrit(degrees, 0.5 + 0.5 * 0.95 ** (1 / 7))
    np.testing.assert_allclose(high - low, 2 * wide * found.se, rtol=1e-9)
    np.testing.assert_array_equal(many.low, 1 + (low > high[:, None]).sum(axis=1))
    np.testing.assert_array_equal(many.high, 7 - (high < low[:, None]).sum(axis=1))
    assert (many.high > many.low).any()
    assert (many.high - many.low < 6).any()


@pytest.mark.parametrize("degrees", [None, 5.0])
def test_a_covariance_too_large_to_compare_every_two_has_wider_ends_too(monkeypatch, degrees):
    strengths = np.linspace(-3, 3, 7)
    covariance = 0.3 * (np.eye(7) - 1 / 7)
    freedom = None if degrees is None else np.full(7, degrees)
    monkeypatch.setattr(standings, "MOST_COMPARED", 6)
    bounds = normal_bounds(strengths, covariance, 0.9, freedom)
    half = 0.5 + 0.5 * 0.9 ** (1 / 7)
    reach = ndtri(half) if degrees is None else stdtrit(degrees, half)
    np.testing.assert_allclose(bounds.at_once[1] - strengths, reach * bounds.se)
    # An end that the data do not set is none for places either.
    everywhere = np.ones(7, dtype=bool)
    opened = open_ends(bounds, everywhere, np.arange(7) != 0)
    found = rank_bounds(strengths, opened, ONE_ISLAND, np.random.default_rng(0))
    assert found.low[0] == 1
    assert rank_bounds(strengths, bounds, ONE_ISLAND, np.random.default_rng(0)).low[0] > 1


def test_places_are_counted_within_islands():
    strengths = np.array([2.0, 1.0, 0.0, 5.0, -5.0, 1.0, 1.0])
    island = np.array([0, 0, 0, 1, 1, 2, 2])
    bounds = normal_bounds(strengths, 1e-6 * np.eye(7), 0.95)
    found = rank_bounds(strengths, bounds, island, np.random.default_rng(0))
    np.testing.assert_array_equal(found.rank, [1, 2, 3, 1, 2, 1, 1])
    np.testing.assert_array_equal(found.low, [1, 2, 3, 1, 2, 1, 1])
    np.testing.assert_array_equal(found.high, [1, 2, 3, 1, 2, 2, 2])


def wrong_worlds(num_items, voters, num_votes, worlds, taste):
    """In how many worlds of items all alike some two are told apart."""
    wrong = 0
    for seed in range(worlds):
        votes = votes_of(np.zeros(num_items), num_votes, voters, seed, taste)
        wrong += bool(places(votes, seed=seed)[2].above.any())
    return wrong


@pytest.mark.parametrize(("voters", "taste"), [(4, 0.6), (6, 0.6), (40, 0.6)])
def test_items_all_alike_are_hardly_ever_told_apart_however_few_the_voters(voters, taste):
    # 5 % of worlds may err: 13 of 150 would be two errors more.
    assert wrong_worlds(15, voters, 1500, 150, taste) <= 13


def test_draws_for_errors_by_voter_have_the_shape_of_the_curvature():
    votes = votes_of(np.linspace(-0.8, 0.8, 7), 3000, 12)
    for kind, has_shape in (("voter", True), ("wald", False), ("sandwich", False)):
        fit, found, _ = places(votes, kind)
        shape = paired_bounds(fit, found, 0.95).shape
        assert (shape is not None) == has_shape
        if has_shape:
            plain = strength_intervals(fit, votes, IntervalConfig(kind="wald"))
            np.testing.assert_array_equal(shape, plain.errors.covariance)


def test_of_many_items_judged_by_four_voters_hardly_two_are_told_apart():
    votes = votes_of(np.linspace(-1, 1, 60), 6000, 4, taste=0.5)
    _, found, place = places(votes)
    assert (found.errors.degrees_of_freedom < 4).all()
    assert (place.high - place.low).mean() > 55
    assert any("hardly told apart" in note for note in found.notes)
