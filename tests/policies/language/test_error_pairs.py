"""Pairs by kind of error: so many of each as asked, each once, whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.policies.language.error_pairs import as_long, error_pairs
from penchant.policies.language.pairs import Pairs, some_pairs

NUM = 30


def numbered(num=NUM):
    """Every pair is told by its tokens; two people."""
    return Pairs(
        first=[[1, 100 + b, *[7] * (b % 3)] for b in range(num)],
        second=[[1, 200 + b, *[7] * (b % 2)] for b in range(num)],
        place=np.ones(num, dtype=int), first_wins=np.linspace(0, 1, num),
        person=np.arange(num) % 2, weight=np.arange(1.0, num + 1.0),
        first_own=[[False, True, *[b % 2 == 0] * (b % 3)] for b in range(num)],
    )  # fmt: skip


@given(
    st.tuples(*[st.floats(0.0, 3.0)] * 3).filter(lambda shares: sum(shares) > 0.1),
    st.integers(1, 10), st.integers(0, 99),
)  # fmt: skip
def test_each_kind_has_its_share_of_pairs_and_no_pair_stands_twice(shares, num, seed):
    kind = [str(b % 3) for b in range(NUM)]
    asked = dict(zip("012", shares))
    found = error_pairs(numbered(), kind, asked, num, np.random.default_rng(seed))
    number = np.array([row[1] - 100 for row in found.first])
    assert len(number) == len(set(number.tolist())) == num
    for name, share in asked.items():
        exact = num * share / sum(shares)
        mine = int(np.sum(number % 3 == int(name)))
        assert np.floor(exact) <= mine <= np.ceil(exact)
    # All of a pair goes with it.
    whole = numbered()
    assert [list(row) for row in found.second] == [whole.second[b] for b in number]
    np.testing.assert_array_equal(found.weight, number + 1.0)
    np.testing.assert_array_equal(found.first_wins, whole.first_wins[number])
    assert [list(own) for own in found.first_own] == [whole.first_own[b] for b in number]
    assert found.second_own is None
    assert (len(set(found.person.tolist())) == 2) == (len(set((number % 2).tolist())) == 2)


def test_other_pairs_are_drawn_by_other_draws_in_an_order_that_tells_no_kind():
    kind = ["a"] * 15 + ["b"] * 15
    drawn = [
        [row[1] - 100 for row in error_pairs(
            numbered(), kind, {"a": 1.0, "b": 1.0}, 20, np.random.default_rng(seed)).first]
        for seed in range(3)
    ]  # fmt: skip
    assert drawn[0] != drawn[1] != drawn[2]
    assert all(len({b < 15 for b in rows[:10]}) == 2 for rows in drawn)


def test_shares_that_say_nothing_and_kinds_that_are_too_few_are_refused():
    kind = ["a"] * 3 + ["b"] * (NUM - 3)
    for odd in ({}, {"a": 0.0}, {"a": -1.0, "b": 2.0}, {"a": float("nan")}):
        with pytest.raises(ConfigError, match="expected 0 or more each"):
            error_pairs(numbered(), kind, odd, 4, np.random.default_rng(0))
    with pytest.raises(DataError, match="3 pairs of the kind 'a' and 4 were asked for"):
        error_pairs(numbered(), kind, {"a": 1.0, "b": 1.0}, 8, np.random.default_rng(0))
    with pytest.raises(DataError, match="0 pairs of the kind 'c'"):
        error_pairs(numbered(), kind, {"c": 1.0}, 1, np.random.default_rng(0))


def test_pairs_of_one_length_are_told_from_others():
    pairs = numbered(12)
    apart = [abs(b % 3 - b % 2) for b in range(12)]
    for most in (0, 1, 2):
        np.testing.assert_array_equal(as_long(pairs, most), np.array(apart) <= most)
    kept = some_pairs(pairs, np.flatnonzero(as_long(pairs)))
    assert all(len(one) == len(other) for one, other in zip(kept.first, kept.second))
