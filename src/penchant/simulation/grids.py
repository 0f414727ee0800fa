"""A small board to walk on: moves in four directions or none, and walkers who follow a policy.

Legend: S states, A actions, N walks, T steps.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.fitting.value_system import Paths
from penchant.numerics.arrays import Array

MOVES = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))


def grid_moves(width: int, height: int) -> Float[Array, "S A S"]:
    """Stay, right, left, down, up, each certain; who would leave the board stays."""
    transition = np.zeros((width * height, len(MOVES), width * height))
    for state in range(width * height):
        row, column = divmod(state, width)
        for action, (down, right) in enumerate(MOVES):
            there = (row + down, column + right)
            inside = 0 <= there[0] < height and 0 <= there[1] < width
            transition[state, action, there[0] * width + there[1] if inside else state] = 1.0
    return transition


def walk(
    log_policy: Float[Array, "T S A"],
    transition: Float[Array, "S A S"],
    start: Int[Array, " N"],
    rng: np.random.Generator,
) -> Paths:
    """One walk from each start."""
    here, states, actions = start, [], []
    for of_step in np.exp(log_policy):
        chosen = _drawn(of_step[here], rng)
        states.append(here)
        actions.append(chosen)
        here = _drawn(transition[here, chosen], rng)
    return Paths(state=np.stack(states, axis=1), action=np.stack(actions, axis=1))


def _drawn(chances: Float[Array, "N K"], rng: np.random.Generator) -> Int[Array, " N"]:
    below = np.cumsum(chances, axis=1) < rng.random((len(chances), 1))
    return np.minimum(below.sum(axis=1), chances.shape[1] - 1)
