"""The formula that is used where nobody wrote one: every feature, and for context models each
feature's worth in each situation."""

from dataclasses import dataclass

import numpy as np

from penchant.data.columns import is_number, to_codes, to_floats
from penchant.data.records import Records
from penchant.encoders.formula import Column, Indicator

# Above these many levels a category would need more data than a default may presume.
MOST_OPTIONS = 20
MOST_LEVELS = 12
# A number with no more values than this is a code: a step for each, not one slope.
MOST_CODES = 6


@dataclass(frozen=True)
class DefaultFormula:
    """The formula, the terms beside it that are shrunk, and the columns left out, in words."""

    text: str
    shrunk: str
    notes: tuple[str, ...]


def default_formula(records: Records, with_context: bool) -> DefaultFormula:
    """`option + every feature`, and with context the shrunk terms `feature:context`, all pairs.

    Options count where few are named; categories with more than twelve levels are left out.
    """
    notes: list[str] = []
    features = _option_term(records, notes)
    for name in records.columns("feature"):
        column = records.options[name]
        if not is_number(column.type) and _num_levels(column) > MOST_LEVELS:
            notes.append(_left_out(name, _num_levels(column)))
        else:
            features.append(str(Column(name)))
    plain = " + ".join(features)
    if not with_context:
        return DefaultFormula(plain, "", tuple(notes))
    names = (*records.columns("person_feature"), *records.columns("context"))
    context = [term for name in names if (term := _context_term(records, name, notes))]
    crossed = f"({plain}):({' + '.join(context)})" if context and features else ""
    return DefaultFormula(plain, crossed, tuple(notes))


def _option_term(records: Records, notes: list[str]) -> list[str]:
    if "option" not in records.options.column_names:
        return []
    count = _num_levels(records.options["option"])
    if count > MOST_OPTIONS and records.outside_option is not None:
        notes.append(_left_out("option", count))
        return [str(Indicator(Column("option"), (records.outside_option,)))]
    if count <= 1 or count > MOST_OPTIONS:
        if count > MOST_OPTIONS:
            notes.append(_left_out("option", count))
        return []
    return ["option"]


def _context_term(records: Records, name: str, notes: list[str]) -> str | None:
    column, quoted = records.rows[name], str(Column(name))
    if is_number(column.type):
        values = to_floats(column)
        distinct = len(np.unique(values[np.isfinite(values)]))
        if distinct <= 1:
            return None
        if distinct == 2:
            return quoted
        return f"C({quoted})" if distinct <= MOST_CODES else f"scale({quoted})"
    levels = _num_levels(column)
    if levels > MOST_LEVELS:
        notes.append(_left_out(name, levels))
    return quoted if 1 < levels <= MOST_LEVELS else None


def _num_levels(column: object) -> int:
    codes, _ = to_codes(column)
    return len(np.unique(codes[codes >= 0]))


def _left_out(name: str, levels: int) -> str:
    return (
        f"column {name!r} has {levels} levels and is not in the default formula; name it in "
        "--formula to use it."
    )
