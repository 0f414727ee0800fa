"""Texts become features through a frozen sentence embedding (the extra `text`).

Legend: N options over all menus, T distinct texts, E dimensions of the embedding.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.batch_builder import build_batch, groups_of
from penchant.data.columns import is_text, to_codes
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError, MissingExtraError
from penchant.numerics.arrays import Array

# Texts in, one line of numbers for each out.
Embed = Callable[[Sequence[str]], Array]


@dataclass(frozen=True, kw_only=True)
class TextEncoder:
    """The sentence embedding of one column of text, one feature per dimension.

    `model` is a folder or the name of a model that is already on this machine (nothing is
    downloaded). The embedding is frozen: `fit` learns nothing and returns the encoder. With a
    folder in `cache`, every text is embedded once for all time. `embed` in the methods takes the
    place of the model, for embeddings from elsewhere; `model` is then only its name in the cache.
    """

    model: str
    column: str = "text"
    group_by: str = "person"
    cache: str | None = None

    def fit(self, records: Records) -> "TextEncoder":
        """The encoder itself, once the column has been looked at."""
        _texts(records, self.column)
        return self

    def encode(self, records: Records, embed: Embed | None = None) -> Batch:
        """The records as a batch whose features are the dimensions of the embedding."""
        features = self.encode_features(records, embed)
        names = tuple(f"{self.column}[{e}]" for e in range(features.shape[1]))
        num_groups = len(groups_of(records, self.group_by).names)
        no_features = np.zeros((num_groups, 0))
        return build_batch(records, features, names, no_features, (), self.group_by)

    def encode_features(self, records: Records, embed: Embed | None = None) -> Float[Array, "N E"]:
        """The embedding of each option's text.

        Raises DataError if a text is missing, MissingExtraError without the extra `text`.
        """
        codes, texts = _texts(records, self.column)
        cache = None if self.cache is None else Path(self.cache)
        vectors = embed_once(texts, embed or _Model(self.model), self.model, cache)
        return vectors[codes]


def embed_once(
    texts: Sequence[str], embed: Embed, model: str, cache: Path | None = None
) -> Float[Array, "T E"]:
    """The embedding of each text, read from the cache where it is there, and kept there.

    The cache is a SQLite file `embeddings.sqlite` in the folder; a text is found by the SHA-256 of
    model and text, so that a text may move between files and a model never reads another's.
    """
    if cache is None:
        return np.asarray(embed(texts), dtype=np.float64)
    keys = [hashlib.sha256(f"{model}\0{text}".encode()).digest() for text in texts]
    cache.mkdir(parents=True, exist_ok=True)
    store = sqlite3.connect(cache / "embeddings.sqlite")
    try:
        with store:
            store.execute("create table if not exists vectors (key blob primary key, value blob)")
            found = {key: _look_up(store, key) for key in keys}
            missing = {k: t for k, t in zip(keys, texts, strict=True) if found[k] is None}
            if missing:
                fresh = np.asarray(embed(list(missing.values())), dtype=np.float32)
                found.update(zip(missing, fresh, strict=True))
                store.executemany(
                    "insert or replace into vectors values (?, ?)",
                    [(k, v.tobytes()) for k, v in zip(missing, fresh, strict=True)],
                )
    finally:
        store.close()
    return np.array([found[key] for key in keys], dtype=np.float64)


def _look_up(store: sqlite3.Connection, key: bytes) -> Array | None:
    row = store.execute("select value from vectors where key = ?", (key,)).fetchone()
    return None if row is None else np.frombuffer(row[0], dtype=np.float32)


class _Model:
    """The sentence model, loaded when the first text that no cache knows arrives."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, texts: Sequence[str]) -> Array:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtraError(
                "embedding texts needs the package sentence-transformers, which is not installed. "
                "Install the extra: pip install 'penchant[text]'."
            ) from error
        try:
            model = SentenceTransformer(self.name, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"there is no sentence model {self.name!r} on this machine; expected a folder or "
                "the name of a model fetched before (nothing is downloaded here). Fetch it once "
                "with its own tools, or pass `embed`, a function from texts to numbers."
            ) from error
        return model.encode(list(texts), show_progress_bar=False)


def _texts(records: Records, column: str) -> tuple[Array, list[str]]:
    """Which distinct text each option has, and the texts."""
    if column not in records.options.column_names:
        known = ", ".join(records.options.column_names)
        raise DataError(
            f"the options have no column {column!r} of texts; they have {known}. Name the column "
            "that holds the texts."
        )
    if not is_text(records.options[column].type):
        raise DataError(f"column {column!r} holds {records.options[column].type}; expected texts.")
    codes, texts = to_codes(records.options[column])
    if (codes < 0).any():
        line = int(np.argmax(codes < 0))
        row = int(records.row_of_option[line])
        raise DataError(
            f"observation {row} has no {column!r} for place {line - int(records.offsets[row])} on "
            f"its menu ({int((codes < 0).sum())} of {len(codes)} options are like this); expected "
            "a text. Fill it (an empty text is one) or drop these observations."
        )
    return codes, texts
