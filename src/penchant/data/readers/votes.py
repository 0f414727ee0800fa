"""Votes out of tables and records: arena votes, generic pairs, winners and losers, soft votes.

Legend: B lines or votes, C covariates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import (
    is_number,
    one_chunk,
    to_codes,
    to_dictionary,
    to_floats,
    to_ints,
)
from penchant.data.description import Description
from penchant.data.readers.pairs import (
    arena_names,
    option_codes,
    outcome_of_words,
)
from penchant.data.readers.source import Source, prepare, rating_levels, scale_of
from penchant.data.readers.table import Loaded, count_duplicates, load_table, repeated_sentences
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
from penchant.data.votes import Votes
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array

_UNANSWERED, _BOTH_BAD = -1, 3


@dataclass(frozen=True, kw_only=True, eq=False)
class VotesRead:
    """Votes, what was noticed on the way, and the lines set aside (row number and reason)."""

    votes: Votes
    notes: tuple[str, ...]
    quarantined: pa.Table | None = None


def read_votes(
    data: Any,
    description: Description,
    columns: VoteColumns | None = None,
    *,
    on_bad_rows: str = "error",
) -> VotesRead:
    """Votes from a path, a DataFrame, an Arrow table or a dataset of layout "pairs" or "arena".

    Several answer columns are those of several judges, each a voter of the column's name. Raises
    DataError at the first line that cannot be used, with its number, unless `on_bad_rows` is
    "quarantine", and ConfigError where judges have columns of their own and voters are named too.
    """
    if description.answer_columns:
        return _read_judges(data, description, columns, on_bad_rows)
    raises = on_bad_rows == "error"
    columns = columns or VoteColumns()
    loaded = load_table(data, description, raises, word_columns(description, columns))
    source = prepare(loaded.table, vote_description(description, loaded.table.column_names),
                     loaded.name, raises, loaded.header)  # fmt: skip
    votes = votes_from_columns(source, columns)
    # Where nobody is named, equal lines are different people's.
    repeated = 0 if votes.voter is None else count_duplicates(loaded.table)
    return VotesRead(
        votes=votes,
        quarantined=set_aside(loaded, source),
        notes=(*source.notes, *repeated_sentences(repeated, source.num_lines)),
    )


def _read_judges(
    data: Any, description: Description, columns: VoteColumns | None, on_bad_rows: str
) -> VotesRead:
    """The votes of each judge in turn; a line that cannot be used is set aside once."""
    if description.person is not None:
        raise ConfigError(
            f"{', '.join(description.answer_columns)} hold the answers of one judge each, and "
            f"{description.person!r} is named as the voter; expected one or the other."
        )
    twice = {n for n in description.answer_columns if description.answer_columns.count(n) > 1}
    if twice:
        raise ConfigError(
            f"{', '.join(sorted(twice))} is named more than once among the judges' columns "
            f"{', '.join(description.answer_columns)}; expected each once, or its votes count "
            "twice."
        )
    parts, aside = [], []
    for name in description.answer_columns:
        said = replace(description, answer=name, answer_columns=())
        found = read_votes(data, said, columns, on_bad_rows=on_bad_rows)
        judge = np.zeros(len(found.votes), dtype=np.int64)
        parts.append(replace(found, votes=replace(found.votes, voter=judge, voters=(name,))))
        if found.quarantined is not None:
            aside.append(found.quarantined)
    votes = parts[0].votes
    for part in parts[1:]:
        votes = votes.merged(part.votes)
    quarantined = None
    if aside:
        lines = pa.concat_tables([_in_words(t, description.answer_columns) for t in aside])
        _, first = np.unique(to_ints(lines["row_number"]), return_index=True)
        quarantined = lines.take(pa.array(first))
    notes = dict.fromkeys(
        note if name in note else f"{name}: {note}"
        for name, part in zip(description.answer_columns, parts, strict=True)
        for note in part.notes
    )
    return VotesRead(votes=votes, notes=tuple(notes), quarantined=quarantined)


def _in_words(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The table with these columns as words: each judge's is read so only in its own turn."""
    for name in names:
        place = table.column_names.index(name)
        table = table.set_column(place, name, pc.cast(table[name], pa.string()))
    return table


