"""Graders and credit as trainers call them: TRL's columns, verl's signatures, what is refused."""

import math
import sys
import types

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError, MissingExtraError
from penchant.policies.language.loss import Surrogate
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.group_relative import GroupRelative, dr_grpo, grpo, rloo
from penchant.serving.trainer_credit import (
    register_verl,
    trl_settings,
    verl_advantage,
    verl_settings,
)
from penchant.serving.trainer_grades import trl_grade, verl_grade
from penchant.simulation.tasks.chain import Chain
from penchant.simulation.tasks.find import Find

TASK = Find(hops=1, facts=2)


def test_trl_gets_what_the_task_grades_with_none_where_grading_failed():
    problems = TASK.draw(3, np.random.default_rng(0))
    said = [problems[0].demonstration, "#x", "no"]
    columns = {"answer": [p.demonstration for p in problems], "difficulty": [1, 1, 1],
               "completion_ids": [[1]] * 3, "trainer_state": None}  # fmt: skip
    prompts = [p.prompt for p in problems]
    reward = trl_grade(TASK.grade)
    assert reward(prompts=prompts, completions=said, **columns) == [1.0, 0.0, 0.0]
    chats = [[{"role": "assistant", "content": text}] for text in said]
    asked = [[{"role": "user", "content": prompt}] for prompt in prompts]
    assert reward(prompts=asked, completions=chats, **columns) == [1.0, 0.0, 0.0]

    def breaks(problem, response):
        if response == "no":
            raise ValueError("not a call")
        return {"correct": None if response == "#x" else 1.0}

    logged = {}
    columns["log_metric"] = lambda name, value: logged.update({name: value})
    found = trl_grade(breaks)(prompts=prompts, completions=said, **columns)
    assert found == [1.0, None, None]
    assert logged == {"penchant/correct": 1.0, "penchant/failed": 1.0}
    with pytest.raises(DataError, match="'answer' has 1 values for 3"):
        reward(prompts=prompts, completions=said, answer=["#1"])


def test_verl_gets_a_score_with_its_components():
    (problem,) = TASK.draw(1, np.random.default_rng(0))
    score = verl_grade(TASK.grade)
    known = {"prompt": problem.prompt, "index": 3}
    found = score("penchant/FIND", problem.demonstration, problem.demonstration, known)
    assert found == {"correct": 1.0, "evidence": 1.0, "score": 1.0, "failed": 0.0}
    bad = score(data_source="x", solution_str="#z", ground_truth="", extra_info=known)
    assert bad["score"] == 0.0

    def breaks(problem, response):
        raise ValueError

    said = verl_grade(breaks)("x", "y", "", known)
    assert math.isnan(said["score"])
    assert said["failed"] == 1.0
    assert verl_grade(breaks, missing=-1.0)("x", "y", "", known)["score"] == -1.0


def batch(reward, length=4):
    torch = pytest.importorskip("torch")
    mask = torch.ones(len(reward), length)
    mask[0, 3:] = 0
    told = torch.zeros(len(reward), length)
    told[:, 2] = torch.tensor(reward)
    return told, mask


@pytest.mark.parametrize("method", [GroupRelative(), grpo(), rloo(8), dr_grpo(8)])
def test_verl_gets_the_methods_own_credit_on_every_token(method):
    reward = [1.0, 0.0, 0.5, 0.0, 0.0, 1.0]
    told, mask = batch(reward)
    index = np.array(["b", "b", "b", "a", "a", "a"], dtype=object)
    advantage, total = verl_advantage(method)(
        token_level_rewards=told, response_mask=mask, index=index, config=None
    )
    wanted = method.credit(np.array(reward), np.repeat([1, 0], 3), np.ones(6, bool)).advantage
    np.testing.assert_allclose(advantage, wanted[:, None] * mask.numpy(), rtol=1e-6)
    np.testing.assert_allclose(total, np.array(reward)[:, None] * mask.numpy(), rtol=1e-6)
    assert advantage.dtype == told.dtype


