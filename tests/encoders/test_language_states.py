"""States of a language model as the numbers of texts: read once, after the prompt, by content."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # they need torch
from penchant.encoders import language_states  # noqa: E402
from penchant.encoders.language_states import LanguageStates  # noqa: E402
from penchant.lm.folder import load_language_model, save_language_model  # noqa: E402
from penchant.lm.language_model import moved_to  # noqa: E402
from penchant.lm.states import read_states, text_rows  # noqa: E402


def pairs(texts, prompts=None):
    rows = {"kind": ["pair"] * (len(texts) // 2), "outcome": [0] * (len(texts) // 2)}
    if prompts is not None:
        rows["prompt"] = prompts
    return Records(
        rows=pa.table(rows), options=pa.table({"text": texts}),
        offsets=np.arange(0, len(texts) + 1, 2),
    ).normalised()  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    save_language_model(moved_to(tiny(), dtype=torch.float32), tmp_path / "model")
    return str(tmp_path / "model")


def test_states_are_those_at_the_end_of_prompt_and_text(folder):
    found = LanguageStates(model=folder).embed(pairs(["yes", "no", "no", "maybe"], ["p", "q"]))
    model = load_language_model(folder)
    assert len(found.texts) == 4
    for option, (prompt, text) in enumerate(
        [("p", "yes"), ("p", "no"), ("q", "no"), ("q", "maybe")]
    ):
        rows, _ = text_rows(model, [prompt], [text])
        wanted = read_states(model, rows)[0].numpy()
        np.testing.assert_allclose(found.vectors[found.of_option[option]], wanted, atol=1e-5)


def test_the_end_of_a_long_text_is_read_and_said_so(folder):
    long = "x" * 60
    found = LanguageStates(model=folder).embed(pairs([long, "no"]))
    assert any("1 of 2 texts" in note and "was not seen" in note for note in found.notes)
    model = load_language_model(folder)
    wanted = read_states(model, [[*model.tokenizer.encode(long)[-47:], 2]])[0].numpy()
    at = found.texts.index(long)
    np.testing.assert_allclose(found.vectors[at], wanted, atol=1e-5)


def test_texts_are_read_once_and_by_the_models_content(folder, tmp_path, monkeypatch):
    embedding = LanguageStates(model=folder, cache=str(tmp_path / "cache"))
    first = embedding.embed(pairs(["yes", "no"], ["p"]))
    reads = []
    real = language_states.read_states
    monkeypatch.setattr(
        language_states, "read_states", lambda *given: (reads.append(1), real(*given))[1]
    )
    again = embedding.embed(pairs(["yes", "no"], ["p"]))
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert not reads
    # Prompt and text are told apart: "p" and "yes" are not "" and "p yes" in one.
    embedding.embed(pairs(["p\n\nyes", "p\n\nno"]))
    assert len(reads) == 1
    save_language_model(moved_to(tiny(1), dtype=torch.float32), tmp_path / "model")
    other = embedding.embed(pairs(["yes", "no"], ["p"]))
    assert len(reads) == 2
    assert np.abs(other.vectors - first.vectors).max() > 1e-3
