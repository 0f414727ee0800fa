"""The page of policies that learn while people come: what each earned, and how soon."""

from collections.abc import Sequence

from penchant.evaluation.arrivals import Comparison, Standing
from penchant.evaluation.line_charts import (
    BOTTOM,
    COLOURS,
    along,
    axes,
    legend,
    picture,
    steps_axis,
    stroke,
    up,
)
from penchant.evaluation.report import Estimate
from penchant.evaluation.report_charts import Scale, scale


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
    y, x = scale(ends), steps_axis(found.rounds)
    height = BOTTOM + 44 + 18 * len(found.standings)
    words = "".join(axes(x, y, f"{found.unit}, a round so far", "rounds"))
    lines = "".join(_line(one, at, found, shown, x, y) for at, one in enumerate(found.standings))
    return picture(height, "Earned a round so far", words + lines)


def _line(
    one: Standing, at: int, found: Comparison, shown: Sequence[int], x: Scale, y: Scale
) -> str:
    spots = [along(found.rounds[k], x) for k in shown]
    middle = " ".join(f"{p:.1f},{up(one.curve[k], y):.1f}" for p, k in zip(spots, shown))
    above, below = (
        [f"{p:.1f},{up(_possible(ends[k], found), y):.1f}" for p, k in zip(spots, shown)]
        for ends in (one.curve_high, one.curve_low)
    )
    return (
        f'<polygon points="{" ".join(above + below[::-1])}" fill="{COLOURS[at % len(COLOURS)]}" '
        f'fill-opacity="0.12"/>{stroke(at, middle, one.name)}{legend(at, one.name)}'
    )


def _possible(value: float, found: Comparison) -> float:
    # Few runs have wide bands, which would squeeze the curves.
    return min(max(value, found.least), found.most)
