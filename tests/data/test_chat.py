"""TRL's preference formats: strings and messages, margins, implicit prompts, labelled answers."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.description import Description
from penchant.data.readers.chat import split_prompt
from penchant.data.readers.read import read
from penchant.data.readers.write import to_table
from penchant.errors import DataError

TRL = Description(layout="trl")


def user(text):
    return {"role": "user", "content": text}


def bot(text):
    return {"role": "assistant", "content": text}


def test_a_pair_of_strings_keeps_margin_and_extras():
    table = pa.table({"prompt": ["Hi", "Yo"], "chosen": ["a", "b"], "rejected": ["c", "d"],
                      "margin": [0.5, 1.0], "id": [7, 8]})  # fmt: skip
    records = read(table, TRL).records
    assert records.kinds.tolist() == ["pair"]
    assert records.rows["outcome"].to_pylist() == [0, 0]
    assert records.options["text"].to_pylist() == ["a", "c", "b", "d"]
    assert records.rows["prompt"].to_pylist() == ["Hi", "Yo"]
    assert records.roles == {"prompt": "context", "margin": "extra", "id": "extra"}


def test_messages_stay_messages():
    table = pa.table({"prompt": [[user("Hi")]], "chosen": [[bot("a")]], "rejected": [[bot("b")]]})
    records = read(table, TRL).records
    assert records.options["text"].to_pylist() == [[bot("a")], [bot("b")]]
    assert records.rows["prompt"].to_pylist() == [[user("Hi")]]


def test_an_implicit_prompt_of_messages_is_what_both_share():
    table = pa.table({
        "chosen": [[user("Hi"), bot("a")], [user("x"), bot("y"), user("z"), bot("1")]],
        "rejected": [[user("Hi"), bot("b")], [user("x"), bot("y"), user("z"), bot("2")]],
    })  # fmt: skip
    result = read(table, TRL)
    assert result.records.rows["prompt"].to_pylist() == [
        [user("Hi")], [user("x"), bot("y"), user("z")],
    ]  # fmt: skip
    assert result.records.options["text"].to_pylist() == [
        [bot("a")], [bot("b")], [bot("1")], [bot("2")],
    ]  # fmt: skip
    assert "what both texts begin with is the prompt" in result.report.notes[0]


def test_two_equal_conversations_still_end_in_an_answer():
    same = pa.array([[user("Hi"), bot("a")]])
    prompt, first, second = split_prompt(same, same)
    assert prompt.to_pylist() == [[user("Hi")]]
    assert first.to_pylist() == second.to_pylist() == [[bot("a")]]


@given(st.lists(st.tuples(*[st.text("a éè漢漠", max_size=90)] * 3), min_size=1, max_size=5))
@settings(max_examples=80)
def test_an_implicit_prompt_of_strings_is_found_as_a_slow_twin_finds_it(parts):
    chosen = [prompt + left for prompt, left, _ in parts]
    rejected = [prompt + right for prompt, _, right in parts]
    found = split_prompt(pa.array(chosen), pa.array(rejected))
    prompts, firsts, seconds = (column.to_pylist() for column in found)
    for whole, other, prompt, first, second in zip(
        chosen, rejected, prompts, firsts, seconds, strict=True
    ):
        shared = 0
        while shared < min(len(whole), len(other)) and whole[shared] == other[shared]:
            shared += 1
        if 0 < shared < min(len(whole), len(other)) and whole[shared - 1] == " ":
            shared -= 1
        assert prompt == whole[:shared]
        assert (prompt + first, prompt + second) == (whole, other)


def test_labelled_answers_are_successes():
    table = pa.table({"prompt": ["p", "q", "r"], "completion": ["x", "y", "z"],
                      "label": [True, False, None]})  # fmt: skip
    records = read(table, TRL).records
    assert records.kinds.tolist() == ["binary"]
    assert records.options["success"].to_pylist() == [1, 0, None]
    assert records.options["text"].to_pylist() == ["x", "y", "z"]


def test_trl_tables_come_back_as_they_were():
    tables = [
        pa.table({"prompt": ["Hi"], "chosen": ["a"], "rejected": ["c"], "margin": [0.5]}),
        pa.table({"prompt": [[user("Hi")]], "chosen": [[bot("a")]], "rejected": [[bot("b")]]}),
        pa.table({"prompt": ["p"], "completion": ["x"], "label": [True]}),
    ]
    for table in tables:
        back = to_table(read(table, TRL).records, TRL)
        assert back.select(table.column_names).to_pylist() == table.to_pylist()


def test_what_is_no_preference_is_refused():
    with pytest.raises(DataError, match="expected prompt, chosen and rejected"):
        read(pa.table({"prompt": ["x"], "answer": ["y"]}), TRL)
    with pytest.raises(DataError, match="row 2: rejected is missing"):
        read(pa.table({"chosen": ["x", "y"], "rejected": ["z", None]}), TRL)
    with pytest.raises(DataError, match="both as strings or both as lists"):
        read(pa.table({"chosen": ["x"], "rejected": [[bot("b")]]}), TRL)


def test_a_bad_pair_is_set_aside_with_both_its_texts():
    table = pa.table({"prompt": ["p", "q"], "chosen": ["x", "y"], "rejected": ["z", None]})
    result = read(table, TRL, on_bad_rows="quarantine")
    assert result.records.options["text"].to_pylist() == ["x", "z"]
    assert result.quarantined["chosen"].to_pylist() == ["y"]
