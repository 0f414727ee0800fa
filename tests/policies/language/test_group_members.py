"""Members of a group that were not drawn freely: told how to begin, or right answers put in."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.policies.language.aggregation import token_scale
from penchant.policies.language.loss import Surrogate, policy_gradient_loss, to_tokens
from penchant.policies.language.methods.group_relative import GroupRelative
from penchant.policies.language.methods.inserted import WithTruth, temp_samp
from penchant.policies.language.methods.modes import Moded, apo
from penchant.policies.language.ratio import ITSELF, OLD
from penchant.utilities.response_rewards import softened_above

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.policies.language.objective import token_log_probs  # noqa: E402
from policies.language.test_gathered_methods import ask, seen_of  # noqa: E402
from policies.language.test_trainer import EvenBytes  # noqa: E402
from policies.language.two_step_tree import (  # noqa: E402
    LENGTH,
    TRAJECTORIES,
    exact_gradient,
    log_probs,
    parameters,
    trajectory_probabilities,
)

WORTH = np.array([0.2, 1.0, -0.5, 0.6])
EXACT = GroupRelative(surrogate=Surrogate(form="plain"), mean="constant", length=LENGTH,
                      most_weight=None)  # fmt: skip


def test_forced_rows_begin_as_they_are_told_and_are_trained_on_what_follows():
    method = Moded(modes=("b", "cd"))
    batch = method.gathered(ask(group_size=7, version=5))
    rollouts, encode = batch.rollouts, tiny().tokenizer.encode
    mode = batch.told["mode"]
    assert mode.tolist() == [-1, -1, -1, 0, 0, 1, 1] * 3
    assert rollouts.prompt_of.tolist() == np.repeat([0, 1, 2], 7).tolist()
    assert batch.is_plain.tolist() == (mode < 0).tolist()
    ids = rollouts.tokens.ids.numpy()
    for row, m in enumerate(mode):
        told = encode(method.modes[m]) if m >= 0 else []
        start = rollouts.start[row]
        assert ids[row, start : start + len(told)].tolist() == told
        first = int(np.flatnonzero(rollouts.is_drawn[row])[0]) + 1
        assert first == start + len(told)
        assert rollouts.responses[row].startswith(method.modes[m] if m >= 0 else "")
        wanted = EvenBytes().grade(batch.problems[row], rollouts.responses[row])["correct"]
        assert batch.grades.reward[row] == wanted
    now, drawn = token_log_probs(tiny(), rollouts, 1.0), torch.from_numpy(rollouts.is_drawn)
    np.testing.assert_allclose(rollouts.log_prob[drawn], now[drawn], atol=1e-9)
    assert set(rollouts.versions) == {5}
    with pytest.raises(ConfigError, match="expected 3 or more"):
        method.gathered(ask(group_size=2))


def test_free_rows_that_took_the_hard_way_to_an_easy_answer_earn_less():
    method = Moded(modes=("#",), easy_from=0.5, power=2.0)
    reward = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    prompt, mode = np.repeat([0, 1], 4), np.array([-1, -1, 0, 0] * 2)
    is_first = np.array([False, True, True, True, False, True, True, True])
    # Of the first prompt one of two forced answers is right, which is not above the threshold; of
    # the second none.
    np.testing.assert_array_equal(method.routed(reward, prompt, mode, is_first), reward)
    easier = replace(method, easy_from=0.4)
    found = easier.routed(reward, prompt, mode, is_first)
    np.testing.assert_allclose(found, [0.75, *reward[1:]])


def test_as_published_answers_in_a_costly_mode_are_told_apart_by_how_they_begin():
    method = replace(apo(("b", "cd")), base=EXACT)
    assert (method.easy_from, method.power) == (0.5, 2.0)
    batch = method.gathered(ask(group_size=6))
    mode, said = batch.told["mode"], batch.rollouts.responses
    first = np.array([text.startswith("b") for text in said])
    # All but one of three forced into the first mode is right in the first group; all elsewhere.
    reward = np.ones(18)
    reward[np.flatnonzero(mode == 0)[0]] = 0.0
    heard = method.heard(replace(seen_of(batch), reward=reward))
    group = batch.rollouts.prompt_of
    is_easy = np.isin(group, [1, 2])  # of the first group a half is right, which is not above it
    paid = np.where((mode < 0) & ~first & is_easy, 0.0, reward)
    assert (paid != reward).any()
    wanted = EXACT.credit(paid, group, np.ones(18, dtype=bool)).advantage
    for row in range(18):
        np.testing.assert_allclose(heard.advantage[row][batch.rollouts.is_drawn[row]], wanted[row])


@pytest.mark.parametrize("base", [EXACT, replace(EXACT, leave_one_out=False)])
def test_with_forced_rows_the_gradient_is_that_of_the_rows_mean_worth(base):
    """Two free rows and one forced to say `b` first, over all that could be drawn."""
    theta = parameters()
    chance = trajectory_probabilities(theta).detach().numpy()
    after = torch.softmax(theta[2:], 0).detach().numpy()
    total = np.zeros(5)
    for rollouts in product(range(4), range(4), range(1, 4)):
        logp, there = log_probs(theta, rollouts)
        there[2, 0] = False  # read, not drawn
        unit_of = np.where(there, np.arange(3)[:, None], -1)
        group, everyone = np.zeros(3, dtype=int), np.ones(3, dtype=bool)
        credit = base.credit(WORTH[list(rollouts)], group, everyone).advantage
        scale = base.token_scale(unit_of, group)
        loss = policy_gradient_loss(logp, logp.detach(), to_tokens(credit, unit_of), unit_of, scale,
                                    base.surrogate)  # fmt: skip
        weight = chance[rollouts[0]] * chance[rollouts[1]] * after[rollouts[2] - 1]
        total -= weight * torch.autograd.grad(loss, theta)[0].numpy()
    theta = parameters()
    forced = torch.softmax(theta[2:], 0) @ torch.tensor(WORTH[1:])
    forced = torch.autograd.grad(forced, theta)[0].numpy()
    mean = (2.0 * exact_gradient(WORTH) + forced) / 3.0
    factor = 1.0 if base.leave_one_out else 2.0 / 3.0
    np.testing.assert_allclose(total * LENGTH, factor * mean, atol=1e-12)
    assert TRAJECTORIES[1:] == ((1, 0), (1, 1), (1, 2))


def test_a_right_answer_joins_its_group_and_is_its_own_denominator():
    method = WithTruth(worth=0.8)
    batch = method.gathered(ask(version=2))
    rollouts, inserted = batch.rollouts, batch.told["inserted"]
    assert inserted.tolist() == [False] * 9 + [True] * 3
    assert rollouts.responses[9:] == ("b",) * 3
    assert rollouts.prompt_of[9:].tolist() == [0, 1, 2]
    assert batch.is_plain.tolist() == (~inserted).tolist()
    assert rollouts.versions.tolist() == [2] * 9 + [-1] * 3
    # "b" is even: right, times what it is held back by.
    np.testing.assert_allclose(batch.grades.reward[9:], 0.8)
    assert rollouts.lengths.sum() + batch.spent == rollouts.lengths[:9].sum()
    assert np.isnan(batch.grades.components["correct"][9:]).all()
    heard = method.heard(seen_of(batch))
    assert heard.kind.tolist() == [OLD] * 9 + [ITSELF] * 3
    group = rollouts.prompt_of
    wanted = method.base.credit(softened_above(batch.grades.reward), group, np.ones(12, dtype=bool))
    for row in range(12):
        mine = heard.advantage[row][rollouts.is_drawn[row]]
        np.testing.assert_allclose(mine, wanted.advantage[row])
    raw = replace(method, is_softened=False).heard(seen_of(batch))
    assert np.abs(raw.advantage - heard.advantage).max() > 1e-6
    assert temp_samp().base.scale == "group"


def test_a_grading_of_an_inserted_answer_that_fails_is_counted_and_the_answer_takes_no_part():
    def grade(problem, response):
        if response == problem.demonstration:
            raise ValueError("no idea")
        return {"correct": 0.5}

    batch = WithTruth().gathered(ask(grade=grade))
    failed = np.isnan(batch.grades.reward)
    assert batch.grades.failed == failed.sum() >= 3
    assert failed[9:].all()
    assert np.all(WithTruth().heard(seen_of(batch)).unit_of[failed] == -1)


def test_an_inserted_answer_adds_its_own_pull_and_leaves_the_others_exact():
    """Two drawn rows and (b, d) put in, over all that could be drawn."""
    theta, truth = parameters(), 2
    chance = trajectory_probabilities(theta).detach().numpy()
    total = np.zeros(5)
    for rollouts in product(range(4), repeat=2):
        logp, there = log_probs(theta, (*rollouts, truth))
        unit_of = np.where(there, np.arange(3)[:, None], -1)
        group, everyone = np.zeros(3, dtype=int), np.ones(3, dtype=bool)
        credit = EXACT.credit(WORTH[[*rollouts, truth]], group, everyone).advantage
        scale = token_scale(unit_of, "constant", length=LENGTH)
        loss = policy_gradient_loss(logp, logp.detach(), to_tokens(credit, unit_of), unit_of, scale,
                                    EXACT.surrogate)  # fmt: skip
        total -= np.prod(chance[list(rollouts)]) * torch.autograd.grad(loss, theta)[0].numpy()
    theta = parameters()
    said = log_probs(theta, (truth,))[0].sum()
    pull = (WORTH[truth] - chance @ WORTH) * torch.autograd.grad(said, theta)[0].numpy()
    wanted = (2.0 * exact_gradient(WORTH) + pull) / 3.0
    np.testing.assert_allclose(total * LENGTH, wanted, atol=1e-12)
