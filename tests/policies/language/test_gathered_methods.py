"""Methods that gather for themselves: exact gradients, their neutral settings, plain loops."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.policies.language.aggregation import token_scale
from penchant.policies.language.credit import shrunk_baseline
from penchant.policies.language.grading import correct
from penchant.policies.language.loss import Surrogate, policy_gradient_loss, to_tokens
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.demonstrated import GatedDemonstrations, hpt
from penchant.policies.language.methods.group_relative import GroupRelative, grpo
from penchant.policies.language.methods.informed import InformationGain, turn_gains
from penchant.policies.language.methods.inserted import WithTruth
from penchant.policies.language.methods.method import PolicyMethod, Seen
from penchant.policies.language.methods.modes import Moded
from penchant.policies.language.methods.privileged import Privileged
from penchant.policies.language.methods.proximal import Proximal
from penchant.policies.language.methods.replayed import Replayed
from penchant.policies.language.methods.segments import (
    SegmentRelative,
    segment_advantage,
    spo_segments,
)
from penchant.policies.language.methods.single_stream import SingleStream
from penchant.policies.language.methods.targeted import Targeted
from penchant.policies.language.methods.trees import TreeRelative
from penchant.policies.language.methods.turnwise import TurnWise
from penchant.policies.language.methods.value_guided import (
    ValueGuided,
    prompt_curriculum,
    shrunk_prior,
    useful_budget,
)
from penchant.policies.language.methods.windowed import Windowed
from penchant.policies.language.prompt_value import PromptValue, prompt_states
from penchant.policies.language.trackers import ValueTracker
from penchant.simulation.tasks.door import OpenDoor
from penchant.simulation.tasks.find import FindByLooking

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.lm.sample import SampleConfig  # noqa: E402
from penchant.policies.language.gathering import Ask, Gatherer, explore  # noqa: E402
from penchant.policies.language.objective import token_log_probs  # noqa: E402
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig  # noqa: E402
from policies.language.test_trainer import EvenBytes  # noqa: E402
from policies.language.two_step_tree import (  # noqa: E402
    LENGTH,
    TRAJECTORIES,
    exact_gradient,
    expected_gradient,
    log_probs,
    parameters,
)

WORTH = np.array([0.2, 1.0, 0.0, 0.6])
PLAIN = Surrogate(form="plain")
SMALL = TrainerConfig(prompts=3, group_size=3, most_tokens=6, learning_rate=0.01)
OFTEN_RIGHT = Replayed(success_from=0.3, most_mean=2.0, least_spread=2.0)
METHODS = {
    "single stream": SingleStream(),
    "pcl": prompt_curriculum(),
    "v0": useful_budget(),
    "v0.5": shrunk_prior(),
    "segments": SegmentRelative(completions=2, stride=2),
    "hpt": GatedDemonstrations(gate=1, right_from=0.2),
    "arpo": OFTEN_RIGHT,
    "privileged": Privileged(hinted=lambda problem: f"b{problem.prompt}"),
    "trees": TreeRelative(branches=(2,), segment=2),
    "modes": Moded(modes=("b",), easy_from=0.1),
    "truth": WithTruth(worth=0.8),
    "windowed": Windowed(window=2),
    "xrpo": Targeted(first=2, right_from=0.3),
}


def hinted(problem):
    return f"{problem.demonstration}{problem.prompt}"


def ask(task=None, seed=0, memory=None, **changed):
    given = Ask(
        model=tiny(), task=task or EvenBytes(), num_problems=3, group_size=3,
        sampling=SampleConfig(most_tokens=6), draws=np.random.default_rng(seed),
        generator=torch.Generator().manual_seed(seed), grade=EvenBytes().grade, reward=correct,
        memory=memory or {},
    )  # fmt: skip
    return replace(given, **changed)


def seen_of(batch, memory=None, model=None):
    return Seen(
        rollouts=batch.rollouts, problems=batch.problems, reward=batch.grades.reward,
        components=batch.grades.components, turn_reward=batch.turn_reward,
        observed=batch.observed, told=batch.told, memory=memory or {}, model=model or tiny(),
    )  # fmt: skip


def steps_of(method, task=None, num=2, config=SMALL):
    trainer = PolicyTrainer(tiny(), task or EvenBytes(), method, config)
    return [trainer.step() for _ in range(num)], trainer.model.parameters


def assert_same_run(one, other, task=None, config=SMALL, atol=0.0):
    (told, here), (said, there) = (steps_of(m, task, config=config) for m in (one, other))
    assert any(float(v.abs().max()) > 0 for v in here.values())
    assert [r.reward for r in told] == [r.reward for r in said]
    for name, value in here.items():
        np.testing.assert_allclose(value.numpy(), there[name].numpy(), atol=atol, err_msg=name)


@pytest.mark.parametrize("name", METHODS)
def test_a_run_goes_on_where_it_stood_with_all_that_its_method_remembers(name, tmp_path):
    method = METHODS[name]
    assert isinstance(method, PolicyMethod)
    assert isinstance(method, Gatherer)

    def trainer():
        return PolicyTrainer(tiny(), EvenBytes(), method, replace(SMALL, learning_rate=0.05))

    unbroken, first, second = trainer(), trainer(), trainer()
    wanted = [unbroken.step() for _ in range(4)][2:]
    first.step()
    first.step()
    first.save(tmp_path)
    second.restore(tmp_path)
    for report in wanted:
        np.testing.assert_equal(second.step(), report)
    for part, value in unbroken.model.parameters.items():
        assert torch.equal(second.model.parameters[part], value)


@pytest.mark.parametrize(
    ("method", "plain"),
    [
        (replace(prompt_curriculum(), candidates=1),
         GroupRelative(leave_one_out=False, surrogate=PLAIN, most_weight=None)),
        (GatedDemonstrations(gate=-1), GroupRelative()),
        (Replayed(room=0), grpo()),
        (Privileged(hinted=hinted, share=0.0), grpo()),
        (SegmentRelative(most_cuts=0),
         GroupRelative(surrogate=Surrogate(high=0.2), most_weight=None)),
        (TreeRelative(branches=(), length=6),
         GroupRelative(surrogate=Surrogate(high=0.2), most_weight=None, mean="constant", length=6)),
        (Windowed(window=6, base=Proximal(trace=1.0)), Proximal(trace=1.0)),
    ],
    ids=["no candidates", "a gate for nobody", "no room", "nobody hinted", "no cuts",
         "no branches", "a window for all"],
)  # fmt: skip
def test_at_its_neutral_setting_a_method_is_the_plain_one(method, plain):
    assert_same_run(method, plain, config=replace(SMALL, updates=3), atol=1e-12)


def test_gains_that_weigh_nothing_leave_the_turns_own_credit():
    still = InformationGain(weight=0.0, is_scaled=False)
    assert_same_run(still, TurnWise(), FindByLooking(facts=3), atol=1e-12)


def rollouts_loss(credit):
    """The loss in which a rollout is one unit, on the two-step tree."""

    def loss(theta, rollouts):
        logp, there = log_probs(theta, rollouts)
        unit_of = np.where(there, np.arange(len(rollouts))[:, None], -1)
        values = to_tokens(credit(WORTH[list(rollouts)]), unit_of)
        scale = token_scale(unit_of, "constant", length=LENGTH)
        return policy_gradient_loss(logp, logp.detach(), values, unit_of, scale, PLAIN)

    return loss


def is_parallel(found, exact):
    return np.allclose(found, (found @ exact) / (exact @ exact) * exact, atol=1e-12)


def test_a_stored_value_has_the_exact_gradient_and_a_z_score_has_not():
    everyone, value = np.ones(3, dtype=bool), np.full(3, 0.3)
    for is_whitened in (False, True):
        method = SingleStream(is_whitened=is_whitened)
        loss = rollouts_loss(lambda reward, m=method: m.credit(reward, value, everyone))
        found = expected_gradient(loss, 3) * LENGTH
        assert is_parallel(found, exact_gradient(WORTH)) != is_whitened
        if not is_whitened:
            np.testing.assert_allclose(found, exact_gradient(WORTH), atol=1e-12)


def test_a_shrunk_value_has_the_exact_gradient_where_one_leaves_oneself_out():
    group, everyone, value = np.zeros(3, dtype=int), np.ones(3, dtype=bool), np.full(3, 0.9)
    for leave_one_out in (True, False):
        method = ValueGuided(baseline="shrunk", base=GroupRelative(leave_one_out=leave_one_out))
        loss = rollouts_loss(lambda reward, m=method: m.credit(reward, value, group, everyone))
        found = expected_gradient(loss, 3) * LENGTH
        assert is_parallel(found, exact_gradient(WORTH)) == leave_one_out
        if leave_one_out:
            np.testing.assert_allclose(found, exact_gradient(WORTH), atol=1e-12)


@pytest.mark.parametrize("is_independent", [True, False])
def test_segments_have_the_exact_gradient_where_endings_know_nothing_of_their_row(is_independent):
    """A cut behind `b`; V there is one fresh ending, or (wrongly) the row's own."""
    theta = parameters()
    probability = torch.softmax(theta[2:], 0).detach().numpy()
    first = torch.softmax(theta[:2], 0).detach().numpy()
    chance = [first[t[0]] * (probability[t[1]] if len(t) > 1 else 1.0) for t in TRAJECTORIES]
    total = np.zeros(5)
    for pair in product(range(4), repeat=2):
        for ending in product(range(3), repeat=2):
            fresh = [WORTH[1 + e] for e in ending]
            worth = np.full((2, 3), np.nan)
            for row, t in enumerate(pair):
                worth[row, 0] = WORTH[pair[1 - row]]
                if t == 0:
                    worth[row, 1] = WORTH[0]
                else:
                    worth[row, 1:] = fresh[row] if is_independent else WORTH[t], WORTH[t]
            logp, there = log_probs(theta, pair)
            unit_of = np.where(there, np.arange(4).reshape(2, 2), -1)
            values = to_tokens(segment_advantage(worth).reshape(-1), unit_of)
            scale = token_scale(unit_of, "constant", length=LENGTH)
            loss = policy_gradient_loss(logp, logp.detach(), values, unit_of, scale, PLAIN)
            weight = np.prod([chance[t] for t in pair]) * np.prod(probability[list(ending)])
            total -= weight * torch.autograd.grad(loss, theta)[0].numpy() * LENGTH
    assert np.allclose(total, exact_gradient(WORTH), atol=1e-12) == is_independent


