"""A small board to walk on: moves in four directions or none, and walkers who follow a policy.

Legend: S states, A actions, N walks, T steps.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.fitting.trajectory_head import Segments
from penchant.fitting.value_system import Paths
from penchant.numerics.arrays import Array

MOVES = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))


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


def grid_steps(
    width: int, height: int, blocked: Bool[Array, " S"] | None = None
) -> Int[Array, "S A"]:
    """Where one step up, down, left or right leads (`STEPS`); who would leave the board, or enter
    a blocked cell, stays."""
    cells = np.arange(width * height)
    row, column = (
        np.stack(np.divmod(cells, width), axis=1)[:, None] + np.array(STEPS)
    ).transpose(2, 0, 1)  # fmt: skip
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    there = np.where(inside, row * width + column, cells[:, None])
    return there if blocked is None else np.where(blocked[there], cells[:, None], there)


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


def random_segments(
    following: Int[Array, "S A"],
    ends: Bool[Array, " S"],
    count: int,
    steps: int,
    rng: np.random.Generator,
) -> Segments:
    """Segments of steps at random from cells at random, no end among these; over at an end."""
    actions = rng.integers(0, following.shape[1], (count, steps))
    states = np.zeros((count, steps + 1), dtype=np.int64)
    states[:, 0] = rng.choice(np.flatnonzero(~ends), count)
    for t in range(steps):
        here = states[:, t]
        states[:, t + 1] = np.where(ends[here], here, following[here, actions[:, t]])
    return Segments(states=states, actions=actions, length=(~ends[states[:, :-1]]).sum(axis=1))


def _drawn(chances: Float[Array, "N K"], rng: np.random.Generator) -> Int[Array, " N"]:
    below = np.cumsum(chances, axis=1) < rng.random((len(chances), 1))
    return np.minimum(below.sum(axis=1), chances.shape[1] - 1)
