"""Errors island by island: the dense inverse's own diagonal, and draws that have its covariance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.pair_counts import count_votes
from penchant.errors import DataError
from penchant.fitting import paired_errors, paired_islands
from penchant.fitting.paired import PairedConfig, fit_paired
from penchant.fitting.paired_errors import curvature_errors
from penchant.fitting.paired_intervals import point_of


def archipelago(seed, num_votes=120, sizes=(1, 2, 2, 3, 5, 2)):
    """Votes within islands of these sizes, their items in any order; every third is a tie."""
    rng = np.random.default_rng(seed)
    island = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    first = rng.choice(np.flatnonzero(np.isin(island, np.flatnonzero(np.array(sizes) > 1))),
                       num_votes)  # fmt: skip
    second = np.array([
        rng.choice(np.flatnonzero((island == island[i]) & (np.arange(len(island)) != i)))
        for i in first
    ])  # fmt: skip
    names = tuple(f"item {i}" for i in range(len(island)))
    return count_votes(names, first, second, rng.integers(0, 3, num_votes))


@given(st.integers(0, 2**31), st.sampled_from(["half", "davidson", "rao_kupper"]),
       st.sampled_from([None, 0.7]), st.sampled_from([15, 120]))  # fmt: skip
@settings(max_examples=30)
def test_errors_of_islands_are_the_dense_ones(seed, ties, scale, num_votes):
    counts = archipelago(seed, num_votes)
    point = point_of(fit_paired(counts, PairedConfig(ties=ties, prior_scale=scale)))
    dense = curvature_errors(point)
    found = paired_islands.island_errors(point.information, 4, np.random.default_rng(0))
    seen = np.isfinite(dense.se)
    np.testing.assert_allclose(np.sqrt(found.variance[seen]), dense.se[seen], rtol=1e-7, atol=1e-9)


def test_draws_on_islands_have_the_covariance_of_the_strengths():
    point = point_of(fit_paired(archipelago(0)))
    covariance = curvature_errors(point).covariance
    draws = paired_islands.island_errors(point.information, 40_000, np.random.default_rng(0)).draws
    seen = np.isfinite(np.diag(covariance))
    np.testing.assert_allclose(
        np.cov(draws[:, seen], rowvar=False), covariance[np.ix_(seen, seen)], atol=0.03
    )


def test_many_items_on_small_islands_have_exact_errors(monkeypatch):
    point = point_of(fit_paired(archipelago(1)))
    dense = curvature_errors(point)
    monkeypatch.setattr(paired_errors, "MOST_DENSE", 0)
    found = curvature_errors(point)
    assert found.accuracy == 0.0
    np.testing.assert_allclose(found.se, dense.se, rtol=1e-7)
    monkeypatch.setattr(paired_islands, "MOST_ON_ISLAND", 4)
    assert curvature_errors(point).accuracy > 0.0


def test_an_infinite_gap_on_an_island_has_no_error():
    point = point_of(fit_paired(archipelago(2)))
    information = point.information
    information.weight[information.island[information.first] == 3] = 0.0
    with pytest.raises(DataError, match="infinitely far apart"):
        paired_islands.island_errors(information, 1, np.random.default_rng(0))
