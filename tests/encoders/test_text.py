"""Texts through a frozen embedding: distinct texts once, a cache by content, clear refusals."""

import importlib.util

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.encoders.text import TextEncoder, embed_once
from penchant.errors import DataError, MissingExtraError

TEXTS = ["yes", "no thanks", "yes", "ça va", "no thanks", "later"]
RECORDS = Records.from_arrays(
    options={"text": TEXTS},
    rows={"chosen": [0, 1, 0], "person": ["ann", "ann", "bob"]},
    menu_sizes=np.array([2, 2, 2]),
)


class CountingEmbedding:
    """Length and number of vowels; remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked += texts
        return np.array([[len(t), sum(c in "aeiou" for c in t) + 0.5] for t in texts])


def expected():
    return [[len(t), sum(c in "aeiou" for c in t) + 0.5] for t in TEXTS]


def test_each_option_gets_the_embedding_of_its_text():
    embedding = CountingEmbedding()
    encoder = TextEncoder(model="counting").fit(RECORDS)
    batch = encoder.encode(RECORDS, embedding)
    np.testing.assert_array_equal(batch.blocks[0].features.reshape(6, 2), expected())
    assert batch.feature_names == ("text[0]", "text[1]")
    assert batch.num_groups == 2
    assert sorted(embedding.asked) == sorted(set(TEXTS))


def test_a_text_is_embedded_once_for_all_time(tmp_path):
    first, second = CountingEmbedding(), CountingEmbedding()
    encoder = TextEncoder(model="counting", cache=str(tmp_path / "new" / "folder"))
    encoder.encode_features(RECORDS.take(np.array([0])), first)
    assert first.asked == ["yes", "no thanks"]
    found = encoder.encode_features(RECORDS, second)
    assert second.asked == ["ça va", "later"]
    np.testing.assert_array_equal(found, expected())


def test_models_do_not_read_each_others_cache(tmp_path):
    embed_once(["yes"], CountingEmbedding(), "one", tmp_path)
    other = embed_once(["yes"], lambda texts: np.full((len(texts), 3), 7.0), "two", tmp_path)
    np.testing.assert_array_equal(other, [[7.0, 7.0, 7.0]])


@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is not None, reason="the extra is installed"
)
def test_without_the_extra_the_error_names_it():
    with pytest.raises(MissingExtraError, match=r"penchant\[text\]"):
        TextEncoder(model="any").encode(RECORDS)


def test_a_missing_text_is_named_with_its_row():
    texts = [*TEXTS[:3], None, *TEXTS[4:]]
    records = RECORDS.with_columns(options={"text": pa.array(texts)})
    with pytest.raises(DataError, match=r"observation 1 has no 'text' for place 1 .*1 of 6"):
        TextEncoder(model="any").fit(records)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(DataError, match="no column 'words'"):
        TextEncoder(model="any", column="words").fit(RECORDS)
    numbers = RECORDS.with_columns(options={"price": np.arange(6.0)})
    with pytest.raises(DataError, match="expected texts"):
        TextEncoder(model="any", column="price").fit(numbers)
