"""Models of pairs summed over all pairs in compiled loops: slopes, bends, and bends times a vector.

Each item's worth exp(s) is taken once; a pair's probabilities are then sums and quotients of two
worths. `paired_density.py` holds the plain NumPy twin, with any link; the laws tie the two.

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

_NUMBER = {"half": 0, "davidson": 1, "rao_kupper": 2}


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
    sums, bend = np.zeros((len(strengths), 3)), np.empty(len(first), dtype=np.float32)
    # Around the middle, worths stay finite while items are less than 1,400 logits apart; beyond,
    # the slopes are no numbers, which makes a step shorter.
    middle = 0.5 * (strengths.max(initial=0.0) + strengths.min(initial=0.0))
    with np.errstate(over="ignore"):
        worth = np.exp((strengths - middle) * (0.5 if model == "davidson" else 1.0))
    own = _slopes(
        first, second, wins, losses, ties, worth, float(tie_parameter), _NUMBER[model], sums, bend
    )
    gradient, diagonal, cross = np.ascontiguousarray(sums.T)
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
    return float(
        _value(first, second, wins, losses, ties, strengths, tie_parameter, _NUMBER[model])
    )


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
def _half(x: float, y: float, wins: float, losses: float, ties: float) -> Any:
    """Slope, bend, cross, own slope and own bend of one pair, from the worths of its two items."""
    share = 1.0 / (x + y)
    win, loss = x * share, y * share
    above, below = wins + 0.5 * ties, losses + 0.5 * ties
    return above * loss - below * win, (above + below) * win * loss, 0.0, 0.0, 0.0


@_compiled
def _davidson(x: float, y: float, wins: float, losses: float, ties: float, nu: float) -> Any:
    """The same; worths are roots of exp(s)."""
    n = wins + losses + ties
    share = 1.0 / (x * x + y * y + nu * x * y)
    win, loss, tie = x * x * share, y * y * share, nu * x * y * share
    lean, decided = win - loss, win + loss
    # 1 - tie - lean**2 without a difference of near equals.
    bend = n * (win * loss + 0.25 * tie * decided)
    return (
        0.5 * (wins - losses - n * lean), bend, -0.5 * n * lean * tie, ties - n * tie,
        n * tie * decided,
    )  # fmt: skip


@_compiled
def _rao_kupper(
    x: float, y: float, wins: float, losses: float, ties: float, eta: float, stretch: float,
    spread: float,
) -> Any:  # fmt: skip
    """The same; `stretch` is exp(eta), `spread` 2 / (exp(2 eta) - 1)."""
    above, below = wins + ties, losses + ties
    one, two = 1.0 / (x + stretch * y), 1.0 / (y + stretch * x)
    win, no_win, loss, no_loss = x * one, stretch * y * one, y * two, stretch * x * two
    win_bend, loss_bend = above * win * no_win, below * loss * no_loss
    win_slope, loss_slope = above * no_win, below * no_loss
    bend = win_bend + loss_bend
    slope = eta * (ties * (spread + 2.0) - win_slope - loss_slope)
    own_bend = eta * eta * (bend + ties * spread * (spread + 2.0)) - slope
    return win_slope - loss_slope, bend, eta * (loss_bend - win_bend), slope, own_bend


@_compiled
def _slopes(
    first: Array, second: Array, wins: Array, losses: Array, ties: Array, worth: Array,
    parameter: float, model: int, sums: Array, bend: Array,
) -> Any:  # fmt: skip
    nu = eta = math.exp(parameter)
    stretch, spread = math.exp(eta), 2.0 / math.expm1(2.0 * eta)
    own_slope, own_bend = 0.0, 0.0
    q = 0
    while q < len(first):
        i = first[q]
        x, slope_i, bend_i, cross_i = worth[i], 0.0, 0.0, 0.0
        # Pairs of one first item follow each other: its own sums stay in registers.
        while q < len(first) and first[q] == i:
            j, a, b, c = second[q], wins[q], losses[q], ties[q]
            if model == 0:
                one = _half(x, worth[j], a, b, c)
            elif model == 1:
                one = _davidson(x, worth[j], a, b, c, nu)
            else:
                one = _rao_kupper(x, worth[j], a, b, c, eta, stretch, spread)
            slope_i += one[0]
            bend_i += one[1]
            sums[j, 0] -= one[0]
            sums[j, 1] += one[1]
            bend[q] = one[1]
            if model != 0:
                cross_i += one[2]
                sums[j, 2] -= one[2]
                own_slope += one[3]
                own_bend += one[4]
            q += 1
        sums[i, 0] += slope_i
        sums[i, 1] += bend_i
        sums[i, 2] += cross_i
    return own_slope, own_bend


@_compiled
def bend_times(first: Array, second: Array, bend: Array, vector: Array, out: Array) -> None:
    """out = sum_q bend_q (v_i - v_j)(e_i - e_j): minus the Hessian times a vector, no matrix."""
    out[:] = 0.0
    q = 0
    while q < len(first):
        i, own = first[q], 0.0
        level = vector[i]
        while q < len(first) and first[q] == i:
            j = second[q]
            pull = bend[q] * (level - vector[j])
            own += pull
            out[j] -= pull
            q += 1
        out[i] += own
