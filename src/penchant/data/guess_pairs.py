"""A first guess for tables of pairs: two columns of options, and one that says which won."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import is_number, is_text, one_chunk, to_floats
from penchant.data.description import Description
from penchant.data.readers.pairs import COMMON_WORDS
from penchant.data.seen_columns import MANY_LEVELS, SeenColumns

_PAIRED_ENDS = (("1", "2"), ("a", "b"), ("left", "right"), ("x", "y"))
# The same without anything before them.
_PAIRED_NAMES = (("left", "right"), ("first", "second"), ("a", "b"), ("x", "y"))
_AGAINST = (("model", "baseline"), ("model_1", "model_2"), ("generator_1", "generator_2"))
_WIN_SHARE = ("win_probability", "p_win", "preference", "win_rate")
# Beside two columns of the same names, these are the probability that the first wins.
_SOFT = (*_WIN_SHARE, "p", "prob", "probability", "p_left", "p_first", "p_a")


def guess_pairs(columns: SeenColumns) -> tuple[Description, str] | None:
    """The description of a table of pairs, and why; None where it is none."""
    if {"winner", "loser"} <= set(columns.names):
        said = Description(
            layout="pairs", kind="pair", option_columns=("winner", "loser"), answer="winner"
        )
        return said, "winner and loser name the two options of every line."
    for name, other, first, second in _paired_columns(columns):
        if not (is_text(columns.table[name].type) and is_text(columns.table[other].type)):
            continue
        common = set(columns.values(name)) & set(columns.values(other))
        answer, codes = _pair_answer(columns, (name, other))
        answer = answer or _soft_answer(columns)
        if answer is None or not common:
            continue
        said = Description(
            layout="pairs", kind="pair", option_columns=(name, other), answer=answer, codes=codes,
            feature_columns=_pair_features(columns, first, second, (name, other)),
        )  # fmt: skip
        what = "says which won"
        if is_number(columns.table[answer].type):
            what = f"looks like the probability that {name} wins"
        return said, f"{name} and {other} hold the same names, and {answer} {what}."
    share = columns.first(_WIN_SHARE)
    for one, other in _AGAINST:
        if share is not None and {one, other} <= set(columns.names):
            said = Description(
                layout="pairs", kind="pair", option_columns=(one, other), answer=share,
                feature_columns={
                    name[len(one) :].strip("_"): {"first": name, "second": other + name[len(one) :]}
                    for name in columns.names
                    if name.startswith(one + "_") and other + name[len(one) :] in columns.names
                },
            )  # fmt: skip
            return said, f"{share} looks like the probability that {one} beats {other}."
    return None


def _paired_columns(columns: SeenColumns) -> Iterator[tuple[str, str, str, str]]:
    """Two columns that differ in how they end (model_a, model_b), and the two endings."""
    for first, second in _PAIRED_NAMES:
        if {first, second} <= set(columns.names):
            yield first, second, first, second
    for first, second in _PAIRED_ENDS:
        for name in columns.names:
            stem = name[: -len(first)]
            if stem and name.endswith(first) and stem + second in columns.names:
                yield name, stem + second, first, second


def _pair_answer(columns: SeenColumns, sides: tuple[str, str]) -> tuple[str | None, dict[str, str]]:
    """The column that says who won, and what its words mean where that is no common knowledge."""
    names = {str(v) for side in sides for v in columns.values(side)}
    for name in columns.names:
        if name in sides or not is_text(columns.table[name].type):
            continue
        words = {str(value) for value in columns.values(name)}
        if words and all(w.strip().lower() in COMMON_WORDS for w in words):
            return name, {}
        if words and words <= names and _is_one_of(columns, name, sides):
            return name, {}
        codes = _side_codes(words)
        if codes:
            return name, codes
    return None, {}


def _soft_answer(columns: SeenColumns) -> str | None:
    """A column of numbers from 0 to 1 that is called a probability."""
    name = columns.first(_SOFT)
    if name is None or not is_number(columns.table[name].type):
        return None
    values = to_floats(columns.table[name])
    values = values[~np.isnan(values)]
    return name if len(values) and ((values >= 0) & (values <= 1)).all() else None


def _side_codes(words: set[str]) -> dict[str, str]:
    """Two words that differ in how they end (a1, a2) are sides; all others must be common ones."""
    own = sorted(word for word in words if word.strip().lower() not in COMMON_WORDS)
    if len(own) != 2:
        return {}
    for first, second in _PAIRED_ENDS:
        stem = own[0][: -len(first)]
        if stem and own[0].endswith(first) and own[1] == stem + second:
            return {own[0]: "first", own[1]: "second"}
    return {}


def _is_one_of(columns: SeenColumns, answer: str, sides: tuple[str, str]) -> bool:
    """Whether the answer names, on every line, one of the two options of that line."""
    parts = [pc.cast(one_chunk(columns.table[name]), pa.string()) for name in (answer, *sides)]
    either = pc.or_(pc.equal(parts[0], parts[1]), pc.equal(parts[0], parts[2]))
    return bool(pc.all(either.fill_null(True)).as_py())


def _pair_features(
    columns: SeenColumns, first: str, second: str, sides: tuple[str, str]
) -> dict[str, dict[str, str]]:
    found = {}
    for name in columns.names:
        stem = name[: -len(first)]
        other = stem + second
        if name in sides or not (name.endswith(first) and stem and other in columns.names):
            continue
        if all(str(v).strip().lower() in COMMON_WORDS for v in columns.values(name)):
            continue  # the votes of several judges, not a property of the options
        feature = stem.rstrip("_-. ") or stem
        if is_text(columns.table[name].type) and len(columns.values(name)) > MANY_LEVELS:
            feature = "text"
        found[feature] = {"first": name, "second": other}
    return found
