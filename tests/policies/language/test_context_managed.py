"""Games whose context makes room for notes: rows, credit and what is trained."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.policies.language.credit import advantage
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.context_managed import ContextManaged
from penchant.policies.language.methods.group_relative import GroupRelative, grpo
from penchant.policies.language.methods.method import PolicyMethod, Seen
from penchant.simulation.tasks.task import Turn

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.lm.sample import SampleConfig  # noqa: E402
from penchant.policies.language.gathering import Gatherer  # noqa: E402
from penchant.policies.language.managed_episodes import ContextConfig, play_managed  # noqa: E402
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig  # noqa: E402
from policies.language.test_gathered_methods import EvenBytes, ask, assert_same_run  # noqa: E402

SHORT = ContextConfig(cap=18, most_notes=2)
SMALL = TrainerConfig(prompts=2, group_size=3, most_tokens=4, learning_rate=0.01)


@dataclass(kw_only=True)
class Counting:
    """Says a letter for each of its turns; earns by the parity of what is said."""

    prompt: str = "q?"
    turns: int = 5
    difficulty: int = 1
    heard: list = field(default_factory=list)

    def best_action(self):
        return "b"

    def step(self, action):
        self.heard.append(action)
        earned = float(np.mean([ord(letter) % 2 == 0 for letter in action] or [0.0]))
        return Turn(text="seen", reward=earned, is_over=len(self.heard) >= self.turns)


@dataclass(frozen=True)
class CountingTask:
    turns: int = 5

    def draw_world(self, generator):
        return Counting(prompt=str(generator.choice(["q?", "r?"])), turns=self.turns)


def played(context=SHORT, turns=5, seed=0, num=4):
    worlds = [Counting(turns=turns) for _ in range(num)]
    found = play_managed(
        tiny(), worlds, np.zeros(num, dtype=int), SampleConfig(most_tokens=4), context,
        torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return worlds, found


def method(context=SHORT, **changed):
    return ContextManaged(context=context, **changed)


def seen_of(batch):
    return Seen(
        rollouts=batch.rollouts, problems=batch.problems, reward=batch.grades.reward,
        components=batch.grades.components, turn_reward=batch.turn_reward, told=batch.told,
    )  # fmt: skip


def managed_ask(**changed):
    return ask(CountingTask(), sampling=SampleConfig(most_tokens=4), **changed)


def test_a_row_begins_with_the_question_and_the_last_note_and_no_token_is_trained_twice():
    worlds, found = played(ContextConfig(cap=18, most_notes=9))
    tokenizer, rollouts = tiny().tokenizer, found.rollouts
    begun = [tokenizer.begin, *tokenizer.encode("q?")]
    assert np.bincount(found.game_of).min() > 1
    for game, world in enumerate(worlds):
        rows = np.flatnonzero(found.game_of == game)
        said = []
        for row, after in zip(rows, [*rows[1:], None]):
            ids = rollouts.tokens.ids[row].numpy()
            turns = [ids[1:][rollouts.turn_of[row] == t] for t in range(rollouts.turn_of.max() + 1)]
            turns = [turn for turn in turns if len(turn)]
            # What the world heard are the turns but the last, which is the note.
            said += turns if after is None else turns[:-1]
            if after is not None:
                note = [token for token in turns[-1] if token != tokenizer.end]
                start = rollouts.start[after]
                assert rollouts.tokens.ids[after, :start].tolist() == [*begun, *note]
                assert not rollouts.is_drawn[after, : start - 1].any()
                text = tokenizer.decode(ids[rollouts.tokens.is_text[row].numpy()].tolist())
                assert "note:" in text
        assert [tokenizer.decode(turn.tolist()) for turn in said] == world.heard
        assert not found.is_limited[game]
        assert found.reward[game] == pytest.approx(
            sum(np.mean([ord(c) % 2 == 0 for c in a] or [0.0]) for a in world.heard)
        )
    sizes = rollouts.tokens.is_text.sum(dim=1).numpy()
    assert sizes.max() <= 18 + len(tokenizer.encode("note:")) + 4
    assert rollouts.prompt_of[0] == 0
    later = np.flatnonzero(np.append(False, found.game_of[1:] == found.game_of[:-1]))
    assert len(set(rollouts.prompt_of[later])) == len(later)


def test_games_without_room_for_another_note_are_broken_off_and_take_no_part():
    _, found = played(ContextConfig(cap=18, most_notes=1), turns=9)
    assert found.is_limited.all()
    assert np.bincount(found.game_of).tolist() == [2] * 4
    narrow = method(ContextConfig(cap=18, most_notes=0))
    batch = narrow.gathered(managed_ask())
    assert batch.told["limited"].all()
    assert np.all(narrow.heard(seen_of(batch)).unit_of == -1)
    kept = replace(narrow, masks_limited=False).heard(seen_of(batch))
    assert np.all((kept.unit_of >= 0) == batch.rollouts.is_drawn)


def test_a_game_counts_once_however_many_rows_it_has():
    summed = method(ContextConfig(cap=18, most_notes=9))
    batch = summed.gathered(managed_ask(seed=3))
    game, seen = batch.told["game"], seen_of(batch)
    # Games of unlike numbers of rows: the first of each prompt is cut to its first row.
    kept = np.array([row for row in range(len(game)) if game[row] % 3 or row == 0
                     or game[row] != game[row - 1]])  # fmt: skip
    assert len(set(np.bincount(game[kept]))) > 1
    seen = replace(
        seen, rollouts=seen.rollouts.take(kept), reward=seen.reward[kept], components={},
        turn_reward=seen.turn_reward[kept],
        told={name: values[kept] for name, values in seen.told.items()},
    )  # fmt: skip
    heard = summed.heard(seen)
    first = np.unique(game[kept], return_index=True)[1]
    reward, group = seen.reward[first], seen.told["group"][first]
    num = len(first)
    wanted = advantage(
        reward, group, np.arange(num), np.ones(num, dtype=bool), leave_one_out=False, scale="group"
    ).advantage
    for row, place in enumerate(np.searchsorted(game[kept][first], game[kept])):
        mine = heard.advantage[row][seen.rollouts.is_drawn[row]]
        np.testing.assert_allclose(mine, wanted[place], atol=1e-12)
    assert np.abs(wanted).max() > 0.1


def test_a_budget_of_rows_gives_every_world_the_same():
    few = method(ContextConfig(cap=18, most_notes=9), rows_a_world=4)
    batch = few.gathered(managed_ask())
    whole = replace(few, rows_a_world=None).gathered(managed_ask())
    assert np.bincount(batch.group).tolist() == [4, 4, 4]
    assert set(batch.told["game"]) == set(range(9))
    assert batch.rollouts.lengths.sum() + batch.spent == whole.rollouts.lengths.sum()


def test_where_the_cap_is_never_reached_it_is_the_plain_method_on_whole_games():
    wide = method(ContextConfig(cap=39), base=GroupRelative())
    assert_same_run(wide, GroupRelative(), CountingTask(turns=2), SMALL, atol=1e-12)


def test_a_policy_may_note_when_it_will():
    # A random policy begins with any byte; that one which it says first is made the word.
    worlds, plain = played(ContextConfig(cap=39), turns=2)
    word = next(world.heard[0][:1] for world in worlds if world.heard[0][:1].isprintable()
                and world.heard[0])  # fmt: skip
    again, found = played(ContextConfig(cap=39, asked_by=None, taken_by=word), turns=2)
    rows, before = np.bincount(found.game_of), np.bincount(plain.game_of)
    assert before.max() == 1
    for number, world in enumerate(worlds):
        if world.heard[0].startswith(word):
            assert rows[number] > 1 or found.is_limited[number]
            assert again[number].heard[:1] != world.heard[:1]


def test_a_run_goes_on_and_a_report_counts_games():
    trained = method(ContextConfig(cap=18, most_notes=9))
    assert isinstance(trained, PolicyMethod)
    assert isinstance(trained, Gatherer)
    trainer = PolicyTrainer(tiny(), CountingTask(), trained, replace(SMALL, updates=2))
    batch = PolicyTrainer(tiny(), CountingTask(), trained, replace(SMALL, updates=2))._gathered()
    report = trainer.step()
    first = np.unique(batch.told["game"], return_index=True)[1]
    assert len(first) == 6
    assert len(batch.rollouts) > 6
    assert report.reward == pytest.approx(batch.grades.reward[first].mean())
    assert report.tokens == batch.rollouts.lengths.sum()
    # Games of a world all earned differently; later rows are no groups of their own.
    assert report.degenerate == 0.0
    assert np.isfinite(trainer.step().reward)
    # A row of each game, seldom its first: games are compared all the same.
    few = replace(trained, rows_a_world=3)
    batch = PolicyTrainer(tiny(), CountingTask(), few, SMALL)._gathered()
    assert max(np.bincount(batch.rollouts.prompt_of)) == 1
    assert PolicyTrainer(tiny(), CountingTask(), few, SMALL).step().degenerate == 0.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="window"):
        played(ContextConfig(cap=48))
    with pytest.raises(ConfigError, match="expected 7 or more"):
        played(ContextConfig(cap=6))
    with pytest.raises(ConfigError, match="every action"):
        ContextConfig(cap=20, taken_by="")
    with pytest.raises(ConfigError, match="a token or more"):
        ContextConfig(cap=0)
    with pytest.raises(ConfigError, match="single answers"):
        method().gathered(ask(EvenBytes()))
    with pytest.raises(ConfigError, match="rows_a_world"):
        method(rows_a_world=0)
    with pytest.raises(ConfigError, match="would not heed"):
        method(base=GroupRelative(anchor=Anchor(strength=0.1, place="reward")))
    assert method(base=grpo()).smallest_group == 2
