"""Where the numbers of a text come from: a column of the data, or a model that reads the text.

Legend: N options over all menus, T distinct texts, E dimensions of the embedding,
L some lines, F numbers of all lists one after the other.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float32, Int

from penchant.data.columns import Column, combine_codes, is_text, one_chunk, to_codes, to_ints
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.numerics.arrays import Array

# Lines whose numbers are compared at a time, so that no copy of them all is made.
_CHUNK = 8192


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedded:
    """Each distinct text once: the text, its numbers, and which of them each option shows.

    notes: sentences about the texts that a report should hold. prompts: what each text was read
    after, where texts are told apart by it.
    """

    texts: tuple[str, ...]
    vectors: Float32[Array, "T E"]
    of_option: Int[Array, " N"]
    notes: tuple[str, ...] = ()
    prompts: tuple[str, ...] | None = None


@runtime_checkable
class Embedding(Protocol):
    """Anything that gives every option's text and its numbers; frozen, so that it can be saved."""

    def embed(self, records: Records) -> Embedded:
        """The distinct texts of the records."""
        ...


@dataclass(frozen=True, kw_only=True)
class EmbeddingColumn:
    """Numbers that the data bring along: a column of lists beside the column of texts.

    One text has one embedding: lines that repeat a text repeat its numbers, or have none. Where
    they differ, the embedding was made after the prompt (a column of the rows): one text at one
    prompt then has one.
    """

    column: str = "embedding"
    text: str = "text"
    prompt: str | None = "prompt"

    def embed(self, records: Records) -> Embedded:
        """Raises `DataError` where a text or its embedding is missing, lengths differ, or one text
        (at one prompt) has two embeddings."""
        texts, of_option = distinct_texts(records, self.text)
        if self.column not in records.options.column_names:
            raise DataError(
                f"the options have no column {self.column!r} of embeddings; they have "
                f"{', '.join(records.options.column_names)}. Name the column, or embed the texts "
                "with `TextEmbedding(model=...)`."
            )
        column = one_chunk(records.options[self.column])
        notes = text_notes(records, texts, of_option)
        vectors, odd = self._read(column, texts, of_option)
        before: tuple[str, ...] | None = None
        if odd is not None and self.prompt in records.rows.column_names:
            texts, before, of_option = self._at_prompts(records, texts, of_option)
            vectors, odd = self._read(column, texts, of_option)
        if odd is not None:
            raise DataError(
                f"the text {texts[of_option[odd]][:60]!r} has different embeddings in column "
                f"{self.column!r} on different lines; expected one embedding for one text (at one "
                "prompt). Embed each text once, all with one model, or tell the texts apart."
            )
        return Embedded(
            texts=texts, vectors=vectors, of_option=of_option, notes=notes, prompts=before
        )

    def _at_prompts(
        self, records: Records, texts: tuple[str, ...], of_option: Int[Array, " N"]
    ) -> tuple[tuple[str, ...], tuple[str, ...], Int[Array, " N"]]:
        """The texts told apart by their prompts too."""
        prompts = one_chunk(records.rows[self.prompt])
        if not is_text(prompts.type):
            prompts = pa.array([None if one is None else str(one) for one in prompts.to_pylist()])
        codes, words = to_codes(prompts)
        of_line = codes[records.row_of_option]
        both = combine_codes(of_option, of_line + 1)
        _, first, of_pair = np.unique(both, return_index=True, return_inverse=True)
        before = tuple(str(words[c]) if c >= 0 else "" for c in of_line[first])
        return tuple(texts[t] for t in of_option[first]), before, of_pair.reshape(-1)

    def _read(
        self, column: Column, texts: tuple[str, ...], of_option: Int[Array, " N"]
    ) -> tuple[Float32[Array, "T E"], int | None]:
        """Each text's numbers, and a line that has others."""
        _, first = np.unique(of_option, return_index=True)
        vectors = self._vectors(_lists(column, first), texts)
        return vectors, _odd_line(column, vectors, of_option, first)

    def _vectors(self, lists: pa.Array, texts: tuple[str, ...]) -> Float32[Array, "T E"]:
        kind = lists.type
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        if not (is_list or pa.types.is_fixed_size_list(kind)):
            raise DataError(
                f"column {self.column!r} holds {kind}; expected lists of numbers, one a text."
            )
        lengths = np.array([0 if entry is None else len(entry) for entry in lists])
        if lists.null_count or len(set(lengths.tolist())) != 1:
            odd = int(np.argmax(lengths != np.bincount(lengths).argmax()))
            raise DataError(
                f"the embedding of the text {texts[odd][:60]!r} has {lengths[odd]} numbers where "
                f"others have {np.bincount(lengths).argmax()}; expected one length for all. Embed "
                "all texts with one model."
            )
        return _numbers(lists).reshape(len(lists), -1)


