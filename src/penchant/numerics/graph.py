"""Who met whom, and who beat whom: what a set of comparisons can tell at all.

Legend: N items, Q pairs that met.

Two items are comparable if a chain of meetings leads from one to the other (an island). Finite
strengths exist if, besides, however the items are split in two, somebody of each part scored
against somebody of the other (Zermelo 1929; Ford 1957): the graph of who scored against whom is
strongly connected.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array

_NAMES_SHOWN = 6
_EDGES_TRIED = 20  # for each item, before all are looked at


@dataclass(frozen=True, kw_only=True, eq=False)
class Connectivity:
    """island: number of each item's island, the largest island first.
    component: number of each item's strongly connected component; strengths within one are finite,
    gaps between two of the same island are infinite without a prior.
    unbeaten, winless: met others and never gave a point away, never scored one.
    unseen: met nobody."""

    island: Int[Array, " N"]
    component: Int[Array, " N"]
    unbeaten: Bool[Array, " N"]
    winless: Bool[Array, " N"]
    unseen: Bool[Array, " N"]

    @property
    def num_islands(self) -> int:
        return int(self.island.max(initial=-1)) + 1

    @property
    def num_components(self) -> int:
        return int(self.component.max(initial=-1)) + 1

    @property
    def is_connected(self) -> bool:
        """Whether every two items are comparable."""
        return self.num_islands <= 1

    @property
    def is_separated(self) -> bool:
        """Whether some gap within an island is infinite without a prior."""
        return self.num_components > self.num_islands


def connectivity(
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    first_scored: Float[Array, " Q"],
    second_scored: Float[Array, " Q"],
    num_items: int,
) -> Connectivity:
    """Islands and strongly connected components, in one pass each over the pairs.

    A tie is a point for both: with Davidson's and Rao and Kupper's models as with half-wins, it
    keeps the gap finite on both sides. Pairs without any vote do not count as met.
    """
    up, down = first_scored > 0, second_scored > 0
    met = up | down
    # An edge leads from whoever conceded a point to whoever took it.
    loser = np.concatenate([second[up], first[down]])
    winner = np.concatenate([first[up], second[down]])
    component = _strong_components(loser, winner, num_items)
    # Strongly connected is connected: the second search is needed only where the first found parts.
    is_whole = component.max(initial=0) == 0
    island = component if is_whole else _components(first[met], second[met], num_items, "weak")
    seen, has_scored, has_conceded = (np.zeros(num_items, dtype=bool) for _ in range(3))
    seen[first[met]] = True
    seen[second[met]] = True
    has_scored[winner] = True
    has_conceded[loser] = True
    return Connectivity(
        island=_largest_first(island),
        component=_largest_first(component),
        unbeaten=seen & ~has_conceded,
        winless=seen & ~has_scored,
        unseen=~seen,
    )


def bounded_sides(
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    first_scored: Float[Array, " Q"],
    second_scored: Float[Array, " Q"],
    found: Connectivity,
) -> tuple[Bool[Array, " N"], Bool[Array, " N"]]:
    """Whether the data bound each strength from below, and from above, against its island's rest.

    Against the island's largest component: a chain of points from it to the item bounds the item
    from below (who beat whom who beat ...), a chain from the item to it bounds it from above. An
    item that never lost has no upper bound, and neither has one that lost to such items only.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order

    N = len(found.island)
    up, down = first_scored > 0, second_scored > 0
    loser = np.concatenate([second[up], first[down]])
    winner = np.concatenate([first[up], second[down]])
    # The largest component of each island is the first to be numbered; one more node, joined to a
    # member of each, starts a single search for all islands.
    order = np.lexsort((found.component, found.island))
    main = order[np.unique(found.island[order], return_index=True)[1]]
    hub = np.full(len(main), N)
    sides = []
    for tail, head in ((loser, winner), (winner, loser)):
        ends = (np.concatenate([tail, hub]), np.concatenate([head, main]))
        graph = coo_array((np.ones(len(ends[0]), dtype=bool), ends), (N + 1, N + 1)).tocsr()
        reached = np.zeros(N + 1, dtype=bool)
        reached[breadth_first_order(graph, N, return_predecessors=False)] = True
        sides.append(reached[:N])
    return sides[0], sides[1]


