"""One Arrow column as NumPy, and ragged index arithmetic: what every reader is made of.

Legend: B rows or menus, N lines over all menus, L levels of a category.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int, UInt

from penchant.numerics.arrays import Array

DICTIONARY = pa.dictionary(pa.int32(), pa.string())

# Any: pyarrow ships no types; a column is a pa.Array or a pa.ChunkedArray.
Column = Any


def one_chunk(column: Column) -> Any:
    """The column as a single Arrow array, dictionaries unified."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    merged = column.combine_chunks()
    return merged.combine_chunks() if isinstance(merged, pa.ChunkedArray) else merged


def is_text(kind: Any) -> bool:
    """Whether this Arrow type holds words: strings, or a dictionary of strings."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_list(kind: Any) -> bool:
    """Whether this Arrow type holds lists of any length."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def is_number(kind: Any) -> bool:
    """Whether this Arrow type holds numbers or truth values."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def to_floats(column: Column) -> Float[Array, " B"]:
    """Numbers as float64; null becomes NaN."""
    array = one_chunk(column)
    if array.type != pa.float64():
        array = pc.cast(array, pa.float64(), safe=False)
    if array.null_count:
        array = array.fill_null(np.nan)
    return np.asarray(array)


def to_ints(column: Column, missing: int = -1) -> Int[Array, " B"]:
    """Whole numbers as int64; null becomes `missing`."""
    array = one_chunk(column)
    if array.type != pa.int64():
        array = pc.cast(array, pa.int64(), safe=False)
    if array.null_count:
        array = array.fill_null(missing)
    return np.asarray(array)


def to_bools(column: Column, missing: bool = False) -> Bool[Array, " B"]:
    """Truth values; null becomes `missing`, a number is true where it is not 0."""
    array = one_chunk(column)
    if array.type != pa.bool_():
        array = pc.cast(array, pa.bool_(), safe=False)
    if array.null_count:
        array = array.fill_null(missing)
    return np.asarray(array)


def to_dictionary(column: Column) -> Any:
    """Anything with few distinct values as an Arrow dictionary of strings (null stays null).

    Distinct values are encoded first and only then written as words, so that a million integer
    ids cost a thousand conversions.
    """
    array = one_chunk(column)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    values = array.dictionary
    if values.type != pa.string():
        if pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
            numbers = np.asarray(values.fill_null(0.0))
            if np.all(
                (np.floor(numbers) == numbers) & (np.abs(numbers) < 2.0**53)
            ):  # 7.0 and 7 are the same person, whatever a null did to the column's type.
                values = pc.cast(values, pa.int64())
        values = pc.cast(values, pa.string())
    indices = pc.cast(array.indices, pa.int32())
    if values.null_count:
        lost = np.asarray(pc.is_null(values))
        indices = _null_where(indices, lost)
        values = values.fill_null("")
    return pa.DictionaryArray.from_arrays(indices, values)


def _null_where(indices: Any, lost: Bool[Array, " L"]) -> Any:
    places = to_ints(indices)
    missing = (places < 0) | lost[np.maximum(places, 0)]
    return pa.array(np.maximum(places, 0).astype(np.int32), mask=missing)


def to_codes(column: Column) -> tuple[Int[Array, " B"], list[Any]]:
    """Which distinct value each entry holds (-1 for null), and the values themselves."""
    array = one_chunk(column)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    return to_ints(array.indices), array.dictionary.to_pylist()


def from_codes(codes: Int[Array, " B"], names: list[str]) -> Any:
    """The Arrow dictionary column with these codes (-1 for null)."""
    indices = pa.array(codes.astype(np.int32), mask=codes < 0 if (codes < 0).any() else None)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))


def entry_hashes(column: Column) -> UInt[Array, " B"]:
    """A 64-bit hash of each entry, equal for equal entries of this column, however nested.

    Words hash by their code in this column, so hashes of two columns do not compare. One step is
    the finaliser of splitmix64 (Steele, Lea & Flood 2014).
    """
    array = one_chunk(column)
    kind = array.type
    if pa.types.is_struct(kind):
        mixed = np.zeros(len(array), dtype=np.uint64)
        for field in kind:
            mixed = mix(mixed, entry_hashes(pc.struct_field(array, field.name)))
        return mixed
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if is_list or pa.types.is_fixed_size_list(kind):
        size = to_ints(pc.list_value_length(array), missing=0)
        inner = entry_hashes(pc.list_flatten(array))
        place = ragged_arange(np.zeros_like(size), size).astype(np.uint64)
        total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mix(place, inner))])
        stop = np.cumsum(size)
        given = to_ints(pc.list_value_length(array)).view(np.uint64)  # a gap is no empty list
        return mix(given, total[stop] - total[stop - size])
    if pa.types.is_floating(kind):
        return to_floats(array).view(np.uint64)
    if is_number(kind):
        # No data hold this number: a gap is no -1.
        return to_ints(array, missing=np.iinfo(np.int64).min).view(np.uint64)
    return to_codes(array)[0].view(np.uint64)


def mix(state: UInt[Array, " B"], bits: UInt[Array, " B"]) -> UInt[Array, " B"]:
    """The hash of a sequence so far, with one more entry."""
    mixed = state * np.uint64(0x9E3779B97F4A7C15) + bits
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    return mixed


def line_hashes(table: pa.Table) -> UInt[Array, " B"]:
    """A 64-bit hash of each line, equal for lines that are equal in every column."""
    mixed = np.zeros(table.num_rows, dtype=np.uint64)
    for name in table.column_names:
        mixed = mix(mixed, entry_hashes(table[name]))
    return mixed


def numbers_with_nulls(values: Float[Array, " B"]) -> Any:
    """A float64 column in which NaN has become null."""
    missing = np.isnan(values)
    return pa.array(values, mask=missing) if missing.any() else pa.array(values)


def ints_with_nulls(values: Int[Array, " B"], missing: int = -1) -> Any:
    """An int64 column in which `missing` has become null."""
    absent = values == missing
    return pa.array(values, mask=absent) if absent.any() else pa.array(values)


def ragged_arange(start: Int[Array, " B"], size: Int[Array, " B"]) -> Int[Array, " N"]:
    """The concatenation of arange(start_b, start_b + size_b)."""
    before = np.cumsum(size) - size
    return np.repeat(start - before, size) + np.arange(size.sum())


def place_within(
    codes: Int[Array, " B"], moment: Float[Array, " B"] | None = None
) -> Int[Array, " B"]:
    """How many entries of the same code come before each: by `moment`, and where that is equal or
    not given in the order in which they stand."""
    order = np.lexsort((np.zeros(len(codes)) if moment is None else moment, codes))
    ordered = codes[order]
    place = np.empty(len(codes), dtype=np.int64)
    place[order] = np.arange(len(codes)) - np.searchsorted(ordered, ordered)
    return place


def first_appearance(codes: Int[Array, " B"]) -> tuple[Int[Array, " B"], Int[Array, " G"]]:
    """Codes renumbered 0, 1, 2, ... in the order they first appear, and where each first does."""
    if len(codes) == 0:
        return codes.astype(np.int64), np.zeros(0, dtype=np.int64)
    low, high = int(codes.min()), int(codes.max())
    if high - low <= 4 * len(codes) + 1024:
        # Small codes need no sort: write positions backwards, so that the first one stays.
        first_of = np.full(high - low + 1, -1, dtype=np.int64)
        first_of[codes[::-1] - low] = np.arange(len(codes) - 1, -1, -1)
        present = np.flatnonzero(first_of >= 0)
        order = np.argsort(first_of[present], kind="stable")
        new = np.full(high - low + 1, -1, dtype=np.int64)
        new[present[order]] = np.arange(len(present))
        return new[codes - low], first_of[present[order]]
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[inverse], first[order]


def combine_codes(first: Int[Array, " B"], second: Int[Array, " B"]) -> Int[Array, " B"]:
    """One code for each pair of codes (both at least -1)."""
    return (first + 1) * (int(second.max(initial=-1)) + 2) + (second + 1)
