"""A published figure beside ours, and whether the two agree."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from penchant.errors import ConfigError
from penchant.metrics.intervals import Z95


@dataclass(frozen=True, kw_only=True)
class Claim:
    """theirs: as printed in `source`, which says so where it is another figure of ours; ours: what
    this run gave; low, high: the figures that ours would agree with, both ends included. All in the
    units of `what`."""

    what: str
    theirs: float
    ours: float
    low: float
    high: float
    source: str = ""

    @property
    def holds(self) -> bool:
        """Whether their figure is one that ours agrees with; never for a figure that is NaN."""
        return bool(self.low <= self.theirs <= self.high)

    def plain(self) -> dict[str, Any]:
        """Fields and verdict, ready for JSON; an open end is None."""
        ends = {"low": self.low, "high": self.high}
        closed = {name: x if math.isfinite(x) else None for name, x in ends.items()}
        return {**asdict(self), **closed, "holds": self.holds}


def as_printed(what: str, theirs: float, ours: float, *, decimals: int, source: str = "") -> Claim:
    """Agreement to the last digit printed: ours rounds to theirs (half a unit either way)."""
    # A rounding of the rounding: figures in the middle are printed up or down.
    half = 0.5 * 10.0**-decimals * (1.0 + 1e-9)
    return Claim(
        what=what, theirs=theirs, ours=ours, low=ours - half, high=ours + half, source=source
    )


def within_doubt(what: str, theirs: float, ours: float, *, se: float, source: str = "") -> Claim:
    """Agreement within our 95 % interval, ours -+ 1.96 se; for other people or other draws.

    Raises `ConfigError` for a standard error that is no positive number: nothing would then be
    claimed, or everything.
    """
    if not (math.isfinite(se) and se > 0):
        raise ConfigError(
            f"the claim {what!r} has the standard error {se}; expected a positive number. Claim "
            "`as_printed` where nothing is in doubt."
        )
    return within_reach(what, theirs, ours, reach=Z95 * se, source=source)


def within_reach(what: str, theirs: float, ours: float, *, reach: float, source: str = "") -> Claim:
    """Agreement within our interval, ours -+ `reach`; of few seeds `recipes.reach_over_seeds`."""
    return Claim(
        what=what, theirs=theirs, ours=ours, low=ours - reach, high=ours + reach, source=source
    )


def no_worse(
    what: str, theirs: float, ours: float, *, slack: float = 0.0, source: str = ""
) -> Claim:
    """Ours is as high as theirs, or lower by no more than `slack`; of figures where more is better,
    such as a log-likelihood."""
    return Claim(
        what=what, theirs=theirs, ours=ours, low=-math.inf, high=ours + slack, source=source
    )


def no_better(
    what: str, bound: float, ours: float, *, slack: float = 0.0, source: str = ""
) -> Claim:
    """Ours does not pass `bound` by more than `slack`: what the best predictor would have in the
    same world, so that a reader sees how much of it could be had at all."""
    return Claim(what=what, theirs=bound, ours=ours, low=ours - slack, high=math.inf, source=source)


def claims_table(claims: Sequence[Claim]) -> str:
    """Aligned columns for a terminal: what, theirs, ours, what would agree, whether it does, and
    where theirs stands."""
    lines = [("", "theirs", "ours", "agrees with", "", "theirs is of")]
    lines += [
        (
            c.what,
            _figure(c.theirs),
            _figure(c.ours),
            _span(c.low, c.high),
            "holds" if c.holds else "DIFFERS",
            c.source,
        )
        for c in claims
    ]
    if not any(c.source for c in claims):
        lines = [(*line[:5], "") for line in lines]
    widths = [max(len(line[i]) for line in lines) for i in range(6)]
    return "\n".join(
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(cell.rjust(w) for cell, w in zip(line[1:4], widths[1:4])),
                line[4].ljust(widths[4]),
                line[5],
            ]
        ).rstrip()
        for line in lines
    )


def _figure(value: float) -> str:
    return f"{value:.3f}" if abs(value) >= 10 else f"{value:.5g}"


def _span(low: float, high: float) -> str:
    if not math.isfinite(low):
        return f"up to {_figure(high)}"
    if not math.isfinite(high):
        return f"{_figure(low)} or more"
    return f"{_figure(low)} to {_figure(high)}"
