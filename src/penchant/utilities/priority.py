"""Tastes that are an order of importance: the first factor that differs enough decides.

Legend: B comparisons, M factors, the most important first.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array


def preferred_by_priority(
    first: Float[Array, "B M"], second: Float[Array, "B M"], tolerance: Float[Array, " M"]
) -> Int[Array, " B"]:
    """1 where the first is better on the first factor that differs by more than its tolerance, -1
    where the second is, 0 where none differs so much (Bukharin et al. 2023, HERON).

    No weights are asked for, and a factor's unit does not matter. With a tolerance it is no order:
    small advantages that are overlooked one by one add up, and preferences go round. That is the
    semiorder of Luce (1956), lexicographic as in Tversky (1969).

    Raises `ConfigError` for a negative tolerance.
    """
    if not np.all(tolerance >= 0):
        raise ConfigError(f"got tolerances {tolerance}; expected zero or more, one a factor.")
    apart = first - second
    decides = np.abs(apart) > tolerance
    place = np.argmax(decides, axis=1)
    rows = np.arange(len(first))
    return np.where(decides[rows, place], np.sign(apart[rows, place]), 0.0).astype(np.int64)
