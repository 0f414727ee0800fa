"""Files of judged texts as they are published: pairs, edits, listed rankings, rated texts."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.description import Description, parse
from penchant.data.guess import guess
from penchant.data.readers.read import read
from penchant.errors import ConfigError

SIZE = 60


def texts(stem):
    return [f"{stem} says number {i} in some words" for i in range(SIZE)]


def test_two_texts_and_a_number_that_their_names_end_with_are_pairs():
    choice = np.arange(SIZE) % 2
    table = pa.table({"prompt": texts("ask"), "response_0": texts("one"),
                      "response_1": texts("two"), "human_choice": choice})  # fmt: skip
    result = read(table)
    np.testing.assert_array_equal(np.asarray(result.records.rows["outcome"]), choice)
    shown = result.records.options["text"].to_pylist()
    assert shown[:2] == [texts("one")[0], texts("two")[0]]


def test_numbers_that_no_names_explain_are_not_guessed_to_be_sides():
    table = pa.table({"response_a": texts("one"), "response_b": texts("two"),
                      "choice": np.arange(SIZE) % 2})  # fmt: skip
    assert guess(table).description.answer is None


def test_an_edit_beats_what_it_was_made_of_and_no_edit_says_nothing():
    revised = texts("new")
    revised[3] = texts("old")[3]
    table = pa.table({"rater_id": [f"r{i % 5}" for i in range(SIZE)], "original": texts("old"),
                      "revised": revised})  # fmt: skip
    said = guess(table)
    assert said.description.kind == "edit"
    result = read(table, parse(said.to_toml()))
    chosen = result.records.rows["chosen"].to_pylist()
    assert chosen[3] is None
    assert chosen[:3] == [0, 0, 0]
    assert result.records.options["text"].to_pylist()[:2] == [texts("new")[0], texts("old")[0]]
    assert any("1 of 60 texts were left as they stood" in note for note in result.report.notes)


def test_an_edit_with_an_answer_column_is_refused():
    table = pa.table({"a": texts("a"), "b": texts("b"), "c": np.zeros(SIZE)})
    said = Description(layout="pairs", kind="edit", option_columns=("a", "b"), answer="c")
    with pytest.raises(ConfigError, match=r"first of `options.columns` is the edited text"):
        read(table, said)


def test_a_ranking_may_be_a_list_of_names():
    orders = [["mine", "yours", "ours"], ["ours", "mine", "yours"], ["yours"]] * 20
    table = pa.table({
        "writer_id": [f"w{i % 4}" for i in range(SIZE)],
        "shown_order": [["yours", "mine", "ours"]] * SIZE, "ranking": orders,
        **{f"text_{name}": texts(name) for name in ("mine", "yours", "ours")},
    })  # fmt: skip
    said = guess(table)
    assert said.description.answer == "ranking"
    records = read(table, parse(said.to_toml())).records
    names = records.options["option"].to_pylist()[:9]
    rank = dict(zip(zip(np.repeat(range(3), 3).tolist(), names),
                    records.options["rank"].to_pylist()))  # fmt: skip
    assert [rank[0, n] for n in ("mine", "yours", "ours")] == [1, 2, 3]
    assert [rank[1, n] for n in ("mine", "yours", "ours")] == [2, 3, 1]
    assert rank[2, "yours"] == 1
    assert rank[2, "mine"] in (None, -1, 0)
    assert records.options["text"].to_pylist()[0].startswith(names[0])
    assert records.num_people == 4


def test_rated_texts_need_no_name():
    table = pa.table({"comment": texts("c"), "reviewer_id": [f"r{i % 3}" for i in range(SIZE)],
                      "rating": np.arange(SIZE) % 5 + 1})  # fmt: skip
    records = read(table).records
    assert records.options["text"].to_pylist()[0] == texts("c")[0]
    assert records.options["level"].to_pylist()[:5] == [0, 1, 2, 3, 4]
    assert records.num_people == 3
