"""Worth by nearness: slopes of distances, and the identities that tie distances to known utilities
(I7)."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from penchant.feedback import choice
from penchant.numerics.arrays import softmax
from penchant.utilities import distance, ideal_point

KINDS = {
    "euclidean": distance.euclidean,
    "manhattan": distance.manhattan,
    "minkowski": distance.minkowski,
    "cosine": distance.cosine,
    "bray_curtis": distance.bray_curtis,
}
SEEDS = st.integers(0, 10_000)


def world(seed, num=5, points=3, dims=4):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 2.0, size=(num, dims)), rng.uniform(0.1, 2.0, size=(points, dims))


@pytest.mark.parametrize("kind", KINDS)
@given(SEEDS)
def test_slopes_are_those_of_finite_differences(kind, seed):
    features, points = world(seed)
    # At the kinks of |x - w| there is no slope.
    assume(np.abs(features[:, None] - points).min() > 1e-5)
    found = KINDS[kind](features, points)
    for k, d in np.ndindex(points.shape):
        step = np.zeros(points.shape)
        step[k, d] = 1e-6
        ahead = KINDS[kind](features, points + step).distance
        behind = KINDS[kind](features, points - step).distance
        np.testing.assert_allclose(
            (ahead - behind)[:, k] / 2e-6, found.slope[:, k, d], rtol=1e-4, atol=2e-5
        )


@pytest.mark.parametrize("kind", KINDS)
@given(SEEDS)
def test_distances_are_positive_symmetric_and_nothing_to_oneself(kind, seed):
    features, points = world(seed)
    there = KINDS[kind](features, points).distance
    np.testing.assert_allclose(there, KINDS[kind](points, features).distance.T, rtol=1e-9)
    assert np.all(there > 0)
    own = KINDS[kind](features, features).distance
    assert np.all(np.diag(own) < 1e-5)


@given(SEEDS)
def test_cosine_does_not_mind_lengths_and_bray_curtis_not_a_common_unit(seed):
    features, points = world(seed)
    scale = np.random.default_rng(seed).uniform(0.1, 10.0, size=(5, 1))
    one, same = distance.cosine(features, points), distance.cosine(scale * features, points)
    np.testing.assert_allclose(one.distance, same.distance, atol=1e-9)
    one, same = (distance.bray_curtis(c * features, c * points) for c in (1.0, 7.0))
    np.testing.assert_allclose(one.distance, same.distance, rtol=1e-9)


@given(SEEDS, st.floats(0.5, 20.0))
def test_a_harmonic_head_is_the_conditional_logit_of_minus_n_log_d(seed, power):
    features, points = world(seed)
    d = distance.euclidean(features, points).distance
    harmonic = d**-power / (d**-power).sum(axis=1, keepdims=True)
    worths = distance.harmonic_worths(d, power)
    offered, chosen = np.ones(d.shape, dtype=bool), np.arange(5) % 3
    np.testing.assert_allclose(
        choice.log_prob(worths, offered, chosen), np.log(harmonic[np.arange(5), chosen]), atol=1e-9
    )
    # The unit of the distance is gauge.
    np.testing.assert_allclose(
        softmax(distance.harmonic_worths(9.0 * d, power), axis=1), harmonic, atol=1e-12
    )


@given(SEEDS)
def test_an_ideal_point_is_an_inner_product_plus_a_radial_term_and_on_the_sphere_no_more(seed):
    features, points = world(seed)
    menu = np.broadcast_to(points, (1, *points.shape))
    one = np.ones(4)
    worths = ideal_point.worths(menu, features[0], one)[0]
    split = 2.0 * points @ features[0] - (points**2).sum(axis=1)
    np.testing.assert_allclose(worths - worths[0], split - split[0], atol=1e-9)
    sphere = points / np.linalg.norm(points, axis=1, keepdims=True)
    near = ideal_point.worths(sphere[None], features[0], one)[0]
    inner = 2.0 * sphere @ features[0]
    np.testing.assert_allclose(near - near[0], inner - inner[0], atol=1e-9)


@given(SEEDS)
def test_a_bell_is_the_ideal_point_of_its_precision_and_a_normal_density_but_for_a_constant(seed):
    features, points = world(seed)
    scale = np.random.default_rng(seed).uniform(0.2, 2.0, size=4)
    said = distance.bell_worths(features, points[0], scale)
    quadratic = ideal_point.worths(features[None], points[0], 0.5 / scale**2)[0]
    np.testing.assert_allclose(said, quadratic, atol=1e-9)
    assert np.all(np.exp(said) <= 1.0)
    np.testing.assert_allclose(distance.bell_worths(points[:1], points[0], scale), 0.0)


def test_overlap_is_that_of_the_densities_by_integration():
    grid = np.linspace(-15.0, 15.0, 20_001)

    def density(centre, scale):
        return np.exp(-0.5 * ((grid - centre) / scale) ** 2) / (scale * np.sqrt(2 * np.pi))

    for centre, scale, other, its in ((0.0, 1.0, 0.5, 2.0), (-1.0, 0.3, 1.0, 0.7)):
        shared = np.trapezoid(np.sqrt(density(centre, scale) * density(other, its)), grid)
        said = distance.overlap_worths(*(np.array([x]) for x in (centre, scale, other, its)))
        assert np.exp(said) == pytest.approx(shared, rel=1e-6)
