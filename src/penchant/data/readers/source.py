"""A table on its way to records: rules applied, names found, bad lines collected.

Legend: B lines of the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from penchant.data.columns import (
    from_codes,
    is_number,
    is_text,
    one_chunk,
    to_bools,
    to_codes,
    to_dictionary,
)
from penchant.data.description import Description
from penchant.data.records import RESERVED_OPTIONS, RESERVED_ROWS
from penchant.errors import DataError
from penchant.numerics.arrays import Array

_TRUE = ("1", "1.0", "true", "yes", "y", "t")
_FALSE = ("0", "0.0", "false", "no", "n", "f", "-1")
# From this share of readable numbers on, a column of words is a column of numbers with mistakes.
_MOSTLY_NUMBERS = 0.9


@dataclass(kw_only=True, eq=False)
class BadLines:
    """Which lines cannot be used and why: the first one is raised, or all are set aside.

    `line` holds each line's number in the file, from 1 (the header of a CSV not counted); a range,
    where none was left out, takes no room. `begin` is how many lines of the file came before.
    """

    name: str
    line: Int[Array, " B"] | range
    raises: bool
    header: int = 0
    begin: int = 0
    bad: Array = field(init=False)
    # Ten million sound lines need no room for reasons.
    _reason: Array | None = field(init=False, default=None)
    # Bad lines that left the table, without the others of their observation.
    _alone: list[tuple[Array, Array]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.bad = np.zeros(len(self.line), dtype=bool)

    def numbers(self, place: Int[Array, " A"]) -> Int[Array, " A"]:
        """The numbers in the file of the lines at these places."""
        here = self.line.start + place if isinstance(self.line, range) else self.line[place]
        return self.begin + here

    def add(
        self, mask: Bool[Array, " B"], column: str, values: Any, expected: str, mend: str
    ) -> None:
        """Marks the lines of the mask; `values` is what stands there, one entry per line."""
        count = int(mask.sum())
        if not count:
            return
        first = int(np.argmax(mask))
        if self.raises:
            raise DataError(
                f"{self.name}, {self.place(first)}: {column} is {_show(values[first])} "
                f"({count} of {len(mask)} lines are like this); expected {expected}. To mend it, "
                f'{mend}, or read with on_bad_rows="quarantine" to set such lines aside in a file.'
            )
        fresh = np.flatnonzero(mask & ~self.bad)
        words = pc.fill_null(_words(values.take(pa.array(fresh))), "missing")
        said = pc.binary_join_element_wise(f"{column} is ", words, f"; expected {expected}", "")
        self._reasons()[fresh] = np.asarray(said, dtype=object)
        self.bad |= mask

    def add_companions(self, mask: Bool[Array, " B"], reason: str) -> None:
        """Marks lines that are sound, but belong to an observation with a bad one."""
        fresh = mask & ~self.bad
        if fresh.any():
            self._reasons()[fresh] = reason
        self.bad |= mask

    def found(self) -> tuple[Int[Array, " A"], Any]:
        """The numbers in the file of all bad lines, in order, and why they cannot be used."""
        place = np.flatnonzero(self.bad)
        reasons = self._reasons()[place] if len(place) else np.zeros(0, dtype=object)
        numbers = np.concatenate([self.numbers(place), *(line for line, _ in self._alone)])
        order = np.argsort(numbers, kind="stable")
        all_reasons = np.concatenate([reasons, *(reason for _, reason in self._alone)])
        return numbers[order], pa.array(all_reasons[order], pa.string())

    def leave(self, kept: Bool[Array, " B"]) -> None:
        """Leaves out the lines that are not kept; bad ones among them are set aside alone."""
        gone = np.flatnonzero(~kept & self.bad)
        if len(gone):
            self._alone.append((self.numbers(gone), self._reasons()[gone]))
        self.line, self.bad = np.asarray(self.line)[kept], self.bad[kept]
        self._reason = None if self._reason is None else self._reason[kept]

    def _reasons(self) -> Array:
        if self._reason is None:
            self._reason = np.full(len(self.line), None, dtype=object)
        return self._reason

    def place(self, index: int) -> str:
        number = self.begin + int(self.line[index])
        at = f" (line {number + self.header} of the file)" if self.header else ""
        return f"row {number}{at}"


def _words(values: Any) -> Any:
    array = one_chunk(values)
    if pa.types.is_nested(array.type):
        return pa.array([str(value) for value in array.to_pylist()], pa.string())
    return to_dictionary(array).dictionary_decode()


def _show(value: Any) -> str:
    plain = value.as_py() if isinstance(value, pa.Scalar) else value
    if plain is None:
        return "missing"
    return repr(plain.item() if isinstance(plain, np.generic) else plain)


@dataclass(kw_only=True, eq=False)
class Source:
    """What a reader of one layout gets: the table after the description's rules, and its names."""

    table: pa.Table
    description: Description
    bad: BadLines
    notes: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    scale: tuple[str, ...] = ()  # the levels of ratings or grades, once their column was read

    @property
    def num_lines(self) -> int:
        return self.table.num_rows

    def column(self, name: str) -> Any:
        """A column that the records will hold in another shape: it is not kept as an extra."""
        self.used.add(name)
        return one_chunk(self.table[name])

    def flag(self, name: str) -> Bool[Array, " B"]:
        """A column of truth values, however they are written; other values are bad lines."""
        column = self.column(name)
        if is_number(column.type):
            return to_bools(column)
        codes, values = to_codes(column)
        words = [str(value).strip().lower() for value in values]
        known = np.asarray([word in _TRUE or word in _FALSE for word in words] + [True])
        self.bad.add(~known[codes], name, column, "1 or 0 (or yes/no, true/false)",
                     "correct the value")  # fmt: skip
        return np.asarray([word in _TRUE for word in words] + [False])[codes]

    def feature(self, name: str) -> Any:
        """A feature column; a word among numbers is a bad line, not a new category."""
        column = self.column(name)
        if not is_text(column.type):
            return column
        codes, values = to_codes(column)
        numeric = np.asarray([_is_numeral(value) for value in values] + [False])
        if not numeric.any() or numeric[:-1].all():
            return column
        present = codes >= 0
        if numeric[codes].sum() < _MOSTLY_NUMBERS * present.sum():
            return column
        self.bad.add(
            present & ~numeric[codes], name, column, "a number, as on the other lines",
            "correct the value or list the word in `file.nulls`",
        )  # fmt: skip
        as_numbers = np.asarray(
            [float(value) if _is_numeral(value) else np.nan for value in values] + [np.nan]
        )
        return pa.array(as_numbers[codes], mask=~numeric[codes])

    def row_columns(self) -> tuple[dict[str, Any], dict[str, str]]:
        """The columns of `rows` that every layout has, and the roles of those with users' names.

        All columns that nobody has used so far are kept as extras: call this last.
        """
        said = self.description
        columns: dict[str, Any] = {}
        roles: dict[str, str] = {}
        for name in ("person", "time", "weight", "source"):
            given = getattr(said, name)
            if given is not None:
                columns[name] = self.column(given)
        if said.situation:
            columns["situation"] = self._situation()
        columns |= {"person": to_dictionary(columns["person"])} if "person" in columns else {}
        if "weight" in columns:
            columns["weight"] = self.checked_weight(said.weight or "weight", columns["weight"])
        named = [(name, "person_feature") for name in said.person_features]
        named += [(name, "context") for name in said.context]
        for name, role in named:
            columns[self.free_name(name, RESERVED_ROWS, columns)] = self.feature(name)
            roles[next(reversed(columns))] = role
        for name in self.table.column_names:
            if name not in self.used:
                free = self.free_name(name, RESERVED_ROWS, columns)
                columns[free] = one_chunk(self.table[name])
                roles[free] = "extra"
        return columns, roles

    def free_name(self, name: str, reserved: Sequence[str], taken: Mapping[str, Any]) -> str:
        """The user's name, with `_` after it where the name has a fixed meaning here."""
        free = name
        while free in reserved or free in taken:
            free += "_"
        if free != name:
            self.notes.append(f"column {name!r} is called {free!r}: the name has another meaning")
        return free

    def _situation(self) -> Any:
        names = self.description.situation
        if len(names) == 1:
            return self.column(names[0])
        # Several columns are joined for the name and stay as extras, each in its own type.
        parts = [one_chunk(self.table[name]) for name in names]
        words = [pc.fill_null(_words(part), "") for part in parts]
        return pc.binary_join_element_wise(*words, "/")

    def checked_weight(self, name: str, column: Any) -> Any:
        """Weights as numbers; lines whose weight is none are bad."""
        weight = pc.cast(column, pa.float64(), safe=False)
        numbers = np.asarray(weight.fill_null(np.nan))
        self.bad.add(~(np.isfinite(numbers) & (numbers >= 0)), name, column,
                     "a finite weight, 0 or more", "correct the weight")  # fmt: skip
        return weight

    def check_missing(self, name: str, column: Any, needed: Bool[Array, " B"]) -> None:
        """A feature must be there, and finite, wherever its option was on offer."""
        if name in self.description.allow_missing:
            needed = np.zeros_like(needed)
        absent = np.asarray(pc.is_null(column, nan_is_null=True)) & needed
        mend = ("fill the gap, or name the column in `options.allow_missing`, or leave it out of "
                "the features so that it is kept as an extra")  # fmt: skip
        numeric = is_number(column.type)
        expected = "a finite number" if numeric else "a value"
        self.bad.add(absent, name, column, expected, mend)
        if pa.types.is_floating(column.type):
            endless = np.asarray(pc.is_inf(column).fill_null(False))
            self.bad.add(endless, name, column, expected, "correct the value")


