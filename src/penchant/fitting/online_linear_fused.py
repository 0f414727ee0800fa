"""Linear worths of arms in compiled loops: one decision among ten arms takes a microsecond.

`online_linear_plain.py` says the same in NumPy; a law ties the two.

Legend: A arms, D features. `rows` hold D weights and two numbers each: see the plain twin.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from penchant.fitting import online_linear_plain
from penchant.numerics.arrays import Array


def _compiled(function: Callable[..., Any]) -> Any:
    """Sums may be reordered; NaN stays NaN."""
    return njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})(inspect.unwrap(function))


# Formulas that loops do not make faster, compiled from where they stand.
logistic_step = _compiled(online_linear_plain.logistic_step)
LOOK_AGAIN = online_linear_plain.LOOK_AGAIN
forget = _compiled(online_linear_plain.forget)


@_compiled
def moments(root: Array, rows: Array, x: Array, mean: Array, spread: Array) -> None:
    """Fills mean with x' w_a and spread with |root_a x|."""
    means(rows, x, mean)
    for a in range(len(mean)):
        spread[a] = spread_of(root, a, x)


@_compiled
def means(rows: Array, x: Array, mean: Array) -> None:
    """Fills mean with x' w_a."""
    for a in range(len(mean)):
        total = 0.0
        for d in range(len(x)):
            total += rows[a, d] * x[d]
        mean[a] = total


@_compiled
def spread_of(root: Array, arm: int, x: Array) -> float:
    """|root x|: the triangle takes half the products of x' covariance x.

    Four rows at once, the shorter ones to where the longest ends: beyond the diagonal stands 0.
    """
    variance, whole = 0.0, len(x) - len(x) % 4
    for d in range(0, whole, 4):
        a, b, c, last = 0.0, 0.0, 0.0, 0.0
        for e in range(d + 4):
            a += root[arm, d, e] * x[e]
            b += root[arm, d + 1, e] * x[e]
            c += root[arm, d + 2, e] * x[e]
            last += root[arm, d + 3, e] * x[e]
        variance += a * a + b * b + c * c + last * last
    for d in range(whole, len(x)):
        total = 0.0
        for e in range(d + 1):
            total += root[arm, d, e] * x[e]
        variance += total * total
    return math.sqrt(variance)


@_compiled
def narrow(root: Array, f: Array, information: float) -> float:
    """The root of one covariance after x was observed, where f = root x; gives its trace."""
    return _narrow(root, f, information, np.zeros(len(f)))


@_compiled
def _narrow(root: Array, f: Array, information: float, passed: Array) -> float:
    """Adds root' f to passed on the way."""
    before, squares = 1.0, 0.0
    for d in range(len(f)):
        after = before + information * f[d] * f[d]
        shrink, back = math.sqrt(before / after), information * f[d] / before
        for e in range(d + 1):
            old = root[d, e]
            new = shrink * (old - back * passed[e])
            passed[e] += f[d] * old
            squares += new * new
            root[d, e] = new
        before = after
    return squares


@_compiled
def learn(root: Array, rows: Array, arm: int, x: Array, reward: float, weight: float) -> None:
    """One reward."""
    f = np.empty(len(x))
    expected, variance = _along(root, rows, arm, x, f)
    _add(root, rows, arm, f, weight / (1.0 + weight * variance) * (reward - expected), weight)


@_compiled
def learn_answer(
    root: Array, rows: Array, arm: int, x: Array, reward: float, weight: float
) -> None:
    """One answer, yes or no, by a Newton step on its log-likelihood."""
    f = np.empty(len(x))
    before, variance = _along(root, rows, arm, x, f)
    step = logistic_step(before, variance, reward, weight)
    p = 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, before + step * variance))))
    _add(root, rows, arm, f, step, weight * p * (1.0 - p))


@_compiled
def _along(root: Array, rows: Array, arm: int, x: Array, f: Array) -> Any:
    """Fills f with root x; gives x' w and |root x|^2."""
    expected, variance = 0.0, 0.0
    for d in range(len(x)):
        total = 0.0
        for e in range(d + 1):
            total += root[arm, d, e] * x[e]
        f[d] = total
        expected += rows[arm, d] * x[d]
        variance += total * total
    return expected, variance


@_compiled
def _length(root: Array) -> float:
    """|root root'|, the root of the sum of its squares, which root' root has as well."""
    total = 0.0
    for d in range(len(root)):
        for e in range(d + 1):
            product = 0.0
            for c in range(e + 1):
                product += root[d, c] * root[e, c]
            total += product * product if e == d else 2.0 * product * product
    return math.sqrt(total)


@_compiled
def _add(root: Array, rows: Array, arm: int, f: Array, step: float, information: float) -> None:
    """weights + step root' f, and the root narrowed, in one pass over its rows."""
    D, passed = len(f), np.zeros(len(f))
    trace = _narrow(root[arm], f, information, passed)
    if trace <= rows[arm, D + 1]:
        rows[arm, D], rows[arm, D + 1] = min(trace, _length(root[arm])), LOOK_AGAIN * trace
    else:
        rows[arm, D] = min(trace, rows[arm, D])
    for d in range(D):
        rows[arm, d] += step * passed[d]
