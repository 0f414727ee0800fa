"""Intervals of rankings: pairs are rankings of two, voters are clusters, profiles are profiles."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq, minimize

from penchant.data.rankings import Rankings
from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.fitting.interval_kinds import IntervalConfig
from penchant.fitting.item_profile import Meetings, skewness
from penchant.fitting.paired import PairedConfig, fit_paired
from penchant.fitting.paired_intervals import strength_intervals
from penchant.fitting.ranked import RankedDensity, fit_ranked
from penchant.fitting.ranked_errors import ranked_errors
from penchant.fitting.ranked_intervals import ranked_ends_at, ranked_intervals
from penchant.fitting.ranked_profile import _meetings, ranked_skewness
from penchant.fitting.ranked_ties_profile import tied_curves


def made(seed=0, num=60, N=6, size=4, taste=0.0, voters=0, stages=None):
    """Rankings of menus of some of N items; the voters who make them have tastes of their own."""
    rng = np.random.default_rng(seed)
    truth = np.linspace(1, -1, N)
    voter = np.arange(num) % max(voters, 1)
    own = truth + taste * rng.standard_normal((max(voters, 1), N))
    item = np.array([rng.permutation(N)[:size] for _ in range(num)])
    noisy = np.take_along_axis(own[voter], item, axis=1) + rng.gumbel(size=item.shape)
    item = np.take_along_axis(item, np.argsort(-noisy, axis=1), axis=1)
    tier = np.tile(np.minimum(np.arange(size), stages or size), (num, 1))
    return Rankings(
        items=tuple("abcdefgh"[:N]), item=item.ravel().astype(np.int32), tier=tier.ravel(),
        start=np.arange(num + 1) * size, weight=np.ones(num),
        voter=voter if voters else None, voters=tuple(f"v{v}" for v in range(voters)),
    )  # fmt: skip


def as_votes(rankings):
    item = rankings.item.reshape(-1, 2)
    return Votes.from_outcomes(
        rankings.items, item[:, 0], item[:, 1], np.zeros(len(item), dtype=np.int64),
        voter=rankings.voter, voters=rankings.voters,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["auto", "wald", "sandwich", "voter", "profile"])
def test_rankings_of_two_have_the_intervals_of_votes(kind):
    rankings = made(num=90, size=2, voters=15, taste=0.5)
    votes = as_votes(rankings)
    config = IntervalConfig(kind=kind)
    one = ranked_intervals(fit_ranked(rankings), config)
    two = strength_intervals(fit_paired(votes.counts(), PairedConfig()), votes, config)
    assert one.kind == two.kind
    for name in ("se", "low", "high"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(one.is_lopsided, two.is_lopsided)


def test_an_item_that_always_came_first_has_one_end():
    rankings = made(num=90, size=2, voters=15)
    best = np.concatenate([rankings.item, np.tile([6, 2], 5)]).astype(np.int32)
    won = Rankings(
        items=(*rankings.items, "best"), item=best, tier=np.tile([0, 1], 95),
        start=np.arange(96) * 2, weight=np.ones(95), voter=np.arange(95) % 15,
        voters=rankings.voters,
    )  # fmt: skip
    for kind in ("auto", "profile", "bootstrap"):
        one = ranked_intervals(fit_ranked(won), IntervalConfig(kind=kind, num_resamples=40))
        two = strength_intervals(
            fit_paired(as_votes(won).counts()), as_votes(won), IntervalConfig(kind="profile")
        )
        assert np.isinf(one.high[6])
        assert np.isfinite(one.low[6])
        if kind == "profile":
            assert one.low[6] == pytest.approx(two.low[6], abs=1e-5)
    held = ranked_intervals(fit_ranked(won), IntervalConfig(kind="profile", unbounded="prior"))
    assert np.isfinite(held.high).all()


def full_profile(fit, item, side, cutoff):
    """The end of one item's profile with all others fitted anew, by plain optimisation."""
    density = RankedDensity(fit.rankings, None, fit.connectivity.island)
    others = [n for n in range(len(fit.strengths)) if n != item]
    best = density.log_likelihood(fit.strengths)

    def fall(target):
        def loss(free):
            at = np.empty(len(fit.strengths))
            at[others] = free - (free.sum() + target) / len(others)
            at[item] = target
            slope = density.look(at).gradient[others]
            return -density.log_likelihood(at), slope.mean() - slope

        found = minimize(
            loss, fit.strengths[others], jac=True, method="BFGS", options={"gtol": 1e-5}
        )
        return 2 * (best + found.fun) - cutoff**2

    start = fit.strengths[item]
    return brentq(fall, start, start + side * 5.0, xtol=1e-3)


