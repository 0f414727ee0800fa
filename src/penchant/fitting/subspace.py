"""Climbing a log-density of gaps that are linear in the parameters: one reading of the features a
step.

What costs is reading the features; what a gap does to the likelihood is cheap. So each step reads
them once: for the gaps of a direction, and for the gradient at its end. The climb then takes the
Newton step in the span of that direction and the last step, whose gaps are known: the length and
the memory of a conjugate gradient come free of charge. The gradient there is the one that a
quadratic would have between those that were read; the slope along the direction, which is known
exactly, tells whether that may be believed.

Legend: B pairs, C directions, M own parameters of the likelihood, T parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from penchant.feedback.gap import GapResponse
from penchant.numerics.arrays import Array

# A step that does not rise is halved so often. Then its memory is given up, and without any the
# climb, after more: no half is a reading, and where every pair is sure the curvature may ask for a
# step a million times too long.
_HALVINGS, _MOST_HALVINGS = 12, 40
# The share of the log-density that float32 features leave open.
_ROUNDING = 1e-6
# The part of the slope along a direction by which a gradient that was not read may be wrong.
_TRUSTED = 0.1

Precondition = Callable[[Float[Array, " T"]], Float[Array, " T"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sight:
    """What one reading of the features tells of a step: what it adds to the gaps, and the
    likelihood with its gradient by theta where it ends."""

    shift: Float[Array, " B"]
    found: GapResponse
    gradient: Float[Array, " T"]


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

    def respond(self, gap: Float[Array, " B"], own: Float[Array, " M"]) -> GapResponse:
        """log l and its derivatives."""
        ...

    def look(
        self, gap: Float[Array, " B"], own: Float[Array, " M"], step: Float[Array, " T"]
    ) -> Sight:
        """A step on from where the gaps and the own parameters are these: one reading."""
        ...

    def gather(self, found: GapResponse) -> Float[Array, " T"]:
        """The gradient of the log-likelihood by theta: a reading that tells nothing else."""
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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Uphill:
    """The gradient of the log-posterior somewhere, what the preconditioner makes of it, and
    whether it was read or put together."""

    gradient: Float[Array, " T"]
    step: Float[Array, " T"]
    is_read: bool = True

    @property
    def gain(self) -> float:
        """Nats that the step brings on a quadratic of the preconditioner's curvature; infinite, or
        no number, where a step went too far."""
        with np.errstate(over="ignore", invalid="ignore"):
            return 0.5 * float(self.step @ self.gradient)

    def moved(self, length: float, start: "_Uphill", end: "_Uphill") -> "_Uphill":
        """With so much of what changes from start to end."""
        return _Uphill(
            gradient=self.gradient + length * (end.gradient - start.gradient),
            step=self.step + length * (end.step - start.step),
            is_read=False,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Leg:
    """A way that is known: its gaps, and the gradient where it begins and where it ends."""

    theta: Float[Array, " T"]
    gap: Float[Array, " B"]
    start: _Uphill
    end: _Uphill


def see(density: GapDensity, theta: Float[Array, " T"]) -> Sight:
    """What is seen at theta."""
    return density.look(np.zeros(len(density.weight)), np.zeros(density.num_own), theta)


def climb_subspace(
    density: GapDensity,
    start: Float[Array, " T"],
    precondition: Precondition,
    *,
    tolerance: float,
    max_steps: int,
    sight: Sight | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Climb:
    """Newton in the span of (preconditioned gradient, last step), until the gain expected at the
    end of such a gradient is below `tolerance` of the log-density.

    On a quadratic these are preconditioned conjugate gradients (Knyazev 2001 takes such steps for
    eigenvectors; Narkiss and Zibulevsky 2005 for smooth functions). `sight`: of the start, where it
    is known. Where no gain is left that float32 features can show, the climb ends as well.
    `on_step(step, log_density)`.
    """
    sight = sight or see(density, start)
    here = _arrive(density, start, sight.shift, sight.found)
    uphill = _uphill(density, start, sight.gradient, precondition)
    gain, last, taken, pace = uphill.gain, None, 0, 1.0
    while gain > tolerance * abs(here.value) and taken < max_steps:
        # As far as the last such step turned out to be right: the gradient there then says most.
        reach = pace * uphill.step
        there, ahead = _look_ahead(density, here, reach, precondition)
        legs = [_Leg(theta=reach, gap=there.gap - here.gap, start=uphill, end=ahead)]
        legs += [] if last is None else [last]
        lengths = _newton_in_span(density, here, legs)
        risen, after = _rise(density, here, legs, lengths) or there, ahead
        if risen.value <= there.value:
            risen = there
        elif not ahead.gain <= tolerance * abs(there.value):
            after = _between(density, risen, legs, lengths, precondition)
        if not risen.value > here.value:
            if uphill.is_read:
                break
            # Once more, from a gradient that was read and without the memory of one that was not.
            uphill, last = _read(density, here, precondition), None
            continue
        gain = after.gain if after.is_read else ahead.gain
        last = _Leg(
            theta=risen.theta - here.theta, gap=risen.gap - here.gap, start=uphill, end=after
        )
        here, uphill, taken = risen, after, taken + 1
        pace = float(np.clip(pace * lengths[0], 0.3, 1.0))
        if on_step is not None:
            on_step(taken, here.value)
    # Half-way to rounding counts: there no step can be told from standing still.
    limit = tolerance * abs(here.value)
    blurred = min(1e3 * limit, _ROUNDING * abs(here.value))
    return Climb(
        theta=here.theta,
        value=here.value,
        log_likelihood=here.log_likelihood,
        converged=gain <= limit or (taken < max_steps and gain <= blurred),
        iterations=taken,
        gain_left=gain,
    )


def _arrive(
    density: GapDensity, theta: Float[Array, " T"], gap: Float[Array, " B"], found: GapResponse
) -> _Here:
    log_likelihood = float(density.weight @ found.value)
    value = log_likelihood - 0.5 * float(density.precision @ theta**2)
    return _Here(theta=theta, gap=gap, found=found, log_likelihood=log_likelihood, value=value)


def _uphill(
    density: GapDensity,
    theta: Float[Array, " T"],
    gradient: Float[Array, " T"],
    precondition: Precondition,
) -> _Uphill:
    gradient = gradient - density.precision * theta
    return _Uphill(gradient=gradient, step=precondition(gradient))


def _read(density: GapDensity, here: _Here, precondition: Precondition) -> _Uphill:
    return _uphill(density, here.theta, density.gather(here.found), precondition)


def _look_ahead(
    density: GapDensity, here: _Here, step: Float[Array, " T"], precondition: Precondition
) -> tuple[_Here, _Uphill]:
    own = here.theta[len(here.theta) - density.num_own :]
    # A step too far may overflow; its value is then not finite, and it is shortened.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        sight = density.look(here.gap, own, step)
        theta = here.theta + step
        there = _arrive(density, theta, here.gap + sight.shift, sight.found)
        return there, _uphill(density, theta, sight.gradient, precondition)


def _own(density: GapDensity, legs: list[_Leg]) -> Float[Array, "C M"]:
    return np.array([leg.theta[len(leg.theta) - density.num_own :] for leg in legs])


def _slopes(density: GapDensity, here: _Here, legs: list[_Leg]) -> Float[Array, " C"]:
    """Of the log-density along each leg: exact, and without a reading."""
    weight, found = density.weight, here.found
    pull, own_pull = weight * found.slope, weight @ found.own_slope
    back = density.precision * here.theta
    along = np.array([pull @ leg.gap - back @ leg.theta for leg in legs])
    return along + _own(density, legs) @ own_pull


def _newton_in_span(density: GapDensity, here: _Here, legs: list[_Leg]) -> Float[Array, " C"]:
    """The lengths c of each leg, with (G' L G + V' P V) c = V' gradient."""
    thetas, gaps = (np.array([getattr(leg, name) for leg in legs]) for name in ("theta", "gap"))
    found, weight, own = here.found, density.weight, _own(density, legs)
    bend = (gaps * (weight * found.bend)) @ gaps.T + (thetas * density.precision) @ thetas.T
    if own.size:
        across = gaps @ (weight[:, None] * found.cross) @ own.T
        bend += across + across.T + own @ np.tensordot(weight, found.own_bend, 1) @ own.T
    # In units of each direction's own curvature; directions may be all but parallel.
    unit = 1.0 / np.sqrt(np.maximum(np.diag(bend), 1e-300))
    slopes = unit * _slopes(density, here, legs)
    return unit * np.linalg.lstsq(bend * np.outer(unit, unit), slopes, rcond=1e-10)[0]


