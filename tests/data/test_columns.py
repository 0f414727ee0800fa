"""Columns as NumPy: codes, orders and hashes against plain Python."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from penchant.data.columns import (
    combine_codes,
    entry_hashes,
    first_appearance,
    place_within,
    ragged_arange,
    to_codes,
    to_dictionary,
    to_floats,
)

plain = st.none() | st.integers(-3, 3)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from("ab"), "text": st.sampled_from(["", "x", "y"])}),
    max_size=3,
)  # fmt: skip


@given(st.lists(st.integers(-5, 10**12), max_size=20) | st.lists(st.integers(0, 5), max_size=20))
def test_codes_are_renumbered_by_first_appearance(values):
    codes, first = first_appearance(np.array(values, dtype=np.int64))
    order = list(dict.fromkeys(values))
    assert codes.tolist() == [order.index(value) for value in values]
    assert first.tolist() == [values.index(value) for value in order]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=20))
def test_a_place_is_how_many_of_the_same_code_came_before(entries):
    codes = np.array([code for code, _ in entries], dtype=np.int64)
    moment = np.array([when for _, when in entries], dtype=np.float64)
    standing = [codes[:n].tolist().count(code) for n, code in enumerate(codes)]
    assert place_within(codes).tolist() == standing
    earlier = [
        sum(c == code and (t, m) < (when, n) for m, (c, t) in enumerate(entries))
        for n, (code, when) in enumerate(entries)
    ]
    assert place_within(codes, moment).tolist() == earlier


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=6))
def test_ragged_ranges_lie_one_after_the_other(pairs):
    start, size = (np.array([p[i] for p in pairs], dtype=np.int64) for i in (0, 1))
    expected = [n for first, count in pairs for n in range(first, first + count)]
    assert ragged_arange(start, size).tolist() == expected


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4)), max_size=20))
def test_pairs_of_codes_have_one_code_each(pairs):
    first, second = (np.array([p[i] for p in pairs], dtype=np.int64) for i in (0, 1))
    both = combine_codes(first, second).tolist()
    assert len(set(both)) == len(set(pairs))


@given(st.lists(messages, min_size=1, max_size=12) | st.lists(plain, min_size=1, max_size=12)
       | st.lists(st.none() | st.lists(plain, max_size=3), min_size=1, max_size=12))  # fmt: skip
def test_entries_have_equal_hashes_exactly_when_they_are_equal(values):
    hashes = entry_hashes(pa.chunked_array([pa.array(values)]))
    for i, one in enumerate(values):
        for j, other in enumerate(values):
            assert (hashes[i] == hashes[j]) == (one == other), (one, other)


def test_numbers_as_names_do_not_depend_on_how_a_gap_changed_their_type():
    whole, floats = pa.array([7, 8, None]), pa.array([7.0, 8.0, np.nan])
    for column in (whole, floats):
        names = to_dictionary(column)
        assert names.to_pylist() == ["7", "8", None]
    assert to_dictionary(pa.array([7.5, np.inf])).to_pylist() == ["7.5", "inf"]


def test_chunks_with_dictionaries_of_their_own_are_one_column():
    chunks = [pa.array(words).dictionary_encode() for words in (["a", "b"], ["b", None, "c"])]
    codes, names = to_codes(pa.chunked_array(chunks))
    assert [names[c] if c >= 0 else None for c in codes] == ["a", "b", "b", None, "c"]
    assert np.isnan(to_floats(pa.chunked_array([[1, None], [True and 3]]))[1])


def test_lists_of_one_length_hash_by_their_numbers_whatever_their_width():
    vectors = np.array([[1, 2], [3, 4], [1, 2]], dtype=np.float16)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 2)
    found = entry_hashes(lists)
    assert found[0] == found[2] != found[1]
    np.testing.assert_array_equal(found, entry_hashes(pa.array(vectors.astype(float).tolist())))
