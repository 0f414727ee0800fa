"""The columns that a formula names, as the records hold them: numbers, or levels of a category.

Legend: B observations, N options over all menus, R lines of either table.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int

from penchant.data.columns import is_number, is_text, to_codes, to_dictionary, to_floats
from penchant.data.records import Records
from penchant.encoders.formula import (
    Arithmetic,
    Call,
    Category,
    Column,
    Factor,
    Formula,
    Indicator,
    closest,
    columns_of,
    pointed,
)
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array

MAX_LEVELS = 1000
_ANSWERS_OF_ROWS = ("chosen", "best", "worst", "outcome", "grade")
_ANSWERS_OF_OPTIONS = ("rank", "level", "approved", "success", "value")


class Source:
    """The columns of records as numbers or as codes, each converted once."""

    def __init__(self, records: Records, formula: Formula) -> None:
        self.records = records
        self.offsets = np.asarray(records.offsets)
        self.sizes = np.diff(self.offsets)
        self.text = formula.text
        self._numbers: dict[str, Array] = {}
        self._codes: dict[str, tuple[Array, list[str]]] = {}

    def of_rows(self, column: Column) -> bool:
        """Whether the column belongs to the observations; a column of the options goes first.

        Raises DataError if no table has it, ConfigError if it is an answer.
        """
        options, rows = self.records.options.column_names, self.records.rows.column_names
        in_options = column.name in options
        if not in_options and column.name not in rows:
            known = [name for name in (*options, *rows) if not self._is_answer(name)]
            raise DataError(
                pointed(
                    f"the data have no column {column.name!r}. {closest(column.name, known)}",
                    self.text,
                    column.place,
                )
            )
        if self._is_answer(column.name):
            raise ConfigError(
                pointed(
                    f"{column.name!r} is what people answered and cannot explain it; "
                    "leave it out of the formula.",
                    self.text,
                    column.place,
                )
            )
        return not in_options

    def _is_answer(self, name: str) -> bool:
        if name in self.records.options.column_names:
            return name in _ANSWERS_OF_OPTIONS
        return name in _ANSWERS_OF_ROWS

    def _arrow(self, column: Column) -> Array:
        records = self.records
        return (records.rows if self.of_rows(column) else records.options)[column.name]

    def is_category(self, column: Column) -> bool:
        """Whether the column holds words."""
        kind = self._arrow(column).type
        if not is_number(kind) and not is_text(kind):
            raise DataError(
                pointed(
                    f"column {column.name!r} holds {kind}; expected numbers or words. Turn it into "
                    "either before.",
                    self.text,
                    column.place,
                )
            )
        return is_text(kind)

    def numbers(self, column: Column) -> Float[Array, " R"]:
        """The column as float64, NaN where it is missing."""
        if column.name not in self._numbers:
            if self.is_category(column):
                raise DataError(
                    pointed(
                        f"column {column.name!r} holds words; expected numbers here. As a category "
                        f"it stands alone or in a product: {column}, time:{column}, or "
                        f"{column}[level] for one level.",
                        self.text,
                        column.place,
                    )
                )
            self._numbers[column.name] = to_floats(self._arrow(column))
        return self._numbers[column.name]

    def codes(self, column: Column) -> tuple[Int[Array, " R"], list[str]]:
        """Which word each line has (-1 for missing), and the words."""
        if column.name not in self._codes:
            self.is_category(column)
            values = self._arrow(column)
            self._codes[column.name] = to_codes(to_dictionary(values))
        return self._codes[column.name]

    def levels(self, column: Column) -> tuple[str, ...]:
        """The words that occur, sorted; numbers by size, an ordered dictionary in its own order."""
        codes, words = self.codes(column)
        present = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(words)))
        if len(present) > MAX_LEVELS:
            raise DataError(
                pointed(
                    f"column {column.name!r} has {len(present)} levels; expected at most "
                    f"{MAX_LEVELS}. Merge rare levels, use numbers that describe them, or, if it "
                    "names the person, give it the role of the group (`group_by`).",
                    self.text,
                    column.place,
                )
            )
        names = [words[code] for code in present]
        kind = self._arrow(column).type
        if getattr(kind, "ordered", False):
            return tuple(names)
        if is_number(kind) and str(kind) != "bool":
            return tuple(sorted(names, key=float))
        return tuple(sorted(names))

    def value(self, column: Column, line: int, row: int) -> object:
        """What the data say at an option's line (or its observation's row), for messages."""
        return self._arrow(column)[row if self.of_rows(column) else line].as_py()

    def expand(self, values: Array, of_rows: bool) -> Array:
        """Values of observations repeated for each of their options."""
        return np.repeat(values, self.sizes) if of_rows else values


def all_levels(source: Source, formula: Formula, checks_levels: bool) -> dict[str, tuple[str, ...]]:
    """The levels of every category of the formula, by column or C(column).

    Raises ConfigError if an indicator names a level that does not occur and `checks_levels`.
    """
    found: dict[str, tuple[str, ...]] = {}
    for term in formula.terms:
        for factor in term.factors:
            if isinstance(factor, Category):
                found[f"C({factor.column})"] = source.levels(factor.column)
            elif isinstance(factor, Column) and source.is_category(factor):
                found[str(factor)] = source.levels(factor)
            else:
                for column in columns_of(factor):
                    source.of_rows(column)  # raises where there is no such column
                if checks_levels:
                    _check_levels(source, _indicators(factor))
    return found


def _indicators(node: Factor) -> Iterable[Indicator]:
    if isinstance(node, Indicator):
        yield node
    elif isinstance(node, Arithmetic):
        yield from (*_indicators(node.left), *_indicators(node.right))
    elif isinstance(node, Call):
        for inner in node.arguments:
            yield from _indicators(inner)


def _check_levels(source: Source, indicators: Iterable[Indicator]) -> None:
    for indicator in indicators:
        _, words = source.codes(indicator.column)
        for level in indicator.levels:
            if level not in words:
                raise ConfigError(
                    pointed(
                        f"column {indicator.column.name!r} has no level {level!r} in these data. "
                        f"{closest(level, words)}",
                        source.text,
                        indicator.column.place,
                    )
                )
