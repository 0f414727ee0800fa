"""Climbing a smooth log-density with many parameters: L-BFGS, and Newton's own test of the end.

Legend: M parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from penchant.fitting.newton import check_start
from penchant.numerics.arrays import Array
from penchant.numerics.conjugate_gradients import conjugate_gradients


@dataclass(frozen=True, kw_only=True, eq=False)
class Slope:
    """A log-density at one point: value and gradient."""

    value: float
    gradient: Float[Array, " M"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LbfgsConfig:
    """max_steps: quasi-Newton steps before giving up (and saying so).
    memory: pairs of steps and changes of gradient that stand for the curvature.
    tolerance: the climb has converged when half the Newton decrement, the gain of log-density
    that one exact Newton step would still bring, is below this many nats; 1e-6 leaves every
    estimate within 0.0015 of its standard error.
    solver_steps: conjugate-gradient steps, at most, to find that decrement.
    rounding: a step that gains less than this share of the value is not worth its pass over the
    data; 1e-14 is the last digit of a sum in double precision.
    leg: steps after which the memory is begun anew, so that the climb can be taken up there from
    the point alone; None never forgets."""

    max_steps: int = 2000
    memory: int = 30
    tolerance: float = 1e-6
    solver_steps: int = 500
    rounding: float = 1e-14
    leg: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class MatrixFreeOptimum:
    """Where a climb ended that made no matrix: `newton.Optimum` without the information.
    `decrement` is the gain of one more Newton step, in nats."""

    theta: Float[Array, " M"]
    value: float
    gradient: Float[Array, " M"]
    converged: bool
    iterations: int
    decrement: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Climb:
    """Where a climb stopped by itself; `converged` says that it was not for want of steps."""

    theta: Float[Array, " M"]
    value: float
    converged: bool
    iterations: int


def climb_lbfgs(
    slope: Callable[[Float[Array, " M"]], Slope],
    start: Float[Array, " M"],
    *,
    max_steps: int = 500,
    memory: int = 20,
    rounding: float = 1e-10,
    flat: float = 1e-6,
    on_step: Callable[[int, Float[Array, " M"], float], None] | None = None,
) -> Climb:
    """Uphill by L-BFGS (Liu and Nocedal 1989) until a step gains less than the share `rounding` of
    the value or no entry of the gradient exceeds `flat`.

    For functions of a few hundred parameters that need not be concave, where there is no curvature
    to judge the end by; `maximise_lbfgs` does.
    """
    from scipy.optimize import minimize

    done = 0

    def downhill(theta: Float[Array, " M"]) -> tuple[float, Float[Array, " M"]]:
        # A step too far may overflow; an infinite loss makes the line search shorten it.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = slope(theta)
        if not np.isfinite(found.value):
            return np.inf, np.zeros_like(theta)
        return -found.value, -found.gradient

    # SciPy's own result, which has no types.
    def report(intermediate_result: Any) -> None:
        nonlocal done
        done += 1
        if on_step is not None:
            on_step(done, np.array(intermediate_result.x), -float(intermediate_result.fun))

    found = minimize(
        downhill,
        start,
        jac=True,
        method="L-BFGS-B",
        callback=report,
        options={
            "maxiter": max_steps,
            "maxfun": 4 * max_steps,
            "maxcor": memory,
            # Below it no line search can tell up from down.
            "ftol": rounding,
            "gtol": flat,
        },
    )
    return Climb(
        theta=found.x,
        value=-float(found.fun),
        converged=found.status == 0,
        iterations=int(found.nit),
    )


def maximise_lbfgs(
    slope: Callable[[Float[Array, " M"]], Slope],
    information_times: Callable[[Float[Array, " M"], Float[Array, " M"]], Float[Array, " M"]],
    start: Float[Array, " M"],
    scales: Float[Array, " M"],
    config: LbfgsConfig | None = None,
    *,
    on_step: Callable[[int, Float[Array, " M"], float], None] | None = None,
    on_leg: Callable[[int, Float[Array, " M"]], None] | None = None,
) -> MatrixFreeOptimum:
    """Maximise a log-density by L-BFGS (Liu and Nocedal 1989), in units of the features' spread.

    The end is judged as Newton judges it, by g' I^-1 g / 2, with I^-1 g from conjugate gradients
    on exact products `information_times(theta, v)` (Nocedal and Wright 2006, section 7.1): a small
    gradient says nothing where the curvature is small too. Where the test fails the climb is
    taken up again from the Newton step. `on_leg(steps, theta)` sees the end of every full leg, from
    where the climb goes on as if it began there.

    Raises `DataError` if the density is not finite at the start.
    """
    config = config or LbfgsConfig()
    size = np.where(scales > 0, scales, 1.0)
    here = slope(start)
    check_start(here.value, here.gradient)
    theta, iterations, decrement = np.array(start, dtype=np.float64), 0, np.inf
    while iterations < config.max_steps:
        theta, steps = _climb(slope, theta, size, config, iterations, on_step, on_leg)
        iterations += max(steps, 1)
        here = slope(theta)
        step = newton_step_by_products(
            partial(information_times, theta), here.gradient, size, config.solver_steps
        )
        decrement = 0.5 * float(step @ here.gradient)
        if 0.0 <= decrement <= config.tolerance:
            return _summit(theta, here, True, iterations, decrement)
        better = slope(theta + step)
        if not (np.isfinite(better.value) and better.value > here.value):
            break
        theta, here = theta + step, better
    return _summit(theta, here, False, iterations, decrement)


def newton_step_by_products(
    information_times: Callable[[Float[Array, " M"]], Float[Array, " M"]],
    gradient: Float[Array, " M"],
    size: Float[Array, " M"],
    max_steps: int,
) -> Float[Array, " M"]:
    """I^-1 g to a part in ten thousand, in the directions that I bends; `size`: of the features.

    What remains after `max_steps` is cut off: the step still goes uphill.
    """
    return conjugate_gradients(
        information_times, gradient, size**2, tolerance=1e-4, max_steps=max_steps, flat=1e-14
    )


def _climb(
    slope: Callable[[Float[Array, " M"]], Slope],
    start: Float[Array, " M"],
    size: Float[Array, " M"],
    config: LbfgsConfig,
    done: int,
    on_step: Callable[[int, Float[Array, " M"], float], None] | None,
    on_leg: Callable[[int, Float[Array, " M"]], None] | None,
) -> tuple[Float[Array, " M"], int]:
    def scaled(point: Float[Array, " M"]) -> Slope:
        found = slope(point / size)
        return Slope(value=found.value, gradient=found.gradient / size)

    theta, steps = start, 0

    def report(step: int, point: Float[Array, " M"], value: float) -> None:
        if on_step is not None:
            on_step(done + steps + step, point / size, value)

    while True:
        left = config.max_steps - done - steps
        leg = left if config.leg is None else min(config.leg, left)
        climbed = climb_lbfgs(
            scaled, theta * size, max_steps=leg, memory=config.memory,
            rounding=config.rounding, flat=1e-7, on_step=report,
        )  # fmt: skip
        theta, steps = climbed.theta / size, steps + climbed.iterations
        if climbed.converged or climbed.iterations < leg or leg == left:
            return theta, steps
        if on_leg is not None:
            on_leg(done + steps, theta)


def _summit(
    theta: Float[Array, " M"], here: Slope, converged: bool, steps: int, decrement: float
) -> MatrixFreeOptimum:
    return MatrixFreeOptimum(
        theta=theta,
        value=here.value,
        gradient=here.gradient,
        converged=converged,
        iterations=steps,
        decrement=decrement,
    )
