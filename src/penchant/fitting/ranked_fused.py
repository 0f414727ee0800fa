"""Plackett-Luce over rankings without ties, laid end to end, in compiled loops.

Stage i of a ranking picks the best of what is left. With S_i the weight of what is left, every
derivative is a running sum of 1 / S_i over the stages that an item was still there for: one pass
down a ranking and one back. `ranked.py` holds the plain twin.

Legend: R rankings, E entries, N items, K options of a menu.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

from numba import njit

from penchant.numerics.arrays import Array


def _compiled(function: Callable[..., Any]) -> Any:
    """A step far too long may divide by 0: NaN shortens it, where an error would end the fit."""
    return njit(cache=True, nogil=True, error_model="numpy")(inspect.unwrap(function))


@_compiled
def slopes(
    item: Array, start: Array, stages: Array, weight: Array, s: Array,
    share: Array, gradient: Array, diagonal: Array,
) -> float:  # fmt: skip
    """Log-likelihood; fills gradient [N], diagonal [N], and of each entry its part of what is left
    at its own stage, share[E, 0], and exp(s) over the whole menu's, share[E, 1]."""
    total = 0.0
    for r in range(len(start) - 1):
        a, b = start[r], start[r + 1]
        top = s[item[a]]
        for e in range(a + 1, b):
            top = max(top, s[item[e]])
        # From behind, so that small weights are added before large ones.
        rest = 0.0
        for e in range(b - 1, a - 1, -1):
            worth = math.exp(s[item[e]] - top)
            rest += worth
            share[e, 0] = rest
            share[e, 1] = worth
        w = weight[r]
        pull, pull_square = 0.0, 0.0
        for e in range(a, b):
            i, worth = item[e], share[e, 1]
            is_stage = e - a < stages[r]
            if is_stage:
                total += w * (s[i] - top - math.log(share[e, 0]))
                pull += 1.0 / share[e, 0]
                pull_square += 1.0 / (share[e, 0] * share[e, 0])
            gradient[i] += w * ((1.0 if is_stage else 0.0) - worth * pull)
            diagonal[i] += w * worth * (pull - worth * pull_square)
    return total


@_compiled
def bend_times(
    item: Array, start: Array, stages: Array, weight: Array, share: Array, v: Array, out: Array
) -> None:
    """out = minus the Hessian times v: at each stage the covariance of v under the choice."""
    out[:] = 0.0
    for r in range(len(start) - 1):
        a, b = start[r], start[r + 1]
        # The mean of v under each stage's choice, from behind.
        total = 0.0
        for e in range(b - 1, a - 1, -1):
            total += share[e, 1] * v[item[e]]
            share[e, 2] = total
        pull, pull_mean = 0.0, 0.0
        for e in range(a, b):
            if e - a < stages[r]:
                pull += 1.0 / share[e, 0]
                pull_mean += share[e, 2] / (share[e, 0] * share[e, 0])
            i = item[e]
            out[i] += weight[r] * share[e, 1] * (v[i] * pull - pull_mean)


@_compiled
def add_information(
    item: Array, start: Array, stages: Array, weight: Array, share: Array, out: Array
) -> None:
    """Adds minus the Hessian to out [N, N]."""
    for r in range(len(start) - 1):
        a, b = start[r], start[r + 1]
        pull, pull_square = 0.0, 0.0
        for e in range(a, b):
            if e - a < stages[r]:
                pull += 1.0 / share[e, 0]
                pull_square += 1.0 / (share[e, 0] * share[e, 0])
            i, worth = item[e], weight[r] * share[e, 1]
            out[i, i] += worth * (pull - share[e, 1] * pull_square)
            for later in range(e + 1, b):
                # They were left together at the stages up to the earlier one's.
                both = worth * share[later, 1] * pull_square
                out[i, item[later]] -= both
                out[item[later], i] -= both
