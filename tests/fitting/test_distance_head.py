"""A head that chooses by nearness: its slope, points found again, what it refuses."""

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.fitting import distance_head
from penchant.fitting.distance_head import fit_distance_head
from penchant.fitting.lbfgs import climb_lbfgs
from penchant.numerics.arrays import softmax
from penchant.utilities.distance import bray_curtis, cosine, euclidean, harmonic_worths, manhattan


def choices(points, power, num, rng, distance=euclidean):
    features = rng.normal(size=(num, points.shape[1]))
    p = softmax(harmonic_worths(distance(features, points).distance, power), axis=1)
    return features, (rng.random(num)[:, None] > np.cumsum(p, axis=1)).sum(axis=1)


@pytest.mark.parametrize("distance", [euclidean, cosine])
def test_points_are_found_again(distance):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4, 3))
    features, chosen = choices(points, 4.0, 20_000, rng, distance)
    head = fit_distance_head(features, chosen, distance=distance, power=4.0, prior_scale=20.0)
    assert head.converged
    found, true = head.points, points
    if distance is cosine:
        found, true = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (found, true))
    np.testing.assert_allclose(found, true, atol=0.08)
    told = np.log(head.probabilities(features)[np.arange(len(chosen)), chosen]).sum()
    assert told == pytest.approx(head.log_likelihood, rel=1e-9)


@pytest.mark.parametrize("distance", [euclidean, cosine, manhattan, bray_curtis])
def test_the_climb_follows_the_slope_of_what_it_climbs(distance, monkeypatch):
    rng = np.random.default_rng(1)
    features = rng.uniform(0.1, 1.0, size=(30, 3))
    chosen, seen = np.arange(30) % 3, []

    def spied(slope, start, **options):
        seen.append(slope)
        return climb_lbfgs(slope, start, **options)

    monkeypatch.setattr(distance_head, "climb_lbfgs", spied)
    fit_distance_head(features, chosen, distance=distance)
    theta = 0.1 * rng.normal(size=9)
    numeric = [
        (seen[0](theta + e).value - seen[0](theta - e).value) / 2e-6 for e in 1e-6 * np.eye(9)
    ]
    np.testing.assert_allclose(seen[0](theta).gradient, numeric, rtol=1e-4, atol=1e-5)


def test_a_tight_prior_leaves_points_at_the_means_of_who_chose_them():
    rng = np.random.default_rng(2)
    features, chosen = choices(rng.normal(size=(3, 2)), 2.0, 200, rng)
    head = fit_distance_head(features, chosen, prior_scale=1e-4)
    means = [features[chosen == k].mean(axis=0) for k in range(3)]
    np.testing.assert_allclose(head.points, means, atol=1e-3)


def test_what_cannot_be_fitted_is_refused():
    features, chosen = np.ones((3, 2)), np.array([0, 1, 1])
    with pytest.raises(DataError, match="not all finite"):
        fit_distance_head(features * np.nan, chosen)
    with pytest.raises(DataError, match="chosen by nobody"):
        fit_distance_head(features, np.array([0, 2, 2]))
    with pytest.raises(ConfigError, match="positive"):
        fit_distance_head(features, chosen, power=0.0)
