"""The numbers in the columns that a formula spans (`coding.py`), on given records.

Legend: B observations, N options over all menus, D columns, R lines of either table.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.encoders import menu
from penchant.encoders.coding import MENU_RELATIVES, MENU_SUMMARIES, CodedTerm, Coding
from penchant.encoders.formula import (
    Arithmetic,
    Call,
    Category,
    Column,
    Expression,
    Factor,
    Indicator,
    Number,
    Threshold,
    closest,
    columns_of,
    pointed,
)
from penchant.errors import DataError
from penchant.numerics.arrays import Array

_OPERATIONS = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power,
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
_FUNCTIONS = {"log": np.log, "sqrt": np.sqrt, "exp": np.exp, "abs": np.abs}
_MISSING, _UNSEEN = -1, -2


class Design:
    """The columns of a coding, evaluated on its records.

    `scales` are what `scale(...)` learned; those that are missing are learned here.
    """

    def __init__(
        self,
        coding: Coding,
        scales: Mapping[str, tuple[float, float]],
        treats_unseen_as_reference: bool = False,
    ) -> None:
        self.coding = coding
        self.source = coding.source
        self.formula = coding.formula
        self.levels = coding.levels
        self.scales = dict(scales)
        self.treats_unseen_as_reference = treats_unseen_as_reference
        self.unseen: dict[str, int] = {}
        self._values: dict[str, Array] = {}

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name for each column."""
        return self.coding.feature_names

    def learn_scales(self) -> None:
        """Evaluates every scale(...) of the formula once, so that `scales` is complete."""
        for term in self.formula.terms:
            for factor in term.factors:
                for call in _scales(factor):
                    self.evaluate(call)

    def evaluate(self, node: Expression) -> Array:
        """The node's values, one per observation or one per option (see `is_of_rows`)."""
        key = str(node)
        if key not in self._values:
            with np.errstate(all="ignore"):
                self._values[key] = self._evaluate(node)
        return self._values[key]

    def _evaluate(self, node: Expression) -> Array:
        if isinstance(node, Column):
            return self.source.numbers(node)
        if isinstance(node, Number):
            return np.full(len(self.source.sizes), node.value)
        if isinstance(node, Indicator):
            codes, words = self.source.codes(node.column)
            truth = np.append([float(word in node.levels) for word in words], np.nan)
            return truth[codes]
        if isinstance(node, Threshold):
            values = self.source.numbers(node.column)
            held = _OPERATIONS[node.operator](values, node.value)
            return np.where(np.isnan(values), np.nan, held)
        if isinstance(node, Arithmetic):
            together = self.coding.is_of_rows(node)
            left, right = (self._at(side, together) for side in (node.left, node.right))
            return _OPERATIONS[node.operator](left, right)
        return self._call(node)

    def _at(self, node: Expression, of_rows: bool) -> Array:
        values = self.evaluate(node)
        return values if of_rows else self.source.expand(values, self.coding.is_of_rows(node))

    def _call(self, node: Call) -> Array:
        name, offsets = node.function, self.source.offsets
        if name == "menu_size":
            return menu.menu_size(offsets)
        if name in MENU_SUMMARIES or name in MENU_RELATIVES:
            return self._of_menus(name, self._at(node.arguments[0], False))
        inner = self._at(node.arguments[0], self.coding.is_of_rows(node))
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](inner)
        if name == "fill":
            return np.where(
                np.isnan(inner), self._at(node.arguments[1], self.coding.is_of_rows(node)), inner
            )
        if name == "scale":
            mean, deviation = self._scale(str(node.arguments[0]), inner)
            return (inner - mean) / deviation
        return inner  # I(...) is there for the reader

    def _of_menus(self, name: str, values: Float[Array, " N"]) -> Array:
        """A summary of each menu, or each option beside it; the outside option has no part."""
        outside, offsets = self.source.records.is_outside, self.source.offsets
        if outside.any():
            sizes = np.add.reduceat((~outside).astype(np.int64), offsets[:-1])
            if not sizes.all():
                raise DataError(
                    f"observation {int(np.argmin(sizes))} offers nothing but the outside option, "
                    f"so {name}() has nothing to look at; expected another option. Drop it."
                )
            offsets = np.concatenate([[0], np.cumsum(sizes)])
        if name in MENU_SUMMARIES:
            return MENU_SUMMARIES[name](values[~outside], offsets)
        relative = np.full(len(values), np.nan)
        relative[~outside] = MENU_RELATIVES[name](values[~outside], offsets)
        return relative

    def _scale(self, expression: str, values: Array) -> tuple[float, float]:
        if expression not in self.scales:
            known = values[np.isfinite(values)]
            deviation = float(known.std()) if len(known) else 0.0
            self.scales[expression] = (
                float(known.mean()) if len(known) else 0.0,
                deviation if deviation > 0 else 1.0,
            )
        return self.scales[expression]

    def _code(self, category: Category) -> Int[Array, " R"]:
        """Each line's level as a place in `names_of`, with -1 for missing."""
        key = f"code {category}"
        if key not in self._values:
            names = self.coding.names_of(category)
            codes, words = self.source.codes(category.column)
            place = {name: i for i, name in enumerate(names)}
            recode = np.array([place.get(word, _UNSEEN) for word in words] + [_MISSING])
            found = recode[codes]
            if recode.min() == _UNSEEN:
                found = self._without_unseen(category, found, words, codes)
            self._values[key] = found
        return self._values[key]

    def _without_unseen(
        self, category: Category, found: Array, words: list[str], codes: Array
    ) -> Array:
        strange = found == _UNSEEN
        if not strange.any():
            return found
        column = category.column
        if not self.treats_unseen_as_reference:
            names = self.coding.names_of(category)
            word = words[codes[np.argmax(strange)]]
            where = "observation" if self.source.of_rows(column) else "option line"
            raise DataError(
                f"column {column.name!r} has the level {word!r} at {where} "
                f"{int(np.argmax(strange))} ({int(strange.sum())} of {len(strange)} are of levels "
                f"not seen when fitting). "
                f"{closest(word, names)} Correct it, fit on data that have it, or say "
                f"`unseen='reference'` to count such lines as {names[0]!r}."
            )
        self.unseen[column.name] = int(strange.sum())
        return np.where(strange, 0, found)

    def columns(self, of_rows: bool = False) -> Float[Array, "N D"]:
        """All columns, one line per option (or, of_rows, per observation).

        Raises DataError where a value that counts is missing or not finite.
        """
        num_lines = len(self.source.sizes) if of_rows else int(self.source.offsets[-1])
        out = np.zeros((num_lines, len(self.coding.feature_names)))
        start = 0
        for part in self.coding.coded_terms:
            start += self._write(out, start, part, of_rows)
        return out

    def _write(self, out: Array, start: int, part: CodedTerm, of_rows: bool) -> int:
        masks = [e for e in part.expressions if isinstance(e, Indicator | Threshold)]
        factors = [e for e in part.expressions if not isinstance(e, Indicator | Threshold)]
        values = self._product(factors, of_rows)
        counts = self._with_features(part, of_rows)
        if masks:
            shown = self._product(masks, of_rows)
            missing = np.isnan(shown)
            self._refuse_missing(missing if counts is None else missing & counts, part, of_rows)
            counts = shown > 0 if counts is None else counts & (shown > 0)
        width, code = 1, None
        for category, full in part.categories:
            place = self._at_code(category, of_rows)
            missing = place == _MISSING
            self._refuse_missing(missing if counts is None else missing & counts, part, of_rows)
            kept = len(self.coding.kept(category, full))
            place = place if full else place - 1
            known = place >= 0
            counts = known if counts is None else counts & known
            code = place if code is None else code * kept + place
            width *= kept
        bad = ~np.isfinite(values) if isinstance(values, np.ndarray) else np.zeros(0, dtype=bool)
        if bad.any():
            self._refuse_missing(bad if counts is None else bad & counts, part, of_rows)
        if counts is None:
            out[:, start] = values
        elif code is None:
            out[:, start] = np.where(counts, values, 0.0)
        else:
            lines = np.flatnonzero(counts)
            chosen = values[lines] if isinstance(values, np.ndarray) else values
            out[lines, start + code[lines]] = chosen
        return width

    def _with_features(self, part: CodedTerm, of_rows: bool) -> Bool[Array, " N"] | None:
        """The lines that have what the term reads: the outside option has nothing but its name.

        None: all lines.
        """
        outside = self.source.records.is_outside
        read = [column for factor in part.term.factors for column in columns_of(factor)]
        of_options = [c for c in read if c.name != "option" and not self.source.of_rows(c)]
        return None if of_rows or not of_options or not outside.any() else ~outside

    def _product(self, nodes: Sequence[Expression], of_rows: bool) -> Array | float:
        result: Array | float = 1.0
        # What is the same for a whole menu is multiplied before it is repeated.
        for level in (True, False):
            mine = [self.evaluate(node) for node in nodes if self.coding.is_of_rows(node) == level]
            if mine:
                block = mine[0]
                for values in mine[1:]:
                    block = block * values
                result = result * (block if of_rows else self.source.expand(block, level))
        return result

    def _at_code(self, category: Category, of_rows: bool) -> Int[Array, " N"]:
        code = self._code(category)
        return code if of_rows else self.source.expand(code, self.source.of_rows(category.column))

    def _refuse_missing(self, bad: Array, part: CodedTerm, of_rows: bool) -> None:
        if not bad.any():
            return
        line = int(np.argmax(bad))
        row = line if of_rows else int(np.searchsorted(self.source.offsets, line, "right")) - 1
        columns = list(dict.fromkeys(c for factor in part.term.factors for c in columns_of(factor)))
        said = ", ".join(f"{c} = {self.source.value(c, line, row)}" for c in columns)
        where = f"observation {row}"
        if not of_rows:
            option = self.source.records.options["option"][line].as_py()
            place = line - int(self.source.offsets[row])
            where += f", option {option!r} (place {place} on its menu)"
        lost = next((c for c in columns if self.source.value(c, line, row) is None), columns[0])
        raise DataError(
            pointed(
                f"{part.term} is missing or not finite for {where}, where {said} "
                f"({int(bad.sum())} of {len(bad)} are like this); expected a finite number. To "
                f"mend it, write fill({lost}, 0) or another value for the gaps, limit the term to "
                f"the options that have it (option[train]:{lost}), or drop the observations.",
                self.source.text,
                lost.place,
            )
        )


def _scales(node: Factor) -> tuple[Call, ...]:
    if isinstance(node, Arithmetic):
        return (*_scales(node.left), *_scales(node.right))
    if isinstance(node, Call):
        inner = tuple(call for argument in node.arguments for call in _scales(argument))
        return (*inner, node) if node.function == "scale" else inner
    return ()
