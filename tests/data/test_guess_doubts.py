"""Files that could be read upside down: they are refused, or what was taken for granted is told."""

from dataclasses import replace

import pyarrow as pa
import pytest

from penchant.data.description import Description
from penchant.data.guess import guess
from penchant.data.readers.read import read
from penchant.models.leaderboard import Leaderboard

LEFT, RIGHT = list("abcabc"), list("bcacab")
WON = ["left", "right", "left", "left", "right", "left"]
LOST = ["right", "left", "right", "right", "left", "right"]


def pairs(**columns):
    return pa.table({"left": LEFT, "right": RIGHT, **columns})


@pytest.mark.parametrize("name", ["worse", "loser", "rejected", "shown_first", "hand", "gold_label",
                                  "test_group"])  # fmt: skip
def test_a_column_of_sides_that_is_called_something_else_is_no_answer(name):
    assert guess(pairs(**{name: LOST})).description.answer is None
    both = guess(pairs(**{name: LOST}, verdict=WON))
    assert (both.description.answer, both.assumed) == ("verdict", ())


def test_a_name_that_says_answer_goes_before_the_order_of_columns():
    assert guess(pairs(bias=LOST, winner=WON)).description.answer == "winner"
    assert guess(pairs(bias=LOST, human_verdict=WON)).description.answer == "human_verdict"


def test_two_columns_of_sides_without_such_a_name_are_not_guessed_between():
    assert guess(pairs(bias=LOST, taste=WON)).description.answer is None


def test_an_answer_that_others_could_be_or_that_is_not_called_one_is_told():
    several = guess(pairs(judge_1=WON, judge_2=LOST))
    assert several.description.answer == "judge_1"
    assert "judge_2 could be it as well" in " ".join(several.assumed)
    lone = guess(pairs(taste=WON))
    assert lone.description.answer == "taste"
    assert "its name does not say so" in " ".join(lone.assumed)
    assert guess(pairs(winner=WON)).assumed == ()


@pytest.mark.parametrize(
    ("sides", "answer"),
    [(("model_a", "model_b"), "winner"), (("first", "second"), "preference"),
     (("model", "baseline"), "preference")],
)  # fmt: skip
def test_zeros_and_ones_that_may_number_the_sides_are_not_guessed(sides, answer):
    data = {sides[0]: ["x", "y", "x"], sides[1]: ["y", "x", "y"]}
    assert guess(pa.table({**data, answer: [0, 1, 0]})).description.answer is None
    soft = guess(pa.table({**data, answer: [0.2, 1.0, 0.0]}))
    assert soft.description.answer == answer
    assert f"the probability that {sides[0]} wins" in soft.assumed[0]


def test_zeros_and_ones_under_the_name_of_a_probability_are_one():
    assert guess(pairs(p=[0, 1, 0, 1, 1, 0])).description.answer == "p"


SHOWN = {"pos1": list("abca"), "pos2": list("bcab"), "pos3": list("cabc")}


def test_a_menu_and_what_was_taken_of_it_are_no_ranking():
    assert guess(pa.table(SHOWN)).description.layout == "rankings"
    for taken in (list("bcbb"), [2, 1, 3, 1]):
        assert guess(pa.table({**SHOWN, "choice": taken})).description.layout != "rankings"
    assert guess(pa.table({**SHOWN, "basket": list("bcbb")})).description.layout != "rankings"
    # What won is what the ranking begins with: that is no other answer.
    assert guess(pa.table({**SHOWN, "winner": list("abca")})).description.layout == "rankings"
    menus = {"first": list("aab"), "second": list("bca"), "third": list("cbc")}
    assert guess(pa.table({**menus, "choice": list("bbb")})).description.layout == "long"
    shown = {"order": ["a > b > c", "b > c > a"], "choice": ["c", "c"]}
    assert guess(pa.table(shown)).description.layout != "rankings"


def test_numbers_by_item_may_be_points():
    found = guess(pa.table({"x": [1, 1, 2], "y": [2, 3, 1], "z": [3, 2, 3]}))
    assert found.description.layout == "rankings"
    assert "If they are points, 3 the best" in found.assumed[0]


def ratings(name, values):
    return pa.table({"user": list("pppqqqrrr"), "item": list("abc") * 3, name: values})


