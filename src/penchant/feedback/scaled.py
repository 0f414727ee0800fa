"""One kind of feedback noisier than another: a scale between the common utilities and an answer.

Legend: B observations, K options, M own parameters, m of them in one row, S kinds of people.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_contract import Channel
from penchant.feedback.derivatives import Curvature, Score
from penchant.numerics.arrays import Array, align, namespace


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """A channel that hears exp(kappa) times the utilities; kappa is the first own parameter.

    Answers of different kinds carry different noise, and a scale on all but one of them lets them
    speak of the same utilities (Ben-Akiva and Morikawa 1990 on stated beside revealed choices).
    Without feedback of another kind the scale cannot be known.

    spread: standard deviation of kappa ~ N(0, spread^2) before any data (log of a factor); None:
    free, and then without end where worths tell these answers apart without a fault.
    """

    channel: Channel
    spread: float | None = None

    def __post_init__(self) -> None:
        if self.spread is not None and not self.spread > 0:
            raise ConfigError(
                f"got spread={self.spread}; expected a positive standard deviation of the log of "
                "a factor, such as 1, or None for a scale that is free."
            )

    @property
    def kind(self) -> str:
        return self.channel.kind

    def validate(self, batch: Batch) -> None:
        if all(block.kind == self.kind for block in batch.blocks):
            raise DataError(
                f"all feedback is of kind {self.kind!r} and its scale is to be learnt; expected "
                "another kind beside it, without a scale of its own, to compare with. Use the "
                f"channel itself instead: {self.channel}."
            )
        self.channel.validate(batch)

    def num_parameters(self, batch: Batch) -> int:
        return 1 + self.channel.num_parameters(batch)

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        return (f"log scale of {self.kind}", *self.channel.parameter_names(batch))

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        return np.concatenate([[0.0], self.channel.initial(batch)])

    def prior_precision(self, batch: Batch) -> Float[Array, " M"]:
        own = 0.0 if self.spread is None else self.spread**-2.0
        return np.concatenate([[own], self.channel.prior_precision(batch)])

    def parameter_index(self, block: Block) -> Int[Array, "B m"]:
        inner = self.channel.parameter_index(block)
        return np.concatenate([np.zeros((len(block), 1), dtype=inner.dtype), 1 + inner], axis=1)

    def transfer(
        self, parameters: Float[Array, " M *S"], group_names: tuple[str, ...], batch: Batch
    ) -> Float[Array, " M2 *S"]:
        inner = self.channel.transfer(parameters[1:], group_names, batch)
        return namespace(parameters).concat([parameters[:1], inner], axis=0)

    def log_prob(
        self, utilities: Float[Array, "B K *S"], block: Block, parameters: Float[Array, "M *#S"]
    ) -> Float[Array, " B *S"]:
        return self.channel.log_prob(
            _scale(utilities, parameters) * utilities, block, parameters[1:]
        )

    def score(
        self, utilities: Float[Array, "B K *S"], block: Block, parameters: Float[Array, "M *#S"]
    ) -> Score:
        xp = namespace(utilities)
        scale = _scale(utilities, parameters)
        inner = self.channel.score(scale * utilities, block, parameters[1:])
        slope = xp.sum(inner.utilities * scale * utilities, axis=1, keepdims=True)
        return Score(
            utilities=scale * inner.utilities,
            parameters=xp.concat([slope, inner.parameters], axis=1),
        )

    def curvature(
        self, utilities: Float[Array, "B K *S"], block: Block, parameters: Float[Array, "M *#S"]
    ) -> Curvature:
        xp = namespace(utilities)
        scale = _scale(utilities, parameters)
        heard = scale * utilities
        inner = self.channel.curvature(heard, block, parameters[1:])
        score = self.channel.score(heard, block, parameters[1:]).utilities
        pull = xp.sum(inner.utilities * heard[:, None], axis=2) - score
        own = xp.sum(pull * heard, axis=1)[:, None, None]
        mixed = xp.sum(inner.cross * heard[:, :, None], axis=1)
        top = xp.concat([own, mixed[:, None]], axis=2)
        bottom = xp.concat([mixed[:, :, None], inner.parameters], axis=2)
        return Curvature(
            utilities=scale[:, None] ** 2 * inner.utilities,
            cross=xp.concat([(scale * pull)[:, :, None], scale[:, :, None] * inner.cross], axis=2),
            parameters=xp.concat([top, bottom], axis=1),
        )

    def probabilities(
        self, utilities: Float[Array, "B K *S"], block: Block, parameters: Float[Array, "M *#S"]
    ) -> Float[Array, "B ..."]:
        return self.channel.probabilities(
            _scale(utilities, parameters) * utilities, block, parameters[1:]
        )


def _scale(
    utilities: Float[Array, "B K *S"], parameters: Float[Array, "M *#S"]
) -> Float[Array, "1 1 *#S"]:
    return namespace(utilities).exp(align(parameters[None, :1], utilities))
