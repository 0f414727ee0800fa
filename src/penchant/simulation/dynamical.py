"""Actions that move something hidden, which pays later too: a linear system whose truth we know.

Legend: X hidden states, D parts of an action.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class DynamicalSystem:
    """y = readout' x + direct' u + noise, then x <- transition x + effect u + noise.

    state_noise, noise: standard deviations. The spectral radius of `transition` is below 1: what an
    action moved dies away.
    """

    transition: Float[Array, "X X"]
    effect: Float[Array, "X D"]
    readout: Float[Array, " X"]
    direct: Float[Array, " D"]
    state_noise: float = 0.01
    noise: float = 0.01

    def gain(self) -> Float[Array, " D"]:
        """What a unit of each part pays a round if it is held for ever:
        direct + effect' (I - transition')^-1 readout."""
        lasting = np.linalg.solve(np.eye(len(self.readout)) - self.transition.T, self.readout)
        return np.asarray(self.direct + self.effect.T @ lasting)

    def step(
        self, state: Float[Array, " X"], action: Float[Array, " D"], rng: np.random.Generator
    ) -> tuple[Float[Array, " X"], float]:
        """The next state, and what this round pays."""
        z = rng.normal(size=len(state) + 1)
        pays = float(self.readout @ state + self.direct @ action + self.noise * z[-1])
        return self.transition @ state + self.effect @ action + self.state_noise * z[:-1], pays


def channels(persistence: float, *, noise: float = 0.01) -> DynamicalSystem:
    """Three channels that a budget is split over: one pays at once, one later, one both a little.

    persistence: what stays of an effect from round to round in the slowest of them, from 0 to below
    1. Effects are such that the channel that pays at once is the best in its first round, and the
    slow one by a good deal in the long run.
    """
    slow = persistence
    return DynamicalSystem(
        transition=np.diag([slow, 0.5 * slow, 0.1 * slow]),
        effect=np.diag([1.0, 0.5, 0.1]), readout=np.array([0.5, 0.3, 0.1]),
        direct=np.array([0.0, 0.2, 0.4]), state_noise=noise, noise=noise,
    )  # fmt: skip
