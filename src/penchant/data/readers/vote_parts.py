"""What every reader of votes ends with: items, answers and the rest of B lines, as `Votes`.

Legend: B lines or votes, C covariates.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import (
    first_appearance,
    is_number,
    one_chunk,
    to_codes,
    to_floats,
)
from penchant.data.readers.wide import Codes
from penchant.data.votes import Votes
from penchant.numerics.arrays import Array

# The covariate that is 1 in every vote: what standing first is worth.
SHOWN_FIRST = "shown_first"
# The outcome of a pair that says they tie.
TIE = 2


@dataclass(frozen=True, kw_only=True)
class VoteColumns:
    """What of a table to keep beside the two items and the answer.

    `context` is a column of words. A covariate is a feature of the description (first minus
    second), a column of numbers (as it stands), or "shown_first".
    """

    context: str | None = None
    covariates: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """Of B lines: share of the first, whether it is a tie, whether anything was answered, and the
    place of the grade among `grades` where answers are grades."""

    share: Array
    tie: Array
    given: Array
    grade: Array | None = None
    grades: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Extras:
    """Everything about B votes but items and answers, as columns."""

    weight: Array
    voter: Any
    context: Any
    time: Array | None
    covariates: Array
    covariate_names: tuple[str, ...]


def assembled_votes(options: Codes, answers: Answers, extras: Extras, keep: Array) -> Votes:
    rows = np.flatnonzero(keep)
    codes = options.codes[rows]
    # Items are numbered as they appear, and those nobody voted on are left out.
    flat, first_seen = first_appearance(codes.reshape(-1))
    items = tuple(options.words[code] for code in codes.reshape(-1)[first_seen])
    pairs = flat.reshape(-1, 2).astype(np.int32)
    voter, voters = _labels(extras.voter, rows)
    context, contexts = _labels(extras.context, rows)
    return Votes(
        items=items, first=pairs[:, 0].copy(), second=pairs[:, 1].copy(),
        share=answers.share[rows], tie=answers.tie[rows],
        grade=None if answers.grade is None else answers.grade[rows], grades=answers.grades,
        weight=extras.weight[rows], voter=voter, voters=voters, context=context,
        contexts=contexts, time=None if extras.time is None else extras.time[rows],
        covariates=extras.covariates[rows], covariate_names=extras.covariate_names,
    )  # fmt: skip


def _labels(column: Any, rows: Array) -> tuple[Array | None, tuple[str, ...]]:
    if column is None:
        return None, ()
    codes, words = to_codes(column)
    return codes[rows], tuple(str(word) for word in words)


def answers_of_grades(level: Array, grades: tuple[str, ...]) -> Answers:
    given = level >= 0
    grade = np.where(given, level, 0)
    return Answers(share=grade / (len(grades) - 1.0), tie=np.zeros(len(level), dtype=bool),
                    given=given, grade=grade, grades=grades)  # fmt: skip


def time_numbers(column: Any) -> Array | None:
    """A column of numbers, dates or ISO dates in words as float64; None if it is none of these."""
    column = one_chunk(column)
    if is_number(column.type):
        return to_floats(column)
    try:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        moments = pc.cast(column, pa.timestamp("us"))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return to_floats(pc.cast(moments, pa.int64())) / 1e6
