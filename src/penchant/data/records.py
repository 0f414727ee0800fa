"""Observations at rest: who saw which options in what situation, and what they did about it.

Legend: B observations, N options over all menus.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from penchant.data.batch import ANSWERS
from penchant.data.columns import (
    is_number,
    is_text,
    one_chunk,
    ragged_arange,
    to_codes,
    to_dictionary,
    to_floats,
    to_ints,
)
from penchant.errors import DataError
from penchant.numerics.arrays import Array

# Names with a fixed meaning; every other column keeps the user's name and has a role.
RESERVED_ROWS = ("person", "situation", "time", "weight", "source", "kind",
                 "chosen", "worst", "best", "outcome", "grade")  # fmt: skip
RESERVED_OPTIONS = ("option", "position", "propensity", "rank", "level",
                    "approved", "success", "value", "text")  # fmt: skip
KINDS = (*ANSWERS, "edit")
ROW_ROLES = ("person_feature", "context", "extra")
OPTION_ROLES = ("feature", "extra")
_INDEX_ANSWERS = ("chosen", "best", "worst")


@dataclass(frozen=True, kw_only=True, eq=False)
class Records:
    """What was observed, in two Arrow tables.

    `rows` has one line per observation, `options` one line per option shown, all menus one after
    the other in the order shown; the options of observation b are the lines
    `offsets[b]:offsets[b + 1]`. `roles` says of every column that is not reserved what it is:
    in `rows` a "person_feature" (who), a "context" (where and when) or an "extra" (kept, unused),
    in `options` a "feature" or an "extra". `notes` says what was dropped or changed on the way in.

    Reserved in `rows`: person (words; null if unknown), situation, time, weight (default 1),
    source, kind (what kind of feedback), and the answers chosen, best, worst (places in the menu,
    from 0), outcome (0 first won, 1 second won, 2 tie), grade. Reserved in `options`: option (its
    id), position (order shown, from 0), propensity, rank (1 is best, 0 or null unranked), level,
    approved, success, value, text. A null answer is an observation that nobody has answered yet.
    """

    rows: pa.Table
    options: pa.Table
    offsets: Int[Array, " B1"]
    roles: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.offsets) != self.rows.num_rows + 1 or (
            int(self.offsets[0]) != 0 or int(self.offsets[-1]) != self.options.num_rows
        ):
            raise DataError(
                f"offsets have length {len(self.offsets)} and run from {int(self.offsets[0])} to "
                f"{int(self.offsets[-1])}; expected length {self.rows.num_rows + 1} (one more than "
                f"observations), from 0 to {self.options.num_rows} (the lines of `options`). "
                "Build records with `Records.from_arrays` or a reader, which count for you."
            )

    def __len__(self) -> int:
        return self.rows.num_rows

    def __repr__(self) -> str:
        kinds = ", ".join(sorted(set(self.kinds[np.unique(self.kind_codes)])))
        return (
            f"Records({len(self)} observations of kind {kinds or 'none'}, {self.num_people} "
            f"people, {self.options.num_rows} options shown)"
        )

    @classmethod
    def from_arrays(
        cls,
        *,
        options: Mapping[str, Any],
        rows: Mapping[str, Any],
        offered: Bool[Array, "B K"] | None = None,
        menu_sizes: Int[Array, " B"] | None = None,
        kind: str = "choice",
        person_features: Sequence[str] = (),
        extras: Sequence[str] = (),
        notes: tuple[str, ...] = (),
    ) -> "Records":
        """Records from plain arrays, checked.

        A column of `options` is either rectangular [B, K] (then `offered` [B, K] says which of
        the K were shown; all, if it is None) or flat [N] with `menu_sizes` [B]. Answers that are
        places in the menu count places among all K in the rectangular case. Columns of `rows`
        named in `person_features` describe the person, all others that are not reserved the
        situation; columns named in `extras` are only kept.
        """
        given = dict(options)
        shapes = [np.shape(values) for values in given.values() if np.ndim(values) == 2]
        answers = dict(rows)
        if shapes or offered is not None:
            mask = np.asarray(offered) if offered is not None else np.ones(shapes[0], dtype=bool)
            sizes = mask.sum(axis=1)
            flat = {name: _flat(name, values, mask) for name, values in given.items()}
            for name in _INDEX_ANSWERS:
                if name in answers:
                    answers[name] = _place_among_offered(answers[name], mask)
        elif menu_sizes is not None:
            sizes, flat = np.asarray(menu_sizes), given
        else:
            raise DataError(
                "the options came as flat columns without menu sizes; expected either columns of "
                "shape [B, K] or `menu_sizes` with one entry per observation."
            )
        table = pa.table({name: _arrow(values) for name, values in flat.items()})
        row_table = pa.table(
            {"kind": pa.array([kind] * len(sizes)), **{n: _arrow(v) for n, v in answers.items()}}
        )
        roles = {n: "feature" for n in flat if n not in RESERVED_OPTIONS}
        roles |= {n: "context" for n in answers if n not in RESERVED_ROWS}
        roles |= dict.fromkeys(person_features, "person_feature") | dict.fromkeys(extras, "extra")
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return (
            cls(rows=row_table, options=table, offsets=offsets, roles=roles, notes=notes)
            .normalised()
            .check()
        )

    @property
    def menu_sizes(self) -> Int[Array, " B"]:
        return np.diff(self.offsets)

    @cached_property
    def _kind_column(self) -> tuple[Int[Array, " B"], list[str]]:
        return to_codes(self.rows["kind"])

    @property
    def kind_codes(self) -> Int[Array, " B"]:
        """For each observation, which entry of `kinds` it is."""
        return self._kind_column[0]

    @property
    def kinds(self) -> Array:
        return np.asarray(self._kind_column[1], dtype=object)

    @property
    def num_people(self) -> int:
        """Known people; observations without a person are not counted."""
        if "person" not in self.rows.column_names:
            return 0
        codes, _ = to_codes(self.rows["person"])
        return len(np.unique(codes[codes >= 0]))

    def columns(self, role: str) -> tuple[str, ...]:
        """The names of the columns with this role, in table order."""
        if role not in (*ROW_ROLES, *OPTION_ROLES):
            raise DataError(
                f"there is no role {role!r}; expected one of "
                f"{', '.join(dict.fromkeys((*ROW_ROLES, *OPTION_ROLES)))}."
            )
        names = (*self.rows.column_names, *self.options.column_names)
        return tuple(name for name in dict.fromkeys(names) if self.roles.get(name) == role)

    @cached_property
    def row_of_option(self) -> Int[Array, " N"]:
        """For each line of `options`, the observation it belongs to."""
        return np.repeat(np.arange(len(self)), self.menu_sizes)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the content: equal records have equal fingerprints, however they are stored."""
        digest = hashlib.sha256(np.ascontiguousarray(self.offsets, dtype=np.int64).tobytes())
        for table in (self.rows, self.options):
            for name in sorted(table.column_names):
                digest.update(f"|{name}:{self.roles.get(name, '')}|".encode())
                _hash_column(digest, one_chunk(table[name]))
        return digest.hexdigest()[:32]

    def take(self, rows: Int[Array, " C"]) -> "Records":
        """The observations at these places, in that order, with their menus."""
        rows = np.asarray(rows)
        sizes = self.menu_sizes[rows]
        lines = ragged_arange(self.offsets[:-1][rows], sizes)
        return replace(
            self,
            rows=self.rows.take(pa.array(rows)),
            options=self.options.take(pa.array(lines)),
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        )

    def with_columns(
        self,
        *,
        rows: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        roles: Mapping[str, str] | None = None,
    ) -> "Records":
        """The same observations with columns added or replaced, as what-if questions need."""
        row_table, option_table = self.rows, self.options
        for name, values in (rows or {}).items():
            row_table = _set(row_table, name, values)
        for name, values in (options or {}).items():
            option_table = _set(option_table, name, values)
        fresh = {n: "context" for n in rows or {} if n not in RESERVED_ROWS}
        fresh |= {n: "feature" for n in options or {} if n not in RESERVED_OPTIONS}
        return replace(
            self, rows=row_table, options=option_table,
            roles={**fresh, **self.roles, **(roles or {})},
        ).normalised()  # fmt: skip

    def drop_unoffered(self) -> "Records":
        """Without the observations whose answer is an option that was not on the menu."""
        bad = np.zeros(len(self), dtype=bool)
        for name in _INDEX_ANSWERS:
            if name in self.rows.column_names:
                bad |= _off_the_menu(self.rows[name], self.menu_sizes)
        if not bad.any():
            return self
        kept = self.take(np.flatnonzero(~bad))
        note = f"{int(bad.sum())} of {len(self)} observations dropped: answer not on the menu"
        return replace(kept, notes=(*self.notes, note))

    def to_long_table(self) -> pa.Table:
        """One line per option shown, the columns of its observation repeated beside it.

        `observation` numbers the observations from 0. Where both tables have a column of one name,
        that of the observation is called `row_<name>`.
        """
        repeated = self.rows.take(pa.array(self.row_of_option))
        taken = set(self.options.column_names)
        names = [f"row_{n}" if n in taken else n for n in repeated.column_names]
        long = repeated.rename_columns(names)
        for name in self.options.column_names:
            long = long.append_column(name, self.options[name])
        return long.add_column(0, "observation", pa.array(self.row_of_option))

    def to_long_pandas(self) -> Any:
        """`to_long_table` as a pandas DataFrame."""
        return self.to_long_table().to_pandas()

    def normalised(self) -> "Records":
        """The same records with reserved columns present and in their fixed types."""
        rows, options = self.rows, self.options
        for name in ("person", "kind", "source"):
            if name in rows.column_names and not _is_dictionary(rows[name].type):
                rows = _set(rows, name, to_dictionary(rows[name]))
        if "person" not in rows.column_names:
            rows = _set(rows, "person", to_dictionary(pa.nulls(len(self), pa.string())))
        if "weight" not in rows.column_names:
            rows = _set(rows, "weight", pa.array(np.ones(len(self))))
        elif rows["weight"].type != pa.float64():
            rows = _set(rows, "weight", pc.cast(rows["weight"], pa.float64()))
        if "option" not in options.column_names:
            options = _set(options, "option", to_dictionary(pa.nulls(len(options), pa.string())))
        elif not _is_dictionary(options["option"].type):
            options = _set(options, "option", to_dictionary(options["option"]))
        for name in (*_INDEX_ANSWERS, "outcome", "grade"):
            if name in rows.column_names and rows[name].type != pa.int64():
                rows = _set(rows, name, pc.cast(rows[name], pa.int64()))
        if rows is self.rows and options is self.options:
            return self
        return replace(self, rows=rows, options=options)

    def check(self, allow_missing: Sequence[str] = ()) -> "Records":
        """Itself, once everything that the mathematics relies on has been looked at.

        Raises DataError with the observation, the value, the expectation and the mend. Features in
        `allow_missing` may be null.
        """
        sizes = self.menu_sizes
        self._refuse(sizes <= 0, lambda b: (
            f"observation {b} has an empty menu", "at least one option per observation",
            "drop the observation or list what was on offer"))  # fmt: skip
        _check_names(self)
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown:
            raise DataError(
                f"there is no feedback of kind {unknown[0]!r}; expected one of {', '.join(KINDS)}."
            )
        weight = to_floats(self.rows["weight"])
        self._refuse(~(np.isfinite(weight) & (weight >= 0)), lambda b: (
            f"observation {b} has weight {weight[b]}", "a finite number, 0 or more",
            "set the weight to 1 or drop the observation"))  # fmt: skip
        for place, kind in enumerate(self.kinds):
            self._check_answers(str(kind), self.kind_codes == place, sizes)
        for name, low, high in (("rank", 0, None), ("level", -1, None), ("success", -1, 1)):
            if name in self.options.column_names:
                self._check_range(name, low, high)
        for name in self.options.column_names:
            if self.roles.get(name) == "feature" or name == "propensity":
                self._check_feature(name, name in allow_missing or name == "propensity")
        for name in self.rows.column_names:
            if self.roles.get(name) in ("person_feature", "context"):
                self._check_finite(name)
        return self

    def _refuse(self, bad: Array, say: Any) -> None:
        if not np.any(bad):
            return
        got, expected, mend = say(int(np.argmax(bad)))
        raise DataError(
            f"{got} ({int(np.sum(bad))} of {len(bad)} are like this); expected {expected}. "
            f"To mend it, {mend}."
        )

    def _check_answers(self, kind: str, mine: Array, sizes: Array) -> None:
        needed = ("chosen",) if kind == "edit" else ANSWERS[kind]
        for name in needed:
            of_rows = name in RESERVED_ROWS
            table = self.rows if of_rows else self.options
            if name not in table.column_names:
                raise DataError(
                    f"observations of kind {kind!r} have no column {name!r}; expected it in "
                    f"`{'rows' if of_rows else 'options'}`. Add the column (null where nobody has "
                    "answered) or name another kind."
                )
        if kind in ("pair", "graded"):
            self._refuse(mine & (sizes != 2), lambda b: (
                f"observation {b} of kind {kind!r} has {sizes[b]} options", "exactly two",
                "call it a choice or a ranking"))  # fmt: skip
        for name in needed:
            if name in _INDEX_ANSWERS:
                place = to_ints(self.rows[name])
                bad = mine & _off_the_menu(self.rows[name], sizes)
                self._refuse(bad, lambda b, name=name, place=place: (
                    f"observation {b} has {name} = {place[b]}, which is not on its menu "
                    f"{self._menu(b)}", f"a place from 0 to {sizes[b] - 1}",
                    "either add the option to the menu or drop these observations with "
                    "`records.drop_unoffered()`"))  # fmt: skip
        if kind == "pair":
            outcome = to_ints(self.rows["outcome"])
            self._refuse(mine & ((outcome < -1) | (outcome > 2)), lambda b: (
                f"observation {b} has outcome {outcome[b]}", "0 (first won), 1 (second won) or 2 "
                "(tie)", "recode the answer"))  # fmt: skip
        if kind == "best_worst":
            best, worst = to_ints(self.rows["best"]), to_ints(self.rows["worst"])
            self._refuse(mine & (best == worst) & (best >= 0), lambda b: (
                f"observation {b} calls option {best[b]} both best and worst",
                "two different options", "drop the observation"))  # fmt: skip

    def _menu(self, row: int) -> list[Any]:
        start, stop = int(self.offsets[row]), int(self.offsets[row + 1])
        names: list[Any] = self.options["option"].slice(start, stop - start).to_pylist()
        return names

    def _check_feature(self, name: str, may_be_missing: bool) -> None:
        column = self.options[name]
        if is_number(column.type):
            values = to_floats(column)
            bad = np.isinf(values) if may_be_missing else ~np.isfinite(values)
            expected = "a finite number"
        elif may_be_missing or not column.null_count:
            return
        else:
            bad = np.asarray(one_chunk(pc.is_null(column)))
            expected = "a value"
        if not bad.any():
            return
        line = int(np.argmax(bad))
        row = int(np.searchsorted(self.offsets, line, side="right")) - 1
        place = line - int(self.offsets[row])
        raise DataError(
            f"observation {row} has {name} = {column[line].as_py()} for option "
            f"{self._menu(row)[place]!r} ({int(bad.sum())} of {len(bad)} options are like this); "
            f"expected {expected}. To mend it, fill the gap, drop these observations, or give the "
            f"column the role 'extra' so that it is kept but not used."
        )

    def _check_range(self, name: str, low: int, high: int | None) -> None:
        values = to_ints(self.options[name], missing=low)
        bad = (values < low) | (values > (np.inf if high is None else high))
        if bad.any():
            line = int(np.argmax(bad))
            limit = "or more" if high is None else f"to {high}"
            raise DataError(
                f"observation {self.row_of_option[line]} has {name} = {values[line]} "
                f"({int(bad.sum())} of {len(bad)} options are like this); expected {low} {limit}, "
                "or null where nobody has answered. Recode the answer."
            )

    def _check_finite(self, name: str) -> None:
        column = self.rows[name]
        if not pa.types.is_floating(column.type):
            return
        values = to_floats(column)
        self._refuse(np.isinf(values), lambda b: (
            f"observation {b} has {name} = {values[b]}", "a finite number, or null if unknown",
            "put null in its place, or give the column the role 'extra'"))  # fmt: skip


