"""The win matrix of a page: of every two items, how often one was put above the other.

Legend: N items, E entries over all menus.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.data.pair_counts import PairCounts
from penchant.data.rankings import Rankings
from penchant.numerics.arrays import Array

# More than a reader takes in at once.
MOST_CELLS = 16


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One pair: the share of decided votes that the row's item won, and what the scores expect.

    Of rankings: the share, of those that held both and put them apart, that put the row's item
    above; `ties` left them together. expected is None where scores foretell no such share.
    """

    share: float
    expected: float | None
    votes: float
    ties: float

    @property
    def is_met(self) -> bool:
        return self.votes + self.ties > 0

    @property
    def is_surprise(self) -> bool:
        """Whether the share is three standard errors away from what the scores expect."""
        if self.votes < 5 or self.expected is None:
            return False
        error = np.sqrt(self.expected * (1.0 - self.expected) / self.votes)
        return bool(abs(self.share - self.expected) > 3.0 * error)


@dataclass(frozen=True, kw_only=True, eq=False)
class Met:
    """Votes of each pair, by places on the board: wins[i, j] of i over j."""

    wins: Float[Array, "N N"]
    ties: Float[Array, "N N"]


def met_in_votes(counts: PairCounts, order: Int[Array, " N"]) -> Met | None:
    """Of all items, `order` being their places on the board; None where they are very many."""
    if len(order) > 2_000:
        return None
    place = _places(order)
    wins, ties = np.zeros((2, len(order), len(order)))
    first, second = place[counts.first], place[counts.second]
    wins[first, second], wins[second, first] = counts.first_wins, counts.second_wins
    ties[first, second], ties[second, first] = counts.ties, counts.ties
    return Met(wins=wins, ties=ties)


def met_in_rankings(rankings: Rankings, order: Int[Array, " N"]) -> Met:
    """Of the best `MOST_CELLS` items, how many rankings put each above each, by weight.

    Counting alone: scores never rest on pairs of a ranking, which are not independent."""
    size = min(len(order), MOST_CELLS)
    place = _places(order)[rankings.item]
    kept = np.flatnonzero(place < size)
    item, tier, row = place[kept], rankings.tier[kept], rankings.ranking[kept]
    wins, ties = np.zeros((2, size * size))
    # Entries of a ranking stand together, so that pairs are those that lie so far behind each
    # other; no menu holds more than the items shown.
    for behind in range(1, size):
        first = np.flatnonzero(row[behind:] == row[:-behind])
        second = first + behind
        weight = rankings.weight[row[first]]
        is_apart = tier[first] < tier[second]
        at = item[first] * size + item[second]
        wins += np.bincount(at, weight * is_apart, len(wins))
        ties += np.bincount(at, weight * ~is_apart, len(ties))
    tied = ties.reshape(size, size)
    return Met(wins=wins.reshape(size, size), ties=tied + tied.T)


def ranked_cells(
    rankings: Rankings, order: Int[Array, " N"], foretold: Callable[[Array], Array]
) -> tuple[tuple[Cell | None, ...], ...]:
    """The matrix of rankings; `foretold` are chances of the places on the board given.

    Of two items that a ranking puts apart the chance that one is above is that of the pair alone:
    in the race of exponential times that Plackett and Luce's model is, who of two is faster does
    not depend on when the faster arrives, nor therefore on whether that was early enough to be
    ranked. Of ties above other items this is not so: then nothing is foretold.
    """
    met = met_in_rankings(rankings, order)
    has_ties = bool(rankings.has_ties.any())
    return cells(met, None if has_ties else foretold(np.arange(len(met.wins))))


def cells(met: Met, probability: Array | None) -> tuple[tuple[Cell | None, ...], ...]:
    """A row for each of the best items, None beside itself."""
    size = min(len(met.wins), MOST_CELLS)
    return tuple(
        tuple(None if i == j else _cell(met, probability, i, j) for j in range(size))
        for i in range(size)
    )


def _cell(met: Met, probability: Array | None, i: int, j: int) -> Cell:
    decided = met.wins[i, j] + met.wins[j, i]
    return Cell(
        share=float(met.wins[i, j] / decided) if decided else float("nan"),
        expected=None if probability is None else float(probability[i, j]),
        votes=float(decided), ties=float(met.ties[i, j]),
    )  # fmt: skip


def _places(order: Int[Array, " N"]) -> Int[Array, " N"]:
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place
