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
# No linear system is solved to less than the first part of its right side, or more than the second:
# a product with the curvature costs a fraction of a look at the slopes.
_COARSEST, _FINEST = 0.01, 1e-6
# Elsewhere than with logistic curves this part of a small step's gain is taken to be left for the
# next one: near the top steps are quadratic.
_LEFT_NEAR_TOP = 1e-4
# What a step leaves undone need not be smaller than this part of what may be left undone in all.
_SMALL_CHANGE = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Local:
    """The function near one point: its gradient, and minus its second derivatives as a product
    with a vector and as a diagonal. A direction without bend must have no slope either."""

    gradient: Float[Array, " P"]
    diagonal: Float[Array, " P"]
    times: Callable[[Float[Array, " P"]], Float[Array, " P"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Peak:
    """Where the climb ended. `decrement`: the gain, in the function's unit, that is still expected
    of one more step."""

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
    is_logistic: bool = False,
    longest: Callable[[Float[Array, " P"], Float[Array, " P"]], float] | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Peak:
    """Newton steps by conjugate gradients, solved ever better near the top.

    Dembo and Steihaug (1983), with the diagonal as preconditioner. Ends when what one more step
    would gain falls below `tolerance`: that is bounded before the last step is taken where
    `is_logistic` (along any step the third derivative is at most the second times the range of the
    step, Bach 2010), and taken to be a small part of the last step's own gain elsewhere.
    `longest(theta, step)` bounds a step's length where parameters have limits.
    """
    theta, local = start, look(start)
    converged, decrement, left, steps, first_size = False, np.inf, np.inf, 0, 0.0
    while steps < max_steps and not converged:
        size = float(np.sqrt(np.sum(local.gradient**2 / local.diagonal)))
        first_size = first_size or size
        forcing = _forcing(size, first_size, tolerance)
        # A direction without bend is rounding: there is no slope along it either.
        step = conjugate_gradients(
            local.times, local.gradient, local.diagonal, tolerance=forcing, max_steps=_MOST_CG_STEPS
        )
        slope = float(step @ local.gradient)
        decrement = 0.5 * slope
        left = decrement * (_left_over(step, forcing) if is_logistic else _LEFT_NEAR_TOP)
        length = 1.0 if longest is None else min(1.0, longest(theta, step))
        converged = left <= tolerance
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
        theta=theta, local=local, converged=converged, iterations=steps,
        decrement=min(left, decrement),
    )  # fmt: skip


def _left_over(step: Float[Array, " P"], forcing: float) -> float:
    """At most this part of a step's gain is left for the next one (Bach 2010, propositions 1, 2).

    `forcing` is the part of the gradient that the linear system left.
    """
    reach = float(np.ptp(step))
    if reach > 1.0:
        return 1.0
    bent = (np.expm1(reach) - reach) / reach if reach else 0.0
    return float(np.exp(reach) * (bent + forcing) ** 2)


def _forcing(size: float, first_size: float, tolerance: float) -> float:
    """The part of the gradient that a step may leave, `size` being the gradient's length.

    Proportional to what is left, so that Newton's steps stay quadratic (Dembo and Steihaug 1983),
    but no smaller than matters to where the climb ends.
    """
    if not size:
        return _COARSEST
    matters = float(np.sqrt(2.0 * _SMALL_CHANGE * tolerance)) / size
    return min(_COARSEST, max(_FINEST, _COARSEST * size / first_size, matters))
