"""Climbing a smooth log-density: damped Newton with the exact curvature, convergence reported.

Other climbs share `newton_step` or `step_up` where they can. They stand on their own where the
climb itself differs: `simulated_climb` keeps a trust region, since a curvature serves several
steps; `truncated_newton` knows products only and needs no value on the way; `votes_newton` has
thousands of parameters whose information comes in blocks; `simulated_start`, `proposals` and
`voter_posteriors` take a few bounded steps towards a place from which to look, and never ask
whether they arrived; `subspace` takes Newton's step in three directions only, whose values cost no
pass over the data; `beliefs.personal` is compiled, and stands below this room.

Legend: M parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float

from penchant.errors import DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """A log-density at one point: value, gradient, and information (minus the Hessian)."""

    value: float
    gradient: Float[Array, " M"]
    information: Float[Array, "M M"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewtonConfig:
    """max_steps: Newton steps before giving up (and saying so).
    tolerance: stop when half the Newton decrement, the expected gain of log-density from one more
    step, falls below this many nats, or below the last digit of the log-density itself."""

    max_steps: int = 100
    tolerance: float = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Optimum:
    """Where the climb ended. `decrement` is the expected gain of one more step, in nats."""

    theta: Float[Array, " M"]
    value: float
    gradient: Float[Array, " M"]
    information: Float[Array, "M M"]
    converged: bool
    iterations: int
    decrement: float


def maximise(
    evaluate: Callable[[Float[Array, " M"]], Evaluation],
    start: Float[Array, " M"],
    config: NewtonConfig | None = None,
    *,
    on_step: Callable[[int, Float[Array, " M"], float], None] | None = None,
) -> Optimum:
    """Maximise a log-density by Newton's method with step halving.

    theta <- theta + |I|^-1 g, where |I| is the information I with its eigenvalues made positive
    (Nocedal and Wright 2006, section 3.4). A step that does not raise the value is halved.
    `on_step(iteration, theta, value)` sees every accepted point, so that an
    interrupted climb can be taken up again from there.

    Raises `DataError` if the density is not finite at the start.
    """
    config = config or NewtonConfig()
    theta = np.array(start, dtype=np.float64)
    here = evaluate(theta)
    check_start(here.value, here.gradient)
    decrement = np.inf
    for iteration in range(1, config.max_steps + 1):
        step = newton_step(here.information, here.gradient)
        decrement = 0.5 * float(step @ here.gradient)
        if decrement <= max(config.tolerance, np.finfo(np.float64).eps * abs(here.value)):
            return _optimum(theta, here, True, iteration - 1, decrement)
        # The slack is rounding: near the top the gain is below the last digit of the value.
        moved = step_up(evaluate, theta, step, here.value - 1e-13 * abs(here.value))
        if moved is None:
            return _optimum(theta, here, decrement < 1e-6, iteration, decrement)
        theta, here = moved
        if on_step is not None:
            on_step(iteration, theta, here.value)
    return _optimum(theta, here, False, config.max_steps, decrement)


def check_start(value: float, gradient: Float[Array, " M"]) -> None:
    """Raises `DataError` where a climb cannot begin."""
    if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
        raise DataError(
            f"the log-likelihood is {value} at the starting point; expected a finite number. "
            "Look for features that are infinite or so large that exp() overflows, and rescale "
            "them, for instance `cost/100` or `scale(cost)` in the formula."
        )


def with_prior(
    evaluate: Callable[[Float[Array, " M"]], Evaluation],
    precision: Float[Array, " M"],
    centre: Float[Array, " M"] | float = 0.0,
) -> Callable[[Float[Array, " M"]], Evaluation]:
    """A log-likelihood and its derivatives, with a normal prior around `centre` added."""

    def added(theta: Float[Array, " M"]) -> Evaluation:
        data, apart = evaluate(theta), theta - centre
        return Evaluation(
            value=data.value - 0.5 * float(precision @ apart**2),
            gradient=data.gradient - precision * apart,
            information=data.information + np.diag(precision),
        )

    return added


@runtime_checkable
class HasValue(Protocol):
    """What an evaluation says at the least."""

    @property
    def value(self) -> float: ...


Found = TypeVar("Found", bound=HasValue)


def step_up(
    evaluate: Callable[[Float[Array, " M"]], Found],
    theta: Float[Array, " M"],
    step: Float[Array, " M"],
    floor: float,
    halvings: int = 40,
) -> tuple[Float[Array, " M"], Found] | None:
    """The first of theta + step, theta + step / 2, .. whose value is at least `floor`, and what
    was found there; None after so many halvings."""
    for _ in range(halvings):
        # A step too far may overflow; its value is then not finite, and it is shortened.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            there = evaluate(theta + step)
        if np.isfinite(there.value) and there.value >= floor:
            return theta + step, there
        step = 0.5 * step
    return None


def newton_step(
    information: Float[Array, "M M"], gradient: Float[Array, " M"]
) -> Float[Array, " M"]:
    """I^-1 g, with curvatures of the wrong sign turned round so that the step goes uphill.

    Scaled to a unit diagonal first: features in minutes and in millions are then alike.
    """
    diagonal = np.abs(np.diag(information))
    scale = 1.0 / np.sqrt(np.maximum(diagonal, 1e-12 * max(float(diagonal.max(initial=0)), 1e-288)))
    scaled = information * scale[:, None] * scale
    try:
        lower = np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:
        lower = None
    if lower is not None and np.min(np.diag(lower), initial=1.0) > 1e-7:
        half = np.linalg.solve(lower, gradient * scale)
        return np.linalg.solve(lower.T, half) * scale
    values, vectors = np.linalg.eigh(scaled)
    # A floor on the curvature bounds the step along directions that the data leave flat.
    bounded = np.maximum(np.abs(values), 1e-9 * max(float(np.abs(values).max()), 1e-288))
    along = vectors.T @ (gradient * scale)
    # Rounding leaves a gradient of its own size along flat directions; it is no slope.
    noise = 1e-14 * np.linalg.norm(gradient * scale)
    along = np.where(np.abs(along) > noise, along, 0.0)
    return (vectors @ (along / bounded)) * scale


def _optimum(
    theta: Float[Array, " M"], here: Evaluation, converged: bool, steps: int, decrement: float
) -> Optimum:
    return Optimum(
        theta=theta,
        value=here.value,
        gradient=here.gradient,
        information=here.information,
        converged=converged,
        iterations=steps,
        decrement=decrement,
    )
