"""A density curve: a loop beside it, its area, and what moves with the values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.metrics.density import density_curve

samples = st.lists(st.tuples(st.floats(-20, 20), st.floats(0.1, 3)), min_size=2, max_size=25).map(
    lambda pairs: np.array(pairs).T
)


@given(samples, st.floats(0.3, 5))
def test_the_curve_is_that_of_a_loop_over_values_and_points(sample, bandwidth):
    values, weights = sample
    points = np.linspace(-25, 25, 11)
    slow = [
        sum(
            w * math.exp(-0.5 * ((x - v) / bandwidth) ** 2) / (bandwidth * math.sqrt(2 * math.pi))
            for v, w in zip(values, weights)
        )
        / weights.sum()
        for x in points
    ]
    # Counting in bins moves a value by a twentieth of the bandwidth at most.
    np.testing.assert_allclose(
        density_curve(values, weights, points, bandwidth), slow, atol=0.02 / bandwidth
    )


@given(samples)
def test_the_area_under_the_curve_is_one_whatever_the_weights_add_to(sample):
    values, weights = sample
    points = np.linspace(values.min() - 60, values.max() + 60, 20_001)
    step = points[1] - points[0]
    area = density_curve(values, weights, points, 1.0).sum() * step
    assert area == pytest.approx(1.0, abs=1e-6)


@given(samples)
def test_what_is_not_finite_or_weighs_nothing_does_not_count(sample):
    values, weights = sample
    points = np.linspace(-5, 5, 7)
    more = np.concatenate([values, [np.nan, np.inf, 0.0]])
    weighed = np.concatenate([weights, [1.0, 1.0, 0.0]])
    np.testing.assert_array_equal(
        density_curve(more, weighed, points), density_curve(values, weights, points)
    )


def test_the_default_width_follows_a_normal_sample_and_not_its_few_outliers():
    drawn = np.random.default_rng(0).standard_normal(20_000)
    values = np.concatenate([drawn, [1e6, -1e6]])
    points = np.linspace(-2.5, 2.5, 41)
    truth = np.exp(-0.5 * points**2) / math.sqrt(2 * math.pi)
    found = density_curve(values, np.ones(len(values)), points)
    np.testing.assert_allclose(found, truth, atol=0.03)


def test_equal_values_have_no_curve():
    assert not density_curve(np.ones(5), np.ones(5), np.linspace(0, 2, 5)).any()


def test_values_next_to_nothing_have_a_density_far_from_them_too():
    # In units of their spread the points are 1e160 away, whose square is no number.
    curve = density_curve(np.array([0.0, 1.2e-160]), np.ones(2), np.array([-5.0, 0.0, 5.0]))
    assert curve[1] > 0.0
    assert curve[[0, 2]].tolist() == [0.0, 0.0]