def word_columns(description: Description, columns: VoteColumns) -> tuple[str, ...]:
    """Columns of names, which stay as they are written: 007 and 7 are two items.

    An answer that [codes] or grades explain, or a column that is changed, is none of them.
    """
    said = arena_names(description) if description.layout == "arena" else description
    names = [*said.option_columns, said.person, columns.context]
    if not said.codes and said.kind != "graded":
        names.append(said.answer)
    others = {*columns.covariates, *(name for change in said.replace for name in change.columns)}
    return tuple(n for n in dict.fromkeys(names) if n is not None and n not in others)


def set_aside(loaded: Loaded, source: Source) -> pa.Table | None:
    """The lines that could not be used, as they stand in the file, with number and reason."""
    number, reasons = source.bad.found()
    if not len(number):
        return None
    lines = loaded.table.take(pa.array(number - source.bad.begin - 1))
    lines = lines.add_column(0, "reason", reasons)
    return lines.add_column(0, "row_number", pa.array(number))


def vote_description(description: Description, present: Sequence[str]) -> Description:
    """The description with the usual names of arena votes filled in where columns have them."""
    if description.layout == "pairs":
        return description
    if description.layout != "arena":
        raise ConfigError(
            f'the layout is {description.layout!r}; expected "pairs" or "arena" for votes between '
            "two items. Rankings, ratings and menus are read by `penchant.data.readers.read`."
        )
    filled = arena_names(description)
    filled = replace(
        filled,
        person=filled.person if filled.person in present else None,
        time=filled.time if filled.time in present else None,
    )
    filled.check_columns(present, "the table of votes")
    return filled


def votes_from_columns(source: Source, columns: VoteColumns) -> Votes:
    """The votes of a prepared table; lines without an answer are left out and counted."""
    said = source.description
    options = option_codes(source, said.option_columns, 2)
    for side, name in enumerate(said.option_columns):
        nameless = np.asarray([not word.strip() for word in options.words] + [True])
        source.bad.add(nameless[options.codes[:, side]], name, one_chunk(source.table[name]),
                       "the name of an item", "fill it in or drop the line")  # fmt: skip
    alike = (options.codes[:, 0] == options.codes[:, 1]) & (options.codes[:, 0] >= 0)
    second = said.option_columns[1]
    source.bad.add(
        alike, second, one_chunk(source.table[second]),
        f"another item than in {said.option_columns[0]}: a comparison with itself says nothing",
        "drop the line",
    )  # fmt: skip
    answers = _answers(source, options)
    extras = _extras(source, columns)
    keep = ~source.bad.bad & answers.given
    silent = int((~answers.given & ~source.bad.bad).sum())
    if silent:
        source.notes.append(f"{silent} of {source.num_lines} votes have no answer: left out")
    return assembled_votes(options, answers, extras, keep)


def _answers(source: Source, options: Codes) -> Answers:
    said = source.description
    if said.answer is None:
        raise DataError(
            f"{source.bad.name} has no answer column in its description; expected one that says "
            "which item won. Name it as `column` under [answer]."
        )
    if said.kind == "graded":
        return _graded(source, said.answer)
    column = one_chunk(source.table[said.answer])
    share = None if said.codes else _shares(column, options, said.answer in said.option_columns)
    if share is not None:
        source.used.add(said.answer)
        missing = np.isnan(share)
        if not ((share > 0) & (share < 1)).any():
            first, second = said.option_columns
            source.notes.append(
                f"1 in {said.answer} is read as a win of {first}, 0 as one of {second}"
            )
        source.bad.add(
            ~missing & ((share < 0) | (share > 1)), said.answer, column,
            "a probability from 0 to 1 that the first wins, or words",
            "say under [codes] what the values mean",
        )  # fmt: skip
        return Answers(share=np.where(missing, 0.5, share), tie=np.zeros(len(share), dtype=bool),
                        given=~missing)  # fmt: skip
    outcome = outcome_of_words(source, said.answer, options)
    tie = (outcome == TIE) | (outcome == _BOTH_BAD)
    share = np.where(tie, 0.5, (outcome == 0) * 1.0)
    return Answers(share=share, tie=tie, given=outcome != _UNANSWERED)