def test_a_response_without_a_reward_stays_out_of_its_group_in_verl():
    told, mask = batch([1.0, 0.0, math.nan, 1.0])
    index = np.array(["a"] * 4, dtype=object)
    found, total = verl_advantage(GroupRelative())(told, mask, index=index)
    np.testing.assert_allclose(found[:, 0], [0.5, -1.0, 0.0, 0.5])
    assert np.isfinite(total.numpy()).all()


def test_verl_registers_the_estimator_under_its_name(monkeypatch):
    with pytest.raises(MissingExtraError, match="verl is not installed"):
        register_verl("ours", GroupRelative())
    known = {}
    module = types.ModuleType("verl.trainer.ppo.core_algos")

    def register_adv_est(name):
        def keep(function):
            known[name] = function
            return function

        return keep

    module.register_adv_est = register_adv_est
    for name in ("verl", "verl.trainer", "verl.trainer.ppo"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "verl.trainer.ppo.core_algos", module)
    made = register_verl("ours", GroupRelative())
    assert known == {"ours": made}


def test_what_verl_would_not_heed_is_refused():
    for place in ("reward", "loss"):
        with pytest.raises(ConfigError, match="use_kl"):
            verl_advantage(GroupRelative(anchor=Anchor(strength=0.1, place=place)))
    told, mask = batch([1.0, 0.0])
    with pytest.raises(ConfigError, match="uid"):
        verl_advantage(GroupRelative())(told, mask)


def test_settings_name_the_bounds_and_the_mean_of_the_method():
    assert trl_settings(dr_grpo(32)) == {
        "loss_type": "dr_grpo", "epsilon": 0.2, "epsilon_high": 0.2, "beta": 0.0,
        "max_completion_length": 32,
    }  # fmt: skip
    held = trl_settings(grpo(Anchor(strength=0.04, place="loss")))
    assert (held["loss_type"], held["beta"]) == ("grpo", 0.04)
    assert held["use_bias_correction_kl"] is False
    weighed = Anchor(strength=0.04, place="loss", is_weighed=True)
    assert trl_settings(grpo(weighed))["use_bias_correction_kl"] is True
    ours = verl_settings("ours", GroupRelative())
    assert ours["algorithm.adv_estimator"] == "ours"
    assert ours["actor_rollout_ref.actor.clip_ratio_high"] == 0.28
    assert ours["actor_rollout_ref.actor.loss_agg_mode"] == "token-mean"
    # A second bound and a constant length are said, where verl would take its own.
    actor = "actor_rollout_ref.actor"
    assert ours[f"{actor}.clip_ratio_c"] >= 1e9
    twice = GroupRelative(surrogate=Surrogate(worst=3.0))
    assert (
        verl_settings("ours", twice)[f"{actor}.clip_ratio_c"] == trl_settings(twice)["delta"] == 3
    )
    assert "delta" not in trl_settings(GroupRelative())
    assert verl_settings("ours", dr_grpo(32))[f"{actor}.loss_scale_factor"] == 32
    with pytest.raises(ConfigError, match="use_kl_loss"):
        verl_settings("ours", grpo(Anchor(strength=0.1, place="loss")))
    with pytest.raises(ConfigError, match="clipped ratios of tokens"):
        trl_settings(rloo(8))
    with pytest.raises(ConfigError, match="TRL's `beta`"):
        trl_settings(GroupRelative(anchor=Anchor(strength=0.1, place="reward")))


def test_a_written_reward_file_is_the_tasks_own(tmp_path):
    from penchant.cli.export import _task_program

    file = tmp_path / "reward.py"
    file.write_text(_task_program("CHAIN:most=2"))
    scope = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    assert scope["task"] == Chain(fewest=1, most=2)
    (problem,) = scope["task"].draw(1, np.random.default_rng(0))
    shown = problem.demonstration
    assert scope["reward"](prompts=[problem.prompt], completions=[shown], answer=[shown]) == [1.0]
