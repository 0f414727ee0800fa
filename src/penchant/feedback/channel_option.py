"""Channels of one option by itself: a rating, a click, an approval, a reward.

`channel_contract.py` says what a channel promises. Legend: B observations, K options, M own
parameters, m of them in one row, L levels, G groups, S kinds of people.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError
from penchant.feedback import (
    accept,
    outcome,
    rating,
)
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
from penchant.feedback.channel_personal import (
    check_personal_scales,
    personal_index,
    personal_names,
    personal_precision,
    transfer_personal,
)
from penchant.feedback.cumulative import Link
from penchant.feedback.thresholds import Ordered, Personal, Thresholds
from penchant.numerics.arrays import Array, constant, namespace


@dataclass(frozen=True, kw_only=True)
class Rating(CommonChannel):
    """Ordered ratings of single options in `levels` levels. Probabilities [B, K, L].

    by_person: each group shifts and stretches the common thresholds by its own two numbers, held
    to zero by normal priors of standard deviation `shift_scale` (utility) and `stretch_scale`
    (log of a factor). A group that the fit did not see has both at zero. link: "logit", "probit".
    labels: what the levels are called, lowest first; numbered from 0 without it.
    """

    levels: int
    by_person: bool = False
    shift_scale: float = 1.0
    stretch_scale: float = 0.3
    link: Link = "logit"
    labels: tuple[str, ...] = ()
    kind: ClassVar[str] = "rating"

    def __post_init__(self) -> None:
        check_levels(self.levels)
        check_labels(self.labels, self.levels)
        check_personal_scales(self.shift_scale, self.stretch_scale)

    def validate(self, batch: Batch) -> None:
        validate_levels(answers_of(batch, self.kind, "level"), self.levels, lowest=-1)

    def num_common(self) -> int:
        return self.levels - 1

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        names = ordered_names(self.levels, self.labels)
        if not self.by_person:
            return names
        return names + personal_names(batch, "threshold shift", "log threshold stretch")

    def num_parameters(self, batch: Batch) -> int:
        return self.levels - 1 + (2 * batch.num_groups if self.by_person else 0)

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        level = answers_of(batch, self.kind, "level")
        start = np.zeros(self.num_parameters(batch))
        start[: self.levels - 1] = ordered_start(answer_shares(level, self.levels), self.link)
        return start

    def prior_precision(self, batch: Batch) -> Float[Array, " M"]:
        num = self.num_parameters(batch)
        return personal_precision(num, self.levels - 1, self.shift_scale, self.stretch_scale)

    def parameter_index(self, block: Block) -> Int[Array, "B m"]:
        common = super().parameter_index(block)
        return personal_index(common, block) if self.by_person else common

    def transfer(
        self, parameters: Float[Array, " M *S"], group_names: tuple[str, ...], batch: Batch
    ) -> Float[Array, " M2 *S"]:
        if not self.by_person:
            return parameters
        return transfer_personal(parameters, self.levels - 1, group_names, batch)

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        if self.by_person:
            thresholds: Thresholds = Personal(self.levels)
            index = self.parameter_index(block)
            own = parameters[constant(index, parameters)]
        else:
            thresholds, own = Ordered(self.levels), parameters[None]
        return Likelihood(
            log_prob=rating.log_prob,
            score=rating.score,
            curvature=rating.curvature,
            probabilities=rating.probabilities,
            arguments=(block.offered, block.answer["level"], own),
            probability_arguments=(own,),
            options={"thresholds": thresholds, "link": self.link},
        )


@dataclass(frozen=True, kw_only=True)
class Binary(CommonChannel):
    """Each option taken or left by itself (a click, a sale). Probabilities [B, K] of taking.

    The own parameter is the bar that a utility must pass to be taken half of the time.
    """

    link: Link = "logit"
    kind: ClassVar[str] = "binary"
    answer_name: ClassVar[str] = "success"

    def num_common(self) -> int:
        return 1

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        return (f"{self.kind} bar",)

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        taken = np.asarray(answers_of(batch, self.kind, self.answer_name), dtype=np.int64)
        return -quantiles(answer_shares(taken, 2)[1:], self.link)

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        answer = block.answer[self.answer_name]
        success = namespace(answer).astype(answer, block.option.dtype)
        return Likelihood(
            log_prob=accept.log_prob,
            score=accept.score,
            curvature=accept.curvature,
            probabilities=accept.probabilities,
            arguments=(block.offered, success, parameters[None]),
            probability_arguments=(parameters[None],),
            options={"link": self.link},
        )


@dataclass(frozen=True, kw_only=True)
class Approval(Binary):
    """Every option of the menu that is good enough. Probabilities [B, K] of being approved."""

    kind: ClassVar[str] = "approval"
    answer_name: ClassVar[str] = "approved"


@dataclass(frozen=True, kw_only=True)
class Outcome(CommonChannel):
    """A real number for an option, Gaussian around its utility.

    Own parameters: log sigma and, with has_intercept, the value of an option of utility zero.
    Needed where other feedback shapes the utilities and leaves their zero open; else a constant
    among the features does the same.

    by_person: each group shifts its values (in their units, prior standard deviation `shift_scale`)
    and stretches their scale (log of a factor, `stretch_scale`), noise included; needs the
    intercept. A group that the fit did not see has both at zero.
    """

    has_intercept: bool = False
    by_person: bool = False
    shift_scale: float = 1.0
    stretch_scale: float = 0.3
    kind: ClassVar[str] = "outcome"

    def __post_init__(self) -> None:
        check_personal_scales(self.shift_scale, self.stretch_scale)
        if self.by_person and not self.has_intercept:
            raise ConfigError(
                "got by_person=True with has_intercept=False; expected an intercept, from which "
                "people shift. Set has_intercept=True, or leave by_person out."
            )

    def num_common(self) -> int:
        return 2 if self.has_intercept else 1

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        names = ("log sigma", "outcome intercept")[: self.num_common()]
        if not self.by_person:
            return names
        return names + personal_names(batch, "outcome shift", "log outcome stretch")

    def num_parameters(self, batch: Batch) -> int:
        return self.num_common() + (2 * batch.num_groups if self.by_person else 0)

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        value = answers_of(batch, self.kind, "value")
        value = value[np.isfinite(value)]
        spread = float(np.std(value)) if value.size else 0.0
        mean = float(np.mean(value)) if value.size else 0.0
        start = np.zeros(self.num_parameters(batch))
        common = [math.log(spread) if spread > 0 else 0.0, mean][: self.num_common()]
        start[: len(common)] = common
        return start

    def prior_precision(self, batch: Batch) -> Float[Array, " M"]:
        num = self.num_parameters(batch)
        return personal_precision(num, self.num_common(), self.shift_scale, self.stretch_scale)

    def parameter_index(self, block: Block) -> Int[Array, "B m"]:
        common = super().parameter_index(block)
        return personal_index(common, block) if self.by_person else common

    def transfer(
        self, parameters: Float[Array, " M *S"], group_names: tuple[str, ...], batch: Batch
    ) -> Float[Array, " M2 *S"]:
        if not self.by_person:
            return parameters
        return transfer_personal(parameters, self.num_common(), group_names, batch)

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        own = parameters[None]
        if self.by_person:
            own = parameters[constant(self.parameter_index(block), parameters)]
        return Likelihood(
            log_prob=outcome.log_prob,
            score=outcome.score,
            curvature=outcome.curvature,
            probabilities=_no_probabilities,
            arguments=(block.offered, block.answer["value"], own),
        )


def _no_probabilities(utilities: Float[Array, "B K *S"]) -> Array:
    raise ConfigError(
        "asked for the probabilities of all answers of an outcome, which is a real number; "
        "expected a kind of feedback with finitely many answers. Use the utilities: they are the "
        "mean of the outcome."
    )
