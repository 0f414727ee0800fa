"""Gaps of a direction and the gradient at its end, in one reading of the features.

`HeadDensity.look` says the same in two, with NumPy; a law ties them. What is read of eight pairs
for their gaps is still in cache when it is weighed with their slopes.

Legend: B pairs, D dimensions.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int
from numba import njit

from penchant.numerics.arrays import Array


def look(
    features: Float32[Array, "B D"],
    step: Float[Array, " D"],
    gap: Float[Array, " B"],
    answer: Int[Array, " B"],
    weight: Float[Array, " B"],
) -> tuple[Float[Array, " B"], Float[Array, "3 B"], Float[Array, " D"]]:
    """shift_b = f_b' step; of Bradley and Terry's likelihood at gap_b + shift_b the value, the
    slope and the bend; and sum_b weight_b slope_b f_b."""
    shift, found = np.empty(len(features)), np.empty((3, len(features)))
    pull = np.zeros(features.shape[1])
    _look(features, step.astype(np.float32), gap, answer, weight, shift, found, pull)
    return shift, found, pull


def _compiled(function: Callable[..., Any]) -> Any:
    """Sums may be reordered; NaN stays NaN."""
    return njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})(
        inspect.unwrap(function)
    )


def _look_plain(
    features: Array, step: Array, gap: Array, answer: Array, weight: Array, shift: Array,
    found: Array, pull: Array,
) -> None:  # fmt: skip
    # Sums of a thousand pairs in single precision, their sums in double.
    B, D = features.shape
    part, slope = np.zeros(D, dtype=np.float32), np.zeros(8, dtype=np.float32)
    for at in range(0, B, 8):
        num = min(8, B - at)
        x = features[at : at + num]
        if num == 8:
            a = b = c = d = e = f = g = h = np.float32(0.0)
            for j in range(D):
                s = step[j]
                a += x[0, j] * s
                b += x[1, j] * s
                c += x[2, j] * s
                d += x[3, j] * s
                e += x[4, j] * s
                f += x[5, j] * s
                g += x[6, j] * s
                h += x[7, j] * s
            shift[at], shift[at + 1], shift[at + 2], shift[at + 3] = a, b, c, d
            shift[at + 4], shift[at + 5], shift[at + 6], shift[at + 7] = e, f, g, h
        else:
            for i in range(num):
                total = np.float32(0.0)
                for j in range(D):
                    total += x[i, j] * step[j]
                shift[at + i] = total
        for i in range(num):
            sign = 1.0 if answer[at + i] == 0 else -1.0
            toward = sign * (gap[at + i] + shift[at + i])
            odds = math.exp(-abs(toward))
            sure = 1.0 / (1.0 + odds)
            found[0, at + i] = min(toward, 0.0) - math.log1p(odds)
            found[1, at + i] = sign * (odds * sure if toward >= 0.0 else sure)
            found[2, at + i] = odds * sure * sure
            slope[i] = weight[at + i] * found[1, at + i]
        if num == 8:
            a, b, c, d = slope[0], slope[1], slope[2], slope[3]
            e, f, g, h = slope[4], slope[5], slope[6], slope[7]
            for j in range(D):
                part[j] += (
                    x[0, j] * a + x[1, j] * b + x[2, j] * c + x[3, j] * d
                    + x[4, j] * e + x[5, j] * f + x[6, j] * g + x[7, j] * h
                )  # fmt: skip
        else:
            for i in range(num):
                for j in range(D):
                    part[j] += x[i, j] * slope[i]
        if at % 1024 == 1016 or at + 8 >= B:
            for j in range(D):
                pull[j] += part[j]
                part[j] = 0.0


_look = _compiled(_look_plain)
