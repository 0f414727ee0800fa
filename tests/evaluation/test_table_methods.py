"""Methods on a table: the trainer's credit, ratio, mean and anchor, held to sums by hand."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError

torch = pytest.importorskip("torch")

from penchant.evaluation.table_methods import (  # noqa: E402  # it needs torch
    TableDraws,
    TablePolicy,
    chain_tables,
)
from penchant.lm.byte_tokenizer import ByteTokenizer  # noqa: E402
from penchant.lm.language_model import LanguageModel, Read  # noqa: E402
from penchant.policies.language.loss import Surrogate  # noqa: E402
from penchant.policies.language.methods.anchor import Anchor  # noqa: E402
from penchant.policies.language.methods.conflict import ConflictAware  # noqa: E402
from penchant.policies.language.methods.down_sampled import DownSampled  # noqa: E402
from penchant.policies.language.methods.group_relative import GroupRelative, grpo  # noqa: E402
from penchant.policies.language.methods.modes import apo  # noqa: E402
from penchant.policies.language.methods.pooled import flow_grpo  # noqa: E402
from penchant.policies.language.methods.proximal import Proximal  # noqa: E402
from penchant.policies.language.methods.steady import Steady  # noqa: E402
from penchant.policies.language.methods.trees import spo_tree  # noqa: E402
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig  # noqa: E402
from penchant.simulation.tasks.chain import Chain  # noqa: E402
from penchant.simulation.tasks.step_table import StepTable, Sums, Written  # noqa: E402

SEEDS = st.integers(0, 2**32 - 1)
TASK = Chain(fewest=1, most=3)


def drawn(seed, prompts=3, group=4):
    """A table with seven cells and five tokens, and what it wrote."""
    rng = np.random.default_rng(seed)
    policy = TablePolicy(logits=rng.normal(size=(7, 5)))
    num = prompts * group
    at = rng.integers(0, 7, (num, 4))
    at[np.arange(4)[None, :] >= rng.integers(1, 5, num)[:, None]] = -1
    said = np.where(at >= 0, rng.integers(0, 5, (num, 4)), -1)
    reward = rng.integers(0, 2, num).astype(float)
    reward[:2] = 0.0, 1.0
    return policy, TableDraws(at=at, said=said, group=np.repeat(np.arange(prompts), group),
                              reward=reward)  # fmt: skip


def chances(policy):
    share = np.exp(policy.logits)
    return share / share.sum(axis=1, keepdims=True)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_a_step_of_grpo_is_the_sum_of_z_scores_over_lengths_times_the_score(seed):
    policy, draws = drawn(seed)
    weight = np.zeros(draws.at.shape)
    for row in range(len(weight)):
        mine = draws.reward[draws.group == draws.group[row]]
        length = (draws.at[row] >= 0).sum()
        if np.ptp(mine) > 0.0:
            score = (draws.reward[row] - mine.mean()) / (mine.std(ddof=1) + 1e-4)
            weight[row] = score / length / len(weight)
    wanted, chance = np.zeros(policy.logits.shape), chances(policy)
    for row, t in np.argwhere(draws.at >= 0):
        cell = draws.at[row, t]
        score = -chance[cell]
        score[draws.said[row, t]] += 1.0
        wanted[cell] += weight[row, t] * score
    found = policy.climbed(grpo(), draws, 2.0).logits - policy.logits
    np.testing.assert_allclose(found, 2.0 * wanted, atol=1e-12)


def test_digits_of_chain_climb_as_the_table_itself_does():
    rng = np.random.default_rng(0)
    start, sums = StepTable.taught(rng), Sums.read(TASK.draw(4, rng)).take(np.repeat(range(4), 3))
    written = start.written(sums, rng)
    method = GroupRelative(mean="constant", length=3)
    draws = TableDraws(at=written.at, said=written.said, group=np.repeat(np.arange(4), 3),
                       reward=written.is_right.astype(float))  # fmt: skip
    credit = method.credit(draws.reward, draws.group, np.ones(12, dtype=bool)).advantage
    wanted = start.climbed(
        Written(said=written.said, at=written.at, is_right=written.is_right),
        np.repeat(credit[:, None] / 36.0, 3, axis=1), 50.0,
    ).logits  # fmt: skip
    assert np.abs(wanted - start.logits).max() > 1e-3
    found = TablePolicy(logits=start.logits).climbed(method, draws, 50.0).logits
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_later_steps_on_a_batch_heed_the_ratio_and_its_bounds():
    policy, draws = drawn(1, prompts=2)
    draws = replace(draws, at=np.where(draws.at >= 0, 0, -1))  # all from one cell
    draws = replace(draws, reward=np.tile([1.0, 0.0, 1.0, 0.0], 2))
    plain = GroupRelative(scale="none", surrogate=Surrogate(form="plain"))
    for form, low, high in (("plain", 0.2, 0.28), ("clipped", 0.05, 0.05)):
        method = replace(plain, surrogate=Surrogate(form=form, low=low, high=high))
        first = policy.climbed(
            method, replace(draws, at=draws.at[:4], said=draws.said[:4], group=draws.group[:4],
                            reward=draws.reward[:4]), 3.0)  # fmt: skip
        rows = np.arange(4, 8)
        credit = np.where(draws.reward[rows] > 0.0, 2.0 / 3.0, -2.0 / 3.0)
        ratio = np.exp(first.log_prob(draws) - policy.log_prob(draws))[rows]
        assert np.abs(ratio - 1.0)[draws.at[rows] >= 0].max() > 0.06
        wanted, num = np.zeros(5), (draws.at[rows] >= 0).sum()
        for row, t in np.argwhere(draws.at[rows] >= 0):
            r, a = ratio[row, t], credit[row]
            if form == "clipped" and ((r > 1 + high and a > 0) or (r < 1 - low and a < 0)):
                continue
            score = -chances(first)[0]
            score[draws.said[4 + row, t]] += 1.0
            wanted += 3.0 * a * r * score / num
        both = policy.climbed(method, draws, 3.0, updates=2)
        np.testing.assert_allclose(both.logits[0], first.logits[0] + wanted, atol=1e-12)


@pytest.mark.parametrize("is_weighed", [False, True])
def test_an_anchor_draws_the_table_back_to_where_it_began(is_weighed):
    policy, draws = drawn(2)
    draws = replace(draws, reward=np.zeros(len(draws.reward)))
    began = policy.logits + np.random.default_rng(3).normal(size=policy.logits.shape)
    anchor = Anchor(strength=0.5, place="loss", is_weighed=is_weighed)
    method = grpo(anchor)
    np.testing.assert_array_equal(policy.climbed(method, draws, 1.0).logits, policy.logits)
    held = replace(policy, start=began)
    # Every token once from every cell, as often as it is likely: the exact gradient of k3.
    chance = chances(policy)
    apart = np.log(chance) - np.log(chances(replace(policy, logits=began)))
    at, said = (a.reshape(-1, 1) for a in np.indices(chance.shape))
    each = replace(draws, at=at, said=said, group=np.zeros(35, int), reward=np.zeros(35))
    moved = held.climbed(method, each, 1.0).logits - policy.logits
    of_token = 1.0 - np.exp(-apart)
    if is_weighed:
        of_token = of_token + np.expm1(-apart) + apart
    wanted = -0.5 / 35.0 * (of_token - chance * of_token.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(moved, wanted, atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_what_a_method_sees_is_what_was_drawn(seed):
    policy, draws = drawn(seed)
    began = policy.logits + 1.0 * (policy.logits > 0.0)
    seen = replace(policy, start=began).seen(draws)
    share, other = chances(policy), chances(TablePolicy(logits=began))
    for row, t in np.ndindex(draws.at.shape):
        cell, token = draws.at[row, t], draws.said[row, t]
        entropy, said, ratio = 0.0, 0.0, 0.0
        if cell >= 0:
            entropy = -(share[cell] * np.log(share[cell])).sum()
            said = np.log(share[cell, token])
            ratio = said - np.log(other[cell, token])
            assert seen.rollouts.tokens.ids[row, t + 1] == token
        assert seen.rollouts.is_drawn[row, t] == (cell >= 0)
        np.testing.assert_allclose(seen.rollouts.entropy[row, t], entropy, atol=1e-12)
        np.testing.assert_allclose(seen.rollouts.log_prob[row, t], said, atol=1e-12)
        np.testing.assert_allclose(seen.log_ratio[row, t], ratio, atol=1e-12)
    turns = policy.seen(replace(draws, is_turn=True))
    np.testing.assert_allclose(turns.turn_reward.sum(axis=1), draws.reward)
    last = turns.rollouts.turn_of.max(axis=1)
    np.testing.assert_array_equal(last + 1, (draws.at >= 0).sum(axis=1))


def test_the_same_seed_is_the_same_run_and_memory_goes_on():
    start = StepTable.taught(np.random.default_rng(0))
    runs = [list(islice(chain_tables(start, ConflictAware(), TASK, 30.0, seed), 3))
            for seed in (5, 5, 6)]  # fmt: skip
    np.testing.assert_array_equal(runs[0][-1].logits, runs[1][-1].logits)
    assert np.abs(runs[0][-1].logits - runs[2][-1].logits).max() > 1e-3
    policy, draws = drawn(4)
    first = policy.climbed(ConflictAware(), draws, 1.0)
    assert first.climbed(ConflictAware(), draws, 1.0).memory == first.memory != {}


def test_of_a_modulus_of_two_any_digit_of_the_right_parity_is_right():
    start, trial = StepTable.taught(np.random.default_rng(1), skill=0.0, spread=0.5), None
    trial = Sums.read(TASK.draw(300, np.random.default_rng(2)))
    *_, table = islice(chain_tables(start, Steady(), TASK, 100.0, 0, modulus=2), 60)
    chance = table.answers(trial)
    even = (np.arange(10) - trial.right[:, None]) % 2 == 0
    assert (chance * even).sum(axis=1).mean() > 0.6
    # Half of the digits may stay: the answer itself is no likelier than its kin.
    assert table.chance_right(trial).mean() < 0.3


def test_a_method_that_imitates_is_refused():
    policy, draws = drawn(0)

    class Shown(GroupRelative):
        def heard(self, seen):
            return replace(super().heard(seen), shown=np.ones(len(seen.reward)))

    for method in (Shown(), Proximal(), spo_tree(), apo(("#", "="))):
        with pytest.raises(ConfigError, match=f"got {type(method).__name__}, which learns a value"):
            policy.climbed(method, draws, 1.0)


def test_an_anchor_holds_tables_of_chain_to_their_start():
    start = StepTable.taught(np.random.default_rng(0))
    free, held = (
        list(islice(chain_tables(start, grpo(anchor), TASK, 30.0, 5), 8))[-1].logits
        for anchor in (None, Anchor(strength=5.0, place="loss"))
    )
    assert np.abs(held - start.logits).sum() < 0.9 * np.abs(free - start.logits).sum()


class Bigrams:
    """A network that is a table: what comes after a token."""

    width, window, is_causal = 259, None, True

    def read(self, parameters, tokens, memory=None, *, remembers=False):
        states = torch.nn.functional.one_hot(tokens.ids, 259).to(parameters["table"].dtype)
        return Read(states=states, memory=0)

    def logits(self, parameters, states):
        return states @ parameters["table"]

    def memory_of(self, memory, rows):
        return memory


def plain_steps(learner):
    """Steps of the gradient itself, in place of Adam's."""

    def step(examples, rate):
        leaf = learner.parameters["table"].clone().requires_grad_()
        said = sum(learner.objective.log_prob({"table": leaf}, part)
                   for part in np.array_split(examples, 2) if len(part))  # fmt: skip
        if len(examples):
            (slope,) = torch.autograd.grad(said, leaf)
            learner.parameters = {"table": (leaf + rate * slope).detach()}

    learner.step = step


