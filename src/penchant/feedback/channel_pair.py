"""Channels of two options side by side: who won, or by how much.

`channel_contract.py` says what a channel promises. Legend: B observations, M own parameters,
L levels, S kinds of people.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError, DataError
from penchant.feedback import (
    pairwise,
    probit,
)
from penchant.feedback.answers import (
    answer_shares,
    answers_of,
    check_levels,
    ordered_names,
    ordered_start,
    quantiles,
    validate_levels,
)
from penchant.feedback.channel_contract import CommonChannel, Likelihood
from penchant.feedback.cumulative import Link
from penchant.feedback.thresholds import Ordered, Symmetric, Thresholds
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Pair(CommonChannel):
    """Who won of two. Probabilities [B, 2], or [B, 3] with the tie last.

    ties: None (a tie is an error), "davidson" (a tie is an answer of its own; logit only) or
    "rao_kupper" (a tie is a gap too small to notice). link: "logit" for Bradley-Terry, "probit"
    for Thurstone's case V, where the difference has a noise of unit variance.
    """

    ties: Literal["davidson", "rao_kupper"] | None = None
    link: Link = "logit"
    kind: ClassVar[str] = "pair"

    def __post_init__(self) -> None:
        if self.ties == "davidson" and self.link == "probit":
            raise ConfigError(
                "got ties='davidson' with link='probit'; Davidson's ties exist for the logit "
                "only. Use ties='rao_kupper', which has a probit form."
            )

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
        if self.ties == "davidson":
            return Likelihood(
                log_prob=pairwise.davidson_log_prob,
                score=pairwise.davidson_score,
                curvature=pairwise.davidson_curvature,
                probabilities=pairwise.davidson_probabilities,
                arguments=(answer, parameters[None]),
                probability_arguments=(parameters[None],),
            )
        if self.ties == "rao_kupper":
            return Likelihood(
                log_prob=pairwise.rao_kupper_log_prob,
                score=pairwise.rao_kupper_score,
                curvature=pairwise.rao_kupper_curvature,
                probabilities=pairwise.rao_kupper_probabilities,
                arguments=(answer, parameters[None]),
                probability_arguments=(parameters[None],),
                options={"link": self.link},
            )
        if self.link == "probit":
            return Likelihood(
                log_prob=probit.pair_log_prob,
                score=probit.pair_score,
                curvature=probit.pair_curvature,
                probabilities=probit.pair_probabilities,
                arguments=(answer,),
            )
        return Likelihood(
            log_prob=pairwise.bradley_terry_log_prob,
            score=pairwise.bradley_terry_score,
            curvature=pairwise.bradley_terry_curvature,
            probabilities=pairwise.bradley_terry_probabilities,
            arguments=(answer,),
        )


@dataclass(frozen=True, kw_only=True)
class GradedPair(CommonChannel):
    """How much better the first of two is, in `levels` grades. Probabilities [B, L].

    has_position_bias: thresholds of their own for both sides, so that being shown first may help;
    without it they mirror each other. link: "logit" or "probit".
    """

    levels: int
    has_position_bias: bool = False
    link: Link = "logit"
    kind: ClassVar[str] = "graded"

    def __post_init__(self) -> None:
        check_levels(self.levels)

    def validate(self, batch: Batch) -> None:
        validate_levels(answers_of(batch, self.kind, "grade"), self.levels, lowest=0)

    def num_common(self) -> int:
        return self._thresholds().num_parameters

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        if self.has_position_bias:
            return ordered_names(self.levels)
        return tuple(
            f"log threshold step {m + 1} from the middle" for m in range(self.num_common())
        )

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        shares = answer_shares(answers_of(batch, self.kind, "grade"), self.levels)
        if self.has_position_bias:
            return ordered_start(shares, self.link)
        tau = quantiles(np.cumsum((shares + shares[::-1]) / 2)[:-1], self.link)
        positive = tau[tau.size - self.num_common() :]
        return np.log(np.diff(positive, prepend=0.0))

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        return Likelihood(
            log_prob=pairwise.graded_log_prob,
            score=pairwise.graded_score,
            curvature=pairwise.graded_curvature,
            probabilities=pairwise.graded_probabilities,
            arguments=(block.answer["grade"], parameters[None]),
            probability_arguments=(parameters[None],),
            options={"thresholds": self._thresholds(), "link": self.link},
        )

    def _thresholds(self) -> Thresholds:
        return Ordered(self.levels) if self.has_position_bias else Symmetric(self.levels)
