"""The trainer: its gradient, that division and interruption change nothing, and that it learns."""

import logging
import math
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from penchant.errors import BeliefError, ConfigError, DataError
from penchant.fitting.language_learner import LearnerConfig
from penchant.fitting.next_token import fit_next_token
from penchant.fitting.sgd import TrainConfig
from penchant.lm.sample import SampleConfig
from penchant.policies.language.grading import correct, graded
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.group_relative import (
    GroupRelative,
    dr_grpo,
    grpo,
    rloo,
)
from penchant.policies.language.objective import PolicyObjective, in_parts, token_log_probs
from penchant.policies.language.rollouts import demonstration_ids, draw_rollouts
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig
from penchant.simulation.tasks.task import Problem

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch

SMALL = TrainerConfig(prompts=3, group_size=4, most_tokens=5, learning_rate=0.01)
# For runs of several processes: an odd number of rows to an update.
SHARED = replace(SMALL, prompts=3, group_size=3, updates=3)
CLIMBS = {
    "ours": GroupRelative(anchor=Anchor(strength=0.2, place="reward")),
    "grpo": grpo(Anchor(strength=0.2, place="loss")),
}
METHODS = [GroupRelative(), grpo(), rloo(5), dr_grpo(5)]


@dataclass(frozen=True)
class EvenBytes:
    """Answers of many even bytes are good: a random model's rewards differ."""

    def draw(self, num, generator):
        letters = generator.choice(list("abcdef"), num)
        return tuple(Problem(prompt=str(a) * 3, demonstration="b", difficulty=1) for a in letters)

    def grade(self, problem, response):
        even = [ord(letter) % 2 == 0 for letter in response]
        return {"correct": float(np.mean(even)) if even else 0.0}


def drawn(seed=0, prompts=("ab", "c")):
    generator = torch.Generator().manual_seed(seed)
    return draw_rollouts(tiny(), prompts, 3, SampleConfig(most_tokens=6), generator)


def after(steps, trainer):
    reports = [trainer.step() for _ in range(steps)]
    return {name: value.numpy() for name, value in trainer.model.parameters.items()}, reports


def assert_same(one, other, **how):
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, err_msg=name, **how)


def test_what_was_drawn_is_what_the_model_says_of_it():
    rollouts = drawn()
    assert len(rollouts) == 6
    assert rollouts.prompt_of.tolist() == [0, 0, 0, 1, 1, 1]
    said = in_parts(tiny(), rollouts, 1.0, at_once=4)
    there = rollouts.is_drawn
    np.testing.assert_allclose(said[there].numpy(), rollouts.log_prob[there].numpy(), atol=1e-12)
    assert np.all(rollouts.log_prob.numpy()[~there] == 0.0)
    # The tokens after the prompt, up to the end token if there is one.
    for row in range(6):
        ids = rollouts.tokens.ids[row, 1:][there[row]].tolist()
        assert len(ids) == rollouts.lengths[row]
        assert rollouts.has_ended[row] == (ids[-1] == 2)
        assert (2 in ids[:-1]) is False


def test_some_rows_are_no_wider_than_they_need():
    rollouts = drawn(prompts=("a long prompt", "c"))
    part = rollouts.take(np.array([4, 3]))
    assert part.tokens.ids.shape[1] == int(part.tokens.is_text.sum(dim=1).max())
    assert part.responses == (rollouts.responses[4], rollouts.responses[3])
    whole = token_log_probs(tiny(), rollouts, 1.0)[[4, 3], : part.is_drawn.shape[1]]
    np.testing.assert_allclose(
        token_log_probs(tiny(), part, 1.0)[part.is_drawn].numpy(),
        whole[part.is_drawn].numpy(),
        atol=1e-12,
    )