def test_ratings_that_look_like_ranks_are_told_and_the_mend_turns_them_round():
    ranks = ratings("score", [1, 2, 3, 1, 3, 2, 2, 1, 3])
    found = guess(ranks)
    assert "each once for every user, as ranks do" in " ".join(found.assumed)
    assert Leaderboard().fit(ranks).standings_[0].name == "c"
    mended = Description(layout="long", kind="ranking", person="user", option="item",
                         answer="score")  # fmt: skip
    assert Leaderboard().fit(ranks, mended).standings_[0].name == "a"
    assert guess(ratings("score", [5, 2, 3, 4, 3, 2, 2, 1, 3])).assumed == ()


def test_grades_are_told_to_be_read_high_is_good_and_the_mend_turns_them_round():
    grades = ratings("grade", [1, 2, 6, 1, 3, 3, 2, 1, 5])
    found = guess(grades)
    (doubt,) = found.assumed
    assert doubt.startswith("High values of grade are read as good")
    assert Leaderboard().fit(grades).warnings_[:1] == (doubt,)
    assert Leaderboard().fit(grades).standings_[0].name == "c"
    mended = Description(layout="ratings", kind="rating", person="user", option="item",
                         answer="grade", levels=(6, 5, 4, 3, 2, 1))  # fmt: skip
    assert Leaderboard().fit(grades, mended).standings_[0].name == "a"


def test_counts_and_ties_that_are_not_read_are_named():
    data = {"winner": list("aab"), "loser": list("bbc")}
    assert guess(pa.table(data)).assumed == ()
    (counted,) = guess(pa.table({**data, "count": [3, 1, 9]})).assumed
    assert "whatever count says" in counted
    assert guess(pa.table({**data, "weight": [3, 1, 9]})).assumed == ()
    (tied,) = guess(pa.table({**data, "draw": [0, 0, 1]})).assumed
    assert "draw is not read" in tied


@pytest.mark.parametrize("form", ["{feature}_{option}", "{option}_{feature}"])
def test_attributes_are_no_options_whichever_stands_first(form):
    grid = [("time", "bus"), ("time", "car"), ("cost", "bus"), ("cost", "car")]
    data = {form.format(feature=f, option=o): [3 + i, 4, 9 - i] for i, (f, o) in enumerate(grid)}
    said = guess(pa.table({**data, "choice": [1, 2, 2]})).description
    assert said.alternatives == ("bus", "car")
    assert set(said.feature_columns) == {"time", "cost"}


def test_numbers_that_only_the_order_of_columns_explains_are_told():
    wide = pa.table({"time_bus": [3, 4, 5], "time_car": [2, 6, 1], "cost_bus": [1, 2, 1],
                     "cost_car": [2, 3, 3], "choice": [1, 2, 2]})  # fmt: skip
    assert "1 = bus, 2 = car" in " ".join(guess(wide).assumed)
    assert any("1 = bus, 2 = car" in warning for warning in read(wide).report.warnings)
    named = wide.set_column(4, "choice", pa.array(["bus", "car", "car"]))
    assert guess(named).assumed == ()


def long_table(**more):
    return pa.table({
        "person": [f"p{t // 6}" for t in range(60)], "trip": [t // 2 for t in range(60)],
        "mode": ["bus", "car"] * 30, "cost": [1.0 + (7 * i) % 5 for i in range(60)],
        "chosen": [int((t % 3 == 0) == is_bus) for t in range(30) for is_bus in (True, False)],
        **more,
    })  # fmt: skip


def test_neither_another_answer_nor_a_number_of_the_line_is_a_feature():
    assert guess(long_table()).assumed == ()
    assert guess(long_table(line=range(1, 61))).description.features == ("cost",)
    flags = long_table()["chosen"].to_pylist()
    for name, values in (("selected", flags), ("rank", [2 - f for f in flags])):
        found = guess(long_table(**{name: values}))
        assert found.description.features == ("cost",)
        assert "could be it as well" in " ".join(found.assumed)


@pytest.mark.parametrize("code", [-1, 99])
def test_a_number_far_from_all_ratings_is_told_and_can_be_left_out(code, tmp_path):
    lines = [f"u{i % 5},{'abc'[i % 3]},{code if i % 10 == 0 else 1 + i % 5}" for i in range(60)]
    file = tmp_path / "rated.csv"
    file.write_text("\n".join(["user,item,rating", *lines]) + "\n")
    found = guess(file)
    (doubt,) = found.assumed
    assert doubt.startswith(f"{code} is read as a rating")
    mended = replace(found.description, nulls=(str(code), ""), levels=(1, 2, 3, 4, 5))
    levels = read(file, mended).records.options["level"].to_pylist()
    assert levels[0] is None or levels[0] == -1
    assert {level for level in levels if level is not None and level >= 0} == {0, 1, 2, 3, 4}
