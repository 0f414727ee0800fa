"""Votes: what they keep, how they add up, and how tables and records become votes."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data.description import Description
from penchant.data.readers.read import read
from penchant.data.readers.source import prepare
from penchant.data.readers.table import load_table
from penchant.data.readers.vote_counts import counts_from_columns
from penchant.data.readers.vote_parts import VoteColumns
from penchant.data.readers.vote_records import votes_from_records
from penchant.data.readers.votes import read_votes
from penchant.data.votes import Votes
from penchant.errors import ConfigError, DataError

PAIRS = Description(layout="pairs", option_columns=("left", "right"), answer="winner")


def table(**columns):
    base = {
        "left": ["x", "y", "x"], "right": ["y", "z", "z"], "winner": ["left", "z", "tie"],
    }  # fmt: skip
    return pa.table(base | columns)


def counts_of(votes):
    counts = votes.counts()
    rows = zip(counts.first, counts.second, counts.first_wins, counts.second_wins, counts.ties)
    return {
        (counts.items[a], counts.items[b]): (float(x), float(y), float(z)) for a, b, x, y, z in rows
    }


def test_sides_names_and_ties_are_understood():
    votes = read_votes(table(), PAIRS).votes
    assert votes.items == ("x", "y", "z")
    assert counts_of(votes) == {
        ("x", "y"): (1.0, 0.0, 0.0),
        ("y", "z"): (0.0, 1.0, 0.0),
        ("x", "z"): (0.0, 0.0, 1.0),
    }


def test_arena_votes_bring_their_judges_and_times():
    arena = table().rename_columns(["model_a", "model_b", "winner"])
    arena = arena.set_column(2, "winner", pa.array(["model_a", "tie (bothbad)", "model_b"]))
    arena = arena.append_column("judge", pa.array(["ann", "bob", "ann"]))
    arena = arena.append_column("tstamp", pa.array([3.0, 1.0, 2.0]))
    votes = read_votes(arena, Description(layout="arena")).votes
    assert [votes.voters[v] for v in votes.voter] == ["ann", "bob", "ann"]
    assert votes.time.tolist() == [3.0, 1.0, 2.0]
    assert votes.tie.tolist() == [False, True, False]


def test_a_table_of_winners_and_losers_needs_no_answer_of_its_own():
    said = Description(layout="pairs", option_columns=("winner", "loser"), answer="winner")
    # Names that would be sides elsewhere are names here.
    data = pa.table({"winner": ["a", "b", "left"], "loser": ["b", "left", "a"]})
    votes = read_votes(data, said).votes
    assert votes.share.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("winner", [["a", "b", "a"], ["a", "c", "tie"]])
def test_a_name_that_means_a_side_is_refused(winner):
    data = pa.table({"left": ["b", "c", "b"], "right": ["a", "b", "a"], "winner": winner})
    with pytest.raises(DataError, match="one meaning"):
        read_votes(data, PAIRS)


def test_where_every_line_names_its_winner_and_some_name_is_no_side_all_are_names():
    data = pa.table({"left": ["b", "c"], "right": ["a", "b"], "winner": ["a", "c"]})
    votes = read_votes(data, PAIRS).votes
    assert counts_of(votes) == {("b", "a"): (0.0, 1.0, 0.0), ("b", "c"): (0.0, 1.0, 0.0)}


def test_a_number_is_the_probability_that_the_first_wins():
    votes = read_votes(table(winner=[0.25, 1.0, None]), PAIRS)
    assert counts_of(votes.votes) == {("x", "y"): (0.25, 0.75, 0.0), ("y", "z"): (1.0, 0.0, 0.0)}
    assert any("1 of 3 votes have no answer" in note for note in votes.notes)


def test_grades_are_soft_votes():
    said = Description(layout="pairs", kind="graded", option_columns=("left", "right"),
                       answer="winner", levels=(1, 2, 3, 4, 5))  # fmt: skip
    votes = read_votes(table(winner=[5, 3, 2]), said).votes
    assert votes.share.tolist() == [1.0, 0.5, 0.25]


def test_covariates_are_first_minus_second():
    data = table(length_left=[3.0, 5.0, 1.0], length_right=[1.0, 1.0, 4.0])
    said = Description(
        layout="pairs", option_columns=("left", "right"), answer="winner",
        feature_columns={"length": {"first": "length_left", "second": "length_right"}},
    )  # fmt: skip
    votes = read_votes(data, said, VoteColumns(covariates=("length", "shown_first"))).votes
    assert votes.covariates.tolist() == [[2.0, 1.0], [4.0, 1.0], [-3.0, 1.0]]


def test_contexts_have_names():
    votes = read_votes(table(topic=["maths", None, "prose"]), PAIRS, VoteColumns(context="topic"))
    codes = votes.votes.context
    assert [votes.votes.contexts[c] if c >= 0 else None for c in codes] == ["maths", None, "prose"]


def test_unicode_names_stay_as_they_are():
    odd = ["モデル", "naïve  model", "🙂"]
    data = table(left=odd, right=odd[1:] + odd[:1], winner=["left"] * 3)
    assert read_votes(data, PAIRS).votes.items == tuple(odd)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"winner": ["left", "nobody", "tie"]}, "row 2: winner is 'nobody'"),
        ({"right": ["y", "y", "z"]}, "row 2: right is 'y'.*another item"),
        ({"left": ["x", " ", "x"]}, "row 2: left is ' '.*name of an item"),
        ({"left": ["x", None, "x"]}, "row 2: left is missing"),
        ({"winner": [0.5, 1.5, 0.0]}, "row 2: winner is 1.5.*probability"),
    ],
)
def test_a_bad_line_is_named_and_can_be_set_aside(columns, words):
    with pytest.raises(DataError, match=words):
        read_votes(table(**columns), PAIRS)
    found = read_votes(table(**columns), PAIRS, on_bad_rows="quarantine")
    assert len(found.votes) == 2
    assert found.quarantined["row_number"].to_pylist() == [2]


def test_a_bad_weight_is_a_bad_line():
    said = Description(layout="pairs", option_columns=("left", "right"), answer="winner",
                       weight="w")  # fmt: skip
    for bad in (-1.0, float("nan"), None):
        with pytest.raises(DataError, match=r"row 3: w is .*finite weight"):
            read_votes(table(w=[1.0, 2.0, bad]), said)


def test_rankings_are_no_votes():
    with pytest.raises(ConfigError, match="votes between two items"):
        read_votes(table(), Description(layout="rankings"))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)).filter(
    lambda vote: vote[0] != vote[1]), min_size=1, max_size=20))  # fmt: skip
def test_records_and_tables_give_the_same_counts(ballot):
    words = ["left", "right", "tie"]
    data = pa.table({
        "left": [f"i{a}" for a, _, _ in ballot], "right": [f"i{b}" for _, b, _ in ballot],
        "winner": [words[o] for _, _, o in ballot],
    })  # fmt: skip
    by_records = votes_from_records(read(data, PAIRS).records)
    assert counts_of(by_records) == counts_of(read_votes(data, PAIRS).votes)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)).filter(
    lambda vote: vote[0] != vote[1]), min_size=1, max_size=20), st.booleans())  # fmt: skip
def test_counts_straight_from_columns_are_those_of_the_votes(ballot, is_weighted):
    words = ["left", "right", "tie", "both_bad"]
    data = pa.table({
        "left": [f"i{a}" for a, _, _ in ballot], "right": [f"i{b}" for _, b, _ in ballot],
        "winner": [words[o] for _, _, o in ballot], "w": [0.5 * (a + 1) for a, _, _ in ballot],
    })  # fmt: skip
    said = Description(layout="pairs", option_columns=("left", "right"), answer="winner",
                       weight="w" if is_weighted else None)  # fmt: skip
    straight = counts_from_columns(prepare(data, said, "votes", True, 0))
    by_name = {
        tuple(sorted((straight.items[a], straight.items[b]))): x + y + z
        for a, b, x, y, z in zip(straight.first, straight.second, straight.first_wins,
                                 straight.second_wins, straight.ties)
    }  # fmt: skip
    slow = counts_of(read_votes(data, said).votes)
    assert by_name == {tuple(sorted(pair)): sum(amounts) for pair, amounts in slow.items()}
    wins = dict(zip(straight.items, straight.wins_of_item))
    votes = read_votes(data, said).votes.counts()
    assert wins == pytest.approx(dict(zip(votes.items, votes.wins_of_item)))


@pytest.mark.parametrize(
    "columns",
    [{"winner": ["left", "nobody", "tie"]}, {"right": ["y", "y", "z"]}, {"left": ["x", "", "x"]}],
)
def test_counts_straight_from_columns_name_the_same_bad_lines(columns):
    with pytest.raises(DataError, match="row 2"):
        counts_from_columns(prepare(table(**columns), PAIRS, "votes", True, 0))


def test_votes_that_are_taken_keep_all_their_columns():
    votes = Votes.from_outcomes(
        ("a", "b", "c"), np.array([0, 1, 2]), np.array([1, 2, 0]), np.array([0, 2, 1]),
        voter=np.array([0, 1, -1]), voters=("ann", "bob"), time=np.array([1.0, 2.0, 3.0]),
        covariates=np.array([[1.0], [2.0], [3.0]]), covariate_names=("length",),
    )  # fmt: skip
    part = votes.take(np.array([2, 1]))
    assert part.voter.tolist() == [-1, 1]
    assert part.covariates.tolist() == [[3.0], [2.0]]
    assert part.tie.tolist() == [False, True]


def test_what_is_no_vote_is_refused():
    good = {"items": ("a", "b"), "first": np.array([0]), "second": np.array([1]),
            "outcome": np.array([0])}  # fmt: skip
    for change, words in [
        ({"second": np.array([0])}, "itself"),
        ({"outcome": np.array([5])}, "expected 0"),
        ({"weight": np.array([np.nan])}, "finite"),
        ({"voter": np.array([3]), "voters": ("ann",)}, "outside -1 to 0"),
        ({"covariates": np.array([[np.nan]]), "covariate_names": ("length",)}, "'length' is nan"),
        ({"covariates": np.array([[1.0]])}, "no names"),
        ({"time": np.array([np.nan])}, "time"),
    ]:
        with pytest.raises(DataError, match=words):
            Votes.from_outcomes(**(good | change))


def test_votes_of_two_sets_are_matched_by_name():
    ours = Votes.from_outcomes(
        ("a", "b"), np.array([0]), np.array([1]), np.array([0]), voter=np.array([0]), voters=("v",)
    )
    theirs = Votes.from_outcomes(
        ("c", "a"), np.array([0, 1]), np.array([1, 0]), np.array([1, 2]),
        voter=np.array([1, -1]), voters=("w", "v"),
    )  # fmt: skip
    both = ours.merged(theirs)
    assert both.items == ("a", "b", "c")
    assert both.voters == ("v", "w")
    np.testing.assert_array_equal(both.first, [0, 2, 0])
    np.testing.assert_array_equal(both.second, [1, 0, 2])
    np.testing.assert_array_equal(both.voter, [0, 0, -1])
    np.testing.assert_array_equal(both.tie, [False, False, True])


def test_columns_may_come_as_lists_by_name():
    columns = {name: table()[name].to_pylist() for name in ("left", "right", "winner")}
    columns["weight"] = [1.0, 2.0, None]
    columns["voter"] = ["ann", None, "bob"]
    said = replace(PAIRS, weight=None, person="voter")
    votes = read_votes(columns, said).votes
    plain = read_votes(pa.table(columns), said).votes
    assert counts_of(votes) == counts_of(plain)
    assert votes.voter.tolist() == plain.voter.tolist() == [0, -1, 1]
    assert pa.types.is_dictionary(load_table(columns).table["left"].type)
    assert load_table({"a": [1, 2], "b": ["x", "y"]}).table["a"].type == pa.int64()


@pytest.mark.parametrize(
    "columns", [{"a": ["x", "y"], "b": ["x"]}, {"a": ["x", 3.5], "b": ["x", "y"]}, {"a": 3}]
)
def test_lists_that_make_no_table_are_told_by_their_lengths(columns):
    with pytest.raises(DataError, match=r"make no table .*: a \(.*expected lists of equal length"):
        load_table(columns)


GRADED = Description(layout="pairs", kind="graded", option_columns=("left", "right"),
                     answer="winner", levels=("B>>A", "B>A", "A=B", "A>B", "A>>B"))  # fmt: skip


def graded(grade, grades, **others):
    count = len(grade)
    first, second = np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.int64)
    return Votes.from_grades(("x", "y"), first, second, np.array(grade), grades, **others)


def test_grades_are_read_as_places_of_their_scale_and_a_line_without_one_is_left_out():
    found = read_votes(table(winner=["A>>B", None, "B>A"]), GRADED)
    assert found.votes.grade.tolist() == [4, 1]
    assert found.votes.grades == GRADED.levels
    assert found.votes.share.tolist() == [1.0, 0.25]
    assert any("from B>>A (the second is best) to A>>B" in note for note in found.notes)
    with pytest.raises(DataError, match="row 2: winner is 'a lot'"):
        read_votes(table(winner=["A>>B", "a lot", "B>A"]), GRADED)


def test_directions_of_grades_are_who_was_better():
    votes = graded([0, 1, 2, 3, 4], "abcde").directions()
    assert votes.share.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert votes.tie.tolist() == [False, False, True, False, False]
    assert not graded([0, 1, 2, 3], "abcd").directions().tie.any()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(2, 6))
def test_grades_that_nobody_gave_leave_in_mirrored_pairs(grade, levels):
    grade = [min(g, levels - 1) for g in grade]
    names = tuple("abcdef"[:levels])
    votes = graded(grade, names)
    found = votes.with_given_grades()
    seen = {min(g, levels - 1 - g) for g in grade}
    if found.grade is None:
        assert seen == {(levels - 1) / 2}
    else:
        assert [found.grades[g] for g in found.grade] == [names[g] for g in grade]
        place = [names.index(name) for name in found.grades]
        assert {min(g, levels - 1 - g) for g in place} == seen
        assert place == sorted(levels - 1 - g for g in place)
    assert found.directions().share.tolist() == votes.directions().share.tolist()


def test_graded_votes_merge_with_votes_of_the_same_grades_only():
    votes = graded([0, 2], "abc")
    assert votes.merged(votes.take(np.array([1]))).grade.tolist() == [0, 2, 2]
    with pytest.raises(DataError, match=r"grades \('a', 'b', 'c'\) and \(\)"):
        votes.merged(votes.ungraded())


@pytest.mark.parametrize(
    ("grade", "grades", "words"),
    [
        ([0, 3], "abc", "from 0 to 3 for 2 votes; expected each vote's place"),
        ([0, 1], "a", "expected two or more different names"),
        ([0, 1], "aba", "expected two or more different names"),
    ],
)
def test_grades_off_their_scale_are_refused_in_words(grade, grades, words):
    with pytest.raises(DataError, match=words):
        graded(grade, tuple(grades))


def test_records_that_are_all_graded_are_graded_votes():
    votes = votes_from_records(read(table(winner=["A>>B", None, "B>A"]), GRADED).records)
    assert votes.grade.tolist() == [4, 1]
    assert len(votes.grades) == 5


@pytest.mark.parametrize("winner", ["winner", "loser", "other"])
def test_blanks_around_a_name_lose_no_vote(winner):
    """In the items' columns, in the answer's, or in both; two names may differ by nothing else."""
    first, second = [" x", "y", "x ", " x"], ["y", " x", "y", "x "]
    table = pa.table({"winner": first, "loser": second, "other": ["x", " y", "x ", " x"]})
    said = Description(layout="pairs", option_columns=("winner", "loser"), answer=winner)
    found = read_votes(table, said)
    assert len(found.votes) == 4
    sides = {"winner": [1, 1, 1, 1], "loser": [0, 0, 0, 0], "other": [1, 1, 1, 1]}[winner]
    np.testing.assert_array_equal(found.votes.share, sides)


def test_answers_of_judges_in_numbers_are_votes_of_each_and_bad_lines_stand_aside_once(tmp_path):
    file = tmp_path / "judges.csv"
    file.write_text("left,right,j1,j2\na,b,1,0\nb,a,7,1\nc,a,0,5\na,c,0,\nb,c,7,9\n")
    said = Description(
        layout="pairs", option_columns=("left", "right"), answer="j1", answer_columns=("j1", "j2")
    )
    found = read_votes(file, said, on_bad_rows="quarantine")
    votes = found.votes
    cast = [
        (votes.voters[v], votes.items[i], votes.items[j], share)
        for v, i, j, share in zip(votes.voter, votes.first, votes.second, votes.share, strict=True)
    ]
    assert cast == [("j1", "a", "b", 1.0), ("j1", "c", "a", 0.0), ("j1", "a", "c", 0.0),
                    ("j2", "a", "b", 0.0), ("j2", "b", "a", 1.0)]  # fmt: skip
    assert found.quarantined["row_number"].to_pylist() == [2, 3, 5]
    assert found.quarantined["j1"].to_pylist() == ["7", "0", "7"]