@pytest.mark.parametrize("method", METHODS, ids=["ours", "grpo", "rloo", "dr_grpo"])
def test_the_first_updates_gradient_is_the_score_functions(method):
    model, rollouts = tiny(), drawn()
    reward = np.array([1.0, 0.0, 0.5, 0.0, 0.0, 1.0])
    credit = method.credit(reward, rollouts.prompt_of, np.ones(6, dtype=bool)).advantage
    unit_of = np.where(rollouts.is_drawn, np.arange(6)[:, None], -1)
    scale = method.token_scale(unit_of, rollouts.prompt_of)
    leaves = {name: v.clone().requires_grad_() for name, v in model.parameters.items()}
    objective = PolicyObjective(
        model=model, rollouts=rollouts, unit_of=unit_of, scale=scale,
        advantage=to_tokens(credit, unit_of), surrogate=method.surrogate,
    )  # fmt: skip
    found = torch.autograd.grad(objective.log_prob(leaves, np.arange(6)), list(leaves.values()))
    states = model.network.read(leaves, rollouts.tokens).states
    logp = model.network.logits(leaves, states).log_softmax(-1)[:, :-1]
    mine = logp.gather(-1, rollouts.tokens.ids[:, 1:, None])[..., 0]
    wanted = torch.autograd.grad(
        (mine * torch.tensor(scale * credit[:, None])).sum(), list(leaves.values())
    )
    assert any(value.abs().max() > 1e-6 for value in wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-12)


@pytest.mark.parametrize("updates", [1, 3])
def test_micro_batches_change_nothing(updates):
    config = replace(SMALL, updates=updates)
    whole, _ = after(2, PolicyTrainer(tiny(), EvenBytes(), GroupRelative(), config))
    small = replace(config, learner=LearnerConfig(at_once=1))
    parts, _ = after(2, PolicyTrainer(tiny(), EvenBytes(), GroupRelative(), small))
    assert_same(whole, parts, atol=1e-10)


@pytest.mark.parametrize(
    "method", [GroupRelative(anchor=Anchor(strength=0.1, place="reward")), rloo(5)]
)
def test_a_resumed_run_is_the_unbroken_one(method, tmp_path):
    def trainer():
        return PolicyTrainer(tiny(), EvenBytes(), method, replace(SMALL, updates=2))

    unbroken, reports = after(4, trainer())
    first = trainer()
    assert first.restore(tmp_path) is False
    after(2, first)
    first.save(tmp_path)
    second = trainer()
    assert second.restore(tmp_path) is True
    resumed, last = after(2, second)
    assert_same(unbroken, resumed, rtol=0, atol=0)
    for one, other in zip(last, reports[2:], strict=True):
        np.testing.assert_equal(one, other)


def test_a_damaged_state_and_one_of_another_run_are_refused(tmp_path):
    trainer = PolicyTrainer(tiny(), EvenBytes(), GroupRelative(), SMALL)
    trainer.save(tmp_path)
    other = PolicyTrainer(tiny(), EvenBytes(), grpo(), SMALL)
    with pytest.raises(ConfigError, match="another folder"):
        other.restore(tmp_path)
    file = tmp_path / "trainer.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(BeliefError, match="cannot be read"):
        trainer.restore(tmp_path)


def test_nothing_is_learnt_where_all_rewards_are_alike():
    trainer = PolicyTrainer(tiny(), EvenBytes(), grpo(), SMALL, reward=lambda grades: 0.3)
    learnt, (report,) = after(1, trainer)
    assert report.degenerate == 1.0
    assert_same({n: v.numpy() for n, v in tiny().parameters.items()}, learnt, atol=1e-15)


def test_a_grader_that_fails_leaves_its_rollouts_out_and_never_says_nought(caplog):
    def grade(problem, response):
        if sum(map(ord, response)) % 2:
            raise RuntimeError("no idea")
        return {"correct": 0.5 + 0.1 * len(response), "style": None, "bad": math.inf}

    question = Problem(prompt="?", demonstration="a", difficulty=1)
    with caplog.at_level(logging.WARNING):
        found = graded(grade, correct, [question] * 3, ["bb", "ab", ""])
    assert found.failed == 1
    np.testing.assert_allclose(found.reward, [0.7, np.nan, 0.5])
    assert set(found.components) == {"correct"}
    assert "no idea" in caplog.text
    trainer = PolicyTrainer(tiny(), EvenBytes(), GroupRelative(), SMALL, grade=grade)
    report = trainer.step()
    assert 0 < report.failed < 12
    assert report.reward >= 0.5
    hopeless = PolicyTrainer(
        tiny(), EvenBytes(), GroupRelative(), SMALL, reward=lambda grades: grades["absent"]
    )
    assert math.isnan(hopeless.step().reward)


