"""Whom a model understands least: its loss among people and in situations of each kind.

Legend: B observations judged, Z subgroups.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int

from penchant.data.columns import is_number, to_codes, to_dictionary, to_floats
from penchant.data.records import Records
from penchant.encoders.formula import closest
from penchant.errors import ConfigError
from penchant.evaluation.predictions import Predictions
from penchant.metrics.intervals import dense_codes
from penchant.metrics.subgroup import Subgroups, by_subgroup
from penchant.numerics.arrays import Array

_MOST_LEVELS = 12


@dataclass(frozen=True, eq=False)
class Membership:
    """Which judged observations belong to which subgroup."""

    names: tuple[str, ...]
    member: Bool[Array, "B Z"]


def losses_by_subgroup(
    predictions: Predictions,
    records: Records,
    columns: Sequence[str],
    generator: np.random.Generator,
    min_people: int = 10,
    level: float = 0.95,
) -> Subgroups:
    """Nats per choice in each subgroup, with intervals that hold for all at once.

    Subgroups are the levels of each column of the rows; numbers of more than 12 values are parted
    at their quartiles. Subgroups of fewer than `min_people` people are left out.

    Raises ConfigError if the records have no such column, or no subgroup is left.
    """
    found = large_subgroups(records, columns, predictions.row, predictions.person, min_people)
    return by_subgroup(
        predictions.losses,
        found.member,
        found.names,
        predictions.person,
        generator,
        predictions.weight,
        level,
    )


def large_subgroups(
    records: Records,
    columns: Sequence[str],
    rows: Int[Array, " B"],
    person: Int[Array, " B"],
    min_people: int = 10,
) -> Membership:
    """Which of these rows are in which subgroup of at least so many people.

    Raises ConfigError as `losses_by_subgroup` does, which needs predictions: this can be asked
    before anything was fitted.
    """
    found = [_members(records, column, rows) for column in columns]
    names = [name for each in found for name in each.names]
    member = np.concatenate([each.member for each in found], axis=1)
    codes, _ = dense_codes(person)
    people = np.array([len(np.unique(codes[column])) for column in member.T])
    kept = np.flatnonzero(people >= min_people)
    if not len(kept):
        raise ConfigError(
            f"no subgroup by {', '.join(columns)} has {min_people} people, the largest has "
            f"{people.max(initial=0)}; expected at least one. Name columns that more people share "
            "(in Python `min_people` asks for fewer)."
        )
    return Membership(tuple(names[z] for z in kept), member[:, kept])


def _members(records: Records, column: str, rows: Array) -> Membership:
    if column not in records.rows.column_names:
        raise ConfigError(
            f"the rows have no column {column!r}. {closest(column, records.rows.column_names)}"
        )
    values = records.rows[column]
    codes, words = to_codes(to_dictionary(values))
    if is_number(values.type) and len(words) > _MOST_LEVELS:
        return _quartiles(column, to_floats(values), rows)
    order = sorted(range(len(words)), key=lambda w: _sort_key(words[w]))
    member = codes[rows][:, None] == np.array(order, dtype=np.int64)
    return Membership(tuple(f"{column} = {words[w]}" for w in order), member)


def _quartiles(column: str, values: Array, rows: Array) -> Membership:
    cuts = np.unique(np.nanquantile(values, [0.25, 0.5, 0.75]))
    ends = [-np.inf, *cuts, np.inf]
    # Printed ends are rounded; membership is not.
    names = [
        f"{column} up to {high:.4g}" if z == 0
        else f"{column} above {low:.4g}" if z == len(cuts)
        else f"{column} {low:.4g} to {high:.4g}"
        for z, (low, high) in enumerate(pairwise(ends))
    ]  # fmt: skip
    member = [(values[rows] > low) & (values[rows] <= high) for low, high in pairwise(ends)]
    return Membership(tuple(names), np.stack(member, axis=1))


def _sort_key(word: str) -> tuple[float, str]:
    try:
        return float(word), ""
    except ValueError:
        return np.inf, word
