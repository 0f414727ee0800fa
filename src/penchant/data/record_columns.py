"""Columns of records: made from arrays, put together, and hashed.

Legend: B observations, K options of a rectangular menu, N options over all menus.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from penchant.data.columns import is_number, is_text, one_chunk, to_floats, to_ints
from penchant.errors import DataError
from penchant.numerics.arrays import Array


def stacked(tables: Sequence[pa.Table]) -> pa.Table:
    """One table below the other; a column that one lacks is null there."""
    # Dictionaries with other values have one type and other codes: words first, codes again after.
    merged = pa.concat_tables([_undone(table) for table in tables], promote_options="permissive")
    return merged.unify_dictionaries().combine_chunks()


def _undone(table: pa.Table) -> pa.Table:
    """Dictionaries of lists (embeddings) written out: Arrow unifies only those of plain values."""
    for name, kind in zip(table.column_names, table.schema.types):
        if pa.types.is_dictionary(kind) and pa.types.is_nested(kind.value_type):
            table = with_column(table, name, one_chunk(table[name]).dictionary_decode())
    return table


def as_column(values: Any) -> Any:
    """Values of any kind as one Arrow array."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return one_chunk(values)
    array = np.asarray(values)
    # from_pandas: a NaN among words, as pandas writes a gap, is null.
    return pa.array(array, from_pandas=array.dtype == object)


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with a column added or replaced."""
    column = as_column(values)
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)


def flat_of_menus(name: str, values: Any, mask: Array) -> Any:
    """A column [B, K] of menus as [N], what was not offered left out."""
    array = np.asarray(values)
    if array.ndim == 1 and len(array) == mask.shape[1]:
        array = np.broadcast_to(array, mask.shape)  # the same names on every menu
    if array.shape != mask.shape:
        raise DataError(
            f"column {name!r} of the options has shape {list(array.shape)}; expected "
            f"{list(mask.shape)}, the shape of `offered` (or [{mask.shape[1]}], the same for all)."
        )
    return array[mask]


def place_among_offered(given: Any, offered: Array) -> Any:
    """Places among all K as places among the options that were offered."""
    column = as_column(given)
    place = to_ints(column, missing=0)
    rows = np.arange(len(place))
    inside = (place >= 0) & (place < offered.shape[1])
    on_menu = inside & offered[rows, np.where(inside, place, 0)]
    before = np.cumsum(offered, axis=1) - 1
    moved = before[rows, np.where(on_menu, place, 0)]
    # Off the menu stays recognisable: what was said if it is no place at all, or else one beyond
    # the last place of this menu.
    beyond = np.where(inside, offered.sum(axis=1), place)
    return pa.array(np.where(on_menu, moved, beyond), mask=np.asarray(pc.is_null(column)))


def off_the_menu(column: Any, sizes: Int[Array, " B"]) -> Bool[Array, " B"]:
    """Where an answer is given, but is no place in its menu."""
    place = to_ints(column, missing=0)
    answered = ~np.asarray(one_chunk(pc.is_null(column)))
    return answered & ((place < 0) | (place >= sizes))


def is_coded_text(kind: Any) -> bool:
    """Whether a column holds words as codes of a dictionary."""
    return bool(pa.types.is_dictionary(kind)) and kind.value_type == pa.string()


def hash_column(digest: Any, array: Any) -> None:
    """Feed a digest what a column says, however it is stored."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    missing = np.asarray(pc.is_null(array))
    if missing.any():
        digest.update(np.packbits(missing).tobytes())
    if is_text(kind):
        text = pc.cast(array, pa.large_string()).fill_null("")
        digest.update(b"text")
        digest.update(np.asarray(pc.binary_length(text)).tobytes())
        _, bounds, data = text.buffers()
        start, stop = np.frombuffer(bounds, np.int64)[[text.offset, text.offset + len(text)]]
        digest.update(memoryview(data)[start:stop] if data is not None else b"")
    elif is_number(kind):
        digest.update(b"number")
        digest.update(np.nan_to_num(to_floats(array)).tobytes())
    else:
        # Lists, structures and times are rare: Arrow's own stream of the column is their content.
        sink = pa.BufferOutputStream()
        table = pa.table({"": array.take(pa.array(np.arange(len(array))))})
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        digest.update(sink.getvalue())
