"""Rollouts of several turns: whose tokens are whose, what was earned when, and where it ends."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.lm.sample import SampleConfig
from penchant.policies.language.components import weighted
from penchant.policies.language.episodes import play
from penchant.policies.language.gathering import explore
from penchant.policies.language.grading import Episode, OfEpisodes, correct, graded_episodes
from penchant.policies.language.layout import read_drawn
from penchant.simulation.tasks.door import OpenDoor
from penchant.simulation.tasks.find import FindByLooking
from penchant.simulation.tasks.talk import FindWish
from penchant.simulation.tasks.task import Problem, Turn, WorldTask, demonstrated

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


@dataclass
class Echoes:
    """One world of one turn, one of three."""

    most: int = -1

    def draw_world(self, generator):
        self.most += 2
        return Echo(most=self.most)


def counted(task, grade, reward):
    return explore(tiny(), task, 2, 3, SampleConfig(most_tokens=3), np.random.default_rng(0),
                   torch.Generator().manual_seed(0), grade=grade, reward=reward)  # fmt: skip


def test_a_grader_of_whole_episodes_sees_all_that_was_read_said_and_earned():
    seen = []

    def grade(episode):
        seen.append(episode)
        return {"turns": float(len(episode.said)) if len(seen) != 2 else None}

    plain = counted(Echoes(), None, correct)
    found = counted(Echoes(), OfEpisodes(grade), weighted({"turns": 2.0, "earned": 1.0}))
    assert [len(episode.said) for episode in seen] == [1, 1, 1, 3, 3, 3]
    # The same games: a grader changes no draw.
    assert torch.equal(found.rollouts.tokens.ids, plain.rollouts.tokens.ids)
    tokenizer, rollouts = tiny().tokenizer, plain.rollouts
    for row, episode in enumerate(seen):
        num = len(episode.said)
        assert episode.problem == plain.problems[row]
        assert episode.observed == plain.observed[row][:num]
        assert episode.earned == tuple(plain.turn_reward[row, :num])
        assert episode.has_ended == plain.rollouts.has_ended[row]
        for turn, said in enumerate(episode.said):
            own = rollouts.tokens.ids[row, 1:][torch.from_numpy(rollouts.turn_of[row] == turn)]
            assert tokenizer.decode(own.tolist()) == said
    earned = plain.turn_reward.sum(axis=1)
    expected = np.array([2.0 * len(episode.said) for episode in seen]) + earned
    expected[1] = np.nan
    np.testing.assert_allclose(found.grades.reward, expected)
    np.testing.assert_allclose(found.grades.components["earned"], earned)
    # What an episode earns, its last turn earns; one without a reward earns nothing.
    last = np.zeros(found.turn_reward.shape)
    for row, episode in enumerate(seen):
        last[row, len(episode.said) - 1] = 0.0 if row == 1 else expected[row]
    np.testing.assert_allclose(found.turn_reward, last)


def test_one_response_is_an_episode_of_one_turn_and_a_broken_grader_is_counted():
    def grade(episode):
        (said,) = episode.said
        assert episode.observed == (episode.problem.prompt,)
        if said == "b":
            raise ValueError
        return {"open": float(episode.has_ended is None)}

    problem = Problem(prompt="q", demonstration="a", difficulty=1)
    whole = OfEpisodes(grade)
    assert whole(problem, "x") == {"open": 1.0}
    episodes = [Episode(problem=problem, observed=("q",), said=(said,), has_ended=said == "a")
                for said in ("a", "b")]  # fmt: skip
    found = graded_episodes(whole, weighted({"open": 1.0}), episodes)
    np.testing.assert_array_equal(found.reward, [0.0, np.nan])
    assert found.failed == 1


def test_a_trainer_climbs_what_whole_episodes_are_worth_and_refuses_other_graders_of_worlds():
    from penchant.policies.language.managed_episodes import ContextConfig
    from penchant.policies.language.methods.context_managed import ContextManaged
    from penchant.policies.language.methods.group_relative import GroupRelative
    from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig

    config = TrainerConfig(prompts=2, group_size=3, most_tokens=3, learning_rate=0.01)
    task, reward = OpenDoor(horizon=2), weighted({"letters": 1.0})
    whole = OfEpisodes(lambda episode: {"letters": float(sum(map(len, episode.said)))})
    trainer = PolicyTrainer(tiny(dtype=torch.float32), task, GroupRelative(), config, grade=whole,
                            reward=reward)  # fmt: skip
    report = trainer.step()
    assert report.reward == pytest.approx(report.components["letters"])
    assert report.degenerate < 1.0
    before = tiny(dtype=torch.float32).parameters
    assert any(not torch.equal(trainer.model.parameters[n], v) for n, v in before.items())
    with pytest.raises(ConfigError, match="whose turns earn their own"):
        PolicyTrainer(tiny(), task, GroupRelative(), config, grade=lambda problem, said: {})
    with pytest.raises(ConfigError, match="whose turns earn their own"):
        PolicyTrainer(tiny(), task, GroupRelative(), config, reward=reward)
    notes = ContextManaged(context=ContextConfig(cap=40))
    with pytest.raises(ConfigError, match="whole episodes with ContextManaged, which gathers"):
        PolicyTrainer(tiny(), task, notes, config, grade=whole, reward=reward)
    PolicyTrainer(tiny(), task, notes, config)
