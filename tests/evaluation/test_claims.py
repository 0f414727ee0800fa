"""When a published figure and ours agree."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.evaluation.claims import (
    as_printed,
    claims_table,
    no_better,
    no_worse,
    within_doubt,
)

figures = st.floats(-1e4, 1e4)


@given(figures, st.integers(0, 4))
def test_a_figure_agrees_with_its_own_rounding_and_with_no_neighbour(ours, decimals):
    printed = round(ours, decimals)
    assert as_printed("x", printed, ours, decimals=decimals).holds
    for step in (-1.5, 1.5):
        other = printed + step * 10.0**-decimals
        assert not as_printed("x", other, ours, decimals=decimals).holds


@given(figures, st.floats(1e-3, 1e3))
def test_doubt_reaches_two_errors_and_no_further(ours, se):
    assert within_doubt("x", ours + 1.9 * se, ours, se=se).holds
    assert not within_doubt("x", ours + 2.1 * se, ours, se=se).holds


@given(figures, figures)
def test_no_worse_is_an_order(theirs, ours):
    assert no_worse("x", theirs, ours).holds == (theirs <= ours)


@given(figures, figures, st.floats(0, 10))
def test_what_passes_its_bound_by_more_than_the_slack_does_not_hold(bound, ours, slack):
    assert no_better("x", bound, ours, slack=slack).holds == (ours - slack <= bound)
    # A bound is the other way round from a figure to be reached.
    assert no_better("x", bound, ours).holds == no_worse("x", ours, bound).holds


def test_a_figure_that_did_not_come_out_agrees_with_nothing():
    assert not as_printed("x", 1.0, math.nan, decimals=1).holds
    assert not no_worse("x", 1.0, math.nan).holds
    assert not no_worse("x", math.nan, 1.0).holds
    assert not no_better("x", 1.0, math.nan).holds


@pytest.mark.parametrize("se", [0.0, -1.0, math.nan, math.inf])
def test_a_claim_needs_an_error_that_says_something(se):
    with pytest.raises(ConfigError, match="standard error"):
        within_doubt("x", 1.0, 1.0, se=se)


def test_the_table_says_which_claims_fail():
    table = claims_table([no_worse("better", 1.0, 2.0), no_worse("worse", 2.0, 1.0)])
    better, worse = table.splitlines()[1:]
    assert better.startswith("better")
    assert better.endswith("holds")
    assert worse.endswith("DIFFERS")
    assert no_worse("x", 1.0, 2.0).plain()["low"] is None
    bounded = no_better("bounded", 2.0, 1.0)
    assert bounded.plain()["high"] is None
    assert "1 or more  holds" in claims_table([bounded])


def test_the_table_says_whose_figure_theirs_is():
    said = claims_table([no_worse("a", 1.0, 2.0, source="Paper, table 2"), no_worse("b", 1.0, 2.0)])
    head, one, other = said.splitlines()
    assert head.endswith("theirs is of")
    assert one.endswith("Paper, table 2")
    assert other.endswith("holds")
