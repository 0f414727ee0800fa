"""One text has one embedding, however the column is laid out."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.encoders.embedding import EmbeddingColumn
from penchant.errors import DataError

TEXTS = ["a", "b", "b", "c", "c", "a"]
VECTORS = {"a": [1.0, 0.0], "b": [0.5, None], "c": [-1.0, 2.0]}


def records_of(lists, layout):
    fixed, kept = pa.list_(pa.float32(), 2), [one for one in lists if one is not None]
    if layout == "dictionary":
        codes = [None if one is None else kept.index(one) for one in lists]
        column = pa.DictionaryArray.from_arrays(
            pa.array(codes, pa.int32()), pa.array(kept, pa.list_(pa.float32()))
        )
    elif layout == "twice in the dictionary":
        places = iter(range(len(kept)))
        codes = [None if one is None else next(places) for one in lists]
        column = pa.DictionaryArray.from_arrays(
            pa.array(codes, pa.int32()), pa.array(kept, pa.list_(pa.float32()))
        )
    else:
        column = pa.array(lists, fixed if layout == "fixed" else pa.list_(pa.float32()))
    records = Records.from_arrays(
        options={"text": np.array(TEXTS).reshape(3, 2)},
        rows={"person": ["p", "p", "q"], "chosen": [0, 1, 0]},
    )
    return replace(records, options=records.options.append_column("embedding", column))


LAYOUTS = pytest.mark.parametrize(
    "layout", ["lists", "fixed", "dictionary", "twice in the dictionary"]
)


@LAYOUTS
@pytest.mark.parametrize("has_gap", [False, True])
def test_lines_that_agree_or_say_nothing_are_one_text(layout, has_gap):
    lists = [VECTORS[text] for text in TEXTS]
    if has_gap:
        lists[4] = None
    made = EmbeddingColumn().embed(records_of(lists, layout))
    assert made.texts == ("a", "b", "c")
    np.testing.assert_array_equal(made.vectors, np.array([[1, 0], [0.5, np.nan], [-1, 2]]))


@LAYOUTS
@pytest.mark.parametrize("other", [[1.0, 0.5], [1.0, None], [1.0, 0.0, 0.0]])
def test_a_text_with_two_embeddings_is_named(layout, other):
    if layout == "fixed" and len(other) == 3:
        pytest.skip("lists of one length cannot differ in it")
    lists = [VECTORS[text] for text in TEXTS]
    lists[5] = other
    with pytest.raises(DataError, match="the text 'a' has different embeddings"):
        EmbeddingColumn().embed(records_of(lists, layout))


def asked(prompts, lists):
    records = records_of(lists, "lists")
    return records.with_columns(rows={"prompt": prompts})


def test_embeddings_made_after_a_prompt_differ_between_prompts():
    lists = [[1.0, 0], [2, 0], [3.0, 0], [4, 0], [4, 0], [5.0, 0]]
    made = EmbeddingColumn().embed(asked(["eat?", "run?", "run?"], lists))
    assert [made.texts[at] for at in made.of_option] == TEXTS
    np.testing.assert_array_equal(made.vectors[made.of_option], np.array(lists))
    # `c` has one embedding at one prompt: it is one text there.
    assert len(made.texts) == 5


def test_two_embeddings_at_one_prompt_are_refused_all_the_same():
    lists = [[1.0, 0], [2, 0], [3.0, 0], [4, 0], [9, 0], [5.0, 0]]
    with pytest.raises(DataError, match=r"the text 'c' has different embeddings .*one prompt"):
        EmbeddingColumn().embed(asked(["eat?", "run?", "run?"], lists))
    with pytest.raises(DataError, match="different embeddings"):
        EmbeddingColumn(prompt=None).embed(asked(["eat?", "run?", "run?"], lists))


def test_a_text_that_is_the_same_at_all_prompts_stays_one():
    lists = [VECTORS[text] for text in TEXTS]
    assert EmbeddingColumn().embed(asked(["eat?", "run?", None], lists)).texts == ("a", "b", "c")
