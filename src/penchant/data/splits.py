"""Ways to part observations into what is learnt from and what is judged on.

All answer with places of observations in the records, ascending.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from penchant.data.batch_builder import groups_of
from penchant.data.columns import (
    first_appearance,
    is_number,
    one_chunk,
    place_within,
    to_codes,
    to_floats,
)
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Observations to learn from and observations to be judged on."""

    train: Int[Array, " B"]
    test: Int[Array, " C"]


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownPeopleSplit:
    """Known people: what others did, what these did first (revealed), what they did next (judged).

    `train` is what a model may learn from: everything of the others and the first answers of
    these.
    """

    others: Int[Array, " B"]
    history: Int[Array, " H"]
    test: Int[Array, " C"]

    @property
    def train(self) -> Int[Array, " T"]:
        return np.sort(np.concatenate([self.others, self.history]))


def person_folds(people: Records | Any, num_folds: int = 5, seed: int = 0) -> tuple[Split, ...]:
    """K folds by person: nobody is in both halves of a fold, everybody is judged once.

    `people` is records (an observation without a person is a person of its own) or one id per
    observation. Sizes differ by one person at most; equal ids and seed give equal folds, whatever
    else the records hold.
    """
    return _folds(_people(people), num_folds, seed, "people")


def situation_folds(
    records: Records, num_folds: int = 5, seed: int = 0, column: str = "situation"
) -> tuple[Split, ...]:
    """K folds by situation (or by any other column of rows): new situations for known people."""
    return _folds(groups_of(records, column).of_row, num_folds, seed, f"values of {column}")


def held_out_people(people: Records | Any, share: float = 0.2, seed: int = 0) -> Split:
    """One split by person, about `share` of all people held out."""
    if not 0 < share < 1:
        raise ConfigError(
            f"the share of people to hold out is {share}; expected more than 0 and less than 1, "
            "for example 0.2."
        )
    code = _people(people)
    num_people = int(code.max(initial=-1)) + 1
    count = min(max(round(share * num_people), 1), num_people - 1)
    if num_people < 2:
        raise DataError(
            f"there are {num_people} people; expected at least two to hold some out. Split by "
            "time or by situation instead."
        )
    held = np.zeros(num_people, dtype=bool)
    held[np.random.default_rng(seed).permutation(num_people)[:count]] = True
    return Split(train=np.flatnonzero(~held[code]), test=np.flatnonzero(held[code]))


def by_time(records: Records, share: float = 0.2, column: str = "time") -> Split:
    """The latest `share` of the observations is judged on all earlier ones.

    Observations of one moment stay together, on the side of the future.
    """
    if column not in records.rows.column_names:
        raise DataError(
            f"the records have no column {column!r}; expected the time of each observation. Name "
            "it under `rows.time` in the description."
        )
    moment = _sortable(records.rows[column])
    unknown = np.isnan(moment)
    if unknown.any():
        raise DataError(
            f"observation {int(np.argmax(unknown))} has no {column} ({int(unknown.sum())} of "
            f"{len(moment)} are like this); expected a time for each. Drop these observations."
        )
    ordered = np.sort(moment)
    cut = ordered[min(int(np.ceil((1 - share) * len(ordered))), len(ordered) - 1)]
    if cut == ordered[0]:
        raise DataError(
            f"no observation is earlier than the latest {share:.0%} of them; expected several "
            f"different values of {column}. Use a larger share, or split by person."
        )
    return Split(train=np.flatnonzero(moment < cut), test=np.flatnonzero(moment >= cut))


def within_person(
    records: Records, num_known: int, order_by: str | None = None
) -> KnownPeopleSplit:
    """Everybody's first `num_known` observations are revealed, the rest is judged.

    First means first in the records, or by the column `order_by` (ties as in the records). People
    with no more than `num_known` observations are all history.
    """
    first = _is_among_first(records, num_known, order_by)
    return KnownPeopleSplit(
        others=np.zeros(0, dtype=np.int64),
        history=np.flatnonzero(first),
        test=np.flatnonzero(~first),
    )


def known_people_folds(
    records: Records,
    num_known: int,
    num_folds: int = 5,
    seed: int = 0,
    order_by: str | None = None,
) -> tuple[KnownPeopleSplit, ...]:
    """The folds of `person_folds`, with the first `num_known` answers of the held-out revealed."""
    first = _is_among_first(records, num_known, order_by)
    return tuple(
        KnownPeopleSplit(
            others=fold.train,
            history=fold.test[first[fold.test]],
            test=fold.test[~first[fold.test]],
        )
        for fold in person_folds(records, num_folds, seed)
    )


def _folds(code: Array, num_folds: int, seed: int, what: str) -> tuple[Split, ...]:
    count = int(code.max(initial=-1)) + 1
    if count < 2:
        raise ConfigError(
            f"folds keep {what} apart, and the records have {count}; expected two or more. Name "
            f"what tells {what} apart in the description, or judge on records kept aside."
        )
    if not 2 <= num_folds <= count:
        raise ConfigError(
            f"{count} {what} cannot be parted into {num_folds} folds; expected from 2 to {count} "
            "folds. Use fewer."
        )
    fold = np.empty(count, dtype=np.int64)
    fold[np.random.default_rng(seed).permutation(count)] = np.arange(count) % num_folds
    of_row = fold[code]
    return tuple(
        Split(train=np.flatnonzero(of_row != k), test=np.flatnonzero(of_row == k))
        for k in range(num_folds)
    )


def _people(people: Records | Any) -> Array:
    if isinstance(people, Records):
        return groups_of(people, "person").of_row
    ids = pa.array(np.asarray(people).tolist())
    return first_appearance(to_codes(ids)[0])[0]


def _is_among_first(records: Records, num_known: int, order_by: str | None) -> Array:
    if num_known < 1:
        raise ConfigError(
            f"{num_known} answers of each person are to be known; expected at least 1."
        )
    group = groups_of(records, "person").of_row
    moment = None if order_by is None else _sortable(records.rows[order_by])
    return place_within(group, moment) < num_known


def _sortable(column: Any) -> Array:
    """Numbers that sort as the column does: times as they run, words as they are spelt."""
    array = one_chunk(column)
    if pa.types.is_temporal(array.type):
        from penchant.data.columns import to_ints

        moments = to_ints(array, missing=np.iinfo(np.int64).min).astype(np.float64)
        return np.where(moments <= np.iinfo(np.int64).min, np.nan, moments)
    if is_number(array.type):
        return to_floats(array)
    codes, values = to_codes(array)
    place = np.empty(len(values) + 1)
    place[np.argsort(np.asarray(values, dtype=object), kind="stable")] = np.arange(len(values))
    place[-1] = np.nan
    return place[codes]
