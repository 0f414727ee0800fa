"""Worth by nearness: distances of what is chosen for from what may be chosen, and worths of them.

`ideal_point.py` has the quadratic fall along separate features. Here the fall is a power of any
distance (harmonic worths), or that of a bell around a target of a given size.

Legend: B observations, K points to be near to (options, classes, targets), D features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array

# Of squared lengths: nothing is nearer than a millionth, so that worths of a hit stay finite.
_LEAST = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Distances:
    """Of every observation from every point, and their slopes by the points' coordinates."""

    distance: Float[Array, "B K"]
    slope: Float[Array, "B K D"]


Distance = Callable[[Float[Array, "B D"], Float[Array, "K D"]], Distances]


def euclidean(features: Float[Array, "B D"], points: Float[Array, "K D"]) -> Distances:
    """(sum (x - w)^2)^(1/2). Mahalanobis' distance is this one between whitened features."""
    return minkowski(features, points, power=2.0)


def manhattan(features: Float[Array, "B D"], points: Float[Array, "K D"]) -> Distances:
    """sum |x - w|."""
    return minkowski(features, points, power=1.0)


def minkowski(
    features: Float[Array, "B D"], points: Float[Array, "K D"], *, power: float = 3.0
) -> Distances:
    """(sum |x - w|^p)^(1/p), p of 1 or more."""
    apart = points - features[:, None]
    size = np.abs(apart)
    distance = ((size**power).sum(axis=2) + _LEAST ** (power / 2.0)) ** (1.0 / power)
    slope = np.sign(apart) * size ** (power - 1.0) / distance[:, :, None] ** (power - 1.0)
    return Distances(distance=distance, slope=slope)


def cosine(features: Float[Array, "B D"], points: Float[Array, "K D"]) -> Distances:
    """1 - x'w / (|x| |w|): 0 along the same ray, 2 along opposite ones, whatever the lengths."""
    of_row = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _LEAST)
    length = np.maximum(np.linalg.norm(points, axis=1, keepdims=True), _LEAST)
    along = points / length
    same = of_row @ along.T
    slope = (same[:, :, None] * along - of_row[:, None]) / length
    return Distances(distance=np.maximum(1.0 - same, 0.0) + _LEAST, slope=slope)


def bray_curtis(features: Float[Array, "B D"], points: Float[Array, "K D"]) -> Distances:
    """sum |x - w| / sum |x + w| (Bray and Curtis 1957); of features that are amounts."""
    apart, together = points - features[:, None], points + features[:, None]
    above = np.abs(apart).sum(axis=2) + _LEAST
    below = np.abs(together).sum(axis=2) + _LEAST
    ratio = above / below
    slope = (np.sign(apart) - ratio[:, :, None] * np.sign(together)) / below[:, :, None]
    return Distances(distance=ratio, slope=slope)


def harmonic_worths(distance: Float[Array, "*B"], power: float) -> Float[Array, "*B"]:
    """u = -n log d, so that the conditional logit is p_k = d_k^-n / sum_j d_j^-n: the harmonic
    loss of Baek et al. (2025), with distances of any kind (Miller-Golub et al. 2026).

    The unit of the distance cancels. n is how sharply the nearest wins.
    """
    return -power * np.log(distance)


def bell_worths(
    features: Float[Array, "*B D"], centre: Float[Array, "*#B D"], scale: Float[Array, "*#B D"]
) -> Float[Array, "*B"]:
    """-1/2 sum_d ((x_d - c_d) / s_d)^2: an ideal point whose exponential is a reward from 0 to 1
    that tells a near miss from a far one (GUI-G2 2025, with s half a target's width and height)."""
    return -0.5 * (((features - centre) / scale) ** 2).sum(axis=-1)


def overlap_worths(
    centre: Float[Array, "*B D"],
    scale: Float[Array, "*B D"],
    target_centre: Float[Array, "*#B D"],
    target_scale: Float[Array, "*#B D"],
) -> Float[Array, "*B"]:
    """Minus Bhattacharyya's (1943) distance of two bells with independent features.

    -[1/8 d' S^-1 d + 1/2 log(det S / sqrt(det S_1 det S_2))], S the mean of the two covariances:
    0 where centres and sizes agree. Its exponential is the coverage reward of GUI-G2 (2025).
    """
    mean = 0.5 * (scale**2 + target_scale**2)
    apart = 0.125 * ((centre - target_centre) ** 2 / mean).sum(axis=-1)
    sizes = np.log(mean) - np.log(scale) - np.log(target_scale)
    return -(apart + 0.5 * sizes.sum(axis=-1))
