"""Reasons beside judgements: what is read, what is missing, and what each one is about."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records, concat
from penchant.encoders.embedding import EmbeddingColumn
from penchant.encoders.reasons import read_reasons, winning_sides
from penchant.encoders.reasons_heard import ReasonsHeard, ReasonTheme
from penchant.errors import ConfigError, DataError

NUMBERS = {"clear": [1.0, 0.0], "kind": [0.0, 1.0]}


def judged(outcome, rows):
    num = len(outcome)
    return Records.from_arrays(
        options={"text": [f"t{k}" for k in range(2 * num)],
                 "embedding": pa.array([[float(k), 1.0] for k in range(2 * num)])},
        menu_sizes=np.full(num, 2), kind="pair", extras=("embedding", *rows),
        rows={"outcome": outcome, **rows},
    )  # fmt: skip


def with_numbers(said, name="why"):
    numbers = [NUMBERS.get((each or "").strip()) for each in said]
    return {name: pa.array(said, pa.string()), f"{name}_embedding": pa.array(numbers)}


def test_an_empty_cell_is_no_reason_and_columns_are_several():
    records = judged([0, 1, 1], {**with_numbers(["clear", "  ", None]),
                                 **with_numbers([None, "kind", " clear"], "also")})  # fmt: skip
    found = read_reasons(records, ("why", "also"), EmbeddingColumn())
    assert [found.texts[t] for t in found.text] == ["clear", "kind", "clear"]
    assert found.row.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(
        found.vectors[found.text], [NUMBERS[found.texts[t]] for t in found.text]
    )


def test_a_list_of_words_is_several_reasons_of_one_judgement():
    class Reads:
        text = "words"

        def embed(self, records):
            return EmbeddingColumn(text="words").embed(
                records.with_columns(options={"embedding": pa.array(
                    [NUMBERS[each] for each in records.options["words"].to_pylist()]
                )})
            )  # fmt: skip

    records = judged([0, 1], {"why": pa.array([["clear", "kind"], None])})
    found = read_reasons(records, ("why",), Reads())
    assert found.row.tolist() == [0, 0]
    assert [found.texts[t] for t in found.text] == ["clear", "kind"]
    records = judged([0], {"why": pa.array([["clear"]]), "why_embedding": pa.array([[1.0, 0.0]])})
    with pytest.raises(DataError, match="expected one reason a row"):
        read_reasons(records, ("why",), EmbeddingColumn())


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"because": ["clear"] * 2}, "no column 'why' of reasons"),
        ({"why": [1.0, 2.0]}, "holds double; expected reasons in words"),
        ({"why": pa.array([None, " "])}, "all 2 cells of 'why' are empty"),
        ({"why": pa.array([None, None])}, "all 2 cells of 'why' are empty"),
        ({"why": ["clear", "kind"]}, "no column 'why_embedding'"),
        (
            {"why": ["clear", "odd"], "why_embedding": pa.array([[1.0, 0.0], None])},
            "the reason 'odd' of observation 1 has no embedding",
        ),
    ],
)
def test_a_column_that_tells_nothing_is_refused_with_what_it_holds(rows, said):
    records = judged([0, 1], rows)
    with pytest.raises(DataError, match=said):
        read_reasons(records, ("why",), EmbeddingColumn())


def records_of(kind, sizes, rows=None, options=None):
    num = sum(sizes)
    return Records.from_arrays(
        options={"text": [f"{kind} {k}" for k in range(num)], **(options or {})},
        menu_sizes=np.array(sizes), kind=kind, rows=rows or {},
    )  # fmt: skip


def test_a_reason_is_about_the_better_less_the_rest():
    half = 0.5
    for records, side in (
        (records_of("pair", [2, 2, 2], {"outcome": [0, 1, 2]}), [1, -1, -1, 1, 0, 0]),
        (records_of("pair", [2], {"outcome": pa.array([None], pa.int64())}), [0, 0]),
        (records_of("edit", [2], {"chosen": [1]}), [-1, 1]),
        (records_of("choice", [3], {"chosen": [1]}), [-half, 1, -half]),
        (records_of("graded", [2, 2, 2], {"grade": [4, 2, 1]}), [1, -1, 0, 0, -1, 1]),
        (
            records_of("ranking", [3, 3], options={"rank": [2, 1, 3, 1, 1, 0]}),
            [-half, 1, -half, half, half, -1],
        ),
        (records_of("best_worst", [3], {"best": [2], "worst": [0]}), [-half, -half, 1]),
        (records_of("approval", [3], options={"approved": [True, False, True]}), [half, -1, half]),
    ):
        np.testing.assert_allclose(winning_sides(records), side)


def test_a_rated_text_is_held_against_what_its_rater_gives_otherwise():
    records = records_of(
        "rating", [1] * 6, {"person": ["a", "a", "b", "b", "c", "a"]},
        {"level": [4, 2, 1, 1, 3, -1]},
    )  # fmt: skip
    # Of b all ratings are one, of c there is one: neither tells what is better. One gave none.
    np.testing.assert_array_equal(winning_sides(records), [1, -1, 0, 0, 0, 0])


def test_kinds_of_feedback_in_one_file_keep_their_sides():
    both = concat(
        [records_of("pair", [2], {"outcome": [1]}),
         records_of("ranking", [3], options={"rank": [1, 2, 3]})]
    )  # fmt: skip
    np.testing.assert_allclose(winning_sides(both), [-1, 1, 1, -0.5, -0.5])


def test_a_column_named_twice_does_not_count_twice():
    with pytest.raises(ConfigError, match="'why', 'why' of reasons; expected each once"):
        read_reasons(judged([0, 1], with_numbers(["clear", "kind"])), ("why", "why"),
                     EmbeddingColumn())  # fmt: skip


@pytest.mark.parametrize(
    ("gain", "told"),
    [
        ((-0.002, -0.003, -0.001), "hearing them costs 0.0020 nats (0.0010 to 0.0030) each."),
        ((-0.002, -0.005, 0.001),
         "hearing them costs 0.0020 nats (-0.0010 to 0.0050) each, which may be chance."),
        ((0.0, 0.0, 0.0), "hearing them saves nothing."),
    ],
)  # fmt: skip
def test_why_reasons_are_not_used_is_told_with_what_they_cost(gain, told):
    themes = tuple(ReasonTheme(label=each, share=0.5, worth=1.0) for each in "ab")
    counts = {"columns": ("why",), "reasons": 40, "judgements": 40, "observations": 50}
    mean, low, high = gain
    heard = ReasonsHeard(
        **counts, unheard=0, themes=themes, foretold_low=0.01,
        gain=mean, gain_low=low, gain_high=high,
    )  # fmt: skip
    assert heard.sentence().endswith(f"on judgements that the heads had not seen, {told}")
