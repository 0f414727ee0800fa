"""Scores of single choices, by hand and against loops."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penchant.metrics.scoring import (
    accuracy,
    area_under_curve,
    brier,
    chosen_indicator,
    negative_log_likelihood,
)

menus = st.lists(
    st.lists(st.integers(1, 4), min_size=1, max_size=4).flatmap(
        lambda counts: st.tuples(st.just(counts), st.integers(0, len(counts) - 1))
    ),
    min_size=1,
    max_size=6,
)


def flat(drawn):
    menus = [np.array(counts) / sum(counts) for counts, _ in drawn]
    offsets = np.concatenate([[0], np.cumsum([len(menu) for menu in menus])])
    return np.concatenate(menus), offsets, np.array([chosen for _, chosen in drawn]), menus


@given(menus)
def test_scores_are_those_of_a_loop(drawn):
    probabilities, offsets, chosen, menus = flat(drawn)
    losses = [-math.log(menu[c]) for menu, c in zip(menus, chosen, strict=True)]
    np.testing.assert_allclose(negative_log_likelihood(probabilities, offsets, chosen), losses)
    right = [
        (menu[c] == menu.max()) / (menu == menu.max()).sum()
        for menu, c in zip(menus, chosen, strict=True)
    ]
    np.testing.assert_allclose(accuracy(probabilities, offsets, chosen), right)
    squares = [
        sum((p - (k == c)) ** 2 for k, p in enumerate(menu))
        for menu, c in zip(menus, chosen, strict=True)
    ]
    np.testing.assert_allclose(brier(probabilities, offsets, chosen), squares, atol=1e-12)
    indicator = chosen_indicator(offsets, chosen)
    expected = [
        float(k == c) for menu, c in zip(menus, chosen, strict=True) for k in range(len(menu))
    ]
    np.testing.assert_array_equal(indicator, expected)


def test_what_was_impossible_and_happened_costs_infinitely():
    loss = negative_log_likelihood(np.array([0.0, 1.0]), np.array([0, 2]), np.array([0]))
    assert loss[0] == np.inf


def test_ties_are_broken_by_lot_and_not_by_order():
    probabilities = np.array([0.4, 0.4, 0.2, 0.2, 0.4, 0.4])
    found = accuracy(probabilities, np.array([0, 3, 6]), np.array([0, 0]))
    np.testing.assert_array_equal(found, [0.5, 0.0])


def test_nothing_has_no_scores():
    none, offsets = np.zeros(0), np.array([0])
    for score in (negative_log_likelihood, accuracy, brier):
        assert len(score(none, offsets, none.astype(int))) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=12))
def test_the_area_under_the_curve_counts_pairs_in_the_right_order_and_ties_half(drawn):
    score, is_true = (np.array(part) for part in zip(*drawn))
    pairs = [(a > b) + 0.5 * (a == b) for a in score[is_true] for b in score[~is_true]]
    found = area_under_curve(score, is_true)
    np.testing.assert_allclose(found, np.mean(pairs) if pairs else math.nan)
