"""An ideal point is an inner product plus a radial term."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.utilities.ideal_point import ideal_point, worths


@given(st.floats(-5, 5), st.floats(0.01, 5), st.integers(0, 1000))
def test_the_part_worths_of_x_and_its_square_give_the_ideal_point_back(ideal, curvature, seed):
    x = np.random.default_rng(seed).normal(size=(3, 4, 1))
    unfolded = worths(x, np.array([ideal]), np.array([curvature]))
    linear = 2 * curvature * ideal * x[..., 0] - curvature * x[..., 0] ** 2
    # Equal but for a constant, which no menu can see.
    difference = unfolded - linear
    np.testing.assert_allclose(difference, difference[0, 0], atol=1e-9)
    found = ideal_point(2 * curvature * ideal, -curvature, np.eye(2))
    assert found.position == pytest.approx(ideal, abs=1e-9)
    assert found.curvature == pytest.approx(curvature)


def test_its_error_is_that_of_simulated_estimates():
    rng = np.random.default_rng(0)
    covariance = np.array([[0.02, 0.005], [0.005, 0.01]])
    draws = rng.multivariate_normal([3.0, -2.0], covariance, size=200_000)
    simulated = np.std(-0.5 * draws[:, 0] / draws[:, 1])
    assert ideal_point(3.0, -2.0, covariance).se == pytest.approx(simulated, rel=0.03)


def test_without_a_square_there_is_no_ideal_point():
    with pytest.raises(ConfigError, match="x:x"):
        ideal_point(1.0, 0.0, np.eye(2))