@pytest.mark.parametrize("stages", [None, 1])
def test_ends_by_the_profile_are_those_of_full_refits(stages):
    fit = fit_ranked(made(seed=3, num=25 if stages is None else 80, stages=stages))
    assert fit.prior is None
    found = ranked_intervals(fit, IntervalConfig(kind="profile"))
    for item in (0, 3, 5):
        for side, end in ((-1, found.low[item]), (1, found.high[item])):
            full = full_profile(fit, item, side, 1.959964)
            assert end == pytest.approx(full, abs=0.06 * found.se[item])
    # The likelihood is lopsided here: symmetric ends would be off by far more.
    reach = 1.959964 * found.se
    off = np.abs(found.low - (fit.strengths - reach)) / found.se
    assert off.max() > 0.15


def test_a_voter_whose_rankings_are_copied_is_no_surer():
    one = made(num=40, voters=40)
    copied = one.take(np.repeat(np.arange(40), 5))
    by_voter = ranked_errors(fit_ranked(copied), "voters")
    np.testing.assert_allclose(
        by_voter.covariance, ranked_errors(fit_ranked(one), "voters").covariance, atol=1e-7
    )
    by_ranking = ranked_errors(fit_ranked(copied), "rankings")
    assert (by_voter.se > 1.9 * by_ranking.se).all()


def test_one_ranking_a_voter_is_the_sandwich_by_ranking():
    rankings = made(num=70, voters=70)
    voters = ranked_errors(fit_ranked(rankings), "voters")
    single = ranked_errors(fit_ranked(rankings), "rankings")
    np.testing.assert_allclose(voters.covariance, single.covariance, atol=1e-9)
    # Each item is on two menus of three, of as many voters.
    assert (voters.degrees_of_freedom > 35).all()
    unknown = replace(rankings, voter=np.full(70, -1), voters=())
    np.testing.assert_allclose(
        ranked_errors(fit_ranked(unknown), "voters").covariance, single.covariance, atol=1e-9
    )


def test_one_busy_voter_leaves_few_degrees_of_freedom():
    rankings = made(num=100, voters=100)
    busy = replace(rankings, voter=np.where(np.arange(100) < 50, 0, np.arange(100)))
    degrees = ranked_errors(fit_ranked(busy), "voters").degrees_of_freedom
    assert (degrees < 6).all()


def test_resamples_of_voters_spread_as_errors_by_voter_do():
    fit = fit_ranked(made(num=600, voters=60, taste=1.0))
    drawn = ranked_intervals(
        fit, IntervalConfig(kind="voter_bootstrap", num_resamples=150), np.random.default_rng(1)
    )
    voters, single = ranked_errors(fit, "voters"), ranked_errors(fit, "rankings")
    assert np.median(drawn.se / voters.se) == pytest.approx(1.0, abs=0.12)
    assert np.median(drawn.se / single.se) > 1.25


def test_intervals_hold_at_another_level():
    fit = fit_ranked(made(num=25, voters=25))
    for kind in ("auto", "profile"):
        found = ranked_intervals(fit, IntervalConfig(kind=kind))
        low, high = ranked_ends_at(fit, found, 0.95)
        np.testing.assert_allclose([low, high], [found.low, found.high], atol=1e-8)
        wide = ranked_ends_at(fit, found, 0.99)
        assert (wide[0] < low).all()
        assert (wide[1] > high).all()


def test_what_cannot_be_had_is_refused_with_the_mend():
    nobody = fit_ranked(made())
    with pytest.raises(DataError, match="name no voters"):
        ranked_intervals(nobody, IntervalConfig(kind="voter"))
    with pytest.raises(DataError, match="1 voter made all"):
        ranked_intervals(fit_ranked(made(voters=1)), IntervalConfig(kind="voter_bootstrap"))


def with_ties(rankings):
    """Three in four of them with ties above others, of two and of three."""
    tier = rankings.tier.reshape(-1, 4).copy()
    tier[1::4], tier[2::4], tier[3::4] = [0, 0, 1, 2], [0, 1, 1, 2], [0, 0, 0, 1]
    return replace(rankings, tier=tier.ravel())


