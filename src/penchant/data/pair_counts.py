"""How often each item beat each other: all that a ranking without voters or contexts needs.

Legend: B votes, Q pairs that met, N items.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array

FIRST_WON, SECOND_WON, TIED = 0, 1, 2


@dataclass(frozen=True, kw_only=True, eq=False)
class PairCounts:
    """Votes between N items, added up over all votes of the same pair.

    `first` and `second` index `items`, with `first < second`, sorted, every pair once.
    `first_wins`, `second_wins` and `ties` are weighted numbers of votes; a vote that is a
    probability counts in part for either side. Items that met nobody are kept.
    """

    items: tuple[str, ...]
    first: Int[Array, " Q"]
    second: Int[Array, " Q"]
    first_wins: Float[Array, " Q"]
    second_wins: Float[Array, " Q"]
    ties: Float[Array, " Q"]

    def __post_init__(self) -> None:
        check_items(self.items)
        check_places(len(self.items), self.first, self.second)
        if (self.first > self.second).any():
            pair = int(np.argmax(self.first > self.second))
            raise DataError(
                f"pair {pair} has first = {int(self.first[pair])} and second = "
                f"{int(self.second[pair])}; expected first < second. Use `count_votes`, which "
                "turns pairs round and adds them up."
            )
        for name in ("first_wins", "second_wins", "ties"):
            check_amounts(name, getattr(self, name), len(self.first))

    def __repr__(self) -> str:
        return (
            f"PairCounts({len(self.items):,} items, {len(self.first):,} pairs, "
            f"{self.votes:,.6g} votes)"
        )

    @property
    def num_items(self) -> int:
        return len(self.items)

    @property
    def num_pairs(self) -> int:
        return len(self.first)

    @cached_property
    def votes(self) -> float:
        """All votes together, by weight."""
        return float(self.first_wins.sum() + self.second_wins.sum() + self.ties.sum())

    @cached_property
    def totals_of_item(self) -> Float[Array, "N 3"]:
        """Votes that each item won, lost and tied, by weight."""
        columns = (self.first, self.second, self.first_wins, self.second_wins, self.ties)
        try:
            from penchant.data.pair_counts_fused import item_totals
        except ImportError:
            return totals_plain(*columns, self.num_items)
        return item_totals(*columns, self.num_items)

    @cached_property
    def votes_of_item(self) -> Float[Array, " N"]:
        """Votes that each item took part in, by weight."""
        return self.totals_of_item.sum(axis=1)

    @property
    def wins_of_item(self) -> Float[Array, " N"]:
        """Votes that each item won, by weight; a tie is no win."""
        return self.totals_of_item[:, 0]

    def halved(self) -> tuple[Float[Array, " Q"], Float[Array, " Q"]]:
        """Wins of the first and of the second, a tie being half a win for either."""
        if not self.totals_of_item[:, 2].any():
            return self.first_wins, self.second_wins
        half = 0.5 * self.ties
        return self.first_wins + half, self.second_wins + half

    def merged(self, other: "PairCounts") -> "PairCounts":
        """The votes of both together; the items are this one's, then what the other adds."""
        items = tuple(dict.fromkeys((*self.items, *other.items)))
        place = {name: i for i, name in enumerate(items)}
        theirs = np.asarray([place[name] for name in other.items], dtype=np.int32)
        return sum_counts(items, [
            (self.first, self.second, self.first_wins, self.second_wins, self.ties),
            (theirs[other.first], theirs[other.second],
             other.first_wins, other.second_wins, other.ties),
        ])  # fmt: skip

    def of_items(self, kept: Int[Array, " A"]) -> "PairCounts":
        """The votes among these items only, in that order."""
        place = np.full(self.num_items, -1, dtype=np.int32)
        place[kept] = np.arange(len(kept), dtype=np.int32)
        inside = (place[self.first] >= 0) & (place[self.second] >= 0)
        columns = (self.first_wins, self.second_wins, self.ties)
        return sum_counts(
            tuple(self.items[i] for i in kept),
            [(place[self.first[inside]], place[self.second[inside]],
              *(column[inside] for column in columns))],
        )  # fmt: skip


def count_votes(
    items: Sequence[str],
    first: Int[Array, " B"],
    second: Int[Array, " B"],
    outcome: Int[Array, " B"],
    weight: Float[Array, " B"] | None = None,
) -> PairCounts:
    """Counts of votes given as places in `items`: outcome 0 first won, 1 second won, 2 a tie.

    Raises DataError for an item that meets itself, places that no item has, other outcomes, and
    weights that are negative or not finite.
    """
    return count_blocks(items, [(first, second, outcome, weight)], len(first), weight is not None)


Block = tuple[Array, Array, Array, Array | None]


