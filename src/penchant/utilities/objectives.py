"""Several rewards of one answer and what somebody wants of them: directions in their space.

Weights say how much each objective counts; a direction says only which way is better, so that
angles between two people's wishes mean something.

Legend: B prompts, K answers, M objectives, N directions.
"""

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array


def directed_worths(
    rewards: Float[Array, "*B M"], direction: Float[Array, " M"]
) -> Float[Array, "*B"]:
    """v' r, v the direction at length 1, in units of the rewards (directional preference alignment,
    Wang et al. 2024). An answer with a missing reward is NaN, unless it does not count at all.

    Rewards must have comparable scales: `in_own_spread` of `compose.py` gives them one.
    """
    unit = _unit(direction)
    counted = np.flatnonzero(unit)
    return rewards[..., counted] @ unit[counted]


def angles(one: Float[Array, "*N M"], other: Float[Array, " M"]) -> Float[Array, "*N"]:
    """Between directions, in degrees."""
    along = _unit(one) @ _unit(other)
    # An arc cosine near 1 keeps half the digits; two sides of a triangle keep all.
    across = np.linalg.norm(_unit(one) - along[..., None] * _unit(other), axis=-1)
    return np.degrees(np.arctan2(across, along))


def turned(
    direction: Float[Array, " M"], towards: Float[Array, " M"], degrees: Float[Array, " N"]
) -> Float[Array, "N M"]:
    """The direction turned along the shortest way to another, and beyond it where asked; unit
    length.

    Raises `ConfigError` for opposite directions, between which no way is the shortest.
    """
    unit, goal = _unit(direction), _unit(towards)
    across = goal - (goal @ unit) * unit
    length = float(np.linalg.norm(across))
    if length < 1e-9:
        if goal @ unit < 0:
            raise ConfigError(
                f"{direction} and {towards} are opposite; expected directions with one shortest "
                "way between them. Turn by way of a third."
            )
        return np.broadcast_to(unit, (len(degrees), len(unit))).copy()
    turn = np.radians(degrees)[:, None]
    return np.cos(turn) * unit + np.sin(turn) * across / length


def neighbourhood(
    direction: Float[Array, " M"],
    covered: Float[Array, " M"],
    num: int,
    *,
    widest: float = 30.0,
    reach: float = 0.0,
) -> Float[Array, "N M"]:
    """`num` directions from the one wanted towards those that a model was trained on, evenly spaced
    (robust preference selection, 2025: one answer for each, the best kept by `directed_worths` in
    the direction wanted).

    covered: the middle of those trained on; reach: how far from there training went, in degrees.
    Directions end where training begins, `widest` degrees away at most: inside, all are the wanted
    one and the rule is best of n.

    Raises `ConfigError` for no direction or angles that are none.
    """
    if num < 1 or not (0 <= widest <= 180 and 0 <= reach <= 180):
        raise ConfigError(
            f"got num={num}, widest={widest}, reach={reach}; expected one direction or more and "
            "angles from 0 to 180 degrees."
        )
    outside = max(float(angles(direction, covered)) - reach, 0.0)
    return turned(direction, covered, np.linspace(0.0, min(widest, outside), num))


def _unit(direction: Float[Array, "*N M"]) -> Float[Array, "*N M"]:
    length = np.linalg.norm(direction, axis=-1, keepdims=True)
    if not np.all(np.isfinite(length) & (length > 0)):
        raise ConfigError(
            f"the direction {direction} has no length; expected numbers that are not all zero. "
            "Give at least one objective a weight."
        )
    return direction / length
