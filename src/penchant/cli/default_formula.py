"""The formula that is used where nobody wrote one: every feature, and for context models each
feature's worth in each situation."""

import itertools
import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.data.columns import is_number, to_codes, to_floats
from penchant.data.records import Records
from penchant.encoders.formula import Column, Indicator
from penchant.numerics.arrays import Array

# Above these many levels a category would need more data than a default may presume.
MOST_OPTIONS = 20
MOST_LEVELS = 12
# Numbers with no more values than this get a step for each, whole numbers up to the other: codes
# need it, and a slope is a special case of it.
MOST_CODES = 6
MOST_WHOLE_CODES = 12
# Whole numbers of a column that is called so are names of things, however many.
_CODES = re.compile(
    r"(^|[_ .-])(origin|orig|dest|destination|canton|zone|region|area|district|county|country|"
    r"state|province|city|postcode|zip|sector|industry|occupation|job|code|type|class|category|"
    r"cluster|segment|cohort|id|code[sd]?)([_ .-]|$)"
)
# More whole numbers than this are an amount, whatever they are called; fewer may be codes.
_MOST_MAYBE_CODES = 30
# So many rounds should stand behind each coefficient of a reward model that nobody asked for.
_ROUNDS_PER_PARAMETER = 50


@dataclass(frozen=True)
class DefaultFormula:
    """The formula, the terms beside it that are shrunk, the columns left out, in words, and the
    columns of people and situations by themselves."""

    text: str
    shrunk: str
    notes: tuple[str, ...]
    context: str = ""


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
    return DefaultFormula(plain, crossed, tuple(notes), " + ".join(context))


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
        return _number_term(name, quoted, np.unique(values[np.isfinite(values)]), notes)
    levels = _num_levels(column)
    if levels > MOST_LEVELS:
        notes.append(_left_out(name, levels))
    return quoted if 1 < levels <= MOST_LEVELS else None


def _number_term(
    name: str, quoted: str, values: Float[Array, " V"], notes: list[str]
) -> str | None:
    """A step for each of few numbers, a slope for many; codes are told by what they are called."""
    if len(values) <= 2:
        return quoted if len(values) == 2 else None
    is_whole = bool((values == np.floor(values)).all())
    if len(values) <= (MOST_WHOLE_CODES if is_whole else MOST_CODES):
        return f"C({quoted})"
    if is_whole and _CODES.search(name.lower()):
        notes.append(
            f"column {name!r} holds {len(values)} whole numbers and is called like a code, not an "
            f"amount: it is left out of the default formula. Name it there as C({quoted}) for a "
            f"step of each, or scale({quoted}) for a slope."
        )
        return None
    if is_whole and len(values) <= _MOST_MAYBE_CODES:
        notes.append(
            f"column {name!r} holds {len(values)} whole numbers, read as an amount; if they are "
            f"codes, name it as C({quoted}) in the formula."
        )
    return f"scale({quoted})"


def _num_levels(column: object) -> int:
    codes, _ = to_codes(column)
    return len(np.unique(codes[codes >= 0]))


def _left_out(name: str, levels: int) -> str:
    return (
        f"column {name!r} has {levels} levels and is not in the default formula; name it in "
        "--formula to use it."
    )


def reward_formula(records: Records) -> DefaultFormula:
    """Options, their features and the situation; options by situation where rounds are many.

    A reward has a level of its own, which a choice has not, so that what all options of a menu
    share matters by itself.
    """
    notes: list[str] = []
    plain = default_formula(records, with_context=False)
    names = (*records.columns("person_feature"), *records.columns("context"))
    written = {
        str(Column(name)): _filled(records.options[name], name, notes)
        for name in records.columns("feature")
    }
    features = [written.get(term, [term]) for term in plain.text.split(" + ") if term]
    context = [
        term
        for name in names
        if (usual := _context_term(records, name, notes))
        for term in _filled(records.rows[name], name, notes, usual)
    ]
    terms = [*itertools.chain(*features), *context]
    options = _num_levels(records.options["option"])
    if "option" in terms and context:
        size = options * (1 + sum(_width(records, name) for name in names))
        if size * _ROUNDS_PER_PARAMETER <= len(records):
            terms.append(f"option:({' + '.join(context)})")
    return DefaultFormula(" + ".join(terms), "", (*plain.notes, *notes))


def _filled(column: object, name: str, notes: list[str], usual: str = "") -> list[str]:
    """The terms of a column; of a category with gaps, as logs have that tell what an option has
    and not what it has not, a step for each level, and none where it is missing."""
    quoted = str(Column(name))
    if is_number(column.type):  # type: ignore[attr-defined]  # Arrow's columns have one
        return [usual or quoted]
    codes, levels = to_codes(column)
    missing = int((codes < 0).sum())
    if not missing:
        return [usual or quoted]
    notes.append(
        f"column {name!r} is missing {missing:,} times of {len(codes):,}, which adds nothing in "
        "the reward model."
    )
    return [f"fill({Indicator(Column(name), (level,))}, 0)" for level in levels]


def _width(records: Records, name: str) -> int:
    column = records.rows[name]
    return 1 if is_number(column.type) else min(_num_levels(column), MOST_LEVELS)
