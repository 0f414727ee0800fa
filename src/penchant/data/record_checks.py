"""What records must keep so that the mathematics may trust them: looked at once, at the border."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.batch import ANSWERS
from penchant.data.columns import is_number, one_chunk, to_floats, to_ints
from penchant.data.record_columns import off_the_menu
from penchant.data.records import (
    INDEX_ANSWERS,
    KINDS,
    OPTION_ROLES,
    RESERVED_OPTIONS,
    RESERVED_ROWS,
    ROW_ROLES,
    Records,
)
from penchant.errors import DataError
from penchant.numerics.arrays import Array


def check_records(records: Records, allow_missing: Sequence[str] = ()) -> None:
    """Raises DataError at the first thing in the records that the mathematics cannot take."""
    sizes = records.menu_sizes
    _refuse(sizes <= 0, lambda b: (
        f"observation {b} has an empty menu", "at least one option per observation",
        "drop the observation or list what was on offer"))  # fmt: skip
    _check_names(records)
    unknown = [kind for kind in records.kinds if kind not in KINDS]
    if unknown:
        raise DataError(
            f"there is no feedback of kind {unknown[0]!r}; expected one of {', '.join(KINDS)}."
        )
    weight = to_floats(records.rows["weight"])
    _refuse(~(np.isfinite(weight) & (weight >= 0)), lambda b: (
        f"observation {b} has weight {weight[b]}", "a finite number, 0 or more",
        "set the weight to 1 or drop the observation"))  # fmt: skip
    for place, kind in enumerate(records.kinds):
        _check_answers(records, str(kind), records.kind_codes == place, sizes)
    for name, low, high in (("rank", 0, None), ("level", -1, None), ("success", -1, 1)):
        if name in records.options.column_names:
            _check_range(records, name, low, high)
    for name in records.options.column_names:
        if records.roles.get(name) == "feature" or name == "propensity":
            _check_feature(records, name, name in allow_missing or name == "propensity")
    for name in records.rows.column_names:
        if records.roles.get(name) in ("person_feature", "context"):
            _check_finite(records, name)


def _refuse(bad: Array, say: Any) -> None:
    if not np.any(bad):
        return
    got, expected, mend = say(int(np.argmax(bad)))
    raise DataError(
        f"{got} ({int(np.sum(bad))} of {len(bad)} are like this); expected {expected}. "
        f"To mend it, {mend}."
    )


def _check_answers(records: Records, kind: str, mine: Array, sizes: Array) -> None:
    needed = ("chosen",) if kind == "edit" else ANSWERS[kind]
    for name in needed:
        of_rows = name in RESERVED_ROWS
        table = records.rows if of_rows else records.options
        if name not in table.column_names:
            raise DataError(
                f"observations of kind {kind!r} have no column {name!r}; expected it in "
                f"`{'rows' if of_rows else 'options'}`. Add the column (null where nobody has "
                "answered) or name another kind."
            )
    if kind in ("pair", "graded"):
        _refuse(mine & (sizes != 2), lambda b: (
            f"observation {b} of kind {kind!r} has {sizes[b]} options", "exactly two",
            "call it a choice or a ranking"))  # fmt: skip
    for name in needed:
        if name in INDEX_ANSWERS:
            place = to_ints(records.rows[name])
            bad = mine & off_the_menu(records.rows[name], sizes)
            _refuse(bad, lambda b, name=name, place=place: (
                f"observation {b} has {name} = {place[b]}, which is not on its menu "
                f"{_menu(records, b)}", f"a place from 0 to {sizes[b] - 1}",
                "either add the option to the menu or drop these observations with "
                "`records.drop_unoffered()`"))  # fmt: skip
    if kind == "pair":
        outcome = to_ints(records.rows["outcome"])
        _refuse(mine & ((outcome < -1) | (outcome > 2)), lambda b: (
            f"observation {b} has outcome {outcome[b]}", "0 (first won), 1 (second won) or 2 "
            "(tie)", "recode the answer"))  # fmt: skip
    if kind == "best_worst":
        best, worst = to_ints(records.rows["best"]), to_ints(records.rows["worst"])
        _refuse(mine & (best == worst) & (best >= 0), lambda b: (
            f"observation {b} calls option {best[b]} both best and worst",
            "two different options", "drop the observation"))  # fmt: skip


def _menu(records: Records, row: int) -> list[Any]:
    start, stop = int(records.offsets[row]), int(records.offsets[row + 1])
    names: list[Any] = records.options["option"].slice(start, stop - start).to_pylist()
    return names


def _check_feature(records: Records, name: str, may_be_missing: bool) -> None:
    column = records.options[name]
    if is_number(column.type):
        values = to_floats(column)
        bad = np.isinf(values) if may_be_missing else ~np.isfinite(values)
        expected = "a finite number"
    elif may_be_missing or not column.null_count:
        return
    else:
        bad = np.asarray(one_chunk(pc.is_null(column)))
        expected = "a value"
    bad = bad & ~records.is_outside
    if not bad.any():
        return
    line = int(np.argmax(bad))
    row = int(np.searchsorted(records.offsets, line, side="right")) - 1
    place = line - int(records.offsets[row])
    raise DataError(
        f"observation {row} has {name} = {column[line].as_py()} for option "
        f"{_menu(records, row)[place]!r} ({int(bad.sum())} of {len(bad)} options are like this); "
        f"expected {expected}. To mend it, fill the gap, drop these observations, or give the "
        f"column the role 'extra' so that it is kept but not used."
    )


def _check_range(records: Records, name: str, low: int, high: int | None) -> None:
    values = to_ints(records.options[name], missing=low)
    bad = (values < low) | (values > (np.inf if high is None else high))
    if bad.any():
        line = int(np.argmax(bad))
        limit = "or more" if high is None else f"to {high}"
        raise DataError(
            f"observation {records.row_of_option[line]} has {name} = {values[line]} "
            f"({int(bad.sum())} of {len(bad)} options are like this); expected {low} {limit}, "
            "or null where nobody has answered. Recode the answer."
        )


def _check_finite(records: Records, name: str) -> None:
    column = records.rows[name]
    if not pa.types.is_floating(column.type):
        return
    values = to_floats(column)
    _refuse(np.isinf(values), lambda b: (
        f"observation {b} has {name} = {values[b]}", "a finite number, or null if unknown",
        "put null in its place, or give the column the role 'extra'"))  # fmt: skip


def _check_names(records: Records) -> None:
    tables = (
        ("rows", records.rows, RESERVED_ROWS, ROW_ROLES),
        ("options", records.options, RESERVED_OPTIONS, OPTION_ROLES),
    )
    for where, table, reserved, roles in tables:
        for name in table.column_names:
            role = records.roles.get(name)
            if name not in reserved and role not in roles:
                raise DataError(
                    f"column {name!r} of `{where}` has role {role!r}; expected one of "
                    f"{', '.join(roles)}. Say it in `roles`."
                )
    plain = set(records.rows.column_names) - set(RESERVED_ROWS)
    both = plain & (set(records.options.column_names) - set(RESERVED_OPTIONS))
    if both:
        raise DataError(
            f"column {sorted(both)[0]!r} is in `rows` and in `options`; expected every name once. "
            "Rename one of them."
        )
