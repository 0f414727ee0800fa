"""Reasons that people wrote beside their judgements, read as texts are read.

A reason is a cell of a column of the rows (several columns, or lists of words, are several reasons
of one judgement); an empty cell is no reason, which is missing and nothing else.

Legend: B observations, N reasons, R distinct reasons, E dimensions of the embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float32, Int

from penchant.data.batch_builder import groups_of
from penchant.data.columns import is_text, one_chunk, to_floats
from penchant.data.records import Records
from penchant.encoders.embedding import Embedding, EmbeddingColumn
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class WrittenReasons:
    """columns: where they stood. texts: the distinct reasons, and their numbers. row: the
    observation that each reason stands beside; text: which of the distinct ones it is. notes: what
    a report should say of them."""

    columns: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: Float32[Array, "R E"]
    row: Int[Array, " N"]
    text: Int[Array, " N"]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """One reason: where it stands, what it says, its numbers where the data bring them."""

    row: int
    said: str
    numbers: list[float] | None = None


def read_reasons(records: Records, columns: Sequence[str], embedding: Embedding) -> WrittenReasons:
    """The reasons of these columns, read by the model that reads the texts, without a prompt.

    Where texts bring their own embeddings (`EmbeddingColumn`), so do reasons: those of a column
    `why` stand in `why_embedding`, called after the texts' column, with one list a row.

    Raises `DataError` for a column that is not there or holds no text, where all cells are empty,
    and where reasons lack numbers or have other than texts, `ConfigError` for a column named twice,
    whose reasons would count twice.
    """
    if len(set(columns)) < len(columns):
        raise ConfigError(
            f"got the columns {_named(columns)} of reasons; expected each once, or its reasons "
            "would count several times."
        )
    cells = [cell for column in columns for cell in _cells(records, column, embedding)]
    if not cells:
        raise DataError(
            f"all {len(records)} cells of {_named(columns)} are empty; expected some reasons. "
            "Leave the column out, or name the one that holds them."
        )
    embedded = embedding.embed(_as_texts(cells, embedding))
    return WrittenReasons(
        columns=tuple(columns),
        texts=embedded.texts,
        vectors=embedded.vectors,
        row=np.array([cell.row for cell in cells]),
        text=embedded.of_option,
        notes=tuple(f"Of the reasons {note}" for note in embedded.notes),
    )


def _named(columns: Sequence[str]) -> str:
    return ", ".join(map(repr, columns))


def _cells(records: Records, column: str, embedding: Embedding) -> list[_Cell]:
    rows = records.rows
    if column not in rows.column_names:
        raise DataError(
            f"the rows have no column {column!r} of reasons; they have "
            f"{', '.join(rows.column_names)}. Name the column that says why."
        )
    given = one_chunk(rows[column])
    if pa.types.is_dictionary(given.type):
        given = given.dictionary_decode()
    kind = given.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not (is_text(kind) or pa.types.is_null(kind) or (is_list and is_text(kind.value_type))):
        raise DataError(
            f"column {column!r} holds {kind}; expected reasons in words, a text or a list of texts "
            "beside each judgement."
        )
    said = [
        (row, " ".join(one.split()))
        for row, cell in enumerate(given.to_pylist())
        for one in ([cell] if isinstance(cell, str) else cell or [])
        if one is not None and one.strip()
    ]
    if not said or not isinstance(embedding, EmbeddingColumn):
        return [_Cell(row=row, said=one) for row, one in said]
    numbers = _numbers(records, column, embedding)
    return [_Cell(row=row, said=one, numbers=numbers[row]) for row, one in said]


def _numbers(records: Records, column: str, embedding: EmbeddingColumn) -> list[list[float] | None]:
    """What the data bring along for the reasons of a column."""
    name = f"{column}_{embedding.column}"
    if name not in records.rows.column_names:
        raise DataError(
            f"the texts bring their own embeddings (column {embedding.column!r}), and the rows "
            f"have no column {name!r} with those of the reasons in {column!r}; expected one list "
            "of numbers beside each reason, made by the model that read the texts."
        )
    given = records.rows[name]
    if pa.types.is_list(records.rows[column].type):
        raise DataError(
            f"column {column!r} holds lists of reasons, and {name!r} has one list of numbers for "
            "each row; expected one reason a row. Write several reasons into several columns."
        )
    return list(given.to_pylist())


def _as_texts(cells: Sequence[_Cell], embedding: Embedding) -> Records:
    """Menus of one reason each, so that whatever reads texts reads them, with its checks."""
    options = {getattr(embedding, "text", "text"): pa.array([cell.said for cell in cells])}
    if isinstance(embedding, EmbeddingColumn):
        lacking = [cell for cell in cells if cell.numbers is None]
        if lacking:
            raise DataError(
                f"the reason {lacking[0].said[:60]!r} of observation {lacking[0].row} has no "
                f"embedding ({len(lacking)} of {len(cells)} lack one); expected numbers beside "
                "every reason. Embed them, or empty the cells."
            )
        numbers = [cell.numbers for cell in cells]
        options[embedding.column] = pa.array(numbers, pa.list_(pa.float32()))
    return Records(
        rows=pa.table({"kind": pa.array(["pair"] * len(cells))}),
        options=pa.table(options),
        offsets=np.arange(len(cells) + 1),
    )


def winning_sides(records: Records) -> Float[Array, " N"]:
    """What a reason is about: of each text shown its part in "the better less the rest".

    On a menu of several the best share 1 between them and the others -1. A text that was judged
    alone (a rating) has 1 where its person put it above their own mean, -1 below it, and is held
    against the mean text. Zero where nobody is better: ties, menus without an answer, a person's
    only rating.
    """
    verdict = _verdicts(records)
    at, sizes = records.row_of_option, records.menu_sizes
    side = np.zeros(len(verdict))
    told = np.flatnonzero(np.isfinite(verdict) & (sizes[at] > 1))
    best = np.full(len(records), -np.inf)
    np.maximum.at(best, at[told], verdict[told])
    wins = verdict[told] == best[at[told]]
    num_told, num_best = (
        np.bincount(at[told], weights=each, minlength=len(records))
        for each in (np.ones(len(told)), wins.astype(np.float64))
    )
    num_rest = num_told - num_best
    decided = (num_rest > 0)[at[told]]
    row = at[told]
    side[told[wins & decided]] = 1.0 / num_best[row[wins & decided]]
    side[told[~wins & decided]] = -1.0 / num_rest[row[~wins & decided]]
    alone = np.flatnonzero(np.isfinite(verdict) & (sizes[at] == 1))
    if len(alone):
        whose = groups_of(records).of_row[at[alone]] if records.num_people else 0 * alone
        mean = np.bincount(whose, weights=verdict[alone]) / np.maximum(np.bincount(whose), 1)
        side[alone] = np.sign(verdict[alone] - mean[whose])
    return side


def _verdicts(records: Records) -> Float[Array, " N"]:
    """Of each text shown how good it was found, within its menu or its person; NaN without."""
    kinds = records.kinds[records.kind_codes] if len(records) else np.zeros(0, dtype=object)
    at, place = records.row_of_option, _places(records)
    verdict = np.full(len(at), np.nan)

    def told(kind: str, column: str, of_rows: bool) -> tuple[Array, Array]:
        mine = np.flatnonzero((kinds == kind)[at])
        table = records.rows if of_rows else records.options
        if not len(mine) or column not in table.column_names:
            return mine[:0], np.zeros(0)
        values = to_floats(table[column])
        return mine, values[at[mine]] if of_rows else values[mine]

    for kind in ("choice", "edit"):
        mine, chosen = told(kind, "chosen", True)
        verdict[mine] = np.where(np.isnan(chosen), np.nan, place[mine] == chosen)
    mine, outcome = told("pair", "outcome", True)
    # A tie is the answer 2: neither place is better.
    verdict[mine] = np.where(np.isnan(outcome) | (outcome < 0), np.nan, place[mine] == outcome)
    mine, grade = told("graded", "grade", True)
    middle = 0.5 * (len(records.scale) - 1 if records.scale else np.nanmax(grade, initial=0.0))
    verdict[mine] = np.where(place[mine] == 0, grade - middle, 0.0)
    mine, rank = told("ranking", "rank", False)
    # What is not ranked is worse than all that is.
    verdict[mine] = np.where(rank > 0, -rank, -1e9)
    for column, value in (("best", 1.0), ("worst", -1.0)):
        mine, named = told("best_worst", column, True)
        verdict[mine] = np.where(np.isnan(verdict[mine]), 0.0, verdict[mine])
        verdict[mine[place[mine] == named]] = value
    for kind, column in (
        ("rating", "level"), ("outcome", "value"), ("approval", "approved"), ("binary", "success"),
    ):  # fmt: skip
        mine, value = told(kind, column, False)
        verdict[mine] = np.where((value < 0) & (kind in ("rating", "binary")), np.nan, value)
    return verdict


def _places(records: Records) -> Int[Array, " N"]:
    """The place of each text on its menu."""
    return np.arange(len(records.row_of_option)) - records.offsets[:-1][records.row_of_option]
