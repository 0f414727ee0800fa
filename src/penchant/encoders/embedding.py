"""Where the numbers of a text come from: a column of the data, or a model that reads the text.

Legend: N options over all menus, T distinct texts, E dimensions of the embedding.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int

from penchant.data.columns import is_text, one_chunk, to_codes
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedded:
    """Each distinct text once: the text, its numbers, and which of them each option shows."""

    texts: tuple[str, ...]
    vectors: Float32[Array, "T E"]
    of_option: Int[Array, " N"]


@runtime_checkable
class Embedding(Protocol):
    """Anything that gives every option's text and its numbers; frozen, so that it can be saved."""

    def embed(self, records: Records) -> Embedded:
        """The distinct texts of the records."""
        ...


@dataclass(frozen=True, kw_only=True)
class EmbeddingColumn:
    """Numbers that the data bring along: a column of lists beside the column of texts.

    One text has one embedding: the first line that shows a text speaks for all.
    """

    column: str = "embedding"
    text: str = "text"

    def embed(self, records: Records) -> Embedded:
        """Raises `DataError` where a text or its embedding is missing, or lengths differ."""
        texts, of_option = distinct_texts(records, self.text)
        if self.column not in records.options.column_names:
            raise DataError(
                f"the options have no column {self.column!r} of embeddings; they have "
                f"{', '.join(records.options.column_names)}. Name the column, or embed the texts "
                "with `TextEncoder(model=...)`."
            )
        _, first = np.unique(of_option, return_index=True)
        lists = one_chunk(records.options[self.column].take(pa.array(first)))
        if pa.types.is_dictionary(lists.type):
            lists = lists.dictionary_decode()
        return Embedded(texts=texts, vectors=self._vectors(lists, texts), of_option=of_option)

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
        numbers = np.asarray(lists.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)
        return numbers.reshape(len(lists), -1)


def distinct_texts(records: Records, column: str) -> tuple[tuple[str, ...], Int[Array, " N"]]:
    """The texts of a column, each once, and which of them each option shows.

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
    if (codes < 0).any():
        line = int(np.argmax(codes < 0))
        row = int(records.row_of_option[line])
        raise DataError(
            f"observation {row} has no {column!r} for place {line - int(records.offsets[row])} on "
            f"its menu ({int((codes < 0).sum())} of {len(codes)} options are like this); expected "
            "a text. Fill it (an empty text is one) or drop these observations."
        )
    seen, of_option = np.unique(codes, return_inverse=True)
    return tuple(str(texts[code]) for code in seen), of_option
