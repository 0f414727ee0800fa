"""Prototypes: everybody is a mix of a few tastes, and how mixed people are is part of the model.

Legend: K prototypes, S mixes, D features, G groups, Q group features, M = K D parameters.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.numerics.draws import draw_uniforms
from penchant.populations.population import Tastes


@dataclass(frozen=True, kw_only=True)
class Prototypes:
    """beta_g = sum_k w_gk prototype_k, w_g in the simplex (Chen et al. 2024, PAL).

    The mixes w are drawn from Dirichlet(concentration, ..): as it falls to 0 people are of one
    prototype each, `Classes` of equal shares; at 1 every mix is as likely as every other; as it
    grows all are the same mix. They are S places, the same for everybody, so that a person's own
    answers weigh them by Bayes' rule and learning somebody new is no optimisation; the paper climbs
    to one mix for each person instead, which has no doubt of it.

    num_mixes: S. Two prototypes have the mid-points of equally likely stretches, more have
    quasi-random mixes; five prototypes or more want some hundreds.
    """

    num_prototypes: int
    concentration: float = 1.0
    num_mixes: int = 64

    def __post_init__(self) -> None:
        if self.num_prototypes < 1 or self.num_mixes < 1 or not self.concentration > 0:
            raise ConfigError(
                f"got {self.num_prototypes} prototypes, {self.num_mixes} mixes and concentration "
                f"{self.concentration}; expected at least 1, at least 1, and a positive number."
            )

    def mixing(self) -> Float[Array, "S K"]:
        """The mixes, each summing to one, all equally likely."""
        return _mixing(self.num_prototypes, self.concentration, self.num_mixes)

    def parameter_names(
        self, feature_names: tuple[str, ...], group_feature_names: tuple[str, ...]
    ) -> tuple[str, ...]:
        """`cost [prototype 2]`."""
        return tuple(
            f"{name} [prototype {k}]"
            for k in range(1, self.num_prototypes + 1)
            for name in feature_names
        )

    def tastes(self, theta: Float[Array, " M"], group_features: Float[Array, "G Q"]) -> Tastes:
        """The mixes as kinds of people, equally likely."""
        mixing = self.mixing()
        values = mixing @ theta.reshape(self.num_prototypes, -1)
        return Tastes(
            values=values[None], log_weights=np.full((1, len(mixing)), -np.log(len(mixing)))
        )


@lru_cache(maxsize=16)
def _mixing(num: int, concentration: float, num_mixes: int) -> Float[Array, "S K"]:
    from scipy.special import betaincinv, gammaincinv

    if num == 1:
        return np.ones((1, 1))
    if num == 2:
        middle = (np.arange(num_mixes) + 0.5) / num_mixes
        first = betaincinv(concentration, concentration, middle)
        return np.column_stack([first, 1.0 - first])
    (uniforms,) = draw_uniforms("halton", 1, num, num_mixes, np.random.default_rng(0))
    # Shares of independent gammas; far below 1 most are too small for a float.
    gammas = np.maximum(gammaincinv(concentration, uniforms.T), 1e-300)
    return gammas / gammas.sum(axis=1, keepdims=True)
