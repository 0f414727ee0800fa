"""What a table of votes or rankings is taken for: the forms that people really have."""

import pyarrow as pa
import pytest

from penchant.data.guess import guess
from penchant.data.rankings import rankings_from_records
from penchant.data.readers.read import read
from penchant.data.readers.votes import read_votes
from penchant.errors import DataError
from penchant.models.leaderboard import Leaderboard

# Items 1 > 2 > 3 in every form: as numbers, as names, by side, by name, with a tie, seen once.
ONE_ORDER = {
    "numbers by side": ([1, 2, 1, 3], [2, 3, 3, 2], ["left", "left", "left", "right"]),
    "numbers by name": ([1, 2, 1, 3], [2, 3, 3, 2], [1, 2, 1, 2]),
    "numbers by name, or a tie": ([1, 2, 1, 3], [2, 3, 3, 2], ["1", "2", "tie", "2"]),
    "words by name, or a tie": (list("xyxz"), list("yzzy"), ["x", "y", "tie", "y"]),
}


@pytest.mark.parametrize("form", ONE_ORDER)
@pytest.mark.parametrize("sides", [("left", "right"), ("item_1", "item_2"), ("model_a", "model_b")])
def test_numbers_are_names_where_the_columns_hold_items(form, sides):
    left, right, winner = ONE_ORDER[form]
    data = pa.table({sides[0]: left, sides[1]: right, "label": winner})
    said = guess(data).description
    assert (said.layout, said.option_columns, said.answer) == ("pairs", sides, "label")
    votes = read_votes(data, said).votes
    won = [votes.items[i if s > 0.5 else j]
           for i, j, s in zip(votes.first, votes.second, votes.share)]  # fmt: skip
    names = ["1", "2", "1", "2"] if isinstance(left[0], int) else ["x", "y", "x", "y"]
    assert [w for w, t in zip(won, votes.tie) if not t] == [
        n for n, t in zip(names, votes.tie) if not t
    ]


def test_numbers_that_are_features_are_no_names():
    data = pa.table({"cost_1": [1, 2, 1], "cost_2": [2, 3, 3], "time_1": [4, 5, 6],
                     "time_2": [5, 5, 5], "choice": [1, 2, 2]})  # fmt: skip
    assert guess(data).description.layout == "wide"


def test_items_that_are_seen_once_are_items_too():
    data = pa.table({"left": ["p1", "p3"], "right": ["p2", "p4"], "winner": ["left", "right"]})
    assert guess(data).description.layout == "pairs"
    unknown = pa.table({"text_a": ["p1", "p3"], "text_b": ["p2", "p4"], "note": ["left", "x"]})
    assert guess(unknown).description.layout != "pairs"


def test_an_unknown_word_among_winners_is_named_by_its_line_and_does_not_hide_the_votes():
    data = pa.table({"left": ["a", "b", "c"], "right": ["b", "c", "a"],
                     "winner": ["left", "banana", "right"]})  # fmt: skip
    said = guess(data).description
    assert said.answer == "winner"
    with pytest.raises(DataError, match="row 2: winner is 'banana'"):
        read_votes(data, said)


@pytest.mark.parametrize(("name", "values"), [
    ("left_won", [True, False]), ("left_wins", [1, 0]), ("first_won", ["yes", "no"]),
])  # fmt: skip
def test_a_column_that_says_whether_the_left_one_won_is_read_so(name, values):
    data = pa.table({"left": ["x", "y"], "right": ["y", "z"], name: values})
    said = guess(data).description
    assert said.answer == name
    assert read_votes(data, said).votes.share.tolist() == [1.0, 0.0]


def test_zeros_and_ones_of_an_unknown_meaning_are_not_guessed():
    data = pa.table({"left": ["x", "y"], "right": ["y", "x"], "label": [1, 0]})
    assert guess(data).description.layout == "long"


RANKED = {
    "places": {"first": list("aab"), "second": list("bca"), "third": list("cbc")},
    "numbered": {"rank_1": list("aab"), "rank_2": list("bca"), "rank_3": list("cbc")},
    "written": {"ranking": ["a > b > c", "a>c>b", "b > a > c"]},
    "by item": {"a": [1, 1, 2], "b": [2, 3, 1], "c": [3, 2, 3]},
}


@pytest.mark.parametrize("form", RANKED)
def test_rankings_in_every_form_are_the_same_rankings(form):
    data = pa.table({"voter": ["v", "w", "x"], **RANKED[form]})
    said = guess(data).description
    assert said.layout == "rankings"
    assert said.person == "voter"
    found = rankings_from_records(read(data, said).records)
    orders = [
        [found.items[i] for i in found.item[found.start[r] : found.start[r + 1]]] for r in range(3)
    ]
    assert orders == [["a", "b", "c"], ["a", "c", "b"], ["b", "a", "c"]]


def test_equal_items_and_unranked_ones_of_a_written_ranking_keep_their_places():
    data = pa.table({"ranking": ["a > b = c > d", "d > a"]})
    found = rankings_from_records(read(data, guess(data).description).records)
    assert [t.tolist() for t in (found.tier[:4], found.tier[4:])] == [[0, 1, 1, 2], [0, 1, 2, 2]]
    slip = pa.table({"ranking": ["a > b", "b > a > b"]})
    with pytest.raises(DataError, match="row 2: ranking is 'b > a > b'"):
        read(slip, guess(slip).description)


def test_answers_to_several_questions_are_no_ranking():
    data = pa.table({"choice_1": ["yes", "no", "yes"], "choice_2": ["yes", "no", "no"],
                     "choice_3": ["yes", "yes", "no"]})  # fmt: skip
    assert guess(data).description.layout != "rankings"


def test_a_leaderboard_is_the_same_from_numbers_and_from_words():
    left, right, winner = ONE_ORDER["numbers by name"]
    boards = [
        Leaderboard().fit(pa.table({"left": kind(left), "right": kind(right),
                                    "winner": kind(winner)})).standings_
        for kind in (list, lambda values: [str(v) for v in values])
    ]  # fmt: skip
    assert boards[0] == boards[1]


def test_a_count_of_ratings_is_no_rating():
    data = pa.table({"who": ["p", "q"], "item": ["a", "b"], "rating_count": [3, 70]})
    assert guess(data).description.layout != "ratings"