def concat(parts: Sequence[Records]) -> Records:
    """All observations of several records, one after the other.

    A column that a part lacks is null there; a column must have the same role everywhere.
    """
    if not parts:
        raise DataError("there are no records to put together; expected at least one.")
    roles: dict[str, str] = {}
    for part in parts:
        for name, role in part.roles.items():
            if roles.setdefault(name, role) != role:
                raise DataError(
                    f"column {name!r} is a {roles[name]} in one part and a {role} in another; "
                    "expected one role. Rename it in one of them."
                )
    shift = np.cumsum([0] + [part.options.num_rows for part in parts])
    offsets = [part.offsets[:-1] + s for part, s in zip(parts, shift[:-1], strict=True)]
    return Records(
        rows=_stack([part.rows for part in parts]),
        options=_stack([part.options for part in parts]),
        offsets=np.concatenate([*offsets, shift[-1:]]).astype(np.int64),
        roles=roles,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def _stack(tables: Sequence[pa.Table]) -> pa.Table:
    # Dictionaries with other values have one type and other codes: words first, codes again after.
    merged = pa.concat_tables(tables, promote_options="permissive")
    return merged.unify_dictionaries().combine_chunks()


def _arrow(values: Any) -> Any:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return one_chunk(values)
    array = np.asarray(values)
    return pa.array(array.tolist()) if array.dtype == object else pa.array(array)


def _set(table: pa.Table, name: str, values: Any) -> pa.Table:
    column = _arrow(values)
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)


def _flat(name: str, values: Any, mask: Array) -> Any:
    array = np.asarray(values)
    if array.ndim == 1 and len(array) == mask.shape[1]:
        array = np.broadcast_to(array, mask.shape)  # the same names on every menu
    if array.shape != mask.shape:
        raise DataError(
            f"column {name!r} of the options has shape {list(array.shape)}; expected "
            f"{list(mask.shape)}, the shape of `offered` (or [{mask.shape[1]}], the same for all)."
        )
    return array[mask]


def _place_among_offered(given: Any, offered: Array) -> Any:
    column = _arrow(given)
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


def _off_the_menu(column: Any, sizes: Array) -> Array:
    place = to_ints(column, missing=0)
    answered = ~np.asarray(one_chunk(pc.is_null(column)))
    return answered & ((place < 0) | (place >= sizes))


def _is_dictionary(kind: Any) -> bool:
    return bool(pa.types.is_dictionary(kind)) and kind.value_type == pa.string()


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


def _hash_column(digest: Any, array: Any) -> None:
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
