"""Davidson's (and Bradley and Terry's) response to a gap with all derivatives, in one pass.

What `gap.py` says through `pairwise.py`, which is the plain twin; a law ties the two. Five to
twenty times faster: one visit to each number in place of some forty.

Legend: B rows, S kinds of people.
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
    return njit(cache=True, nogil=True)(inspect.unwrap(function))


def respond(
    gap: Float[Array, "B S"], answer: Int[Array, " B"], log_tie: Float[Array, "B S"]
) -> Float[Array, "6 B S"]:
    """log p, its slopes by gap and log tie strength, then minus its second derivatives: by gap
    twice, by both, by log tie strength twice. A log tie strength of minus infinity is no ties.
    """
    out = np.empty((6, *gap.shape))
    _respond(gap, answer, log_tie, out)
    return out


def _respond_plain(gap: Array, answer: Array, log_tie: Array, out: Array) -> None:
    for b in range(gap.shape[0]):
        won = 1.0 if answer[b] == 0 else (0.5 if answer[b] == 2 else 0.0)
        tied = 1.0 if answer[b] == 2 else 0.0
        for s in range(gap.shape[1]):
            # Worths against the larger of the two, so that no exponential overflows but the tie's.
            half = 0.5 * abs(gap[b, s])
            first, second = (0.0, -gap[b, s]) if gap[b, s] >= 0 else (gap[b, s], 0.0)
            tie = log_tie[b, s] - half
            top = tie if tie > 0.0 else 0.0
            p_first, p_second = math.exp(first - top), math.exp(second - top)
            p_tie = math.exp(tie - top)
            total = p_first + p_second + p_tie
            log_total = top + math.log(total)
            p_first, p_second, p_tie = p_first / total, p_second / total, p_tie / total
            chosen = tie if answer[b] == 2 else (first if answer[b] == 0 else second)
            out[0, b, s] = chosen - log_total
            out[1, b, s] = won - p_first - 0.5 * p_tie
            out[2, b, s] = tied - p_tie
            # sum over pairs of answers of p p' (difference)^2 / 2: nothing cancels near certainty.
            out[3, b, s] = p_first * p_second + 0.25 * p_tie * (p_first + p_second)
            out[4, b, s] = 0.5 * p_tie * (p_second - p_first)
            out[5, b, s] = p_tie * (p_first + p_second)


_respond = _compiled(_respond_plain)
