"""Files that hold several answers to a prompt on a line, with ranks or scores."""

import json

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.columns import to_floats, to_ints
from penchant.data.guess import guess
from penchant.data.readers.read import read
from penchant.errors import ConfigError, DataError


def write(folder, rows, name="lists.jsonl"):
    file = folder / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


LINES = [
    {"prompt": "a?", "completions": ["x", "y", "z"], "ranks": [2, 1, 0], "person": "ann",
     "weight": 2.0, "place": "home"},
    {"prompt": "b?", "completions": ["u", "v"], "ranks": [1, 2], "person": "bob", "weight": 1.0,
     "place": "work"},
]  # fmt: skip


def test_a_line_is_a_ranking_of_its_texts(tmp_path):
    records = read(write(tmp_path, LINES)).records
    assert records.kinds[records.kind_codes].tolist() == ["ranking", "ranking"]
    assert records.offsets.tolist() == [0, 3, 5]
    assert records.options["text"].to_pylist() == ["x", "y", "z", "u", "v"]
    assert to_ints(records.options["rank"], missing=0).tolist() == [2, 1, 0, 1, 2]
    assert records.rows["prompt"].to_pylist() == ["a?", "b?"]
    assert to_floats(records.rows["weight"]).tolist() == [2.0, 1.0]
    assert [str(name) for name in records.rows["person"].to_pylist()] == ["ann", "bob"]
    assert records.roles["prompt"] == "context"


def test_scores_are_numbers_of_each_text(tmp_path):
    rows = [{"instruction": "a?", "responses": ["x", "y", "z"], "scores": [0.5, None, 2]}]
    found = read(write(tmp_path, rows))
    records = found.records
    assert str(records.kinds[0]) == "outcome"
    np.testing.assert_array_equal(to_floats(records.options["value"]), [0.5, np.nan, 2.0])
    assert records.rows["prompt"].to_pylist() == ["a?"]
    assert any("'instruction' is taken for the prompt" in note for note in found.report.notes)


def test_structures_hold_text_and_rank_and_keep_what_else_they_hold(tmp_path):
    rows = [{"prompt": "a?", "answers": [{"answer": "x", "rank": 2, "model": "m1"},
                                         {"answer": "y", "rank": 1, "model": "m2"}]}]  # fmt: skip
    records = read(write(tmp_path, rows)).records
    assert records.options["text"].to_pylist() == ["x", "y"]
    assert to_ints(records.options["rank"]).tolist() == [2, 1]
    assert records.options["model"].to_pylist() == ["m1", "m2"]
    assert records.roles["model"] == "extra"


def test_answers_may_be_lists_of_messages(tmp_path):
    said = [[{"role": "assistant", "content": text}] for text in ("x", "y", "z")]
    rows = [{"prompt": [{"role": "user", "content": "a?"}], "completions": said,
             "ranks": [3, 1, 2]}]  # fmt: skip
    records = read(write(tmp_path, rows)).records
    assert records.options["text"].to_pylist() == said
    # One conversation is no list of answers.
    table = pa.table({"completions": [said[0]], "ranks": [[1.0]]})
    assert guess(table).description.layout != "trl"


def test_names_of_ones_own_are_told_by_a_description(tmp_path):
    from penchant.data.description import Description

    rows = [{"prompt": "a?", "drafts": ["x", "y", "z"], "judged": [3, 1, 2]}]
    for kind, column in (("ranking", "rank"), ("outcome", "value")):
        said = Description(layout="trl", text="drafts", answer="judged", kind=kind)
        records = read(write(tmp_path, rows), said).records
        assert to_floats(records.options[column]).tolist() == [3.0, 1.0, 2.0]
    other = Description(layout="trl", text="drafts", answer="judged", kind="pair")
    with pytest.raises(ConfigError, match="of kind 'pair'; expected ranking"):
        read(write(tmp_path, rows), other)


def test_what_might_belong_to_a_prompt_and_is_not_read_is_named(tmp_path):
    row = {"completions": ["x", "y"], "ranks": [1, 2], "instruction": "sum"}
    found = read(write(tmp_path, [row | {"input": "1 2"}]))
    assert found.records.rows["prompt"].to_pylist() == ["sum"]
    assert any("'input' is not read with it" in note for note in found.report.notes)
    assert not any("not read" in note for note in read(write(tmp_path, [row])).report.notes)


def test_what_verl_keeps_of_its_rollouts_is_a_list_for_each_prompt_of_a_step(tmp_path):
    rows = [{"input": f"{p}?", "output": f"{p}{k}", "gts": "7", "score": float(k == 1), "step": 3,
             "correct": float(k == 1)} for k in range(3) for p in "ab"]  # fmt: skip
    records = read(write(tmp_path, rows)).records
    assert records.offsets.tolist() == [0, 3, 6]
    assert records.rows["input"].to_pylist() == ["a?", "b?"]
    assert records.options["text"].to_pylist() == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert to_floats(records.options["value"]).tolist() == [0.0, 1.0, 0.0] * 2


BAD = {
    "too few ranks": ({"ranks": [1, 2]}, "ranks is [1, 2]", "one number for each of completions"),
    "no list": ({"completions": None}, "completions is missing", "two answers or more"),
    "an empty list": ({"completions": [], "ranks": []}, "completions is []", "two answers"),
    "a missing text": ({"completions": ["x", None, "z"]}, "completions is ['x', None, 'z']",
                       "a text for each"),
    "half a rank": ({"ranks": [1.5, 2, 3]}, "ranks is [1.5, 2.0, 3.0]", "whole numbers, 1 for"),
    "a rank below 0": ({"ranks": [-1, 2, 3]}, "ranks is [-1", "whole numbers, 1 for the best"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_line_that_cannot_be_used_is_told_or_set_aside(name, tmp_path):
    change, got, expected = BAD[name]
    file = write(tmp_path, [LINES[1], LINES[0] | change, LINES[0]])
    with pytest.raises(DataError) as told:
        read(file)
    message = str(told.value)
    assert "row 2" in message
    assert got in message
    assert expected in message
    kept = read(file, on_bad_rows="quarantine")
    assert kept.report.quarantined == 1
    assert kept.records.options["text"].to_pylist() == ["u", "v", "x", "y", "z"]
    assert to_ints(kept.records.options["rank"], missing=0).tolist() == [1, 2, 2, 1, 0]


def test_lists_without_ranks_are_refused_with_the_columns_that_are_meant(tmp_path):
    from penchant.data.description import Description

    file = write(tmp_path, [{"prompt": "a?", "completions": ["x", "y"]}])
    with pytest.raises(DataError, match="ranks or scores"):
        read(file, Description(layout="trl"))
    infinite = write(tmp_path, [{"prompt": "a", "completions": ["x", "y"], "scores": [1e999, 1]}])
    with pytest.raises(DataError, match="finite numbers, higher for better"):
        read(infinite)
