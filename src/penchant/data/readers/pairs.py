"""Two options side by side, and which of them won: generic pairs and arena votes.

Legend: B lines, K = 2 options.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from penchant.data.columns import is_number, one_chunk, to_codes, to_dictionary, to_floats
from penchant.data.description import Description
from penchant.data.readers.source import Source, code_lookup, rating_levels
from penchant.data.readers.wide import Codes, assemble, spread_columns
from penchant.data.records import Records
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array

SIDES = ("first", "second")
_MEANINGS = ("first", "second", "tie", "both_bad")
# Words that mean one thing only; 0 and 1 do not, so they need [codes].
COMMON_WORDS = {
    "first": "first", "model_a": "first", "a": "first", "left": "first",
    "second": "second", "model_b": "second", "b": "second", "right": "second",
    "tie": "tie", "both": "tie", "draw": "tie", "equal": "tie", "undecided": "tie",
    "tie (bothbad)": "both_bad", "both_bad": "both_bad", "bothbad": "both_bad",
    "both bad": "both_bad",
}  # fmt: skip


def to_records(source: Source) -> Records:
    """Records of pairs; outcome 0 says that the first won, 1 the second, 2 a tie.

    Both kinds of tie count as ties; where any says that both were bad, the extra column
    `both_bad` keeps the difference. Of an edit the first column holds what was made of the second,
    and no answer is needed: whoever edits a text prefers the edited one.
    """
    said = source.description
    if said.answer_columns:
        raise ConfigError(
            f"{', '.join(said.answer_columns)} are the answers of several judges, which only a "
            "leaderboard reads side by side; expected one `column` under [answer]. Write a line a "
            "judge to fit anything else."
        )
    kind = said.kind or "pair"
    if kind not in ("pair", "graded", "choice", "edit"):
        raise ConfigError(
            f'a table of pairs cannot hold answers of kind {kind!r}; expected "pair", "graded", '
            '"choice" or "edit". Set `kind` under [answer].'
        )
    offered = np.ones((source.num_lines, 2), dtype=bool)
    options = option_codes(source, said.option_columns, 2)
    alike = (options.codes[:, 0] == options.codes[:, 1]) & (options.codes[:, 0] >= 0)
    if alike.any():
        # Two answers of one model differ in their features, so such a pair is no mistake.
        source.notes.append(f"{int(alike.sum())} pairs compare an option with itself")
    spread: dict[str, Any] = {
        feature: spread_columns(source, feature, SIDES, columns, offered)
        for feature, columns in said.feature_columns.items()
    }
    answers, extras = _answers(source, kind, options)
    records = assemble(source, kind, offered, spread, answers, options=options)
    if not extras:
        return records
    keep = ~source.bad.bad
    return records.with_columns(
        rows={name: values[keep] for name, values in extras.items()},
        roles=dict.fromkeys(extras, "extra"),
    )


def arena(source: Source) -> Records:
    """Arena votes: model_a, model_b and winner, the judge as the person, unless said otherwise."""
    said = source.description
    filled = arena_names(said)
    # What the votes do not record is left out, unless the description itself asks for it.
    present = source.table.column_names
    filled = replace(
        filled,
        person=filled.person if said.person or filled.person in present else None,
        time=filled.time if said.time or filled.time in present else None,
    )
    filled.check_columns(present, source.bad.name)
    source.description = filled
    return to_records(source)


def arena_names(said: Description) -> Description:
    """The description with the usual names of arena votes where it names nothing else."""
    return replace(
        said,
        option_columns=said.option_columns or ("model_a", "model_b"),
        answer=said.answer or "winner",
        person=said.person or "judge",
        time=said.time or "tstamp",
    )


def option_codes(source: Source, columns: tuple[str, ...], count: int | None = None) -> Codes:
    """The names of the options in several columns as codes [B, K] of one list of names."""
    if not columns or (count is not None and len(columns) != count):
        raise ConfigError(
            f"the description names {len(columns)} columns of options; expected "
            f"{count or 'some'}: `columns = [...]` under [options]."
        )
    read = [to_dictionary(source.column(name)) for name in columns]
    merged = pa.chunked_array(read)
    codes, names = to_codes(merged)
    shape = (source.num_lines, len(columns))
    return Codes(codes=codes.reshape(shape[::-1]).T, words=[str(name) for name in names])


def _answers(
    source: Source, kind: str, options: Codes
) -> tuple[dict[str, Array], dict[str, Array]]:
    said = source.description
    empty = np.full(source.num_lines, -1)
    if kind == "edit":
        return {"chosen": _edited(source)}, {}
    if said.answer is None:
        source.notes.append("no answer column: nobody has answered yet")
        return {{"pair": "outcome", "graded": "grade", "choice": "chosen"}[kind]: empty}, {}
    if kind == "graded":
        return {"grade": _filled(rating_levels(source, said.answer))}, {}
    column = one_chunk(source.table[said.answer])
    if is_number(column.type) and not said.codes and not pa.types.is_boolean(column.type):
        return {"outcome": _from_probability(source, said.answer)}, {}
    outcome = outcome_of_words(source, said.answer, options)
    both_bad = outcome == 3
    outcome = np.where(both_bad, 2, outcome)
    if kind == "choice":
        source.bad.add(outcome == 2, said.answer, column, "a winner: a choice has no ties",
                       'use kind = "pair"')  # fmt: skip
        return {"chosen": outcome}, {}
    return {"outcome": outcome}, {"both_bad": both_bad} if both_bad.any() else {}


def outcome_of_words(source: Source, answer: str, options: Codes) -> Array:
    """What each line's word says: 0 first won, 1 second won, 2 tie, 3 both bad, -1 nothing.

    A word is looked up under [codes], among the common words, and among the names of the line's
    two options; a name that is also a common word of the other meaning is a bad line, unless every
    line names one of its options and some of them by no common word: then all words are names.
    """
    said = source.description
    column = one_chunk(source.table[answer])
    source.used.add(answer)
    codes, values = to_codes(column)
    words = [COMMON_WORDS.get(str(value).strip().lower(), str(value)) for value in values]
    meaning = code_lookup(values, said.codes, _MEANINGS)
    common = code_lookup(words, {}, _MEANINGS)
    outcome = np.where(meaning >= 0, meaning, common)[codes]
    # A winner may also be called by its own name.
    side = _side_of_name(codes, values, options)
    answered = codes >= 0
    are_names = bool(
        not said.codes and (side >= 0)[answered].all() and (common[codes] < 0)[answered].any()
    )
    if answer in said.option_columns or are_names:
        # Winners and losers, or names on every line, whatever else the word could mean.
        outcome = np.where(answered, side, -1)
    by_name = (outcome == -2) & (side >= 0)
    outcome[by_name] = side[by_name]
    # What [codes] explains is no question; a gap has the code -1, whose entry stands last.
    is_told = meaning[codes] >= 0 if said.codes else np.zeros(len(codes), dtype=bool)
    source.bad.add(
        (side >= 0) & (outcome != side) & ~is_told, answer, column,
        "one meaning: this is the name of one option and the usual word for another",
        "say under [codes] which of first, second, tie the word means",
    )  # fmt: skip
    source.bad.add(
        outcome == -2, answer, column,
        f"the name of one of the two options, {', '.join(_MEANINGS)}, or a value under [codes]",
        "say under [codes] which of first, second, tie, both_bad the value means",
    )  # fmt: skip
    return outcome


def _side_of_name(codes: Array, values: Sequence[Any], options: Codes) -> Array:
    """[B] which of the line's two options its answer names, 0 or 1, -1 for neither.

    Blanks around a name do not matter, unless the two differ by nothing else.
    """
    place = {name: i for i, name in enumerate(options.words)}
    exact = np.asarray([*(place.get(str(value), -2) for value in values), -1])[codes]
    bare = list(dict.fromkeys(name.strip() for name in options.words))
    known = {name: i for i, name in enumerate(bare)}
    of_name = np.asarray([*(known[name.strip()] for name in options.words), -3])
    side = _match(exact, options.codes)
    return np.where(side >= 0, side, _match(code_lookup(values, {}, bare)[codes],
                                            of_name[options.codes]))  # fmt: skip


def _match(named: Array, pair: Array) -> Array:
    """Which of two codes is the one named; -1 where none or both are."""
    first, second = pair.T
    side = np.where(named == first, 0, np.where(named == second, 1, -1))
    side[(named < 0) | (first == second)] = -1
    return side


def _edited(source: Source) -> Array:
    """The first, wherever the edit changed something: a proposal that was left as it stood was
    accepted, which says nothing of what its editor would rather have."""
    said = source.description
    if said.answer is not None:
        raise ConfigError(
            f"an edit names the answer column {said.answer!r}; expected none, since the first of "
            "`options.columns` is the edited text. Leave `column` out, or set another `kind`."
        )
    edited, original = (to_codes(to_dictionary(source.table[n])) for n in said.option_columns)
    words = np.array([*edited[1], None], dtype=object)[edited[0]]
    same = words == np.array([*original[1], ""], dtype=object)[original[0]]
    if same.any():
        source.notes.append(
            f"{int(same.sum())} of {len(same)} texts were left as they stood: no edit, no answer"
        )
    return np.where(same, -1, 0)


def _from_probability(source: Source, name: str) -> Array:
    """A probability that the first wins: the likelier one won, one half is a tie."""
    column = one_chunk(source.table[name])
    share = to_floats(column)
    missing = np.isnan(share)
    source.bad.add(
        ~missing & ((share < 0) | (share > 1)), name, column,
        "a probability from 0 to 1 that the first wins, or words",
        "say under [codes] what the values mean",
    )  # fmt: skip
    source.notes.append(
        f"{name} is read as the probability that the first wins: above one half the first won, at "
        "one half it is a tie; the column itself is kept"
    )
    outcome = np.where(share > 0.5, 0, np.where(share < 0.5, 1, 2))
    return np.where(missing, -1, outcome)


def _filled(levels: Any) -> Array:
    return np.asarray(levels.fill_null(-1))
