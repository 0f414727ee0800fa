"""Climbing a concave function of many parameters whose curvature is known as a product only.

Legend: P parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array
from penchant.numerics.conjugate_gradients import conjugate_gradients

# A step is too long if the slope along it has turned to more than this part of what it was. Below,
# the stiffness of logistic curves (their third derivative is at most their second, times the
# largest change of a gap) makes sure that the function rose: no value need be computed on the way.
_OVERSHOOT = 0.5
_MOST_CG_STEPS = 10_000
# No linear system is solved to more than this part of its right side.
_FINEST = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Local:
    """The function near one point: its gradient, and minus its second derivatives as a product
    with a vector and as a diagonal. A direction without bend must have no slope either."""

    gradient: Float[Array, " P"]
    diagonal: Float[Array, " P"]
    times: Callable[[Float[Array, " P"]], Float[Array, " P"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Peak:
    """Where the climb ended. `decrement`: the gain, in the function's unit, that was expected of
    the last step."""

    theta: Float[Array, " P"]
    local: Local
    converged: bool
    iterations: int
    decrement: float


def climb(
    look: Callable[[Float[Array, " P"]], Local],
    start: Float[Array, " P"],
    *,
    max_steps: int,
    tolerance: float,
    longest: Callable[[Float[Array, " P"], Float[Array, " P"]], float] | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Peak:
    """Newton steps by conjugate gradients, solved ever better near the top.

    Dembo and Steihaug (1983), with the diagonal as preconditioner. Ends when half the Newton
    decrement falls below `tolerance`, after taking that step too. `longest(theta, step)` bounds a
    step's length where parameters have limits.
    """
    theta, local = start, look(start)
    converged, decrement, steps, first_size = False, np.inf, 0, 0.0
    while steps < max_steps and not converged:
        size = float(np.sqrt(np.sum(local.gradient**2 / local.diagonal)))
        first_size = first_size or size
        forcing = min(0.1, max(_FINEST, size / first_size)) if first_size else 0.1
        # A direction without bend is rounding: there is no slope along it either.
        step = conjugate_gradients(
            local.times, local.gradient, local.diagonal, tolerance=forcing, max_steps=_MOST_CG_STEPS
        )
        slope = float(step @ local.gradient)
        decrement = 0.5 * slope
        converged = decrement <= tolerance
        length = 1.0 if longest is None else min(1.0, longest(theta, step))
        if converged:
            theta = theta + length * step
        else:
            for _ in range(60):
                # Far out a slope may be no number, which is no reason to go there.
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    there = look(theta + length * step)
                    rises = float(step @ there.gradient) >= -_OVERSHOOT * slope
                if rises:
                    break
                length *= 0.5
            else:
                break
            theta, local = theta + length * step, there
        steps += 1
        if on_step is not None:
            on_step(steps, decrement)
    return Peak(
        theta=theta, local=local, converged=converged, iterations=steps, decrement=decrement
    )
