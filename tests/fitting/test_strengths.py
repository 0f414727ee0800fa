"""A normal belief over strengths: its mode, its width, its scale, and what one vote adds."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.beliefs.strengths import Strengths
from penchant.data.pair_counts import PairCounts
from penchant.errors import ConfigError, DataError
from penchant.fitting.strengths import fit_strengths


def votes(strengths, num_votes, rng):
    size = len(strengths)
    first, second = (index.astype(np.int32) for index in np.triu_indices(size, 1))
    p = 1 / (1 + np.exp(strengths[second] - strengths[first]))
    wins = rng.binomial(num_votes, p).astype(float)
    return PairCounts(
        items=tuple(f"i{k}" for k in range(size)), first=first, second=second,
        first_wins=wins, second_wins=num_votes - wins, ties=np.zeros(len(wins)),
    )  # fmt: skip


@pytest.mark.parametrize(("prior_scale", "least"), [(1.5, 0.92), (None, 0.86)])
def test_intervals_of_gaps_cover_the_truth_as_often_as_they_say(prior_scale, least):
    # A scale learnt from eight items is too small as often as not; 100 worlds gave 0.90.
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(40):
        truth = 1.5 * rng.normal(size=8)
        belief = fit_strengths(votes(truth, 3, rng), prior_scale=prior_scale)
        first, second = np.triu_indices(8, 1)
        mean, spread = belief.gaps(first, second)
        inside.append(np.abs(mean - (truth[first] - truth[second])) < 1.96 * spread)
    assert least <= np.mean(inside) <= 0.98


def test_the_scale_is_learnt():
    rng = np.random.default_rng(1)
    for scale in (0.3, 1.0, 3.0):
        found = [fit_strengths(votes(scale * rng.normal(size=30), 6, rng)) for _ in range(5)]
        assert np.mean([one.prior_scale for one in found]) == pytest.approx(scale, rel=0.25)


def test_the_mode_has_no_slope_and_the_covariance_inverts_the_curvature():
    rng = np.random.default_rng(2)
    counts = votes(rng.normal(size=5), 7, rng)
    belief = fit_strengths(counts, prior_scale=2.0)

    def log_density(r):
        gap = r[counts.first] - r[counts.second]
        return (
            -counts.first_wins @ np.log1p(np.exp(-gap))
            - counts.second_wins @ np.log1p(np.exp(gap)) - r @ r / 8
        )  # fmt: skip

    step = 1e-4
    basis = step * np.eye(5)
    slope = [log_density(belief.mean + e) - log_density(belief.mean - e) for e in basis]
    np.testing.assert_allclose(np.array(slope) / (2 * step), 0.0, atol=1e-6)
    bend = [[
        log_density(belief.mean + a + b) - log_density(belief.mean + a - b)
        - log_density(belief.mean - a + b) + log_density(belief.mean - a - b)
        for b in basis] for a in basis]  # fmt: skip
    np.testing.assert_allclose(
        -np.array(bend) / (4 * step**2) @ belief.covariance, np.eye(5), atol=1e-4
    )


def test_one_more_observation_is_one_more_row_of_information():
    rng = np.random.default_rng(3)
    belief = fit_strengths(votes(rng.normal(size=6), 4, rng))
    contrast = np.eye(6)[1] - np.eye(6)[4]
    information = np.linalg.inv(belief.covariance) + 0.2 * np.outer(contrast, contrast)
    np.testing.assert_allclose(belief.after(1, 4, 0.2), np.linalg.inv(information), atol=1e-10)


def test_draws_have_the_mean_and_covariance():
    rng = np.random.default_rng(4)
    belief = fit_strengths(votes(rng.normal(size=4), 5, rng))
    draws = belief.draw(40_000, rng)
    np.testing.assert_allclose(draws.mean(axis=0), belief.mean, atol=0.03)
    np.testing.assert_allclose(np.cov(draws.T), belief.covariance, atol=0.05)
    above = (draws[:, 0] > draws[:, 3]).mean()
    assert belief.above(np.array([0]), np.array([3]))[0] == pytest.approx(above, abs=0.01)


def test_before_any_vote_the_belief_is_the_prior():
    counts = votes(np.zeros(3), 1, np.random.default_rng(0))
    silent = replace(counts, first_wins=np.zeros(3), second_wins=np.zeros(3))
    belief = fit_strengths(silent)
    np.testing.assert_allclose(belief.mean, 0.0)
    np.testing.assert_allclose(belief.covariance, np.eye(3))


def test_an_item_that_always_wins_stays_finite():
    counts = votes(np.array([30.0, 0.0, 0.0]), 10, np.random.default_rng(0))
    belief = fit_strengths(counts)
    assert belief.converged
    assert 1.0 < belief.mean[0] - belief.mean[1] < 30.0


def test_odd_scales_and_shapes_are_refused():
    counts = votes(np.zeros(3), 1, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="expected a positive standard deviation"):
        fit_strengths(counts, prior_scale=0.0)
    with pytest.raises(DataError, match="strengths of 2 items"):
        Strengths(items=("a", "b"), mean=np.zeros(3), covariance=np.eye(3), prior_scale=1.0)
