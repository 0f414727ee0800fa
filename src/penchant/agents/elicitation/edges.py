"""Growing a graph of comparisons: pairs that look alike and of items seldom asked.

Legend: N items, E edges (pairs that are to be compared).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeConfig:
    """Mazeika et al. 2025: candidates are in the lowest `closest` share of |difference of means|
    and the lowest `rarest` share of the sum of both items' degrees; where these are too few, both
    shares grow by `growth`, up to `max_growths` times, and then any pair will do."""

    closest: float = 0.1
    rarest: float = 0.2
    growth: float = 1.5
    max_growths: int = 5


def regular_graph(
    num_items: int, degree: int, generator: np.random.Generator
) -> tuple[Int[Array, " E"], Int[Array, " E"]]:
    """A connected graph in which every item has `degree` edges: a ring in random order, and rings
    of longer strides on top of it. An odd degree adds opposite neighbours and needs an even number.

    Raises `ConfigError` where no such graph exists.
    """
    if not 2 <= degree < num_items or (degree % 2 and num_items % 2):
        raise ConfigError(
            f"no ring graph of {num_items} items has {degree} edges an item; expected 2 to "
            f"{num_items - 1}, and an even degree where the number of items is odd."
        )
    order = generator.permutation(num_items)
    strides = list(range(1, degree // 2 + 1)) + ([num_items // 2] if degree % 2 else [])
    edges = {
        (min(a, b), max(a, b))
        for stride in strides
        for a, b in zip(order.tolist(), np.roll(order, -stride).tolist())
    }
    first, second = np.array(sorted(edges)).T
    return first, second


def next_edges(
    mean: Float[Array, " N"],
    asked: Bool[Array, "N N"],
    num_edges: int,
    generator: np.random.Generator,
    config: EdgeConfig | None = None,
) -> tuple[Int[Array, " E"], Int[Array, " E"]]:
    """Pairs to compare next, drawn evenly from the candidates; fewer where fewer are left.

    `asked` is symmetric and True for pairs that were compared. Shares are of the pairs not asked.

    Raises `DataError` where everything was asked.
    """
    config = config or EdgeConfig()
    first, second = np.triu_indices(len(mean), 1)
    open_ = ~asked[first, second]
    first, second = first[open_], second[open_]
    if not len(first):
        raise DataError("all pairs were compared; expected some that were not. Ask them again.")
    degree = asked.sum(axis=1)
    gap, rarity = np.abs(mean[first] - mean[second]), degree[first] + degree[second]
    closest, rarest = config.closest, config.rarest
    for _ in range(config.max_growths + 1):
        candidates = np.flatnonzero(
            (gap <= np.quantile(gap, min(closest, 1.0)))
            & (rarity <= np.quantile(rarity, min(rarest, 1.0)))
        )
        if len(candidates) >= num_edges:
            break
        closest, rarest = closest * config.growth, rarest * config.growth
    else:
        candidates = np.arange(len(first))
    picks = generator.choice(candidates, size=min(num_edges, len(candidates)), replace=False)
    return first[picks], second[picks]