@pytest.mark.parametrize("order", ["summed_first", "centred_first"])
def test_gains_summed_before_they_are_centred_have_the_exact_gradient(order):
    method = InformationGain(order=order, is_scaled=False)
    # What is gained by saying `b` is known before the next turn.
    gains, ends = {0: (), 1: (0.5,), 2: (0.5,), 3: (0.5,)}, WORTH

    def loss(theta, rollouts):
        logp, there = log_probs(theta, rollouts)
        unit_of = np.full(there.shape, -1)
        unit_of[there] = np.arange(there.sum())
        row, turn = np.nonzero(there)
        is_last = np.append(row[1:] != row[:-1], True)
        gain = np.concatenate([(*gains[r], 0.0) for r in rollouts])
        reward = np.where(is_last, ends[np.array(rollouts)[row]], 0.0)
        values = method.credit(gain, reward, np.zeros(len(row), dtype=int), row, turn, is_last)
        scale = token_scale(unit_of, "constant", length=LENGTH)
        values = to_tokens(values, unit_of)
        return policy_gradient_loss(logp, logp.detach(), values, unit_of, scale, PLAIN)

    found = expected_gradient(loss, 3) * LENGTH
    exact = exact_gradient(np.array([sum(gains[r]) + ends[r] for r in range(4)]))
    assert np.allclose(found, exact, atol=1e-12) == (order == "summed_first")


