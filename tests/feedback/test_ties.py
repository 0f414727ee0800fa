"""Exact ties and their limit."""

from itertools import permutations

import numpy as np
import pytest

from penchant.errors import DataError
from penchant.feedback import ranking, ties


def test_eight_tied_options_equal_the_sum_over_forty_thousand_orders():
    rng = np.random.default_rng(0)
    u, rest = rng.normal(size=8), 0.4
    orders = u[np.array(list(permutations(range(8))))]
    behind = np.logaddexp.accumulate(
        np.concatenate([np.full((len(orders), 1), rest), orders[:, ::-1]], axis=1), axis=1
    )[:, :0:-1]
    expected = np.logaddexp.reduce((orders - behind).sum(axis=1))
    np.testing.assert_allclose(ties.log_prob(u[None], np.array([rest]))[0], expected, rtol=1e-12)


def test_ranking_slopes_through_eight_tied_options():
    rng = np.random.default_rng(1)
    u = rng.normal(size=(2, 10))
    rank = np.array([[1] * 8 + [2, 0], [0, 1] + [2] * 8])
    offered = np.ones_like(u, dtype=bool)
    step = 1e-6
    found = ranking.score(u, offered, rank).utilities
    bend = ranking.curvature(u, offered, rank).utilities
    for k in range(10):
        move = step * np.eye(10)[k]
        up, down = (
            ranking.log_prob(u + move, offered, rank),
            ranking.log_prob(u - move, offered, rank),
        )
        np.testing.assert_allclose(found[:, k], (up - down) / (2 * step), atol=1e-8)
        up, down = (ranking.score(u + s * move, offered, rank).utilities for s in (1, -1))
        np.testing.assert_allclose(bend[:, k], -(up - down) / (2 * step), atol=1e-7)


def test_nine_tied_options_are_refused_and_the_other_model_named():
    u = np.zeros((1, 10))
    rank = np.array([[1] * 9 + [2]])
    with pytest.raises(DataError, match="davidson_luce"):
        ranking.log_prob(u, np.ones_like(u, dtype=bool), rank)


def test_a_tie_of_nine_that_nothing_comes_after_is_no_matter():
    u = np.random.default_rng(2).normal(size=(1, 10))
    rank = np.array([[1] + [2] * 9])
    best = np.array([[1] + [0] * 9])
    offered = np.ones_like(u, dtype=bool)
    np.testing.assert_array_equal(
        ranking.log_prob(u, offered, rank), ranking.log_prob(u, offered, best)
    )
