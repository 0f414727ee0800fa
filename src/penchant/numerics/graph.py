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
_EDGES_TRIED = 20  # pairs for each item, before all are looked at


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
    enough = _EDGES_TRIED * num_items
    if len(first) > 2 * enough:
        # Pairs at even distances would not do: in a sorted list they miss some items altogether.
        some = np.random.default_rng(0).integers(0, len(first), enough)
        tried = connectivity(
            first[some], second[some], first_scored[some], second_scored[some], num_items
        )
        if _is_joined(tried.component == 0, first, second, first_scored, second_scored):
            return _whole(num_items)
    up, down = first_scored > 0, second_scored > 0
    met = up | down
    # An edge leads from whoever conceded a point to whoever took it.
    loser = np.concatenate([second[up], first[down]])
    winner = np.concatenate([first[up], second[down]])
    component = _components(loser, winner, num_items, "strong")
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


def _is_joined(
    core: Bool[Array, " N"],
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    first_scored: Float[Array, " Q"],
    second_scored: Float[Array, " Q"],
) -> bool:
    """Whether everybody outside a strongly connected core scored against it and conceded to it.

    More pairs never part what is strongly connected, so that some pairs and this one look at the
    rest usually settle the matter: 10,000 items and 10 million pairs in a tenth of the time.
    """
    across = np.flatnonzero(core[first] != core[second])
    is_first_out = ~core[first[across]]
    outside = np.where(is_first_out, first[across], second[across])
    points = first_scored[across], second_scored[across]
    has_scored, has_conceded = core.copy(), core.copy()
    has_scored[outside[np.where(is_first_out, *points) > 0]] = True
    has_conceded[outside[np.where(is_first_out, *points[::-1]) > 0]] = True
    return bool(has_scored.all() and has_conceded.all())


def _whole(num_items: int) -> Connectivity:
    """Everybody in one strongly connected component."""
    zeros, none = np.zeros(num_items, dtype=np.int64), np.zeros(num_items, dtype=bool)
    return Connectivity(island=zeros, component=zeros, unbeaten=none, winless=none, unseen=none)


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