def test_rollouts_without_a_reward_count_for_nothing():
    method, group = GroupRelative(), np.array([0, 0, 0, 1, 1])
    reward = np.array([1.0, 0.0, np.nan, 2.0, np.nan])
    credit = method.credit(reward, group, np.isfinite(reward))
    np.testing.assert_allclose(credit.advantage, [1.0, -1.0, 0.0, 2.0, 0.0])
    assert credit.is_valid.tolist() == [True, True, False, False, False]


def test_it_learns_what_is_rewarded_and_an_anchor_holds_it_back():
    # A model that says one of four letters; the reward is for "a".
    model = tiny(dtype=torch.float32)
    rows, places = zip(
        *(demonstration_ids(model.tokenizer, "?", letter) for letter in "abcd" * 4), strict=True
    )
    model, _ = fit_next_token(
        model, rows, TrainConfig(batch_size=16, max_epochs=40, learning_rate=0.01, patience=None),
        from_place=np.array(places),
    )  # fmt: skip

    @dataclass(frozen=True)
    class SayA:
        def draw(self, num, generator):
            return (Problem(prompt="?", demonstration="a", difficulty=1),) * num

        def grade(self, problem, response):
            return {"correct": float(response == "a")}

    config = TrainerConfig(prompts=2, group_size=16, most_tokens=3, learning_rate=0.01)

    def last(method):
        trainer = PolicyTrainer(model, SayA(), method, config)
        first, *_, end = (trainer.step() for _ in range(25))
        assert first.reward < 0.6
        assert end.tokens > first.tokens
        return end

    assert last(GroupRelative()).reward > 0.9
    held = last(GroupRelative(anchor=Anchor(strength=5.0, place="reward")))
    assert held.reward < 0.7
    assert abs(held.divergence) < 0.5


def test_prompts_without_room_and_cut_distributions_are_refused():
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(DataError, match="window"):
        draw_rollouts(tiny(), ["a" * 60], 2, SampleConfig(most_tokens=5), generator)
    with pytest.raises(ConfigError, match="cut off"):
        draw_rollouts(tiny(), ["a"], 2, SampleConfig(top_p=0.9), generator)
    with pytest.raises(ConfigError, match="most tokens"):
        GroupRelative(mean="constant")
    with pytest.raises(ConfigError, match="for each"):
        TrainerConfig(prompts=1, group_size=2, updates=3)


def test_ratios_are_stopped_after_many_updates_on_one_batch():
    config = replace(SMALL, updates=4, learning_rate=0.05)
    tight = GroupRelative(surrogate=Surrogate(low=0.01, high=0.01))
    report = PolicyTrainer(tiny(), EvenBytes(), tight, config).step()
    assert report.clipped > 0.1
    assert report.effective == pytest.approx(1.0, abs=1e-6)


def test_a_graders_nonsense_is_counted_as_its_failure():
    question = Problem(prompt="?", demonstration="a", difficulty=1)
    said = iter([None, {"correct": "yes"}, {"correct": 1.0}])
    found = graded(lambda problem, response: next(said), correct, [question] * 3, ["a"] * 3)
    assert found.failed == 2
    np.testing.assert_array_equal(found.reward, [np.nan, np.nan, 1.0])


def spied(trainer):
    """The objective and the rows of every update from now on."""
    seen, step = [], trainer._learner.step

    def noting(rows, learning_rate):
        seen.append((trainer._learner.objective, rows))
        return step(rows, learning_rate)

    trainer._learner.step = noting
    return seen


