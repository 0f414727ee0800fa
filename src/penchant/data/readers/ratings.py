"""Ratings, thumbs and rewards: one line per person and item, each a menu of one option."""

from typing import Any

import numpy as np
import pyarrow as pa

from penchant.data.columns import from_codes, is_number, to_dictionary
from penchant.data.readers.long import PER_OPTION, answer_of
from penchant.data.readers.source import Source, option_name
from penchant.data.records import Records
from penchant.errors import ConfigError

# The column of a text's numbers, by which reward models look for them.
_EMBEDDING = "embedding"


def to_records(source: Source) -> Records:
    """Records in which every line is an observation of one option."""
    return one_option_each(source, source.description.kind or "rating")


def one_option_each(source: Source, kind: str) -> Records:
    """Each line an observation of the one option it names, answered by a number."""
    said = source.description
    if kind not in PER_OPTION or kind == "ranking":
        raise ConfigError(
            f"one option at a time cannot be answered by a {kind}; expected rating, approval, "
            "binary or outcome. Set `kind` under [answer]."
        )
    answer = PER_OPTION[kind][0]
    table: dict[str, Any] = {}
    if said.option is not None:
        option = source.column(said.option)
        source.check_missing(said.option, option, np.ones(source.num_lines, dtype=bool))
        table["option"] = to_dictionary(option)
    for name in ("position", "propensity", "text"):
        given = getattr(said, name)
        if given is not None:
            table[name] = source.column(given)
    if said.propensity is not None:
        check_propensity(source, said.propensity)
    roles = {}
    if _EMBEDDING in source.table.column_names and _is_list(source.table[_EMBEDDING].type):
        # Numbers of the text that the line is about, not of who rated it.
        table[_EMBEDDING], roles[_EMBEDDING] = source.column(_EMBEDDING), "extra"
    for name in said.features:
        column = source.feature(name)
        source.check_missing(name, column, np.ones(source.num_lines, dtype=bool))
        free = option_name(source, name, table)
        table[free], roles[free] = column, "feature"
    if said.answer is not None:
        table[answer] = answer_of(source, kind, said.answer)
    else:
        source.notes.append("no answer column: nobody has answered yet")
        table[answer] = pa.nulls(
            source.num_lines, pa.float64() if answer == "value" else pa.int64()
        )
    columns, row_roles = source.row_columns()
    keep = ~source.bad.bad
    rows: dict[str, Any] = {"kind": from_codes(np.zeros(len(keep), dtype=np.int64), [kind])}
    for name, column in columns.items():
        free = name
        while free in roles:
            free += "_"
        rows[free] = column
        if name in row_roles:
            roles[free] = row_roles[name]
    mask = pa.array(keep)
    return Records(
        rows=pa.table(rows).filter(mask),
        options=pa.table(table).filter(mask),
        offsets=np.arange(int(keep.sum()) + 1),
        roles=roles,
        notes=tuple(source.notes),
    ).normalised()


def _is_list(kind: Any) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def check_propensity(source: Source, name: str) -> None:
    """A propensity is the probability of what was shown: above 0, at most 1."""
    column = source.table[name]
    if not is_number(column.type):
        shares = np.full(source.num_lines, np.nan)
    else:
        shares = np.asarray(column.to_numpy(), dtype=np.float64)
    source.bad.add(
        ~((shares > 0) & (shares <= 1)), name, column,
        "the probability with which this option was shown, above 0 and at most 1",
        "log the policy's own probability",
    )  # fmt: skip
