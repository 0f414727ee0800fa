"""Models of pairs summed over all pairs in compiled loops: slopes, bends, and bends times a vector.

`paired_density.py` holds the plain NumPy twin, with any link; the laws tie the two.

Legend: Q pairs that met, N items.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from penchant.numerics.arrays import Array


def _compiled(function: Callable[..., Any]) -> Any:
    """Sums may be reordered; that no number is NaN or infinite is not assumed.

    A step far too long may divide by 0: its NaN shortens it, where an error would end the fit.
    """
    how = {"fastmath": {"reassoc", "contract"}, "error_model": "numpy"}
    return njit(cache=True, nogil=True, **how)(inspect.unwrap(function))


def slopes(
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    wins: Float[Array, " Q"],
    losses: Float[Array, " Q"],
    ties: Float[Array, " Q"],
    strengths: Float[Array, " N"],
    tie_parameter: float,
    model: str,
) -> tuple[Array, Array, Array, Array, float, float]:
    """Gradient [N], bend of each pair [Q], diagonal [N], cross [N], own slope, own bend.

    `model` is "half", "davidson" or "rao_kupper", with the logistic link. A bend is minus the
    second derivative to the pair's gap; `cross` is minus the mixed one of strength and parameter.
    """
    gradient, diagonal, cross = (np.zeros(len(strengths)) for _ in range(3))
    bend = np.empty(len(first), dtype=np.float32)
    if model == "half":
        _half(first, second, wins, losses, ties, strengths, gradient, diagonal, bend)
        return gradient, bend, diagonal, cross, 0.0, 0.0
    kernel = _davidson if model == "davidson" else _rao_kupper
    own = kernel(
        first, second, wins, losses, ties, strengths, tie_parameter, gradient, diagonal, cross, bend
    )
    return gradient, bend, diagonal, cross, own[0], own[1]


def value(
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    wins: Float[Array, " Q"],
    losses: Float[Array, " Q"],
    ties: Float[Array, " Q"],
    strengths: Float[Array, " N"],
    tie_parameter: float,
    model: str,
) -> float:
    """The log-likelihood."""
    number = {"half": 0, "davidson": 1, "rao_kupper": 2}[model]
    return float(_value(first, second, wins, losses, ties, strengths, tie_parameter, number))


@_compiled
def _value(
    first: Array, second: Array, wins: Array, losses: Array, ties: Array, s: Array,
    parameter: float, model: int,
) -> float:  # fmt: skip
    nu = eta = math.exp(parameter)
    log_tie = math.log(math.expm1(2.0 * eta)) if model == 2 else 0.0
    total = 0.0
    for q in range(len(first)):
        a, b, c = wins[q], losses[q], ties[q]
        gap = s[first[q]] - s[second[q]]
        if model == 2:
            above, below = gap - eta, -gap - eta
            total += (a + c) * (min(above, 0.0) - math.log1p(math.exp(-abs(above))))
            total += (b + c) * (min(below, 0.0) - math.log1p(math.exp(-abs(below))))
            total += c * log_tie
        elif model == 1:
            small = math.exp(-0.5 * abs(gap))
            behind = b if gap > 0 else a
            log_norm = math.log1p(small * small + nu * small)
            total -= behind * abs(gap) + (a + b + c) * log_norm
            total += c * (parameter - 0.5 * abs(gap))
        else:
            behind = (b if gap > 0 else a) + 0.5 * c
            total -= behind * abs(gap) + (a + b + c) * math.log1p(math.exp(-abs(gap)))
    return total


@_compiled
def _sides(x: float) -> Any:
    """F(x) and F(-x) of the logistic, each to its own last digit."""
    small = math.exp(-abs(x))
    large = 1.0 / (1.0 + small)
    if x > 0:
        return large, small * large
    return small * large, large


@_compiled
def _half(
    first: Array, second: Array, wins: Array, losses: Array, ties: Array, s: Array,
    gradient: Array, diagonal: Array, bend: Array,
) -> None:  # fmt: skip
    for q in range(len(first)):
        i, j = first[q], second[q]
        n = wins[q] + losses[q] + ties[q]
        win, loss = _sides(s[i] - s[j])
        g = (wins[q] + 0.5 * ties[q]) * loss - (losses[q] + 0.5 * ties[q]) * win
        h = n * win * loss
        gradient[i] += g
        gradient[j] -= g
        diagonal[i] += h
        diagonal[j] += h
        bend[q] = h


@_compiled
def _davidson(
    first: Array, second: Array, wins: Array, losses: Array, ties: Array, s: Array, log_nu: float,
    gradient: Array, diagonal: Array, cross: Array, bend: Array,
) -> Any:  # fmt: skip
    nu = math.exp(log_nu)
    own_slope, own_bend = 0.0, 0.0
    for q in range(len(first)):
        i, j = first[q], second[q]
        n = wins[q] + losses[q] + ties[q]
        half = 0.5 * (s[i] - s[j])
        # Divided by the larger worth, so that nothing overflows.
        small = math.exp(-abs(half))
        norm = 1.0 / (1.0 + small * small + nu * small)
        tie = nu * small * norm
        lean = math.copysign((1.0 - small * small) * norm, half)
        g = 0.5 * (wins[q] - losses[q] - n * lean)
        # 1 - tie - lean**2 without a difference of near equals.
        h = n * small * norm * norm * (small + 0.25 * nu * (1.0 + small * small))
        c = -0.5 * n * lean * tie
        own_slope += ties[q] - n * tie
        own_bend += n * tie * (1.0 + small * small) * norm
        gradient[i] += g
        gradient[j] -= g
        diagonal[i] += h
        diagonal[j] += h
        cross[i] += c
        cross[j] -= c
        bend[q] = h
    return own_slope, own_bend


@_compiled
def _rao_kupper(
    first: Array, second: Array, wins: Array, losses: Array, ties: Array, s: Array, log_eta: float,
    gradient: Array, diagonal: Array, cross: Array, bend: Array,
) -> Any:  # fmt: skip
    eta = math.exp(log_eta)
    spread = 2.0 / math.expm1(2.0 * eta)
    own_slope, own_bend = 0.0, 0.0
    for q in range(len(first)):
        i, j = first[q], second[q]
        gap = s[i] - s[j]
        above, below = wins[q] + ties[q], losses[q] + ties[q]
        win, no_win = _sides(gap - eta)
        loss, no_loss = _sides(-gap - eta)
        win_bend, loss_bend = above * win * no_win, below * loss * no_loss
        win_slope, loss_slope = above * no_win, below * no_loss
        g = win_slope - loss_slope
        h = win_bend + loss_bend
        c = eta * (loss_bend - win_bend)
        slope = eta * (ties[q] * (spread + 2.0) - win_slope - loss_slope)
        own_slope += slope
        own_bend += eta * eta * (h + ties[q] * spread * (spread + 2.0)) - slope
        gradient[i] += g
        gradient[j] -= g
        diagonal[i] += h
        diagonal[j] += h
        cross[i] += c
        cross[j] -= c
        bend[q] = h
    return own_slope, own_bend


@_compiled
def bend_times(first: Array, second: Array, bend: Array, vector: Array, out: Array) -> None:
    """out = sum_q bend_q (v_i - v_j)(e_i - e_j): minus the Hessian times a vector, no matrix."""
    out[:] = 0.0
    for q in range(len(first)):
        i, j = first[q], second[q]
        pull = bend[q] * (vector[i] - vector[j])
        out[i] += pull
        out[j] -= pull
