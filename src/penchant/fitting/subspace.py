"""Climbing a log-density of gaps that are linear in the parameters, in three directions a step.

What costs is reading the features; what a gap does to the likelihood is cheap. So each step reads
them twice, once for the gaps of a direction and once for the gradient, and then takes the Newton
step in the span of that direction, the last step and the point itself, whose gaps are known: the
length, the memory of a conjugate gradient and a shrinkage of the whole come free of charge.

Legend: B pairs, C directions, M own parameters of the likelihood, T parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from penchant.feedback.gap import GapResponse
from penchant.numerics.arrays import Array

# A step that does not rise is halved so often before the climb is given up.
_MOST_HALVINGS = 12


@runtime_checkable
class GapDensity(Protocol):
    """log p = sum_b weight_b log l(gap_b, own) - sum_t precision_t theta_t^2 / 2, with gaps linear
    in theta, whose last M entries are own parameters."""

    @property
    def precision(self) -> Float[Array, " T"]:
        """Of the prior, zero mean."""
        ...

    @property
    def weight(self) -> Float[Array, " B"]:
        """Of each pair."""
        ...

    @property
    def num_own(self) -> int:
        """M."""
        ...

    def gaps(self, theta: Float[Array, " T"]) -> Float[Array, " B"]:
        """The gap of each pair: a pass over the features."""
        ...

    def respond(self, gap: Float[Array, " B"], own: Float[Array, " M"]) -> GapResponse:
        """log l and its derivatives."""
        ...

    def gather(self, found: GapResponse) -> Float[Array, " T"]:
        """The gradient of the log-likelihood by theta: the other pass."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Climb:
    """Where it ended. `gain_left`: nats that one more step of the preconditioner would bring."""

    theta: Float[Array, " T"]
    value: float
    log_likelihood: float
    converged: bool
    iterations: int
    gain_left: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Here:
    theta: Float[Array, " T"]
    gap: Float[Array, " B"]
    found: GapResponse
    log_likelihood: float
    value: float


def climb_subspace(
    density: GapDensity,
    start: Float[Array, " T"],
    precondition: Callable[[Float[Array, " T"]], Float[Array, " T"]],
    *,
    tolerance: float,
    max_steps: int,
    gaps: Float[Array, " B"] | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Climb:
    """Newton in the span of (preconditioned gradient, last step, point), until the expected gain is
    below `tolerance` of the log-density at the start.

    On a quadratic this is at least as good as preconditioned conjugate gradients with the same
    number of steps (Knyazev 2001 does so for eigenvectors; Narkiss and Zibulevsky 2005 for smooth
    functions). `gaps`: at the start, where they are known. Where no gain is left that float32
    features can show, the climb ends as well. `on_step(step, log_density)`.
    """
    here = _look(density, start, density.gaps(start) if gaps is None else gaps)
    limit = tolerance * abs(here.value)
    last: tuple[Array, Array] | None = None
    gain, taken = np.inf, 0
    while True:
        gradient = density.gather(here.found) - density.precision * here.theta
        step = precondition(gradient)
        gain = 0.5 * float(step @ gradient)
        if gain <= limit or taken == max_steps:
            break
        thetas, apart = [step], [density.gaps(step)]
        if last is not None:
            thetas, apart = [*thetas, last[0]], [*apart, last[1]]
        if here.theta.any():
            thetas, apart = [*thetas, here.theta], [*apart, here.gap]
        move, shift = _newton_in_span(density, here, gradient, np.array(thetas), np.array(apart))
        there = _rise(density, here, move, shift)
        if there is None:
            break
        last = (there.theta - here.theta, there.gap - here.gap)
        here, taken = there, taken + 1
        if on_step is not None:
            on_step(taken, here.value)
    # Half-way to rounding counts: there no step can be told from standing still.
    return Climb(
        theta=here.theta,
        value=here.value,
        log_likelihood=here.log_likelihood,
        converged=gain <= limit or (taken < max_steps and gain <= 1e3 * limit),
        iterations=taken,
        gain_left=gain,
    )


def _look(density: GapDensity, theta: Float[Array, " T"], gap: Float[Array, " B"]) -> _Here:
    found = density.respond(gap, theta[len(theta) - density.num_own :])
    log_likelihood = float(density.weight @ found.value)
    value = log_likelihood - 0.5 * float(density.precision @ theta**2)
    return _Here(theta=theta, gap=gap, found=found, log_likelihood=log_likelihood, value=value)


def _newton_in_span(
    density: GapDensity,
    here: _Here,
    gradient: Float[Array, " T"],
    thetas: Float[Array, "C T"],
    gaps: Float[Array, "C B"],
) -> tuple[Float[Array, " T"], Float[Array, " B"]]:
    """The step V c and its gaps G c, with (G' L G + V' P V) c = V' gradient."""
    own = thetas[:, thetas.shape[1] - density.num_own :]
    found, weight = here.found, density.weight
    bend = (gaps * (weight * found.bend)) @ gaps.T + (thetas * density.precision) @ thetas.T
    across = gaps @ (weight[:, None] * found.cross) @ own.T
    bend += across + across.T + own @ np.tensordot(weight, found.own_bend, 1) @ own.T
    # In units of each direction's own curvature; directions may be all but parallel.
    unit = 1.0 / np.sqrt(np.maximum(np.diag(bend), 1e-300))
    lengths = np.linalg.lstsq(bend * np.outer(unit, unit), unit * (thetas @ gradient), rcond=1e-10)
    coefficients = unit * lengths[0]
    return coefficients @ thetas, coefficients @ gaps


def _rise(
    density: GapDensity, here: _Here, move: Float[Array, " T"], shift: Float[Array, " B"]
) -> _Here | None:
    """The first higher point among the step and its halves; no feature is read again for it."""
    for _ in range(_MOST_HALVINGS):
        there = _look(density, here.theta + move, here.gap + shift)
        if there.value > here.value:
            return there
        move, shift = 0.5 * move, 0.5 * shift
    return None