def test_a_prompt_is_held_to_what_it_earned_before_and_drift_is_measured_on_what_it_said():
    method = SingleStream(is_whitened=False, candidates=1)
    first = method.gathered(ask())
    heard = method.heard(seen_of(first))
    mine = first.rollouts.is_drawn[0]
    np.testing.assert_allclose(heard.advantage[0][mine], first.grades.reward[0] - 0.5)
    # The same policy, then one that has moved.
    moved = tiny(seed=1)
    wanted = {}
    for name, model in (("still", tiny()), ("moved", moved)):
        again = method.gathered(ask(memory=heard.memory))
        after = method.heard(seen_of(again, heard.memory, model))
        wanted[name] = after.memory
    last = first.rollouts.take(np.flatnonzero(first.rollouts.prompt_of == 0)[-1:])
    now = token_log_probs(moved, last, 1.0)[last.is_drawn] - last.log_prob[last.is_drawn]
    drift = float(now.abs().mean())
    text = first.problems[0].prompt
    names = heard.memory["prompts"].tobytes().decode().split("\0")[:-1]
    at = names.index(text)
    before = ValueTracker(successes=heard.memory["successes"], failures=heard.memory["failures"])
    rows = [row for row, problem in enumerate(again.problems) if problem.prompt == text]
    assert [p.prompt for p in first.problems].count(text) == 3
    for name, far in (("still", 0.0), ("moved", drift)):
        entry, reward = np.full(len(rows), at), again.grades.reward[rows]
        apart = np.r_[far, np.zeros(len(rows) - 1)]
        value = before.updated(entry, reward, apart).successes[at]
        np.testing.assert_allclose(wanted[name]["successes"][at], value, rtol=1e-9)
    assert wanted["moved"]["successes"][at] < wanted["still"]["successes"][at]


