"""Channels of a choice: one option of a menu, under logit, nested or normal noise.

`channel_contract.py` says what a channel promises. Legend: B observations, K options, M own
parameters, S kinds of people.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError, DataError
from penchant.feedback import (
    alternatives,
    choice,
    nested,
    probit,
    probit_correlated,
)
from penchant.feedback.channel_contract import CommonChannel, Likelihood
from penchant.numerics.arrays import Array, constant
from penchant.numerics.draws import draw_uniforms


@dataclass(frozen=True, kw_only=True)
class Choice(CommonChannel):
    """One option of the menu: conditional logit. Probabilities [B, K]."""

    kind: ClassVar[str] = "choice"

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        return Likelihood(
            log_prob=choice.log_prob,
            score=choice.score,
            curvature=choice.curvature,
            probabilities=choice.probabilities,
            arguments=(block.offered, block.answer["chosen"]),
            probability_arguments=(block.offered,),
        )


@dataclass(frozen=True, kw_only=True)
class Nested(CommonChannel):
    """One option of a menu whose options come in nests. Probabilities [B, K].

    nests: for each option of the batch, in the order of its `option_names`, the number of its
    nest, or -1 for an option that stands alone. nest_names: for the table of results.
    """

    nests: tuple[int, ...]
    nest_names: tuple[str, ...] = ()
    kind: ClassVar[str] = "choice"

    def __post_init__(self) -> None:
        numbers = {nest for nest in self.nests if nest >= 0}
        if not numbers or numbers != set(range(len(numbers))) or min(self.nests) < -1:
            raise ConfigError(
                f"nests are numbered {sorted(set(self.nests))}; expected 0, 1, 2, ... without a "
                "gap, and -1 for options that stand alone. Renumber them."
            )
        lonely = [nest for nest in sorted(numbers) if self.nests.count(nest) == 1]
        if lonely:
            raise ConfigError(
                f"nest {lonely[0]} holds one option only; expected at least two, since the scale "
                "of such a nest cannot be known. Give the option -1 instead: it stands alone."
            )
        if self.nest_names and len(self.nest_names) != len(numbers):
            raise ConfigError(
                f"got {len(self.nest_names)} nest names for {len(numbers)} nests; expected one "
                "name for each nest. Complete them, or leave them out."
            )

    def validate(self, batch: Batch) -> None:
        if len(batch.option_names) != len(self.nests):
            raise DataError(
                f"the batch has {len(batch.option_names)} options and `nests` names the nest of "
                f"{len(self.nests)}; expected one nest (or -1) for each of "
                f"{batch.option_names[:8]}. Complete `nests` in that order."
            )

    def num_common(self) -> int:
        return max(self.nests) + 1

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        names = self.nest_names or tuple(str(m) for m in range(self.num_common()))
        return tuple(f"log nest scale [{name}]" for name in names)

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        # The -1 of padding picks the entry put at the end, which stands alone.
        nest = constant(np.array([*self.nests, -1]), block.option)[block.option]
        return Likelihood(
            log_prob=nested.log_prob,
            score=nested.score,
            curvature=nested.curvature,
            probabilities=nested.probabilities,
            arguments=(block.offered, block.answer["chosen"], nest, parameters[None]),
            probability_arguments=(block.offered, nest, parameters[None]),
        )


@dataclass(frozen=True, kw_only=True)
class Probit(CommonChannel):
    """One option of the menu under normal noise. Probabilities [B, K].

    num_correlated: None for independent errors of unit variance; else the number of alternatives
    (all options of the batch, 2 to 6) whose errors have a covariance of their own, simulated with
    `num_draws` evenly spread draws from `seed`, the same for all rows and in every fit.
    """

    num_correlated: int | None = None
    num_draws: int = 256
    seed: int = 0
    kind: ClassVar[str] = "choice"

    def __post_init__(self) -> None:
        most = probit_correlated.MOST_ALTERNATIVES
        if self.num_correlated is not None and not 2 <= self.num_correlated <= most:
            raise ConfigError(
                f"num_correlated is {self.num_correlated}; expected 2 to {most} alternatives. Use "
                "Probit() with independent errors, or nests, for more."
            )
        if self.num_draws < 1:
            raise ConfigError(f"num_draws is {self.num_draws}; expected 1 or more, such as 256.")

    def validate(self, batch: Batch) -> None:
        if self.num_correlated not in (None, len(batch.option_names)):
            raise DataError(
                f"the batch has {len(batch.option_names)} options and `num_correlated` is "
                f"{self.num_correlated}; expected the same number, since each option has errors "
                "of its own. Set `num_correlated`, or give Probit() independent errors."
            )

    def num_common(self) -> int:
        if self.num_correlated is None:
            return 0
        return probit_correlated.num_parameters(self.num_correlated)

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        if self.num_correlated is None:
            return ()
        return tuple(
            f"log factor [{i}, {i}]" if i == k else f"factor [{i}, {k}]"
            for i in range(2, self.num_correlated)
            for k in range(1, i + 1)
        )

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        if self.num_correlated is None:
            return np.zeros(0)
        return probit_correlated.independent_parameters(self.num_correlated)

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        chosen = block.answer["chosen"]
        if self.num_correlated is None:
            return Likelihood(
                log_prob=probit.log_prob,
                score=probit.score,
                curvature=probit.curvature,
                probabilities=probit.probabilities,
                arguments=(block.offered, chosen),
                probability_arguments=(block.offered,),
            )
        layout = alternatives.lay_out(block.option, block.offered, self.num_correlated)
        rng = np.random.default_rng(self.seed)
        draws = draw_uniforms("halton", 1, self.num_correlated - 1, self.num_draws, rng)[0].T
        return Likelihood(
            log_prob=alternatives.log_prob,
            score=alternatives.score,
            curvature=alternatives.curvature,
            probabilities=alternatives.probabilities,
            arguments=(layout, chosen, draws, parameters[None]),
            probability_arguments=(layout, draws, parameters[None]),
        )
