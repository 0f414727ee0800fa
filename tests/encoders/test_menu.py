"""Menu effects against a loop over the options of each menu."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penchant.encoders import menu

menus = st.lists(
    st.lists(st.sampled_from([0.0, 1.0, 1.5, -2.0]), min_size=1, max_size=5), min_size=1, max_size=6
)


def flat(shown):
    sizes = [len(values) for values in shown]
    return np.concatenate([np.array(v) for v in shown]), np.concatenate([[0], np.cumsum(sizes)])


@given(menus)
def test_summaries_are_those_of_each_menu(shown):
    values, offsets = flat(shown)
    np.testing.assert_array_equal(menu.menu_size(offsets), [len(v) for v in shown])
    np.testing.assert_allclose(menu.menu_mean(values, offsets), [sum(v) / len(v) for v in shown])
    np.testing.assert_array_equal(menu.menu_min(values, offsets), [min(v) for v in shown])
    np.testing.assert_array_equal(menu.menu_max(values, offsets), [max(v) for v in shown])


@given(menus)
def test_others_leaves_oneself_out(shown):
    values, offsets = flat(shown)
    slow = [sum(v) - mine for v in shown for mine in v]
    np.testing.assert_allclose(menu.others(values, offsets), slow)


@given(menus)
def test_tied_places_are_shared(shown):
    values, offsets = flat(shown)
    slow = [
        sum(x < mine for x in v) + (1 + sum(x == mine for x in v)) / 2 for v in shown for mine in v
    ]
    np.testing.assert_array_equal(menu.menu_rank(values, offsets), slow)


def test_a_missing_value_has_no_place_and_takes_none():
    values, offsets = flat([[3.0, math.nan, 1.0], [math.nan], [2.0, 2.0]])
    ranks = menu.menu_rank(values, offsets)
    np.testing.assert_array_equal(ranks, [2.0, math.nan, 1.0, math.nan, 1.5, 1.5])