def test_one_rate_of_forgetting_asks_for_no_drift():
    method = SingleStream(forgetting=0.5)
    heard = method.heard(seen_of(method.gathered(ask())))
    assert set(heard.memory) == {"prompts", "successes", "failures"}
    tracker = ValueTracker.new(1).updated(np.array([0]), np.array([1.0]), np.zeros(1), 0.5)
    assert tracker.successes == [1.25]
    assert tracker.failures == [0.25]


def test_a_value_of_prompts_learns_which_are_answered_rightly():
    states = prompt_states(tiny(), ["aaa", "b", "cc"])
    np.testing.assert_allclose(states[:, -1], 1.0)
    value = PromptValue(gram=np.zeros((17, 17)), moment=np.zeros(17), ridge=1e-6)
    np.testing.assert_allclose(value.value(states), 0.5)
    told = value.updated(states, np.array([1.0, 0.25, 0.0]), np.array([8.0, 8.0, 8.0]))
    np.testing.assert_allclose(told.value(states), [1.0, 0.25, 0.0], atol=1e-3)
    back = PromptValue.recalled(told.kept(), 17)
    np.testing.assert_array_equal(back.gram, told.gram)
    outside = value.updated(states, np.array([1.0, 0.0, 0.0]), np.full(3, 8.0))
    far = outside.value(np.concatenate([5.0 * states, -5.0 * states]))
    assert (far.min(), far.max()) == (0.0, 1.0)
    # What was learnt fades: the newer half of the evidence weighs more.
    later = told.updated(states, np.array([0.0, 0.25, 1.0]), np.array([8.0, 8.0, 8.0]))
    assert later.value(states)[0] < 0.5 < later.value(states)[2]
    moment = 8.0 * (0.9 * states.T @ [0.5, -0.25, -0.5] + states.T @ [-0.5, -0.25, 0.5])
    np.testing.assert_allclose(later.moment, moment, atol=1e-12)
    np.testing.assert_allclose(later.gram, 8.0 * 1.9 * states.T @ states, atol=1e-12)


def test_a_prompts_state_is_the_policys_after_its_last_token():
    from penchant.lm.tokens import Tokens

    model, states = tiny(), prompt_states(tiny(), ["aaa", "b"])
    for text, state in zip(("aaa", "b"), states):
        ids = torch.tensor([[model.tokenizer.begin, *model.tokenizer.encode(text)]])
        tokens = Tokens(ids=ids, is_text=torch.ones_like(ids, dtype=torch.bool))
        last = model.network.read(model.parameters, tokens).states[0, -1]
        np.testing.assert_allclose(state[:-1], last.detach().numpy() / 4.0, atol=1e-9)


def test_prompts_near_one_half_are_taken_and_budgets_are_kept():
    method = useful_budget()
    batch = method.gathered(ask())
    assert len(batch.rollouts) == 9
    assert np.bincount(batch.rollouts.prompt_of).min() >= 2
    curriculum = prompt_curriculum()
    first = curriculum.gathered(ask())
    heard = curriculum.heard(seen_of(first))
    second = curriculum.gathered(ask(seed=3, memory=heard.memory))
    problems = EvenBytes().draw(12, np.random.default_rng(3))
    states = prompt_states(tiny(), [problem.prompt for problem in problems])
    value = PromptValue.recalled(heard.memory, states.shape[1]).value(states)
    apart = np.sort(np.abs(value - 0.5))
    np.testing.assert_allclose(np.sort(np.abs(second.told["value"] - 0.5)), apart[:3], atol=1e-12)


