"""Logs of a policy's decisions: what was shown, with which probability, and what came of it.

Legend: B lines, N options over all menus.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import (
    from_codes,
    is_list,
    is_number,
    numbers_with_nulls,
    one_chunk,
    to_codes,
    to_dictionary,
    to_floats,
    to_ints,
)
from penchant.data.readers.ratings import one_option_each
from penchant.data.readers.source import Source, option_name
from penchant.data.records import Records
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array


def to_records(source: Source) -> Records:
    """Records of decisions: only the option shown, or the whole menu if its column is a list.

    With whole menus, `options.option`, `options.propensity` and `options.features` are columns of
    lists, `answer.action` says which option was taken (its place from 0, or its name), and only
    that option has a value.
    """
    said = source.description
    if said.option is None:
        raise ConfigError(
            "the description of decisions does not say what was shown; expected "
            '`option = "COLUMN"` under [options].'
        )
    kind = said.kind or _kind_of(source)
    if is_list(source.table[said.option].type):
        return _whole_menus(source, kind)
    return one_option_each(source, kind)


def _kind_of(source: Source) -> str:
    answer = source.description.answer
    if answer is None or not is_number(source.table[answer].type):
        return "binary"
    values = to_floats(source.table[answer])
    return "binary" if np.isin(values[~np.isnan(values)], (0, 1)).all() else "outcome"


def _whole_menus(source: Source, kind: str) -> Records:
    said = source.description
    if kind not in ("binary", "outcome"):
        raise ConfigError(
            f"a decision log is answered by {kind!r}; expected binary or outcome. Set `kind` under "
            "[answer]."
        )
    menu = one_chunk(source.column(said.option or ""))
    sizes = _lengths(menu)
    source.bad.add(sizes == 0, said.option or "", menu, "a list of at least one option",
                   "log the menu")  # fmt: skip
    lists = {said.option or "": ("option", menu)}
    roles = {}
    for name in ("position", "propensity", "text"):
        given = getattr(said, name)
        if given is not None:
            lists[given] = (name, one_chunk(source.column(given)))
    for name in said.features:
        free = option_name(source, name, {})
        lists[name] = (free, one_chunk(source.column(name)))
        roles[free] = "feature"
    for name, (_, column) in lists.items():
        source.bad.add(_lengths(column) != sizes, name, column,
                       f"a list as long as {said.option}", "log one entry per option")  # fmt: skip
    taken = _taken(source, menu, sizes)
    value = _reward(source, kind)
    columns, row_roles = source.row_columns()
    keep = ~source.bad.bad
    kept = pa.array(keep)
    options = {new: pc.list_flatten(column.filter(kept)) for new, column in lists.values()}
    options["option"] = to_dictionary(options["option"])
    offsets = np.concatenate([[0], np.cumsum(sizes[keep])]).astype(np.int64)
    spread = np.full(int(offsets[-1]), np.nan)
    spread[offsets[:-1] + taken[keep]] = value[keep]
    if kind == "binary":
        options["success"] = pc.cast(numbers_with_nulls(spread), pa.int64())
    else:
        options["value"] = numbers_with_nulls(spread)
    rows = pa.table({"kind": from_codes(np.zeros(len(keep), dtype=np.int64), [kind]), **columns})
    return Records(
        rows=rows.filter(kept),
        options=pa.table(options),
        offsets=offsets,
        roles=roles | row_roles,
        notes=tuple(source.notes),
    ).normalised()


def _lengths(column: Any) -> Array:
    if not is_list(column.type):
        return np.full(len(column), -1)
    return to_ints(pc.list_value_length(column), missing=0)


def _taken(source: Source, menu: Any, sizes: Array) -> Array:
    """[B] the place, in the menu, of the option that the policy took."""
    said = source.description
    if said.action is None:
        raise ConfigError(
            "the description of decisions with whole menus does not say which option was taken; "
            'expected `action = "COLUMN"` under [answer].'
        )
    column = source.column(said.action)
    flat = to_dictionary(pc.list_flatten(menu))
    names = to_codes(flat)[1]
    values, words = to_codes(to_dictionary(column))
    place_of = {name: i for i, name in enumerate(names)}
    wanted = np.asarray([place_of.get(word, -2) for word in words] + [-1])[values]
    line = np.repeat(np.arange(len(sizes)), sizes)
    hit = np.flatnonzero(to_codes(flat)[0] == wanted[line])
    start = np.cumsum(sizes) - sizes
    place = np.full(len(sizes), -1)
    place[line[hit][::-1]] = (hit - start[line[hit]])[::-1]
    # Decided once for the whole file, so that one bad line changes no other: a number is a place
    # only where no action is the name of any option anywhere.
    if is_number(column.type) and not any(word in place_of for word in words):
        numbers = to_floats(column)
        place = np.where(numbers == np.floor(numbers), numbers, -1).astype(np.int64)
    source.bad.add(
        (place < 0) | (place >= sizes), said.action, column,
        f"an option of the list in {said.option} (its name, or its place from 0)",
        "log the option that was taken",
    )  # fmt: skip
    return place


def _reward(source: Source, kind: str) -> Array:
    said = source.description
    if said.answer is None:
        return np.full(source.num_lines, np.nan)
    if kind == "binary":
        missing = np.asarray(pc.is_null(one_chunk(source.table[said.answer])))
        return np.where(missing, np.nan, source.flag(said.answer).astype(np.float64))
    return to_floats(source.feature(said.answer))
