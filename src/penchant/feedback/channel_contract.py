"""What a channel promises: a likelihood of one kind of feedback, under verbs that all share.

A channel is a frozen value that serves blocks of one kind. All its own parameters lie in one flat
vector; `parameters[M, *S]` has the trailing axes of the utilities where they differ by kind of
people. A likelihood may touch only a few of them in each row (a person's own thresholds), so the
m entries of `score(...).parameters[b]` belong to the places `parameter_index(block)[b]` of the flat
vector; so do those of `curvature`. A fit adds them up there:

    np.add.at(gradient, channel.parameter_index(block), weight[:, None] * score.parameters)

Own parameters of persons are held together by `prior_precision`: a fit adds the penalty
0.5 sum precision * parameter^2. It is zero for everything that is common to all.

Legend: B observations, K options, M own parameters, m of them in one row, L levels, G groups,
S kinds of people.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, Block
from penchant.feedback.derivatives import Curvature, Score
from penchant.numerics.arrays import Array


@runtime_checkable
class Channel(Protocol):
    """A likelihood for blocks of one kind."""

    @property
    def kind(self) -> str:
        """The kind of the blocks it serves, a key of `data.batch.ANSWERS`."""
        ...

    def validate(self, batch: Batch) -> None:
        """Raises DataError where the batch holds an answer that this likelihood cannot give."""
        ...

    def num_parameters(self, batch: Batch) -> int:
        """The length M of the flat vector."""
        ...

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        """One name for each of its entries."""
        ...

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        """Where a fit starts: the answers' shares, as if all options were worth the same."""
        ...

    def prior_precision(self, batch: Batch) -> Float[Array, " M"]:
        """Precisions of the parameters that are shrunk to zero; 0 for the others."""
        ...

    def parameter_index(self, block: Block) -> Int[Array, "B m"]:
        """Where in the flat vector each row's own parameters lie."""
        ...

    def transfer(
        self, parameters: Float[Array, " M *S"], group_names: tuple[str, ...], batch: Batch
    ) -> Float[Array, " M2 *S"]:
        """The vector fitted on people called `group_names`, for the people of another batch."""
        ...

    def log_prob(
        self, utilities: Float[Array, "B K *S"], block: Block, parameters: Float[Array, "M *#S"]
    ) -> Float[Array, " B *S"]:
        """Log-probability of each row's answer."""
        ...

    def score(
        self, utilities: Float[Array, "B K *S"], block: Block, parameters: Float[Array, "M *#S"]
    ) -> Score:
        """First derivatives."""
        ...

    def curvature(
        self, utilities: Float[Array, "B K *S"], block: Block, parameters: Float[Array, "M *#S"]
    ) -> Curvature:
        """Minus the second derivatives."""
        ...

    def probabilities(
        self, utilities: Float[Array, "B K *S"], block: Block, parameters: Float[Array, "M *#S"]
    ) -> Float[Array, "B ..."]:
        """The probabilities of all answers; each channel says how they are laid out."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Likelihood:
    """The functions of one likelihood, and what they take after the utilities.

    The first three take `arguments`, the last one `probability_arguments`: no answer is needed to
    say how likely each one is. All four take `options`.
    """

    log_prob: Callable[..., Array]
    score: Callable[..., Score]
    curvature: Callable[..., Curvature]
    probabilities: Callable[..., Array]
    arguments: tuple[Any, ...]
    probability_arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


class CommonChannel:
    """What holds for every channel: the verbs are those of its `likelihood`.

    The defaults are those of a likelihood whose own parameters are common to all people.
    """

    kind: ClassVar[str]

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        """The likelihood of this block's answers."""
        raise NotImplementedError

    def validate(self, batch: Batch) -> None:
        return None

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        return ()

    def num_parameters(self, batch: Batch) -> int:
        return len(self.parameter_names(batch))

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        return np.zeros(self.num_parameters(batch))

    def prior_precision(self, batch: Batch) -> Float[Array, " M"]:
        return np.zeros(self.num_parameters(batch))

    def parameter_index(self, block: Block) -> Int[Array, "B m"]:
        num = self.num_common()
        return np.broadcast_to(np.arange(num), (len(block), num))

    def num_common(self) -> int:
        """How many own parameters each row has, all of them common to all people."""
        return 0

    def transfer(
        self, parameters: Float[Array, " M *S"], group_names: tuple[str, ...], batch: Batch
    ) -> Float[Array, " M2 *S"]:
        return parameters

    def log_prob(
        self, utilities: Float[Array, "B K *S"], block: Block, parameters: Float[Array, "M *#S"]
    ) -> Float[Array, " B *S"]:
        made = self.likelihood(block, parameters)
        return made.log_prob(utilities, *made.arguments, **made.options)

    def score(
        self, utilities: Float[Array, "B K *S"], block: Block, parameters: Float[Array, "M *#S"]
    ) -> Score:
        made = self.likelihood(block, parameters)
        return made.score(utilities, *made.arguments, **made.options)

    def curvature(
        self, utilities: Float[Array, "B K *S"], block: Block, parameters: Float[Array, "M *#S"]
    ) -> Curvature:
        made = self.likelihood(block, parameters)
        return made.curvature(utilities, *made.arguments, **made.options)

    def probabilities(
        self, utilities: Float[Array, "B K *S"], block: Block, parameters: Float[Array, "M *#S"]
    ) -> Float[Array, "B ..."]:
        made = self.likelihood(block, parameters)
        return made.probabilities(utilities, *made.probability_arguments, **made.options)
