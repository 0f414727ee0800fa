"""Channels of two options side by side: who won, or by how much.

`channel_contract.py` says what a channel promises. Legend: B observations, M own parameters,
L levels, S kinds of people.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from penchant.data.batch import Batch, Block
from penchant.errors import DataError
from penchant.feedback.answers import (
    answer_shares,
    answers_of,
    check_labels,
    check_levels,
    ordered_names,
    ordered_start,
    quantiles,
    validate_levels,
)
from penchant.feedback.channel_contract import CommonChannel, Likelihood
from penchant.feedback.cumulative import Link
from penchant.feedback.pair_likelihood import (
    Ties,
    check_ties,
    grade_likelihood,
    vote_likelihood,
)
from penchant.feedback.thresholds import Ordered, Symmetric, Thresholds
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Pair(CommonChannel):
    """Who won of two. Probabilities [B, 2], or [B, 3] with the tie last.

    ties: None (a tie is an error), "davidson" (a tie is an answer of its own; logit only) or
    "rao_kupper" (a tie is a gap too small to notice). link: "logit" for Bradley-Terry, "probit"
    for Thurstone's case V, where the difference has a noise of unit variance.
    """

    ties: Ties | None = None
    link: Link = "logit"
    kind: ClassVar[str] = "pair"

    def __post_init__(self) -> None:
        check_ties(self.ties, self.link)

    def validate(self, batch: Batch) -> None:
        num_ties = int(np.sum(answers_of(batch, self.kind, "outcome") == 2))
        if self.ties is None and num_ties:
            raise DataError(
                f"{num_ties} pairs ended in a tie; expected a winner in each, since `ties` is "
                "None. Use Pair(ties='davidson') or Pair(ties='rao_kupper'), or drop the ties."
            )

    def num_common(self) -> int:
        return 0 if self.ties is None else 1

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        if self.ties is None:
            return ()
        return ("log tie strength",) if self.ties == "davidson" else ("log tie threshold",)

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        if self.ties is None:
            return np.zeros(0)
        shares = answer_shares(answers_of(batch, self.kind, "outcome"), 3)
        if self.ties == "davidson":
            return np.log([2 * shares[2] / (1 - shares[2])])
        return np.log(quantiles(np.array([0.5 + shares[2] / 2]), self.link))

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        answer = block.answer["outcome"]
        return vote_likelihood(self.ties, self.link, answer, parameters[None])


@dataclass(frozen=True, kw_only=True)
class GradedPair(CommonChannel):
    """How much better the first of two is, in `levels` grades. Probabilities [B, L].

    has_position_bias: thresholds of their own for both sides, so that being shown first may help;
    without it they mirror each other. link: "logit" or "probit". labels: what the grades are
    called, lowest first; numbered from 0 without it.
    """

    levels: int
    has_position_bias: bool = False
    link: Link = "logit"
    labels: tuple[str, ...] = ()
    kind: ClassVar[str] = "graded"

    def __post_init__(self) -> None:
        check_levels(self.levels)
        check_labels(self.labels, self.levels)

    def validate(self, batch: Batch) -> None:
        validate_levels(answers_of(batch, self.kind, "grade"), self.levels, lowest=0)

    def num_common(self) -> int:
        return self.thresholds().num_parameters

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        if self.has_position_bias:
            return ordered_names(self.levels, self.labels)
        # The upper half, which the lower one mirrors; its first step is from the middle.
        return ordered_names(self.levels, self.labels)[self.levels - 1 - self.num_common() :]

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        shares = answer_shares(answers_of(batch, self.kind, "grade"), self.levels)
        if self.has_position_bias:
            return ordered_start(shares, self.link)
        tau = quantiles(np.cumsum((shares + shares[::-1]) / 2)[:-1], self.link)
        positive = tau[tau.size - self.num_common() :]
        return np.log(np.diff(positive, prepend=0.0))

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        grade = block.answer["grade"]
        return grade_likelihood(self.thresholds(), self.link, grade, parameters[None])

    def thresholds(self) -> Thresholds:
        """Those between the grades."""
        return Ordered(self.levels) if self.has_position_bias else Symmetric(self.levels)
