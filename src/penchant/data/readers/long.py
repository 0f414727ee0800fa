"""Long tables: one line per option shown, the lines of one observation sharing its columns.

Legend: N lines (options over all menus), B observations.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import (
    combine_codes,
    entry_hashes,
    first_appearance,
    from_codes,
    ints_with_nulls,
    is_number,
    is_text,
    line_hashes,
    mix,
    one_chunk,
    to_codes,
    to_dictionary,
    to_floats,
    to_ints,
)
from penchant.data.readers.source import (
    Source,
    code_lookup,
    option_name,
    rating_levels,
    turned_note,
)
from penchant.data.records import Records
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class _Menus:
    """Lines sorted into observations: `order` sorts them, `of_line` is the observation of each
    sorted line, `start` [B] its first sorted line."""

    order: Array | None
    of_line: Array
    start: Array

    def sorted(self, values: Array) -> Array:
        return values if self.order is None else values[self.order]

    def unsorted(self, mask: Array) -> Array:
        if self.order is None:
            return mask
        back = np.empty_like(mask)
        back[self.order] = mask
        return back

    def any(self, mask: Array) -> Array:
        """[B] whether the mask (in file order) holds on some line of the observation."""
        return np.maximum.reduceat(self.sorted(mask), self.start)

    def total(self, values: Array) -> Array:
        return np.add.reduceat(self.sorted(values).astype(np.int64), self.start)


def to_records(source: Source) -> Records:
    """Records of a long table; lines of one observation need not stand together."""
    said = source.description
    kind = said.kind or "choice"
    if said.offered is not None:
        _leave_out_unoffered(source)
    menus = _menus(source)
    if _has_doubled(source, menus):
        menus = _menus(source)
    option = None
    if said.option:
        named = source.column(said.option)
        # A column without a single name says that options have none.
        absent = np.asarray(pc.is_null(named)) & (named.null_count < len(named))
        source.bad.add(absent, said.option, named, "the name of an option",
                       "fill it in")  # fmt: skip
        option = to_dictionary(named)
    table: dict[str, Any] = {}
    if option is not None:
        table["option"] = option
    for name in ("position", "propensity", "text"):
        given = getattr(said, name)
        if given is not None:
            table[name] = source.column(given)
    roles: dict[str, str] = {}
    everywhere = np.ones(source.num_lines, dtype=bool)
    for name in said.features:
        column = source.feature(name)
        source.check_missing(name, column, everywhere)
        free = option_name(source, name, table)
        table[free], roles[free] = column, "feature"
    answers, per_option = _answers(source, kind, menus, option)
    table |= per_option
    _check_constant(source, menus)
    # Lines that nobody used and that vary within an observation describe the option.
    for name in source.table.column_names:
        if name not in source.used and name not in (*said.person_features, *said.context):
            column = one_chunk(source.table[name])
            if _varies(column, menus).any():
                free = option_name(source, name, table)
                table[free], roles[free] = column, "extra"
                source.used.add(name)
    columns, row_roles = source.row_columns()
    spoilt = menus.any(source.bad.bad)
    companions = menus.unsorted(spoilt[menus.of_line]) & ~source.bad.bad
    source.bad.add_companions(companions, "another line of the same observation is bad")
    return _gather(source, kind, menus, ~spoilt, table, columns, roles, row_roles, answers)


def _gather(
    source: Source,
    kind: str,
    menus: _Menus,
    keep: Array,
    table: dict[str, Any],
    columns: dict[str, Any],
    roles: dict[str, str],
    row_roles: dict[str, str],
    answers: dict[str, Array],
) -> Records:
    sizes = np.diff(np.append(menus.start, len(menus.of_line)))
    lines = np.arange(len(menus.of_line)) if menus.order is None else menus.order
    first = lines[menus.start][keep]
    options = pa.table(table) if table else pa.table({"option": pa.nulls(source.num_lines)})
    if menus.order is not None or not keep.all():
        options = options.take(pa.array(lines[keep[menus.of_line]]))
    rows: dict[str, Any] = {"kind": from_codes(np.zeros(len(first), dtype=np.int64), [kind])}
    for name, column in columns.items():
        free = name
        while free in roles:
            free += "_"
        if free != name:
            source.notes.append(f"column {name!r} is called {free!r}: a feature has its name")
        rows[free] = column.take(pa.array(first))
        if name in row_roles:
            roles = {**roles, free: row_roles[name]}
    for name, places in answers.items():
        rows[name] = ints_with_nulls(places[keep])
    return Records(
        rows=pa.table(rows),
        options=options,
        offsets=np.concatenate([[0], np.cumsum(sizes[keep])]).astype(np.int64),
        roles=roles,
        notes=tuple(source.notes),
    ).normalised()


def _leave_out_unoffered(source: Source) -> None:
    offered = source.flag(source.description.offered or "")
    if offered.all():
        return
    answer = source.description.answer
    if answer is not None and not is_text(source.table[answer].type):
        taken = to_floats(source.table[answer]) > 0
        source.bad.add(
            taken & ~offered, f"the chosen option ({answer})", one_chunk(source.table[answer]),
            f"an option on the menu, but {source.description.offered} says it was not on offer",
            "correct the availability or the choice",
        )  # fmt: skip
    # A bad line stays, so that its whole observation is set aside with it.
    keep = offered | source.bad.bad
    source.notes.append(f"{int((~keep).sum())} of {len(keep)} lines were not on offer")
    source.table = source.table.filter(pa.array(keep))
    source.bad.leave(keep)


def _menus(source: Source) -> _Menus:
    said = source.description
    keys = [name for name in (said.person, *said.situation) if name]
    if not keys:
        raise ConfigError(
            "the description of a long table does not say which lines belong together; expected "
            '`situation = ["task"]` (and `person`, if tasks are numbered within a person) under '
            "[rows]."
        )
    code = None
    for name in keys:
        if name in said.situation and source.table[name].null_count:
            absent = np.asarray(one_chunk(pc.is_null(source.table[name])))
            source.bad.add(absent, name, source.table[name], "the name of the observation",
                           "fill it in")  # fmt: skip
        fresh = _integer_codes(source.table[name])
        code = fresh if code is None else first_appearance(combine_codes(code, fresh))[0]
    number, _ = first_appearance(np.asarray(code))
    order = None
    if len(number) and (np.diff(number) < 0).any():
        order = np.argsort(number, kind="stable")
        number = number[order]
    start = np.flatnonzero(np.diff(number, prepend=-1))
    return _Menus(order=order, of_line=number, start=start)


def _integer_codes(column: Any) -> Array:
    """Small whole numbers are their own codes; anything else is encoded."""
    if pa.types.is_integer(column.type) and not column.null_count:
        values = to_ints(column)
        if len(values) and int(values.max()) - int(values.min()) <= 8 * len(values) + 1024:
            return values - values.min()
    return to_codes(column)[0]


def _answers(
    source: Source, kind: str, menus: _Menus, option: Any
) -> tuple[dict[str, Array], dict[str, Any]]:
    said = source.description
    if said.answer is None:
        if kind not in ("choice", "edit"):
            raise ConfigError(
                f"the description says that the answer is a {kind}, but names no column; expected "
                '`column = "NAME"` under [answer].'
            )
        source.notes.append("no answer column: nobody has answered yet")
        return {"chosen": np.full(len(menus.start), -1)}, {}
    if kind in ("choice", "edit"):
        return {"chosen": _marked(source, said.answer, menus, option)}, {}
    if kind == "best_worst":
        return {
            "best": _marked(source, said.answer, menus, option),
            "worst": _marked(source, said.worst or "", menus, option),
        }, {}
    if kind not in PER_OPTION:
        raise ConfigError(
            f"a long table cannot hold answers of kind {kind!r}; expected choice, edit, "
            f"best_worst, {', '.join(PER_OPTION)}. Pairs have a layout of their own."
        )
    return {}, {PER_OPTION[kind][0]: answer_of(source, kind, said.answer)}


def _ranks(source: Source, name: str) -> Any:
    column = source.column(name)
    ranks = to_floats(column)
    missing = np.isnan(ranks)
    source.bad.add(
        ~missing & ((ranks < 0) | (ranks != np.floor(ranks))), name, column,
        "a whole number, 1 for the best (0 or null: not ranked)", "correct the rank",
    )  # fmt: skip
    return ints_with_nulls(np.where(missing, 0, ranks).astype(np.int64), missing=0)


def _flags(source: Source, name: str) -> Any:
    missing = np.asarray(pc.is_null(one_chunk(source.table[name])))
    return pa.array(source.flag(name) ^ source.description.low_is_good, mask=missing)


def _successes(source: Source, name: str) -> Any:
    missing = np.asarray(pc.is_null(one_chunk(source.table[name])))
    success = source.flag(name) ^ source.description.low_is_good
    return pa.array(success.astype(np.int64), mask=missing)


def _values(source: Source, name: str) -> Any:
    column = source.feature(name)
    values = to_floats(column)
    source.bad.add(np.isinf(values), name, column, "a finite number", "correct the value")
    if source.description.low_is_good:
        values = -values
    return pa.array(values, mask=np.isnan(values))


PER_OPTION: dict[str, tuple[str, Callable[[Source, str], Any]]] = {
    "ranking": ("rank", _ranks),
    "rating": ("level", rating_levels),
    "approval": ("approved", _flags),
    "binary": ("success", _successes),
    "outcome": ("value", _values),
}


def answer_of(source: Source, kind: str, name: str) -> Any:
    """The column that answers each option, higher better."""
    if source.description.low_is_good:
        source.notes.append(turned_note(name))
    return PER_OPTION[kind][1](source, name)


def _marked(source: Source, name: str, menus: _Menus, option: Any) -> Array:
    """[B] the place of the option that the column marks, by a flag or by the option's name."""
    if not name:
        raise ConfigError("the answer is best_worst, but `answer.worst` names no column.")
    column = source.column(name)
    missing = np.asarray(pc.is_null(column))
    if is_text(column.type) and option is not None and _names_options(column, option):
        codes, values = to_codes(column)
        named, names = to_codes(option)
        meaning = code_lookup(values, source.description.codes, [str(n) for n in names])
        mark = meaning[codes] == named
        outside = source.description.outside_option
        if outside is not None:
            # Marking nothing is an answer here, so that a word misspelt must not pass for it.
            known_words = code_lookup(values, source.description.codes, [*map(str, names), outside])
            source.bad.add(
                known_words[codes] == -2, name, column, f"an option's name, or {outside!r}",
                "correct the word, or say under [codes] what it means",
            )  # fmt: skip
    else:
        mark = source.flag(name)
        if is_number(column.type):
            numbers = to_floats(column)
            odd = ~missing & (numbers != 0) & (numbers != 1)
            source.bad.add(odd, name, column, "1 or 0", "correct the value")
    count = menus.total(mark)
    known = menus.any(~missing)
    nothing_is_marked = (count == 0) & known
    if source.description.outside_option is not None:
        nothing_is_marked = np.zeros_like(nothing_is_marked)
    for wrong, got in ((nothing_is_marked, "no"), (count > 1, "more than one")):
        on_line = np.zeros(len(mark), dtype=bool)
        on_line[menus.start] = wrong
        source.bad.add(
            menus.unsorted(on_line), f"the observation that begins here: {name}",
            pa.array([f"set for {got} option"]).take(pa.array(np.zeros(len(mark), dtype=int))),
            "exactly one option of every observation marked with 1 (the chosen option must be on "
            "the menu)", "mark one option, or name the columns that tell observations apart "
            "under `rows.situation`",
        )  # fmt: skip
    place = np.arange(len(mark)) - menus.start[menus.of_line]
    chosen = np.full(len(menus.start), -1)
    hit = np.flatnonzero(menus.sorted(mark))
    chosen[menus.of_line[hit]] = place[hit]
    return chosen


