"""Counts of pairs: a slow plain twin, and what no order, split or reversal may change."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.pair_counts import (
    PairCounts,
    count_blocks,
    count_shares,
    count_votes,
    tally_plain,
    totals_plain,
)
from penchant.data.pair_counts_fused import tally as tally_fused
from penchant.errors import DataError


@st.composite
def ballots(draw, max_items=7, max_votes=40):
    """(N, first, second, outcome, weight) of a few votes."""
    N = draw(st.integers(2, max_items))
    pair = st.tuples(st.integers(0, N - 1), st.integers(0, N - 1)).filter(lambda p: p[0] != p[1])
    pairs = draw(st.lists(pair, min_size=1, max_size=max_votes))
    outcome = draw(st.lists(st.integers(0, 2), min_size=len(pairs), max_size=len(pairs)))
    weight = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=len(pairs),
                           max_size=len(pairs)))  # fmt: skip
    first, second = np.array(pairs, dtype=np.int32).T
    return N, first.copy(), second.copy(), np.array(outcome, dtype=np.int8), np.array(weight)


def names(count):
    return tuple(f"item {i}" for i in range(count))


def slow_counts(first, second, outcome, weight):
    found = {}
    for a, b, answer, w in zip(first, second, outcome, weight):
        low, high = sorted((int(a), int(b)))
        counts = found.setdefault((low, high), [0.0, 0.0, 0.0])
        if answer == 2:
            counts[2] += w
        else:
            counts[(int(a) if answer == 0 else int(b)) != low] += w
    return {pair: counts for pair, counts in sorted(found.items()) if sum(counts)}


def as_dict(counts):
    rows = zip(counts.first, counts.second, counts.first_wins, counts.second_wins, counts.ties)
    return {(int(a), int(b)): [x, y, z] for a, b, x, y, z in rows}


@given(ballots())
def test_counts_equal_the_slow_twin(ballot):
    N, first, second, outcome, weight = ballot
    counts = count_votes(names(N), first, second, outcome, weight)
    assert as_dict(counts) == slow_counts(first, second, outcome, weight)


# Few items fill a table; more are sorted, in bands of more and more items, then by longer keys.
MANY = st.sampled_from([None, 65, 300, 3_000, 70_000, 900_000, 5_000_000])


@given(ballots(), st.booleans(), MANY, st.integers(0, 2**31))
def test_the_compiled_count_equals_the_plain_one(ballot, is_weighted, num_items, seed):
    N, first, second, outcome, weight = ballot
    if num_items is not None:
        # The same votes between items far apart.
        place = np.array(Random(seed).sample(range(num_items), N), dtype=np.int32)
        N, first, second = num_items, place[first], place[second]
    used = weight if is_weighted else None
    fused = tally_fused(N, first, second, outcome, used)
    for ours, plain in zip(fused, tally_plain(N, first, second, outcome, used), strict=True):
        np.testing.assert_array_equal(ours, plain)


@given(ballots(), st.sampled_from(["itself", "place", "outcome"]), st.booleans())
def test_both_counts_refuse_the_same_votes(ballot, fault, has_many_items):
    N, first, second, outcome, _ = ballot
    N = 3000 if has_many_items else N
    if fault == "itself":
        second[-1] = first[-1]
    elif fault == "place":
        second[-1] = N
    else:
        outcome[-1] = 3
    for tally in (tally_fused, tally_plain):
        assert tally(N, first, second, outcome, None) is None


@given(st.integers(0, 2**31), st.sampled_from([40, 3_000]), st.booleans())
@settings(max_examples=10)
def test_more_votes_than_one_chunk_are_counted_alike(seed, N, is_weighted):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, N, 20_000).astype(np.int32)
    second = ((first + rng.integers(1, N, 20_000)) % N).astype(np.int32)
    outcome = rng.integers(0, 3, 20_000).astype(np.int8)
    weight = rng.integers(0, 5, 20_000) * 0.25 if is_weighted else None
    fused = tally_fused(N, first, second, outcome, weight)
    for ours, plain in zip(fused, tally_plain(N, first, second, outcome, weight), strict=True):
        np.testing.assert_array_equal(ours, plain)


@given(ballots(), st.integers(1, 5), st.booleans(), st.booleans())
def test_blocks_of_votes_count_like_all_at_once(ballot, num_blocks, is_weighted, has_many_items):
    N, *columns = ballot
    N = 3000 if has_many_items else N
    columns[3] = columns[3] if is_weighted else None
    blocks = [
        tuple(None if c is None else c[k::num_blocks] for c in columns) for k in range(num_blocks)
    ]
    found = count_blocks(names(N), blocks, len(columns[0]), is_weighted)
    assert as_dict(found) == as_dict(count_votes(names(N), *columns))


def test_a_bad_vote_of_a_later_block_has_its_own_number():
    good = (np.array([0, 1]), np.array([1, 2]), np.array([0, 1]), None)
    bad = (np.array([0, 1]), np.array([1, 2]), np.array([0, 3]), None)
    with pytest.raises(DataError, match="vote 3 has outcome 3"):
        count_blocks(("a", "b", "c"), [good, bad], 4)


@given(ballots())
def test_compiled_totals_of_items_are_those_of_the_plain_twin(ballot):
    N, first, second, outcome, weight = ballot
    counts = count_votes(names(N), first, second, outcome, weight)
    columns = (counts.first, counts.second, counts.first_wins, counts.second_wins, counts.ties)
    np.testing.assert_allclose(counts.totals_of_item, totals_plain(*columns, N))


@given(ballots(), st.randoms(use_true_random=False))
def test_the_order_of_votes_does_not_matter(ballot, random):
    N, first, second, outcome, weight = ballot
    order = list(range(len(first)))
    random.shuffle(order)
    counts = count_votes(names(N), first, second, outcome, weight)
    shuffled = count_votes(names(N), first[order], second[order], outcome[order], weight[order])
    assert as_dict(counts) == as_dict(shuffled)


@given(ballots())
def test_a_vote_read_from_the_other_side_is_the_same_vote(ballot):
    N, first, second, outcome, weight = ballot
    turned = np.array([1, 0, 2], dtype=np.int8)[outcome]
    counts = count_votes(names(N), first, second, outcome, weight)
    assert as_dict(counts) == as_dict(count_votes(names(N), second, first, turned, weight))


@given(ballots(), ballots())
def test_counting_in_two_parts_and_merging_is_counting_once(one, two):
    N = max(one[0], two[0])
    parts = [count_votes(names(N), *ballot[1:]) for ballot in (one, two)]
    whole = count_votes(names(N), *(np.concatenate(pair) for pair in zip(one[1:], two[1:])))
    assert as_dict(parts[0].merged(parts[1])) == as_dict(whole)


@given(ballots())
def test_totals_add_up(ballot):
    N, first, second, outcome, weight = ballot
    counts = count_votes(names(N), first, second, outcome, weight)
    assert counts.votes == pytest.approx(weight.sum())
    assert counts.votes_of_item.sum() == pytest.approx(2 * weight.sum())
    assert counts.wins_of_item.sum() == pytest.approx(weight[outcome != 2].sum())


@given(ballots())
def test_certain_shares_are_plain_votes(ballot):
    N, first, second, outcome, weight = ballot
    decided = outcome != 2
    parts = [values[decided] for values in (first, second, outcome, weight)]
    counts = count_votes(names(N), *parts)
    shares = count_shares(names(N), parts[0], parts[1], (parts[2] == 0) * 1.0, parts[3])
    assert as_dict(counts) == as_dict(shares)


def test_a_probability_counts_for_both_sides():
    counts = count_shares(("a", "b"), np.array([1, 0]), np.array([0, 1]), np.array([0.75, 0.5]))
    assert as_dict(counts) == {(0, 1): [0.75, 1.25, 0.0]}


def test_merging_keeps_the_names_of_both():
    one = count_votes(("a", "b"), np.array([0]), np.array([1]), np.array([0]))
    two = count_votes(("c", "b"), np.array([0]), np.array([1]), np.array([1]))
    merged = one.merged(two)
    assert merged.items == ("a", "b", "c")
    assert as_dict(merged) == {(0, 1): [1.0, 0.0, 0.0], (1, 2): [1.0, 0.0, 0.0]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"second": np.array([0, 1])}, "compares item 0 with itself"),
        ({"second": np.array([1, 5])}, "expected a place from 0 to 2"),
        ({"outcome": np.array([0, 3])}, "expected 0 .the first won"),
        ({"weight": np.array([1.0, -1.0])}, "finite numbers, 0 or more"),
        ({"weight": np.array([1.0, np.nan])}, "finite numbers, 0 or more"),
        ({"items": ("a", "", "c")}, "empty name"),
        ({"items": ("a", "b", "a")}, "two items are called 'a'"),
    ],
)
def test_bad_votes_are_named(change, words):
    good = {
        "items": ("a", "b", "c"), "first": np.array([0, 0]), "second": np.array([1, 2]),
        "outcome": np.array([0, 1]), "weight": np.array([1.0, 1.0]),
    }  # fmt: skip
    with pytest.raises(DataError, match=words):
        count_votes(**(good | change))


def test_pairs_stand_in_one_direction():
    with pytest.raises(DataError, match="expected first < second"):
        PairCounts(items=("a", "b"), first=np.array([1]), second=np.array([0]),
                   first_wins=np.ones(1), second_wins=np.ones(1), ties=np.ones(1))  # fmt: skip