def prepare(
    table: pa.Table, description: Description, name: str, raises: bool, header: int
) -> Source:
    """The table after drops, replacements and labels, with every change noted and counted."""
    description.check_columns(table.column_names, name)
    notes: list[str] = []
    line: Array | range = range(1, table.num_rows + 1)
    for rule in description.drop:
        hit = _holds(table[rule.column], rule.values)
        if hit.any():
            because = f": {rule.reason}" if rule.reason else ""
            notes.append(
                f"{int(hit.sum())} of {len(hit)} lines dropped ({rule.column} in "
                f"{list(rule.values)}{because})"
            )
            table = table.filter(pa.array(~hit))
            line = np.asarray(line)[~hit]
    for change in description.replace:
        hit = _holds(table[change.where], change.equals)
        because = f": {change.reason}" if change.reason else ""
        notes.append(
            f"{', '.join(change.columns)} set to {change.value} on {int(hit.sum())} of "
            f"{len(hit)} lines ({change.where} in {list(change.equals)}{because})"
        )
        for column in change.columns:
            old = one_chunk(table[column])
            new = pc.if_else(pa.array(hit), pa.scalar(change.value, old.type), old)
            table = table.set_column(table.column_names.index(column), column, new)
    for column, words in description.labels.items():
        place = table.column_names.index(column)
        table = table.set_column(place, column, _labelled(table[column], words))
    bad = BadLines(name=name, line=line, raises=raises, header=header)
    return Source(table=table, description=description, bad=bad, notes=notes)


