"""What the leaderboard's page shows of contexts: scores in each, and which are surely apart.

Legend: N items, X contexts.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from penchant.evaluation.leaderboard_words import p_value_words
from penchant.evaluation.report_words import number
from penchant.fitting.votes_table import VotesFit
from penchant.models.leaderboard import Leaderboard
from penchant.models.standings import Standing
from penchant.numerics.arrays import Array

# More than a reader takes in at once.
MOST_ITEMS, MOST_CONTEXTS = 16, 8


@dataclass(frozen=True, kw_only=True)
class ContextCell:
    """An item's score in a context; `is_apart` where it is surely not that of other contexts."""

    score: float
    is_apart: bool


@dataclass(frozen=True, kw_only=True)
class ContextView:
    """Items down, contexts across."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, tuple[ContextCell, ...]], ...]
    takeaway: str


def context_view(board: Leaderboard, rows: tuple[Standing, ...]) -> ContextView | None:
    fit = board.fit_
    if not isinstance(fit, VotesFit) or fit.context is None:
        return None
    context = fit.context
    place = {name: i for i, name in enumerate(fit.items)}
    # The contexts that differ most from the whole come first.
    columns = np.argsort(-np.abs(context.deviation).max(axis=1))[:MOST_CONTEXTS]
    is_apart = _apart_from_others(context.scores, context.scores_se)
    shown = [(row.name, place[row.name]) for row in rows[:MOST_ITEMS]]
    return ContextView(
        names=tuple(context.names[c] for c in columns),
        rows=tuple(
            (name, tuple(ContextCell(score=float(context.scores[c, i]),
                                     is_apart=bool(is_apart[c, i])) for c in columns))
            for name, i in shown
        ),
        takeaway=(
            "What a context adds to a score has the standard deviation "
            f"{number(context.spread, 2)}; that it adds nothing has the p-value "
            f"{p_value_words(context.p_value)}."
        ),
    )  # fmt: skip


def _apart_from_others(
    scores: Float[Array, "X N"], errors: Float[Array, "X N"]
) -> Bool[Array, "X N"]:
    """Whether an item's score lies two standard errors from its mean over the other contexts.

    Votes of different contexts are different votes, so that their errors add up.
    """
    precision = 1.0 / np.maximum(errors, 1e-12) ** 2
    rest = precision.sum(axis=0) - precision
    if len(scores) < 2:
        return np.zeros(scores.shape, dtype=bool)
    others = ((precision * scores).sum(axis=0) - precision * scores) / rest
    return np.abs(scores - others) > 2.0 * np.sqrt(errors**2 + 1.0 / rest)
