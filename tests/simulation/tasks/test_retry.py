"""Trials with reflections between them: what a reflection earns, and what follows from a trial."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.simulation.tasks.door import DoorWorld, OpenDoor
from penchant.simulation.tasks.retry import RetryDoor, RetryWorld, told_by, walk
from penchant.simulation.tasks.task import TextWorld, WorldTask, demonstrated

SEEDS = st.integers(0, 2**32 - 1)
WORDS = st.sampled_from(["lr", "rl", "ll", "rr", "l", "", "x", "rx", "éü"])


def drawn(seed, **settings_):
    return RetryDoor(**settings_).draw_world(np.random.default_rng(seed))


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(3, 9))
def test_what_follows_from_the_trials_solves_a_door_by_the_third(seed, rooms):
    turns = demonstrated(drawn(seed, rooms=rooms))
    world = drawn(seed, rooms=rooms)
    assert len(turns) <= 2
    assert [world.step(said) for _, said in turns][-1].reward >= 1.0


def test_one_reflection_is_enough_unless_nobody_saw_key_and_door():
    num = [len(demonstrated(drawn(seed))) for seed in range(200)]
    assert 0.5 < np.mean(np.array(num) == 1) < 1.0


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.lists(WORDS, min_size=3, max_size=3))
def test_reflections_earn_what_the_next_trial_gains_and_add_up(seed, said):
    world, earned = drawn(seed, trials=4), []
    first = world._earned
    for words in said:
        turn = world.step(words)
        earned.append(turn.reward)
        # Of its own, not of its place: the very trial in a fresh world is worth the same.
        fresh = drawn(seed, trials=4)
        again = fresh.step(words)
        if words[:1] in ("l", "r") and words[1:2] in ("l", "r"):
            assert again.text == turn.text
        if turn.is_over:
            break
    assert sum(earned) == pytest.approx(world._earned - first)
    assert (earned[-1] >= 1.0) == ("o" in turn.text)
    assert turn.is_over == (earned[-1] >= 1.0 or len(earned) == 3)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_an_empty_reflection_changes_nothing(seed):
    world = drawn(seed)
    turn = world.step("")
    assert turn.text == world.prompt
    assert turn.reward == 0.0


def test_a_transcript_tells_what_was_seen_and_done():
    door = DoorWorld(rooms=4, start=1, key_at=2, door_at=0, horizon=12)
    world = RetryWorld(world=door, actor=walk, reflector=told_by)
    # b, right to c with the key, taken, right to a (the wall), where another step changes nothing.
    assert world.prompt == "b0rc0ktc1ra1ra1?"
    assert world.best_action()[1] == "l"
    turn = world.step("rl")
    assert turn.text == "b0rc0ktc1lb1la1doa1d?"
    assert turn.reward == pytest.approx(1.1)  # the wall had cost a tenth
    assert turn.is_over
    with pytest.raises(ConfigError, match="is over"):
        world.step("rl")


def test_worlds_are_worlds_and_their_copies_part():
    task = RetryDoor()
    assert isinstance(task, WorldTask)
    world = drawn(3)
    assert isinstance(world, TextWorld)
    other = copy.deepcopy(world)
    world.step("ll")
    assert len(other._transcripts) == 1
    assert world.difficulty == world.world.difficulty


def test_what_leaves_nothing_to_reflect_on_is_refused():
    door = DoorWorld(rooms=4, start=0, key_at=1, door_at=3, horizon=12)
    with pytest.raises(ConfigError, match="first trial succeeded"):
        RetryWorld(world=door, actor=walk, reflector=told_by)
    turned = replace_door(door)
    with pytest.raises(ConfigError, match="trials=1"):
        RetryWorld(world=turned, actor=walk, reflector=told_by, trials=1)
    for wrong in ({"rooms": 2}, {"colours": 1}, {"trials": 1}):
        with pytest.raises(ConfigError, match="expected three rooms"):
            RetryDoor(**wrong)


def replace_door(door):
    return replace(door, start=3)


def test_an_actor_that_always_finds_its_way_is_told(monkeypatch):
    from penchant.simulation.tasks import retry

    monkeypatch.setattr(retry, "walk", lambda reflections, read, done: None)
    # Nobody walks: every first trial fails, and a world is found at once.
    assert drawn(0).prompt.endswith("?")
    monkeypatch.setattr(retry.DoorWorld, "drawn", classmethod(
        lambda cls, generator, **_: DoorWorld(rooms=4, start=0, key_at=1, door_at=3)))  # fmt: skip
    monkeypatch.setattr(retry, "walk", walk)
    with pytest.raises(DataError, match="the first trial succeeded"):
        drawn(0)


def test_colours_beyond_the_letters_are_refused():
    for task in (RetryDoor, OpenDoor):
        assert task(colours=26).colours == 26
        with pytest.raises(ConfigError, match="colours=27"):
            task(colours=27)
