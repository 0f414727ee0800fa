"""What every utility answers, whatever it is made of.

Legend: B observations, K options, S kinds of people, D tastes (part-worths, scores), M own
parameters of a likelihood, G1 groups (1 where all share).
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Float

from penchant.data.batch import Batch, Block
from penchant.numerics.arrays import Array


@runtime_checkable
class Utility(Protocol):
    """A frozen dataclass, linear in its tastes: worths, and how derivatives travel back to tastes.

    `num_tastes` is D; a block alone does not always tell it.
    """

    def taste_names(self, batch: Batch) -> tuple[str, ...]:
        """One name for each taste."""
        ...

    def worths(self, block: Block, values: Float[Array, "G1 S D"]) -> Float[Array, "B K S"]:
        """The utility of each option to each kind of people."""
        ...

    def row_scores(
        self, block: Block, score: Float[Array, "B K"], num_tastes: int
    ) -> Float[Array, "B D"]:
        """d log p_b / d tastes from d log p_b / d u."""
        ...

    def gradient(
        self,
        block: Block,
        score: Float[Array, "B K"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, " D"]:
        """sum_b w_b d log p_b / d tastes."""
        ...

    def information(
        self,
        block: Block,
        curvature: Float[Array, "B K K"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, "D D"]:
        """sum_b w_b X_b' C_b X_b: the observed information about the tastes."""
        ...

    def cross_information(
        self,
        block: Block,
        cross: Float[Array, "B K M"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, "D M"]:
        """sum_b w_b X_b' C_b for the curvature between utilities and a likelihood's parameters."""
        ...

    def scales(self, batch: Batch) -> Float[Array, " D"]:
        """Standard deviation within menus of what multiplies each taste: the unit of priors."""
        ...
