"""Texts read after their prompts, chats written out, and what is odd about them said."""

import numpy as np
import pytest

from penchant.data.records import Records
from penchant.encoders import text_embedding
from penchant.encoders.text_embedding import TextEmbedding
from penchant.errors import DataError, MissingExtraError
from penchant.lm.templates import plain_chat


class Reader:
    """Length of the text; remembers what it was asked."""

    asked: list = []  # noqa: RUF012

    def __init__(self, name):
        pass

    def __call__(self, texts):
        Reader.asked += texts
        return np.array([[len(text), text.count("a")] for text in texts], dtype=float)


@pytest.fixture
def reader(monkeypatch):
    Reader.asked = []
    monkeypatch.setattr(text_embedding, "SentenceModel", Reader)
    return Reader


def pairs(texts, prompts=None):
    more = {} if prompts is None else {"prompt": prompts}
    return Records.from_arrays(
        options={"text": texts},
        menu_sizes=np.full(len(texts) // 2, 2),
        kind="pair",
        rows={"outcome": [0] * (len(texts) // 2), **more},
    )


def test_a_text_is_read_after_its_prompt_and_known_by_both(reader):
    found = TextEmbedding(model="m").embed(
        pairs(["yes", "no", "yes", "no", "yes", "no"], ["eat?", "eat?", "run?"])
    )
    assert sorted(reader.asked) == sorted(
        ["eat?\n\nyes", "eat?\n\nno", "run?\n\nyes", "run?\n\nno"]
    )
    assert sorted(found.texts) == ["no", "no", "yes", "yes"]
    np.testing.assert_array_equal(found.of_option[:2], found.of_option[2:4])
    assert set(found.of_option[4:]).isdisjoint(found.of_option[:4])
    lengths = found.vectors[found.of_option][:, 0]
    np.testing.assert_array_equal(lengths, [9, 8, 9, 8, 9, 8])


def test_without_prompts_the_text_is_read_alone(reader):
    TextEmbedding(model="m").embed(pairs(["yes", "no"]))
    TextEmbedding(model="m", prompt=None).embed(pairs(["maybe", "so"], ["eat?"]))
    assert sorted(reader.asked) == ["maybe", "no", "so", "yes"]


def test_a_second_fit_reads_nothing_again(reader, tmp_path):
    embedding = TextEmbedding(model="m", cache=str(tmp_path))
    one = embedding.embed(pairs(["yes", "no"], ["eat?"]))
    assert len(reader.asked) == 2
    two = embedding.embed(pairs(["yes", "no"], ["eat?"]))
    assert len(reader.asked) == 2
    np.testing.assert_array_equal(one.vectors, two.vectors)


def test_empty_and_identical_texts_are_counted(reader):
    found = TextEmbedding(model="m").embed(pairs(["", "no", "same", "same", "a", "b"]))
    assert "1 of 6 texts shown are empty" in found.notes
    assert any("1 of 3 observations compare a text with itself" in note for note in found.notes)
    assert TextEmbedding(model="m").embed(pairs(["a", "b"])).notes == ()


def test_texts_beyond_the_window_are_counted(monkeypatch):
    from penchant.encoders import text

    class Short(text.SentenceModel):
        def __call__(self, texts):
            return np.ones((len(texts), 2))

        def is_cut(self, texts):
            return np.array([len(each) > 10 for each in texts])

    monkeypatch.setattr(text_embedding, "SentenceModel", Short)
    found = TextEmbedding(model="m").embed(pairs(["short", "x" * 20]))
    assert any("1 of 2 texts" in note and "longer than m reads" in note for note in found.notes)


def test_chats_are_written_out():
    assert plain_chat([{"role": "assistant", "content": "hello"}]) == "hello"
    two = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    assert plain_chat(two) == "user: hi\n\nassistant: hello"


def test_messages_and_strings_are_one_text(reader):
    chats = [[{"role": "assistant", "content": "yes"}], [{"role": "assistant", "content": "no"}]]
    import pyarrow as pa

    records = pairs(["a", "b"]).with_columns(options={"text": pa.array(chats)})
    assert sorted(TextEmbedding(model="m").embed(records).texts) == ["no", "yes"]
    numbers = pairs(["a", "b"]).with_columns(options={"text": pa.array([1, 2])})
    with pytest.raises(DataError, match="expected texts, or lists of messages"):
        TextEmbedding(model="m").embed(numbers)


def test_without_the_extra_the_error_says_how_to_mend_it(monkeypatch):
    import builtins

    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "sentence_transformers":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"pip install 'penchant\[text\]'"):
        TextEmbedding(model="m").embed(pairs(["a", "b"]))
