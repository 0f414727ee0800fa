"""Mirror descent with a square that holds: by hand, in training, and what it remembers."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.policies.language.loss import Surrogate
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.group_relative import GroupRelative
from penchant.policies.language.methods.method import Forgetful, Heard
from penchant.policies.language.methods.mirrored import Mirrored, Successes

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.policies.language.objective import token_log_probs  # noqa: E402
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig  # noqa: E402
from policies.language.test_gathered_methods import ask, assert_same_run, seen_of  # noqa: E402
from policies.language.test_selected_rows import seen_of as seen_rows  # noqa: E402
from policies.language.test_trainer import EvenBytes, drawn  # noqa: E402

SMALL = TrainerConfig(prompts=3, group_size=4, most_tokens=5, learning_rate=0.02)
STILL = Mirrored(candidates=1, begins_anew=False)


def moved(method, epochs):
    """Root mean square of how far responses are from their start after one batch, in nats."""
    config = replace(SMALL, epochs=epochs, learning_rate=0.003)
    trainer = PolicyTrainer(tiny(), EvenBytes(), method, config)
    trainer.step()
    rows = drawn()
    now, then = (token_log_probs(model, rows, 1.0) for model in (trainer.model, tiny()))
    return float(((now - then) * torch.tensor(rows.is_drawn)).sum(dim=1).square().mean().sqrt())


def test_one_update_a_batch_is_the_plain_gradient_whatever_the_pull():
    plain = GroupRelative(
        leave_one_out=False, surrogate=Surrogate(form="plain"), mean="constant", length=1,
        most_weight=None,
    )  # fmt: skip
    assert_same_run(replace(STILL, pull=50.0), plain, config=SMALL, atol=1e-12)


def test_a_stronger_pull_stays_nearer_to_where_the_batch_was_drawn():
    far = [moved(replace(STILL, pull=pull), 8) for pull in (0.0, 0.3, 10.0)]
    assert far[0] > far[1] > far[2] > 0.0


@pytest.mark.parametrize("method", [STILL, GroupRelative()])
def test_rows_without_credit_are_read_where_a_square_pulls_them_back(method):
    trainer, rows = PolicyTrainer(tiny(), EvenBytes(), method, SMALL), np.arange(4)
    credit = np.zeros((4, 2))
    credit[2] = 1.0
    heard = Heard(unit_of=np.zeros((4, 2), dtype=int), advantage=credit)
    assert trainer._heard(rows, heard).tolist() == ([0, 1, 2, 3] if method == STILL else [2])


def test_its_optimiser_begins_anew_with_every_batch():
    steps = {}
    for begins_anew in (True, False):
        method = Mirrored(candidates=1, begins_anew=begins_anew)
        assert isinstance(method, Forgetful)
        trainer = PolicyTrainer(tiny(), EvenBytes(), method, replace(SMALL, epochs=3))
        for _ in range(2):
            trainer.step()
        steps[begins_anew] = trainer._learner.memory.steps
    assert steps == {True: 3, False: 6}


def test_short_right_answers_earn_more_as_the_bonus_is_switched_on():
    seen = seen_rows([1, 1, 0, 0], [2, 6, 2, 6], [0, 0, 0, 0])
    for done, share in ((0, 0.0), (5, 0.5), (10, 1.0), (30, 1.0)):
        method = Mirrored(brevity=0.4, ramp=10)
        memory = {"batches": np.array([done]), **Successes.recalled({}).kept()}
        problems = ask().task.draw(4, np.random.default_rng(0))
        heard = method.heard(replace(seen, memory=memory, problems=problems))
        reward = np.array([1.0, 1.0, 0.0, 0.0]) + 0.4 * share * np.array([0.5, -0.5, 0.0, -0.5])
        np.testing.assert_allclose(heard.advantage[:, 0], reward - reward.mean(), atol=1e-12)
        assert heard.memory["batches"][0] == done + 1


def test_problems_that_are_solved_come_seldom_and_new_ones_as_hopeless_ones():
    known = Successes.recalled({})
    known = known.updated(["aaa", "aaa", "bbb", "bbb"], np.array([True, True, True, False]))
    known = Successes.recalled(known.kept())
    np.testing.assert_allclose(known.failing(["aaa", "bbb", "new"]), [1e-3, 0.5, 1.0])
    memory = known.updated(list("xyz"), np.array([True, True, True])).kept()
    drawn = []
    for seed in range(30):
        batch = Mirrored(candidates=8).gathered(ask(seed=seed, memory=memory, num_problems=1))
        drawn.append(batch.problems[0].prompt)
    asked = [p.prompt for s in range(30) for p in EvenBytes().draw(8, np.random.default_rng(s))]
    assert drawn.count("aaa") <= 2 < asked.count("aaa")


def test_a_run_goes_on_where_it_stood_with_all_that_it_remembers(tmp_path):
    method = Mirrored(brevity=0.5, ramp=3, anchor=Anchor(strength=0.1, place="loss"))

    def trainer():
        return PolicyTrainer(tiny(), EvenBytes(), method, replace(SMALL, epochs=2, updates=2))

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


def test_a_response_without_a_reward_has_no_credit_and_is_not_counted():
    seen = seen_rows([np.nan, 1, 0, 1], [2, 6, 2, 4], [0, 0, 0, 0])
    problems = ask().task.draw(4, np.random.default_rng(0))
    heard = Mirrored(brevity=1.0, ramp=0).heard(replace(seen, problems=problems))
    assert np.all(heard.unit_of[0] == -1)
    assert heard.memory["tried"].sum() == 3.0
    alone = seen_rows([1, 0, 1], [6, 2, 4], [0, 0, 0])
    told = Mirrored(brevity=1.0, ramp=0).heard(replace(alone, problems=problems[1:]))
    np.testing.assert_allclose(heard.advantage[1:], told.advantage)


def test_what_it_gathers_is_heard():
    batch = Mirrored().gathered(ask(group_size=4))
    assert len(batch.rollouts) == 12
    heard = Mirrored().heard(seen_of(batch))
    assert heard.memory["tried"].sum() == 12.0
    assert heard.memory["solved"].sum() == (batch.grades.reward >= 0.5).sum()


@pytest.mark.parametrize(
    "bad",
    [{"pull": -0.1}, {"brevity": -1.0}, {"ramp": -1}, {"candidates": 0},
     {"anchor": Anchor(strength=0.1, place="reward")}],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(bad):
    with pytest.raises(ConfigError, match="expected"):
        Mirrored(**bad)
