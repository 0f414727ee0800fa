"""Several answers to a prompt on one line: a list of texts beside a list of ranks or scores.

TRL has no format for them; this is the shape of the published sets. One column holds the texts, as
strings, as lists of messages, or as structures that also hold the rank or the score.

Legend: B lines, N texts over all lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from penchant.data.columns import (
    ints_with_nulls,
    is_list,
    is_number,
    is_text,
    numbers_with_nulls,
    one_chunk,
    to_floats,
)
from penchant.data.description import Description
from penchant.data.readers.source import Source, option_name
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array

TEXTS = ("completions", "responses", "answers", "generations", "candidates", "outputs")
RANKS = ("ranks", "rank", "ranking")
SCORES = ("scores", "score", "rewards", "reward", "ratings", "rating", "overall_score")
PROMPTS = ("prompt", "instruction", "query", "question", "input")
# Of a structure that holds one answer: its text.
_WORDS = ("text", "answer", "response", "completion", "content", "output", "generation")


@dataclass(frozen=True, kw_only=True)
class ListColumns:
    """texts: the column of lists. words: of structures, the field with the text. answer: the ranks
    or scores, a column of lists, or (is_inside) a field of the structures. kind: "ranking" of
    ranks, 1 for the best; "outcome" of scores, higher better."""

    texts: str
    words: str | None
    answer: str
    is_inside: bool
    kind: str


def list_columns(table: pa.Table, said: Description | None = None) -> ListColumns | None:
    """Which columns hold answers and what was said of them; None where the table has no such."""
    kinds = {name: table.schema.field(name).type for name in table.column_names}
    texts = said.text if said is not None else None
    texts = texts or next((name for name in TEXTS if name in kinds and is_list(kinds[name])), None)
    if texts is None or not is_list(kinds[texts]):
        return None
    entry, words = kinds[texts].value_type, None
    inside: dict[str, Any] = {}
    if pa.types.is_struct(entry):
        inside = {field.name: field.type for field in entry}
        words = next((name for name in _WORDS if name in inside), None)
        if words is None or "role" in inside:  # one conversation, not several answers
            return None
    elif not (is_text(entry) or is_list(entry)):
        return None
    named = said.answer if said is not None else None
    beside = {name: kind.value_type for name, kind in kinds.items() if is_list(kind)}
    for found, is_inside in ((inside, True), (beside, False)):
        answer = named or next((name for name in (*RANKS, *SCORES) if name in found), None)
        if answer is None or answer not in found:
            continue
        if is_number(found[answer]) or pa.types.is_null(found[answer]):
            kind = said.kind if said is not None else None
            by_name = "ranking" if "rank" in answer.lower() else "outcome"
            return ListColumns(
                texts=texts, words=words, answer=answer, is_inside=is_inside, kind=kind or by_name
            )
    return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Listed:
    """texts: of all lines, one after the other. size: of each line. per_option: what was said of
    each text, and what else its structure holds."""

    texts: Any
    size: Int[Array, " B"]
    per_option: dict[str, Any]


def listed(source: Source, found: ListColumns) -> Listed:
    """The lists of the lines. Lines with an empty list, a missing text, or ranks or scores that do
    not fit their texts are bad."""
    column = one_chunk(source.column(found.texts))
    size = _sizes(column)
    source.bad.add(size == 0, found.texts, column, "a list of two answers or more", "drop the line")
    flat, row = pc.list_flatten(column), np.repeat(np.arange(len(size)), size)
    texts = flat if found.words is None else pc.struct_field(flat, found.words)
    missing = _any_of(np.asarray(pc.is_null(texts)), row, len(size))
    source.bad.add(missing, found.texts, column, "a text for each answer", "drop the line")
    values = _values(source, found, flat, size)
    per_option: dict[str, Any] = {}
    if found.kind == "ranking":
        rank = np.where(np.isnan(values), 0.0, values)
        odd = (rank < 0) | (rank != np.floor(rank)) | np.isinf(rank)
        expected = "whole numbers, 1 for the best (0 or null: not ranked)"
        per_option["rank"] = ints_with_nulls(np.where(odd, 0, rank).astype(np.int64), missing=0)
    else:
        odd, expected = np.isinf(values), "finite numbers, higher for better"
        per_option["value"] = numbers_with_nulls(values)
    given = column if found.is_inside else one_chunk(source.table[found.answer])
    source.bad.add(_any_of(odd, row, len(size)), found.answer, given, expected, "correct them")
    if found.words is not None:
        for name in (field.name for field in flat.type):
            if name not in (found.words, found.answer if found.is_inside else ""):
                taken = {**per_option, **dict.fromkeys(source.table.column_names)}
                per_option[option_name(source, name, taken)] = pc.struct_field(flat, name)
    return Listed(texts=texts, size=size, per_option=per_option)


def prompts_of(source: Source) -> Any:
    """The prompt of each line, under whichever of its usual names; nulls where there is none."""
    found = [name for name in PROMPTS if name in source.table.column_names]
    if not found:
        return pa.nulls(source.num_lines, pa.string())
    name, others = found[0], found[1:]
    if others:
        source.notes.append(
            f"column {name!r} alone is the prompt: {', '.join(map(repr, others))} "
            "is not read with it; join them beforehand if they belong together"
        )
    if name != "prompt":
        source.notes.append(f"column {name!r} is taken for the prompt")
    return one_chunk(source.column(name))


def need_columns(source: Source) -> ListColumns:
    """Raises `DataError` where nothing beside lists of texts says which of them are better,
    `ConfigError` for a description that calls it something else."""
    found = list_columns(source.table, source.description)
    if found is None:
        raise DataError(
            f"{source.bad.name} has the columns {', '.join(source.table.column_names)}; expected "
            "prompt, chosen and rejected, or prompt, completion and label, or prompt, completions "
            "(a list of texts) and ranks or scores (a list of numbers). Rename the columns, or say "
            "which hold the lists: --role options.text=NAME --role answer.column=NAME."
        )
    if found.kind not in ("ranking", "outcome"):
        raise ConfigError(
            f"the description says that {found.answer!r} holds answers of kind {found.kind!r}; "
            "expected ranking (of ranks, 1 for the best) or outcome (of scores, higher for better)."
        )
    return found


def _values(source: Source, found: ListColumns, flat: Any, size: Int[Array, " B"]) -> Array:
    """[N] the rank or score of each text, NaN where there is none."""
    if found.is_inside:
        return to_floats(pc.struct_field(flat, found.answer))
    column = one_chunk(source.column(found.answer))
    given = _sizes(column)
    unlike = (given != size) & (size > 0)
    source.bad.add(unlike, found.answer, column, f"one number for each of {found.texts}",
                   "correct the line")  # fmt: skip
    values = np.full(int(size.sum()), np.nan)
    # Lines of another number are bad; the others stand in the same order in both.
    mine, theirs = (np.repeat(given == size, each) for each in (size, given))
    values[mine] = to_floats(pc.list_flatten(column))[theirs]
    return values


def _sizes(column: Any) -> Int[Array, " B"]:
    return np.asarray(pc.list_value_length(column).fill_null(0)).astype(np.int64)


def _any_of(mask: Bool[Array, " N"], row: Int[Array, " N"], num: int) -> Bool[Array, " B"]:
    return np.bincount(row[mask], minlength=num) > 0


def own_names(found: ListColumns | None) -> Sequence[str]:
    """Columns that are no column of the user's own."""
    return () if found is None else (found.texts, found.answer, *PROMPTS)