def test_rollouts_go_on_until_the_baseline_is_sure():
    method = replace(shrunk_prior(), most=9)
    surprising = Ask(**{**vars_of(ask()), "grade": lambda p, said: {"correct": 1.0}})
    # A prior of 1/2 and nothing but successes: more are asked for, as the rule says for each count.
    batch = method.gathered(surprising)
    num = np.bincount(batch.rollouts.prompt_of)
    assert np.all(np.diff(batch.rollouts.prompt_of) >= 0)
    assert np.all(num == 9)
    certain = replace(method, most=3)
    assert np.all(np.bincount(certain.gathered(surprising).rollouts.prompt_of) == 3)
    held = shrunk_baseline(
        np.ones(3), np.zeros(3), np.zeros(3, dtype=int), np.arange(3), np.ones(3, dtype=bool)
    )
    credit = method.credit(
        np.ones(3), np.full(3, 0.5), np.zeros(3, dtype=int), np.ones(3, dtype=bool)
    )
    np.testing.assert_allclose(credit, 1.0 - 0.5 * (held + 1.0))


def test_more_is_asked_where_it_makes_the_baseline_surer_and_never_of_what_has_no_reward():
    method, asked = shrunk_prior(), 0
    # Of the last nothing has a reward, however far its value is from what nothing earned.
    value = np.array([0.5, 0.9, 0.2, 0.05, 0.95])
    for num, right in product((2, 4, 7), (0.0, 0.5, 1.0)):
        prompt = np.repeat(np.arange(5), num)
        reward = np.tile(np.arange(num) < right * num, 5).astype(float)
        reward[prompt == 4] = np.nan
        wanted = []
        for p in range(4):
            apart = (2.0 * (reward[prompt == p] - value[p])).mean() ** 2
            bias = max(0.0, apart - 1.0 / num)
            error = [bias / k / (bias + 1.0 / k) for k in (num, num + 1.0)]
            wanted += [p] if error[0] - error[1] >= 1.0 / 256.0 else []
        assert method.unsure(prompt, reward, value).tolist() == wanted
        assert not len(replace(method, most=num + 1).unsure(prompt, reward, value))
        asked += len(wanted)
    assert 5 < asked < 30


def test_one_alone_is_held_to_what_was_foretold():
    alone = (np.array([0.7]), np.array([0.2]), np.array([0]), np.array([True]))
    np.testing.assert_allclose(useful_budget().credit(*alone), [0.5])
    assert prompt_curriculum().credit(*alone) == [0.0]
    # Twice as far on the scale of -1 and 1, and back.
    np.testing.assert_allclose(shrunk_prior().credit(*alone), [0.5])
    single = replace(SMALL, group_size=1)
    assert np.isfinite(PolicyTrainer(tiny(), EvenBytes(), shrunk_prior(), single).step().reward)
    assert replace(shrunk_prior(), base=grpo()).smallest_group == 1
    with pytest.raises(ConfigError, match="expected 2 or more"):
        PolicyTrainer(tiny(), EvenBytes(), prompt_curriculum(), single)


def test_what_the_value_learns_is_the_mean_of_each_prompt_weighed_by_its_rollouts():
    method, batch = useful_budget(), useful_budget().gathered(ask(seed=2))
    reward = batch.grades.reward.copy()
    reward[0] = np.nan
    heard = method.heard(replace(seen_of(batch), reward=reward))
    states, prompt = batch.told["states"], batch.rollouts.prompt_of
    gram = sum(np.outer(states[p], states[p]) for p in prompt[1:])
    moment = sum(states[p] * (r - 0.5) for p, r in zip(prompt[1:], reward[1:]))
    np.testing.assert_allclose(heard.memory["value_gram"], gram, atol=1e-12)
    np.testing.assert_allclose(heard.memory["value_moment"], moment, atol=1e-12)
    assert len(set(np.bincount(prompt[1:]))) > 1


def test_shares_of_success_and_groups_within_the_most_are_asked_for():
    for method in (prompt_curriculum(), useful_budget(), shrunk_prior(), SingleStream()):
        seen = seen_of(method.gathered(ask()))
        with pytest.raises(ConfigError, match="expected 0 to 1"):
            method.heard(replace(seen, reward=seen.reward - 2.0))
    for method in (useful_budget(), shrunk_prior()):
        with pytest.raises(ConfigError, match="groups of 2 or fewer"):
            replace(method, most=2).gathered(ask())


def test_a_report_compares_only_where_there_are_two_and_tells_of_what_was_drawn():
    single = replace(SMALL, group_size=1)
    report = PolicyTrainer(tiny(), EvenBytes(), SingleStream(), single).step()
    assert np.isnan(report.degenerate)
    # All rows but the demonstrations, whose length is one letter and the end.
    method = GatedDemonstrations(gate=3)
    report = PolicyTrainer(tiny(), EvenBytes(), method, SMALL).step()
    batch = PolicyTrainer(tiny(), EvenBytes(), method, SMALL)._gathered()
    own = batch.rollouts.take(np.arange(9))
    assert len(batch.rollouts) == 12
    assert report.length == own.lengths.mean() != batch.rollouts.lengths.mean()
    assert report.ended == own.has_ended.mean()
    assert report.entropy == pytest.approx(float(own.entropy[own.is_drawn].mean()))


