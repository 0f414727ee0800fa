"""Ratings as votes: whatever a person makes of the scale, only their own order counts."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data.description import Description
from penchant.data.rated_votes import rated_notes, votes_from_ratings
from penchant.data.readers.read import read
from penchant.data.readers.write import to_table
from penchant.errors import ConfigError, DataError
from penchant.models.leaderboard import Leaderboard

SAID = Description(layout="ratings", kind="outcome", person="who", option="what", answer="stars")
lines = st.lists(
    st.tuples(st.sampled_from("pqr"), st.sampled_from("abcd"), st.integers(0, 4)), min_size=2,
    max_size=25,
)  # fmt: skip


def records(rated):
    who, what, stars = zip(*rated, strict=True)
    return read(pa.table({"who": who, "what": what, "stars": [float(s) for s in stars]}),
                SAID).records  # fmt: skip


def by_hand(rated):
    """Every two lines of a person on two items: voter, winner (the lesser name), other, tie."""
    found = []
    for one, two in combinations(rated, 2):
        if one[0] != two[0] or one[1] == two[1]:
            continue
        if one[2] == two[2]:
            found.append((one[0], *sorted((one[1], two[1])), True))
        else:
            high, low = (one, two) if one[2] > two[2] else (two, one)
            found.append((one[0], high[1], low[1], False))
    return sorted(found)


@given(lines)
def test_every_two_ratings_of_a_person_are_a_vote(rated):
    expected = by_hand(rated)
    if not expected:
        with pytest.raises(DataError, match="two different items"):
            votes_from_ratings(records(rated))
        return
    votes = votes_from_ratings(records(rated))
    found = []
    for i, j, share, tie, v in zip(votes.first, votes.second, votes.share, votes.tie, votes.voter):
        pair = [votes.items[i], votes.items[j]]
        ordered = sorted(pair) if tie else pair if share == 1.0 else pair[::-1]
        found.append((votes.voters[v], *ordered, bool(tie)))
    assert sorted(found) == expected


@given(lines.filter(by_hand), st.floats(0.5, 3.0), st.floats(-5.0, 5.0))
def test_how_a_person_uses_the_scale_does_not_matter(rated, stretch, shift):
    moved = [(p, i, stretch * s + shift if p == "q" else s) for p, i, s in rated]
    one, two = (votes_from_ratings(records(each)) for each in (rated, moved))
    assert np.array_equal(one.share, two.share)
    assert np.array_equal(one.tie, two.tie)


def test_a_leaderboard_of_ratings_says_what_it_made_of_them():
    rated = [
        (f"p{n}", item, score + n % 2) for n in range(12) for item, score in zip("abc", (3, 2, 1))
    ]
    board = Leaderboard().fit(records([*rated, ("z", "c", 9), ("z", "a", 0)]))
    assert [row.name for row in board.standings_] == ["a", "b", "c"]
    assert board.bounds_.kind == "voter"
    assert set(rated_notes(records(rated))) <= set(board.warnings_)
    with pytest.raises(ConfigError, match="ratings of one at a time"):
        Leaderboard(covariates=("length",)).fit(records(rated))


def test_ratings_by_nobody_cannot_be_compared():
    said = Description(layout="ratings", kind="outcome", option="what", answer="stars")
    found = read(pa.table({"what": ["a", "b"], "stars": [1.0, 2.0]}), said).records
    with pytest.raises(DataError, match="do not say who gave them"):
        votes_from_ratings(found)


@pytest.mark.parametrize(
    ("kind", "values", "levels"),
    [("outcome", [1.5, 2.0, 4.0, 3.0], ()), ("rating", [1, 2, 4, 3], (1, 2, 3, 4)),
     ("rating", [1, 2, 4, 3], ()), ("binary", [1, 0, 0, 1], ()), ("approval", [1, 0, 0, 1], ())],
)  # fmt: skip
def test_where_low_is_good_votes_turn_round_and_writing_turns_them_back(kind, values, levels):
    table = pa.table({"who": list("ppqq"), "what": list("abab"), "stars": values})
    high = Description(layout="ratings", kind=kind, person="who", option="what", answer="stars",
                       levels=levels)  # fmt: skip
    low = replace(high, low_is_good=True)
    turned = read(table, low).records
    one, two = (votes_from_ratings(found) for found in (read(table, high).records, turned))
    np.testing.assert_array_equal(one.share[~one.tie], 1.0 - two.share[~two.tie])
    assert rated_notes(turned)[0].startswith("Low ratings are read as good")
    back = read(to_table(turned, low), low).records
    again = votes_from_ratings(back)
    np.testing.assert_array_equal(again.share, two.share)


def test_low_is_good_belongs_to_ratings():
    with pytest.raises(ConfigError, match="Of rankings 1 is the best"):
        replace(SAID, kind="ranking", layout="long", low_is_good=True)
