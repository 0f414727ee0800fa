"""What graded votes say of their scale: where one grade gives way to the next, how often each is.

Legend: B votes, L grades, T = L - 1 thresholds.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.data.votes import Votes
from penchant.feedback.thresholds import Symmetric
from penchant.fitting.votes_table import VotesFit
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class GradeShares:
    """thresholds: gaps in logits (probits of a Thurstone model) at which a grade above is as likely
    as one up to it. given: the part of all votes, by weight; expected: what the scores foretell of
    these very pairs, None where they are not those of each vote (drift, voters who differ)."""

    names: tuple[str, ...]
    thresholds: Float[Array, " T"]
    given: Float[Array, " L"]
    expected: Float[Array, " L"] | None

    def sentences(self) -> tuple[str, ...]:
        """The upper half of the scale in words; the lower half mirrors it."""
        upper = range(len(self.names) - 1, len(self.names) // 2, -1)
        return tuple(
            f"`{self.names[grade]}`"
            + (" or more" if grade < len(self.names) - 1 else "")
            + f" is even odds at a gap of {self.thresholds[grade - 1]:.2f}"
            for grade in reversed(upper)
        )


def grade_shares(fit: VotesFit, votes: Votes, *, is_pooled: bool) -> GradeShares:
    """The scale of a fit to graded votes."""
    levels = fit.model.levels
    assert levels is not None
    assert votes.grade is not None
    weight = votes.weight / votes.weight.sum()
    expected = None
    if is_pooled:
        expected = weight @ fit.model.probabilities(fit.gaps(votes), fit.own[None])
    return GradeShares(
        names=votes.grades,
        thresholds=Symmetric(levels).values(fit.own[None])[0],
        given=np.bincount(votes.grade, weight, minlength=levels),
        expected=expected,
    )
