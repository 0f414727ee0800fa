"""DOOR as tables: the same world, and a chance that games bear out."""

import copy

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.simulation.tasks.door import OpenDoor
from penchant.simulation.tasks.door_table import ACTIONS, Doors, all_seen

SEEDS = st.integers(0, 2**32 - 1)


def policy_of(rng, colours=3):
    share = rng.random((len(all_seen(colours)), len(ACTIONS)))
    return share / share.sum(axis=1, keepdims=True)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_a_game_on_tables_is_the_game(seed):
    task = OpenDoor(rooms=4, colours=2, horizon=12)
    doors = Doors.drawn(task, 3, np.random.default_rng(seed))
    again = np.random.default_rng(seed)
    worlds = [task.draw_world(again) for _ in range(3)]
    rng = np.random.default_rng((seed, 1))
    seen, did, won = doors.played(policy_of(rng, 2), 2, rng)
    for game in range(6):
        world = copy.deepcopy(worlds[game // 2])
        told, is_over, reward = world.prompt, False, 0.0
        for step in range(task.horizon):
            if is_over:
                assert (seen[game, step], did[game, step]) == (-1, -1)
                continue
            assert doors.texts[seen[game, step]] == told
            turn = world.step(ACTIONS[did[game, step]])
            told, is_over, reward = turn.text, turn.is_over, turn.reward
        assert won[game] == (reward == 1.0)


def test_the_chance_to_open_the_door_is_the_share_of_games_won():
    rng = np.random.default_rng(0)
    doors = Doors.drawn(OpenDoor(rooms=4, colours=3, horizon=15), 4, rng)
    policy = policy_of(rng)
    won = doors.played(policy, 20_000, rng)[2].reshape(4, -1).mean(axis=1)
    exact = doors.chance(policy)
    assert exact.max() > 0.02
    assert np.all(np.abs(won - exact) < 4.0 * np.sqrt(exact / 20_000) + 1e-4)
