"""The picture of who surely beats whom: the best on top, arrows down, nothing said twice.

Legend: N items.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Bool, Int

from penchant.numerics.arrays import Array
from penchant.numerics.names import excerpt

_WIDTH, _ROW, _LONGEST_NAME, _TOP = 760.0, 74.0, 22, 28.0


def layers(sure: Bool[Array, "N N"]) -> Int[Array, " N"]:
    """How long the longest chain of sure wins above each item is; 0 where nobody is surely better.

    `sure[i, j]` says that i surely beats j, and has no cycle.
    """
    depth = np.zeros(len(sure), dtype=np.int64)
    for _ in range(len(sure)):
        above = np.where(sure, depth[:, None] + 1, 0).max(axis=0, initial=0)
        if (above == depth).all():
            break
        depth = above
    return depth


def covering(sure: Bool[Array, "N N"]) -> Bool[Array, "N N"]:
    """The arrows that the others do not imply: i over j with nobody between (Hasse's diagram).

    The relation is made transitive first: what is surely better than something surely better is
    better too.
    """
    reach = sure.copy()
    for middle in range(len(sure)):
        reach |= reach[:, [middle]] & reach[[middle], :]
    through = (reach.astype(np.int64) @ reach.astype(np.int64)) > 0
    return reach & ~through


def beats_graph(names: Sequence[str], sure: Bool[Array, "N N"]) -> str:
    """SVG of the items in layers; empty where no pair is settled, or there is one item."""
    if len(names) < 2 or not sure.any():
        return ""
    layer = layers(sure)
    height = _TOP * 2 + _ROW * int(layer.max())
    places: dict[int, tuple[float, float]] = {}
    for level in range(int(layer.max()) + 1):
        mine = np.flatnonzero(layer == level)
        for index, item in enumerate(mine):
            places[int(item)] = (_WIDTH * (index + 0.5) / len(mine), _TOP + _ROW * level)
    arrows = "".join(_arrow(places[i], places[j]) for i, j in np.argwhere(covering(sure)).tolist())
    widest = max(int((layer == level).sum()) for level in range(int(layer.max()) + 1))
    room = max(int(_WIDTH / widest / 8.2), 4)
    labels = "".join(
        _label(places[item], name, min(room, _LONGEST_NAME)) for item, name in enumerate(names)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {height:g}" role="img" class="beats" font-size="14">'
        f"<title>Who surely beats whom, the best on top</title>"
        '<defs><marker id="over" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 Z"/></marker></defs>{arrows}{labels}</svg>'
    )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    # Curves that leave and arrive upright keep clear of the names between.
    y1, y2 = y1 + 15.0, y2 - 16.0
    bend = 0.45 * (y2 - y1)
    return (
        f'<path class="over" d="M{x1:.1f},{y1:.1f} C{x1:.1f},{y1 + bend:.1f} '
        f'{x2:.1f},{y2 - bend:.1f} {x2:.1f},{y2:.1f}" marker-end="url(#over)"/>'
    )


def _label(place: tuple[float, float], name: str, room: int) -> str:
    short = excerpt(name, room)
    x, y = place
    half = 4.2 * len(short) + 9.0
    return (
        f'<g><title>{escape(name)}</title><rect x="{x - half:.1f}" y="{y - 14:.1f}" '
        f'width="{2 * half:.1f}" height="28" rx="6"/><text x="{x:.1f}" y="{y:.1f}" '
        f'text-anchor="middle" dominant-baseline="central">{escape(short)}</text></g>'
    )