def test_ends_by_the_profile_of_rankings_with_ties_are_those_of_full_refits():
    fit = fit_ranked(with_ties(made(seed=3, num=25)))
    assert fit.prior is None
    found = ranked_intervals(fit, IntervalConfig(kind="profile"))
    for item in (0, 5):
        for side, end in ((-1, found.low[item]), (1, found.high[item])):
            full = full_profile(fit, item, side, 1.959964)
            assert end == pytest.approx(full, abs=0.06 * found.se[item])
    off = np.abs(found.low - (fit.strengths - 1.959964 * found.se)) / found.se
    assert off.max() > 0.15


def test_curves_of_whole_rankings_are_those_of_their_stages():
    # The same data, once through single stages and once through whole rankings.
    rankings = made(seed=4, num=30, stages=2)
    fit = fit_ranked(rankings)
    met = Meetings(
        estimate=fit.strengths, item=np.zeros(0, dtype=np.int64), opponent=np.zeros(0),
        votes=np.zeros((3, 0)), further=tied_curves(rankings, fit.strengths, np.arange(6)),
    )  # fmt: skip
    np.testing.assert_allclose(skewness(met), ranked_skewness(fit), rtol=1e-6)
    staged = _meetings(fit, np.arange(6))
    for away in (-1.0, 0.0, 2.0):
        one, two = met.curve(fit.strengths + away), staged.curve(fit.strengths + away)
        np.testing.assert_allclose(one.slope, two.slope, atol=1e-9)
        np.testing.assert_allclose(one.bend, two.bend, rtol=1e-8)


def test_curves_of_rankings_with_ties_are_the_likelihood_with_one_item_elsewhere():
    rankings = with_ties(made(seed=6, num=24))
    rankings = rankings.take(np.flatnonzero(rankings.has_ties))
    strengths, items = np.linspace(0.8, -0.8, 6), np.array([4, 1])
    density = RankedDensity(rankings, None, np.zeros(6, dtype=np.int64))
    curve = tied_curves(rankings, strengths, items).curve

    def value(item, u):
        return density.log_likelihood(np.where(np.arange(6) == item, u, strengths))

    h = 1e-3
    for u in (np.array([-1.5, 2.0]), strengths[items]):
        found = curve(u)
        low, here, high = (
            np.array([value(i, x + d) for i, x in zip(items, u)]) for d in (-h, 0.0, h)
        )
        beside = [rankings.take(np.unique(rankings.ranking[rankings.item == i])) for i in items]
        whole = [
            RankedDensity(part, None, np.zeros(6, dtype=np.int64)).log_likelihood(
                np.where(np.arange(6) == i, x, strengths)
            )
            for part, i, x in zip(beside, items, u)
        ]
        np.testing.assert_allclose(found.value, whole, atol=1e-9)
        np.testing.assert_allclose(found.slope, (high - low) / (2 * h), atol=1e-5)
        np.testing.assert_allclose(found.bend, -(high - 2 * here + low) / h**2, atol=1e-4)


def test_an_item_first_in_every_tie_has_one_end():
    rankings = made(seed=5, num=40)
    first = np.where(np.arange(10)[:, None] < 5, [6, 2, 3, 4], [6, 0, 1, 5])
    item = np.concatenate([rankings.item.reshape(-1, 4), first])
    tier = np.concatenate([rankings.tier.reshape(-1, 4), np.tile([0, 0, 1, 2], (10, 1))])
    won = Rankings(
        items=(*rankings.items, "best"), item=item.ravel().astype(np.int32), tier=tier.ravel(),
        start=np.arange(51) * 4, weight=np.ones(50),
    )  # fmt: skip
    for kind in ("auto", "profile"):
        found = ranked_intervals(fit_ranked(won), IntervalConfig(kind=kind))
        assert np.isinf(found.high[6])
        assert np.isfinite(found.low[6])
        assert np.isfinite(found.high[:6]).all()


def test_too_many_ties_for_a_profile_are_refused_with_the_mend(monkeypatch):
    fit = fit_ranked(with_ties(made()))
    monkeypatch.setattr("penchant.fitting.ranked_profile.MOST_LOOKED_AT", 1000)
    with pytest.raises(DataError, match=r'45 of them with ties above .* Use interval "wald"'):
        ranked_intervals(fit, IntervalConfig(kind="profile"))
    assert not ranked_intervals(fit).is_lopsided.any()
