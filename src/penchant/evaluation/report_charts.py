"""The geometry of the report's pictures: axes, bins and curves, in percent of the plotting area.

Percent, because a drawing that is stretched to the width of a phone keeps its letters' size only
if no view box scales them: marks are placed in percent and text is never transformed.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from penchant.evaluation.report import (
    KNOWN_PEOPLE,
    NEW_PEOPLE,
    Estimate,
    FewShotCurve,
    Ladder,
    LadderRow,
    ShareChange,
    TasteDistribution,
)


@dataclass(frozen=True)
class Scale:
    """A linear axis from `low` to `high` with round tick values."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def percent(self, value: float) -> float:
        """Where a value lies, in percent from the low end; values beyond the ends stay at them."""
        share = (value - self.low) / (self.high - self.low)
        return round(100.0 * min(max(share, 0.0), 1.0), 2)

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def scale(values: Iterable[float], num_ticks: int = 5, pad: float = 0.04) -> Scale:
    """An axis that shows all finite values, with about `num_ticks` round ticks inside it."""
    finite = [float(value) for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if high == low:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    margin = pad * (high - low)
    low, high = low - margin, high + margin
    step = _round_step((high - low) / num_ticks)
    first, last = math.ceil(low / step), math.floor(high / step)
    return Scale(low, high, tuple(round(i * step, 12) for i in range(first, last + 1)))


def interval_scale(estimates: Sequence[Estimate], include: Sequence[float] = ()) -> Scale:
    """An axis for estimates that one hopelessly wide interval cannot squeeze to dots.

    Intervals count up to four times the median half-width; what lies beyond ends at the edge.
    """
    widths = [e.high - e.low for e in estimates if math.isfinite(e.high - e.low)]
    reach = 2.0 * float(np.median(widths)) if widths else math.inf
    ends = [max(e.low, e.value - reach) for e in estimates]
    ends += [min(e.high, e.value + reach) for e in estimates]
    return scale([*ends, *(e.value for e in estimates), *include])


def tick_digits(axis: Scale) -> int:
    """Decimals that tell neighbouring ticks apart."""
    step = axis.ticks[1] - axis.ticks[0] if len(axis.ticks) > 1 else 1.0
    return next((d for d in range(6) if abs(round(step, d) - step) < 1e-9), 6)


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * round_ for round_ in (1, 2, 2.5, 5, 10) if step <= power * round_ * 1.0001)


@dataclass(frozen=True)
class LadderLine:
    """One model in the ladder's picture: its name and its row on each split, where judged."""

    model: str
    rows: dict[str, LadderRow]
    is_reference: bool
    is_best: dict[str, bool]


def ladder_splits(ladder: Ladder) -> list[str]:
    """The splits present, new people first."""
    present = {row.split for row in ladder.rows}
    return [split for split in (NEW_PEOPLE, KNOWN_PEOPLE) if split in present]


def ladder_scale(ladder: Ladder, split: str) -> Scale:
    rows = [row for row in ladder.rows if row.split == split]
    return scale([end for row in rows for end in (row.nll_low, row.nll_high)], num_ticks=4)


def ladder_lines(ladder: Ladder) -> list[LadderLine]:
    """Models in the order given, the reference last."""
    names = list(dict.fromkeys(row.model for row in ladder.rows))
    names.sort(key=lambda name: name == ladder.reference)
    lines = []
    for name in names:
        rows = {row.split: row for row in ladder.rows if row.model == name}
        best = {
            split: row.nll == min(r.nll for r in ladder.rows if r.split == split)
            for split, row in rows.items()
        }
        lines.append(LadderLine(name, rows, name == ladder.reference, best))
    return lines


def reference_nll(ladder: Ladder, split: str) -> float | None:
    rows = [row for row in ladder.rows if row.split == split and row.model == ladder.reference]
    return rows[0].nll if rows else None


def grouped(estimates: Sequence[Estimate]) -> list[tuple[str, list[Estimate]]]:
    """Consecutive estimates under their common heading."""
    return [(name, list(members)) for name, members in groupby(estimates, lambda e: e.group)]


@dataclass(frozen=True)
class Histogram:
    """Bars (left, width, height in percent), the curve's path in a 100 x 100 box, and the axis."""

    axis: Scale
    bars: tuple[tuple[float, float, float], ...]
    curve: str
    area: str
    median: float
    quarter: float
    three_quarters: float


