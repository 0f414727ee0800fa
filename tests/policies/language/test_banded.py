"""Entropy that is sought, and held near what it was at the same turn: by hand and in training."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.fitting.language_learner import LearnerConfig
from penchant.policies.language.methods.banded import Banded, TurnHistory
from penchant.policies.language.methods.group_relative import grpo
from penchant.policies.language.methods.method import PolicyMethod
from penchant.policies.language.methods.proximal import Proximal
from penchant.policies.language.methods.single_stream import SingleStream
from penchant.policies.language.methods.turnwise import TurnWise
from penchant.simulation.tasks.door import OpenDoor

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.policies.language.loss import Steer, entropy_loss  # noqa: E402
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig  # noqa: E402
from policies.language.test_compositions import seen_games  # noqa: E402
from policies.language.test_gathered_methods import assert_same_run  # noqa: E402
from policies.language.test_trainer import EvenBytes  # noqa: E402

DOOR = OpenDoor(rooms=2, colours=2, horizon=4)
SMALL = TrainerConfig(prompts=2, group_size=3, most_tokens=2, learning_rate=0.01)


@pytest.mark.parametrize(("hold", "above"), [(0.0, -0.1), (0.05, -0.05), (0.1, 0.0), (0.4, 0.3)])
def test_entropy_is_sought_inside_its_band_and_brought_back_only_by_a_hold_above_the_bonus(
    hold, above
):
    entropy = torch.tensor([[0.2, 1.0, 3.0, 9.0]], dtype=torch.float64, requires_grad=True)
    steer = Steer(bonus=0.1, hold=np.full((1, 4), hold), usual=np.ones((1, 4)), low=0.5, high=2.0)
    loss = entropy_loss(entropy, np.array([[1.0, 1.0, 1.0, 0.0]]), steer)
    (slope,) = torch.autograd.grad(loss, entropy)
    np.testing.assert_allclose(slope.numpy(), [[-0.1 - hold, -0.1, above, 0.0]], atol=1e-15)
    assert loss.item() == pytest.approx(-0.1 * 4.2 + hold * (0.3 + 1.0))


def test_a_constant_penalty_outside_the_band_would_have_no_gradient_and_a_low_end_of_nought_none():
    entropy = torch.tensor([[1e-9, 0.5]], dtype=torch.float64, requires_grad=True)
    steer = Steer(bonus=0.0, hold=np.ones((1, 2)), usual=np.ones((1, 2)), low=0.0, high=2.0)
    loss = entropy_loss(entropy, np.ones((1, 2)), steer)
    assert not torch.autograd.grad(loss, entropy)[0].any()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_what_is_usual_at_a_turn_is_the_mean_over_batches_that_came_to_it(seed, num_batches):
    rng, history = np.random.default_rng(seed), TurnHistory.recalled({})
    means = [[] for _ in range(6)]
    for _ in range(num_batches):
        turn_of = rng.integers(-1, rng.integers(1, 6), (3, 4))
        entropy = rng.random((3, 4))
        for turn in range(6):
            if (turn_of == turn).any():
                means[turn].append(entropy[turn_of == turn].mean())
        history = TurnHistory.recalled(history.updated(entropy, turn_of).kept())
    asked = np.arange(-1, 6)[None, :]
    usual, is_known = history.at(asked)
    assert is_known[0].tolist() == [False, *(bool(told) for told in means)]
    for turn, told in enumerate(means):
        assert usual[0, turn + 1] == pytest.approx(np.mean(told) if told else 0.0)


def test_nothing_is_held_at_first_and_then_late_turns_alone():
    method, seen = Banded(bonus=0.1, hold=3.0, base=TurnWise()), seen_games()
    first = method.heard(seen)
    assert not first.steer.hold.any()
    assert first.steer.bonus == 0.1
    second = method.heard(replace(seen, memory=first.memory))
    turn_of = seen.rollouts.turn_of
    np.testing.assert_allclose(second.steer.hold, np.where(turn_of >= 2, 0.1 * 3.0, 0.0))
    entropy = seen.rollouts.entropy.double().numpy()
    for turn in range(4):
        mine = turn_of == turn
        np.testing.assert_allclose(second.steer.usual[mine], entropy[mine].mean())
    np.testing.assert_array_equal(first.advantage, TurnWise().heard(seen).advantage)


@pytest.mark.parametrize("base", [grpo(), TurnWise(), Proximal()])
def test_without_a_bonus_it_is_its_base_and_without_a_hold_no_band_matters(base):
    assert isinstance(Banded(base=base), PolicyMethod)
    config = replace(SMALL, updates=2)
    assert_same_run(Banded(bonus=0.0, base=base), base, DOOR, config)
    narrow, wide = (
        Banded(bonus=0.1, hold=0.0, low=low, high=high, late=0.0, base=base)
        for low, high in ((1.0, 1.0), (0.0, 9.0))
    )
    assert_same_run(narrow, wide, DOOR, config)


def trained(method, config=SMALL, steps=4, reward=None):
    how = {"reward": reward} if reward else {}
    trainer = PolicyTrainer(tiny(), EvenBytes(), method, config, **how)
    return [trainer.step() for _ in range(steps)], trainer.model.parameters


def test_where_all_rewards_are_alike_entropy_is_bent_all_the_same():
    config = replace(SMALL, prompts=6, group_size=8, most_tokens=5, learning_rate=0.02)
    alike = lambda grades: 0.3  # noqa: E731
    entropy = {}
    for bonus in (0.0, 1.0):
        method = Banded(bonus=bonus, hold=0.0, base=grpo())
        reports, _ = trained(method, config, 6, alike)
        entropy[bonus] = reports[-1].entropy - reports[0].entropy
    # The tiny model begins near the largest entropy there is: what is gained is little.
    assert entropy[1.0] > 0.0
    down = Banded(bonus=1.0, hold=30.0, low=0.0, high=0.5, late=0.0, base=grpo())
    reports, _ = trained(down, config, 6, alike)
    assert reports[-1].entropy < reports[0].entropy - 0.05


def test_micro_batches_and_layouts_bend_alike():
    method = Banded(bonus=0.5, hold=4.0, low=0.9, high=1.0, late=0.0, base=grpo())
    config = replace(SMALL, group_size=4, most_tokens=5, updates=2)
    _, whole = trained(method, config, 2)
    for other in (
        replace(config, learner=LearnerConfig(at_once=1)), replace(config, layout="padded"),
        replace(config, layout="packed", tokens_at_once=12),
    ):  # fmt: skip
        _, parts = trained(method, other, 2)
        for name, value in whole.items():
            np.testing.assert_allclose(parts[name].numpy(), value.numpy(), atol=1e-9, err_msg=name)


def test_a_run_goes_on_where_it_stood_with_what_was_usual(tmp_path):
    method = Banded(bonus=0.3, hold=5.0, low=0.99, high=1.0, late=0.0)

    def trainer():
        return PolicyTrainer(tiny(), DOOR, method, SMALL)

    unbroken, first, second = trainer(), trainer(), trainer()
    wanted = [unbroken.step() for _ in range(4)][2:]
    first.step()
    first.step()
    first.save(tmp_path)
    second.restore(tmp_path)
    for report in wanted:
        np.testing.assert_equal(second.step(), report)
    for name, value in unbroken.model.parameters.items():
        assert torch.equal(second.model.parameters[name], value)


@pytest.mark.parametrize(
    "bad",
    [{"bonus": -0.1}, {"hold": -1.0}, {"late": 1.5}, {"low": 2.0, "high": 1.0}, {"low": -1.0},
     {"bonus": math.nan}, {"base": SingleStream()}],
)  # fmt: skip
def test_settings_that_mean_nothing_and_bases_that_gather_are_refused(bad):
    with pytest.raises(ConfigError, match="expected"):
        Banded(**bad)
