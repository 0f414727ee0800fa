"""Votes added up by pair in compiled loops: a table for few items, a radix sort for many.

Votes come in any order, so that what costs is not the reading but the writing at random: the table
holds half of all pairs only and is written without a branch; a sort first deals the votes into
bands of items small enough for the cache, and sorts there. `pair_counts.py` holds the plain NumPy
twin; a law ties the two.

Legend: B votes, Q pairs that met, N items.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from penchant.numerics.arrays import Array

# Up to here a table of all pairs (24 MB) stays near enough to the processor to be written at
# random: 10 million votes between 1,000 items take 0.011 s, sorted they take 0.1.
_MOST_IN_TABLE = 2_000
MOST_ITEMS = (1 << 31) - 1
# Cells of votes whose place in the table, or key, is worked out before any is used: they stay in
# the nearest cache, and the working out is done many at a time.
_CHUNK = 4096
# A vote sorts by its row in the band, its higher item and, in two bits, the answer.
_ANSWER_BITS = 2
_FEWEST_BAND_BITS, _MOST_BAND_BITS = 8, 12
_DIGIT_BITS = 11


def _compiled(function: Callable[..., Any]) -> Any:
    return njit(cache=True, nogil=True)(inspect.unwrap(function))


class TableTally:
    """Votes of few items, block by block, in a table of (wins, losses) by pair, then one of ties:
    apart, since few votes or none are ties, and what is written at random should be small."""

    def __init__(self, num_items: int, has_weight: bool) -> None:
        self.num_items, self.has_weight = num_items, has_weight
        cells = 3 * (num_items * (num_items - 1) // 2)
        self.table = np.zeros(cells, dtype=np.float64 if has_weight else np.uint32)

    def add(
        self,
        first: Int[Array, " B"],
        second: Int[Array, " B"],
        outcome: Int[Array, " B"],
        weight: Float[Array, " B"] | None,
    ) -> bool:
        """Whether the votes were sound; the table is of no use if they were not."""
        if weight is None:
            # All alike, and no room taken.
            weight = np.broadcast_to(np.uint32(1), len(first))
        votes = _narrow(first, second, outcome)
        return bool(_add_to_table(self.num_items, *votes, weight, self.table))

    def result(self) -> tuple[Array, Array, Array, Array, Array]:
        """(first, second, first's wins, second's wins, ties) of the pairs that met, sorted."""
        columns = _columns(_count_met(self.table))
        _read_table(self.num_items, self.table, *columns)
        return columns


def fits_table(num_items: int, num_votes: int) -> bool:
    """Whether a table is small enough, and not much larger than the votes: it must be cleared."""
    return num_items <= _MOST_IN_TABLE and num_items * num_items <= 16 * num_votes + 4096


def tally(
    num_items: int,
    first: Int[Array, " B"],
    second: Int[Array, " B"],
    outcome: Int[Array, " B"],
    weight: Float[Array, " B"] | None,
) -> tuple[Array, Array, Array, Array, Array] | None:
    """(first, second, first's wins, second's wins, ties) by pair, sorted; None if a vote is bad.

    A bad vote names a place that no item has, an item twice, or an outcome other than 0, 1, 2: who
    called looks for it again, in order to describe it.
    """
    if fits_table(num_items, len(first)):
        table = TableTally(num_items, weight is not None)
        return table.result() if table.add(first, second, outcome, weight) else None
    return _tally_sorted(num_items, _narrow(first, second, outcome), weight)


def item_totals(
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    wins: Float[Array, " Q"],
    losses: Float[Array, " Q"],
    ties: Float[Array, " Q"],
    num_items: int,
) -> Float[Array, "N 3"]:
    """What each item won, lost and tied."""
    totals = np.zeros((num_items, 3))
    _add_totals(first, second, wins, losses, ties, totals)
    return totals


def _narrow(first: Array, second: Array, outcome: Array) -> tuple[Array, Array, Array]:
    """Places in 32 bits and outcomes in 8; what does not fit stays out of range."""
    return (
        _clipped(first, MOST_ITEMS, np.int32), _clipped(second, MOST_ITEMS, np.int32),
        _clipped(outcome, 3, np.int8),
    )  # fmt: skip


def _clipped(values: Array, most: int, kind: type) -> Array:
    if values.dtype != kind:
        values = np.clip(values, -1, most).astype(kind)
    return np.ascontiguousarray(values)


def _columns(count: int) -> tuple[Array, Array, Array, Array, Array]:
    # In two pieces: the larger a piece, the likelier the system maps it in few large pages.
    places, amounts = np.empty((2, count), dtype=np.int32), np.empty((3, count))
    return places[0], places[1], amounts[0], amounts[1], amounts[2]


@_compiled
def _is_bad(N: Any, i: Any, j: Any, o: Any) -> Any:
    """A negative place is a very large one, read without its sign."""
    return np.uint32(i >= N) | np.uint32(j >= N) | np.uint32(i == j) | np.uint32(o > np.uint32(2))


@_compiled
def _turned(i: Any, j: Any, o: Any) -> Any:
    """Who won as seen from the lower item: 0 and 1 change places, a tie stays 2."""
    return o ^ (np.uint32(i > j) & (np.uint32(o < np.uint32(2))))


@_compiled
def _cells(N: Any, first: Array, second: Array, outcome: Array, cell: Array) -> Any:
    bad, ties = np.uint32(0), N * (N - np.uint32(1))
    for b in range(len(first)):
        i, j, o = np.uint32(first[b]), np.uint32(second[b]), np.uint32(outcome[b])
        bad |= _is_bad(N, i, j, o)
        low, high = min(i, j), max(i, j)
        row = (low * (np.uint32(2) * N - low - np.uint32(1))) >> np.uint32(1)
        pair = row + high - low - np.uint32(1)
        decided = np.uint32(2) * pair + (o ^ np.uint32(i > j))
        cell[b] = ties + pair if o == np.uint32(2) else decided
    return bad


@_compiled
def _add_to_table(
    num_items: int, first: Array, second: Array, outcome: Array, weight: Array, table: Array
) -> bool:
    cell = np.empty(_CHUNK, dtype=np.uint32)
    for begin in range(0, len(first), _CHUNK):
        end = min(len(first), begin + _CHUNK)
        part = (first[begin:end], second[begin:end], outcome[begin:end])
        if _cells(np.uint32(num_items), *part, cell):
            return False
        w = weight[begin:end]
        for b in range(end - begin):
            table[cell[b]] += w[b]
    return True


@_compiled
def _count_met(table: Array) -> int:
    count, pairs = 0, len(table) // 3
    for q in range(pairs):
        count += (table[2 * q] > 0) | (table[2 * q + 1] > 0) | (table[2 * pairs + q] > 0)
    return count


@_compiled
def _read_table(
    N: int, table: Array, low: Array, high: Array, wins: Array, losses: Array, ties: Array
) -> None:
    q, pair, pairs = 0, 0, len(table) // 3
    for i in range(N):
        for j in range(i + 1, N):
            a, b, c = table[2 * pair], table[2 * pair + 1], table[2 * pairs + pair]
            pair += 1
            if a > 0 or b > 0 or c > 0:
                low[q], high[q], wins[q], losses[q], ties[q] = i, j, a, b, c
                q += 1


def _tally_sorted(num_items: int, votes: tuple[Array, Array, Array], weight: Array | None) -> Any:
    bits = max(num_items - 1, 1).bit_length()
    # As many bands as let a vote's key fit 32 bits; beyond two million items it takes 64.
    band_bits = min(max(2 * bits + _ANSWER_BITS - 32, _FEWEST_BAND_BITS), _MOST_BAND_BITS)
    row_bits = max(bits - band_bits, 0)
    is_narrow = row_bits + bits + _ANSWER_BITS <= 32
    start = np.zeros((1 << band_bits) + 1, dtype=np.int64)
    if not _count_bands(num_items, *votes, row_bits, start):
        return None
    B, has_weight = len(votes[0]), weight is not None
    key = np.empty(B, dtype=np.uint32 if is_narrow else np.uint64)
    moved = np.empty(B if has_weight else 0)
    _deal(*votes, weight if has_weight else moved, row_bits, bits, start.copy(), key, moved)
    longest = int(np.diff(start).max(initial=0))
    spare = np.empty(longest, dtype=key.dtype), np.empty(longest if has_weight else 0)
    count = _sort_bands(key, moved, start, row_bits + bits, *spare)
    columns = _columns(count)
    count = _merge(key, moved, start, row_bits, bits, *columns)
    return tuple(column[:count] for column in columns)


@_compiled
def _count_bands(
    num_items: int, first: Array, second: Array, outcome: Array, row_bits: int, start: Array
) -> bool:
    """How many votes belong to each band of lower items, added up."""
    N, shift = np.uint32(num_items), np.uint32(row_bits)
    band = np.empty(_CHUNK, dtype=np.uint32)
    for begin in range(0, len(first), _CHUNK):
        end = min(len(first), begin + _CHUNK)
        one, two, answer = first[begin:end], second[begin:end], outcome[begin:end]
        bad = np.uint32(0)
        for b in range(end - begin):
            i, j = np.uint32(one[b]), np.uint32(two[b])
            bad |= _is_bad(N, i, j, np.uint32(answer[b]))
            band[b] = min(i, j) >> shift
        if bad:
            return False
        for b in range(end - begin):
            start[band[b] + 1] += 1
    for place in range(1, len(start)):
        start[place] += start[place - 1]
    return True


@_compiled
def _deal(
    first: Array, second: Array, outcome: Array, weight: Array, row_bits: int, bits: int,
    next_place: Array, key: Array, moved: Array,
) -> None:  # fmt: skip
    """Each vote to its band, as one number that sorts by pair and then by who won."""
    shift, mask = np.uint32(row_bits), np.uint32((1 << row_bits) - 1)
    one_key = np.empty(_CHUNK, dtype=key.dtype)
    band = np.empty(_CHUNK, dtype=np.uint32)
    for begin in range(0, len(first), _CHUNK):
        end = min(len(first), begin + _CHUNK)
        one, two, answer = first[begin:end], second[begin:end], outcome[begin:end]
        for b in range(end - begin):
            i, j = np.uint32(one[b]), np.uint32(two[b])
            low, high = min(i, j), max(i, j)
            band[b] = low >> shift
            won = _turned(i, j, np.uint32(answer[b]))
            pair = (np.uint64(low & mask) << np.uint64(bits)) | np.uint64(high)
            one_key[b] = (pair << np.uint64(_ANSWER_BITS)) | np.uint64(won)
        for b in range(end - begin):
            to = next_place[band[b]]
            next_place[band[b]] = to + 1
            key[to] = one_key[b]
            if len(weight):
                moved[to] = weight[begin + b]


@_compiled
def _sort_bands(
    key: Array, weight: Array, start: Array, bits: int, spare: Array, spare_weight: Array
) -> int:
    """Each band sorted by pair, digit by digit from the last one; how many pairs there are."""
    passes = (bits + _DIGIT_BITS - 1) // _DIGIT_BITS
    width = (bits + passes - 1) // passes
    mask = np.uint64((1 << width) - 1)
    place = np.empty((1 << width) + 1, dtype=np.int64)
    count = 0
    for band in range(len(start) - 1):
        begin, size = start[band], start[band + 1] - start[band]
        here, there = key[begin : begin + size], spare[:size]
        amount, amount_there = weight[begin : begin + size], spare_weight[:size]
        for digit in range(passes):
            shift = np.uint64(_ANSWER_BITS + digit * width)
            place[:] = 0
            for b in range(size):
                place[((np.uint64(here[b]) >> shift) & mask) + np.uint64(1)] += 1
            for d in range(1, len(place)):
                place[d] += place[d - 1]
            for b in range(size):
                own = (np.uint64(here[b]) >> shift) & mask
                to = place[own]
                place[own] = to + 1
                there[to] = here[b]
                if len(weight):
                    amount_there[to] = amount[b]
            here, there, amount, amount_there = there, here, amount_there, amount
        if passes % 2 == 1:
            key[begin : begin + size] = here
            weight[begin : begin + len(amount)] = amount
        for b in range(size):
            count += b == 0 or (here[b] >> _ANSWER_BITS) != (here[b - 1] >> _ANSWER_BITS)
    return count


@_compiled
def _merge(
    key: Array, weight: Array, start: Array, row_bits: int, bits: int,
    low: Array, high: Array, wins: Array, losses: Array, ties: Array,
) -> int:  # fmt: skip
    """Equal pairs stand together: add them up, and leave out those without weight."""
    answer, mask = np.uint64(_ANSWER_BITS), np.uint64((1 << bits) - 1)
    q = 0
    for band in range(len(start) - 1):
        b, end = start[band], start[band + 1]
        while b < end:
            pair = np.uint64(key[b]) >> answer
            x = y = z = 0.0
            while b < end and np.uint64(key[b]) >> answer == pair:
                amount = weight[b] if len(weight) else 1.0
                won = np.uint64(key[b]) & np.uint64(3)
                x += amount if won == 0 else 0.0
                y += amount if won == 1 else 0.0
                z += amount if won == 2 else 0.0
                b += 1
            low[q] = (band << row_bits) | np.int64(pair >> np.uint64(bits))
            high[q] = np.int64(pair & mask)
            wins[q], losses[q], ties[q] = x, y, z
            q += x + y + z > 0
    return q


@_compiled
def _add_totals(
    first: Array, second: Array, wins: Array, losses: Array, ties: Array, totals: Array
) -> None:
    q = 0
    while q < len(first):
        # Pairs of one first item mostly follow each other: its own sums stay in registers.
        i, won, lost, tied = first[q], 0.0, 0.0, 0.0
        while q < len(first) and first[q] == i:
            j = second[q]
            won += wins[q]
            lost += losses[q]
            tied += ties[q]
            totals[j, 0] += losses[q]
            totals[j, 1] += wins[q]
            totals[j, 2] += ties[q]
            q += 1
        totals[i, 0] += won
        totals[i, 1] += lost
        totals[i, 2] += tied
