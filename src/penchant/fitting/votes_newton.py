"""Climbing the log-density of votes: Newton with step halving on information taken apart.

`newton.py` does the same for a few hundred parameters and one dense matrix; here they are thousands
in blocks. The density is concave, so that there is one summit.

Legend: P parameters.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.fitting.newton import NewtonConfig, step_up
from penchant.fitting.vote_density import Slope, VoteDensity
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Summit:
    """Where the climb ended; `decrement` is what one more step would gain, in nats."""

    theta: Float[Array, " P"]
    slope: Slope
    converged: bool
    iterations: int
    decrement: float


def climb_votes(
    density: VoteDensity, start: Float[Array, " P"], config: NewtonConfig | None = None
) -> Summit:
    """The mode of the log-posterior of votes."""
    config = config or NewtonConfig()
    theta = np.array(start, dtype=np.float64)
    here = density.evaluate(theta)
    decrement = np.inf
    for iteration in range(1, config.max_steps + 1):
        step = here.factor.solve(here.gradient)
        decrement = 0.5 * float(step @ here.gradient)
        # Rounding in the sum over all votes hides gains below its last digit.
        if decrement <= config.tolerance + 1e-15 * abs(here.value):
            return Summit(
                theta=theta,
                slope=here,
                converged=True,
                iterations=iteration - 1,
                decrement=decrement,
            )
        there = step_up(density.evaluate, theta, step, here.value - 1e-13 * abs(here.value))
        if there is None:
            break
        theta, here = there
    return Summit(
        theta=theta,
        slope=here,
        converged=decrement < 1e-6,
        iterations=iteration,
        decrement=decrement,
    )
