"""The delivery board: what steps bring, by hand; paths as they were written; plans and answers."""

import json

import numpy as np
import pandas as pd
import pytest

from penchant.errors import DataError
from penchant.evaluation.recipes import shared_file
from penchant.fitting.trajectory_head import segment_features
from penchant.numerics.planning import share_of_best
from penchant.numerics.planning_horizon import best_plan
from penchant.simulation.delivery import FIRST, SAME, SECOND, DeliveryBoard, PathAnswers

UP, DOWN, LEFT, RIGHT = range(4)
WEIGHTS = {"gas": -1, "goal": 50, "sheep": -50, "coin": 1, "road_block": -1, "mud": -2}


@pytest.fixture
def board(tmp_path):
    # A coin, a house, mud; a road block, a road, the goal; sheep, mud with a coin, road.
    cells = [[4, 2, 6], [5, 0, 1], [3, 10, 0]]
    path = tmp_path / "board.json"
    path.write_text(json.dumps({"size": [3, 3], "cells": cells, "reward_weights": WEIGHTS}))
    return DeliveryBoard.read(path, discount=0.9)


def test_what_steps_bring_is_what_is_entered(board):
    rewards = board.rewards
    assert rewards[3, UP] == 0  # a coin for the gas
    assert rewards[4, LEFT] == -2  # a road block
    assert rewards[4, RIGHT] == 50  # no gas on the last step
    assert rewards[3, DOWN] == -50
    assert rewards[4, DOWN] == -1  # mud costs two, the coin on it brings one
    assert rewards[8, LEFT] == -1
    assert rewards[4, UP] == -1  # the house is in the way
    assert rewards[2, UP] == -2  # who stays in the mud pays for it
    assert rewards[0, UP] == -1  # no second coin for staying
    assert rewards[7, DOWN] == -2
    np.testing.assert_array_equal(rewards[5], 0.0)
    np.testing.assert_array_equal(board.drivable, [1, 0, 1, 1, 1, 0, 0, 1, 1])


def test_the_true_rewards_share_is_whole_and_a_plan_into_the_sheep_is_worse_than_random(board):
    assert board.share(board.rewards) == pytest.approx(1.0)
    assert board.share(2.0 * board.rewards) == pytest.approx(1.0)
    into_sheep = board.features @ np.array([-1.0, 0, -50, 50, 0, 0])
    assert board.share(into_sheep) < 0
    # Of where a path may be: a house that nobody enters has a value, too.
    told = share_of_best(board.world, into_sheep, board.rewards, board.drivable)
    assert board.share(into_sheep) == told != share_of_best(board.world, into_sheep, board.rewards)


def table(tmp_path, preference="first", last=(0, 1)):
    rows = pd.DataFrame({
        "states_0": [[0, 0, 1, 0, 1, 1], [1, 1, 1, 2]], "actions_0": [[1, 0, *last], [0, 1, 0, 0]],
        "states_1": [[2, 2, 2, 1, 1, 1], [1, 1, 1, 1, 2, 1]],
        "actions_1": [[0, -1, -1, 0], [-1, 0, 1, 0]],
        "return_0": [-3.0, 50.0], "return_1": [-2.0, -2.0], "preference": [preference, "same"],
        "experiment": ["a", "b"], "condition": ["control", "regret"],
    })  # fmt: skip
    rows.to_parquet(tmp_path / "pairs.parquet")
    return tmp_path / "pairs.parquet"


def test_paths_are_read_as_written_and_what_they_earn_is_theirs(board, tmp_path):
    found = PathAnswers.read(table(tmp_path), width=3)
    first, second = found.paths
    np.testing.assert_array_equal(first.states, [[0, 3, 4], [4, 5, 5]])
    np.testing.assert_array_equal(first.actions[0], [DOWN, RIGHT])
    np.testing.assert_array_equal(second.actions, [[LEFT, UP], [UP, DOWN]])
    np.testing.assert_array_equal(first.length, [2, 1])
    np.testing.assert_array_equal(found.answer, [FIRST, SAME])
    earned = [segment_features(p, board.features, 1.0) @ board.weights for p in found.paths]
    np.testing.assert_array_equal(earned[0] - earned[1], found.gain)
    rows = pd.read_parquet(tmp_path / "pairs.parquet")
    pd.concat([rows, rows[::-1]]).to_parquet(tmp_path / "twice.parquet")
    asked = PathAnswers.read(tmp_path / "twice.parquet", width=3).question
    assert asked[0] == asked[3] != asked[1] == asked[2]
    pairs = found.pairs(np.array([1, 0]))
    np.testing.assert_array_equal(pairs.won, [0.5, 1.0])
    np.testing.assert_array_equal(pairs.segments.states[pairs.first[0]], [4, 5, 5])
    np.testing.assert_array_equal(pairs.segments.states[pairs.second[1]], [8, 7, 4])


def test_answers_of_another_kind_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"\['both'\]; expected first, second or same"):
        PathAnswers.read(table(tmp_path, "both"), width=3)
    assert PathAnswers.read(table(tmp_path, "second"), width=3).answer[0] == SECOND


def test_a_step_that_is_none_is_refused_unless_its_path_is_over(tmp_path):
    with pytest.raises(DataError, match=r"step 2 of row 1 is \[0, 0\] \(1 steps"):
        PathAnswers.read(table(tmp_path, last=(0, 0)), width=3)


def test_on_the_real_board_returns_and_values_are_those_of_its_authors():
    try:
        where = shared_file("delivery_trajectories/pairs.parquet")
    except DataError as error:
        pytest.skip(str(error))
    board = DeliveryBoard.read(shared_file("delivery_trajectories/board.json"))
    found, rows = PathAnswers.read(where), pd.read_parquet(where)
    earned = [segment_features(p, board.features, 1.0) @ board.weights for p in found.paths]
    np.testing.assert_array_equal(earned[0], rows.return_0)
    np.testing.assert_array_equal(earned[1], rows.return_1)
    values = best_plan(np.repeat(board.rewards[None], 60, axis=0), board.world.moves).values[0]
    for end, column in ((0, "diff_start_value"), (-1, "diff_end_value")):
        first, second = (values[path.states[:, end]] for path in found.paths)
        np.testing.assert_array_equal(second - first, rows[column])
