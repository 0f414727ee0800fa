"""Spreads by the evidence, where the evidence has a top that can be written down."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.fitting.shrinkage import LARGEST, SMALLEST, Mode, Shrinkage, learn_spreads


def measured(values, errors):
    """Coefficients that were measured with known errors: mode and covariance in closed form."""

    def climb(precision, start):
        total = precision + errors**-2.0
        mode = values * errors**-2.0 / total
        return Mode(theta=mode, covariance=np.diag(1.0 / total), fit=precision)

    return climb


@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.5, 1.0]))
@settings(max_examples=30, deadline=None)
def test_the_spread_is_that_of_the_measurements_less_their_error(seed, error):
    # Of y = theta + error, theta ~ N(0, tau^2), the likelihood of tau is largest where
    # tau^2 + error^2 = mean of y^2; units of a feature divide its coefficient.
    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.uniform(-3, 3, 60)
    values = rng.normal(size=60) * 2.0
    families = np.repeat([0, 1], 30)
    shrinkage = Shrinkage(
        families=tuple(families.tolist()), names=("a", "b"), rounds=500, tolerance=1e-9
    )
    found = learn_spreads(
        measured(values / scales, error / scales), shrinkage, scales, np.zeros(60)
    )
    for family in (0, 1):
        top = np.mean(values[families == family] ** 2) - error**2
        assert found.spreads[family] == pytest.approx(np.sqrt(top), rel=1e-5)
    np.testing.assert_allclose(found.precision, (scales / found.spreads[families]) ** 2)


def test_coefficients_of_no_family_keep_the_prior_they_had():
    base = np.array([0.0, 4.0, 0.0, 0.0])
    shrinkage = Shrinkage(families=(-1, -1, 0, 0), names=("some",))
    values, errors = np.array([1.0, 2.0, 3.0, -1.0]), np.full(4, 0.5)
    found = learn_spreads(measured(values, errors), shrinkage, np.ones(4), base)
    np.testing.assert_array_equal(found.precision[:2], base[:2])
    np.testing.assert_array_equal(found.fit, found.precision)
    assert np.all(found.precision[2:] > 0)


@pytest.mark.parametrize(("size", "spread"), [(0.0, SMALLEST), (1e4, LARGEST)])
def test_a_family_of_nothing_goes_and_one_without_bound_stays_bounded(size, spread):
    shrinkage = Shrinkage(families=(0,) * 5, names=("some",), rounds=100)
    climb = measured(np.full(5, size), np.ones(5))
    assert learn_spreads(climb, shrinkage, np.ones(5), np.zeros(5)).spreads[0] == spread