def histogram(taste: TasteDistribution, num_bins: int = 36) -> Histogram:
    """The density of people over a taste, cut where a few extreme people would flatten it all.

    Shown are the inner 98 % of people, at most four interquartile ranges around the middle. A few
    kinds of people are a bar each, all of them shown.
    """
    if taste.kinds:
        return _bars_of_kinds(taste, num_bins)
    values = np.asarray(taste.personal, dtype=float)
    values = values[np.isfinite(values)]
    low, quarter, median, three_quarters, high = (
        np.quantile(values, [0.01, 0.25, 0.5, 0.75, 0.99]) if len(values) else (math.nan,) * 5
    )
    reach = 4.0 * (three_quarters - quarter) or math.inf
    low, high = max(low, median - reach), min(high, median + reach)
    axis = scale([low, high])
    heights, edges = np.histogram(values, bins=num_bins, range=(axis.low, axis.high))
    # A density, so that bars and curve have one area and may be compared by eye.
    density = heights / max(len(values), 1) / (edges[1] - edges[0])
    curve = [(x, d) for x, d in taste.curve if x in axis]
    top = 1.06 * max(float(density.max(initial=0.0)), _peak(curve)) or 1.0
    points = [(axis.percent(x), 100.0 - 100.0 * d / top) for x, d in curve]
    bars = tuple(
        (axis.percent(left), 100.0 / num_bins, round(100.0 * height / top, 2))
        for left, height in zip(edges[:-1], density)
        if height > 0
    )
    line = path(points)
    area = f"{line} L{points[-1][0]:.2f},100 L{points[0][0]:.2f},100 Z" if points else ""
    return Histogram(axis, bars, line, area, float(median), float(quarter), float(three_quarters))


def _bars_of_kinds(taste: TasteDistribution, num_bins: int) -> Histogram:
    """A bar for each kind, as high as its share of the people; there is no middle to mark."""
    axis = scale([value for value, _ in taste.kinds], pad=0.1)
    top = 1.06 * max(share for _, share in taste.kinds)
    width = 100.0 / num_bins
    bars = tuple(
        (axis.percent(value) - width / 2, width, round(100.0 * share / top, 2))
        for value, share in taste.kinds
    )
    return Histogram(axis, bars, "", "", math.nan, math.nan, math.nan)


def _peak(curve: Sequence[tuple[float, float]]) -> float:
    return max((density for _, density in curve), default=0.0)


def path(points: Sequence[tuple[float, float]]) -> str:
    """SVG path data through the points."""
    return "".join(f"{'ML'[i > 0]}{x:.2f},{y:.2f} " for i, (x, y) in enumerate(points)).strip()


@dataclass(frozen=True)
class FewShotPlot:
    x: Scale
    y: Scale
    line: str
    band: str


def few_shot_plot(curve: FewShotCurve) -> FewShotPlot:
    points = sorted(curve.points, key=lambda point: point.answers)
    last = points[-1].answers if points else 1
    x = Scale(-0.03 * max(last, 1), 1.03 * max(last, 1), tuple(float(p.answers) for p in points))
    y = scale([*(e for p in points for e in (p.low, p.high)), *(v for _, v in curve.baselines)])
    upper = [(x.percent(p.answers), 100 - y.percent(p.high)) for p in points]
    lower = [(x.percent(p.answers), 100 - y.percent(p.low)) for p in points]
    line = path([(x.percent(p.answers), 100 - y.percent(p.nll)) for p in points])
    return FewShotPlot(x, y, line, path(upper + lower[::-1]) + " Z")


def unit_scale(values: Iterable[float] = ()) -> Scale:
    """A probability axis from 0 to 1."""
    return Scale(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))


def share_scale(shares: Sequence[ShareChange]) -> Scale:
    """An axis of shares from zero to the next round tick above the largest."""
    top = max((max(s.before_high, s.after_high, s.before, s.after) for s in shares), default=1.0)
    high = min(1.0, 0.1 * math.ceil(10.0 * top + 0.2))
    step = 0.1 if high <= 0.5 else 0.2
    return Scale(0.0, high, tuple(round(i * step, 2) for i in range(int(high / step + 1e-9) + 1)))
