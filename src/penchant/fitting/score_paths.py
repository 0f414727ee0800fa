"""The path of scores that drift: the posterior mode of all votes at once, and its doubt.

Passes back and forth, each around the path of the last, are Newton's method on all votes at once
(Bell 1994; the way back is Rauch, Tung and Striebel's smoother, 1965).

Legend: T periods, P parameters.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.fitting.scores_now import (
    MOST_NUMBERS,
    Step,
    inverse_of,
    penalised,
    response_at,
    slopes_at,
)
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Walk:
    path: Float[Array, "T P"]
    covariances: Float[Array, "T P P"]
    passes: int
    converged: bool


def walk_back_and_forth(steps: list[Step], drift: float) -> Walk:
    """Back and forth until the path is the mode of all votes at once."""
    size = len(steps[0].before_mean)
    if len(steps) * size**2 > MOST_NUMBERS:
        raise ConfigError(
            f"{len(steps)} periods of {size} parameters make {len(steps) * size**2:.2g} numbers; "
            f"expected at most {MOST_NUMBERS:.2g}. Give a longer `period`, or fewer items."
        )
    covariances = np.array([step.after.covariance for step in steps])
    path, smooth = _backward(np.array([step.after.mean for step in steps]), covariances, steps,
                             drift)  # fmt: skip
    value = _joint(path, steps, drift)
    for passes in range(1, 31):
        means, covariances = _forward(path, steps, drift)
        target, fresh = _backward(means, covariances, steps, drift)
        part = 1.0
        while part > 1e-3:
            candidate = path + part * (target - path)
            there = _joint(candidate, steps, drift)
            if there >= value - 1e-12 * abs(value):
                break
            part *= 0.5
        moved = float(np.max(np.abs(candidate - path)))
        path, value, smooth = candidate, there, fresh
        if moved < 1e-8:
            return Walk(path=path, covariances=smooth, passes=passes, converged=True)
    return Walk(path=path, covariances=smooth, passes=passes, converged=False)


def _forward(
    path: Float[Array, "T P"], steps: list[Step], drift: float
) -> tuple[Float[Array, "T P"], Float[Array, "T P P"]]:
    """The Kalman filter of the normal likelihoods that touch the true ones along the path."""
    means, covariances = np.empty_like(path), np.empty((*path.shape, path.shape[1]))
    mean, precision = steps[0].before_mean, steps[0].before_precision
    for t, step in enumerate(steps):
        if t:
            noisy = covariances[t - 1].copy()
            _add_walk(noisy, steps, t, drift)
            mean, (precision, _) = means[t - 1], inverse_of(noisy)
        gradient, information = slopes_at(step.density, path[t])
        covariances[t], _ = inverse_of(precision + information)
        means[t] = covariances[t] @ (precision @ mean + information @ path[t] + gradient)
    return means, covariances


def _backward(
    means: Float[Array, "T P"], covariances: Float[Array, "T P P"], steps: list[Step], drift: float
) -> tuple[Float[Array, "T P"], Float[Array, "T P P"]]:
    """Rauch, Tung and Striebel's smoother (1965)."""
    path, smooth = means.copy(), covariances.copy()
    for t in range(len(means) - 2, -1, -1):
        noisy = covariances[t].copy()
        _add_walk(noisy, steps, t + 1, drift)
        gain = covariances[t] @ inverse_of(noisy)[0]
        path[t] = means[t] + gain @ (path[t + 1] - means[t])
        smooth[t] = covariances[t] + gain @ (smooth[t + 1] - noisy) @ gain.T
    return path, smooth


def _add_walk(covariance: Float[Array, "P P"], steps: list[Step], t: int, drift: float) -> None:
    """What scores may have moved from period t - 1 to t, on the diagonal."""
    place = np.arange(steps[0].density.num_items)
    covariance[place, place] += drift**2 * (steps[t].time - steps[t - 1].time)


def _joint(path: Float[Array, "T P"], steps: list[Step], drift: float) -> float:
    """The log-posterior of the whole path, up to a constant."""
    value = penalised(steps[0].density, path[0], steps[0].before_mean, steps[0].before_precision)
    num = steps[0].density.num_items
    for t in range(1, len(steps)):
        density = steps[t].density
        found = response_at(density, path[t])
        value += float(density.rows.weight @ found.value)
        walked = drift**2 * (steps[t].time - steps[t - 1].time)
        if walked > 0:
            value -= 0.5 * float(np.sum((path[t, :num] - path[t - 1, :num]) ** 2)) / walked
    return value