def vars_of(given):
    return {name: getattr(given, name) for name in given.__dataclass_fields__}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 300))
def test_a_segment_is_worth_what_it_changed(seed):
    method = SegmentRelative(completions=2, stride=2, most_cuts=2)
    batch = method.gathered(ask(seed=seed))
    cut, value = batch.told["cut"], batch.told["value"]
    assert batch.spent > 0 or not cut.any()
    heard = method.heard(seen_of(batch))
    reward, prompt = batch.grades.reward, batch.rollouts.prompt_of
    number = 0
    for row in range(len(batch.rollouts)):
        places = np.flatnonzero(batch.rollouts.is_drawn[row])
        unsure = [p for p in places[1:]
                  if np.exp(float(batch.rollouts.log_prob[row, p])) < 0.9]  # fmt: skip
        assert np.flatnonzero(cut[row]).tolist() == unsure[1::2][:2]
        others = (prompt == prompt[row]) & (np.arange(len(prompt)) != row)
        worth = [reward[others].mean(), *value[number : number + cut[row].sum()], reward[row]]
        number += cut[row].sum()
        bounds = [places[0], *np.flatnonzero(cut[row]), places[-1] + 1]
        for before, after, first, last in zip(worth, worth[1:], bounds, bounds[1:]):
            np.testing.assert_allclose(heard.advantage[row, first:last], after - before, atol=1e-9)


def test_only_tokens_with_a_choice_are_trained_as_published():
    batch = spo_segments().gathered(ask())
    heard = spo_segments().heard(seen_of(batch))
    sure = np.exp(batch.rollouts.log_prob.numpy()) >= 0.9
    assert np.all(heard.unit_of[sure] == -1)
    np.testing.assert_allclose(segment_advantage(np.array([[0.1, np.nan, 0.5, 1.0]])),
                               [[0.4, 0.4, 0.5]])  # fmt: skip


def test_an_ending_is_no_longer_than_what_it_stands_in_for_where_the_window_is_full():
    long = replace(ask(), sampling=SampleConfig(most_tokens=44))
    batch = SegmentRelative(completions=2, stride=9, most_cuts=2).gathered(long)
    assert batch.told["cut"].any()
    short = SegmentRelative(completions=2, stride=2).gathered(ask())
    row, place = np.nonzero(short.told["cut"])
    room = 6 - (place + 1 - short.rollouts.start[row])
    assert len(set(room)) > 1
    assert 0 < short.spent <= 2 * room.sum()


def seen_looks(seed=0):
    got = explore(tiny(), FindByLooking(facts=3, most_turns=3), 2, 3, SampleConfig(most_tokens=3),
                  np.random.default_rng(seed), torch.Generator().manual_seed(seed))  # fmt: skip
    return seen_of(got)


def test_a_turn_gains_what_it_raised_the_true_answer_by():
    seen = seen_looks()
    model, ids = seen.model, seen.rollouts.tokens.ids.numpy()
    found = turn_gains(seen, is_logarithmic=True)
    for b in range(len(ids)):
        truth = model.tokenizer.encode(seen.problems[b].demonstration)
        starts = [int(np.flatnonzero(seen.rollouts.turn_of[b] == t)[0]) for t in range(3)
                  if (seen.rollouts.turn_of[b] == t).any()]  # fmt: skip
        worth = []
        for at in starts:
            row = torch.tensor([[*ids[b, : at + 1], *truth]])
            from penchant.lm.tokens import Tokens

            tokens = Tokens(ids=row, is_text=torch.ones_like(row, dtype=torch.bool))
            states = model.network.read(model.parameters, tokens).states
            logp = model.network.logits(model.parameters, states).log_softmax(-1)[0]
            worth.append(np.mean([float(logp[at + j, t]) for j, t in enumerate(truth)]))
        np.testing.assert_allclose(found[b, : len(starts) - 1], np.diff(worth), atol=1e-9)
        assert np.all(found[b, len(starts) - 1 :] == 0.0)