def _odd_line(
    column: Column,
    vectors: Float32[Array, "T E"],
    of_option: Int[Array, " N"],
    first: Int[Array, " T"],
) -> int | None:
    """A line whose numbers are not its text's: it would be judged by whichever line came first."""
    repeats = np.setdiff1d(np.arange(len(of_option)), first, assume_unique=True)
    if pa.types.is_dictionary(column.type):
        # Equal codes are equal lists: only what differs is looked at, each text and code once.
        codes = to_ints(column.indices)
        repeats = repeats[codes[repeats] != codes[first[of_option[repeats]]]]
        both = combine_codes(of_option[repeats], codes[repeats])
        repeats = repeats[np.unique(both, return_index=True)[1]]
    for at in range(0, len(repeats), _CHUNK):
        lines = repeats[at : at + _CHUNK]
        lists = _lists(column, lines)
        lines, lists = lines[np.asarray(lists.is_valid())], lists.drop_null()
        same = to_ints(pc.list_value_length(lists)) == vectors.shape[1]
        if same.all():
            told = vectors[of_option[lines]]
            found = _numbers(lists).reshape(told.shape)
            same = ((found == told) | (np.isnan(found) & np.isnan(told))).all(axis=1)
        if not same.all():
            return int(lines[np.argmin(same)])
    return None


def _lists(column: Column, lines: Int[Array, " L"]) -> Any:
    """The lists of some lines, out of their dictionary."""
    lists = column.take(pa.array(lines))
    return lists.dictionary_decode() if pa.types.is_dictionary(lists.type) else lists


def _numbers(lists: Any) -> Float32[Array, " F"]:
    return np.asarray(lists.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)


def text_notes(records: Records, texts: tuple[str, ...], of_option: Array) -> tuple[str, ...]:
    """What a reader of texts would want to know: empty ones, and menus of one text."""
    notes = []
    is_empty = np.array([not text.strip() for text in texts], dtype=bool)[of_option]
    if is_empty.any():
        notes.append(f"{int(is_empty.sum())} of {len(of_option)} texts shown are empty")
    first = records.offsets[:-1]
    differs = np.add.reduceat(
        (of_option != of_option[first][records.row_of_option]).astype(np.int64), first
    ) if len(records) else np.zeros(0)  # fmt: skip
    same = (records.menu_sizes > 1) & (differs == 0)
    if same.any():
        notes.append(
            f"{int(same.sum())} of {len(records)} observations compare a text with itself: they "
            "say nothing about what texts are worth"
        )
    return tuple(notes)


def distinct_texts(
    records: Records, column: str, *, may_lack: Bool[Array, " N"] | None = None
) -> tuple[tuple[str, ...], Int[Array, " N"]]:
    """The texts of a column, each once, and which of them each option shows.

    may_lack: options that need no text, such as the outside option; they show -1.
    Raises `DataError` where the column is not there, holds no texts, or lacks one.
    """
    if column not in records.options.column_names:
        known = ", ".join(records.options.column_names)
        raise DataError(
            f"the options have no column {column!r} of texts; they have {known}. Name the column "
            "that holds the texts."
        )
    if not is_text(records.options[column].type):
        raise DataError(f"column {column!r} holds {records.options[column].type}; expected texts.")
    codes, texts = to_codes(records.options[column])
    missing = codes < 0 if may_lack is None else (codes < 0) & ~may_lack
    if missing.any():
        line = int(np.argmax(missing))
        row = int(records.row_of_option[line])
        raise DataError(
            f"observation {row} has no {column!r} for place {line - int(records.offsets[row])} on "
            f"its menu ({int(missing.sum())} of {len(codes)} options are like this); expected "
            "a text. Fill it (an empty text is one) or drop these observations."
        )
    seen, of_option = np.unique(codes[codes >= 0], return_inverse=True)
    shown = np.full(len(codes), -1)
    shown[codes >= 0] = of_option
    return tuple(str(texts[code]) for code in seen), shown
