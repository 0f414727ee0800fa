"""Orders compared: with scipy where it speaks of the same, else by brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.metrics.ranking import kendall, ndcg, top_k

few = st.sampled_from([0.0, 1.0, 2.0, 3.0])
menus = st.integers(2, 4).flatmap(
    lambda k: st.tuples(
        st.lists(few, min_size=k, max_size=k), st.lists(st.integers(1, 4), min_size=k, max_size=k)
    )
)


def padded(values, fill, width=6):
    return np.array([[*values, *[fill] * (width - len(values))]])


@given(menus)
def test_kendall_is_scipys_tau_b_whatever_the_padding(menu):
    from scipy import stats

    worth, rank = menu
    shown = padded([True] * len(worth), False)
    found = kendall(padded(worth, 99.0), padded(rank, 1), shown)[0]
    if len(set(worth)) == 1 or len(set(rank)) == 1:
        assert np.isnan(found)
    else:
        expected = stats.kendalltau(worth, -np.array(rank), variant="b").statistic
        assert found == pytest.approx(expected)


def test_the_unranked_are_below_and_among_each_other_equal():
    worth = np.array([[3.0, 2.0, 1.0, 1.0]])
    offered = np.ones((1, 4), dtype=bool)
    assert kendall(worth, np.array([[1, 2, 0, 0]]), offered)[0] == pytest.approx(1.0)
    assert kendall(-worth, np.array([[1, 2, 0, 0]]), offered)[0] == pytest.approx(-1.0)


def slow_ndcg(worth, relevance, top):
    def gain(order):
        return sum(relevance[k] / np.log2(2 + j) for j, k in enumerate(order[:top]))

    orders = list(itertools.permutations(range(len(worth))))
    allowed = [o for o in orders if all(worth[a] >= worth[b] for a, b in itertools.pairwise(o))]
    best = max(gain(order) for order in orders)
    return np.mean([gain(order) for order in allowed]) / best if best > 0 else np.nan


@given(menus, st.integers(1, 5))
def test_ndcg_is_the_mean_over_all_ways_to_break_the_ties(menu, top):
    worth, relevance = menu[0], [r - 1.0 for r in menu[1]]
    shown = padded([True] * len(worth), False)
    found = ndcg(padded(worth, 99.0), padded(relevance, 5.0), shown, top)[0]
    np.testing.assert_allclose(found, slow_ndcg(worth, relevance, top))


def test_the_right_order_has_an_ndcg_of_one():
    relevance = np.array([[3.0, 1.0, 2.0], [0.0, 0.0, 1.0]])
    offered = np.ones((2, 3), dtype=bool)
    np.testing.assert_allclose(ndcg(relevance, relevance, offered), [1.0, 1.0])


@given(menus, st.integers(1, 4))
def test_top_k_is_the_share_of_orders_that_have_it(menu, top):
    worth = menu[0]
    orders = [
        o
        for o in itertools.permutations(range(len(worth)))
        if all(worth[a] >= worth[b] for a, b in itertools.pairwise(o))
    ]
    expected = np.mean([0 in order[:top] for order in orders])
    shown = padded([True] * len(worth), False)
    found = top_k(padded(worth, 99.0), np.array([0]), shown, top)[0]
    assert found == pytest.approx(expected)
