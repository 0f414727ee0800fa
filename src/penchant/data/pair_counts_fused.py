"""Votes added up by pair in compiled loops: a table for few items, two counting sorts for many.

`pair_counts.py` holds the plain NumPy twin; a law ties the two.

Legend: B votes, Q pairs that met, N items.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from penchant.numerics.arrays import Array

# Up to here a table of all pairs (32 MB) stays near enough to the processor to be written at
# random: 10 million votes between 1,000 items take 0.03 s, sorted they take 0.25.
_MOST_IN_TABLE = 2_000
# Places, and the answer in two bits, share the 64 bits of a sorted vote.
MOST_ITEMS = 1 << 31
_TIED = 2


def _compiled(function: Callable[..., Any]) -> Any:
    return njit(cache=True, nogil=True)(inspect.unwrap(function))


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
    has_weight = weight is not None
    weights = weight if has_weight else np.ones(1)
    cells = num_items * num_items
    # A table much larger than the votes costs more to clear than the votes to sort.
    if num_items <= _MOST_IN_TABLE and cells <= 16 * len(first) + 4096:
        if has_weight:
            table, count = _fill_weighted(num_items, first, second, outcome, weights)
        else:
            table, count = _fill(num_items, first, second, outcome)
        return None if count < 0 else _read_table(num_items, table, count)
    key = np.empty(len(first), dtype=np.uint64)
    if not _keys(num_items, first, second, outcome, key):
        return None
    key, weights = _sort(num_items, key, weights, has_weight)
    return _merge(key, weights, has_weight)


@_compiled
def _fill(num_items: int, first: Array, second: Array, outcome: Array) -> Any:
    """Wins by winner and loser, then ties; and how many pairs met (-1: a vote is bad)."""
    N = num_items
    table = np.zeros(2 * N * N, dtype=np.uint32)
    for b in range(len(first)):
        i, j, o = first[b], second[b], outcome[b]
        if i < 0 or j < 0 or i >= N or j >= N or i == j or o < 0 or o > 2:
            return table, -1
        if o == 1 or (o == 2 and j < i):
            i, j = j, i
        table[(N * N if o == 2 else 0) + i * N + j] += np.uint32(1)
    return table, _count_met(table, N)


@_compiled
def _fill_weighted(num_items: int, first: Array, second: Array, outcome: Array, w: Array) -> Any:
    N = num_items
    table = np.zeros(2 * N * N)
    for b in range(len(first)):
        i, j, o = first[b], second[b], outcome[b]
        if i < 0 or j < 0 or i >= N or j >= N or i == j or o < 0 or o > 2:
            return table, -1
        if o == 1 or (o == 2 and j < i):
            i, j = j, i
        table[(N * N if o == 2 else 0) + i * N + j] += w[b]
    return table, _count_met(table, N)


@_compiled
def _count_met(table: Array, N: int) -> int:
    count = 0
    for i in range(N):
        for j in range(i + 1, N):
            if table[i * N + j] > 0 or table[j * N + i] > 0 or table[N * N + i * N + j] > 0:
                count += 1
    return count


@_compiled
def _read_table(N: int, table: Array, count: int) -> Any:
    low, high = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    wins, losses, ties = np.empty(count), np.empty(count), np.empty(count)
    q = 0
    for i in range(N):
        for j in range(i + 1, N):
            a, b, c = table[i * N + j], table[j * N + i], table[N * N + i * N + j]
            if a > 0 or b > 0 or c > 0:
                low[q], high[q], wins[q], losses[q], ties[q] = i, j, a, b, c
                q += 1
    return low, high, wins, losses, ties


@_compiled
def _keys(N: int, first: Array, second: Array, outcome: Array, key: Array) -> bool:
    """Each vote as one number that sorts by pair: low item, high item, who won."""
    for b in range(len(first)):
        i, j, o = first[b], second[b], outcome[b]
        if i < 0 or j < 0 or i >= N or j >= N or i == j or o < 0 or o > 2:
            return False
        if j < i:
            i, j = j, i
            o = 1 - o if o < 2 else o
        key[b] = (np.uint64(i) << np.uint64(33)) | (np.uint64(j) << np.uint64(2)) | np.uint64(o)
    return True


@_compiled
def _sort(N: int, key: Array, weight: Array, has_weight: bool) -> Any:
    """A stable counting sort by the high item, then one by the low item."""
    low_bits, mask = np.uint64(2), np.uint64((1 << 31) - 1)
    start = np.empty(N + 1, dtype=np.int64)
    for shift in (low_bits, np.uint64(33)):
        start[:] = 0
        for b in range(len(key)):
            start[np.int64((key[b] >> shift) & mask) + 1] += 1
        for i in range(N):
            start[i + 1] += start[i]
        moved = np.empty_like(key)
        moved_weight = np.empty(len(key) if has_weight else 1)
        for b in range(len(key)):
            place = np.int64((key[b] >> shift) & mask)
            to = start[place]
            start[place] = to + 1
            moved[to] = key[b]
            if has_weight:
                moved_weight[to] = weight[b]
        key, weight = moved, moved_weight
    return key, weight


@_compiled
def _merge(key: Array, weight: Array, has_weight: bool) -> Any:
    """Equal pairs stand together: add them up, and leave out those without weight."""
    two, mask = np.uint64(2), np.uint64((1 << 31) - 1)
    count = 0
    for b in range(len(key)):
        if b == 0 or (key[b] >> two) != (key[b - 1] >> two):
            count += 1
    low, high = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    amount = np.zeros((3, count))
    q = -1
    for b in range(len(key)):
        if q < 0 or (key[b] >> two) != (key[b - 1] >> two):
            # A pair of weight 0 gives its place to the next one.
            if q < 0 or amount[0, q] + amount[1, q] + amount[2, q] > 0:
                q += 1
            low[q] = np.int32(key[b] >> np.uint64(33))
            high[q] = np.int32((key[b] >> two) & mask)
        amount[np.int64(key[b] & np.uint64(3)), q] += weight[b] if has_weight else 1.0
    if q >= 0 and amount[0, q] + amount[1, q] + amount[2, q] > 0:
        q += 1
    return low[:q], high[:q], amount[0, :q], amount[1, :q], amount[2, :q]