def test_turns_are_told_apart_where_every_episode_fails_alike():
    seen = seen_looks(2)
    assert np.all(seen.reward == 0.0)
    heard = InformationGain().heard(seen)
    assert np.abs(heard.advantage).max() > 0.0
    assert np.abs(TurnWise().heard(seen).advantage).max() == 0.0
    got = explore(tiny(), OpenDoor(horizon=2), 1, 2, SampleConfig(most_tokens=2),
                  np.random.default_rng(0), torch.Generator().manual_seed(0))  # fmt: skip
    with pytest.raises(DataError, match="no true answer"):
        InformationGain().heard(seen_of(got))


def test_a_prompt_that_is_not_solved_imitates_and_the_others_climb_each_normalised_apart():
    method = GatedDemonstrations(gate=1, right_from=0.5, weight=0.7)
    batch = method.gathered(ask(seed=6))
    gated, heard = batch.told["gated"], method.heard(seen_of(batch))
    assert 0 < len(gated) < 3
    own = len(batch.rollouts) - len(gated)
    assert batch.rollouts.responses[own:] == ("b",) * len(gated)
    dropped = np.isin(batch.rollouts.prompt_of[:own], gated)
    assert np.all(heard.unit_of[:own][dropped] == -1)
    assert heard.shown.tolist() == [0.0] * own + [0.7] * len(gated)
    assert batch.spent == -int(batch.rollouts.lengths[own:].sum())
    # The trainer's step on it, against the two losses written out.
    trainer = PolicyTrainer(tiny(), EvenBytes(), method, SMALL)
    leaves = {name: v.clone().requires_grad_() for name, v in tiny().parameters.items()}
    model = tiny().with_parameters(leaves)
    logp = token_log_probs(model, batch.rollouts, 1.0)
    climbing = heard.unit_of[:own] >= 0
    gain = (logp[:own] * torch.tensor(heard.advantage[:own]))[torch.tensor(climbing)].sum()
    shown = logp[own:][torch.tensor(heard.unit_of[own:] >= 0)]
    wanted = torch.autograd.grad(gain / climbing.sum() + 0.7 * shown.mean(), list(leaves.values()))
    rows = np.flatnonzero((heard.unit_of >= 0).any(axis=1))
    found = gradient_of(trainer, batch, heard, rows)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-12)


def gradient_of(trainer, batch, heard, rows, old=None):
    from penchant.policies.language.objective import PolicyObjective

    leaves = {name: v.clone().requires_grad_() for name, v in tiny().parameters.items()}
    objective = PolicyObjective(
        model=tiny(), rollouts=batch.rollouts, unit_of=heard.unit_of, advantage=heard.credit,
        scale=trainer._scale(rows, batch.rollouts, heard), surrogate=trainer.method.surrogate,
        denominator=heard.kind, old=old,
    )  # fmt: skip
    return torch.autograd.grad(objective.log_prob(leaves, rows), list(leaves.values()))


def test_a_group_that_fails_whole_takes_an_earlier_success_against_who_drew_it():
    first = OFTEN_RIGHT.gathered(ask())
    heard = OFTEN_RIGHT.heard(seen_of(first))
    right = first.grades.reward > 0.3
    assert right.any()
    again = OFTEN_RIGHT.gathered(ask(memory=heard.memory, model=tiny(seed=5)))
    replayed = again.told["replayed"]
    assert replayed.any()
    told = OFTEN_RIGHT.heard(seen_of(again, heard.memory))
    assert told.kind[replayed].tolist() == [0] * int(replayed.sum())
    assert np.all(told.kind[~replayed] == 1)
    kept = {first.rollouts.responses[row]: float(first.grades.reward[row])
            for row in np.flatnonzero(right)}  # fmt: skip
    for row in np.flatnonzero(replayed):
        assert again.rollouts.responses[row] in kept
        assert again.grades.reward[row] == kept[again.rollouts.responses[row]]
        # Its log-probabilities are those of the day it was drawn, by the model as it was then.
        mine = again.rollouts.take(np.array([row]))
        np.testing.assert_allclose(
            mine.log_prob[mine.is_drawn], token_log_probs(tiny(), mine, 1.0)[mine.is_drawn],
            atol=1e-9,
        )  # fmt: skip
    assert np.all(Replayed(is_corrected=False).heard(seen_of(again)).kind == 1)
    drawn = again.rollouts.lengths.sum() + again.spent
    plain = ask(model=tiny(seed=5)).answered(EvenBytes().draw(3, np.random.default_rng(0)))
    assert drawn == plain.rollouts.lengths.sum()


