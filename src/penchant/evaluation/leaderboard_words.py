"""What the leaderboard's page says of numbers, and the axes it says it on."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from penchant.evaluation.report import Estimate
from penchant.evaluation.report_charts import Scale, interval_scale
from penchant.evaluation.report_words import calibration_takeaway, number, percent, signed
from penchant.models.standings import Standing

if TYPE_CHECKING:
    from penchant.evaluation.leaderboard_page import BoardCalibration

__all__ = [
    "board_calibration",
    "bound",
    "calibration_takeaway",
    "level",
    "p_value_words",
    "percent",
    "rank_axis",
    "score_axis",
    "shade",
]  # fmt: skip


def score_axis(rows: Sequence[Standing]) -> Scale:
    """An axis for the scores that an endless interval cannot squeeze to dots."""
    return interval_scale(
        [Estimate(label=r.name, value=r.strength, low=r.low, high=r.high) for r in rows], [0.0]
    )


def rank_axis(rows: Sequence[Standing]) -> Scale:
    """An axis of places with a tick at the first, the last and round ones between."""
    last = max(row.rank_high for row in rows)
    step = max(1, next(s for s in (1, 2, 5, 10, 20, 50, 10 ** len(str(last))) if last <= 8 * s))
    between = [float(place) for place in range(step, last + 1, step) if place > 1]
    return Scale(0.5, last + 0.5, (1.0, *between))


def bound(value: float) -> str:
    """An end of an interval in words."""
    if math.isfinite(value):
        return signed(value, 2)
    return "no upper end" if value > 0 else "no lower end"


def shade(share: float) -> str:
    """The background of a win rate: green from one half up, red from one half down."""
    away = max(-1.0, min(1.0, 2.0 * (share - 0.5)))
    colour = "var(--accent)" if away > 0 else "var(--loss)"
    return f"color-mix(in srgb, {colour} {60.0 * abs(away):.0f}%, transparent)"


def level(value: float) -> str:
    """How often intervals hold, with all its digits: 0.999999 is not 100 %."""
    return f"{100.0 * value:.10g}\u202f%"


def board_calibration(calibration: "BoardCalibration") -> str:
    """Whether one score an item is enough to foretell who wins, beyond what chance makes of it."""
    excess = calibration.ece - calibration.by_chance
    if calibration.ece <= calibration.most_by_chance:
        verdict = "One score an item foretells who wins as well as chance allows"
    elif excess < 0.02:
        verdict = "One score an item foretells who wins well, though not exactly"
    elif excess < 0.05:
        verdict = "One score an item foretells who wins roughly"
    else:
        verdict = "One score an item does not foretell well who wins"
    return (
        f"{verdict}: win rates lie {percent(calibration.ece, 1)} from what the scores say, on "
        "average over these very votes; votes drawn from the scores would lie "
        f"{percent(calibration.by_chance, 1)} away."
    )


def p_value_words(value: float) -> str:
    """Three digits of it, or that it is smaller than they tell."""
    return "below 0.001" if value < 0.001 else number(value, 3)
