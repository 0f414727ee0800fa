"""Steps with a worth of their own: the loss by hand, the critic, what is tried, what it teaches."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.fitting.sgd import TrainConfig
from penchant.lm.low_rank import LowRankConfig
from penchant.lm.sample import SampleConfig
from penchant.numerics.arrays import sigmoid
from penchant.policies.language.grading import correct
from penchant.policies.language.methods.direct_advantage import (
    DirectAdvantage,
    Searched,
    direct_advantage,
    searched,
)
from penchant.policies.language.preference import advantage_loss
from penchant.policies.language.rollouts import demonstration_ids, prompt_ids
from penchant.policies.language.state_value import Tried, ends_log_prob, fit_state_value
from penchant.policies.language.valued_steps import StepsConfig, ValuedSteps, fit_valued_steps
from penchant.simulation.tasks.task import Problem

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.lm.tokens import padded  # noqa: E402
from penchant.policies.language.branching import draw_endings  # noqa: E402
from penchant.policies.language.valued_steps import _Regressed  # noqa: E402

SEEDS = st.integers(0, 10_000)
LOW = tuple(chr(code) for code in range(80))
SAMPLING = SampleConfig(most_tokens=6)


@dataclass(frozen=True)
class LowFirst:
    """Right where the answer begins with a letter below "P"."""

    def draw(self, num, generator):
        return [Problem(prompt=str(n % 5), demonstration="", difficulty=1) for n in range(num)]

    def grade(self, problem, response):
        return {"correct": float(response[:1] != "" and ord(response[0]) < 80)}


def log_pi(model, row, place):
    """Of what stands from a place on, by a loop over its tokens."""
    states = model.network.read(model.parameters, padded([row], 0)).states
    log_p = model.network.logits(model.parameters, states)[0].log_softmax(-1)
    return sum(float(log_p[t - 1, row[t]]) for t in range(place, len(row)))


@settings(max_examples=20)
@given(SEEDS, st.floats(0.05, 3.0))
def test_the_policy_of_most_reward_under_a_divergence_loses_nothing(seed, strength):
    rng = np.random.default_rng(seed)
    reference, reward = rng.dirichlet(np.ones(5)), rng.normal(size=5)
    best = reference * np.exp(reward / strength)
    best /= best.sum()
    # Its soft value in place of the mean: then the advantage is beta times the log-ratio.
    level = strength * np.log((reference * np.exp(reward / strength)).sum())
    utility = strength * np.log(best / reference)
    np.testing.assert_allclose(advantage_loss(utility, reward - level, strength), 0.0, atol=1e-18)
    other = strength * np.log(rng.dirichlet(np.ones(5)) / reference)
    by_hand = [(u / strength - (r - level) / strength) ** 2 / 2 for u, r in zip(other, reward)]
    np.testing.assert_allclose(advantage_loss(other, reward - level, strength), by_hand)


def test_the_loss_of_steps_is_by_hand_of_the_step_alone():
    model = tiny()
    told = [demonstration_ids(model.tokenizer, prompt, text) for prompt, text in
            (("a?", "7,"), ("bb?", "no"), ("a?", "3,9"))]  # fmt: skip
    steps = ValuedSteps(
        rows=[row for row, _ in told], place=np.array([place + (n == 2) for n, (_, place)
                                                       in enumerate(told)]),
        advantage=np.array([0.4, -0.3, 0.1]),
    )  # fmt: skip
    moved = model.with_parameters({n: 1.1 * v for n, v in model.parameters.items()})
    before, after = (
        np.array([log_pi(each, *step) for step in zip(steps.rows, steps.place)])
        for each in (model, moved)
    )
    for layout in ("packed", "padded"):
        objective = _Regressed(
            model=model, steps=steps, config=StepsConfig(strength=0.5, layout=layout),
            reference=torch.from_numpy(before),
        )  # fmt: skip
        found = float(objective.log_prob(moved.parameters, np.arange(3)))
        wanted = (after - before - steps.advantage / 0.5) ** 2 / 2
        assert -found == pytest.approx(wanted.sum(), rel=1e-9)


@pytest.mark.parametrize("low_rank", [None, LowRankConfig(rank=4)])
def test_log_ratios_reach_the_advantage_over_the_strength_and_stay_there(low_rank):
    model, advantage = tiny(), np.array([0.4, -0.4, 0.2, 0.0] * 2)
    told = [demonstration_ids(model.tokenizer, f"{n}?", "ab") for n in range(8)]
    steps = ValuedSteps(
        rows=[row for row, _ in told], place=np.array([place for _, place in told]),
        advantage=advantage,
    )  # fmt: skip
    training = TrainConfig(batch_size=8, max_epochs=150, learning_rate=0.01, patience=None)
    policy, done = fit_valued_steps(
        model, steps, training, StepsConfig(strength=0.5, low_rank=low_rank)
    )
    apart = [log_pi(policy, row, place) - log_pi(model, row, place) for row, place in told]
    np.testing.assert_allclose(apart, advantage / 0.5, atol=0.15)
    assert done.looks[-1].train > -0.01


@settings(max_examples=20)
@given(SEEDS)
def test_the_critics_likelihood_is_that_of_its_endings_one_by_one(seed):
    rng = np.random.default_rng(seed)
    logit, num = rng.normal(size=4, scale=3), rng.integers(1, 6, 4).astype(float)
    right = np.floor(rng.random(4) * (num + 1))
    by_hand = [
        k * np.log(sigmoid(v)) + (n - k) * np.log(1.0 - sigmoid(v))
        for v, k, n in zip(logit, right, num)
    ]
    np.testing.assert_allclose(ends_log_prob(logit, right, num), by_hand, atol=1e-9)


@pytest.mark.parametrize("low_rank", [None, LowRankConfig(rank=4)])
def test_a_critic_learns_how_often_partial_answers_end_right(low_rank):
    model = tiny()
    rows = [prompt_ids(model.tokenizer, f"{n}?{said}") for n in range(6) for said in "ab"]
    tried = Tried(rows=rows, right=np.tile([3.0, 1.0], 6), num=np.full(12, 4.0))
    training = TrainConfig(batch_size=12, max_epochs=80, learning_rate=0.02, patience=None)
    critic = fit_state_value(model, tried, training, low_rank=low_rank)
    np.testing.assert_allclose(critic.chance(rows), np.tile([0.75, 0.25], 6), atol=0.05)
    # It is a copy: the policy reads as before.
    assert all(torch.equal(value, tiny().parameters[n]) for n, value in model.parameters.items())
    start = fit_state_value(model, tried, replace(training, max_epochs=1, learning_rate=1e-12))
    np.testing.assert_allclose(start.chance(rows), 0.5, atol=1e-6)


def test_what_no_critic_could_learn_from_is_refused():
    with pytest.raises(DataError, match="partial answer 1 has 3 right of 2 ends"):
        Tried(rows=[[1], [1]], right=np.array([0.0, 3.0]), num=np.array([2.0, 2.0]))
    with pytest.raises(DataError, match="one of each"):
        Tried(rows=[[1]], right=np.zeros(2), num=np.ones(2))
    with pytest.raises(DataError, match="not finite"):
        ValuedSteps(rows=[[1, 2]], place=np.array([1]), advantage=np.array([np.nan]))
    with pytest.raises(DataError, match="step 0 has no token"):
        ValuedSteps(rows=[[1, 2]], place=np.array([2]), advantage=np.array([0.0]))
    with pytest.raises(ConfigError, match="strength=0"):
        StepsConfig(strength=0.0)
    with pytest.raises(ConfigError, match="endings=0"):
        DirectAdvantage(endings=0)


def tried(config, seed=0, num=6, grade=LowFirst().grade):
    problems = LowFirst().draw(num, np.random.default_rng(0))
    generator = torch.Generator().manual_seed(seed)
    return problems, searched(tiny(), problems, config, SAMPLING, generator, grade, correct)


def test_steps_end_where_a_separator_or_the_answer_does():
    model, config = tiny(), DirectAdvantage(endings=3, separators=LOW)
    problems, found = tried(config)
    begun = [prompt_ids(model.tokenizer, problem.prompt) for problem in problems]
    assert any(state not in begun for state in found.states)
    for state in found.states:
        head = next(ids for ids in begun if state[: len(ids)] == ids)
        said = state[len(head) :]
        # Before the first step, or right behind a separator.
        assert not said or model.tokenizer.decode(said[-1:]) in LOW
    np.testing.assert_array_equal(found.state_of, np.repeat(np.arange(len(found.states)), 3))
    for row, place, state, is_final in zip(found.rows, found.place, found.state_of, found.is_final):
        assert row[:place] == found.states[state]
        step = row[place:]
        ends = [model.tokenizer.decode([token]) in LOW for token in step]
        assert step
        assert not any(ends[:-1])
        assert ends[-1] or is_final
        assert is_final or len(row) - 2 < SAMPLING.most_tokens
    assert found.is_final.any()
    assert not found.is_final.all()


def test_what_is_graded_is_the_whole_answer_to_its_own_problem():
    told = []

    def grade(problem, said):
        told.append((problem.prompt, said))
        return {"correct": 1.0}

    _, found = tried(DirectAdvantage(endings=3, separators=LOW), grade=grade)
    tokenizer, whole = tiny().tokenizer, np.flatnonzero(found.is_final)
    assert any(found.place[e] > 2 for e in whole)
    for ending in whole:
        prompt, said = told[ending]
        begun = prompt_ids(tokenizer, prompt)
        assert found.rows[ending][: len(begun)] == begun
        assert said == tokenizer.decode(found.rows[ending][len(begun) :])


def test_the_critic_hears_states_by_all_their_endings_and_what_steps_led_to_by_one():
    _, found = tried(DirectAdvantage(endings=3, separators=LOW))
    told, num = found.tried(), len(found.states)
    assert list(told.rows[:num]) == found.states
    for state in range(num):
        mine = found.reward[found.state_of == state]
        assert (told.right[state], told.num[state]) == (mine.sum(), 3)
    led = np.flatnonzero(~found.is_final)
    assert list(told.rows[num:]) == [found.rows[e] for e in led]
    np.testing.assert_array_equal(told.right[num:], found.reward[led])
    assert (told.num[num:] == 1).all()


def test_an_advantage_is_a_difference_of_values_and_of_a_whole_answer_ends_in_its_reward():
    found = Searched(
        rows=[[1, 5, 6], [1, 5, 7], [1, 5, 6, 8], [1, 5, 6, 9]], place=np.array([2, 2, 3, 3]),
        state_of=np.array([0, 0, 1, 1]), is_final=np.array([False, True, True, True]),
        reward=np.array([1.0, np.nan, 1.0, 0.0]), states=[[1, 5], [1, 5, 6]], drawn=9,
    )  # fmt: skip
    known = {(1, 5): 0.3, (1, 5, 6): 0.6, (1, 5, 7): 0.9, (1, 5, 6, 8): 0.1, (1, 5, 6, 9): 0.1}
    steps = found.valued(lambda rows: np.array([known[tuple(row)] for row in rows]))
    # What has no reward and no value after it teaches nothing.
    assert steps.rows == [found.rows[e] for e in (0, 2, 3)]
    np.testing.assert_allclose(steps.advantage, [0.6 - 0.3, 1.0 - 0.6, 0.0 - 0.6])
    told = found.tried()
    assert told.num.tolist() == [1.0, 2.0, 1.0]
    assert told.right.tolist() == [1.0, 1.0, 1.0]


def test_endings_without_any_reward_and_rewards_beyond_one_are_refused():
    config = DirectAdvantage(endings=2, separators=LOW)
    _, found = tried(config, grade=lambda problem, said: {"correct": None})
    with pytest.raises(DataError, match="no ending has a reward"):
        found.tried()
    _, found = tried(config, grade=lambda problem, said: {"correct": 2.0})
    with pytest.raises(DataError, match="from 0 to 1"):
        found.tried()


def test_a_round_makes_right_answers_likelier():
    config = DirectAdvantage(
        endings=6, separators=LOW, steps=StepsConfig(strength=0.2),
        critic=TrainConfig(batch_size=64, max_epochs=20, learning_rate=0.01, patience=None),
    )  # fmt: skip
    training = TrainConfig(batch_size=64, max_epochs=15, learning_rate=0.01, patience=None)
    model, task = tiny(), LowFirst()
    done = direct_advantage(
        model, task.draw(20, np.random.default_rng(0)), config, training, SAMPLING,
        torch.Generator().manual_seed(0), task.grade, correct,
    )  # fmt: skip
    assert done.drawn > 20 * 6

    def share_right(policy):
        found = []
        for n in range(5):
            row = prompt_ids(policy.tokenizer, str(n))
            states = policy.network.read(policy.parameters, padded([row], 0)).states
            share = policy.network.logits(policy.parameters, states)[0, -1].softmax(-1)
            low = [policy.tokenizer.decode([t]) in LOW for t in range(len(share))]
            found.append(float(share[torch.tensor(low)].sum()))
        return np.mean(found)

    assert share_right(done.policy) > share_right(model) + 0.15


@pytest.mark.parametrize("window", [48, 9])
def test_endings_have_no_more_tokens_than_there_is_room_and_stand_side_by_side(window):
    model = tiny()
    network = replace(model.network, config=replace(model.network.config, window=window))
    model = replace(model, network=network)
    begun, room = [[1, 70, 71, 72, 73, 74], [1, 80], [1, 90, 91]], np.array([3, 7, 6])
    ends = draw_endings(model, begun, room, SampleConfig(most_tokens=9),
                        torch.Generator().manual_seed(0), copies=40)  # fmt: skip
    assert len(ends) == 120
    for at in range(3):
        mine = ends[40 * at : 40 * at + 40]
        assert all(1 <= len(end) <= room[at] for end in mine)
        assert max(map(len, mine)) == room[at]
        # Drawn from where the row stands: the first token's law is the row's own.
        states = model.network.read(model.parameters, padded([begun[at]], 0)).states
        share = model.network.logits(model.parameters, states)[0, -1].softmax(-1)
        seen = np.mean([float(torch.log(share[end[0]])) for end in mine])
        mean = float((share * share.log()).sum())
        spread = float((share * (share.log() - mean) ** 2).sum() ** 0.5)
        assert abs(seen - mean) < 4 * spread / 40**0.5


def test_an_ending_goes_on_from_its_own_row():
    model = tiny()
    begun = [[1, *range(70 + 5 * n, 73 + 5 * n)] for n in range(6)]
    # So cold that every row has one ending only.
    ends = draw_endings(model, begun, np.full(6, 1), SampleConfig(temperature=1e-5),
                        torch.Generator().manual_seed(0), copies=4)  # fmt: skip
    states = [model.network.read(model.parameters, padded([row], 0)).states for row in begun]
    likeliest = [int(model.network.logits(model.parameters, s)[0, -1].argmax()) for s in states]
    assert len(set(likeliest)) > 2
    assert ends == [[token] for token in likeliest for _ in range(4)]
