"""Several rewards from ratings: the evidence, missing ratings, and what is refused."""

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.fitting.attribute_heads import fit_attribute_heads


def rated(seed, num=300, dims=8, noise=(0.5, 3.0), scale=(1.0, 0.2)):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(num, dims)) + 2.0
    weights = rng.normal(size=(dims, 2)) * scale
    ratings = 50.0 + features @ weights + noise * rng.normal(size=(num, 2))
    return features, ratings, weights, rng


def test_weights_noise_and_scale_are_found_again():
    features, ratings, weights, _ = rated(0, num=4000, dims=60)
    heads = fit_attribute_heads(features, ratings)
    np.testing.assert_allclose(heads.weights[:, 0], weights[:, 0], atol=0.05)
    np.testing.assert_allclose(heads.weights[:, 1], weights[:, 1], atol=0.2)
    np.testing.assert_allclose(heads.noise, [0.5, 3.0], rtol=0.05)
    np.testing.assert_allclose(heads.prior_scale, [1.0, 0.2], rtol=0.3)
    np.testing.assert_allclose(heads.intercept, 50.0, atol=1.0)


def test_the_scale_and_noise_are_those_of_the_largest_evidence():
    features, ratings, _, _ = rated(1, num=40)
    x, y = features - features.mean(axis=0), ratings[:, 0] - ratings[:, 0].mean()

    def evidence(scale, noise):
        # The mean took one degree of freedom: its direction is left out.
        basis = np.linalg.svd(np.eye(40) - 1 / 40)[0][:, :39]
        cover = basis.T @ (scale**2 * x @ x.T + noise**2 * np.eye(40)) @ basis
        z = basis.T @ y
        return -0.5 * (np.linalg.slogdet(cover)[1] + z @ np.linalg.solve(cover, z))

    head = fit_attribute_heads(features, ratings)
    scale, noise = head.prior_scale[0], head.noise[0]
    top = evidence(scale, noise)
    for factor in (0.9, 1.1):
        assert evidence(scale * factor, noise) < top
        assert evidence(scale, noise * factor) < top


def test_a_missing_rating_is_no_rating_and_attributes_do_not_meet():
    features, ratings, _, rng = rated(2)
    holes = ratings.copy()
    holes[rng.random(300) < 0.5, 1] = np.nan
    whole, part = fit_attribute_heads(features, ratings), fit_attribute_heads(features, holes)
    np.testing.assert_array_equal(whole.weights[:, 0], part.weights[:, 0])
    kept = np.isfinite(holes[:, 1])
    alone = fit_attribute_heads(features[kept], holes[kept, 1:])
    np.testing.assert_allclose(part.weights[:, 1], alone.weights[:, 0], atol=1e-12)
    assert np.isfinite(part.rewards(features)).all()


def test_a_given_scale_is_ridge_regression_and_ratings_that_never_differ_have_no_weights():
    features, ratings, _, _ = rated(3)
    heads = fit_attribute_heads(features, ratings, prior_scale=0.4)
    x, y = features - features.mean(axis=0), ratings[:, 0] - ratings[:, 0].mean()
    ridge = (heads.noise[0] / 0.4) ** 2
    np.testing.assert_allclose(
        heads.weights[:, 0], np.linalg.solve(x.T @ x + ridge * np.eye(8), x.T @ y), atol=1e-9
    )
    flat = fit_attribute_heads(features, np.full((300, 1), 7.0))
    np.testing.assert_allclose(flat.weights, 0.0, atol=1e-6)
    np.testing.assert_allclose(flat.rewards(features), 7.0, atol=1e-4)


def test_what_cannot_be_fitted_is_refused():
    features, ratings, _, _ = rated(4, num=5)
    with pytest.raises(ConfigError, match="prior_scale=0"):
        fit_attribute_heads(features, ratings, prior_scale=0.0)
    ratings[1:, 1] = np.nan
    with pytest.raises(DataError, match=r"\[5, 1\] ratings"):
        fit_attribute_heads(features, ratings)
