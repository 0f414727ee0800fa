"""Votes out of tables and records: arena votes, generic pairs, winners and losers, soft votes.

Legend: B lines or votes, C covariates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import (
    first_appearance,
    is_number,
    is_text,
    one_chunk,
    to_codes,
    to_dictionary,
    to_floats,
    to_ints,
)
from penchant.data.description import Description
from penchant.data.pair_counts import Block, PairCounts, count_blocks
from penchant.data.readers.pairs import (
    COMMON_WORDS,
    arena_names,
    option_codes,
    outcome_of_words,
)
from penchant.data.readers.source import Source, prepare, rating_levels, scale_of
from penchant.data.readers.table import Loaded, load_table
from penchant.data.readers.wide import Codes
from penchant.data.records import Records
from penchant.data.votes import Votes
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array

# The covariate that is 1 in every vote: what standing first is worth.
SHOWN_FIRST = "shown_first"
_UNANSWERED, _TIE, _BOTH_BAD = -1, 2, 3
_VOTES_AT_ONCE = 1 << 18  # renamed and counted while they are in the cache


@dataclass(frozen=True, kw_only=True)
class VoteColumns:
    """What of a table to keep beside the two items and the answer.

    `context` is a column of words. A covariate is a feature of the description (first minus
    second), a column of numbers (as it stands), or "shown_first".
    """

    context: str | None = None
    covariates: tuple[str, ...] = ()


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

    Raises DataError at the first line that cannot be used, with its number, unless `on_bad_rows`
    is "quarantine".
    """
    raises = on_bad_rows == "error"
    columns = columns or VoteColumns()
    loaded = load_table(data, description, raises, word_columns(description, columns))
    source = prepare(loaded.table, vote_description(description, loaded.table.column_names),
                     loaded.name, raises, loaded.header)  # fmt: skip
    votes = votes_from_columns(source, columns)
    return VotesRead(votes=votes, notes=tuple(source.notes), quarantined=set_aside(loaded, source))


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
    from dataclasses import replace

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
    return _votes(options, answers, extras, keep)


def counts_from_columns(source: Source) -> PairCounts:
    """The votes of a prepared table added up by pair, straight from its columns.

    Plain words, all lines sound: the dictionaries' codes are renamed and counted, and nothing else
    of 10 million votes is ever made. Anything else goes the long way round, which knows what to
    say of a bad line. Grades count as soft votes.
    """
    found = _plain_counts(source)
    if found is None:
        if source.description.kind == "graded":
            source.notes.append(
                "grades are counted as soft votes, from 0 (the lowest: the second wins for "
                "certain) to 1"
            )
        return votes_from_columns(source, VoteColumns()).counts()
    return found


def _plain_counts(source: Source) -> PairCounts | None:
    said = source.description
    columns = [*said.option_columns, said.answer]
    if len(columns) != 3 or said.answer in (None, *said.option_columns) or said.kind == "graded":
        return None
    read = [one_chunk(source.table[name]) for name in columns]
    if any(column.null_count or not is_text(column.type) for column in read):
        return None
    read = [c if pa.types.is_dictionary(c.type) else c.dictionary_encode() for c in read]
    first, second, answer = read
    words = [str(word) for side in (first, second) for word in side.dictionary.to_pylist()]
    names = tuple(dict.fromkeys(words))
    meanings = [_plain_meaning(str(word), said.codes) for word in answer.dictionary.to_pylist()]
    nameless = any(not word.strip() for word in names)
    if nameless or None in meanings or set(map(str, answer.dictionary.to_pylist())) & set(names):
        return None
    weight = None
    if said.weight is not None:
        weight = to_floats(source.table[said.weight])
        if not ((weight >= 0) & np.isfinite(weight)).all():
            return None
    place = {name: i for i, name in enumerate(names)}
    lookup = np.asarray([place[word] for word in words], dtype=np.int32)
    renamed = (lookup[: len(first.dictionary)], lookup[len(first.dictionary) :],
               np.asarray(meanings, dtype=np.int8))  # fmt: skip
    codes = [np.asarray(column.indices) for column in read]
    try:
        counts = count_blocks(names, _renamed_blocks(renamed, codes, weight), len(first),
                              weight is not None)  # fmt: skip
    except DataError:
        return None  # an item that meets itself: the long way names the line
    seen = counts.votes_of_item > 0
    return counts if seen.all() else counts.of_items(np.flatnonzero(seen))


