"""Pairs that ratings, numbers and rankings of one person imply."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.implied_pairs import as_pairs, implied_pairs
from penchant.data.records import Records


def rated(levels, people, kind="rating", column="level"):
    return Records.from_arrays(
        options={"text": pa.array([f"t{i}" for i in range(len(levels))]),
                 column: np.asarray(levels)},
        menu_sizes=np.ones(len(levels), dtype=int), kind=kind,
        rows={"person": [f"p{p}" for p in people], "mood": [f"m{p}" for p in people]},
    )  # fmt: skip


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whoever_is_said_to_win_was_rated_higher_by_the_same_person(data):
    size = data.draw(st.integers(1, 30))
    levels = np.array(data.draw(st.lists(st.integers(0, 4), min_size=size, max_size=size)))
    people = np.array(data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)))
    records = rated(levels, people)
    pairs = implied_pairs(records, seed=data.draw(st.integers(0, 9)))
    first, second = pairs.line.T if len(pairs) else np.zeros((2, 0), dtype=int)
    winner = np.where(pairs.outcome == 0, first, second)
    loser = np.where(pairs.outcome == 0, second, first)
    assert (levels[winner] > levels[loser]).all()
    assert (people[first] == people[second]).all()
    # Nobody's answers are used more than twice, however many texts they rated.
    assert (np.bincount(pairs.line.ravel(), minlength=size) <= 2).all()
    both = np.sort(pairs.line, axis=1)
    assert len(np.unique(both, axis=0)) == len(both)


@given(st.integers(-3, 3), st.integers(1, 4))
def test_a_raters_offset_and_stretch_change_no_pair(offset, stretch):
    rng = np.random.default_rng(1)
    values, people = rng.normal(size=40), rng.integers(0, 4, 40)
    plain = implied_pairs(rated(values, people, "outcome", "value"))
    moved = np.where(people == 2, offset + stretch * values, values)
    other = implied_pairs(rated(moved, people, "outcome", "value"))
    np.testing.assert_array_equal(plain.line, other.line)
    np.testing.assert_array_equal(plain.outcome, other.outcome)


def test_a_ranking_of_three_is_three_pairs_and_what_is_unranked_loses():
    records = Records.from_arrays(
        options={"text": pa.array(list("abcdef")), "rank": np.array([2, 1, 3, 1, 0, 0])},
        menu_sizes=np.array([3, 3]), kind="ranking", rows={"person": ["p", "p"]},
    )  # fmt: skip
    pairs = as_pairs(records, implied_pairs(records))
    texts = np.array(pairs.options["text"].to_pylist()).reshape(-1, 2)
    outcome = np.asarray(pairs.rows["outcome"])
    won = {tuple(t if o == 0 else t[::-1]) for t, o in zip(texts.tolist(), outcome)}
    assert won == {("b", "a"), ("a", "c"), ("b", "c"), ("d", "e"), ("d", "f")}


def test_pairs_stay_within_what_they_are_asked_to_stay_within():
    records = rated(np.arange(20) % 5, np.zeros(20, dtype=int))
    part = np.arange(20) % 2
    pairs = implied_pairs(records, within=part)
    assert len(pairs) > 10
    assert (part[pairs.line[:, 0]] == part[pairs.line[:, 1]]).all()


def test_unknown_people_count_as_one_crowd_and_columns_of_the_person_stay():
    rng = np.random.default_rng(0)
    records = rated(rng.integers(0, 5, 30), np.arange(30) // 10)
    kept = as_pairs(records, implied_pairs(records))
    assert kept.roles["mood"] == "context"
    assert "level" not in kept.options.column_names
    nobody = Records.from_arrays(
        options={"text": pa.array([f"t{i}" for i in range(30)]), "level": rng.integers(0, 5, 30)},
        menu_sizes=np.ones(30, dtype=int), kind="rating", rows={},
    )  # fmt: skip
    assert len(implied_pairs(nobody)) > 15


def test_unanswered_ratings_say_nothing():
    levels = pa.array([1, None, 3, None, None])
    records = Records.from_arrays(
        options={"text": pa.array(list("abcde")), "level": levels},
        menu_sizes=np.ones(5, dtype=int), kind="rating", rows={"person": ["p"] * 5},
    )  # fmt: skip
    pairs = implied_pairs(records)
    assert pairs.line.tolist() in ([[0, 2]], [[2, 0]])
