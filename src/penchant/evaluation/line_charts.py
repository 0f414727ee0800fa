"""Lines over steps, as SVG without a script: axes and how values become places.

Places are in the units of the picture's view box.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from penchant.evaluation.report_charts import Scale, scale, tick_digits

LEFT, RIGHT, TOP, BOTTOM = 64.0, 640.0, 16.0, 300.0
# Colours and strokes: two lines differ in print too.
COLOURS = ("#22313f", "#c0392b", "#2e86c1", "#27ae60", "#af7ac5", "#d68910", "#5d6d7e")
DASHES = ("", "7 3", "2 3", "9 3 2 3")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A named series; what is NaN leaves a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def lines_picture(lines: Sequence[Line], *, unit: str, over: str, title: str) -> str:
    """SVG of some lines on one pair of axes."""
    y = scale([value for line in lines for value in line.y])
    x = steps_axis([place for line in lines for place in line.x])
    named = len(lines) > 1
    height = BOTTOM + 44 + 18 * len(lines) * named
    drawn = "".join(_drawn(line, at, x, y, named) for at, line in enumerate(lines))
    return picture(height, title, "".join(axes(x, y, unit, over)) + drawn)


def steps_axis(places: Sequence[float]) -> Scale:
    """From 0 to the last step, with round ticks."""
    last = max(places, default=1.0) or 1.0
    return Scale(0.0, float(last), scale((0.0, float(last)), pad=0.0).ticks)


def picture(height: float, title: str, inside: str) -> str:
    """The frame of a picture of the page's width."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {RIGHT + 20:g} {height:g}" '
        f'role="img" aria-label="{escape(title)}" style="width:100%;max-width:48rem" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">{inside}</svg>'
    )


def axes(x: Scale, y: Scale, unit: str, over: str) -> list[str]:
    """Grid, ticks and what both axes count."""
    digits = tick_digits(y)
    words = [
        f'<text x="{LEFT:g}" y="11">{escape(unit)}</text>',
        f'<text x="{RIGHT:g}" y="{BOTTOM + 32:g}" text-anchor="end">{escape(over)}</text>',
    ]
    for tick in y.ticks:
        at = up(tick, y)
        words.append(
            f'<line x1="{LEFT:g}" y1="{at:.1f}" x2="{RIGHT:g}" y2="{at:.1f}" stroke="#cfd6dc"/>'
            f'<text x="{LEFT - 6:g}" y="{at + 4:.1f}" text-anchor="end">{tick:.{digits}f}</text>'
        )
    for tick in x.ticks:
        words.append(
            f'<text x="{along(tick, x):.1f}" y="{BOTTOM + 16:g}" text-anchor="middle">{tick:g}'
            "</text>"
        )
    return words


def dot(at: int, point: str, name: str) -> str:
    """One place alone, of which a line would show nothing."""
    across, down = point.split(",")
    return (
        f'<circle cx="{across}" cy="{down}" r="4" fill="{COLOURS[at % len(COLOURS)]}">'
        f"<title>{escape(name)}</title></circle>"
    )


def stroke(at: int, points: str, name: str) -> str:
    """One line through points, in the colour and dash of its place."""
    return (
        f'<polyline points="{points}" fill="none" stroke="{COLOURS[at % len(COLOURS)]}" '
        f'stroke-width="2" stroke-dasharray="{DASHES[at % len(DASHES)]}">'
        f"<title>{escape(name)}</title></polyline>"
    )


def legend(at: int, name: str) -> str:
    """The line's name below the picture."""
    colour, dash = COLOURS[at % len(COLOURS)], DASHES[at % len(DASHES)]
    place = BOTTOM + 52 + 18 * at
    return (
        f'<line x1="{LEFT:g}" y1="{place - 4:g}" x2="{LEFT + 28:g}" y2="{place - 4:g}" '
        f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        f'<text x="{LEFT + 36:g}" y="{place:g}">{escape(name)}</text>'
    )


def along(value: float, axis: Scale) -> float:
    """Where a value lies from left to right."""
    return LEFT + (RIGHT - LEFT) * axis.percent(value) / 100.0


def up(value: float, axis: Scale) -> float:
    """Where a value lies from bottom to top."""
    return BOTTOM - (BOTTOM - TOP) * axis.percent(value) / 100.0


def _drawn(line: Line, at: int, x: Scale, y: Scale, named: bool) -> str:
    parts: list[list[str]] = [[]]
    for place, value in zip(line.x, line.y, strict=True):
        if value == value:
            parts[-1].append(f"{along(place, x):.1f},{up(value, y):.1f}")
        elif parts[-1]:
            parts.append([])
    strokes = "".join(
        dot(at, points[0], line.name) if len(points) == 1
        else stroke(at, " ".join(points), line.name)
        for points in parts if points
    )  # fmt: skip
    return strokes + (legend(at, line.name) if named else "")
