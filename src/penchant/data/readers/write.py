"""From records back to tables and files, in the layout of a description: what the readers undo.

Legend: B observations, K alternatives, N options over all menus.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import one_chunk, to_codes, to_floats, to_ints
from penchant.data.description import OF_FORMAT, Description
from penchant.data.outside import without_outside_option
from penchant.data.readers.dsjson import write_dsjson
from penchant.data.readers.label_studio import write_label_studio
from penchant.data.readers.pairs import SIDES, arena_names
from penchant.data.readers.potato import write_potato
from penchant.data.readers.preflib import ENDINGS, write_orders
from penchant.data.readers.table import write_table
from penchant.data.readers.vw import write_vw
from penchant.data.readers.wide import alternatives
from penchant.data.records import RESERVED_OPTIONS, RESERVED_ROWS, Records
from penchant.errors import DataError
from penchant.numerics.arrays import Array

_NO_COLUMN = ("kind", "chosen", "best", "worst", "outcome", "grade")
_SUFFIXED = (*RESERVED_ROWS, *RESERVED_OPTIONS)


def write(records: Records, path: str | Path, description: Description) -> Path:
    """The records as a file in the layout of the description: reading it again gives them back.

    The ending names the format: .parquet, .csv, .tsv, .jsonl, or PrefLib's .soc, .soi, .toc, .toi.
    Potato's layout makes a folder.
    """
    if description.layout == "preflib" or Path(path).suffix in ENDINGS:
        return write_orders(records, path)
    if description.layout == "vw":
        return write_vw(records, path)
    if description.layout == "dsjson":
        return write_dsjson(records, path)
    if description.layout == "label_studio":
        return write_label_studio(records, path)
    if description.layout == "potato":
        return write_potato(records, path)
    write_table(to_table(records, description), path)
    return Path(path)


def to_table(records: Records, description: Description) -> pa.Table:
    """The records as a table in the layout of the description.

    Raises DataError if they do not fit the layout (ties in a table of choices, a menu with an
    option that the description does not know).
    """
    writers: Mapping[str, Callable[[Records, Description], dict[str, Any]]] = {
        "long": _long, "wide": _wide, "pairs": _pairs, "arena": _pairs, "trl": _chat,
        "ratings": _single, "decisions": _single, "best_worst": _menus, "rankings": _menus,
    }  # fmt: skip
    if description.layout in OF_FORMAT:
        raise DataError(
            f"the layout {description.layout} is no table; expected another one. `write` makes a "
            "file of it."
        )
    if description.outside_option is not None:
        records = without_outside_option(records)
    if description.layout == "arena":
        description = arena_names(description)
    columns = writers[description.layout](records, description)
    return pa.table({name: _plain(one_chunk(column)) for name, column in columns.items()})


def _row_columns(records: Records, said: Description) -> dict[str, Any]:
    """What holds once per observation, under the names of the description."""
    names = {"person": said.person, "time": said.time, "source": said.source}
    names["situation"] = said.situation[0] if len(said.situation) == 1 else None
    names["weight"] = said.weight
    columns: dict[str, Any] = {}
    for name in records.rows.column_names:
        if name in _NO_COLUMN:
            continue
        column = one_chunk(records.rows[name])
        if name not in RESERVED_ROWS:
            columns[_own_name(name)] = column
            continue
        given = names.get(name)
        if given is not None:
            columns[given] = column
        elif not _says_nothing(name, column) and not (name == "situation" and said.situation):
            raise DataError(
                f"the records hold a {name}, which the description has no column for; expected "
                f"`rows.{name}`. Name one: with_overrides(description, {{{name!r}: {name!r}}})."
            )
    return columns


def _own_name(name: str) -> str:
    """The user's name of a column that was renamed because its name has a meaning here."""
    bare = name.rstrip("_")
    return bare if bare in _SUFFIXED else name


def _says_nothing(name: str, column: Any) -> bool:
    if column.null_count == len(column):
        return True
    return name == "weight" and bool((to_floats(column) == 1).all())


def _option_columns(records: Records, said: Description) -> dict[str, Any]:
    names = {"option": said.option, "position": said.position,
             "propensity": said.propensity, "text": said.text}  # fmt: skip
    columns: dict[str, Any] = {}
    for name in records.options.column_names:
        column = one_chunk(records.options[name])
        if name in names:
            given = names[name]
            if given is not None:
                columns[given] = column
            elif column.null_count < len(column):
                columns[name] = column
        elif name not in RESERVED_OPTIONS:
            columns[_own_name(name)] = column
    return columns


_PER_OPTION = {"ranking": "rank", "rating": "level", "approval": "approved",
               "binary": "success", "outcome": "value"}  # fmt: skip


def _kind(records: Records) -> str:
    if len(records.kinds) != 1:
        raise DataError(
            f"the records hold feedback of kinds {', '.join(map(str, records.kinds))}; expected "
            "one kind per table. Write each kind to a file of its own."
        )
    return str(records.kinds[0])


