"""Which columns a formula spans on given data: the coding of its categories, and their names.

`design.py` fills the columns with numbers. Legend: L levels of a category.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

from penchant.encoders import menu
from penchant.encoders.formula import (
    Arithmetic,
    Call,
    Category,
    Column,
    Expression,
    Factor,
    Formula,
    Indicator,
    Number,
    Term,
    Threshold,
    closest,
    columns_of,
    pointed,
)
from penchant.encoders.source import Source
from penchant.errors import ConfigError

# Functions of a whole menu: one value a menu, or one an option.
MENU_SUMMARIES = {
    "menu_mean": menu.menu_mean,
    "menu_min": menu.menu_min,
    "menu_max": menu.menu_max,
}
MENU_RELATIVES = {"menu_rank": menu.menu_rank, "others": menu.others}


@dataclass(frozen=True)
class CodedTerm:
    """Part of a term: its expressions, and its categories with or without their reference level."""

    term: Term
    expressions: tuple[Expression, ...]
    categories: tuple[tuple[Category, bool], ...]


class Coding:
    """The columns of one formula on one set of records, given what was learned about levels.

    `absorbs_context` says that only differences within a menu matter, so that whatever is the same
    for all its options drops out; without it only the constant does.
    """

    def __init__(
        self,
        source: Source,
        formula: Formula,
        levels: Mapping[str, tuple[str, ...]],
        absorbs_context: bool,
    ) -> None:
        self.source = source
        self.formula = formula
        self.levels = levels
        self.absorbs_context = absorbs_context

    def category(self, factor: Factor) -> Category | None:
        """The factor as a category, if it is one: C(x), or a bare column of words."""
        if isinstance(factor, Category):
            return factor
        if isinstance(factor, Column) and str(factor) in self.levels:
            return Category(factor)
        return None

    def names_of(self, category: Category) -> tuple[str, ...]:
        """The category's levels, its reference first."""
        plain = self.levels.get(f"C({category.column})") or self.levels[str(category.column)]
        if category.reference is None:
            outside = self.source.records.outside_option
            if str(category.column) == "option" and outside in plain:
                # Its worth is the zero from which the constants of the others are counted.
                return (outside, *(name for name in plain if name != outside))
            return plain
        if category.reference not in plain:
            raise ConfigError(
                pointed(
                    f"column {category.column.name!r} has no level {category.reference!r} to refer "
                    f"to. {closest(category.reference, plain)}",
                    self.source.text,
                    category.column.place,
                )
            )
        return (category.reference, *(name for name in plain if name != category.reference))

    def is_of_rows(self, node: Factor) -> bool:
        """Whether the node is the same for all options of a menu."""
        if isinstance(node, Column):
            return self.source.of_rows(node)
        if isinstance(node, Number):
            return True
        if isinstance(node, Indicator | Threshold | Category):
            return self.source.of_rows(node.column)
        if isinstance(node, Arithmetic):
            return self.is_of_rows(node.left) and self.is_of_rows(node.right)
        if node.function in MENU_RELATIVES:
            return False
        if node.function in MENU_SUMMARIES:
            return True
        return all(self.is_of_rows(inner) for inner in node.arguments)

    @cached_property
    def coded_terms(self) -> tuple[CodedTerm, ...]:
        """Every term with the coding that spans what it adds, and no more.

        A category is written out in full where the term without it is not in the formula, and
        without its reference level where it is (Wilkinson and Rogers 1973; Chambers and Hastie
        1992): `time + time:purpose` are a base and differences from it, `time:purpose` alone is one
        coefficient per purpose, `option:age` one per option but the reference, because age alone
        changes no choice.
        """
        split = [self._split(term) for term in self.formula.terms]
        spanned: dict[frozenset[str], set[frozenset[str]]] = {}
        parts: dict[int, tuple[CodedTerm, ...]] = {}
        # Lower orders first, whatever the order in the formula; the columns keep the formula's.
        for place in sorted(range(len(split)), key=lambda t: len(split[t][1])):
            expressions, categories = split[place]
            # time and time/100 span the same columns.
            key = frozenset(str(_without_constants(each)) for each in expressions)
            have = spanned.setdefault(key, set())
            by_name = {category.column.name: category for category in categories}
            wanted = []
            for size in range(len(categories) + 1):
                for subset in combinations(by_name, size):
                    alone = frozenset(subset)
                    is_absorbed = self._is_absorbed(expressions, [by_name[n] for n in subset])
                    if alone not in have and not is_absorbed:
                        wanted.append(alone)
                    have.add(alone)
            term = self.formula.terms[place]
            parts[place] = tuple(
                CodedTerm(
                    term,
                    tuple(expressions),
                    tuple(
                        (category, category.column.name in full)
                        for category in categories
                        if category.column.name in reduced | full
                    ),
                )
                for reduced, full in _merged(wanted)
            )
        return tuple(part for place in range(len(split)) for part in parts[place])

    def _split(self, term: Term) -> tuple[list[Expression], list[Category]]:
        expressions: list[Expression] = []
        categories: list[Category] = []
        for factor in term.factors:
            category = self.category(factor)
            if category is not None:
                categories.append(category)
            elif not isinstance(factor, Category):
                expressions.append(factor)
        if self._is_absorbed(expressions, categories):
            raise self._context_alone(term)
        return expressions, categories

    def _is_absorbed(
        self, expressions: Sequence[Expression], categories: Sequence[Category]
    ) -> bool:
        if not self.absorbs_context:
            return not expressions and not categories
        return all(map(self.is_of_rows, (*expressions, *categories)))

    def _context_alone(self, term: Term) -> ConfigError:
        place = next((c.place for f in term.factors for c in columns_of(f)), 0)
        other = next(
            (name for name in self.source.records.columns("feature")), "an option's feature"
        )
        return ConfigError(
            pointed(
                f"{term} is the same for every option of a menu, so it changes no choice by "
                f"itself. Interact it with what differs: {other}:{term} lets the taste for "
                f"{other} depend on it, option:{term} the constant of each option.",
                self.source.text,
                place,
            )
        )

    def column_names(self, part: CodedTerm) -> list[str]:
        """A name for each column: the term with its levels filled in, itself a formula."""
        coded = {
            str(category.column): self.kept(category, full) for category, full in part.categories
        }
        words: list[list[str]] = []
        for factor in part.term.factors:
            category = self.category(factor)
            if category is None:
                words.append([str(factor)])
            elif str(category.column) in coded:
                words.append(
                    [str(Indicator(category.column, (n,))) for n in coded[str(category.column)]]
                )
        return [":".join(combination) for combination in product(*words)]

    def kept(self, category: Category, full: bool) -> tuple[str, ...]:
        names = self.names_of(category)
        return names if full else names[1:]

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(name for part in self.coded_terms for name in self.column_names(part))


def _merged(wanted: list[frozenset[str]]) -> list[tuple[frozenset[str], frozenset[str]]]:
    """Sets of reduced categories, merged into (reduced, full) pairs that span the same.

    A category in full spans both the set with it (reduced) and the set without it.
    """
    parts: list[tuple[frozenset[str], frozenset[str]]] = [(each, frozenset()) for each in wanted]
    place = 0
    while place < len(parts):
        reduced, full = parts[place]
        for longer in range(place + 1, len(parts)):
            extra = parts[longer][0] - reduced
            if parts[longer][1] == full and reduced < parts[longer][0] and len(extra) == 1:
                parts[longer] = (reduced, full | extra)
                del parts[place]
                place = -1
                break
        place += 1
    return parts


def _without_constants(node: Expression) -> Expression:
    """The expression without the numbers that only change its unit."""
    if isinstance(node, Arithmetic) and node.operator in "*/":
        if isinstance(node.right, Number):
            return _without_constants(node.left)
        if isinstance(node.left, Number) and node.operator == "*":
            return _without_constants(node.right)
    if isinstance(node, Call) and node.function == "I":
        return _without_constants(node.arguments[0])
    return node
