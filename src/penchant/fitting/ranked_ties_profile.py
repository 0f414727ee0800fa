"""The likelihood of one item by rankings with ties above others, the others where they are.

A tie is a sum over the orders that it hides, which is no sum over meetings; its logarithm is still
concave in the item's strength: the arrival times of an exponential race are log-concave, and so is
the chance that all of a tie come before the rest (Prékopa 1973).

Legend: R rankings, E (item, ranking) pairs, N items, K options of a menu, A items asked about.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.data.rankings import Rankings
from penchant.feedback import ranking
from penchant.fitting.item_profile import Curve, Further
from penchant.fitting.ranked import TiedPart
from penchant.numerics.arrays import Array

# Pairs times squares of their menus, of which a look at all curves takes some ten numbers each.
MOST_LOOKED_AT = 20_000_000
_AT_ONCE = 1_000_000


def looked_at(rankings: Rankings) -> int:
    """Numbers that a look at the curves of all items of these rankings takes: a menu of K options
    K^3, and as many again for each doubling of its ties."""
    if not len(rankings):
        return 0
    sizes = np.diff(rankings.start).astype(np.int64)
    first = np.flatnonzero((np.diff(rankings.tier, prepend=-1) != 0)
                           | (np.diff(rankings.ranking, prepend=-1) != 0))  # fmt: skip
    length = np.diff(np.append(first, len(rankings.tier)))
    is_last = rankings.tier[first] == rankings.tier[rankings.start[1:] - 1][rankings.ranking[first]]
    longest = np.zeros(len(rankings), dtype=np.int64)
    np.maximum.at(longest, rankings.ranking[first], np.where(is_last, 1, length))
    return int((sizes**3 + sizes * (longest + 1) ** 2 * 2 ** np.minimum(longest, 40)).sum())


def tied_curves(tied: Rankings, strengths: Float[Array, " N"], items: Int[Array, " A"]) -> Further:
    """What these rankings, all with ties, tell of each of the items asked about."""
    among = np.full(tied.num_items, -1)
    among[items] = np.arange(len(items))
    blocks = [_Seen.of(part, strengths, among) for part in TiedPart.all_of(tied)]
    low, high = np.full(len(items), np.inf), np.full(len(items), -np.inf)
    won, lost = np.zeros((2, len(items)))
    for block in blocks:
        at = np.arange(len(block.own)), block.own
        np.minimum.at(low, block.item, _with(block.utilities, at, np.inf).min(axis=1))
        np.maximum.at(high, block.item, _with(block.utilities, at, -np.inf).max(axis=1))
        # Unranked is last: 0 stands for the rank behind all others.
        place = np.where(block.rank == 0, block.rank.max() + 1, block.rank)
        own = place[at][:, None]
        won += np.bincount(block.item, block.weight * (place > own).any(axis=1), len(items))
        lost += np.bincount(block.item, block.weight * (place < own).any(axis=1), len(items))
    return Further(curve=lambda u: _curve(blocks, u), low=low, high=high, won=won, lost=lost)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """Rankings of menus of one size, once for each item asked about that was on the menu.

    item: its place among those asked about; own: its place on the menu."""

    item: Int[Array, " E"]
    own: Int[Array, " E"]
    utilities: Float[Array, "E K"]
    rank: Int[Array, "E K"]
    weight: Float[Array, " E"]

    @classmethod
    def of(cls, part: TiedPart, strengths: Float[Array, " N"], among: Int[Array, " N"]) -> "_Seen":
        row, own = np.nonzero(among[part.item] >= 0)
        return cls(
            item=among[part.item[row, own]], own=own, utilities=strengths[part.item[row]],
            rank=part.rank[row], weight=part.weight[row],
        )  # fmt: skip

    def chunks(self) -> Iterator[slice]:
        step = max(_AT_ONCE // self.rank.shape[1] ** 2, 1)
        return (slice(start, start + step) for start in range(0, len(self.item), step))


def _with(values: Array, at: tuple[Array, Array], value: Array | float) -> Array:
    changed = values.copy()
    changed[at] = value
    return changed


def _curve(blocks: list[_Seen], u: Float[Array, " A"]) -> Curve:
    """Each whole ranking with the item at u: its value, its slope and its bend along the item."""
    value, slope, bend = np.zeros((3, len(u)))
    for block in blocks:
        for rows in block.chunks():
            item, own, rank = block.item[rows], block.own[rows], block.rank[rows]
            at = np.arange(len(item)), own
            utilities = _with(block.utilities[rows], at, u[item])
            offered = np.ones(rank.shape, dtype=bool)
            logs = ranking.log_prob(utilities, offered, rank)
            score = ranking.score(utilities, offered, rank).utilities[at]
            hessian = ranking.curvature(utilities, offered, rank).utilities[(*at, own)]
            weight = block.weight[rows]
            value += np.bincount(item, weight * logs, len(u))
            slope += np.bincount(item, weight * score, len(u))
            bend += np.bincount(item, weight * hessian, len(u))
    return Curve(value=value, slope=slope, bend=bend)
