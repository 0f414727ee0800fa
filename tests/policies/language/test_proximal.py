"""PPO: advantages by a plain loop, what the value learns, and that it learns what is rewarded."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.fitting.language_learner import LearnerConfig
from penchant.lm.low_rank import LowRankConfig
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.method import Seen
from penchant.policies.language.methods.proximal import Proximal, retroformer
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig
from penchant.simulation.tasks.chain import Chain
from penchant.simulation.tasks.door import OpenDoor
from penchant.simulation.tasks.task import Problem

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.lm.tokens import Tokens  # noqa: E402
from penchant.policies.language.rollouts import Rollouts  # noqa: E402

SMALL = TrainerConfig(prompts=3, group_size=2, most_tokens=4, learning_rate=0.01)


def seen_of(turns, rewards, value, log_ratio=None):
    """Rows of tokens that belong to turns (-1: not the policy's)."""
    turn_of = np.array(turns)
    shape = (len(turns), turn_of.shape[1] + 1)
    blank = torch.zeros(turn_of.shape, dtype=torch.float64)
    rollouts = Rollouts(
        tokens=Tokens(ids=torch.zeros(shape, dtype=torch.long),
                      is_text=torch.ones(shape, dtype=torch.bool)),
        is_drawn=turn_of >= 0, log_prob=blank, entropy=blank, start=np.ones(len(turns), dtype=int),
        turn_of=turn_of, prompt_of=np.arange(len(turns)), responses=("",) * len(turns),
        has_ended=np.ones(len(turns), dtype=bool),
    )  # fmt: skip
    problem = Problem(prompt="", demonstration="", difficulty=1)
    return Seen(
        rollouts=rollouts, problems=(problem,) * len(turns), components={},
        reward=np.array(rewards).sum(axis=1), turn_reward=np.array(rewards), value=np.array(value),
        log_ratio=log_ratio,
    )  # fmt: skip


def by_hand(turns, rewards, value, discount, trace, cost=None):
    """One row, from the end."""
    places = [t for t, turn in enumerate(turns) if turn >= 0]
    found, after, beyond = np.zeros(len(turns)), 0.0, 0.0
    for k in reversed(range(len(places))):
        t = places[k]
        is_last = k == len(places) - 1 or turns[places[k + 1]] != turns[t]
        reward = (rewards[turns[t]] if is_last else 0.0) - (0.0 if cost is None else cost[t])
        gamma = discount if is_last else 1.0
        after = reward + gamma * beyond - value[t] + gamma * trace * after
        beyond, found[t] = value[t], after
    return found


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_advantages_are_those_of_a_plain_loop(seed, discount, trace):
    rng = np.random.default_rng(seed)
    turns = [[0, 0, -1, 1, 1, -1, 2], [0, -1, 1, -1, -1, -1, -1], [-1, 0, 0, 0, -1, -1, -1]]
    rewards = rng.normal(size=(3, 3)) * np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0]])
    value, cost = rng.normal(size=(2, 3, 7))
    method = Proximal(
        discount=discount, trace=trace, is_whitened=False,
        anchor=Anchor(strength=0.5, place="reward"),
    )  # fmt: skip
    heard = method.heard(seen_of(turns, rewards, value, cost))
    wanted = np.array([
        by_hand(t, r, v, discount, trace, 0.5 * c)
        for t, r, v, c in zip(turns, rewards, value, cost)
    ])  # fmt: skip
    np.testing.assert_allclose(heard.advantage, wanted, atol=1e-12)
    there = heard.unit_of >= 0
    np.testing.assert_array_equal(there, np.array(turns) >= 0)
    np.testing.assert_allclose(heard.target[there], (wanted + value)[there], atol=1e-12)
    white = replace(method, is_whitened=True).heard(seen_of(turns, rewards, value, cost))
    assert white.advantage[there].mean() == pytest.approx(0.0, abs=1e-9)
    assert white.advantage[there].std() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(white.target, heard.target)