def test_a_memory_of_successes_holds_the_latest_of_each_prompt():
    method = replace(OFTEN_RIGHT, room=1)
    heard = method.heard(seen_of(method.gathered(ask())))
    _, buffer = method._recalled(heard.memory)
    assert max(len(mine) for mine in buffer.kept) == 1
    batch, compared = method.gathered(ask()), 0
    for place, mine in enumerate(buffer.kept):
        text = heard.memory["prompts"].tobytes().decode().split("\0")[place]
        rows = [row for row in np.flatnonzero(batch.grades.reward > 0.3)
                if batch.problems[row].prompt == text]  # fmt: skip
        if rows:
            real = batch.rollouts.tokens.is_text[rows[-1]]
            np.testing.assert_array_equal(mine[0].ids, batch.rollouts.tokens.ids[rows[-1]][real])
            compared += 1
    assert compared


def test_guided_rows_are_trained_as_if_nobody_had_helped():
    assert Privileged(hinted=hinted).gathered(ask()).is_plain.tolist() == [True, False, False] * 3
    method = Privileged(hinted=hinted, share=1 / 3)
    batch = method.gathered(ask(version=7))
    assert batch.rollouts.versions.tolist() == [7] * 9
    assert batch.rollouts.prompt_of.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert batch.is_plain.tolist() == [True, True, False] * 3
    for row, problem in enumerate(batch.problems):
        ids = batch.rollouts.tokens.ids[row, : batch.rollouts.start[row]].tolist()
        assert tiny().tokenizer.decode(ids) == problem.prompt
    guided = batch.rollouts.take(np.array([2]))
    seen = ask(sampling=SampleConfig(most_tokens=6))
    prompt = seen.model.tokenizer.encode(hinted(batch.problems[2]))
    said = guided.tokens.ids[0, 1:][torch.tensor(guided.is_drawn[0])].tolist()
    begin = seen.model.tokenizer.begin
    row = torch.tensor([[begin, *prompt, *said]])
    from penchant.lm.log_probs import log_probs as read
    from penchant.lm.tokens import Tokens

    tokens = Tokens(ids=row, is_text=torch.ones_like(row, dtype=torch.bool))
    under_hint = read(tiny(), tokens).log_prob[0, -len(said) :]
    np.testing.assert_allclose(guided.log_prob[guided.is_drawn], under_hint, atol=1e-9)
    states = tiny().network.read(tiny().parameters, tokens).states
    logp = tiny().network.logits(tiny().parameters, states).log_softmax(-1)[0, -len(said) - 1 : -1]
    sure = guided.entropy[guided.is_drawn]
    np.testing.assert_allclose(sure, -(logp.exp() * logp).sum(-1).detach(), atol=1e-9)
    stripped = token_log_probs(tiny(), guided, 1.0)[guided.is_drawn]
    assert float((under_hint - stripped).abs().max()) > 0.01
    # A report tells what the policy earned without help.
    report = PolicyTrainer(tiny(), EvenBytes(), method, SMALL).step()
    own = PolicyTrainer(tiny(), EvenBytes(), method, SMALL)._gathered()
    assert report.reward == own.grades.reward[own.is_plain].mean()


def test_worlds_and_what_would_not_be_heeded_are_refused():
    for name, method in METHODS.items():
        with pytest.raises(ConfigError, match="single answers"):
            method.gathered(ask(OpenDoor(rooms=2)))
        assert name
    anchor = Anchor(strength=0.1, place="reward")
    for made in (
        lambda: SingleStream(anchor=anchor),
        lambda: ValueGuided(base=GroupRelative(anchor=anchor)),
        lambda: SegmentRelative(anchor=anchor),
        lambda: InformationGain(anchor=anchor),
        lambda: hpt(6, anchor),
        lambda: Replayed(base=GroupRelative()),
        lambda: Privileged(hinted=hinted, base=GroupRelative()),
        lambda: Privileged(hinted=hinted, share=1.5),
        lambda: TreeRelative(anchor=anchor),
        lambda: TreeRelative(branches=(1,)),
        lambda: Moded(modes=()),
        lambda: Moded(modes=("a", "a")),
        lambda: WithTruth(base=GroupRelative()),
        lambda: WithTruth(worth=0.0),
        lambda: Windowed(window=0),
    ):
        with pytest.raises(ConfigError, match="expected"):
            made()
