"""Voters who differ: how reliable, how drawn to what is shown first, how ready to call a tie.

A voter answers as if the gap between two items were exp(a) gap + b, with a log tie strength t
above the common one. The log reliability a is normal around 0 (its mean is the scale of the
scores), the bias b around a common mean, t around 0.

Legend: V voters, K effects at work, Q nodes.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Literal

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array

Effect = Literal["reliability", "bias", "ties"]
EFFECTS: tuple[Effect, ...] = ("reliability", "bias", "ties")
# Nodes for each effect when 1, 2 or 3 are at work; the first, reliability, bends most: where its
# spread is 2, seven nodes alone are 0.16 nats off over twelve voters, fifteen 0.01.
_NODES = {1: (15,), 2: (5, 5), 3: (5, 3, 3)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Voters:
    """effects: which differ between voters, in the order of `EFFECTS`; bias_mean: common pull of
    the first shown, in logits; spreads: standard deviation of each effect over voters."""

    effects: tuple[Effect, ...]
    bias_mean: float
    spreads: Float[Array, " K"]

    def __post_init__(self) -> None:
        if not self.effects or tuple(e for e in EFFECTS if e in self.effects) != self.effects:
            raise ConfigError(
                f"effects of voters are {self.effects}; expected some of {EFFECTS}, in this order, "
                "each once."
            )

    @property
    def means(self) -> Float[Array, " K"]:
        """The mean of each effect over voters."""
        return np.array([self.bias_mean if e == "bias" else 0.0 for e in self.effects])

    def full(self, effects: Float[Array, "*V K"]) -> Float[Array, "*V 3"]:
        """Log reliability, bias and tie strength; what is not at work is 0 (the bias: its mean)."""
        whole = np.zeros((*effects.shape[:-1], len(EFFECTS)))
        whole[..., 1] = self.bias_mean
        whole[..., [EFFECTS.index(e) for e in self.effects]] = effects
        return whole

    def log_density(self, effects: Float[Array, "*V K"]) -> Float[Array, "*V"]:
        """log of the normal density over voters."""
        unit = (effects - self.means) / self.spreads
        constant = np.log(self.spreads).sum() + 0.5 * len(self.spreads) * np.log(2 * np.pi)
        return -0.5 * np.sum(unit**2, axis=-1) - constant


@dataclass(frozen=True, kw_only=True, eq=False)
class Nodes:
    """Where to look at a standard normal of K dimensions, and the weight of each look."""

    places: Float[Array, "Q K"]
    log_weights: Float[Array, " Q"]


@lru_cache(maxsize=8)
def standard_nodes(num_effects: int) -> Nodes:
    """Gauss and Hermite's rule in each dimension: exact for polynomials of degree 5 and more."""
    lines = [np.polynomial.hermite_e.hermegauss(count) for count in _NODES[num_effects]]
    weights = [np.log(weight / weight.sum()) for _, weight in lines]
    return Nodes(
        places=np.array(list(product(*(points for points, _ in lines)))),
        log_weights=np.array(list(product(*weights))).sum(axis=1),
    )