def test_an_anchor_in_the_reward_costs_the_log_ratio_and_hides_no_degenerate_group():
    base, moved = tiny(), tiny()
    moved = moved.with_parameters({n: 1.2 * v for n, v in moved.parameters.items()})
    method = GroupRelative(anchor=Anchor(strength=0.5, place="reward"))
    trainer = PolicyTrainer(base, EvenBytes(), method, SMALL, reward=lambda grades: 0.3)
    trainer._learner.parameters = dict(moved.parameters)
    seen = spied(trainer)
    report = trainer.step()
    ((objective, _),) = seen
    rollouts = objective.rollouts
    logs = [
        (token_log_probs(model, rollouts, 1.0).detach().numpy() * rollouts.is_drawn).sum(axis=1)
        for model in (moved, base)
    ]
    cost = 0.5 * (logs[0] - logs[1]).reshape(3, 4)
    others = (cost.sum(axis=1, keepdims=True) - cost) / 3
    found = [values[unit >= 0][0] for values, unit in zip(objective.advantage, objective.unit_of)]
    np.testing.assert_allclose(found, (others - cost).ravel(), atol=1e-10)
    assert report.degenerate == 1.0
    assert report.divergence == pytest.approx((logs[0] - logs[1]).mean())


@pytest.mark.parametrize("estimator", [None, "k2", "k3"])
def test_an_anchor_in_the_loss_is_averaged_as_the_gain_is(estimator):
    base, rollouts = tiny(), drawn()
    method = grpo(Anchor(strength=0.3, place="loss", estimator=estimator))
    credit = method.credit(
        np.array([1.0, 0.0, 0.5, 0.0, 0.0, 1.0]), rollouts.prompt_of, np.ones(6, dtype=bool)
    ).advantage
    unit_of = np.where(rollouts.is_drawn, np.arange(6)[:, None], -1)
    moved = base.with_parameters({n: 1.1 * v for n, v in base.parameters.items()})
    reference = in_parts(base, rollouts, 1.0, 6)
    found = PolicyObjective(
        model=base, rollouts=rollouts, unit_of=unit_of, advantage=to_tokens(credit, unit_of),
        scale=method.token_scale(unit_of, rollouts.prompt_of), surrogate=method.surrogate,
        reference=reference, anchor=method.anchor,
    ).log_prob(moved.parameters, np.arange(6)).item()  # fmt: skip
    apart = (in_parts(moved, rollouts, 1.0, 6) - reference).numpy()
    cost = 0.5 * apart**2 if estimator == "k2" else np.exp(-apart) - 1.0 + apart
    rows = [credit[b] - 0.3 * cost[b][there].mean() for b, there in enumerate(rollouts.is_drawn)]
    assert found == pytest.approx(np.mean(rows), rel=1e-10)


@pytest.mark.parametrize(
    ("place", "estimator"), [("reward", "k3"), ("reward", "k2"), ("loss", "k1")]
)
def test_an_estimator_that_would_not_be_heard_is_refused(place, estimator):
    with pytest.raises(ConfigError, match="expected k1 in a reward"):
        Anchor(strength=0.1, place=place, estimator=estimator)
    with pytest.raises(ConfigError, match="away"):
        Anchor(strength=-0.1, place=place)


def test_groups_stay_together_in_an_update_where_shares_are_even():
    config = replace(SMALL, prompts=4, updates=2)
    method = grpo(Anchor(strength=0.1, place="loss"))  # which holds every row
    trainer = PolicyTrainer(tiny(), EvenBytes(), method, config)
    seen = spied(trainer)
    trainer.step()
    groups = [seen[0][0].rollouts.prompt_of[rows] for _, rows in seen]
    for part in groups:
        assert sorted(np.bincount(part, minlength=4)) == [0, 0, 4, 4]
    assert sorted(np.concatenate(groups)) == sorted([0, 1, 2, 3] * 4)


def test_rows_without_credit_are_not_read_and_change_nothing(monkeypatch):
    def reward(grades):  # a group in which all fail, most often
        return float(grades["correct"] > 0.55)

    def run():
        trainer = PolicyTrainer(tiny(), EvenBytes(), GroupRelative(), SMALL, reward=reward)
        seen = spied(trainer)
        learnt, reports = after(3, trainer)
        assert any(0.0 < report.degenerate < 1.0 for report in reports)
        return learnt, sum(len(rows) for _, rows in seen)

    few, num_few = run()
    monkeypatch.setattr(PolicyTrainer, "_heard", lambda trainer, part, credit: part)
    all_rows, num_all = run()
    assert num_few < num_all == 36
    assert_same(all_rows, few, atol=1e-10)


