"""Rollouts of several turns: whose tokens are whose, what was earned when, and where it ends."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from penchant.errors import DataError
from penchant.lm.sample import SampleConfig
from penchant.policies.language.episodes import play
from penchant.policies.language.gathering import explore
from penchant.policies.language.layout import read_drawn
from penchant.simulation.tasks.door import OpenDoor
from penchant.simulation.tasks.find import FindByLooking
from penchant.simulation.tasks.talk import FindWish
from penchant.simulation.tasks.task import Turn, WorldTask, demonstrated

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.policies.language.teaching import lessons_of  # noqa: E402

TASKS = [OpenDoor(horizon=5), FindByLooking(), FindWish()]


@dataclass
class Echo:
    """Answers with the number of the turn; over after three, or where told to go on."""

    most: int = 3
    prompt: str = "go"
    heard: list = field(default_factory=list)
    difficulty = 1

    def step(self, action):
        self.heard.append(action)
        turn = len(self.heard)
        return Turn(text=f"<{turn}>", reward=0.5 * turn, is_over=turn >= self.most)

    def best_action(self):
        return "x"


def played(worlds, seed=0, most=4, window=48):
    from dataclasses import replace

    model = tiny()
    network = replace(model.network, config=replace(model.network.config, window=window))
    model = type(model)(network=network, parameters=model.parameters, tokenizer=model.tokenizer)
    return model, play(
        model, worlds, np.arange(len(worlds)), SampleConfig(most_tokens=most),
        torch.Generator().manual_seed(seed),
    )  # fmt: skip


def test_the_policy_wrote_its_turns_and_the_world_the_rest():
    worlds = [Echo(), Echo(most=1)]
    model, found = played(worlds)
    rollouts = found.rollouts
    np.testing.assert_allclose(found.turn_reward, [[0.5, 1.0, 1.5], [0.5, 0.0, 0.0]])
    assert found.is_solved.tolist() == [True, False]
    assert found.observed == (("go", "<1>", "<2>"), ("go", "", ""))
    assert rollouts.has_ended.all()
    for row, world in enumerate(worlds):
        ids = rollouts.tokens.ids[row, 1:].tolist()
        for turn, action in enumerate(world.heard):
            mine = [i for i, t in zip(ids, rollouts.turn_of[row]) if t == turn]
            assert model.tokenizer.decode(mine) == action
        theirs = [i for i, d in zip(ids, rollouts.is_drawn[row]) if not d]
        said = model.tokenizer.decode(theirs)
        assert said == "go" + "".join(f"<{n}>" for n in range(1, len(world.heard)))


@pytest.mark.parametrize("layout", ["padded", "shared", "packed"])
def test_each_token_is_as_likely_as_the_model_says_of_it_there(layout):
    model, found = played([Echo(), Echo(most=2)])
    read = read_drawn(model, found.rollouts, layout=layout, has_entropy=True)
    np.testing.assert_allclose(
        read.placed(read.log_prob, found.rollouts), found.rollouts.log_prob, atol=1e-11
    )
    np.testing.assert_allclose(
        read.placed(read.entropy, found.rollouts), found.rollouts.entropy, atol=1e-11
    )


def test_a_row_ends_where_the_window_has_no_room_for_a_turn():
    _, found = played([Echo(most=50)], window=20)
    assert not found.rollouts.has_ended[0]
    assert int(found.rollouts.tokens.is_text.sum()) <= 20
    with pytest.raises(DataError, match="window"):
        played([Echo()], window=6)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_worlds_are_shown_to_their_end_and_copies_of_one_begin_alike(task):
    assert isinstance(task, WorldTask)
    rng = np.random.default_rng(3)
    for _ in range(20):
        world = task.draw_world(rng)
        turns = demonstrated(world)
        assert 1 <= world.difficulty <= 30
        assert turns[0][0] == world.prompt
    found = explore(tiny(), task, 3, 2, SampleConfig(most_tokens=3), rng,
                    torch.Generator().manual_seed(0))  # fmt: skip
    prompts = [problem.prompt for problem in found.problems]
    assert prompts[::2] == prompts[1::2]
    np.testing.assert_allclose(found.grades.reward, found.turn_reward.sum(axis=1))
    lessons = lessons_of(task, 4, rng, tiny().tokenizer)
    assert all(row[place - 1] != 2 for row, place in zip(lessons.rows, lessons.from_place))


def test_what_is_shown_of_a_door_and_of_a_wish_succeeds():
    for task in (OpenDoor(horizon=40), FindByLooking(), FindWish()):
        for seed in range(10):
            world = task.draw_world(np.random.default_rng(seed))
            last, is_over = 0.0, False
            while not is_over:
                turn = world.step(world.best_action())
                last, is_over = turn.reward, turn.is_over
            assert last == 1.0
