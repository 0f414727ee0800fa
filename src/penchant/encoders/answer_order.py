"""Judged answers to one prompt as an order, whichever kind of feedback gave it.

Legend: B observations, N answers over all observations.
"""

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from penchant.data.columns import one_chunk, to_floats, to_ints
from penchant.data.records import Records
from penchant.encoders.reward_pairs import pair_outcomes
from penchant.numerics.arrays import Array

# An answer that nothing was said of.
UNHEARD = -1
# Whose answers are compared by a number of each, higher for better.
_NUMBERED = {"outcome": "value", "rating": "level"}


def answer_ranks(records: Records) -> Int[Array, " N"]:
    """Of each answer: 1 for the best, equal where the order is not known, 0 for what was not chosen
    or not ranked (worse than all that were), `UNHEARD` where nothing was said.

    Pairs, choices, edits, rankings, and scores or ratings of several answers to one prompt.
    """
    kinds = records.kinds[records.kind_codes] if len(records) else np.zeros(0, dtype=object)
    row = np.repeat(np.arange(len(records)), records.menu_sizes)
    place = np.arange(len(row)) - records.offsets[:-1][row]
    rank = np.full(len(row), UNHEARD, dtype=np.int64)
    for name, of_kinds in (("outcome", ("pair",)), ("chosen", ("choice", "edit"))):
        mine = np.isin(kinds, of_kinds)[row]
        if mine.any():
            won = to_ints(records.rows[name], missing=-1)[row]
            is_best = (won == place) | ((won == 2) & (name == "outcome"))
            rank = np.where(mine & (won >= 0), is_best.astype(np.int64), rank)
    is_ranking = (kinds == "ranking")[row]
    if is_ranking.any():
        given = to_ints(records.options["rank"], missing=0)
        answered = np.bincount(row[given > 0], minlength=len(records)) > 0
        rank = np.where(is_ranking & answered[row], given, rank)
    for kind, name in _NUMBERED.items():
        mine = (kinds == kind)[row]
        if mine.any():
            values = to_floats(records.options[name])
            missing = np.asarray(pc.is_null(one_chunk(records.options[name]))) | np.isnan(values)
            rank = np.where(mine, _ranks_of(values, mine & ~missing, row), rank)
    return rank


def says_something(records: Records, rank: Int[Array, " N"]) -> Bool[Array, " B"]:
    """Whether some answer of an observation was found better than another."""
    row = np.repeat(np.arange(len(records)), records.menu_sizes)
    most, least = np.full(len(records), UNHEARD), np.full(len(records), np.iinfo(np.int64).max)
    heard = rank != UNHEARD
    np.maximum.at(most, row[heard], rank[heard])
    np.minimum.at(least, row[heard], rank[heard])
    return (most > UNHEARD) & (most != least)


def order_outcomes(records: Records, rank: Int[Array, " N"]) -> Int[Array, " B"]:
    """`pair_outcomes`, of rankings and scores of two answers too: 0 where the first won, 1 where
    the second did, 2 for a tie, else -1."""
    outcome = pair_outcomes(records)
    row = np.repeat(np.arange(len(records)), records.menu_sizes)
    heard = np.bincount(row[rank != UNHEARD], minlength=len(records))
    two = np.flatnonzero((outcome < 0) & (records.menu_sizes == 2) & (heard == 2))
    # Behind all that were ranked comes what was not.
    last = int(rank.max(initial=0)) + 1
    at = records.offsets[:-1][two]
    first, second = (np.where(rank[at + k] == 0, last, rank[at + k]) for k in range(2))
    outcome[two] = np.where(first == second, 2, (second < first).astype(np.int64))
    return outcome


def _ranks_of(values: Array, known: Bool[Array, " N"], row: Int[Array, " N"]) -> Int[Array, " N"]:
    """Within each observation 1 for the greatest, equal ones alike; `UNHEARD` where not known."""
    rank = np.full(len(values), UNHEARD, dtype=np.int64)
    at = np.flatnonzero(known)
    order = at[np.lexsort((-values[at], row[at]))]
    begins = np.diff(row[order], prepend=-1) != 0
    level = np.cumsum((np.diff(values[order], prepend=np.nan) != 0) | begins)
    start = np.maximum.accumulate(np.where(begins, level, 0))
    rank[order] = level - start + 1
    return rank
