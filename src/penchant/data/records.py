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
    one_chunk,
    ragged_arange,
    to_codes,
    to_dictionary,
    to_ints,
)
from penchant.data.record_columns import (
    as_column,
    flat_of_menus,
    hash_column,
    is_coded_text,
    off_the_menu,
    place_among_offered,
    stacked,
    with_column,
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
INDEX_ANSWERS = ("chosen", "best", "worst")


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
    outside_option: the name of the option that stands for "none of these" and has no features
    (`data/outside.py`), or None. scale: what the levels of ratings (or grades) are called, lowest
    first; empty where nobody said.
    """

    rows: pa.Table
    options: pa.Table
    offsets: Int[Array, " B1"]
    roles: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    outside_option: str | None = None
    scale: tuple[str, ...] = ()

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
        # Arrow's columns are flat, whatever their entries are.
        arrays = (v for v in given.values() if not isinstance(v, pa.Array | pa.ChunkedArray))
        shapes = [np.shape(values) for values in arrays if np.ndim(values) == 2]
        answers = dict(rows)
        if shapes or offered is not None:
            mask = np.asarray(offered) if offered is not None else np.ones(shapes[0], dtype=bool)
            sizes = mask.sum(axis=1)
            flat = {name: flat_of_menus(name, values, mask) for name, values in given.items()}
            for name in INDEX_ANSWERS:
                if name in answers:
                    answers[name] = place_among_offered(answers[name], mask)
        elif menu_sizes is not None:
            sizes, flat = np.asarray(menu_sizes), given
        else:
            raise DataError(
                "the options came as flat columns without menu sizes; expected either columns of "
                "shape [B, K] or `menu_sizes` with one entry per observation."
            )
        table = pa.table({name: as_column(values) for name, values in flat.items()})
        row_table = pa.table(
            {"kind": pa.array([kind] * len(sizes)), **{n: as_column(v) for n, v in answers.items()}}
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
    def is_outside(self) -> Bool[Array, " N"]:
        """For each line of `options`, whether it is the outside option."""
        if self.outside_option is None:
            return np.zeros(self.options.num_rows, dtype=bool)
        codes, names = to_codes(self.options["option"])
        named = [str(name) == self.outside_option for name in names]
        return np.array([*named, False])[codes]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the content: equal records have equal fingerprints, however they are stored."""
        digest = hashlib.sha256(np.ascontiguousarray(self.offsets, dtype=np.int64).tobytes())
        for table in (self.rows, self.options):
            for name in sorted(table.column_names):
                digest.update(f"|{name}:{self.roles.get(name, '')}|".encode())
                hash_column(digest, one_chunk(table[name]))
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
            row_table = with_column(row_table, name, values)
        for name, values in (options or {}).items():
            option_table = with_column(option_table, name, values)
        fresh = {n: "context" for n in rows or {} if n not in RESERVED_ROWS}
        fresh |= {n: "feature" for n in options or {} if n not in RESERVED_OPTIONS}
        return replace(
            self, rows=row_table, options=option_table,
            roles={**fresh, **self.roles, **(roles or {})},
        ).normalised()  # fmt: skip

    def drop_unoffered(self) -> "Records":
        """Without the observations whose answer is an option that was not on the menu."""
        bad = np.zeros(len(self), dtype=bool)
        for name in INDEX_ANSWERS:
            if name in self.rows.column_names:
                bad |= off_the_menu(self.rows[name], self.menu_sizes)
        if not bad.any():
            return self
        kept = self.take(np.flatnonzero(~bad))
        note = f"{int(bad.sum())} of {len(self)} observations dropped: answer not on the menu"
        return replace(kept, notes=(*self.notes, note))

    def to_long_table(self) -> pa.Table:
        """One line per option shown, the columns of its observation repeated beside it.

        `observation` numbers the observations from 0; `chosen`, `best` and `worst` are 1 on the
        line of the option that was, 0 on the others, null where nobody answered. Where both tables
        have a column of one name, that of the observation is called `row_<name>`.
        """
        repeated = self.rows.take(pa.array(self.row_of_option))
        for name in INDEX_ANSWERS:
            if name in repeated.column_names:
                repeated = with_column(repeated, name, self._marks(name))
        taken = set(self.options.column_names)
        names = [f"row_{n}" if n in taken else n for n in repeated.column_names]
        long = repeated.rename_columns(names)
        for name in self.options.column_names:
            long = long.append_column(name, self.options[name])
        return long.add_column(0, "observation", pa.array(self.row_of_option))

    def _marks(self, name: str) -> pa.Array:
        """Of every option shown, whether it is the one that an answer of the rows names."""
        place = to_ints(self.rows[name], missing=-1)[self.row_of_option]
        own = ragged_arange(np.zeros(len(self), dtype=np.int64), self.menu_sizes)
        return pa.array((own == place).astype(np.int64), mask=place < 0)

    def to_long_pandas(self) -> Any:
        """`to_long_table` as a pandas DataFrame."""
        return self.to_long_table().to_pandas()

    def normalised(self) -> "Records":
        """The same records with reserved columns present and in their fixed types."""
        rows, options = self.rows, self.options
        for name in ("person", "kind", "source"):
            if name in rows.column_names and not is_coded_text(rows[name].type):
                rows = with_column(rows, name, to_dictionary(rows[name]))
        if "person" not in rows.column_names:
            rows = with_column(rows, "person", to_dictionary(pa.nulls(len(self), pa.string())))
        if "weight" not in rows.column_names:
            rows = with_column(rows, "weight", pa.array(np.ones(len(self))))
        elif rows["weight"].type != pa.float64():
            rows = with_column(rows, "weight", pc.cast(rows["weight"], pa.float64()))
        if "option" not in options.column_names:
            options = with_column(
                options, "option", to_dictionary(pa.nulls(len(options), pa.string()))
            )
        elif not is_coded_text(options["option"].type):
            options = with_column(options, "option", to_dictionary(options["option"]))
        for name in (*INDEX_ANSWERS, "outcome", "grade"):
            if name in rows.column_names and rows[name].type != pa.int64():
                rows = with_column(rows, name, pc.cast(rows[name], pa.int64()))
        if rows is self.rows and options is self.options:
            return self
        return replace(self, rows=rows, options=options)

    def check(self, allow_missing: Sequence[str] = ()) -> "Records":
        """Itself, once everything that the mathematics relies on has been looked at.

        Raises DataError with the observation, the value, the expectation and the mend. Features in
        `allow_missing` may be null.
        """
        # Imported here, as what is checked stands above its checks.
        from penchant.data.record_checks import check_records

        check_records(self, allow_missing)
        return self


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
    outside, scales = {part.outside_option for part in parts}, {part.scale for part in parts}
    if len(outside) > 1:
        raise DataError(
            f"the parts have different outside options ({', '.join(sorted(map(repr, outside)))}); "
            "expected the same in all. Read them with the same description."
        )
    shift = np.cumsum([0] + [part.options.num_rows for part in parts])
    offsets = [part.offsets[:-1] + s for part, s in zip(parts, shift[:-1], strict=True)]
    return Records(
        rows=stacked([part.rows for part in parts]),
        options=stacked([part.options for part in parts]),
        offsets=np.concatenate([*offsets, shift[-1:]]).astype(np.int64),
        roles=roles,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        outside_option=outside.pop(),
        scale=scales.pop() if len(scales) == 1 else (),
    )
