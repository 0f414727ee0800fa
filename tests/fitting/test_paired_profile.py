"""Lopsided intervals: against full refits and arithmetic, honest where votes bound nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.paired_twin import fit_slowly, log_posterior, simulated_counts
from penchant.data.pair_counts import PairCounts
from penchant.fitting.paired_errors import curvature_errors
from penchant.fitting.paired_information import PairedPoint
from penchant.fitting.paired_prior import weak_prior
from penchant.fitting.paired_profile import (
    exact_profile,
    lopsidedness,
    opponents_variance,
    posterior_ends,
    profile_ends,
)
from penchant.numerics.graph import connectivity

Z = 1.959963984540054


def pair(wins, losses, ties=0.0):
    return PairCounts(
        items=("a", "b"), first=np.array([0]), second=np.array([1]),
        first_wins=np.array([wins]), second_wins=np.array([losses]), ties=np.array([ties]),
    )  # fmt: skip


def weakly(counts, scale=5.0, **model):
    found = connectivity(
        counts.first, counts.second, counts.first_wins + counts.ties,
        counts.second_wins + counts.ties, counts.num_items,
    )  # fmt: skip
    return fit_slowly(counts, prior=weak_prior(scale, found), **model)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.5, 3.0))
def test_two_items_have_the_binomial_likelihood_interval(wins, losses, cutoff):
    point = fit_slowly(pair(float(wins), float(losses)))
    found = profile_ends(point, curvature_errors(point).se, np.array([0, 1]), np.full(2, cutoff))

    def fall(gap):
        best = np.log(wins / losses)

        def log_lik(d):
            return -wins * np.logaddexp(0, -d) - losses * np.logaddexp(0, d)

        return 2 * (log_lik(best) - log_lik(gap))

    # A strength is half the gap in the gauge of mean zero.
    for end in (found.low[0], found.high[0], found.low[1], found.high[1]):
        assert fall(2 * end if end in (found.low[0], found.high[0]) else -2 * end) == pytest.approx(
            cutoff**2, rel=1e-4
        )
    np.testing.assert_allclose(found.low[0], -found.high[1], atol=1e-6)


@pytest.mark.parametrize(
    ("ties", "tie"), [("half", -np.inf), ("davidson", -0.5), ("rao_kupper", -0.7)]
)
def test_the_profile_of_own_votes_is_that_of_full_refits(ties, tie):
    generator = np.random.default_rng(0)
    for _ in range(3):
        counts = simulated_counts(np.linspace(-2, 2, 12), 250, generator, ties=ties, tie=tie)
        point = fit_slowly(counts, ties=ties)
        if not np.isfinite(point.strengths).all() or np.abs(point.strengths).max() > 8:
            continue
        se = curvature_errors(point).se
        found = profile_ends(point, se, np.arange(12), np.full(12, Z))
        exact = np.array([exact_profile(point, item, Z) for item in range(12)])
        np.testing.assert_allclose(found.low, exact[:, 0], atol=0.1 * se.max())
        np.testing.assert_allclose(found.high, exact[:, 1], atol=0.1 * se.max())
        # Nearer than the symmetric interval is, where they differ.
        wald = point.strengths - Z * se
        assert np.abs(found.low - exact[:, 0]).sum() < 0.5 * np.abs(wald - exact[:, 0]).sum()


def test_full_refits_are_the_definition_of_the_profile():
    counts = simulated_counts(np.linspace(-1, 1, 5), 60, np.random.default_rng(1))
    point = fit_slowly(counts)
    low, high = exact_profile(point, 4, Z)
    top = log_posterior(np.append(point.strengths, 0.0), counts, "half", "logit", None)[0]
    for end in (low, high):
        # The constrained optimum by brute force: the other strengths on a long gradient climb.
        theta = np.append(point.strengths, 0.0)
        theta[4] = end * 5 / 4
        theta[:4] -= theta[:4].mean()
        for _ in range(5000):
            gradient = log_posterior(theta, counts, "half", "logit", None)[1][:4]
            theta[:4] += 0.05 * (gradient - gradient.mean())
        value = log_posterior(theta, counts, "half", "logit", None)[0]
        assert 2 * (top - value) == pytest.approx(Z**2, rel=1e-4)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_where_votes_abound_the_profile_is_the_symmetric_interval(seed):
    generator = np.random.default_rng(seed)
    counts = simulated_counts(np.linspace(-0.5, 0.5, 6), 20_000, generator)
    point = fit_slowly(counts)
    se = curvature_errors(point).se
    found = profile_ends(point, se, np.arange(6), np.full(6, Z))
    np.testing.assert_allclose(found.low, point.strengths - Z * se, atol=0.02 * se.max())
    np.testing.assert_allclose(found.high, point.strengths + Z * se, atol=0.02 * se.max())
    posterior = posterior_ends(point, se, np.arange(6), 0.95, 5.0)
    np.testing.assert_allclose(posterior.low, point.strengths - Z * se, atol=0.03 * se.max())
    np.testing.assert_allclose(posterior.high, point.strengths + Z * se, atol=0.03 * se.max())
    assert (lopsidedness(point) < 0.1).all()


@given(st.integers(1, 60))
def test_an_item_that_never_lost_has_the_exact_low_end_and_no_high_one(wins):
    point = weakly(pair(float(wins), 0.0))
    found = profile_ends(point, curvature_errors(point).se, np.array([0, 1]), np.full(2, Z))
    # p^wins = exp(-z^2 / 2) at the low end, and the strength is half the gap.
    p = np.exp(-0.5 * Z**2 / wins)
    low = 0.5 * np.log(p / (1 - p))
    assert found.low[0] == pytest.approx(low, abs=0.02 * abs(low) + 0.02)
    assert found.high[0] == np.inf
    assert np.isinf(lopsidedness(point)).all()
    both = posterior_ends(point, curvature_errors(point).se, np.array([0]), 0.95, 5.0)
    assert np.isfinite([both.low[0], both.high[0]]).all()


def test_the_posterior_is_the_integral_it_says():
    counts = simulated_counts(np.zeros(40), 40_000, np.random.default_rng(2))
    # A newcomer with 3 wins and no loss against well-known items of about equal strength.
    whole = PairCounts(
        items=(*counts.items, "new"),
        first=np.append(counts.first, [0, 1, 2]).astype(int),
        second=np.append(counts.second, [40, 40, 40]).astype(int),
        first_wins=np.append(counts.first_wins, np.zeros(3)),
        second_wins=np.append(counts.second_wins, np.ones(3)),
        ties=np.append(counts.ties, np.zeros(3)),
    )
    point = weakly(whole)
    found = posterior_ends(point, curvature_errors(point).se, np.array([40]), 0.9, 5.0)
    grid = np.linspace(-20, 40, 60_001)
    density = np.exp(
        -np.logaddexp(0, -(grid[:, None] - point.strengths[:3])).sum(axis=1) - grid**2 / 50
    )
    below = density.cumsum() / density.sum()
    for end, probability in ((found.low[0], 0.05), (found.high[0], 0.95)):
        assert np.interp(end, grid, below) == pytest.approx(probability, abs=0.005)


def test_opponents_add_what_errors_have_beyond_the_own_votes():
    counts = simulated_counts(np.zeros(8), 400, np.random.default_rng(3))
    point = fit_slowly(counts)
    se = curvature_errors(point).se
    alone = 1.0 / point.information.diagonal
    np.testing.assert_allclose(alone + opponents_variance(point, se), (se * 8 / 7) ** 2, rtol=1e-9)
    two = fit_slowly(pair(3.0, 2.0))
    # The only opponent is the gauge: its doubt is the item's own.
    np.testing.assert_allclose(opponents_variance(two, curvature_errors(two).se), 0.0, atol=1e-9)


def test_a_wider_cutoff_widens_and_a_prior_for_all_narrows():
    from penchant.fitting.paired_prior import normal_prior

    counts = simulated_counts(np.linspace(-2, 2, 8), 120, np.random.default_rng(5))
    point = weakly(counts)
    se = curvature_errors(point).se
    items = np.arange(8)
    narrow = profile_ends(point, se, items, np.full(8, 1.0))
    wide = profile_ends(point, se, items, np.full(8, 2.0))
    assert (wide.low < narrow.low).all()
    assert (wide.high >= narrow.high).all()
    found = connectivity(counts.first, counts.second, counts.first_wins, counts.second_wins, 8)
    held = fit_slowly(counts, prior=normal_prior(0.3, found))
    with_prior = profile_ends(held, curvature_errors(held).se, items, np.full(8, 2.0))
    assert (with_prior.high - with_prior.low < wide.high - wide.low).all()
    assert np.isfinite(with_prior.high).all()


def test_items_that_met_nobody_have_no_ends():
    counts = PairCounts(
        items=("a", "b", "c"), first=np.array([0]), second=np.array([1]),
        first_wins=np.array([4.0]), second_wins=np.array([3.0]), ties=np.zeros(1),
    )  # fmt: skip
    point = fit_slowly(counts)
    assert isinstance(point, PairedPoint)
    found = profile_ends(point, curvature_errors(point).se, np.array([2]), np.array([Z]))
    assert found.low[0] == -np.inf
    assert found.high[0] == np.inf
