"""Plackett-Luce over rankings without ties, laid end to end, in compiled loops.

Stage i of a ranking picks the best of what is left. With S_i the weight of what is left, every
derivative is a running sum of 1 / S_i over the stages that an item was still there for: one pass
down a ranking and one back. Each item's worth exp(s) is taken once, not at every entry.
`ranked.py` holds the plain twin.

Legend: R rankings, E entries, N items, K options of a menu.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from penchant.numerics.arrays import Array

# Further apart than this (logits), worths are taken menu by menu, so that none is infinite.
_FAR = 600.0
# Of an entry: its part in the worth of its menu, 1 / S of its own stage (0 if it is none; S as a
# part of the menu's too), and the sum of these up to its own.
WORTH, STAGE, PULL = 0, 1, 2


def _compiled(function: Callable[..., Any]) -> Any:
    """A step far too long may divide by 0: NaN shortens it, where an error would end the fit."""
    return njit(cache=True, nogil=True, error_model="numpy")(inspect.unwrap(function))


def slopes(
    item: Int[Array, " E"],
    start: Int[Array, " R1"],
    stages: Int[Array, " R"],
    weight: Float[Array, " R"],
    strengths: Float[Array, " N"],
) -> tuple[Array, Array, Array]:
    """Gradient [N], diagonal [N] of minus the Hessian, and what products need of entries [E, 3]."""
    sums, share = np.zeros((len(strengths), 2)), np.empty((len(item), 3))
    is_far = bool(np.ptp(strengths) > _FAR) if len(strengths) else False
    middle = 0.5 * (strengths.max(initial=0.0) + strengths.min(initial=0.0))
    worth = strengths if is_far else np.exp(strengths - middle)
    _slopes(item, start, stages, weight, worth, is_far, share, sums)
    gradient, diagonal = np.ascontiguousarray(sums.T)
    return gradient, diagonal, share


@_compiled
def value(item: Array, start: Array, stages: Array, weight: Array, s: Array) -> float:
    """The log-likelihood."""
    total = 0.0
    for r in range(len(start) - 1):
        a, b = start[r], start[r + 1]
        # What is left, in units of its best: the log of its sum at every stage, from behind.
        top, rest = s[item[b - 1]], 0.0
        for e in range(b - 1, a - 1, -1):
            one = s[item[e]]
            if one > top:
                rest *= math.exp(top - one)
                top = one
            rest += math.exp(one - top)
            if e - a < stages[r]:
                total += weight[r] * (one - top - math.log(rest))
    return total


@_compiled
def _slopes(
    item: Array, start: Array, stages: Array, weight: Array, worth: Array, is_far: bool,
    share: Array, sums: Array,
) -> None:  # fmt: skip
    for r in range(len(start) - 1):
        a, b, w = start[r], start[r + 1], weight[r]
        top = 0.0
        if is_far:
            top = worth[item[a]]
            for e in range(a + 1, b):
                top = max(top, worth[item[e]])
        # From behind, so that small weights are added before large ones.
        rest = 0.0
        for e in range(b - 1, a - 1, -1):
            one = math.exp(worth[item[e]] - top) if is_far else worth[item[e]]
            rest += one
            share[e, WORTH], share[e, STAGE] = one, rest
        pull, pull_square = 0.0, 0.0
        for e in range(a, b):
            one, stage = share[e, WORTH] / rest, 0.0
            if e - a < stages[r]:
                stage = rest / share[e, STAGE]
                pull += stage
                pull_square += stage * stage
            share[e, WORTH], share[e, STAGE], share[e, PULL] = one, stage, pull
            i = item[e]
            sums[i, 0] += w * ((1.0 if stage > 0.0 else 0.0) - one * pull)
            sums[i, 1] += w * one * (pull - one * pull_square)


@_compiled
def bend_times(
    item: Array, start: Array, weight: Array, share: Array, v: Array, room: Array, out: Array
) -> None:
    """out = minus the Hessian times v: at each stage the covariance of v under the choice.

    `room` has a place for every entry of the largest menu.
    """
    out[:] = 0.0
    for r in range(len(start) - 1):
        a, b, w = start[r], start[r + 1], weight[r]
        # The mean of v under each stage's choice, from behind.
        total = 0.0
        for e in range(b - 1, a - 1, -1):
            total += share[e, WORTH] * v[item[e]]
            room[e - a] = total
        mean = 0.0
        for e in range(a, b):
            mean += room[e - a] * share[e, STAGE] * share[e, STAGE]
            out[item[e]] += w * share[e, WORTH] * (v[item[e]] * share[e, PULL] - mean)


@_compiled
def add_information(item: Array, start: Array, weight: Array, share: Array, out: Array) -> None:
    """Adds minus the Hessian to out [N, N]."""
    for r in range(len(start) - 1):
        a, b = start[r], start[r + 1]
        pull_square = 0.0
        for e in range(a, b):
            pull_square += share[e, STAGE] * share[e, STAGE]
            i, one = item[e], weight[r] * share[e, WORTH]
            out[i, i] += one * (share[e, PULL] - share[e, WORTH] * pull_square)
            for later in range(e + 1, b):
                # They were left together at the stages up to the earlier one's.
                both = one * share[later, WORTH] * pull_square
                out[i, item[later]] -= both
                out[item[later], i] -= both


@_compiled
def add_placings(
    item: Array, tier: Array, start: Array, weight: Array, ahead: Array, behind: Array
) -> None:
    """Adds up by item how many others of its menus stood before it [N], and how many after."""
    for r in range(len(start) - 1):
        a, end = start[r], start[r + 1]
        while a < end:
            b = a + 1
            while b < end and tier[b] == tier[a]:
                b += 1
            for e in range(a, b):
                ahead[item[e]] += weight[r] * (a - start[r])
                behind[item[e]] += weight[r] * (end - b)
            a = b
