"""Votes out of records: of pairs, of graded pairs, of choices and edits between two options."""

from typing import Any

import numpy as np

from penchant.data.columns import to_codes, to_floats, to_ints
from penchant.data.readers.vote_parts import (
    SHOWN_FIRST,
    TIE,
    Answers,
    Extras,
    VoteColumns,
    answers_of_grades,
    assembled_votes,
    time_numbers,
)
from penchant.data.readers.wide import Codes
from penchant.data.records import Records
from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.numerics.arrays import Array


def votes_from_records(records: Records, columns: VoteColumns | None = None) -> Votes:
    """Votes from records of pairs, graded pairs, or choices and edits between two options.

    Votes are graded where every answer is; the highest grade that was given, and none below 0, is
    taken for the top of the scale, since records do not tell it. Beside other answers a grade is a
    soft vote, from 0 for the lowest to 1 for the highest. Raises DataError for other kinds, menus
    of other sizes and pairs of one option with itself.
    """
    columns = columns or VoteColumns()
    kinds = set(records.kinds[np.unique(records.kind_codes)])
    if not kinds <= {"pair", "graded", "choice", "edit"} or (records.menu_sizes != 2).any():
        raise DataError(
            f"the records hold feedback of kind {', '.join(sorted(kinds))} on menus of "
            f"{int(records.menu_sizes.min(initial=0))} to {int(records.menu_sizes.max(initial=0))} "
            "options; expected pairs. Rankings keep all they say in `Leaderboard(...)` or "
            "`PlackettLuce`; other menus in `ConditionalLogit`."
        )
    codes, words = to_codes(records.options["option"])
    options = Codes(codes=codes.reshape(-1, 2), words=[str(word) for word in words])
    if (codes < 0).any():
        raise DataError(
            f"observation {int(np.argmax(codes < 0)) // 2} has an option without a name; expected "
            "names on both sides. Texts need a model with features, such as `BradleyTerry`."
        )
    answers = _record_answers(records)
    keep = answers.given & (records.rows["weight"].to_numpy() >= 0)
    return assembled_votes(options, answers, _record_extras(records, columns), keep)


def _record_answers(records: Records) -> Answers:
    count = len(records)
    share, tie = np.full(count, 0.5), np.zeros(count, dtype=bool)
    answered = np.zeros(count, dtype=bool)
    for name in ("outcome", "chosen"):
        if name in records.rows.column_names:
            value = to_ints(records.rows[name])
            given = value >= 0
            share = np.where(given, np.where(value == TIE, 0.5, (value == 0) * 1.0), share)
            tie |= given & (value == TIE)
            answered |= given
    if "grade" not in records.rows.column_names:
        return Answers(share=share, tie=tie, given=answered)
    grade = to_ints(records.rows["grade"])
    names = tuple(f"grade {level}" for level in range(max(int(grade.max(initial=1)), 1) + 1))
    graded = answers_of_grades(grade, names)
    if not answered.any():
        return graded
    soft = graded.given & ~answered
    return Answers(share=np.where(soft, graded.share, share), tie=tie, given=answered | soft)


def _record_extras(records: Records, columns: VoteColumns) -> Extras:
    rows = records.rows
    present = set(rows.column_names)
    known = "person" in present and rows["person"].null_count < len(records)
    time = time_numbers(rows["time"]) if "time" in present else None
    return Extras(
        weight=to_floats(rows["weight"]),
        voter=rows["person"] if known else None,
        context=None if columns.context is None else _of(records, columns.context),
        time=None if time is None or np.isnan(time).any() else time,
        covariates=np.column_stack(
            [np.zeros((len(records), 0)),
             *(_record_covariate(records, name) for name in columns.covariates)]
        ),
        covariate_names=columns.covariates,
    )  # fmt: skip


def _of(records: Records, name: str) -> Any:
    if name not in records.rows.column_names:
        raise DataError(
            f"the records have no column {name!r}; they have "
            f"{', '.join(records.rows.column_names)}. Name one of these."
        )
    return records.rows[name]


def _record_covariate(records: Records, name: str) -> Array:
    if name == SHOWN_FIRST:
        return np.ones(len(records))
    if name in records.options.column_names:
        values = to_floats(records.options[name]).reshape(-1, 2)
        return values[:, 0] - values[:, 1]
    return to_floats(_of(records, name))
