"""Records as one Parquet file, everything kept: rows, menus as nested lists, roles and notes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import one_chunk
from penchant.data.readers.table import PARQUET
from penchant.data.records import Records
from penchant.errors import DataError

MARK = b"penchant.records"
_VERSION = 1


def to_nested(records: Records) -> pa.Table:
    """One line per observation, its menu as a list of structures in the column `options`."""
    columns = {name: _plain(records.options[name]) for name in records.options.column_names}
    lines = pa.StructArray.from_arrays(list(columns.values()), names=list(columns))
    menus = pa.ListArray.from_arrays(pa.array(records.offsets.astype(np.int32)), lines)
    table = records.rows.append_column("options", menus)
    told = {"version": _VERSION, "roles": dict(records.roles), "notes": list(records.notes),
            "outside_option": records.outside_option, "scale": list(records.scale)}  # fmt: skip
    return table.replace_schema_metadata({MARK: json.dumps(told).encode()})


def is_nested(data: Any) -> bool:
    """Whether a table, or the Parquet file at a path, was written by `to_nested`."""
    if isinstance(data, pa.Table):
        return MARK in (data.schema.metadata or {})
    if not isinstance(data, str | Path) or Path(data).suffix.lower() not in PARQUET:
        return False
    import pyarrow.parquet as pq

    try:
        return MARK in (pq.read_schema(data).metadata or {})
    except (pa.ArrowInvalid, OSError):
        return False  # reading it says what is wrong


def from_nested(table: pa.Table) -> Records:
    """The records in a table that `to_nested` made."""
    told = json.loads((table.schema.metadata or {})[MARK])
    if told.get("version") != _VERSION:
        raise DataError(
            f"the file holds records of version {told.get('version')}; expected {_VERSION}. Read "
            "it with the version of penchant that wrote it, or update penchant."
        )
    menus = one_chunk(table["options"])
    lines = pc.list_flatten(menus)
    sizes = np.asarray(pc.list_value_length(menus)).astype(np.int64)
    names = [field.name for field in lines.type]
    return Records(
        rows=table.drop_columns(["options"]).replace_schema_metadata(None),
        options=pa.table({name: pc.struct_field(lines, name) for name in names}),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        roles=told["roles"],
        notes=tuple(told["notes"]),
        outside_option=told.get("outside_option"),
        scale=tuple(told.get("scale", ())),
    ).normalised()


def save(records: Records, path: str | Path) -> None:
    """The records as a Parquet file that `read` knows without a description."""
    import pyarrow.parquet as pq

    pq.write_table(to_nested(records), path, compression="zstd")


def _plain(column: Any) -> Any:
    array = one_chunk(column)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
