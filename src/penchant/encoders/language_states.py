"""A language model's state at the end of each text, as the numbers that a reward head stands on.

Legend: T texts, E numbers of a state.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from penchant.encoders.text import Embeddings, embed_once, model_identity
from penchant.encoders.text_embedding import ReadTexts
from penchant.errors import BeliefError, ConfigError
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

    content: by which a folder's files are known again (`settled`); no other model is then read with
    in its place, wherever it lies. Empty: whatever is there.
    """

    model: str
    content: str = ""

    @property
    def reader(self) -> str:
        return Path(self.model).name if Path(self.model).is_absolute() else self.model

    def settled(self) -> "LanguageStates":
        """The same, knowing the model's files by their content."""
        return replace(self, content=self.content or model_identity(self.model))

    def found_from(self, folder: Path) -> "LanguageStates":
        """The same, with its model where it is now: in the folder of a saved belief, beside it, or
        where it was at the fit.

        Raises `BeliefError` where those files are in none of these places.
        """
        if not self.content.startswith("sha256:"):
            return self
        name = Path(self.model).name
        for place in (folder / name, folder.resolve().parent / name, Path(self.model)):
            if place.is_dir() and model_identity(str(place)) == self.content:
                return replace(self, model=str(place.resolve()))
        raise BeliefError(
            f"the language model {name!r} whose states this reward model stands on is not there, "
            f"or its files have changed; expected the very files of the fit in {folder / name}, "
            f"beside {folder}, or in {self.model}. Put its folder into one of these places, or fit "
            "again."
        )

    def read(self, prompts: Sequence[str], texts: Sequence[str]) -> Embeddings:
        if self.content and model_identity(self.model) != self.content:
            raise ConfigError(
                f"the language model {self.model} is not the one of the fit: its files have "
                "changed, or are gone; expected the very same, since other states give other "
                "rewards. Put it back, or fit again."
            )
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