def _renamed_blocks(
    renamed: tuple[Array, ...], codes: list[Array], weight: Array | None
) -> Iterator[Block]:
    """Codes of three dictionaries as places and outcomes, some votes at a time."""
    for begin in range(0, max(len(codes[0]), 1), _VOTES_AT_ONCE):
        part = slice(begin, begin + _VOTES_AT_ONCE)
        left, right, outcome = (to[code[part]] for to, code in zip(renamed, codes, strict=True))
        yield left, right, outcome, None if weight is None else weight[part]


def _plain_meaning(word: str, codes: Mapping[str, str]) -> int | None:
    meaning = codes.get(word.strip(), COMMON_WORDS.get(word.strip().lower(), word.strip()))
    return {"first": 0, "second": 1, "tie": 2, "both_bad": 2}.get(meaning)


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
    return _votes(options, answers, _record_extras(records, columns), keep)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Answers:
    """Of B lines: share of the first, whether it is a tie, whether anything was answered, and the
    place of the grade among `grades` where answers are grades."""

    share: Array
    tie: Array
    given: Array
    grade: Array | None = None
    grades: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Extras:
    """Everything about B votes but items and answers, as columns."""

    weight: Array
    voter: Any
    context: Any
    time: Array | None
    covariates: Array
    covariate_names: tuple[str, ...]


def _votes(options: Codes, answers: _Answers, extras: _Extras, keep: Array) -> Votes:
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


def _answers(source: Source, options: Codes) -> _Answers:
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
        source.bad.add(
            ~missing & ((share < 0) | (share > 1)), said.answer, column,
            "a probability from 0 to 1 that the first wins, or words",
            "say under [codes] what the values mean",
        )  # fmt: skip
        return _Answers(share=np.where(missing, 0.5, share), tie=np.zeros(len(share), dtype=bool),
                        given=~missing)  # fmt: skip
    outcome = outcome_of_words(source, said.answer, options)
    tie = (outcome == _TIE) | (outcome == _BOTH_BAD)
    share = np.where(tie, 0.5, (outcome == 0) * 1.0)
    return _Answers(share=share, tie=tie, given=outcome != _UNANSWERED)


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


def _graded(source: Source, name: str) -> _Answers:
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
    return _as_grades(level, grades)


def _as_grades(level: Array, grades: tuple[str, ...]) -> _Answers:
    given = level >= 0
    grade = np.where(given, level, 0)
    return _Answers(share=grade / (len(grades) - 1.0), tie=np.zeros(len(level), dtype=bool),
                    given=given, grade=grade, grades=grades)  # fmt: skip


def _extras(source: Source, columns: VoteColumns) -> _Extras:
    said = source.description
    count = source.num_lines
    weight = np.ones(count)
    if said.weight is not None:
        weight = to_floats(source.checked_weight(said.weight, source.column(said.weight)))
    return _Extras(
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


def _record_answers(records: Records) -> _Answers:
    count = len(records)
    share, tie = np.full(count, 0.5), np.zeros(count, dtype=bool)
    answered = np.zeros(count, dtype=bool)
    for name in ("outcome", "chosen"):
        if name in records.rows.column_names:
            value = to_ints(records.rows[name])
            given = value >= 0
            share = np.where(given, np.where(value == _TIE, 0.5, (value == 0) * 1.0), share)
            tie |= given & (value == _TIE)
            answered |= given
    if "grade" not in records.rows.column_names:
        return _Answers(share=share, tie=tie, given=answered)
    grade = to_ints(records.rows["grade"])
    names = tuple(f"grade {level}" for level in range(max(int(grade.max(initial=1)), 1) + 1))
    graded = _as_grades(grade, names)
    if not answered.any():
        return graded
    soft = graded.given & ~answered
    return _Answers(share=np.where(soft, graded.share, share), tie=tie, given=answered | soft)


def _record_extras(records: Records, columns: VoteColumns) -> _Extras:
    rows = records.rows
    present = set(rows.column_names)
    known = "person" in present and rows["person"].null_count < len(records)
    time = time_numbers(rows["time"]) if "time" in present else None
    return _Extras(
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
