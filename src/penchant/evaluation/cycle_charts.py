"""The picture of a cycle: items on a ring in order of strength, arrows from winner to loser.

Arrows along the order are drawn thin and grey; those of the shown cycle, one of which must run
against the order, thick. The picture is SVG text that stands alone or inside a page.
"""

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float

from penchant.errors import DataError
from penchant.numerics.arrays import Array, sigmoid
from penchant.numerics.names import excerpt
from penchant.utilities.intransitive import Cycle

_WIDTH, _HEIGHT, _RING, _DOT = 760.0, 400.0, 140.0, 5.0
_LONGEST_NAME = 28
_CYCLE, _PLAIN, _WORDS = "#c0392b", "#b8bfc6", "#22313f"


def cycle_picture(
    comparison: Float[Array, "N N"],
    items: Sequence[str],
    cycles: Sequence[Cycle],
    *,
    max_items: int = 12,
    lottery: Float[Array, " N"] | None = None,
) -> str:
    """SVG of the strongest cycles among the items that take part in them.

    Arrows point from the preferred item; those of the first cycle carry the probability of winning.
    `lottery` writes each item's probability under the minimax winner beside its name. Of longer
    lists of cycles, as many are shown as fit `max_items` items.

    Raises `DataError` without a cycle.
    """
    if not cycles:
        raise DataError(
            "there is no cycle to draw; expected at least one. An order explains all preferences: "
            "show the ranking instead."
        )
    members: list[int] = []
    for cycle in cycles:
        joined = [*members, *(item for item in cycle.items if item not in members)]
        members = joined if len(joined) <= max_items else members
    shown = [cycle for cycle in cycles if set(cycle.items) <= set(members)]
    members.sort(key=lambda item: -float(comparison[item, members].sum()))
    places = {item: _on_ring(index, len(members)) for index, item in enumerate(members)}
    lines = []
    in_cycles = {leg for cycle in shown for leg in _legs(cycle)}
    for i in members:
        for j in members:
            if comparison[i, j] > 0 and (i, j) not in in_cycles:
                lines.append(_arrow(places[i], places[j], _PLAIN, 1.0))
    for cycle in reversed(shown):
        width = 2.5 if cycle is shown[0] else 1.3
        lines += [_arrow(places[i], places[j], _CYCLE, width) for i, j in _legs(cycle)]
    for i, j in _legs(shown[0]):
        words = f"{float(sigmoid(comparison[i, j])):.0%}"
        lines.append(_label(places[i], places[j], words))
    for index, item in enumerate(members):
        chance = "" if lottery is None else f" · {float(lottery[item]):.0%}"
        short = excerpt(items[item], _LONGEST_NAME)
        lines.append(_name(places[item], f"{index + 1}. {short}{chance}"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="13">'
        f"<title>{escape(_title(shown[0], items))}</title>"
        f"<defs>{_head('cycle', _CYCLE)}{_head('plain', _PLAIN)}</defs>{''.join(lines)}</svg>"
    )


def _title(cycle: Cycle, items: Sequence[str]) -> str:
    one, two, three = (items[item] for item in cycle.items)
    return f"{one} is preferred to {two}, {two} to {three}, and {three} to {one}"


def _legs(cycle: Cycle) -> list[tuple[int, int]]:
    return list(zip(cycle.items, (*cycle.items[1:], cycle.items[0])))


def _on_ring(index: int, count: int) -> tuple[float, float]:
    angle = 2 * math.pi * index / count - math.pi / 2
    return _WIDTH / 2 + _RING * math.cos(angle), _HEIGHT / 2 + _RING * math.sin(angle)


def _arrow(start: tuple[float, float], end: tuple[float, float], colour: str, width: float) -> str:
    (x1, y1), (x2, y2) = start, end
    length = max(math.hypot(x2 - x1, y2 - y1), 1e-9)
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    near, far = _DOT + 3, _DOT + 6
    kind = "cycle" if colour == _CYCLE else "plain"
    return (
        f'<line x1="{x1 + near * dx:.1f}" y1="{y1 + near * dy:.1f}" x2="{x2 - far * dx:.1f}" '
        f'y2="{y2 - far * dy:.1f}" stroke="{colour}" stroke-width="{width:g}" '
        f'marker-end="url(#{kind})"/>'
    )


def _label(start: tuple[float, float], end: tuple[float, float], words: str) -> str:
    # A little before the middle: at the middle, the labels of crossing arrows collide.
    x, y = (one + 0.4 * (two - one) for one, two in zip(start, end))
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{_CYCLE}" text-anchor="middle" font-weight="600" '
        f'dominant-baseline="middle" paint-order="stroke" stroke="#fff" stroke-width="5">'
        f"{words}</text>"
    )


def _name(place: tuple[float, float], words: str) -> str:
    x, y = place
    side = np.sign(round(x - _WIDTH / 2, 6))
    anchor = {1.0: "start", -1.0: "end", 0.0: "middle"}[float(side)]
    drop = 0.0 if side else (-16.0 if y < _HEIGHT / 2 else 18.0)
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_DOT:g}" fill="{_WORDS}"/>'
        f'<text x="{x + 11 * side:.1f}" y="{y + drop:.1f}" fill="{_WORDS}" '
        f'text-anchor="{anchor}" dominant-baseline="middle">{escape(words)}</text>'
    )


def _head(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0 L8,4 L0,8 Z" fill="{colour}"/>'
        "</marker>"
    )
