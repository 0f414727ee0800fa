"""One taste for all: the population that every other one must reduce to.

Legend: D features, Q group features, G groups, M = D parameters.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array
from penchant.populations.population import Tastes


@dataclass(frozen=True)
class Pooled:
    """beta_g = theta for every group g. Context may still matter, through interacted features."""

    def parameter_names(
        self, feature_names: tuple[str, ...], group_feature_names: tuple[str, ...]
    ) -> tuple[str, ...]:
        """The part-worths themselves."""
        return feature_names

    def tastes(self, theta: Float[Array, " M"], group_features: Float[Array, "G Q"]) -> Tastes:
        """A single kind of people, with weight one."""
        return Tastes(values=theta[None, None, :], log_weights=np.zeros((1, 1)))