def describe(found: Connectivity, names: tuple[str, ...]) -> tuple[str, ...]:
    """What cannot be known from these comparisons, a sentence each; nothing where all is well."""
    sentences = []
    if found.unseen.any():
        sentences.append(
            f"{_listed(names, found.unseen)} {_was(found.unseen)} never compared with anything: "
            "the data say nothing of their place."
        )
    sentences += _island_sentences(found, names)
    if found.unbeaten.any():
        sentences.append(
            f"{_listed(names, found.unbeaten)} never lost: the data bound the strength from below "
            "only; without a prior the estimate is infinite."
        )
    if found.winless.any():
        sentences.append(
            f"{_listed(names, found.winless)} never won: the data bound the strength from above "
            "only; without a prior the estimate is infinite."
        )
    return (*sentences, *_rift_sentences(found, names))


def _island_sentences(found: Connectivity, names: tuple[str, ...]) -> list[str]:
    sizes = np.bincount(found.island[~found.unseen], minlength=found.num_islands)
    islands = np.flatnonzero(sizes)
    if len(islands) < 2:
        return []
    shown = "; ".join(_listed(names, found.island == island) for island in islands[:3])
    more = f"; and {len(islands) - 3} more" if len(islands) > 3 else ""
    return [
        f"{len(islands)} islands that never meet, not even through others ({shown}{more}): scores "
        "compare within an island, not between two. A few votes across would join them."
    ]


def _rift_sentences(found: Connectivity, names: tuple[str, ...]) -> list[str]:
    """Groups that only won or only lost against the rest of their island, beyond single items."""
    alone = found.unbeaten | found.winless | found.unseen
    rest = np.unique(found.component[~alone])
    whole = np.unique(found.island[~alone])
    if len(rest) <= len(whole):
        return []
    groups = [found.component == component for component in rest[:2]]
    return [
        f"{len(rest)} groups of items met only with all points going one way, among them "
        f"{_listed(names, groups[0])} and {_listed(names, groups[1])}: their order is known, the "
        "size of the gap only from one side; without a prior it is infinite."
    ]


def _strong_components(
    tail: Int[Array, " E"], head: Int[Array, " E"], num_items: int
) -> Int[Array, " N"]:
    """Strongly connected components; where edges abound, a part of them usually settles it.

    More edges never part what is strongly connected. With 100,000 items and 10 million pairs a
    tenth of the edges answers in a tenth of the time.
    """
    stride = len(tail) // (_EDGES_TRIED * max(num_items, 1))
    if stride > 1:
        component = _components(tail[::stride], head[::stride], num_items, "strong")
        if component.max(initial=0) == 0:
            return component
    return _components(tail, head, num_items, "strong")


def _components(
    tail: Int[Array, " E"], head: Int[Array, " E"], num_items: int, kind: str
) -> Int[Array, " N"]:
    # SciPy's sparse graphs take a tenth of a second to import; `import penchant` does without.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(tail), dtype=bool), (tail, head)), (num_items, num_items))
    return connected_components(edges.tocsr(), directed=True, connection=kind)[1].astype(np.int64)


def _largest_first(label: Int[Array, " N"]) -> Int[Array, " N"]:
    """The same parts, numbered by size; equal sizes by their first item."""
    _, start, inverse, count = np.unique(
        label, return_index=True, return_inverse=True, return_counts=True
    )
    number = np.empty(len(count), dtype=np.int64)
    number[np.lexsort((start, -count))] = np.arange(len(count))
    return number[inverse]


def _listed(names: tuple[str, ...], which: Bool[Array, " N"]) -> str:
    places = np.flatnonzero(which)
    shown = ", ".join(f"`{names[place]}`" for place in places[:_NAMES_SHOWN])
    more = len(places) - _NAMES_SHOWN
    return shown if more <= 0 else f"{shown} and {more} more"


def _was(which: Bool[Array, " N"]) -> str:
    return "was" if which.sum() == 1 else "were"
