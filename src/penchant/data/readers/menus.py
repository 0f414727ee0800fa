"""Menus spelled out in columns (option_a, option_b, ...): best-worst answers and rankings.

Legend: B lines, K columns of the menu, J columns of the answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from penchant.data.columns import is_number, one_chunk, to_codes, to_floats
from penchant.data.readers.pairs import option_codes
from penchant.data.readers.source import Source, code_lookup
from penchant.data.readers.wide import Codes, assemble, spread_columns
from penchant.data.records import Records
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array

# What stands between the items of a ranking written in one cell.
BEFORE, EQUAL = ">", "="


def best_worst(source: Source) -> Records:
    """Records of tasks where people named the best and the worst option of a menu."""
    said = source.description
    options = option_codes(source, said.option_columns)
    offered = _offered(source, options)
    if said.answer is None or said.worst is None:
        raise ConfigError(
            "the description of a best-worst table names "
            f"best = {said.answer!r} and worst = {said.worst!r}; expected two columns: `column` "
            "and `worst` under [answer]."
        )
    best = _place(source, said.answer, options, offered)
    worst = _place(source, said.worst, options, offered)
    source.bad.add(
        (best == worst) & (best >= 0), said.worst, source.table[said.worst],
        f"another option than the best ({said.answer})", "drop the line",
    )  # fmt: skip
    spread = _features(source, offered)
    return assemble(
        source, "best_worst", offered, spread, {"best": best, "worst": worst}, options=options
    )


def rankings(source: Source) -> Records:
    """Records of rankings whose answer columns name the options, best first.

    One column alone may hold rankings as they are written down, "A > B = C", or as lists of names;
    columns that are themselves the alternatives hold the rank of each, 1 for the best. The menu is
    that of `options.columns`, or `options.alternatives`, or every option that any answer names, or
    (`options.menus_differ`) what the answer itself names. Options of a menu that an answer leaves
    out are not ranked: worse than all ranked.
    """
    _spell_out(source)
    said = source.description
    if not said.answer_columns:
        raise ConfigError(
            'the description of rankings names no answer; expected `columns = ["first", "second"]` '
            "under [answer], best first, or `column` with a list of names on each line (for one "
            "rank column per line, the layout is long)."
        )
    if said.answer_columns == said.alternatives:
        return _assembled(source, _codes_of(source, said.alternatives), _ranks_held(source))
    if len(said.answer_columns) == 1 and not said.option_columns:
        written = _written_out(source, said.answer_columns[0])
        if written is not None:
            return _assembled(source, *written)
    if said.option_columns:
        options = option_codes(source, said.option_columns)
    else:
        options = _same_menu(source)
    offered = _offered(source, options)
    rank = np.zeros(offered.shape)
    for number, name in enumerate(said.answer_columns, start=1):
        place = _place(source, name, options, offered)
        named = np.flatnonzero(place >= 0)
        twice = np.zeros(len(place), dtype=bool)
        twice[named] = rank[named, place[named]] > 0
        source.bad.add(twice, name, source.table[name], "an option that has no rank yet",
                       "correct the line")  # fmt: skip
        rank[named, place[named]] = number
    return _assembled(source, options, rank)


def _assembled(source: Source, options: Codes, rank: Array) -> Records:
    """Records of these menus and ranks, 0 where an option was not ranked."""
    if source.description.menus_differ:
        options = Codes(codes=np.where(rank > 0, options.codes, -1), words=options.words)
    elif not source.description.option_columns:
        _tell_of_unranked(source, rank)
    offered = _offered(source, options)
    spread = {"rank": np.where(rank == 0, np.nan, rank), **_features(source, offered)}
    return assemble(source, "ranking", offered, spread, {}, options=options)


def _tell_of_unranked(source: Source, rank: Array) -> None:
    """Who is taken to have lost by not being named: nobody may have shown them."""
    some = int(((rank > 0).any(axis=1) & (rank == 0).any(axis=1)).sum())
    if some:
        source.notes.append(
            f"{some} of {len(rank)} rankings leave options out, which are taken to come after all "
            "that they name. If instead a menu holds what its line names, say so (`menus_differ = "
            "true` under [options]; --menus-differ of `penchant rank`)"
        )


def _ranks_held(source: Source) -> Array:
    """[B, K] the ranks in columns that are the options."""
    found = []
    for name in source.description.answer_columns:
        column = source.column(name)
        ranks = to_floats(column) if is_number(column.type) else np.full(source.num_lines, np.inf)
        missing = np.isnan(ranks)
        source.bad.add(
            ~missing & ((ranks < 0) | (ranks != np.floor(ranks)) | np.isinf(ranks)), name, column,
            "a whole number, 1 for the best (0 or null: not ranked)", "correct the rank",
        )  # fmt: skip
        found.append(np.where(missing | np.isinf(ranks), 0.0, ranks))
    return np.column_stack(found)


def _written_out(source: Source, name: str) -> tuple[Codes, Array] | None:
    """Menus and ranks of rankings such as "A > B = C"; None where no cell holds one."""
    codes, values = to_codes(source.column(name))
    if not any(BEFORE in str(value) for value in values):
        return None
    tiers = [
        [[word.strip() for word in tier.split(EQUAL)] for tier in str(value).split(BEFORE)]
        for value in values
    ]
    named = [[word for tier in ranking for word in tier] for ranking in tiers]
    is_slip = np.array([len({*words}) < len(words) or "" in words for words in named] + [False])
    source.bad.add(
        is_slip[codes], name, source.table[name],
        "every option once, with > between a better and a worse one and = between equals",
        "correct the line",
    )  # fmt: skip
    names = sorted({*source.description.alternatives, *(w for words in named for w in words)})
    place = {word: number for number, word in enumerate(names)}
    rank = np.zeros((len(values) + 1, len(names)))
    for number, ranking in enumerate(tiers):
        for tier, words in enumerate(ranking, start=1):
            rank[number, [place[word] for word in words]] = tier
    if not source.description.menus_differ:
        source.notes.append(f"every menu is taken to hold all {len(names)} options that occur")
    return _codes_of(source, names), rank[codes]


def _codes_of(source: Source, names: Sequence[str]) -> Codes:
    """The same menu on every line."""
    codes = np.broadcast_to(np.arange(len(names)), (source.num_lines, len(names)))
    return Codes(codes=codes, words=list(names))


def _spell_out(source: Source) -> None:
    """A column of lists becomes a column for each place in the ranking."""
    said = source.description
    if said.answer_columns or said.answer is None:
        return
    column = one_chunk(source.table[said.answer])
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        return
    lists = [entry or [] for entry in column.to_pylist()]
    names = tuple(f"{said.answer}[{at + 1}]" for at in range(max(map(len, lists), default=0)))
    for at, name in enumerate(names):
        told = [str(entry[at]) if at < len(entry) else None for entry in lists]
        source.table = source.table.append_column(name, pa.array(told, pa.string()))
    source.used.add(said.answer)
    source.description = replace(said, answer=None, answer_columns=names)


def _same_menu(source: Source) -> Codes:
    said = source.description
    names = list(said.alternatives)
    if not names:
        seen = [to_codes(source.table[name])[1] for name in said.answer_columns]
        names = sorted({str(value) for part in seen for value in part if value is not None})
        if not said.menus_differ:
            source.notes.append(f"every menu is taken to hold all {len(names)} options that occur")
    return _codes_of(source, names)


def _offered(source: Source, options: Codes) -> Array:
    offered = options.codes >= 0
    source.bad.add(~offered.any(axis=1), "the number of options on the menu",
                   pa.array(offered.sum(axis=1)), "at least one",
                   "name what was on offer")  # fmt: skip
    return np.asarray(offered)


def _features(source: Source, offered: Array) -> dict[str, Any]:
    said = source.description
    sides = said.option_columns or said.alternatives
    return {
        feature: spread_columns(source, feature, sides, columns, offered)
        for feature, columns in said.feature_columns.items()
    }


def _place(source: Source, name: str, options: Codes, offered: Array) -> Array:
    """[B] which column of the menu an answer means; -1 where there is none.

    An answer may be a value under [codes] or a column's name, a letter (A is the first column), a
    number from 1, or the option's own name.
    """
    said = source.description
    column = source.column(name)
    codes, values = to_codes(column)
    sides = said.option_columns or tuple(options.words)
    own = code_lookup(values, {}, options.words)[codes]
    by_name = np.where(
        ((own[:, None] == options.codes) & (own[:, None] >= 0)).any(axis=1),
        np.argmax(own[:, None] == options.codes, axis=1),
        -2,
    )
    coded = code_lookup(values, said.codes, sides)
    if said.option_columns:
        letters = [chr(ord("a") + i) for i in range(len(sides))]
        numerals = [str(i + 1) for i in range(len(sides))]
        lowered = [None if value is None else str(value).lower() for value in values]
        for known in (letters, numerals):
            found = code_lookup(lowered, {}, known)
            coded = np.where(coded == -2, found, coded)
    place = np.where(by_name >= 0, by_name, coded[codes])
    place = np.where(codes < 0, -1, place)
    known_place = np.maximum(place, 0)
    absent = (place >= 0) & ~offered[np.arange(len(place)), known_place]
    source.bad.add(
        (place == -2) | absent, name, column,
        f"an option on the menu of {', '.join(sides[:8])}{', ...' if len(sides) > 8 else ''}",
        "correct the answer, or say under [codes] which column of the menu it means",
    )  # fmt: skip
    return place
