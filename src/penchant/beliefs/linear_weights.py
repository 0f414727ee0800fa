"""What rewards told about linear worths: a normal belief for each arm.

Legend: B contexts, A arms, D features, R draws.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearWeights:
    """Arm a pays x' w_a on average, with w_a ~ N(mean_a, noise^2 covariance_a).

    covariance: in units of the noise's variance, (prior precision + sum x x')^-1. noise: standard
    deviation of a reward around its mean. is_binary: rewards are yes or no, x' w_a is the log-odds
    of yes, and noise is 1. rounds: rewards seen of each arm.
    """

    arms: tuple[str, ...]
    mean: Float[Array, "A D"]
    covariance: Float[Array, "A D D"]
    noise: float
    is_binary: bool
    rounds: Int[Array, " A"]

    def moments(
        self, features: Float[Array, "B D"]
    ) -> tuple[Float[Array, "B A"], Float[Array, "B A"]]:
        """Mean and standard deviation of each arm's expected reward (of its log-odds if binary).

        Raises `DataError` for another number of features.
        """
        if features.shape[1] != self.mean.shape[1]:
            raise DataError(
                f"got {features.shape[1]} features; expected the {self.mean.shape[1]} that this "
                "belief was learnt on, in the same order."
            )
        variance = np.einsum("bd,ade,be->ba", features, self.covariance, features)
        return features @ self.mean.T, self.noise * np.sqrt(np.maximum(variance, 0.0))

    def draw(self, num_draws: int, generator: np.random.Generator) -> Float[Array, "R A D"]:
        """Weights as they may be."""
        root = np.linalg.cholesky(self.covariance)
        z = generator.normal(size=(num_draws, *self.mean.shape))
        return self.mean + self.noise * np.einsum("ade,rae->rad", root, z)