@pytest.mark.parametrize("method", [
    grpo(), ConflictAware(), Steady(spread=0.3), DownSampled(),
    flow_grpo(Anchor(strength=0.3, place="loss", is_weighed=True)),
    grpo(Anchor(strength=0.5, place="reward")),
    GroupRelative(surrogate=Surrogate(form="squared", pull=0.1)),
], ids=lambda method: type(method).__name__)  # fmt: skip
def test_a_table_climbs_as_the_trainer_does_where_its_network_is_that_table(method):
    begun = np.full((259, 259), -12.0)
    begun[:, [2, 35, 48, 49, 50]] = np.random.default_rng(0).normal(size=(259, 5))
    model = LanguageModel(
        network=Bigrams(), parameters={"table": torch.tensor(begun)}, tokenizer=ByteTokenizer()
    )
    config = TrainerConfig(prompts=3, group_size=4, updates=2, most_tokens=5, learning_rate=2.0)
    trainer = PolicyTrainer(
        model, TASK, method, config, grade=lambda _, said: {"correct": float(len(said) % 2)}
    )
    plain_steps(trainer._learner)
    table = TablePolicy(logits=begun, start=begun)
    gathered = trainer._gathered
    for seed in range(2):

        def begun_alike(seed=seed):
            batch, trainer._problems = gathered(), np.random.default_rng(seed)
            return batch

        trainer._gathered = begun_alike
        trainer.step()
        batch = trainer.learnt.batch
        rollouts, ids = batch.rollouts, batch.rollouts.tokens.ids.numpy()
        draws = TableDraws(
            at=np.where(rollouts.is_drawn, ids[:, :-1], -1),
            said=np.where(rollouts.is_drawn, ids[:, 1:], -1), group=rollouts.prompt_of,
            reward=batch.grades.reward, responses=rollouts.responses,
        )  # fmt: skip
        table = table.climbed(method, draws, 2.0, 2, np.random.default_rng(seed))
    wanted = trainer.model.parameters["table"].numpy()
    assert np.abs(wanted - begun).max() > 0.02
    np.testing.assert_allclose(table.logits, wanted, atol=1e-12)
