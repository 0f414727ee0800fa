"""Preference data for language models in TRL's formats: paired, unpaired, implicit prompts; and
ranked lists in their manner.

Legend: B lines, N tokens (bytes or messages) over all lines.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from penchant.data.columns import (
    entry_hashes,
    from_codes,
    is_text,
    one_chunk,
    ragged_arange,
)
from penchant.data.readers import ranked_texts
from penchant.data.readers.source import Source
from penchant.data.records import RESERVED_OPTIONS, Records
from penchant.errors import DataError
from penchant.numerics.arrays import Array

# What TRL's formats mean themselves; no column of the user's own.
OWN_COLUMNS = (
    "prompt", "chosen", "rejected", "completion", "label", "chosen_embedding", "rejected_embedding",
)  # fmt: skip


def to_records(source: Source) -> Records:
    """Records of prompt, chosen and rejected (the chosen text first), of one labelled answer, or of
    a list of answers with ranks or scores (`ranked_texts.py`).

    Texts are strings or lists of messages, kept as they are. Without a column `prompt`, what
    both texts begin with is the prompt, as TRL does it. A margin, and every other column, stays
    an extra of the observation; the prompt is its context. `chosen_embedding` and
    `rejected_embedding` become the texts' extra `embedding`.
    """
    names = source.table.column_names
    said = source.description
    is_paired = "chosen" in names and "rejected" in names
    if not is_paired and ("completion" not in names or said.text is not None):
        return _ranked(source)
    own_context = tuple(name for name in said.context if name not in OWN_COLUMNS)
    source.description = replace(said, context=own_context)
    return _paired(source) if is_paired else _unpaired(source)


def _ranked(source: Source) -> Records:
    found = ranked_texts.need_columns(source)
    said, own = source.description, ranked_texts.own_names(found)
    own_context = tuple(name for name in said.context if name not in own)
    source.description = replace(said, context=own_context)
    prompt, lists = ranked_texts.prompts_of(source), ranked_texts.listed(source, found)
    return text_records(source, found.kind, prompt, lists.texts, lists.size, {}, lists.per_option)


def _paired(source: Source) -> Records:
    chosen, rejected = (_text(source, name) for name in ("chosen", "rejected"))
    if chosen.type != rejected.type:
        raise DataError(
            f"{source.bad.name}: chosen has type {chosen.type}, rejected {rejected.type}; expected "
            "both as strings or both as lists of messages. Convert one of them."
        )
    if "prompt" in source.table.column_names:
        prompt = one_chunk(source.column("prompt"))
    else:
        prompt, chosen, rejected = split_prompt(chosen, rejected)
        source.notes.append("no column prompt: what both texts begin with is the prompt")
    both = pa.concat_arrays([chosen, rejected])
    count = source.num_lines
    order = np.arange(2 * count).reshape(2, count).T.reshape(-1)
    outcome = pa.array(np.zeros(count, dtype=np.int64))
    of_text = {}
    if {"chosen_embedding", "rejected_embedding"} <= set(source.table.column_names):
        sides = [one_chunk(source.column(f"{name}_embedding")) for name in ("chosen", "rejected")]
        of_text["embedding"] = pa.concat_arrays(sides).take(pa.array(order))
    texts = both.take(pa.array(order))
    return text_records(source, "pair", prompt, texts, 2, {"outcome": outcome}, of_text)


def _unpaired(source: Source) -> Records:
    completion = _text(source, "completion")
    prompt = (
        one_chunk(source.column("prompt"))
        if "prompt" in source.table.column_names
        else pa.nulls(source.num_lines, pa.string())
    )
    if "label" in source.table.column_names:
        missing = np.asarray(pc.is_null(one_chunk(source.table["label"])))
        success = pa.array(source.flag("label").astype(np.int64), mask=missing)
    else:
        source.notes.append("no column label: nobody has judged yet")
        success = pa.nulls(source.num_lines, pa.int64())
    return text_records(source, "binary", prompt, completion, 1, {}, {"success": success})


def text_records(
    source: Source,
    kind: str,
    prompt: Any,
    texts: Any,
    size: int | Int[Array, " B"],
    answers: dict[str, Any],
    per_option: dict[str, Any],
) -> Records:
    """Records of the lines that are not bad: `size` texts to each line's prompt, one after the
    other, with what was said of each (`per_option`) and of the line (`answers`)."""
    columns, roles = source.row_columns()
    keep = ~source.bad.bad
    rows = {
        "kind": from_codes(np.zeros(len(keep), dtype=np.int64), [kind]),
        **columns, "prompt": prompt, **answers,
    }  # fmt: skip
    options = pa.table({"text": texts, **per_option}).filter(pa.array(np.repeat(keep, size)))
    return Records(
        rows=pa.table(rows).filter(pa.array(keep)),
        options=options,
        offsets=np.concatenate([[0], np.cumsum(np.broadcast_to(size, len(keep))[keep])]),
        roles=roles
        | {"prompt": "context"}
        | {name: "extra" for name in per_option if name not in RESERVED_OPTIONS},
        notes=tuple(source.notes),
    ).normalised()


def _text(source: Source, name: str) -> Any:
    column = one_chunk(source.column(name))
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not is_text(column.type) and not pa.types.is_list(column.type):
        raise DataError(
            f"{source.bad.name}: {name} has type {column.type}; expected strings or lists of "
            "messages with role and content. Convert the column."
        )
    empty = np.asarray(pc.is_null(column))
    source.bad.add(empty, name, column, "a text or a list of messages", "drop the line")
    return column


@dataclass(frozen=True, eq=False)
class _Ragged:
    """B sequences of tokens: one long array of tokens, and where each sequence starts."""

    tokens: Array
    start: Array
    size: Array


def split_prompt(chosen: Any, rejected: Any) -> tuple[Any, Any, Any]:
    """The shared beginning of two columns of texts, and what is left of each.

    Texts part at the first byte or message that differs; a space before it belongs to the answers
    (as in TRL's extract_prompt). At least the last message of the shorter text stays an answer.
    """
    messages = pa.types.is_list(chosen.type)
    first, second = _ragged_pair(chosen, rejected)
    shared = _shared_length(first, second)
    shortest = np.minimum(first.size, second.size)
    if messages:
        shared = np.minimum(shared, np.maximum(shortest - 1, 0))
    else:
        shared = _whole_characters(first, shared)
        before = first.tokens[np.maximum(first.start + shared - 1, 0)] if len(first.tokens) else 0
        shared = shared - ((shared > 0) & (shared < shortest) & (before == ord(" ")))
    prompt = _slice(chosen, first, np.zeros_like(shared), shared)
    return (
        prompt,
        _slice(chosen, first, shared, first.size - shared),
        _slice(rejected, second, shared, second.size - shared),
    )


def _ragged_pair(chosen: Any, rejected: Any) -> tuple[_Ragged, _Ragged]:
    if not pa.types.is_list(chosen.type):
        return _bytes_of(chosen), _bytes_of(rejected)
    parts = [column.fill_null([]) if column.null_count else column for column in (chosen, rejected)]
    values = pa.concat_arrays([pc.list_flatten(part) for part in parts])
    code = entry_hashes(values)
    out = []
    shift = 0
    for part in parts:
        size = np.asarray(pc.list_value_length(part)).astype(np.int64)
        out.append(_Ragged(code, shift + np.cumsum(size) - size, size))
        shift += int(size.sum())
    return out[0], out[1]


def _bytes_of(column: Any) -> _Ragged:
    text = pc.cast(column, pa.large_string()).fill_null("")
    _, bounds, data = text.buffers()
    limits = np.frombuffer(bounds, np.int64)[text.offset : text.offset + len(text) + 1]
    tokens = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return _Ragged(tokens, limits[:-1], np.diff(limits))


def _shared_length(first: _Ragged, second: _Ragged) -> Array:
    """[B] how many tokens two sequences share at their beginning.

    Works on stretches that double in length, only on rows that agree so far, so that memory stays
    near the number of tokens read.
    """
    limit = np.minimum(first.size, second.size)
    shared = np.zeros(len(limit), dtype=np.int64)
    open_rows = np.flatnonzero(limit > 0)
    stretch = 64
    while len(open_rows):
        size = np.minimum(stretch, limit[open_rows] - shared[open_rows])
        here = ragged_arange(first.start[open_rows] + shared[open_rows], size)
        there = ragged_arange(second.start[open_rows] + shared[open_rows], size)
        step = np.arange(len(here)) - np.repeat(np.cumsum(size) - size, size)
        stop = np.where(first.tokens[here] == second.tokens[there], stretch, step)
        agree = np.minimum(np.minimum.reduceat(stop, np.cumsum(size) - size), size)
        shared[open_rows] += agree
        on = (agree == size) & (shared[open_rows] < limit[open_rows])
        open_rows = open_rows[on]
        stretch *= 2
    return shared


def _whole_characters(text: _Ragged, shared: Array) -> Array:
    """Lengths in bytes moved back so that no character of several bytes (UTF-8) is cut."""
    shared = shared.copy()
    for _ in range(3):
        inside = shared < text.size
        place = np.where(inside, text.start + shared, 0)
        cut = inside & ((text.tokens[place] & 0xC0) == 0x80) if len(text.tokens) else inside & False
        shared -= cut & (shared > 0)
    return shared


def _slice(column: Any, ragged: _Ragged, start: Array, size: Array) -> Any:
    """Part of every sequence of a column, in the column's type."""
    offsets = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    take = ragged_arange(ragged.start + start, size)
    if not pa.types.is_list(column.type):
        data = pa.py_buffer(np.ascontiguousarray(ragged.tokens[take]).tobytes())
        text = pa.LargeStringArray.from_buffers(len(size), pa.py_buffer(offsets.tobytes()), data)
        return pc.cast(text, column.type)
    # Message starts count over both columns: here they count from this column's first message.
    take = take - (int(ragged.start[0]) if len(ragged.start) else 0)
    filled = column.fill_null([]) if column.null_count else column
    values = pc.list_flatten(filled).take(pa.array(take))
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)