def _rise(
    density: GapDensity, here: _Here, legs: list[_Leg], lengths: Float[Array, " C"]
) -> _Here | None:
    """The first higher point among the step and its halves; no feature is read again for it."""
    move = sum(length * leg.theta for length, leg in zip(lengths, legs))
    shift = sum(length * leg.gap for length, leg in zip(lengths, legs))
    for _ in range(_MOST_HALVINGS if len(legs) == 1 else _HALVINGS):
        theta, gap = here.theta + move, here.gap + shift
        found = density.respond(gap, theta[len(theta) - density.num_own :])
        there = _arrive(density, theta, gap, found)
        if there.value > here.value:
            return there
        move, shift, lengths[:] = 0.5 * move, 0.5 * shift, 0.5 * lengths
    return None


def _between(
    density: GapDensity,
    risen: _Here,
    legs: list[_Leg],
    lengths: Float[Array, " C"],
    precondition: Precondition,
) -> _Uphill:
    """The gradient at a point among the legs as a quadratic has it, where its slope along the
    first leg is the one that the gaps tell; else it is read."""
    after, known = legs[0].start, _slopes(density, risen, legs[:1])[0]
    with np.errstate(over="ignore", invalid="ignore"):
        for length, leg in zip(lengths, legs):
            after = after.moved(length, leg.start, leg.end)
        off = abs(legs[0].theta @ after.gradient - known)
    if off <= _TRUSTED * abs(legs[0].theta @ legs[0].start.gradient):
        return after
    return _read(density, risen, precondition)
