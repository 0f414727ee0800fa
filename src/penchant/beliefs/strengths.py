"""What votes told about strengths: a normal belief over the items' places on one line.

Legend: N items, Q pairs, R draws.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array, ndtr


@dataclass(frozen=True, kw_only=True, eq=False)
class Strengths:
    """strengths ~ N(mean, covariance), in log-odds; the log-odds that i beats j are r_i - r_j.

    prior_scale: standard deviation of each strength before any vote, infinite where none was held.
    """

    items: tuple[str, ...]
    mean: Float[Array, " N"]
    covariance: Float[Array, "N N"]
    prior_scale: float
    converged: bool = True

    def __post_init__(self) -> None:
        size = len(self.items)
        if self.mean.shape != (size,) or self.covariance.shape != (size, size):
            raise DataError(
                f"strengths of {size} items have a mean of shape {self.mean.shape} and a "
                f"covariance of shape {self.covariance.shape}; expected ({size},) and "
                f"({size}, {size})."
            )

    def gaps(
        self, first: Int[Array, "*Q"], second: Int[Array, "*Q"]
    ) -> tuple[Float[Array, "*Q"], Float[Array, "*Q"]]:
        """Mean and standard deviation of r_first - r_second."""
        variance = np.diag(self.covariance)
        spread = variance[first] + variance[second] - 2.0 * self.covariance[first, second]
        return self.mean[first] - self.mean[second], np.sqrt(np.maximum(spread, 0.0))

    def above(self, first: Int[Array, "*Q"], second: Int[Array, "*Q"]) -> Float[Array, "*Q"]:
        """How probable it is that the first is the stronger one."""
        mean, spread = self.gaps(first, second)
        return ndtr(mean / np.maximum(spread, 1e-300))

    def draw(self, num_draws: int, generator: np.random.Generator) -> Float[Array, "R N"]:
        """Strengths as they may be."""
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        return self.mean + generator.normal(size=(num_draws, len(self.mean))) @ root.T

    def after(self, first: int, second: int, information: float) -> Float[Array, "N N"]:
        """The covariance once r_first - r_second is seen with this much information (1 / variance).

        C - information c c' / (1 + information d' c) with d = e_first - e_second and c = C d
        (Sherman and Morrison 1950). One vote at win probability p brings p (1 - p).
        """
        column = self.covariance[:, first] - self.covariance[:, second]
        gain = information / (1.0 + information * (column[first] - column[second]))
        return np.asarray(self.covariance - gain * column[:, None] * column)
