"""Boards: where steps lead, by hand."""

import numpy as np

from penchant.simulation.grids import MOVES, STEPS, grid_moves, grid_steps, random_segments


def test_steps_stay_at_the_edge_and_before_a_blocked_cell():
    blocked = np.array([False, False, False, False, True, False])
    # 0 1 2
    # 3 # 5, up, down, left, right.
    expected = [[0, 3, 0, 1], [1, 1, 0, 2], [2, 5, 1, 2], [0, 3, 3, 3], [1, 4, 3, 5], [2, 5, 5, 5]]
    np.testing.assert_array_equal(grid_steps(3, 2, blocked), expected)


def test_without_blocks_they_are_the_certain_moves():
    steps, moves = grid_steps(4, 3), grid_moves(4, 3)
    for action, step in enumerate(STEPS):
        there = moves[:, MOVES.index(step)].argmax(axis=1)
        np.testing.assert_array_equal(steps[:, action], there)


def test_random_segments_follow_the_steps_and_are_over_at_an_end():
    following, ends = grid_steps(3, 2), np.arange(6) == 5
    found = random_segments(following, ends, 200, 4, np.random.default_rng(0))
    assert not np.any(ends[found.states[:, 0]])
    assert set(found.states[:, 0]) == set(range(5))
    for states, actions, length in zip(found.states, found.actions, found.length):
        for t in range(length):
            assert states[t + 1] == following[states[t], actions[t]]
        assert length == 4 or states[length] == 5
        assert np.all(states[length:] == states[length])
        assert not np.any(ends[states[:length]])
    assert 0 < np.mean(found.length < 4) < 1