def _level_column(records: Records, said: Description, kind: str) -> Any:
    column = one_chunk(records.options[_PER_OPTION[kind]])
    if kind == "rating" and said.levels:
        levels = list(reversed(said.levels)) if said.low_is_good else list(said.levels)
        return pa.array(levels).take(pc.cast(column, pa.int64()))
    if not said.low_is_good:
        return column
    # Back to the end that the file's own answers count from.
    if kind == "outcome":
        return pc.negate(column)
    return pc.subtract(
        len(records.scale) - 1 if kind == "rating" else 1, pc.cast(column, pa.int64())
    )


def _long(records: Records, said: Description) -> dict[str, Any]:
    kind = _kind(records)
    repeat = pa.array(records.row_of_option)
    columns = {n: c.take(repeat) for n, c in _row_columns(records, said).items()}
    columns |= _option_columns(records, said)
    if not said.situation and said.person is None:
        raise DataError(
            "a long table needs to say which lines belong together; expected `rows.situation` or "
            "`rows.person` in the description. Name one."
        )
    answer = said.answer or "chosen"
    if kind in _PER_OPTION:
        columns[answer] = _level_column(records, said, kind)
        return columns
    marks = {"best": answer, "worst": said.worst or "worst"} if kind == "best_worst" else {
        "chosen": answer
    }  # fmt: skip
    if kind not in ("choice", "edit", "best_worst"):
        raise DataError(
            f"feedback of kind {kind!r} does not fit a long table; expected choices, rankings or "
            "ratings. Write pairs in the layout pairs."
        )
    place = np.arange(records.options.num_rows) - records.offsets[records.row_of_option]
    for name, column in marks.items():
        taken = to_ints(records.rows[name])[records.row_of_option]
        marked = pa.array((place == taken).astype(np.int8), mask=taken < 0)
        columns[column] = marked
    return columns


def _wide(records: Records, said: Description) -> dict[str, Any]:
    kind = _kind(records)
    names = alternatives(said)
    columns = _row_columns(records, said)
    codes, known = to_codes(records.options["option"])
    index = {name: k for k, name in enumerate(names)}
    strange = [name for name in known if name not in index]
    if strange:
        raise DataError(
            f"the records know the option {strange[0]!r}; expected one of {', '.join(names)}. Add "
            "it to `options.alternatives`, or write a long table."
        )
    place = np.asarray([index[str(name)] for name in known], dtype=np.int64)[codes]
    line = np.full((len(records), len(names)), -1, dtype=np.int64)
    line[records.row_of_option, place] = np.arange(records.options.num_rows)
    for name, column in said.available.items():
        columns[column] = pa.array((line[:, index[name]] >= 0).astype(np.int8))
    unsaid = [n for n in names if n not in said.available and (line[:, index[n]] < 0).any()]
    if unsaid:
        raise DataError(
            f"{unsaid[0]} is not on every menu; expected a column for it under [available]. Name "
            "one in the description."
        )
    for feature, spread in said.feature_columns.items():
        values = one_chunk(records.options[feature])
        for name, column in spread.items():
            at = line[:, index[name]]
            kept = values.take(pa.array(at, mask=at < 0))
            # Columns of alternatives that were not on offer, kept while reading, fill the gaps.
            columns[column] = kept if column not in columns else pc.coalesce(columns[column], kept)
    if kind in ("choice", "edit") and said.answer is not None:
        chosen = to_ints(records.rows["chosen"])
        taken = place[records.offsets[:-1] + np.maximum(chosen, 0)]
        columns[said.answer] = _coded(np.where(chosen < 0, -1, taken), names, said.codes)
    return columns


def _coded(place: Array, names: tuple[str, ...], codes: Mapping[str, str]) -> Any:
    """Places as the values that the description's codes give them (the first value of each)."""
    value_of = {word: key for key, word in reversed(list(codes.items()))}
    words = [value_of.get(name, name) for name in names]
    column = pa.array(words, pa.string()).take(pa.array(place, mask=place < 0))
    if codes and all(word.lstrip("-").isdigit() for word in words):
        return pc.cast(column, pa.int64())
    return column


def _pairs(records: Records, said: Description) -> dict[str, Any]:
    kind = _kind(records)
    if (records.menu_sizes != 2).any() or kind not in ("pair", "graded", "choice"):
        raise DataError(
            f"the records hold feedback of kind {kind!r} with menus of up to "
            f"{int(records.menu_sizes.max())} options; expected pairs. Write a long table."
        )
    columns = _row_columns(records, said)
    both_bad = columns.pop("both_bad", None)
    start = records.offsets[:-1]
    if len(said.option_columns) != 2:
        raise DataError(
            f"the description of pairs names {len(said.option_columns)} columns of options; "
            "expected two under `options.columns`. Name them."
        )
    for place, name in enumerate(said.option_columns):
        columns[name] = records.options["option"].take(pa.array(start + place))
    for feature, spread in said.feature_columns.items():
        for side, column in spread.items():
            at = pa.array(start + SIDES.index(side))
            columns[column] = one_chunk(records.options[feature].take(at))
    answer = said.answer or "winner"
    if kind == "graded":
        grade = records.rows["grade"]
        columns[answer] = pa.array(list(said.levels)).take(grade) if said.levels else grade
        return columns
    if answer in columns:
        return columns  # a probability that was kept whole says more than the outcome
    outcome = to_ints(records.rows["outcome" if kind == "pair" else "chosen"])
    if both_bad is not None:
        outcome = np.where(np.asarray(both_bad), 3, outcome)
    words = ("first", "second", "tie", "both_bad")
    if said.layout == "arena" and not said.codes:
        words = ("model_a", "model_b", "tie", "tie (bothbad)")
    columns[answer] = _coded(outcome, words, said.codes)
    return columns


