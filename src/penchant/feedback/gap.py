"""Pairs as functions of one number, the gap between the two worths: what fits on votes climb on.

The likelihoods are those of `pairwise.py` and `probit.py` at worths (gap, 0). Davidson's needs one
softmax for all its derivatives and has a fused twin, `gap_fused.py`; Bradley and Terry's needs one
exponential.

Legend: B rows, M own parameters (and N again), S kinds of people.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.feedback.channel_contract import Likelihood
from penchant.feedback.cumulative import Link
from penchant.feedback.pair_likelihood import (
    Ties,
    check_ties,
    grade_likelihood,
    vote_likelihood,
)
from penchant.feedback.thresholds import Symmetric
from penchant.numerics.arrays import Array, align


@dataclass(frozen=True, kw_only=True, eq=False)
class GapResponse:
    """log p of each row's answer; `slope` per unit of gap and `own_slope` per own parameter;
    `bend`, `cross` and `own_bend` are minus the second derivatives."""

    value: Float[Array, " B *S"]
    slope: Float[Array, " B *S"]
    bend: Float[Array, " B *S"]
    own_slope: Float[Array, "B M *S"]
    cross: Float[Array, "B M *S"]
    own_bend: Float[Array, "B M N *S"]


@dataclass(frozen=True, kw_only=True)
class GapModel:
    """How a vote arises from a gap.

    ties: None (there are none), "davidson" or "rao_kupper"; link: "logit" or "probit". levels:
    None for win, loss and tie; else the answers are grades 0 .. levels - 1, higher better for the
    first, with thresholds that mirror each other.
    """

    ties: Ties | None = None
    link: Link = "logit"
    levels: int | None = None

    def __post_init__(self) -> None:
        check_ties(self.ties, self.link)
        if self.levels is not None and (self.ties is not None or self.levels < 2):
            raise ConfigError(
                f"got levels={self.levels} with ties={self.ties!r}; expected two levels or more "
                "and ties=None: of an odd number of grades the middle one is the tie."
            )

    @property
    def num_own(self) -> int:
        """M, the number of own parameters: the log of the tie strength, or threshold steps."""
        if self.levels is not None:
            return Symmetric(self.levels).num_parameters
        return 0 if self.ties is None else 1

    @property
    def num_answers(self) -> int:
        """How many answers there are."""
        if self.levels is not None:
            return self.levels
        return 2 if self.ties is None else 3

    def respond(
        self,
        gap: Float[Array, " B *S"],
        answer: Int[Array, " B"],
        own: Float[Array, "#B M *#S"],
    ) -> GapResponse:
        """log p(answer) and its derivatives.

        Answers are 0 where the first won, 1 where the second did, 2 for a tie; or grades.
        """
        if self.link == "logit" and self.levels is None and self.ties is None:
            return _two_answers(gap, answer)
        if self.ties == "davidson":
            try:
                return self._fused(gap, answer, own)
            except ImportError:  # without numba
                pass
        return self.respond_plainly(gap, answer, own)

    def respond_plainly(
        self,
        gap: Float[Array, " B *S"],
        answer: Int[Array, " B"],
        own: Float[Array, "#B M *#S"],
    ) -> GapResponse:
        """The same by the general likelihoods: what the fused loop is held to."""
        made = self._likelihood(answer, own)
        utilities = np.stack([gap, np.zeros_like(gap)], axis=1)
        score = made.score(utilities, *made.arguments, **made.options)
        bend = made.curvature(utilities, *made.arguments, **made.options)
        return GapResponse(
            value=made.log_prob(utilities, *made.arguments, **made.options),
            slope=score.utilities[:, 0],
            bend=bend.utilities[:, 0, 0],
            own_slope=score.parameters,
            cross=bend.cross[:, 0],
            own_bend=bend.parameters,
        )

    def _fused(
        self, gap: Float[Array, " B *S"], answer: Int[Array, " B"], own: Float[Array, "#B M *#S"]
    ) -> GapResponse:
        from penchant.feedback import gap_fused

        log_tie = np.broadcast_to(align(own[:, 0], gap), gap.shape)
        rows = (len(gap), gap[:1].size)
        found = gap_fused.respond(
            gap.reshape(rows), answer.astype(np.int64), np.ascontiguousarray(log_tie).reshape(rows)
        ).reshape(6, *gap.shape)
        own_slope, cross, own_bend = (found[place][:, None] for place in (2, 4, 5))
        return GapResponse(
            value=found[0],
            slope=found[1],
            bend=found[3],
            own_slope=own_slope,
            cross=cross,
            own_bend=own_bend[:, None],
        )

    def log_prob(
        self,
        gap: Float[Array, " B *S"],
        answer: Int[Array, " B"],
        own: Float[Array, "#B M *#S"],
    ) -> Float[Array, " B *S"]:
        """log p(answer) alone."""
        made = self._likelihood(answer, own)
        utilities = np.stack([gap, np.zeros_like(gap)], axis=1)
        return made.log_prob(utilities, *made.arguments, **made.options)

    def probabilities(
        self, gap: Float[Array, " B *S"], own: Float[Array, "#B M *#S"]
    ) -> Float[Array, "B L *S"]:
        """The probability of every answer."""
        rows = np.zeros(len(gap), dtype=np.int64)
        logs = [self.log_prob(gap, rows + answer, own) for answer in range(self.num_answers)]
        return np.exp(np.stack(logs, axis=1))

    def _likelihood(self, answer: Int[Array, " B"], own: Float[Array, "#B M *#S"]) -> Likelihood:
        if self.levels is not None:
            return grade_likelihood(Symmetric(self.levels), self.link, answer, own)
        return vote_likelihood(self.ties, self.link, answer, own)


def _two_answers(gap: Float[Array, " B *S"], answer: Int[Array, " B"]) -> GapResponse:
    """Bradley and Terry's: log sigma(+-g), +-sigma(-+g), sigma(g) sigma(-g), by one exponential.

    Three times as fast as the loop that also knows ties, where rows fit into cache.
    """
    sign = align(1.0 - 2.0 * answer, gap)
    toward = sign * gap
    odds = np.exp(-np.abs(toward))
    sure = 1.0 / (1.0 + odds)
    other = odds * sure
    return two_answers(
        np.minimum(toward, 0.0) - np.log1p(odds),
        sign * np.where(toward >= 0.0, other, sure),
        other * sure,
    )


def two_answers(
    value: Float[Array, " B *S"], slope: Float[Array, " B *S"], bend: Float[Array, " B *S"]
) -> GapResponse:
    """The response of a likelihood without own parameters."""
    none = np.zeros((len(value), 0, *value.shape[1:]))
    return GapResponse(
        value=value,
        slope=slope,
        bend=bend,
        own_slope=none,
        cross=none,
        own_bend=np.zeros((len(value), 0, 0, *value.shape[1:])),
    )
