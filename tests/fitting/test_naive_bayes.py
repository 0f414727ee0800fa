"""Naive Bayes by hand, found again, and refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.fitting.naive_bayes import fit_naive_bayes


def test_shares_are_those_counted_by_hand():
    model = fit_naive_bayes(np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 3.0]]), np.array([0, 0, 1]))
    np.testing.assert_allclose(np.exp(model.log_prior), [2 / 3, 1 / 3])
    np.testing.assert_allclose(np.exp(model.log_share), [[4 / 6, 2 / 6], [1 / 5, 4 / 5]])
    joint = np.array([2 / 3 * (4 / 6) ** 2 * (2 / 6), 1 / 3 * (1 / 5) ** 2 * (4 / 5)])
    said = np.exp(model.log_prob(np.array([[2.0, 1.0]])))
    np.testing.assert_allclose(said[0], joint / joint.sum())


@given(st.integers(0, 1000))
def test_a_text_said_twice_is_twice_the_evidence_and_an_empty_one_is_none(seed):
    rng = np.random.default_rng(seed)
    counts, kind = rng.poisson(1.0, size=(20, 5)).astype(float), np.arange(20) % 3
    model = fit_naive_bayes(counts, kind)
    np.testing.assert_allclose(
        model.log_likelihood(2 * counts), 2 * model.log_likelihood(counts), atol=1e-9
    )
    np.testing.assert_allclose(model.log_prob(np.zeros((1, 5)))[0], model.log_prior)
    np.testing.assert_allclose(np.exp(model.log_prob(counts)).sum(axis=1), 1.0)


def test_the_shares_of_each_kind_are_found_again():
    rng = np.random.default_rng(0)
    shares, kind = rng.dirichlet(np.ones(10), size=2), np.arange(4000) % 2
    counts = np.array([rng.multinomial(20, shares[k]) for k in kind]).astype(float)
    model = fit_naive_bayes(counts, kind)
    np.testing.assert_allclose(np.exp(model.log_share), shares, atol=0.01)


def test_kinds_without_a_text_and_smoothing_of_nothing_are_refused():
    with pytest.raises(DataError, match="every kind"):
        fit_naive_bayes(np.ones((2, 3)), np.array([0, 2]))
    with pytest.raises(DataError, match="0 or more"):
        fit_naive_bayes(-np.ones((2, 3)), np.array([0, 1]))
    with pytest.raises(ConfigError, match="smoothing"):
        fit_naive_bayes(np.ones((2, 3)), np.array([0, 1]), smoothing=0.0)
