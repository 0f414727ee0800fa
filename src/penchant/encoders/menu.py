"""Menu effects: what an option looks like beside the others it was shown with.

Utility that depends on the rest of the menu breaks the independence of irrelevant alternatives on
purpose. In a formula: `cost - menu_min(cost)` inside I(), `menu_rank(cost)`, `time:menu_size()`, or
a halo, `option[car]:others(option[bus])`: what a bus on the menu does to the worth of the car
(Batsell and Polking 1985; Maragheh, Chronopoulou and Davis 2018).

Legend: B menus, N options over all menus, all menus one after the other.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array


def menu_size(offsets: Int[Array, " B1"]) -> Float[Array, " B"]:
    """How many options each menu shows."""
    return np.diff(offsets).astype(np.float64)


def menu_mean(values: Float[Array, " N"], offsets: Int[Array, " B1"]) -> Float[Array, " B"]:
    """The mean of each menu."""
    return np.add.reduceat(values, offsets[:-1]) / np.diff(offsets)


def menu_min(values: Float[Array, " N"], offsets: Int[Array, " B1"]) -> Float[Array, " B"]:
    """The smallest value of each menu: the best, where less is better."""
    return np.minimum.reduceat(values, offsets[:-1])


def menu_max(values: Float[Array, " N"], offsets: Int[Array, " B1"]) -> Float[Array, " B"]:
    """The largest value of each menu."""
    return np.maximum.reduceat(values, offsets[:-1])


def others(values: Float[Array, " N"], offsets: Int[Array, " B1"]) -> Float[Array, " N"]:
    """The sum over the other options of the menu; of an indicator, how many others have it."""
    # Sums of the whole menu minus one's own would turn one missing neighbour into a missing self
    # either way; what matters is that an indicator's count stays exact, and it does in float64.
    return np.repeat(np.add.reduceat(values, offsets[:-1]), np.diff(offsets)) - values


def menu_rank(values: Float[Array, " N"], offsets: Int[Array, " B1"]) -> Float[Array, " N"]:
    """The place from the smallest, 1, to the largest; ties share the mean of their places.

    A value that is missing has no place (NaN) and takes none from the others.
    """
    menu = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((values, menu))
    sorted_values, sorted_menu = values[order], menu[order]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (sorted_menu[1:] != sorted_menu[:-1]) | (sorted_values[1:] != sorted_values[:-1])
    run = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)
    length = np.diff(np.append(first, len(order)))
    place = (first - offsets[sorted_menu[first]]) + (length + 1) / 2
    ranks = np.empty(len(values))
    ranks[order] = place[run]
    return np.where(np.isnan(values), np.nan, ranks)
