"""Texts whose worth no line can tell: a sum of attributes of which more counts less and less.

Legend: B texts, D features, U attributes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class SaturatingWorth:
    """worth(x) = sum_u out_u tanh(hidden_u' x): near a line for small x, and never beyond sum
    |out_u|."""

    hidden: Float[Array, "D U"]
    out: Float[Array, " U"]

    @classmethod
    def drawn(
        cls, num_features: int, rng: np.random.Generator, num_attributes: int = 16
    ) -> "SaturatingWorth":
        """At random: of standard normal texts attributes have inputs of sd one, or near."""
        hidden = rng.normal(size=(num_features, num_attributes)) / num_features**0.5
        return cls(hidden=hidden, out=rng.normal(size=num_attributes))

    def of(self, texts: Float[Array, "*B D"]) -> Float[Array, "*B"]:
        """What each text is worth."""
        return np.tanh(texts @ self.hidden) @ self.out


def ordered_by(
    worth: Float[Array, " B"], first: Int[Array, " N"], second: Int[Array, " N"]
) -> tuple[Int[Array, " N"], Int[Array, " N"]]:
    """Of each pair the text that is worth more, and the other one."""
    won = worth[first] > worth[second]
    return np.where(won, first, second), np.where(won, second, first)


def turned_round(
    winner: Int[Array, " N"], loser: Int[Array, " N"], wrong: Bool[Array, " N"]
) -> tuple[Int[Array, " N"], Int[Array, " N"]]:
    """Winners and losers as labels have them, of which some are `wrong`."""
    return np.where(wrong, loser, winner), np.where(wrong, winner, loser)
