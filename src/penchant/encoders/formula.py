"""The language in which features are declared.

    formula := term + term + ...         term := factor : factor : ...
    factor  := column | `column with blanks` | C(column) | C(column, reference=level)
             | column[level] | when(column in [level, level]) | when(column >= number)
             | function(expression) | expression / expression | number * expression
             | (term + term)             (multiplied out: (a + b):c is a:c + b:c)

Inside the brackets of a function, `+ - * / ^` are arithmetic. What a name means (numbers or
categories, of options or of people) is decided by the data: see `table.py`. `formula_parser.py`
reads it.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# Name of each function -> how many expressions it takes. What they compute: `design.py`, `menu.py`.
FUNCTIONS = {
    "I": 1,
    "log": 1,
    "sqrt": 1,
    "exp": 1,
    "abs": 1,
    "scale": 1,
    "fill": 2,
    "menu_size": 0,
    "menu_mean": 1,
    "menu_min": 1,
    "menu_max": 1,
    "menu_rank": 1,
    "others": 1,
}
NAME = re.compile(r"[^\W\d][\w.]*")
LEVEL = re.compile(r"""'((?:[^']|'')*)'|"([^"]*)"|([^\],'"()]+)""")
_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 3}


@dataclass(frozen=True)
class Column:
    """A column by its name; `place` is where the formula says it, for error messages."""

    name: str
    place: int = field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        return self.name if NAME.fullmatch(self.name) else f"`{self.name}`"


@dataclass(frozen=True)
class Number:
    """A number written in the formula."""

    value: float

    def __str__(self) -> str:
        return repr(self.value).removesuffix(".0")


@dataclass(frozen=True)
class Indicator:
    """1 where the column has one of the levels, else 0."""

    column: Column
    levels: tuple[str, ...]

    def __str__(self) -> str:
        levels = ", ".join(map(_quote_level, self.levels))
        alone = len(self.levels) == 1
        return f"{self.column}[{levels}]" if alone else f"when({self.column} in [{levels}])"


@dataclass(frozen=True)
class Threshold:
    """1 where the comparison of the column with a number holds, else 0."""

    column: Column
    operator: str
    value: float

    def __str__(self) -> str:
        return f"when({self.column} {self.operator} {Number(self.value)})"


@dataclass(frozen=True)
class Arithmetic:
    """Two expressions joined by one of + - * / ^."""

    operator: str
    left: "Expression"
    right: "Expression"

    def __str__(self) -> str:
        return f"{self._side(self.left, 0)}{self.operator}{self._side(self.right, 1)}"

    def _side(self, side: "Expression", is_right: int) -> str:
        # A power takes no second power and no minus on its left without brackets.
        strict = is_right or self.operator == "^"
        loose = isinstance(side, Arithmetic) and (
            _BINDS[side.operator] < _BINDS[self.operator] + strict
        )
        minus = isinstance(side, Number) and side.value < 0 and self.operator == "^"
        return f"({side})" if loose or minus else str(side)


@dataclass(frozen=True)
class Call:
    """A function of `FUNCTIONS` applied to expressions."""

    function: str
    arguments: tuple["Expression", ...]
    place: int = field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


@dataclass(frozen=True)
class Category:
    """C(column): one indicator per level; the reference is the first level unless it is named."""

    column: Column
    reference: str | None = None

    def __str__(self) -> str:
        if self.reference is None:
            return f"C({self.column})"
        return f"C({self.column}, reference={_quote_level(self.reference)})"


Expression = Column | Number | Indicator | Threshold | Arithmetic | Call
Factor = Expression | Category


@dataclass(frozen=True)
class Term:
    """A product of factors."""

    factors: tuple[Factor, ...]

    def __str__(self) -> str:
        return ":".join(map(str, self.factors))


@dataclass(frozen=True)
class Formula:
    """A sum of terms; `text` is as the user wrote it, for error messages."""

    terms: tuple[Term, ...]
    text: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return " + ".join(map(str, self.terms))


def columns_of(node: Factor) -> tuple[Column, ...]:
    """The columns that a factor reads, from left to right."""
    if isinstance(node, Column):
        return (node,)
    if isinstance(node, Indicator | Threshold | Category):
        return (node.column,)
    if isinstance(node, Arithmetic):
        return columns_of(node.left) + columns_of(node.right)
    if isinstance(node, Call):
        return tuple(column for inner in node.arguments for column in columns_of(inner))
    return ()


def pointed(message: str, text: str, place: int) -> str:
    """The message, with the formula below it and a caret under the place it speaks of."""
    line_start = text.rfind("\n", 0, place) + 1
    line = text[line_start:].split("\n", 1)[0]
    return f"{message}\n  {line}\n  {' ' * (place - line_start)}^"


def closest(name: str, candidates: Iterable[str]) -> str:
    """A clause that names the nearest candidates, or lists the first of them."""
    known = list(dict.fromkeys(candidates))
    by_folded = {candidate.casefold(): candidate for candidate in reversed(known)}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.6)
    if near:
        return "Did you mean " + " or ".join(repr(by_folded[match]) for match in near) + "?"
    shown = ", ".join(map(repr, known[:12])) + (", ..." if len(known) > 12 else "")
    return f"There are: {shown}." if known else "There are none."


def _quote_level(level: str) -> str:
    plain = LEVEL.fullmatch(level)
    if plain and plain[3] and level == level.strip():
        return level
    return "'" + level.replace("'", "''") + "'"