def count_blocks(
    items: Sequence[str], blocks: Iterable[Block], num_votes: int, has_weight: bool = False
) -> PairCounts:
    """Counts of votes that come in blocks (first, second, outcome, weight or None), some
    `num_votes` in all.

    Where a table of all pairs is small the blocks are added to it one by one, and need never be in
    memory together; elsewhere they are sorted as one. Raises what `count_votes` raises.
    """
    items = tuple(items)
    fused = _fused(len(items))
    if fused is None or not fused.fits_table(len(items), num_votes):
        block = _joined(list(blocks))
        _check_lengths(*block)
        found = (fused.tally if fused else tally_plain)(len(items), *block)
        return _pairs_of(items, *(found or _refuse(len(items), block, 0)))
    table, begin = fused.TableTally(len(items), has_weight), 0
    for block in blocks:
        _check_lengths(*block)
        if not table.add(*block):
            _refuse(len(items), block, begin)
        begin += len(block[0])
    return _pairs_of(items, *table.result())


def _joined(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    first, second, outcome, weight = zip(*blocks, strict=True)
    return (
        np.concatenate(first), np.concatenate(second), np.concatenate(outcome),
        None if weight[0] is None else np.concatenate(weight),
    )  # fmt: skip


def _check_lengths(first: Array, second: Array, outcome: Array, weight: Array | None) -> None:
    if not len(first) == len(second) == len(outcome):
        raise DataError(
            f"there are {len(first)} first items, {len(second)} second items and {len(outcome)} "
            "outcomes; expected one of each in every vote."
        )
    if weight is not None:
        check_amounts("weight", weight, len(first))


def _refuse(num_items: int, block: Block, begin: int) -> NoReturn:
    """Says which vote of the block is bad, counted from the first block's first."""
    check_places(num_items, *block[:2], begin=begin)
    _check_outcomes(block[2], begin)
    raise AssertionError("a vote is bad, and nothing is wrong with it")


def count_shares(
    items: Sequence[str],
    first: Int[Array, " B"],
    second: Int[Array, " B"],
    share: Float[Array, " B"],
    weight: Float[Array, " B"] | None = None,
) -> PairCounts:
    """Counts of votes that are probabilities that the first wins: each counts for both in part.

    Raises DataError for what `count_votes` refuses, and for shares outside 0 to 1.
    """
    check_shares(share, len(first))
    return sum_counts(tuple(items), [share_counts(first, second, share, weight)])


Parts = tuple[Array, Array, Array, Array, Array]


def share_counts(first: Array, second: Array, share: Array, weight: Array | None) -> Parts:
    """Votes that are probabilities, as wins in part: a sum for `sum_counts`."""
    if weight is None:
        return first, second, share, 1.0 - share, np.zeros(len(share))
    check_amounts("weight", weight, len(first))
    return first, second, weight * share, weight * (1.0 - share), np.zeros(len(share))


def sum_counts(items: tuple[str, ...], parts: Iterable[Parts]) -> PairCounts:
    """Counts (first, second, first's wins, second's wins, ties) in any order, added up by pair."""
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    first, second, *amounts = columns
    # Each pair stands once for every kind of answer that it had.
    places = [np.flatnonzero(amount) for amount in amounts]
    rows = np.concatenate(places)
    outcome = np.repeat(np.arange(3, dtype=np.int8), [len(place) for place in places])
    weight = np.concatenate([amount[place] for amount, place in zip(amounts, places)])
    return count_votes(items, first[rows], second[rows], outcome, weight.astype(np.float64))


def _fused(num_items: int) -> Any:
    """The compiled loops, where numba is installed and the places fit."""
    try:
        from penchant.data import pair_counts_fused as fused
    except ImportError:
        return None
    return fused if num_items <= fused.MOST_ITEMS else None


def tally_plain(
    num_items: int, first: Array, second: Array, outcome: Array, weight: Array | None
) -> Parts | None:
    """What the compiled loops do, in NumPy: (first, second, wins, losses, ties), sorted by pair.

    None if some vote names a place that no item has, an item twice, or another outcome.
    """
    for places, most in ((first, num_items - 1), (second, num_items - 1), (outcome, TIED)):
        if len(places) and (places.min() < 0 or places.max() > most):
            return None
    if (first == second).any():
        return None
    turned = first > second
    low, high = np.where(turned, second, first), np.where(turned, first, second)
    # 0 and 1 change places where the pair is turned round; a tie stays one.
    result = np.where(outcome == TIED, TIED, outcome ^ turned)
    key = np.asarray(low, dtype=np.int64) * num_items + high
    pair, group = _distinct(key)
    amounts = np.bincount(group * 3 + result, weight, 3 * len(pair)).reshape(-1, 3)
    # A vote of weight 0 is no meeting.
    met = np.flatnonzero(amounts.any(axis=1))
    wins, losses, ties = amounts[met].astype(np.float64).T
    low, high = pair[met] // max(num_items, 1), pair[met] % max(num_items, 1)
    return low.astype(np.int32), high.astype(np.int32), wins, losses, ties


def totals_plain(
    first: Array, second: Array, wins: Array, losses: Array, ties: Array, num_items: int
) -> Float[Array, "N 3"]:
    """What each item won, lost and tied: the plain twin of the compiled loop."""
    sides = ((wins, losses), (losses, wins), (ties, ties))
    # Of no pairs at all NumPy counts in whole numbers.
    return 0.0 + np.stack(
        [np.bincount(first, own, num_items) + np.bincount(second, others, num_items)
         for own, others in sides], axis=1,
    )  # fmt: skip


def _distinct(key: Array) -> tuple[Array, Array]:
    """The keys that occur, sorted, and which of them each entry is."""
    pair, group = np.unique(key, return_inverse=True)
    return pair, group.reshape(-1)


def _pairs_of(
    items: tuple[str, ...], first: Array, second: Array, wins: Array, losses: Array, ties: Array
) -> PairCounts:
    return PairCounts(
        items=items, first=first, second=second, first_wins=wins, second_wins=losses, ties=ties
    )


def _check_outcomes(outcome: Array, begin: int = 0) -> None:
    strange = (outcome < FIRST_WON) | (outcome > TIED)
    if strange.any():
        vote = int(np.argmax(strange))
        raise DataError(
            f"vote {begin + vote} has outcome {outcome[vote]}; expected 0 (the first won), 1 (the "
            "second won) or 2 (a tie). Drop votes without an answer."
        )


def check_items(items: tuple[str, ...]) -> None:
    """Raises DataError if a name is empty or occurs twice."""
    if "" in items:
        raise DataError(
            f"item {items.index('')} has the empty name ''; expected a name. Give it one."
        )
    if len(set(items)) != len(items):
        twice = next(name for name, times in Counter(items).items() if times > 1)
        raise DataError(f"two items are called {twice!r}; expected every name once. Rename one.")


def check_places(num_items: int, first: Array, second: Array, *, begin: int = 0) -> None:
    """Raises DataError if a vote, counted from `begin`, names no item, or one item twice."""
    if len(first) != len(second):
        raise DataError(
            f"there are {len(first)} first and {len(second)} second items; expected one of each "
            "in every vote."
        )
    for name, places in (("first", first), ("second", second)):
        if len(places) and (places.min() < 0 or places.max() >= num_items):
            vote = int(np.argmax((places < 0) | (places >= num_items)))
            raise DataError(
                f"vote {begin + vote} has {name} item {int(places[vote])}; expected a place from 0 "
                f"to {num_items - 1}, one of the {num_items} items. Drop votes without an item."
            )
    alike = first == second
    if alike.any():
        vote = int(np.argmax(alike))
        raise DataError(
            f"vote {begin + vote} compares item {int(first[vote])} with itself "
            f"({int(alike.sum())} of {len(first)} votes do); expected two different items. "
            "Drop these votes: they say nothing about order."
        )


def check_shares(share: Array, expected: int, ignored: Any = False) -> None:
    """Raises DataError unless every share, but for those ignored, is a probability."""
    if len(share) != expected:
        raise DataError(f"there are {len(share)} shares of {expected} votes; expected one each.")
    # Written so that NaN is no probability either.
    bad = ~((share >= 0) & (share <= 1)) & ~np.asarray(ignored)
    if bad.any():
        vote = int(np.argmax(bad))
        raise DataError(
            f"vote {vote} has share {share[vote]} ({int(bad.sum())} of {expected} votes are like "
            "this); expected the probability that the first wins, from 0 to 1. Correct or drop it."
        )


def check_amounts(name: str, amounts: Array, expected: int) -> None:
    """Raises DataError unless there is a finite number of at least 0 for every vote."""
    if len(amounts) != expected:
        raise DataError(
            f"`{name}` has {len(amounts)} entries for {expected} votes; expected one each."
        )
    bad = ~((amounts >= 0) & (amounts < np.inf))
    if bad.any():
        vote = int(np.argmax(bad))
        raise DataError(
            f"`{name}` is {amounts[vote]} at vote {vote} ({int(bad.sum())} of {expected} are like "
            "this); expected finite numbers, 0 or more. Correct them or drop these votes."
        )


def check_labels(name: str, codes: Array | None, labels: tuple[str, ...], count: int) -> None:
    """Raises DataError unless every vote has a place among the labels, or -1; None is no labels."""
    if codes is None:
        return
    if len(codes) != count or (count and (codes.min() < -1 or codes.max() >= len(labels))):
        raise DataError(
            f"`{name}` has {len(codes)} entries for {count} votes, or entries outside -1 to "
            f"{len(labels) - 1}; expected the place of each vote's {name} among `{name}s`, -1 if "
            "unknown."
        )
