"""The picture of who loses: for each rule, the share of each group that is worse off.

Legend: no arrays of its own; one row of dots per rule, one colour per group.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape

from penchant.errors import DataError
from penchant.policies.oneshot.consequences import Loss, Verdict
from penchant.policies.oneshot.social_choice import Rule

_LEFT, _RIGHT, _ROW, _TOP = 120.0, 640.0, 46.0, 54.0
_COLOURS = ("#22313f", "#2e86c1", "#c0392b", "#27ae60", "#af7ac5", "#d68910", "#5d6d7e")
_WORDS = {"minimax_winner": "minimax winner"}


def losses_picture(verdicts: Mapping[Rule, Verdict], title: str) -> str:
    """SVG: the share losing under each rule, by group, with 95 % intervals where there are draws.

    Groups keep the order and the colour of the first rule's losses, everybody first.

    Raises `DataError` without a rule.
    """
    if not verdicts:
        raise DataError("there is no rule to show; expected the verdicts of at least one.")
    groups = [loss.group for loss in next(iter(verdicts.values())).losses]
    top = max(_end(loss) for verdict in verdicts.values() for loss in verdict.losses)
    reach = min(1.0, math.ceil(10 * top + 0.01) / 10)
    height = _TOP + _ROW * len(verdicts) + 34
    parts = [_ticks(reach, height)]
    for row, (rule, verdict) in enumerate(verdicts.items()):
        middle = _TOP + _ROW * (row + 0.5)
        parts.append(
            f'<text x="{_LEFT - 12:g}" y="{middle:g}" text-anchor="end" '
            f'dominant-baseline="middle">{escape(_WORDS.get(rule, rule))}</text>'
        )
        for loss in verdict.losses:
            place = groups.index(loss.group)
            y = middle + 30.0 * ((place + 0.5) / len(groups) - 0.5)
            parts.append(_dot(loss, y, reach, _COLOURS[place % len(_COLOURS)]))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_RIGHT + 30:g} {height:g}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12" fill="#22313f">'
        f"<title>{escape(title)}</title>"
        f'<text x="12" y="18" font-size="14" font-weight="600">{escape(title)}</text>'
        f"{_legend(groups)}{''.join(parts)}</svg>"
    )


def _end(loss: Loss) -> float:
    return loss.losing if math.isnan(loss.losing_high) else max(loss.losing, loss.losing_high)


def _x(share: float, reach: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * share / reach


def _dot(loss: Loss, y: float, reach: float, colour: str) -> str:
    words = f"{loss.group}: {loss.losing:.0%} of {loss.voters} lose"
    line = ""
    if not math.isnan(loss.losing_low):
        low, high = _x(loss.losing_low, reach), _x(loss.losing_high, reach)
        line = (
            f'<line x1="{low:.1f}" y1="{y:.1f}" x2="{high:.1f}" y2="{y:.1f}" '
            f'stroke="{colour}" stroke-width="2" stroke-opacity="0.5"/>'
        )
    return (
        f'{line}<circle cx="{_x(loss.losing, reach):.1f}" cy="{y:.1f}" r="4" fill="{colour}">'
        f"<title>{escape(words)}</title></circle>"
    )


def _ticks(reach: float, height: float) -> str:
    bottom = height - 30
    step = 0.1 if reach <= 0.5 else 0.2
    marks = [round(step * index, 2) for index in range(int(reach / step + 1e-9) + 1)]
    return "".join(
        f'<line x1="{_x(mark, reach):.1f}" y1="{_TOP - 4:g}" x2="{_x(mark, reach):.1f}" '
        f'y2="{bottom:g}" stroke="#dfe4e8"/><text x="{_x(mark, reach):.1f}" y="{bottom + 16:g}" '
        f'text-anchor="middle">{mark:.0%}</text>'
        for mark in marks
    )


def _legend(groups: Sequence[str]) -> str:
    parts, x = [], 18.0
    for place, group in enumerate(groups):
        parts.append(
            f'<circle cx="{x:.0f}" cy="36" r="4" fill="{_COLOURS[place % len(_COLOURS)]}"/>'
            f'<text x="{x + 8:.0f}" y="36" dominant-baseline="middle">{escape(group)}</text>'
        )
        x += 24.0 + 6.8 * len(group)
    return "".join(parts)
