"""Wide tables: one line per observation, one column per alternative and feature.

Legend: B lines, K alternatives, N options over all menus.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import (
    from_codes,
    ints_with_nulls,
    is_number,
    numbers_with_nulls,
    to_codes,
    to_dictionary,
    to_floats,
)
from penchant.data.description import Description
from penchant.data.readers.source import Source, code_lookup, option_name
from penchant.data.records import RESERVED_OPTIONS, Records
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array

# Kinds whose answer is one number per option: their "feature" of that name is the answer.
_ANSWER_PER_OPTION = {"ranking": "rank", "rating": "level", "approval": "approved",
                      "binary": "success", "outcome": "value"}  # fmt: skip


def to_records(source: Source) -> Records:
    """Records of a wide table: the menus are the alternatives that were available."""
    said = source.description
    kind = said.kind or "choice"
    names = alternatives(said)
    offered = _offered(source, names)
    source.bad.add(
        ~offered.any(axis=1), "the number of alternatives on offer",
        pa.array(offered.sum(axis=1)), "at least one", "correct the columns under [available]",
    )  # fmt: skip
    if said.answer is not None:
        chosen = _chosen(source, names, offered)
    elif kind in ("choice", "edit"):
        source.notes.append("no answer column: nobody has answered yet")
        chosen = np.full(source.num_lines, -1)
    else:
        chosen = None
    spread = {
        feature: spread_columns(source, feature, names, columns, offered)
        for feature, columns in said.feature_columns.items()
    }
    needed = _ANSWER_PER_OPTION.get(kind)
    if needed and needed not in spread:
        raise ConfigError(
            f"the answer is a {kind}, but no column of it is named; expected a table "
            f"[features.{needed}] with the column of each alternative."
        )
    answers = {} if chosen is None else {"chosen": chosen}
    return assemble(source, kind, offered, spread, answers, alternatives=names)


def alternatives(description: Description) -> tuple[str, ...]:
    """The names of all alternatives, in the order of the description."""
    if description.alternatives:
        return description.alternatives
    seen = [name for columns in description.feature_columns.values() for name in columns]
    seen += [*description.available, *description.codes.values()]
    seen = [name for name in seen if name != description.outside_option]
    if not seen:
        raise ConfigError(
            "the description of a wide table names no alternatives; expected "
            '`alternatives = ["train", "car"]` under [options], or tables [features.NAME].'
        )
    return tuple(dict.fromkeys(seen))


def _offered(source: Source, names: Sequence[str]) -> Array:
    offered = np.ones((source.num_lines, len(names)), dtype=bool)
    for name, column in source.description.available.items():
        if name not in names:
            raise ConfigError(
                f"[available] names the alternative {name!r}, which is not one of "
                f"{', '.join(names)}. Correct the name or add it to `options.alternatives`."
            )
        offered[:, names.index(name)] = source.flag(column)
    return offered


def _chosen(source: Source, names: Sequence[str], offered: Array) -> Array:
    """[B] which alternative was chosen; -1 where nobody answered, or the outside option was."""
    said = source.description
    column = source.column(said.answer or "")
    codes, values = to_codes(column)
    known_names = [*names, *([said.outside_option] if said.outside_option else [])]
    chosen = code_lookup(values, said.codes, known_names)[codes]
    meant = [f"{key} ({word})" for key, word in said.codes.items()] or known_names
    source.bad.add(
        chosen == -2, said.answer or "", column, f"one of {', '.join(meant)}",
        "say under [codes] which alternative the value means",
    )  # fmt: skip
    chosen = np.where(chosen == len(names), -1, chosen)
    known = np.maximum(chosen, 0)
    absent = (chosen >= 0) & ~offered[np.arange(len(chosen)), known]
    words = from_codes(np.where(absent, known, -1), list(names))
    source.bad.add(
        absent, f"the chosen option ({said.answer})", words,
        "an option on the menu, but its column under [available] says it was not on offer",
        "correct the availability or the choice",
    )  # fmt: skip
    return chosen


def spread_columns(
    source: Source,
    feature: str,
    names: Sequence[str],
    columns: Mapping[str, str],
    offered: Array,
) -> Any:
    """One feature of all alternatives as [B, K]: floats, or codes with their words.

    An alternative without a column has 0 (a car has no headway), or null among words. Values of
    alternatives that were not on offer do not enter the menus; if any of them says something,
    its column is kept as an extra of the observation.
    """
    unknown = [name for name in columns if name not in names]
    if unknown:
        raise ConfigError(
            f"[features.{feature}] names the alternative {unknown[0]!r}; expected one of "
            f"{', '.join(names)}."
        )
    read = {}
    for name, column in columns.items():
        values = source.feature(column)
        on_offer = offered[:, names.index(name)]
        if feature not in _ANSWER_PER_OPTION.values():
            source.check_missing(column, values, on_offer)
        if not on_offer.all() and _says_something(values, ~on_offer):
            source.used.discard(column)
        read[name] = values
    if all(is_number(v.type) or pa.types.is_null(v.type) for v in read.values()):
        spread = np.zeros(offered.shape)
        for name, values in read.items():
            spread[:, names.index(name)] = to_floats(values)
        return spread
    if any(pa.types.is_nested(v.type) for v in read.values()) or feature == "text":
        return Words(columns=[read.get(name) for name in names])
    merged = pa.chunked_array([to_dictionary(values) for values in read.values()])
    codes, words = to_codes(merged)
    spread = np.full(offered.shape, -1, dtype=np.int64)
    for i, name in enumerate(read):
        spread[:, names.index(name)] = codes[i * len(offered) : (i + 1) * len(offered)]
    return Codes(codes=spread, words=[str(word) for word in words])


class Codes:
    """Categories [B, K]: codes and the words they stand for."""

    def __init__(self, codes: Array, words: list[str]) -> None:
        self.codes, self.words = codes, words


class Words:
    """Long texts or structures, one Arrow column per alternative (None: no column)."""

    def __init__(self, columns: list[Any]) -> None:
        self.columns = columns


def _says_something(values: Any, where: Array) -> bool:
    if is_number(values.type):
        numbers = to_floats(values)[where]
        return bool((np.isfinite(numbers) & (numbers != 0)).any())
    return bool((~np.asarray(pc.is_null(values)))[where].any())


def assemble(
    source: Source,
    kind: str,
    offered: Array,
    spread: Mapping[str, Any],
    answers: Mapping[str, Array],
    *,
    alternatives: Sequence[str] = (),
    options: Any = None,
) -> Records:
    """Records from rectangular columns [B, K], bad lines left out.

    Names of options come from `alternatives`, the same for every line, or from `options`, codes
    [B, K] with their words. `answers` are columns of `rows`; chosen, best and worst are places
    among all K.
    """
    columns, roles = source.row_columns()
    keep = ~source.bad.bad
    whole = bool(keep.all())
    shown = offered if whole else offered & keep[:, None]
    sizes = shown.sum(axis=1)[keep]
    everything = bool(shown.all())

    def flat(values: Array) -> Array:
        return values.reshape(-1) if everything else values[shown]

    if options is None:
        codes = np.broadcast_to(np.arange(len(alternatives)), offered.shape)
        table = {"option": from_codes(flat(codes), list(alternatives))}
    else:
        table = {"option": from_codes(flat(options.codes), options.words)}
    for feature, values in spread.items():
        reserved = feature in RESERVED_OPTIONS and feature != "option"
        name = feature if reserved else option_name(source, feature, table)
        if isinstance(values, Codes):
            table[name] = from_codes(flat(values.codes), values.words)
        elif isinstance(values, Words):
            table[name] = _interleave(values.columns, shown)
        elif name in ("rank", "level", "success", "position"):
            numbers = np.where(np.isnan(values), -1, values).astype(np.int64)
            table[name] = ints_with_nulls(flat(numbers))
        else:
            table[name] = numbers_with_nulls(flat(values))
        if name == "approved":
            table[name] = pc.cast(table[name], pa.bool_())
        if not reserved:
            roles[name] = "feature"
    for name, places in answers.items():
        if name in ("chosen", "best", "worst"):
            places = _among_offered(places, offered)
        columns[name] = ints_with_nulls(places)
    plain = {}
    for name, column in columns.items():
        free = name
        while free in roles and free in table:
            free += "_"
        if free != name:
            source.notes.append(f"column {name!r} is called {free!r}: a feature has its name")
            roles[free] = "extra"
        plain[free] = column
    rows = pa.table({"kind": from_codes(np.zeros(len(offered), dtype=np.int64), [kind]), **plain})
    if not whole:
        rows = rows.filter(pa.array(keep))
    records = Records(
        rows=rows,
        options=pa.table(table),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        roles=roles,
        notes=tuple(source.notes),
    )
    return records.normalised()


def _among_offered(places: Array, offered: Array) -> Array:
    """Places among all alternatives as places among those on offer; -1 stays."""
    if offered.all():
        return places
    before = np.cumsum(offered, axis=1) - 1
    moved = before[np.arange(len(places)), np.maximum(places, 0)]
    return np.where(places < 0, -1, moved)


def _interleave(columns: Sequence[Any], shown: Array) -> Any:
    """Columns [B] of K alternatives as one column of all options shown, in menu order."""
    num_lines = len(shown)
    kind = next(c.type for c in columns if c is not None and not pa.types.is_null(c.type))
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    plain = [pa.nulls(num_lines, kind) if c is None else pc.cast(c, kind) for c in columns]
    line, place = np.nonzero(shown)
    merged = pa.chunked_array(plain)
    return merged.take(pa.array(place * num_lines + line)).combine_chunks()
