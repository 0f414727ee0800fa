"""Voters drawn anew, and any of the richer models fitted to each draw; votes or rankings.

Legend: N items, B votes, V voters, R resamples.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int

from penchant.data.rankings import Rankings
from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.fitting.paired_errors import voter_codes
from penchant.numerics.arrays import Array

Cast = TypeVar("Cast", Votes, Rankings)


def bootstrap_strengths(
    votes: Cast,
    fit: Callable[[Cast], Float[Array, " N"]],
    anchor: Float[Array, " N"],
    island: Int[Array, " N"],
    num_resamples: int,
    generator: np.random.Generator,
    *,
    on_resample: Callable[[int, int], None] | None = None,
) -> Float[Array, "R N"]:
    """Strengths of resamples of voters (Efron 1979; by cluster, Davison and Hinkley 1997).

    As many voters as there are, drawn with replacement, each with all their votes; one drawn twice
    is two voters. `fit` makes strengths of votes; all are brought to the gauge in which the mean by
    `anchor` is 0 on each island. Raises `DataError` for votes without voters, or of a single one.
    """
    code, num_voters = voter_codes(_voter(votes))
    if num_voters < 2:
        raise DataError(
            f"{num_voters} voter cast all {len(votes)} votes; expected at least two to draw from."
        )
    order = np.argsort(code, kind="stable")
    start = np.searchsorted(code[order], np.arange(num_voters + 1))
    draws = np.empty((num_resamples, votes.num_items))
    for r in range(num_resamples):
        found = fit(_redrawn(votes, order, start, generator))
        draws[r] = found - np.bincount(island, anchor * found)[island]
        if on_resample is not None:
            on_resample(r + 1, num_resamples)
    return draws


def _redrawn(
    votes: Cast, order: Int[Array, " B"], start: Int[Array, " V1"], generator: np.random.Generator
) -> Cast:
    drawn = np.sort(generator.integers(0, len(start) - 1, len(start) - 1))
    sizes = np.diff(start)[drawn]
    voter = np.repeat(np.arange(len(drawn)), sizes)
    ahead = np.cumsum(sizes) - sizes
    places = np.repeat(start[drawn] - ahead, sizes) + np.arange(len(voter))
    again = votes.take(order[places])
    return replace(again, voter=voter, voters=tuple(f"draw {v}" for v in range(len(drawn))))


def _voter(votes: Votes | Rankings) -> Int[Array, " B"]:
    if votes.voter is None:
        raise DataError(
            "voters cannot be drawn anew: these votes name none. Name the voters' column, or use "
            'interval "wald", which trusts that votes are independent.'
        )
    return votes.voter
