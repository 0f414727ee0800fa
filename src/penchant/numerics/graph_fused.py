"""Whether everybody can be reached from one item, streaming over the pairs in a compiled loop.

`graph.py` asks SciPy where this does not settle it; a law ties the two.

Legend: N items, Q pairs that met.
"""

import inspect

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from penchant.numerics.arrays import Array

# Each pass takes a chain of points further; comparisons at random need one or two.
_MOST_PASSES = 8


def is_strongly_connected(
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    first_scored: Float[Array, " Q"],
    second_scored: Float[Array, " Q"],
    num_items: int,
) -> bool:
    """True if chains of points lead from one item to all others and back; False if a few passes
    did not show it."""
    if num_items < 2 or not len(first):
        return False
    for up, down in ((first_scored, second_scored), (second_scored, first_scored)):
        reached = np.zeros(num_items, dtype=np.bool_)
        reached[first[0]] = True
        if not _reaches_all(first, second, up, down, reached):
            return False
    return True


def _spread(first: Array, second: Array, up: Array, down: Array, reached: Array) -> bool:
    """Whether all are reached, going from whoever conceded a point to whoever scored it."""
    count, before = 1, 0
    for _ in range(_MOST_PASSES):
        if count == before:
            return False
        before = count
        for q in range(len(first)):
            i, j = first[q], second[q]
            if reached[i] != reached[j]:
                if reached[i] and down[q] > 0.0:
                    reached[j] = True
                    count += 1
                elif reached[j] and up[q] > 0.0:
                    reached[i] = True
                    count += 1
                if count == len(reached):
                    return True
    return False


_reaches_all = njit(cache=True, nogil=True)(inspect.unwrap(_spread))
