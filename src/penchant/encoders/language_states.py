"""A language model's state at the end of each text, as the numbers that a reward head stands on.

Legend: T texts, E numbers of a state.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from penchant.encoders.text import Embeddings, embed_once, model_identity
from penchant.encoders.text_embedding import ReadTexts
from penchant.lm.folder import load_language_model
from penchant.lm.language_model import LanguageModel
from penchant.lm.states import read_states, text_rows
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class LanguageStates(ReadTexts):
    """The last layer's state at the last token of prompt and text (the mean of an encoder's).

    model: a folder (in transformers' form; of our own decoder no transformers is needed) or the
    name of a model that is on this machine; nothing is downloaded. The text is written as the
    model's own chat template has it, where it has one. Of a text longer than the window the end is
    read. States are those of a frozen model: read once, kept in `cache` by the content of the
    model's files and of the text.
    """

    model: str

    @property
    def reader(self) -> str:
        return self.model

    def read(self, prompts: Sequence[str], texts: Sequence[str]) -> Embeddings:
        cache = None if self.cache is None else Path(self.cache)
        both = [json.dumps([p, t]) for p, t in zip(prompts, texts, strict=True)]
        reader = f"states of {model_identity(self.model)}"
        return embed_once(both, _Reader(self.model), reader, cache)


@dataclass(frozen=True)
class _Reader:
    """Implements `text.TextReader` on prompts and texts as JSON."""

    model: str

    def __call__(self, both: Sequence[str]) -> Float[Array, "T E"]:
        model = self._model()
        rows, _ = text_rows(model, *_parted(both))
        return read_states(model, rows).numpy().astype(np.float32)

    def is_cut(self, both: Sequence[str]) -> Bool[Array, " T"]:
        return text_rows(self._model(), *_parted(both))[1]

    def _model(self) -> LanguageModel:
        return _loaded(self.model, model_identity(self.model))


@lru_cache(maxsize=2)
def _loaded(model: str, identity: str) -> LanguageModel:
    """Loaded once, by its content too, so that a folder that changed is read again."""
    return load_language_model(model)


def _parted(both: Sequence[str]) -> tuple[list[str], list[str]]:
    pairs = [json.loads(each) for each in both]
    return [prompt for prompt, _ in pairs], [text for _, text in pairs]
