"""Judgements that annotation tools collected, one by one: what Label Studio and Potato share.

Legend: B judgements.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from penchant.data.records import RESERVED_OPTIONS, RESERVED_ROWS, Records
from penchant.errors import DataError

KINDS = ("pair", "ranking", "rating", "edit")
FIRST, SECOND, TIE = 0, 1, 2
# Of a rating: a scale has a name for each.
MOST_LEVELS = 1_000
_RESERVED = {*RESERVED_ROWS, *RESERVED_OPTIONS}


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """One answer. options, texts: of the menu, as shown; of an edit what was made of it and the
    proposal. value: of a pair 0, 1 or 2 (a tie), of a rating the level from 1; rank: of a ranking
    each option's place from 1, 0 where it has none. Without any answer the menu waits for one.
    question: what was asked (the tool's name of the control). extras: what else was said."""

    kind: str
    options: tuple[str, ...]
    texts: tuple[str | None, ...]
    value: int | None = None
    rank: tuple[int, ...] = ()
    person: str | None = None
    situation: str | None = None
    time: str | None = None
    question: str | None = None
    extras: Mapping[str, str] = field(default_factory=dict)


def to_records(found: Sequence[Judgement], notes: Sequence[str] = ()) -> Records:
    """The judgements as records, the question of each under `source`."""
    sizes = [len(each.options) for each in found]
    levels = [_level(each) for each in found]
    rows: dict[str, Any] = {
        "kind": pa.array([each.kind for each in found]),
        **{
            name: pa.array([getattr(each, key) for each in found], pa.string())
            for name, key in (("person", "person"), ("situation", "situation"),
                              ("time", "time"), ("source", "question"))
        },
    }  # fmt: skip
    kinds = {each.kind for each in found}
    if "pair" in kinds:
        rows["outcome"] = pa.array(
            [each.value if each.kind == "pair" else None for each in found], pa.int64()
        )
    if "edit" in kinds:
        rows["chosen"] = pa.array([0 if e.kind == "edit" else None for e in found], pa.int64())
    extras = _columns_of(dict.fromkeys(name for each in found for name in each.extras))
    for name, column in extras.items():
        rows[column] = pa.array([each.extras.get(name) for each in found], pa.string())
    options: dict[str, Any] = {
        "option": pa.array([name for each in found for name in each.options], pa.string()),
        "text": pa.array([text for each in found for text in each.texts], pa.string()),
    }
    if "ranking" in kinds:
        options["rank"] = pa.array([place for each in found for place in _ranks(each)], pa.int64())
    if "rating" in kinds:
        options["level"] = pa.array(
            [level for size, level in zip(sizes, levels) for level in [level] * size], pa.int64()
        )
    most = max((each.value or 0 for each in found if each.kind == "rating"), default=0)
    return Records(
        rows=pa.table(rows), options=pa.table(options),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        roles=dict.fromkeys(extras.values(), "extra"), notes=tuple(notes),
        scale=tuple(map(str, range(1, most + 1))),
    ).normalised()  # fmt: skip


def from_records(records: Records, tool: str) -> list[Judgement]:
    """The judgements that records hold. Raises `DataError` for kinds of answer that the tool has no
    control for."""
    other = sorted(set(records.kinds) - set(KINDS))
    if other:
        raise DataError(
            f"{tool} has no control for answers of kind {', '.join(other)}; expected "
            f"{', '.join(KINDS)}. Take the others out: records.take(rows)."
        )
    if records.scale != tuple(map(str, range(1, len(records.scale) + 1))):
        raise DataError(
            f"ratings are on the scale {', '.join(records.scale)}; {tool} counts stars "
            "from 1. Write them on a scale of 1, 2, 3 and so on."
        )
    rows, options = records.rows.to_pylist(), records.options.to_pylist()
    extras = [name for name in records.columns("extra") if name in records.rows.column_names]
    found = []
    for b, row in enumerate(rows):
        menu = options[int(records.offsets[b]) : int(records.offsets[b + 1])]
        value = row.get("outcome") if row["kind"] == "pair" else None
        if row["kind"] == "rating" and menu[0].get("level") is not None and menu[0]["level"] >= 0:
            value = int(menu[0]["level"]) + 1
        rank = tuple(int(each.get("rank") or 0) for each in menu)
        found.append(Judgement(
            kind=row["kind"], options=tuple(str(each["option"]) for each in menu),
            texts=tuple(each.get("text") for each in menu), value=value,
            rank=rank if row["kind"] == "ranking" and any(rank) else (),
            person=_word(row.get("person")), situation=_word(row.get("situation")),
            time=_word(row.get("time")), question=_word(row.get("source")),
            extras={name: str(row[name]) for name in extras if row[name] is not None},
        ))  # fmt: skip
    return found


def shown(judgement: Judgement) -> list[str]:
    """What people were shown of each option: its text, or its name."""
    return [text or name for name, text in zip(judgement.options, judgement.texts)]


def _columns_of(names: Iterable[str]) -> dict[str, str]:
    """A control may be called as a column of records is, which must not be written over."""
    columns: dict[str, str] = {}
    for name in names:
        column = name
        while column in _RESERVED or column in columns.values():
            column = f"said_{column}"
        columns[name] = column
    return columns


def _level(judgement: Judgement) -> int | None:
    if judgement.kind != "rating" or judgement.value is None:
        return None
    return judgement.value - 1


def _ranks(judgement: Judgement) -> Sequence[int | None]:
    return judgement.rank or [None] * len(judgement.options)


def _word(value: Any) -> str | None:
    return None if value is None else str(value)