def test_rows_without_a_reward_teach_neither_policy_nor_value():
    seen = seen_of([[0, 0], [0, 0]], [[1.0], [1.0]], np.zeros((2, 2)))
    heard = Proximal().heard(replace(seen, reward=np.array([1.0, np.nan])))
    assert heard.unit_of[1].tolist() == [-1, -1]
    assert np.all(heard.advantage[1] == 0.0)


@pytest.mark.parametrize("task", [Chain(fewest=1, most=1), OpenDoor(horizon=3)])
@pytest.mark.parametrize("low_rank", [None, LowRankConfig(rank=2)])
def test_a_resumed_run_with_a_value_is_the_unbroken_one(task, low_rank, tmp_path):
    config = replace(SMALL, low_rank=low_rank, epochs=2, updates=2)

    def trainer():
        return PolicyTrainer(tiny(), task, Proximal(), config)

    unbroken = trainer()
    wanted = [unbroken.step() for _ in range(4)][2:]
    first = trainer()
    first.step()
    first.step()
    first.save(tmp_path)
    second = trainer()
    assert second.restore(tmp_path)
    assert second.steps == 2
    for report in wanted:
        np.testing.assert_equal(second.step(), report)
    for name, value in unbroken.model.parameters.items():
        assert torch.equal(second.model.parameters[name], value), name


def test_a_value_learns_what_is_to_be_expected_and_parts_change_nothing():
    reward = {"reward": lambda grades: 0.7}
    config = replace(SMALL, learning_rate=0.05)
    trainer = PolicyTrainer(tiny(), Chain(fewest=1, most=1), Proximal(), config, **reward)
    first, *_, last = (trainer.step() for _ in range(25))
    assert first.value_error == pytest.approx(0.49, rel=0.2)
    assert last.value_error < 0.05
    trainers = [
        PolicyTrainer(tiny(), Chain(), Proximal(), replace(SMALL, **other))
        for other in ({}, {"learner": LearnerConfig(at_once=1)}, {"tokens_at_once": 30},
                      {"layout": "padded"}, {"layout": "packed"},
                      {"layout": "packed", "tokens_at_once": 30})
    ]  # fmt: skip
    reports = [[each.step() for _ in range(2)][-1] for each in trainers]
    for trainer, report in zip(trainers, reports):
        assert report.reward == pytest.approx(reports[0].reward)
        for name, value in trainers[0].model.parameters.items():
            np.testing.assert_allclose(trainer.model.parameters[name], value, atol=1e-9)


def test_what_would_never_learn_is_refused():
    with pytest.raises(ConfigError, match="never learn"):
        Proximal(value_weight=0.0)
    with pytest.raises(ConfigError, match="0 to 1"):
        Proximal(trace=1.5)
    with pytest.raises(ConfigError, match="turns earn"):
        PolicyTrainer(tiny(), OpenDoor(), Proximal(), SMALL, reward=lambda grades: 1.0)


def test_a_reflection_earns_what_the_next_trial_gained_and_nothing_of_later_ones():
    turns, value = [[0, 0, -1, 1, 1]], np.array([[0.3, 0.2, 0.0, 0.5, 0.4]])
    found = [
        replace(retroformer(), is_whitened=False)
        .heard(seen_of(turns, [[0.7, later]], value))
        .advantage[0]
        for later in (0.0, 5.0)
    ]
    np.testing.assert_array_equal(found[0][:2], found[1][:2])
    # The last token of a turn is held to that turn's own gain, whatever is expected after it.
    assert found[0][1] == pytest.approx(0.7 - 0.2)
    assert found[1][4] == pytest.approx(5.0 - 0.4)
    assert replace(retroformer(), is_whitened=False, discount=1.0).heard(
        seen_of(turns, [[0.7, 5.0]], value)
    ).advantage[0][1] > found[1][1] + 1.0  # fmt: skip