def _chat(records: Records, said: Description) -> dict[str, Any]:
    kind = _kind(records)
    columns = _row_columns(records, said)
    text = records.options["text"] if "text" in records.options.column_names else None
    if text is None or kind not in ("pair", "choice", "edit", "binary"):
        raise DataError(
            f"the records hold feedback of kind {kind!r} {'without' if text is None else 'with'} "
            "texts; expected pairs or labelled answers with a column `text` of options."
        )
    start = records.offsets[:-1]
    if kind == "binary":
        columns["completion"] = text.take(pa.array(start))
        success = records.options["success"].take(pa.array(start))
        columns["label"] = pc.cast(success, pa.bool_())
        return columns
    winner = to_ints(records.rows["outcome" if kind == "pair" else "chosen"])
    decided = (records.menu_sizes == 2) & (winner >= 0) & (winner < 2)
    if not decided.all():
        raise DataError(
            f"observation {int(np.argmin(decided))} has no winner of two ("
            f"{int((~decided).sum())} of {len(decided)} are like this); expected exactly one "
            "chosen and one rejected text. Drop ties and larger menus first."
        )
    sides = {"chosen": pa.array(start + winner), "rejected": pa.array(start + 1 - winner)}
    columns |= {side: text.take(lines) for side, lines in sides.items()}
    if "embedding" in records.options.column_names:
        vectors = records.options["embedding"]
        columns |= {f"{side}_embedding": vectors.take(lines) for side, lines in sides.items()}
    return columns


def _single(records: Records, said: Description) -> dict[str, Any]:
    kind = _kind(records)
    if kind not in _PER_OPTION:
        raise DataError(
            f"feedback of kind {kind!r} does not fit the layout {said.layout}; expected one rating "
            "or reward per option. Write a long table."
        )
    columns = _row_columns(records, said)
    options = _option_columns(records, said)
    answer = said.answer or _PER_OPTION[kind]
    if said.action is not None:
        return columns | _whole_menus(records, said, options, kind, answer)
    if (records.menu_sizes != 1).any():
        raise DataError(
            f"menus have up to {int(records.menu_sizes.max())} options; expected one each. Write a "
            "long table."
        )
    columns |= options
    if answer not in columns:
        columns[answer] = _level_column(records, said, kind)
    return columns


def _whole_menus(
    records: Records, said: Description, options: dict[str, Any], kind: str, answer: str
) -> dict[str, Any]:
    bounds = pa.array(records.offsets.astype(np.int32))
    columns = {
        name: pa.ListArray.from_arrays(bounds, _plain(column)) for name, column in options.items()
    }
    value = to_floats(records.options[_PER_OPTION[kind]])
    seen = np.flatnonzero(~np.isnan(value))
    row = records.row_of_option[seen]
    place = np.full(len(records), -1)
    place[row] = seen - records.offsets[row]
    reward = np.full(len(records), np.nan)
    reward[row] = value[seen]
    line = pa.array(records.offsets[:-1] + place, mask=place < 0)
    columns[said.action or "action"] = _plain(one_chunk(records.options["option"]).take(line))
    columns[answer] = pa.array(reward, mask=np.isnan(reward))
    return columns


def _plain(column: Any) -> Any:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _menus(records: Records, said: Description) -> dict[str, Any]:
    kind = _kind(records)
    if kind != said.layout and not (kind == "ranking" and said.layout == "rankings"):
        raise DataError(
            f"feedback of kind {kind!r} does not fit the layout {said.layout}; expected it to be "
            "the same. Choose another layout."
        )
    columns = _row_columns(records, said)
    option = records.options["option"]
    start, sizes = records.offsets[:-1], records.menu_sizes
    for place, name in enumerate(said.option_columns):
        columns[name] = option.take(pa.array(start + place, mask=place >= sizes))
    if len(said.option_columns) < int(sizes.max()) and said.option_columns:
        raise DataError(
            f"menus have up to {int(sizes.max())} options; the description names "
            f"{len(said.option_columns)} columns for them. Name more under `options.columns`."
        )
    if kind == "best_worst":
        for name, column in (("best", said.answer), ("worst", said.worst)):
            place = to_ints(records.rows[name])
            columns[column or name] = option.take(pa.array(start + place, mask=place < 0))
        return columns
    rank = to_ints(records.options["rank"], missing=0)
    for number, name in enumerate(said.answer_columns, start=1):
        line = np.full(len(records), -1)
        hit = np.flatnonzero(rank == number)
        line[records.row_of_option[hit]] = hit
        columns[name] = option.take(pa.array(line, mask=line < 0))
    return columns
