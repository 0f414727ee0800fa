"""What the leaderboard's page shows of graded votes: the scale, and whether scores foretell it."""

from dataclasses import dataclass

from penchant.evaluation.report_words import percent
from penchant.models.grade_shares import GradeShares


@dataclass(frozen=True, kw_only=True)
class GradeLine:
    """begins: the gap at which this grade, or one above it, is even odds; None for the lowest.
    expected: None where the scores do not tell."""

    name: str
    given: float
    expected: float | None
    begins: float | None


@dataclass(frozen=True, kw_only=True)
class GradesView:
    """The scale, its top first."""

    lines: tuple[GradeLine, ...]
    takeaway: str


def grades_view(found: GradeShares | None) -> GradesView | None:
    """None where votes are not graded."""
    if found is None:
        return None
    lines = tuple(
        GradeLine(
            name=name,
            given=float(found.given[place]),
            expected=None if found.expected is None else float(found.expected[place]),
            begins=float(found.thresholds[place - 1]) if place else None,
        )
        for place, name in enumerate(found.names)
    )
    return GradesView(lines=lines[::-1], takeaway=_takeaway(found))


def _takeaway(found: GradeShares) -> str:
    told = "; ".join(found.sentences()) + "."
    if found.expected is None:
        return told
    off = 0.5 * float(abs(found.given - found.expected).sum())
    return (
        f"{told} One scale for all pairs puts {percent(1.0 - off, 1)} of the votes where they were "
        "given, over all pairs together."
    )
