"""What every population answers: which tastes there are, and who is likely to have them.

Legend: G groups of rows that share a taste, S kinds of people (classes or draws), D features,
Q group features, M parameters. G1 is G, or 1 where all groups share the same values.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Tastes:
    """The part-worths of each kind of people and the log-probability of being of that kind.

    S is difference between people, never our doubt: doubt is the spread of theta.
    """

    values: Float[Array, "G1 S D"]
    log_weights: Float[Array, "G2 S"]

    def mean(self) -> Float[Array, "G3 D"]:
        """The mean taste of each group; one line where neither values nor weights differ."""
        weights = np.exp(self.log_weights)
        if self.values.shape[0] == 1:
            return weights @ self.values[0]
        return np.einsum("gs,gsd->gd", weights, self.values)


@runtime_checkable
class Population(Protocol):
    """A frozen dataclass that turns the flat parameter vector theta into tastes."""

    def parameter_names(
        self, feature_names: tuple[str, ...], group_feature_names: tuple[str, ...]
    ) -> tuple[str, ...]:
        """One name for each entry of theta, in order."""
        ...

    def tastes(self, theta: Float[Array, " M"], group_features: Float[Array, "G Q"]) -> Tastes:
        """The kinds of people and, for each group, the log-weights of each kind."""
        ...