def _shares(column: Any, options: Codes, is_name: bool) -> Array | None:
    """The answers as probabilities; None where they are words.

    Numerals are words too if they name one of the two items on most of the lines that answer.
    """
    if is_name or pa.types.is_boolean(column.type):
        return None
    if is_number(column.type):
        values = to_floats(column)
        # Fractions are no names, and ten million of them are not written out as words.
        if ((values > 0) & (values < 1)).any():
            return values
    words = to_dictionary(column)
    codes, written = to_codes(words)
    if not is_number(column.type):
        try:
            numbers = to_floats(pc.cast(words.dictionary, pa.float64()))
        except pa.ArrowInvalid:
            return None
        values = np.append(numbers, np.nan)[codes]
    place = {word: code for code, word in enumerate(options.words)}
    named = np.asarray([place.get(word, -2) for word in written] + [-2])[codes]
    is_named = (named == options.codes[:, 0]) | (named == options.codes[:, 1])
    return None if 2 * is_named.sum() > (codes >= 0).sum() else values


def _graded(source: Source, name: str) -> Answers:
    level = to_ints(rating_levels(source, name))
    grades = scale_of(source, name)
    if len(grades) < 2:
        raise DataError(
            f"{source.bad.name}: {name} has the one grade {', '.join(grades)}; expected two or "
            'more. Name the whole scale as `levels` under [answer], from "the second is best" to '
            '"the first is".'
        )
    source.notes.append(
        f"{name} is how much better the first is, from {grades[0]} (the second is best) to "
        f"{grades[-1]} (the first is)"
    )
    return answers_of_grades(level, grades)


def _extras(source: Source, columns: VoteColumns) -> Extras:
    said = source.description
    count = source.num_lines
    weight = np.ones(count)
    if said.weight is not None:
        weight = to_floats(source.checked_weight(said.weight, source.column(said.weight)))
    return Extras(
        weight=weight,
        voter=None if said.person is None else source.column(said.person),
        context=None if columns.context is None else _present(source, columns.context),
        time=None if said.time is None else _times(source, said.time),
        covariates=np.column_stack(
            [np.zeros((count, 0)), *(_covariate(source, name) for name in columns.covariates)]
        ),
        covariate_names=columns.covariates,
    )


def _present(source: Source, name: str) -> Any:
    if name not in source.table.column_names:
        raise DataError(
            f"{source.bad.name} has no column {name!r}; its columns are: "
            f"{', '.join(source.table.column_names[:40])}. Name one of these."
        )
    return source.column(name)


def _covariate(source: Source, name: str) -> Array:
    if name == SHOWN_FIRST:
        return np.ones(source.num_lines)
    sides = source.description.feature_columns.get(name)
    used = (name,) if sides is None else tuple(sides.values())
    parts = []
    for column in used:
        values = _present(source, column)
        if not is_number(values.type):
            raise DataError(
                f"the covariate {name!r} needs numbers, but column {column!r} of "
                f"{source.bad.name} has type {values.type}; expected numbers. Encode it first."
            )
        numbers = to_floats(values)
        source.bad.add(~np.isfinite(numbers), column, values, "a finite number",
                       "fill the gap or leave the covariate out")  # fmt: skip
        parts.append(numbers)
    return parts[0] if len(parts) == 1 else parts[0] - parts[1]


def _times(source: Source, name: str) -> Array | None:
    """Numbers as they are; dates and times of day as seconds; nothing where words are no dates."""
    numbers = time_numbers(source.column(name))
    if numbers is None or np.isnan(numbers).any():
        source.notes.append(f"{name} has values that are no times: votes are taken as unordered")
        return None
    return numbers
