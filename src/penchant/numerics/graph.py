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
from penchant.numerics.names import excerpt

_NAMES_SHOWN = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class Connectivity:
    """island: number of each item's island, the largest island first.
    component: number of each item's strongly connected component; strengths within one are finite,
    gaps between two of the same island are infinite without a prior.
    main: whether an item is of its island's main component, inside which most points were scored;
    nowhere true in an island where no two items scored against each other, or of several
    components alike.
    unbeaten, winless: met others and never gave a point away, never scored one.
    unseen: met nobody."""

    island: Int[Array, " N"]
    component: Int[Array, " N"]
    main: Bool[Array, " N"]
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

    @property
    def reference(self) -> Bool[Array, " N"]:
        """Whom strengths are measured against, their mean being 0: the main component of each
        island, or all of an island that has none."""
        return self.main | ~self.has_main[self.island]

    @property
    def has_main(self) -> Bool[Array, " I"]:
        """Whether each island has a main component."""
        return np.bincount(self.island, self.main) > 0


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
    if not num_items or _is_whole(first, second, first_scored, second_scored, num_items):
        nowhere, one = np.zeros(num_items, dtype=bool), np.zeros(num_items, dtype=np.int64)
        return Connectivity(
            island=one, component=one, main=~nowhere, unbeaten=nowhere, winless=nowhere,
            unseen=nowhere,
        )  # fmt: skip
    up, down = first_scored > 0, second_scored > 0
    met = up | down
    # An edge leads from whoever conceded a point to whoever took it.
    loser = np.concatenate([second[up], first[down]])
    winner = np.concatenate([first[up], second[down]])
    component = _components(loser, winner, num_items, "strong")
    island = _components(first[met], second[met], num_items, "weak")
    seen, has_scored, has_conceded = (np.zeros(num_items, dtype=bool) for _ in range(3))
    seen[first[met]] = True
    seen[second[met]] = True
    has_scored[winner] = True
    has_conceded[loser] = True
    return Connectivity(
        island=_largest_first(island),
        component=_largest_first(component),
        main=_main(component, island, first, second, first_scored + second_scored),
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
    """Whether the data bound each strength from below, and from above, against its reference.

    A chain of points from all of the reference to the item bounds it from below (who beat whom who
    beat ...), chains from the item to all of it bound it from above. An item that never lost has no
    upper bound, and neither has one that lost to such items only. In a mere chain A > B > C > D the
    reference is all four: A has a lower bound, D an upper one, B and C none.
    """
    up, down = first_scored > 0, second_scored > 0
    loser = np.concatenate([second[up], first[down]])
    winner = np.concatenate([first[up], second[down]])
    sides = []
    for tail, head in ((loser, winner), (winner, loser)):
        sides.append(_reached(tail, head, found) | _only_end(tail, head, found))
    return sides[0], sides[1]


def _main(
    component: Int[Array, " N"],
    island: Int[Array, " N"],
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    points: Float[Array, " Q"],
) -> Bool[Array, " N"]:
    """Of each island the component inside which most points were scored, or all of one that hangs
    together; none where two have equally many."""
    inside = component[first] == component[second]
    own = np.bincount(component[first[inside]], points[inside], int(component.max()) + 1)
    island_of = np.zeros(len(own), dtype=np.int64)
    island_of[component] = island
    most = np.zeros(int(island.max()) + 1)
    np.maximum.at(most, island_of, own)
    # Sums of the same points in another order may differ in the last digit.
    is_most = own >= most[island_of] * (1.0 - 1e-9)
    is_one = np.bincount(island_of, is_most)[island_of] == 1
    is_whole = np.bincount(island_of)[island_of] == 1
    return np.asarray((is_most & is_one | is_whole)[component])


def _reached(
    tail: Int[Array, " E"], head: Int[Array, " E"], found: Connectivity
) -> Bool[Array, " N"]:
    """Whom chains of edges lead to from the main component of the island."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order

    # One more node, joined to a member of each, starts a single search for all islands.
    N, mains = len(found.island), np.flatnonzero(found.main)
    starts = mains[np.unique(found.island[mains], return_index=True)[1]]
    ends = np.append(tail, np.full(len(starts), N)), np.append(head, starts)
    graph = coo_array((np.ones(len(ends[0]), dtype=bool), ends), (N + 1, N + 1)).tocsr()
    reached = np.zeros(N + 1, dtype=bool)
    reached[breadth_first_order(graph, N, return_predecessors=False)] = True
    return reached[:N]


def _only_end(
    tail: Int[Array, " E"], head: Int[Array, " E"], found: Connectivity
) -> Bool[Array, " N"]:
    """Whom chains of edges lead to from everybody, where an island has no main component: the one
    component that no edge leaves, if it is the only one."""
    component, island = found.component, found.island
    is_end = np.ones(found.num_components, dtype=bool)
    is_end[component[tail[component[tail] != component[head]]]] = False
    island_of = np.zeros(found.num_components, dtype=np.int64)
    island_of[component] = island
    is_only = np.bincount(island_of, is_end)[island_of] == 1
    return np.asarray((is_end & is_only & ~found.has_main[island_of])[component])


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
            f"{_listed(names, found.unbeaten)} never lost: nothing in the data bounds the "
            "strength from above; without a prior the estimate is infinite."
        )
    if found.winless.any():
        sentences.append(
            f"{_listed(names, found.winless)} never won: nothing in the data bounds the "
            "strength from below; without a prior the estimate is infinite."
        )
    return (*sentences, *_rift_sentences(found, names))


def _island_sentences(found: Connectivity, names: tuple[str, ...]) -> list[str]:
    sizes = np.bincount(found.island[~found.unseen], minlength=found.num_islands)
    islands = np.flatnonzero(sizes)
    if len(islands) < 2:
        return []
    shown = "; ".join(_listed(names, found.island == island) for island in islands[:3])
    more = f"; and {len(islands) - 3:,} more" if len(islands) > 3 else ""
    return [
        f"{len(islands):,} islands that never meet, not even through others ({shown}{more}): "
        "scores compare within an island, not between two. A few comparisons across would join "
        "them."
    ]


def _rift_sentences(found: Connectivity, names: tuple[str, ...]) -> list[str]:
    """Parts of an island between which all points went one way, beyond items named already."""
    alone = found.unbeaten | found.winless | found.unseen
    size = np.bincount(found.component)
    # An unbeaten item that is all of its component has had its sentence.
    rest = np.unique(found.component[~alone | (size[found.component] > 1)])
    island_of = np.zeros(len(size), dtype=np.int64)
    island_of[found.component] = found.island
    several = rest[np.bincount(island_of[rest], minlength=found.num_islands)[island_of[rest]] > 1]
    if not len(several):
        return []
    groups = [found.component == component for component in several[:2]]
    return [
        f"{len(several)} parts of an island, each of one item or of several, met only with all "
        f"points going one way, among them {_listed(names, groups[0])} and "
        f"{_listed(names, groups[1])}: of gaps between parts the data know one bound at most, and "
        "without a prior they are infinite; gaps within a part are finite."
    ]


def _is_whole(
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    first_scored: Float[Array, " Q"],
    second_scored: Float[Array, " Q"],
    num_items: int,
) -> bool:
    """Whether all is strongly connected, where a few passes over the pairs can tell: with 10,000
    items and 9 million pairs in a hundredth of the time that SciPy's search takes."""
    try:
        from penchant.numerics.graph_fused import is_strongly_connected
    except ImportError:
        return False
    return is_strongly_connected(first, second, first_scored, second_scored, num_items)


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
    shown = ", ".join(f"`{excerpt(names[place])}`" for place in places[:_NAMES_SHOWN])
    more = len(places) - _NAMES_SHOWN
    return shown if more <= 0 else f"{shown} and {more:,} more"


def _was(which: Bool[Array, " N"]) -> str:
    return "was" if which.sum() == 1 else "were"