def _has_doubled(source: Source, menus: _Menus) -> bool:
    """Whether lines that repeat one of the same observation in every column, an option shown
    twice, have left the table: all that such an observation needs is to have them once.

    Where neither a column names the options nor the answer is marked on the line, two profiles of
    a menu may well be alike.
    """
    said = source.description
    hashes = mix(menus.sorted(line_hashes(source.table)), menus.of_line.astype(np.uint64))
    ordered = np.sort(hashes)  # twice as fast as the stable order, which is seldom needed
    if not (ordered[1:] == ordered[:-1]).any():
        return False
    order = np.argsort(hashes, kind="stable")
    again = np.zeros(len(hashes), dtype=bool)
    again[order[1:]] = hashes[order[1:]] == hashes[order[:-1]]
    again = menus.unsorted(again)
    if said.option is None:
        if said.answer is None or is_text(source.table[said.answer].type):
            return False
        again &= to_floats(source.table[said.answer]) > 0
    name = said.option or str(said.answer)
    source.bad.add(
        again, name, one_chunk(source.table[name]),
        "each option once: this line repeats an earlier line of its observation in every column",
        "remove the doubled lines (pandas: drop_duplicates), or name the columns that tell "
        "observations apart under `rows.situation`",
    )  # fmt: skip
    if said.option is None or not again.any():
        # Which of two unnamed profiles was chosen cannot be told.
        return False
    source.table = source.table.filter(pa.array(~again))
    source.bad.leave(~again)
    return True


def _names_options(column: Any, option: Any) -> bool:
    known = set(to_codes(option)[1])
    return any(str(value) in known for value in to_codes(column)[1] if value is not None)


def _check_constant(source: Source, menus: _Menus) -> None:
    said = source.description
    single = [said.time, said.weight, said.source, *said.person_features, *said.context]
    for name in single:
        if name is None or name not in source.table.column_names:
            continue
        column = one_chunk(source.table[name])
        source.bad.add(
            menus.unsorted(_varies(column, menus)), name, column,
            "the value of the observation's first line (it describes the observation, not the "
            "option)", "correct it, or name the column under `options.features`",
        )  # fmt: skip


def _varies(column: Any, menus: _Menus) -> Array:
    """[N], in sorted order: where a line differs from the line before it of one observation."""
    values = entry_hashes(column)
    values = menus.sorted(values)
    differs = np.zeros(len(values), dtype=bool)
    differs[1:] = (values[1:] != values[:-1]) & (menus.of_line[1:] == menus.of_line[:-1])
    return differs