def _holds(column: Any, values: Sequence[Any]) -> Array:
    """Where the column holds one of the values, whichever way its type writes them."""
    codes, present = to_codes(column)
    wanted = {_plain(value) for value in values}
    hit = np.asarray([_plain(value) in wanted for value in present] + [_plain(None) in wanted])
    return hit[codes]


def _labelled(column: Any, words: Mapping[str, str]) -> Any:
    codes, values = to_codes(column)
    named = {_plain(key): word for key, word in words.items()}
    labels = [named.get(_plain(value), _plain(value)) for value in values]
    # Levels come in the order of the description: the first one is the natural reference.
    order = [word for word in dict.fromkeys(words.values()) if word in labels]
    levels = list(dict.fromkeys([*order, *labels]))
    place = {word: i for i, word in enumerate(levels)}
    lookup = np.asarray([place[word] for word in labels] + [-1])
    return from_codes(lookup[codes], levels)


def _plain(value: Any) -> str:
    """A value as it is written in a description: 1, 1.0 and "1" are one value."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool):
        value = int(value)
    return str(value)


def code_lookup(
    values: Sequence[Any], codes: Mapping[str, str], names: Sequence[str]
) -> Int[Array, " L1"]:
    """For each distinct answer, the place of what it means among `names`; -2 if it means nothing.

    The last entry, -1, serves the code -1 of a null.
    """
    place = {name: i for i, name in enumerate(names)}
    meanings = {_plain(key): word for key, word in codes.items()}
    found = []
    for value in values:
        word = meanings.get(_plain(value), _plain(value).strip())
        found.append(place.get(word, -2))
    return np.asarray([*found, -1], dtype=np.int64)


def option_name(source: Source, name: str, taken: Mapping[str, Any]) -> str:
    """A free name among the columns of `options`."""
    return source.free_name(name, RESERVED_OPTIONS, taken)


def _is_numeral(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


# How the note of answers begins whose low end is the good one.
TURNED = "low is good in"


def rating_levels(source: Source, name: str) -> Any:
    """A column of ratings as levels 0 .. L-1 of the description's scale.

    Without `answer.levels` the scale is every whole number from the least to the greatest rating
    (if there are at most 20), or else every rating that occurs; the notes say which. The column
    itself is kept as an extra.
    """
    column = one_chunk(source.table[name])
    codes, values = to_codes(column)
    scale = source.scale = scale_of(source, name)
    if not source.description.levels:
        first = "worst" if source.description.low_is_good else "lowest"
        source.notes.append(f"the scale of {name} is taken to be {', '.join(scale)}, {first} first")
    place = {level: i for i, level in enumerate(scale)}
    lookup = np.asarray([place.get(_plain(value), -2) for value in values] + [-1])
    levels = lookup[codes]
    source.bad.add(levels == -2, name, column, f"one of {', '.join(scale)} (or nothing)",
                   "correct it, or complete `levels` under [answer]")  # fmt: skip
    return pa.array(np.maximum(levels, 0), mask=levels < 0)


def scale_of(source: Source, name: str) -> tuple[str, ...]:
    """The levels of a column of ratings, worst first, as `rating_levels` numbers them."""
    values = source.description.levels or _guess_scale(to_codes(source.table[name])[1])
    if not values:
        raise DataError(
            f"{source.bad.name}: the ratings in {name!r} have too many values to be levels, or "
            "are words without an order; expected a scale. Write it as `levels = [...]`, "
            'lowest first, under [answer], or use kind = "outcome" for real numbers.'
        )
    if source.description.low_is_good:
        values = tuple(reversed(values))
    return tuple(_plain(value) for value in values)


def turned_note(name: str) -> str:
    """What is said of answers whose low end is the good one."""
    return f"{TURNED} {name}: they are read from the other end, the best highest"


def _guess_scale(values: Sequence[Any]) -> list[Any]:
    known = [value for value in values if value is not None]
    if not known or not all(isinstance(value, int | float) for value in known):
        return []
    low, high = min(known), max(known)
    if all(float(value).is_integer() for value in known) and high - low < 20:
        return list(range(int(low), int(high) + 1))
    return sorted(known) if len(known) <= 20 else []
