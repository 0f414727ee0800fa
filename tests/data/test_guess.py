"""The first guess of a description on a table whose names mislead."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.guess import guess
from penchant.data.readers.read import read
from penchant.data.samples import swissmetro


@pytest.mark.parametrize(("column", "is_moment"), [("time", False), ("timestamp", True)])
def test_the_time_of_a_trip_is_a_feature_not_the_moment_of_the_answer(column, is_moment):
    moments = [10, 20, 30, 40, 50, 60] if not is_moment else [7, 7, 8, 8, 9, 9]
    table = pa.table(
        {
            "observation": [0, 0, 1, 1, 2, 2],
            "person": ["p", "p", "p", "p", "q", "q"],
            "option": ["bus", "rail"] * 3,
            column: moments,
            "cost": [1.0, 2.0, 3.0, 1.0, 2.0, 5.0],
            "chosen": [1, 0, 0, 1, 1, 0],
        }
    )
    found = guess(table).description
    assert found.time == (column if is_moment else None)
    assert (column in found.to_toml().split("features")[1]) is not is_moment


def test_what_records_give_as_a_long_table_is_guessed_right():
    records = swissmetro().take(np.arange(200))
    found = guess(records.to_long_pandas())
    said = found.description
    assert (said.layout, said.kind, said.answer) == ("long", "choice", "chosen")
    assert said.features == ("time", "cost", "headway", "seats")
    assert (said.person, said.option, said.situation) == ("person", "option", ("observation",))
    assert "purpose" in (*said.context, *said.person_features)
    # A column that says the same of everybody tells nothing of anybody.
    assert "kind" not in said.named_columns()
    again = read(records.to_long_pandas(), said).records
    assert again.rows["chosen"].to_pylist() == records.rows["chosen"].to_pylist()
    assert again.options["time"].to_pylist() == records.options["time"].to_pylist()


def test_a_gap_or_two_is_a_fault_and_many_are_meant():
    size = 240
    table = {
        "person": [f"p{line // 12}" for line in range(size)],
        "task": [line // 3 % 4 for line in range(size)],
        "mode": ["bus", "car", "walk"] * (size // 3),
        "fare": [None if line % 3 == 2 else line % 7 + 1.5 for line in range(size)],
        "time": [None if line == 5 else float(line % 11) for line in range(size)],
        "noise": [None if line % 5 == 0 else float(line % 13) for line in range(size)],
        "chosen": [int(line % 3 == line // 3 % 3) for line in range(size)],
        "option": [None] * size,
    }
    # Who walks pays no fare; the one time is lost, and noise was often not measured.
    assert set(guess(pa.table(table)).description.allow_missing) == {"fare", "noise"}
    unnamed = guess(pa.table({name: table[name] for name in table if name != "mode"}))
    assert unnamed.description.option is None


def test_who_names_the_answer_has_the_rest_guessed_from_it():
    rng = np.random.default_rng(0)
    table = pa.table({
        "resp": np.repeat([f"r{k}" for k in range(5)], 12), "task": np.repeat(np.arange(20), 3),
        "alt": ["a", "b", "c"] * 20, "cost": rng.uniform(1, 9, 60), "time": rng.uniform(1, 9, 60),
        "took": [1, 0, 0] * 20,
    })  # fmt: skip
    assert guess(table).description.answer is None
    said = guess(table, "took").description
    assert (said.layout, said.kind, said.answer, said.option) == ("long", "choice", "took", "alt")
    assert (said.features, said.time) == (("cost", "time"), None)
    stars = pa.table({"user": ["u", "v"] * 3, "film": ["f", "g", "h"] * 2, "liking": [1, 2, 5] * 2})
    assert guess(stars).description.answer is None
    said = guess(stars, "liking").description
    assert (said.layout, said.option, said.levels) == ("ratings", "film", (1, 2, 3, 4, 5))
    clicks = stars.set_column(2, "liking", [[0, 1] * 3])
    assert guess(clicks, "liking").description.layout != "ratings"
    named = guess(stars.append_column("rating", [[3] * 6]), "liking").description
    assert named.answer == "liking"


def test_a_table_that_an_export_doubled_is_guessed_as_if_it_were_not():
    frame = swissmetro().take(np.arange(60)).to_long_pandas()
    doubled = pa.table({name: np.tile(frame[name].to_numpy(), 2) for name in frame.columns})
    once = guess(frame).description
    twice = guess(doubled).description
    assert (twice.layout, twice.answer, twice.features) == ("long", "chosen", once.features)


@pytest.mark.parametrize("column", ["p", "prob", "probability", "p_left", "win_probability"])
def test_a_probability_beside_two_items_is_a_soft_vote(column):
    sides = {"left": ["x", "y", "z"], "right": ["y", "z", "x"]}
    said = guess(pa.table({**sides, column: [0.9, 0.5, 0.2]})).description
    assert (said.layout, said.option_columns, said.answer) == ("pairs", ("left", "right"), column)
    assert guess(pa.table({**sides, column: [9.0, 0.5, 0.2]})).description.answer is None
