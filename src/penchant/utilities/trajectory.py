"""What a piece of a trajectory is worth: what it earned, or how little it missed.

Legend: B segments, T steps.
"""

import numpy as np
from jaxtyping import Bool, Float

from penchant.numerics.arrays import Array


def partial_return(
    rewards: Float[Array, "B T"], taken: Bool[Array, "B T"], discount: float = 1.0
) -> Float[Array, " B"]:
    """sum_t gamma^t r_t over the steps taken (Christiano et al. 2017)."""
    return np.where(taken, rewards, 0.0) @ discount ** np.arange(rewards.shape[1])


def minus_regret(
    rewards: Float[Array, "B T"],
    taken: Bool[Array, "B T"],
    start_value: Float[Array, " B"],
    end_value: Float[Array, " B"],
    discount: float = 1.0,
) -> Float[Array, " B"]:
    """sum_t gamma^t r_t + gamma^T V*(s_T) - V*(s_0): 0 for a segment without a wrong step.

    Knox et al. (2024) for deterministic moves; what is still to come counts, and what could have
    been had from the start is held against it. `discount` is that within the segment: a later
    release of the authors leaves it at 1 whatever the values' own is.
    """
    length = taken.sum(axis=1)
    return partial_return(rewards, taken, discount) + discount**length * end_value - start_value


def minus_regret_of_steps(
    advantages: Float[Array, "B T"], taken: Bool[Array, "B T"], discount: float = 1.0
) -> Float[Array, " B"]:
    """sum_t gamma^t [Q*(s_t, a_t) - V*(s_t)]: the same for deterministic moves under one discount,
    and right for random ones too, where luck is no merit."""
    return np.where(taken, advantages, 0.0) @ discount ** np.arange(advantages.shape[1])