def test_the_share_that_is_stopped_is_of_the_ratios_that_the_method_takes():
    # Of whole responses, whose mean log-ratio moves less than their tokens' own.
    config = replace(SMALL, updates=4, learning_rate=0.05)

    def stopped(level):
        tight = GroupRelative(surrogate=Surrogate(level=level, low=0.1, high=0.1))
        return PolicyTrainer(tiny(), EvenBytes(), tight, config).step().clipped

    trainer = PolicyTrainer(
        tiny(), EvenBytes(), GroupRelative(surrogate=Surrogate(level="unit", low=0.1, high=0.1)),
        config,
    )  # fmt: skip
    shares, seen = [], spied(trainer)
    step = trainer._learner.step

    def noting(rows, learning_rate):
        objective = trainer._learner.objective
        if objective.old is not None:
            logp = in_parts(trainer.model, objective.rollouts, 1.0, 12).numpy()
            part = [r for r in range(12) if objective.scale[r].any()]
            count = total = 0
            for r in part:
                there = objective.unit_of[r] >= 0
                ratio = np.exp((logp[r] - objective.old[r].numpy())[there].mean())
                credit = objective.advantage[r][there][0]
                is_stopped = ratio > 1.1 if credit > 0 else ratio < 0.9 and credit < 0
                count, total = count + is_stopped * there.sum(), total + there.sum()
            shares.append(count / total)
        return step(rows, learning_rate)

    trainer._learner.step = noting
    report = trainer.step()
    assert len(seen) == 4
    assert report.clipped == pytest.approx(np.mean(shares))
    assert stopped("token") != stopped("unit")


def test_what_was_drawn_at_a_temperature_is_weighed_as_it_was_drawn():
    config = replace(SMALL, temperature=0.6, updates=2)
    trainer = PolicyTrainer(tiny(), EvenBytes(), GroupRelative(), config)
    seen = spied(trainer)
    report = trainer.step()
    assert report.effective == pytest.approx(1.0, abs=1e-9)
    for objective, _ in seen:
        drawn_here = objective.rollouts.is_drawn
        np.testing.assert_allclose(objective.correction[drawn_here].numpy(), 1.0, atol=1e-9)


def test_a_run_from_another_start_is_another_run(tmp_path):
    PolicyTrainer(tiny(0), EvenBytes(), GroupRelative(), SMALL).save(tmp_path)
    other = PolicyTrainer(tiny(1), EvenBytes(), GroupRelative(), SMALL)
    with pytest.raises(ConfigError, match="another folder"):
        other.restore(tmp_path)


def test_a_group_of_one_has_no_mean_of_others_to_take_off():
    alone = replace(SMALL, group_size=1)
    with pytest.raises(ConfigError, match="2 or more"):
        PolicyTrainer(tiny(), EvenBytes(), grpo(), alone)
    report = PolicyTrainer(tiny(), EvenBytes(), GroupRelative(), alone).step()
    # Nothing to compare is not the same as all alike.
    assert np.isnan(report.degenerate)
    assert report.reward > 0.0


@pytest.mark.slow
def test_two_processes_of_torchrun_climb_as_one(tmp_path):
    folder = Path(__file__).parent
    run = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone",
        str(folder / "two_climbers.py"), str(tmp_path),
    ]  # fmt: skip
    paths = os.pathsep.join([str(folder.parent.parent), *filter(None, sys.path)])
    done = subprocess.run(
        run, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    for name, method in CLIMBS.items():
        whole, _ = after(3, PolicyTrainer(tiny(), EvenBytes(), method, SHARED))
        first, second = (dict(np.load(tmp_path / f"{name}.{rank}.npz")) for rank in (0, 1))
        assert_same(first, second, rtol=0, atol=0)
        assert_same(whole, first, atol=1e-9)


def test_a_reward_that_raises_is_counted_and_ends_no_run():
    question = Problem(prompt="?", demonstration="a", difficulty=1)
    found = graded(
        lambda problem, response: {"correct": float(response)}, lambda said: 1 / said["correct"],
        [question] * 2, ["0", "2"],
    )  # fmt: skip
    assert found.failed == 1
    np.testing.assert_array_equal(found.reward, [np.nan, 0.5])
