"""What a step learnt from, row by row: who drew an answer, when, and under what it is trained."""

from hashlib import blake2b

import numpy as np
import pytest

from penchant.simulation.tasks.chain import Chain

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # they need torch
from penchant.policies.language.methods.demonstrated import GatedDemonstrations  # noqa: E402
from penchant.policies.language.methods.group_relative import (  # noqa: E402
    GroupRelative,
    grpo,
)
from penchant.policies.language.methods.inserted import temp_samp  # noqa: E402
from penchant.policies.language.methods.privileged import Privileged  # noqa: E402
from penchant.policies.language.methods.replayed import Replayed  # noqa: E402
from penchant.policies.language.rollouts import prompt_ids  # noqa: E402
from penchant.policies.language.row_record import told_groups  # noqa: E402
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig  # noqa: E402

TASK = Chain(fewest=1, most=1)


def trained(method, steps=1, reward=None):
    config = TrainerConfig(prompts=2, group_size=4, most_tokens=3)
    own = {} if reward is None else {"reward": reward}
    trainer = PolicyTrainer(tiny(dtype=torch.float32), TASK, method, config, **own)
    found = []
    for _ in range(steps):
        trainer.step()
        found.append(told_groups(trainer.learnt))
    return found, trainer


def test_each_row_names_its_weights_its_reward_and_its_context():
    steps, trainer = trained(GroupRelative(), 2)
    for number, groups in enumerate(steps, start=1):
        assert len(groups) == 2
        for group in groups:
            assert group["step"] == number
            assert group["versions"] == [number - 1] * 4
            assert group["sources"] == ["own"] * 4
            ids = np.array(prompt_ids(trainer.model.tokenizer, group["prompt"]), dtype=np.int64)
            wanted = blake2b(ids.tobytes(), digest_size=8).hexdigest()
            assert group["contexts"] == [wanted] * 4
            assert len(group["completions"]) == len(group["scores"]) == 4
    learnt = trainer.learnt
    told = [score for group in steps[1] for score in group["scores"]]
    np.testing.assert_allclose(told, learnt.batch.grades.reward)


def test_credit_is_the_one_that_was_trained_with():
    def length(components):
        return float(next(lengths))

    lengths = iter(range(100))
    (groups,), _ = trained(GroupRelative(), reward=length)
    for group in groups:
        scores = np.array(group["scores"])
        others = (scores.sum() - scores) / (len(scores) - 1)
        np.testing.assert_allclose(group["advantages"], scores - others, atol=1e-5)
    # What has no reward is not trained, and has no credit.
    lengths = iter([float("nan"), 1.0, 2.0, 3.0] * 2)
    (groups,), _ = trained(GroupRelative(), reward=length)
    assert [group["scores"][0] for group in groups] == [None, None]
    assert [group["advantages"][0] for group in groups] == [None, None]


def test_rows_that_the_policy_did_not_draw_from_the_prompt_say_so():
    (groups,), _ = trained(temp_samp())
    assert all(group["sources"].count("inserted truth") == 1 for group in groups)
    (groups,), _ = trained(GatedDemonstrations(base=grpo()))
    assert all(group["sources"] == ["own"] * 4 + ["demonstration"] for group in groups)
    assert all(group["versions"][-1] == -1 for group in groups)
    assert all(group["scores"][-1] is None for group in groups)

    method = Privileged(hinted=lambda problem: f"! {problem.prompt}")
    (groups,), trainer = trained(method)
    for group in groups:
        assert group["sources"] == ["own"] * 2 + ["privileged"] * 2
        # The hint was stripped: all four are trained under the same tokens.
        assert len(set(group["contexts"])) == 1
        ids = np.array(prompt_ids(trainer.model.tokenizer, group["prompt"]), dtype=np.int64)
        assert group["contexts"][0] == blake2b(ids.tobytes(), digest_size=8).hexdigest()


def test_an_earlier_success_is_told_as_replayed():
    class One:
        """The same problem again and again."""

        most_tokens = 3
        name = "one"

        def draw(self, num, draws):
            return TASK.draw(1, np.random.default_rng(0)) * num

        def grade(self, problem, response):
            return {"correct": float(self.is_kind)}

        is_kind = True

    task = One()
    config = TrainerConfig(prompts=1, group_size=4, most_tokens=3)
    trainer = PolicyTrainer(tiny(dtype=torch.float32), task, Replayed(base=grpo()), config)
    trainer.step()
    task.is_kind = False
    trainer.step()
    (group,) = told_groups(trainer.learnt)
    assert sorted(group["sources"]) == ["own", "own", "own", "replay"]
    at = group["sources"].index("replay")
    assert (group["scores"][at], group["versions"][at]) == (1.0, -1)
