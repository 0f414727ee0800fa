"""Linear worths of arms in compiled loops: one decision among ten arms takes a microsecond.

`online_linear_plain.py` says the same in NumPy; a law ties the two.

Legend: A arms, D features.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from penchant.fitting import online_linear_plain
from penchant.fitting.online_linear_plain import forget as forget  # bound by its inverse
from penchant.numerics.arrays import Array


def _compiled(function: Callable[..., Any]) -> Any:
    """Sums may be reordered; NaN stays NaN."""
    return njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})(inspect.unwrap(function))


@_compiled
def moments(inverse: Array, weights: Array, x: Array, mean: Array, spread: Array) -> None:
    """Fills mean with x' w_a and spread with sqrt(x' inverse_a x)."""
    A, D = weights.shape
    for a in range(A):
        expected, variance = 0.0, 0.0
        for d in range(D):
            row = 0.0
            for e in range(D):
                row += inverse[a, d, e] * x[e]
            expected += weights[a, d] * x[d]
            variance += row * x[d]
        mean[a] = expected
        spread[a] = math.sqrt(max(variance, 0.0))


@_compiled
def learn(
    precision: Array,
    inverse: Array,
    weights: Array,
    arm: int,
    x: Array,
    reward: float,
    weight: float,
) -> None:
    """One reward by Sherman and Morrison's formula."""
    v = np.empty(len(x))
    expected, variance = _along(inverse, weights, arm, x, v)
    gain = weight / (1.0 + weight * variance)
    _add(precision, inverse, weights, arm, x, v, gain * (reward - expected), weight, gain)


# One scalar formula, compiled from where it stands.
logistic_step = _compiled(online_linear_plain.logistic_step)


@_compiled
def learn_answer(
    precision: Array,
    inverse: Array,
    weights: Array,
    arm: int,
    x: Array,
    reward: float,
    weight: float,
) -> None:
    """One answer, yes or no, by a Newton step on its log-likelihood."""
    v = np.empty(len(x))
    before, variance = _along(inverse, weights, arm, x, v)
    step = logistic_step(before, variance, reward, weight)
    p = 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, before + step * variance))))
    information = weight * p * (1.0 - p)
    gain = information / (1.0 + information * variance)
    _add(precision, inverse, weights, arm, x, v, step, information, gain)


@_compiled
def _along(inverse: Array, weights: Array, arm: int, x: Array, v: Array) -> Any:
    """Fills v with inverse x; gives x' w and x' v."""
    D, expected, variance = len(x), 0.0, 0.0
    for d in range(D):
        total = 0.0
        for e in range(D):
            total += inverse[arm, d, e] * x[e]
        v[d] = total
        expected += weights[arm, d] * x[d]
        variance += total * x[d]
    return expected, variance


@_compiled
def _add(
    precision: Array, inverse: Array, weights: Array, arm: int, x: Array, v: Array,
    step: float, information: float, gain: float,
) -> None:  # fmt: skip
    """weights + step v, precision + information x x', inverse - gain v v'."""
    D = len(x)
    for d in range(D):
        weights[arm, d] += step * v[d]
        gained, added = gain * v[d], information * x[d]
        for e in range(D):
            inverse[arm, d, e] -= gained * v[e]
            precision[arm, d, e] += added * x[e]
