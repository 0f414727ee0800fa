"""Answers drawn a window at a time: what goes on, what is learnt from which part."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from penchant.policies.language.loss import Surrogate, policy_gradient_loss, to_tokens
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.proximal import Proximal
from penchant.policies.language.methods.windowed import Windowed

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.lm.decoder import DecoderConfig  # noqa: E402
from penchant.lm.sample import SampleConfig  # noqa: E402
from penchant.policies.language.objective import PolicyObjective, token_log_probs  # noqa: E402
from penchant.policies.language.trained import fresh_trained  # noqa: E402
from penchant.policies.language.trainer import PolicyTrainer  # noqa: E402
from policies.language.test_gathered_methods import SMALL, ask, seen_of  # noqa: E402
from policies.language.test_trainer import EvenBytes  # noqa: E402
from policies.language.two_step_tree import (  # noqa: E402
    LENGTH,
    TRAJECTORIES,
    exact_gradient,
    log_probs,
    parameters,
    trajectory_probabilities,
)


@dataclass(frozen=True)
class Letters:
    """Six letters, so that one token in nine ends an answer."""

    pad: int = 0
    begin: int = 1
    end: int = 2

    def encode(self, text):
        return [3 + "abcdef".index(letter) for letter in text]

    def decode(self, ids):
        return "".join("abcdef"[i - 3] for i in ids if i > 2)


def model(seed=0):
    config = DecoderConfig(num_tokens=9, width=16, layers=2, heads=2, window=48)
    return replace(tiny(seed, config=config), tokenizer=Letters())


METHOD = Windowed(window=2, base=Proximal(is_whitened=False))
WORTH = np.array([0.2, 1.0, -0.5, 0.6])


def seen_with_value(batch, memory=None):
    drawn = batch.rollouts.is_drawn
    value = np.where(drawn, 0.1 + 0.01 * np.arange(drawn.size).reshape(drawn.shape), 0.0)
    return replace(seen_of(batch, memory), value=value)


SAMPLING = SampleConfig(most_tokens=5)


def two_steps(seed=2):
    first = METHOD.gathered(ask(model=model(), sampling=SAMPLING, seed=seed))
    heard = METHOD.heard(seen_with_value(first))
    moved = model(1)
    second = METHOD.gathered(ask(sampling=SAMPLING, seed=seed + 1, memory=heard.memory,
                                 model=moved, version=1))  # fmt: skip
    return first, heard, second, moved


def test_what_has_not_ended_goes_on_where_it_stood_and_the_rest_makes_room():
    first, _, second, moved = two_steps()
    left = np.flatnonzero(~first.told["is_over"])
    assert 0 < len(left) < 9
    assert len(second.rollouts) == 9
    ids = [batch.rollouts.tokens.ids.numpy() for batch in (first, second)]
    for row, was in enumerate(left):
        size = int(first.rollouts.tokens.is_text[was].sum())
        assert ids[1][row, :size].tolist() == ids[0][was, :size].tolist()
        assert second.problems[row] == first.problems[was]
        assert second.rollouts.versions[row] == 0
        # Each token has the log-probability and entropy of the policy that drew it.
        for name in ("log_prob", "entropy"):
            old, new = (getattr(batch.rollouts, name) for batch in (first, second))
            np.testing.assert_array_equal(new[row, : size - 1], old[was, : size - 1])
    assert np.all(second.rollouts.versions[len(left) :] == 1)
    now, window = token_log_probs(moved, second.rollouts, 1.0), second.told["window"]
    np.testing.assert_allclose(second.rollouts.log_prob[window], now[window], atol=1e-9)
    assert window.sum() == second.rollouts.lengths.sum() + second.spent
    before = second.rollouts.is_drawn & ~window
    assert before[: len(left)].any(axis=1).all()
    assert not before[len(left) :].any()


def test_only_answers_that_are_over_are_graded_and_none_is_longer_than_it_may_be():
    first, heard, second, _ = two_steps()
    for batch in (first, second):
        over = batch.told["is_over"]
        assert np.all(np.isfinite(batch.grades.reward) == over)
        for row in np.flatnonzero(over):
            told = EvenBytes().grade(batch.problems[row], batch.rollouts.responses[row])
            assert batch.grades.reward[row] == told["correct"]
        assert np.all(batch.rollouts.lengths <= 5)
    # Five tokens are two windows and a half: the third is cut where there is no more room.
    memory, wasted = heard.memory, 0
    for step in range(4):
        given = ask(model=model(), sampling=SAMPLING, seed=step + 9, memory=memory)
        batch = METHOD.gathered(given)
        memory = METHOD.heard(seen_with_value(batch)).memory
        wasted += batch.spent + int((batch.rollouts.is_drawn & ~batch.told["window"]).sum())
        full = batch.rollouts.lengths == 5
        assert np.all(batch.told["is_over"][full])
    assert wasted > 0


def test_the_policy_learns_from_windows_and_the_value_from_answers_that_ended():
    _, _, batch, _ = two_steps()
    seen = seen_with_value(batch)
    heard = METHOD.heard(seen)
    window, over, drawn = batch.told["window"], batch.told["is_over"], batch.rollouts.is_drawn
    assert np.all(heard.advantage[~window] == 0.0)
    assert np.all((heard.unit_of >= 0) == (window | (drawn & over[:, None])))
    assert np.all(np.isfinite(heard.target) == (drawn & over[:, None]))
    for row in range(9):
        mine = np.flatnonzero(window[row])
        value, ends = seen.value[row, mine], over[row]
        reward, later = (seen.reward[row], 0.0) if ends else (0.0, value[-1])
        credit = 0.0
        for at in reversed(range(len(mine))):
            is_last = at + 1 == len(mine)
            beyond = later if is_last else value[at + 1]
            credit = (reward if is_last else 0.0) + beyond - value[at] + 0.95 * credit
            assert heard.advantage[row, mine[at]] == pytest.approx(credit)
        if ends:
            np.testing.assert_allclose(heard.target[row, drawn[row]], reward)
        else:
            assert heard.advantage[row, mine[-1]] == pytest.approx(0.0, abs=1e-15)


def test_where_there_is_no_target_the_value_has_no_gradient():
    _, _, batch, _ = two_steps()
    heard = METHOD.heard(seen_with_value(batch))
    trained = fresh_trained(model(), None, True, torch.Generator().manual_seed(0))
    # A fresh value says 0, which would be met by a target of 0 too.
    trained = {name: value + 0.1 for name, value in trained.items()}
    gradients = {}
    for rows in (np.flatnonzero(~batch.told["is_over"]), np.flatnonzero(batch.told["is_over"])):
        leaves = {name: v.clone().requires_grad_() for name, v in trained.items()}
        objective = PolicyObjective(
            model=model(), rollouts=batch.rollouts, unit_of=heard.unit_of,
            advantage=np.zeros(heard.advantage.shape), target=heard.target, value_weight=1.0,
            scale=METHOD.token_scale(heard.unit_of, batch.rollouts.prompt_of),
            surrogate=METHOD.surrogate,
        )  # fmt: skip
        found = torch.autograd.grad(objective.log_prob(leaves, rows), list(leaves.values()),
                                    allow_unused=True)  # fmt: skip
        is_over = bool(batch.told["is_over"][rows[0]])
        gradients[is_over] = max(0.0 if g is None else float(g.abs().max()) for g in found)
    assert gradients[False] == 0.0
    assert gradients[True] > 1e-3


def test_a_window_longer_than_an_answer_draws_nothing_beyond_it():
    batch = Windowed(window=9).gathered(ask(model=model(), sampling=SAMPLING, seed=3))
    assert batch.told["is_over"].all()
    assert batch.spent == 0
    assert batch.rollouts.lengths.max() == 5


def test_problems_that_read_alike_keep_groups_of_their_own_and_rows_the_version_that_began_them():
    class Same(EvenBytes):
        def draw(self, num, generator):
            return super().draw(1, generator) * num

    first = METHOD.gathered(ask(Same(), model=model(), sampling=SAMPLING, version=7))
    assert first.rollouts.prompt_of.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    heard = METHOD.heard(seen_with_value(first))
    left = int((~first.told["is_over"]).sum())
    second = METHOD.gathered(ask(model=model(), sampling=SAMPLING, memory=heard.memory, version=8))
    assert 0 < left < 9
    assert second.rollouts.versions.tolist() == [7] * left + [8] * (9 - left)


@pytest.mark.parametrize("cost", [0.0, 0.3])
def test_with_a_window_as_long_as_an_answer_it_is_the_method_beneath(cost):
    """An anchor in the reward counted in: the value foretells what it still costs."""
    anchor = Anchor(strength=cost, place="reward")
    base = Proximal(trace=1.0, anchor=anchor)
    method = Windowed(window=5, base=base)
    seen = seen_with_value(method.gathered(ask(model=model(), sampling=SAMPLING, seed=3)))
    drawn = seen.rollouts.is_drawn
    apart = np.where(drawn, np.random.default_rng(0).normal(size=drawn.shape), 0.0)
    reward = np.where(np.arange(len(drawn)) == 4, np.nan, seen.reward)  # one that was not graded
    seen = replace(seen, log_ratio=apart, reward=reward)
    found, wanted = method.heard(seen), base.heard(seen)
    np.testing.assert_array_equal(found.unit_of >= 0, wanted.unit_of >= 0)
    trained = wanted.unit_of >= 0
    np.testing.assert_allclose(found.advantage, wanted.advantage, atol=1e-12)
    np.testing.assert_allclose(found.target[trained], wanted.target[trained], atol=1e-12)
    assert len(np.unique(wanted.target[trained].round(9))) > (2 if cost else 1)


@pytest.mark.parametrize("window", [1, 2])
def test_without_a_cut_the_gradient_is_exact_and_with_one_it_points_elsewhere(window):
    """A window of one token cuts behind `b`; the policy stands still until the answer has ended,
    and its value is right everywhere."""
    method = Windowed(window=window, base=Proximal(is_whitened=False, trace=1.0))
    theta = parameters()
    chance = trajectory_probabilities(theta).detach().numpy()
    after = torch.softmax(theta[2:], 0).detach().numpy()
    value = np.array([chance @ WORTH, after @ WORTH[1:]])
    total = np.zeros(5)
    for rollout in range(4):
        logp, _ = log_probs(theta, (rollout,))
        size = len(TRAJECTORIES[rollout])
        for begin in range(0, size, window):
            at = np.arange(begin, min(begin + window, size))
            is_over = np.array([at[-1] + 1 == size])
            reward = np.where(at + 1 == size, WORTH[rollout], 0.0)
            credit = method.credit(reward, value[at], np.zeros(len(at), dtype=int), at, is_over)
            unit_of = np.full((1, 2), -1)
            unit_of[0, at] = np.arange(len(at))
            scale = np.where(unit_of >= 0, 1.0 / LENGTH, 0.0)
            loss = policy_gradient_loss(logp, logp.detach(), to_tokens(credit, unit_of), unit_of,
                                        scale, Surrogate(form="plain"))  # fmt: skip
            total -= chance[rollout] * torch.autograd.grad(loss, theta, retain_graph=True)[
                0].numpy()  # fmt: skip
    exact, found = exact_gradient(WORTH), total * LENGTH
    along = (found @ exact) / (exact @ exact)
    assert np.allclose(found, along * exact, atol=1e-9) == (window == 2)
    if window == 2:
        np.testing.assert_allclose(found, exact, atol=1e-12)


def test_a_step_in_which_nothing_ends_has_no_reward_and_a_run_reaches_them():
    trainer = PolicyTrainer(model(), EvenBytes(), Windowed(window=1), SMALL)
    reports = [trainer.step() for _ in range(7)]
    assert np.isfinite([report.reward for report in reports]).any()
    assert all(report.failed == 0 for report in reports)
    # One token of each of nine answers at every step, whatever they had before.
    assert [report.tokens for report in reports] == [9 * (n + 1) for n in range(7)]
