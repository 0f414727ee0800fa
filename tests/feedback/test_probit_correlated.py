"""GHK against the multivariate normal distribution function and the independent probit."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from feedback.likelihood_checks import (
    bind,
    check_curvature_by_differences,
    check_kinds_of_people_broadcast,
    check_score_by_differences,
)
from penchant.feedback import probit, probit_correlated
from penchant.numerics.draws import draw_uniforms


def even_draws(num, dimensions):
    return draw_uniforms("halton", 1, dimensions, num, np.random.default_rng(0))[0].T


def covariance(parameters, size):
    """Of the errors, with the first one's taken as the zero."""
    factor = np.zeros((size - 1, size - 1))
    factor[np.tril_indices(size - 1)] = [np.sqrt(2.0), *parameters]
    inner = np.arange(1, size - 1)
    factor[inner, inner] = np.exp(factor[inner, inner])
    full = np.zeros((size, size))
    full[1:, 1:] = factor @ factor.T
    return full


@pytest.mark.parametrize("size", [2, 3, 4, 6])
def test_simulated_choices_are_orthant_probabilities_of_a_normal(size):
    rng = np.random.default_rng(size)
    u, chosen = rng.normal(size=(size, size)), np.arange(size)
    parameters = probit_correlated.independent_parameters(size)
    parameters = parameters + 0.3 * rng.normal(size=parameters.shape)
    all_there = np.ones((size, size), dtype=bool)
    got = probit_correlated.log_prob(
        u, all_there, chosen, even_draws(4000, size - 1), parameters[None]
    )
    errors = covariance(parameters, size)
    for b in range(size):
        contrast = np.delete(np.eye(size), b, axis=0) - np.eye(size)[b]
        expected = multivariate_normal.cdf(
            -contrast @ u[b], cov=contrast @ errors @ contrast.T, rng=np.random.default_rng(0)
        )
        np.testing.assert_allclose(np.exp(got[b]), expected, rtol=5e-3)


@pytest.mark.parametrize("size", [3, 5])
def test_independent_parameters_give_the_independent_probit_with_options_missing_too(size):
    rng = np.random.default_rng(size)
    u, offered = rng.normal(size=(8, size)), rng.random((8, size)) < 0.7
    chosen = rng.integers(0, size, 8)
    offered[np.arange(8), chosen] = True
    parameters = probit_correlated.independent_parameters(size)[None]
    got = probit_correlated.log_prob(u, offered, chosen, even_draws(8000, size - 1), parameters)
    np.testing.assert_allclose(got, probit.log_prob(u, offered, chosen), atol=2e-3)
    table = probit_correlated.probabilities(u, offered, even_draws(200, size - 1), parameters)
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    assert not table[~offered].any()


def test_slopes_and_bends_with_four_alternatives():
    rng = np.random.default_rng(9)
    u, offered = rng.normal(size=(5, 4)), rng.random((5, 4)) < 0.8
    chosen = rng.integers(0, 4, 5)
    offered[np.arange(5), chosen] = True
    parameters = probit_correlated.independent_parameters(4)[None] + 0.2 * rng.normal(size=(1, 5))
    case = bind(probit_correlated, u, parameters, offered, chosen, even_draws(16, 3))
    check_score_by_differences(case)
    check_curvature_by_differences(case, atol=1e-6)
    check_kinds_of_people_broadcast(case, atol=1e-7)
