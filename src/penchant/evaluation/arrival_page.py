"""The page of policies that learn while people come: what each earned, and how soon."""

from collections.abc import Sequence
from html import escape

from penchant.evaluation.arrivals import Comparison, Standing
from penchant.evaluation.report import Estimate
from penchant.evaluation.report_charts import Scale, scale, tick_digits

_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 640.0, 16.0, 300.0
# Colours and strokes: two contenders differ in print too.
_COLOURS = ("#22313f", "#c0392b", "#2e86c1", "#27ae60", "#af7ac5", "#d68910", "#5d6d7e")
_DASHES = ("", "7 3", "2 3", "9 3 2 3")


def render_arrivals(found: Comparison, title: str) -> str:
    """One HTML document: no script, no network, no picture files."""
    from penchant.evaluation import report_charts, report_words
    from penchant.evaluation.report import environment

    return (
        environment()
        .get_template("simulate.html")
        .render(
            data=found, title=title, lead=lead(found), picture=curves_picture(found),
            estimates=estimates(found), charts=report_charts, words=report_words,
        )
    )  # fmt: skip


def lead(found: Comparison) -> tuple[str, ...]:
    """What a hurried reader should take away."""
    first, told = found.standings[0], []
    for one in found.standings[1:]:
        beside = f"{one.gain:+.3f} a round ({one.gain_low:+.3f} to {one.gain_high:+.3f})"
        if one.gain_low > 0:
            told.append(f"{one.name} earns more than {first.name}: {beside}.")
        elif one.gain_high < 0:
            told.append(f"{one.name} earns less than {first.name}: {beside}.")
        else:
            told.append(f"{one.name} and {first.name} cannot be told apart: {beside}.")
    return tuple(told)


def estimates(found: Comparison) -> tuple[Estimate, ...]:
    """Earnings of all, for a picture of intervals."""
    return tuple(
        Estimate(label=one.name, value=one.earned, low=one.low, high=one.high)
        for one in found.standings
    )


def curves_picture(found: Comparison) -> str:
    """SVG: earned a round so far, by rounds, with 95 % bands as far as they can be true."""
    # The first rounds are chance, and would squeeze the rest.
    shown = [k for k, t in enumerate(found.rounds) if t >= max(5, found.rounds[-1] // 50)]
    ends = [
        _possible(v[k], found)
        for s in found.standings for v in (s.curve_low, s.curve_high) for k in shown
    ]  # fmt: skip
    y, x = scale(ends), Scale(0.0, float(found.rounds[-1]), ())
    x = Scale(x.low, x.high, scale((0.0, x.high), pad=0.0).ticks)
    height = _BOTTOM + 44 + 18 * len(found.standings)
    words = "".join(_axes(x, y, found.unit))
    lines = "".join(_line(one, at, found, shown, x, y) for at, one in enumerate(found.standings))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_RIGHT + 20:g} {height:g}" '
        f'role="img" aria-label="Earned a round so far" style="width:100%;max-width:48rem" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
        f"{words}{lines}</svg>"
    )


def _axes(x: Scale, y: Scale, unit: str) -> list[str]:
    digits = tick_digits(y)
    words = [
        f'<text x="{_LEFT:g}" y="11">{escape(unit)}, a round so far</text>',
        f'<text x="{_RIGHT:g}" y="{_BOTTOM + 32:g}" text-anchor="end">rounds</text>',
    ]
    for tick in y.ticks:
        at = _y(tick, y)
        words.append(
            f'<line x1="{_LEFT:g}" y1="{at:.1f}" x2="{_RIGHT:g}" y2="{at:.1f}" stroke="#cfd6dc"/>'
            f'<text x="{_LEFT - 6:g}" y="{at + 4:.1f}" text-anchor="end">{tick:.{digits}f}</text>'
        )
    for tick in x.ticks:
        words.append(
            f'<text x="{_x(tick, x):.1f}" y="{_BOTTOM + 16:g}" text-anchor="middle">{tick:g}</text>'
        )
    return words


def _line(
    one: Standing, at: int, found: Comparison, shown: Sequence[int], x: Scale, y: Scale
) -> str:
    colour, dash = _COLOURS[at % len(_COLOURS)], _DASHES[at % len(_DASHES)]
    spots = [_x(found.rounds[k], x) for k in shown]
    middle = " ".join(f"{p:.1f},{_y(one.curve[k], y):.1f}" for p, k in zip(spots, shown))
    above, below = (
        [f"{p:.1f},{_y(_possible(ends[k], found), y):.1f}" for p, k in zip(spots, shown)]
        for ends in (one.curve_high, one.curve_low)
    )
    legend = _BOTTOM + 52 + 18 * at
    return (
        f'<polygon points="{" ".join(above + below[::-1])}" fill="{colour}" fill-opacity="0.12"/>'
        f'<polyline points="{middle}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dash}"><title>{escape(one.name)}</title></polyline>'
        f'<line x1="{_LEFT:g}" y1="{legend - 4:g}" x2="{_LEFT + 28:g}" y2="{legend - 4:g}" '
        f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        f'<text x="{_LEFT + 36:g}" y="{legend:g}">{escape(one.name)}</text>'
    )


def _possible(value: float, found: Comparison) -> float:
    # Few runs have wide bands, which would squeeze the curves.
    return min(max(value, found.least), found.most)


def _x(value: float, axis: Scale) -> float:
    return _LEFT + (_RIGHT - _LEFT) * axis.percent(value) / 100.0


def _y(value: float, axis: Scale) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * axis.percent(value) / 100.0
