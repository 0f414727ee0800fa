"""Votes as rows: nothing lost, nothing told apart that is the same."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.fitting.vote_rows import vote_rows


def some_votes(rng, count=300, num_items=4):
    first = rng.integers(0, num_items, count)
    return Votes(
        items=tuple("abcdefg"[:num_items]),
        first=first,
        second=(first + rng.integers(1, num_items, count)) % num_items,
        share=rng.choice([0.0, 1.0, 0.3], count),
        tie=rng.random(count) < 0.2,
        weight=rng.choice([0.0, 1.0, 2.5], count),
        voter=rng.integers(-1, 5, count),
        voters=tuple("vwxyz"),
        covariates=rng.integers(0, 2, (count, 2)).astype(float),
        covariate_names=("long", "left"),
        context=rng.integers(-1, 2, count),
        contexts=("day", "night"),
    )


def table(rows, *, has_voter):
    """Each row as a key, with its weight."""
    keys = zip(
        rows.edge_first[rows.edge], rows.edge_second[rows.edge], rows.edge_context[rows.edge],
        rows.answer, map(tuple, rows.covariates), rows.voter if has_voter else [0] * len(rows.edge),
    )  # fmt: skip
    return dict(zip(keys, rows.weight))


@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_rows_are_the_distinct_answers_with_their_weights_added_up(seed, by_context, by_voter):
    votes = some_votes(np.random.default_rng(seed))
    rows = vote_rows(votes, by_context=by_context, by_voter=by_voter)
    expected, unknown = {}, len(votes.voters)
    for b in range(len(votes)):
        voter = int(votes.voter[b])
        if voter < 0:
            voter, unknown = unknown, unknown + 1
        key = (
            votes.first[b], votes.second[b], votes.context[b] if by_context else -1,
        )  # fmt: skip
        tail = (tuple(votes.covariates[b]), voter if by_voter else 0)
        parts = (
            [(2, votes.weight[b])]
            if votes.tie[b]
            else [
                (0, votes.weight[b] * votes.share[b]),
                (1, votes.weight[b] * (1 - votes.share[b])),
            ]
        )
        for answer, weight in parts:
            if weight > 0:
                full = (*key, answer, *tail)
                expected[full] = expected.get(full, 0.0) + weight
    found = table(rows, has_voter=by_voter)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[k] for k in expected], list(expected.values()))
    assert len(found) == len(rows.edge)


def test_half_ties_are_half_a_win_for_both():
    votes = some_votes(np.random.default_rng(0))
    rows = vote_rows(votes, ties="half")
    assert set(rows.answer) == {0, 1}
    assert rows.weight.sum() == pytest.approx(votes.weight.sum())


def test_sums_by_voter_see_voters_without_votes():
    votes = some_votes(np.random.default_rng(1), count=6)
    rows = vote_rows(votes, by_voter=True)
    sums = rows.by_voter(rows.weight)
    assert len(sums) == rows.num_voters
    np.testing.assert_allclose(
        sums, np.bincount(rows.voter, rows.weight, minlength=rows.num_voters)
    )


def test_votes_of_unknown_voters_are_each_of_somebody_else():
    votes = some_votes(np.random.default_rng(2), count=40)
    rows = vote_rows(votes, by_voter=True)
    assert rows.num_voters == len(votes.voters) + int((votes.voter < 0).sum())


def test_missing_columns_refused_ties_and_empty_votes_are_named():
    votes = some_votes(np.random.default_rng(3))
    with pytest.raises(DataError, match="no contexts"):
        vote_rows(replace(votes, context=None), by_context=True)
    with pytest.raises(DataError, match="no voters"):
        vote_rows(replace(votes, voter=None), by_voter=True)
    with pytest.raises(DataError, match="ties"):
        vote_rows(votes, ties="none")
    with pytest.raises(DataError, match="weight above 0"):
        vote_rows(replace(votes, weight=np.zeros(len(votes))))
