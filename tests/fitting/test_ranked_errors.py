"""Errors of Plackett-Luce strengths: scores against differences, sandwiches against resamples."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.rankings import Rankings
from penchant.fitting.ranked import RankedDensity, fit_ranked
from penchant.fitting.ranked_errors import bootstrap_rankings, ranked_covariance, ranking_scores


def made(seed=0, num=60, N=6, size=4, has_ties=True, taste=0.0):
    """Partial rankings of menus of four of six items, some of them with ties, some top-one."""
    rng = np.random.default_rng(seed)
    truth = np.linspace(1, -1, N)
    item = np.array([rng.permutation(N)[:size] for _ in range(num)])
    own = truth + taste * rng.standard_normal((num, N))
    noisy = np.take_along_axis(own, item, axis=1) + rng.gumbel(size=item.shape)
    item = np.take_along_axis(item, np.argsort(-noisy, axis=1), axis=1)
    tier = np.tile(np.arange(size), (num, 1))
    tier[::3] = np.minimum(tier[::3], 1)
    if has_ties:
        tier[1::3] = [0, 0, 1, 2]
    return Rankings(
        items=tuple("abcdef"[:N]), item=item.ravel().astype(np.int32), tier=tier.ravel(),
        start=np.arange(num + 1) * size, weight=np.ones(num),
    )  # fmt: skip


@pytest.mark.parametrize("has_ties", [False, True])
def test_scores_of_single_rankings_are_the_slopes_of_their_likelihoods(has_ties):
    rankings = made(num=12, has_ties=has_ties)
    strengths = np.random.default_rng(1).normal(size=6)
    found = ranking_scores(rankings, strengths).toarray()
    for r in range(12):
        density = RankedDensity(rankings.take(np.array([r])), None, np.zeros(6, dtype=np.int64))
        slopes = [
            (density.log_likelihood(strengths + e) - density.log_likelihood(strengths - e)) / 2e-5
            for e in 1e-5 * np.eye(6)
        ]
        np.testing.assert_allclose(found[r], slopes, atol=1e-6)


def test_equal_rankings_and_a_weight_say_the_same():
    rankings = made(num=40)
    twice = rankings.take(np.repeat(np.arange(40), 3))
    weighted = replace(rankings, weight=np.full(40, 3.0))
    for trust in ("model", "rankings"):
        one, two = (ranked_covariance(fit_ranked(r), trust) for r in (twice, weighted))
        np.testing.assert_allclose(one, two, atol=1e-8)


def test_where_the_model_is_true_the_sandwich_is_the_curvature():
    fit = fit_ranked(made(num=3000))
    np.testing.assert_allclose(
        np.diag(ranked_covariance(fit, "rankings")), np.diag(ranked_covariance(fit)), rtol=0.15
    )


def test_resamples_spread_as_the_sandwich_says_where_people_differ():
    fit = fit_ranked(made(num=250, has_ties=False, taste=2.0))
    draws = bootstrap_rankings(fit, 150, np.random.default_rng(0))
    robust = np.sqrt(np.diag(ranked_covariance(fit, "rankings")))
    assert np.median(draws.std(axis=0) / robust) == pytest.approx(1.0, abs=0.15)
    np.testing.assert_allclose(draws.mean(axis=1), 0.0, atol=1e-9)


def test_beside_an_unbeaten_item_errors_are_those_of_the_others():
    strict = made(num=200, has_ties=False)
    start = np.arange(201) * 5
    item = np.insert(strict.item.reshape(-1, 4), 0, 6, axis=1).ravel()
    tier = np.insert(strict.tier.reshape(-1, 4) + 1, 0, 0, axis=1).ravel()
    joined = replace(strict, items=(*strict.items, "best"), item=item, tier=tier, start=start)
    for trust in ("model", "rankings"):
        before = ranked_covariance(fit_ranked(strict), trust)
        after = ranked_covariance(fit_ranked(joined), trust)
        np.testing.assert_allclose(np.diag(after)[:6], np.diag(before), rtol=0.02)
