"""Hints for a frozen model: what it makes of them is their reward; an anchor that adapts."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.policies.language.grading import OfBatches, correct, graded
from penchant.policies.language.methods.adaptive import AdaptiveAnchor
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.proximal import Proximal
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig
from penchant.simulation.tasks.chain import Chain
from penchant.simulation.tasks.task import Problem, TextTask

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.lm.tokens import padded  # noqa: E402
from penchant.policies.language.hints import (  # noqa: E402
    Beginning,
    FrozenAnswers,
    Hinted,
    HintProblem,
)
from penchant.policies.language.rollouts import prompt_ids  # noqa: E402
from policies.language.test_proximal import seen_of  # noqa: E402

TASK = Chain(fewest=1, most=2)


@dataclass
class Scribe:
    """Answers "#" and the hint's first letter; counts how often it was asked, and what."""

    calls: list

    def __call__(self, prompts):
        self.calls.append(list(prompts))
        return ["#" + prompt.partition("=")[2][:1] for prompt in prompts]


def hinted(answerer=None, **more):
    return Hinted(task=TASK, answerer=answerer or Scribe([]), pseudo_hint=Beginning(2), **more)


def test_a_hint_is_graded_by_what_the_frozen_model_makes_of_it():
    scribe = Scribe([])
    task = hinted(scribe)
    assert isinstance(task, TextTask)
    problems = task.draw(6, np.random.default_rng(0))
    plain = TASK.draw(6, np.random.default_rng(0))
    right = [problem.demonstration[-1] for problem in plain]
    wrong = [str((int(digit) + 1) % 10) for digit in right]
    hints = [*right[:3], *wrong[3:]]
    found = graded(task.grade, correct, problems, hints)
    assert found.reward.tolist() == [1.0] * 3 + [0.0] * 3
    # One call for all; the prompt with the hint behind it.
    assert scribe.calls == [[p.prompt + hint for p, hint in zip(plain, hints)]]
    # The task grades the problem that was asked, whose reference is no hint.
    assert [p.asked for p in problems] == list(plain)
    assert [p.demonstration for p in problems] == [p.demonstration[:2] for p in plain]
    assert task.grade(problems[0], right[0]) == found_of(found, 0)


class Copy:
    """Right where the answer is the reference."""

    def draw(self, num, generator):
        return [Problem(prompt=f"{n}=", demonstration=f"#{n}", difficulty=1) for n in range(num)]

    def grade(self, problem, response):
        return {"correct": float(response == problem.demonstration)}


def test_the_reference_that_grades_is_the_frozen_models_and_not_the_pseudo_hint():
    task = Hinted(task=Copy(), answerer=Scribe([]), pseudo_hint=lambda problem: "x")
    problems = task.draw(2, np.random.default_rng(0))
    assert graded(task.grade, correct, problems, ["0", "x"]).reward.tolist() == [1.0, 0.0]


def found_of(found, row):
    return {name: values[row] for name, values in found.components.items()}


def test_the_frozen_models_prompt_is_made_as_told():
    scribe = Scribe([])
    task = hinted(scribe, form=lambda prompt, hint: f"[{hint}] {prompt}")
    graded(task.grade, correct, task.draw(1, np.random.default_rng(0)), ["k"])
    assert scribe.calls[0][0].startswith("[k] ")


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_batches_are_graded_as_their_responses_one_by_one(seed):
    rng = np.random.default_rng(seed)
    problems = TASK.draw(5, rng)
    said = [f"#{digit}" for digit in rng.integers(0, 10, 5)]
    together = OfBatches(lambda asked, responses: list(map(TASK.grade, asked, responses)))
    one, other = (graded(grade, correct, problems, said) for grade in (together, TASK.grade))
    np.testing.assert_array_equal(one.reward, other.reward)
    for name, values in other.components.items():
        np.testing.assert_array_equal(one.components[name], values)


def test_a_frozen_model_that_fails_leaves_no_reward_and_is_counted():
    def broken(prompts):
        raise TimeoutError("no answer")

    for answerer, why in ((broken, TimeoutError), (lambda prompts: ["#1"], DataError)):
        task = hinted(answerer)
        problems = task.draw(3, np.random.default_rng(0))
        found = graded(task.grade, correct, problems, ["1", "2", "3"])
        assert np.isnan(found.reward).all()
        assert found.failed == 3
        with pytest.raises(why):
            task.grade.grade(problems, ["1", "2", "3"])


def test_a_language_model_answers_with_its_likeliest_tokens_whatever_stands_beside():
    model = tiny()
    answers = FrozenAnswers(model=model, most_tokens=4)
    prompts = ["1+1=", "a longer one", "x"]
    together = answers(prompts)
    assert together == [answers([prompt])[0] for prompt in prompts]
    for prompt, answer in zip(prompts, together):
        row = prompt_ids(model.tokenizer, prompt)
        said = []
        for _ in range(4):
            states = model.network.read(model.parameters, padded([[*row, *said]], 0)).states
            said.append(int(model.network.logits(model.parameters, states)[0, -1].argmax()))
            if said[-1] == model.tokenizer.end:
                break
        assert answer == model.tokenizer.decode(said)
    before = torch.get_rng_state()
    answers(["x"])
    assert torch.equal(before, torch.get_rng_state())


def test_a_prompt_beyond_the_frozen_models_window_costs_its_own_hint_alone():
    model = tiny()
    answers = FrozenAnswers(model=model, most_tokens=4)
    held = "x" * (model.network.window - 4 - len(prompt_ids(model.tokenizer, "")))
    said = answers(["1", f"{held}x", "2", held])
    assert isinstance(said[1], DataError)
    assert said[0::2] + said[3:] == answers(["1", "2", held])
    answers.check(["1", held])
    with pytest.raises(DataError, match=f"{model.network.window} in all, that model's window"):
        answers.check(["1", f"{held}x"])
    problems = [Problem(prompt="1=", demonstration="#", difficulty=1)] * 3
    task = Hinted(task=Copy(), answerer=answers, pseudo_hint=Beginning(1))
    found = graded(task.grade, correct, problems, ["2", held, f"{held}x"])
    assert np.isfinite(found.reward).tolist() == [True, False, False]
    assert found.failed == 2


def test_what_a_whole_batch_ended_with_is_told_once(caplog):
    def broken(prompts):
        raise TimeoutError("no answer")

    task = hinted(broken)
    graded(task.grade, correct, task.draw(5, np.random.default_rng(0)), list("12345"))
    assert [record.getMessage() for record in caplog.records] == [
        "grading by grader raised TimeoutError: no answer (5 of 5 responses)"
    ]


def test_a_task_of_hints_is_known_again_by_its_words():
    made = [
        Hinted(
            task=TASK,
            answerer=FrozenAnswers(model=tiny(seed), most_tokens=4),
            pseudo_hint=Beginning(num),
        )
        for seed, num in ((0, 2), (0, 2), (1, 2), (0, 3))
    ]
    words = [repr(each) for each in made]
    assert words[0] == words[1]
    assert len(set(words)) == 3
    assert "0x" not in words[0]


def low_letters(prompts):
    """Right where the hint begins with a byte below "P"."""
    return ["#" if len(p) > 1 and ord(p[1]) < 80 else "" for p in prompts]


@dataclass(frozen=True)
class Letters:
    def draw(self, num, generator):
        return [Problem(prompt=str(n % 3), demonstration="", difficulty=1) for n in range(num)]

    def grade(self, problem, response):
        return {"correct": float(response == "#")}


def test_a_policy_learns_the_hints_that_help():
    task = Hinted(task=Letters(), answerer=low_letters, pseudo_hint=Beginning(1))
    config = TrainerConfig(prompts=12, group_size=4, most_tokens=2, learning_rate=0.02)
    trainer = PolicyTrainer(tiny(), task, AdaptiveAnchor(), config)
    reports = [trainer.step() for _ in range(25)]
    assert np.mean([r.reward for r in reports[-5:]]) > reports[0].reward + 0.2
    assert reports[-1].divergence > 0.0


def hint_rows(strength, memory, seed=0):
    """What a step sees of hints under an anchor, at a policy that has moved."""
    rng = np.random.default_rng(seed)
    turns = [[0, 0, 0], [0, 0, -1]]
    cost = rng.normal(size=(2, 3)) * (np.array(turns) >= 0)
    seen = seen_of(turns, rng.normal(size=(2, 1)), rng.normal(size=(2, 3)), cost)
    return replace(seen, memory=memory)


@given(st.integers(0, 10_000), st.floats(0.01, 2.0))
@settings(max_examples=20, deadline=None)
def test_credit_is_that_of_ppo_with_the_anchor_as_it_is_now(seed, strength):
    seen = hint_rows(0.3, {"anchor_strength": np.array(strength)}, seed)
    base = Proximal(anchor=Anchor(strength=0.3, place="reward"))
    found = AdaptiveAnchor(base=base).heard(seen)
    wanted = replace(base, anchor=Anchor(strength=strength, place="reward")).heard(seen)
    np.testing.assert_array_equal(found.advantage, wanted.advantage)
    np.testing.assert_array_equal(found.target, wanted.target)
    first = AdaptiveAnchor(base=base).heard(replace(seen, memory={}))
    np.testing.assert_array_equal(first.advantage, base.heard(seen).advantage)


@given(st.integers(0, 10_000), st.floats(0.1, 5.0), st.floats(0.01, 0.9))
@settings(max_examples=30, deadline=None)
def test_the_anchor_is_strengthened_beyond_the_target_and_weakened_below(seed, target, gain):
    seen = hint_rows(0.3, {"anchor_strength": np.array(0.5)}, seed)
    apart = seen.log_ratio.sum(axis=1).mean()
    after = float(AdaptiveAnchor(target=target, gain=gain).heard(seen).memory["anchor_strength"])
    missed = min(max(apart / target - 1.0, -0.2), 0.2)
    assert after == pytest.approx(0.5 * (1.0 + gain * missed))


def test_what_cannot_adapt_is_refused():
    for anchor in (None, Anchor(strength=0.0, place="reward"), Anchor(strength=1.0, place="loss")):
        with pytest.raises(ConfigError, match="above 0, which is multiplied"):
            AdaptiveAnchor(base=Proximal(anchor=anchor))
    for wrong in ({"target": 0.0}, {"gain": 0.0}, {"gain": 5.0}):
        with pytest.raises(ConfigError, match="got target"):
            AdaptiveAnchor(**wrong)


def test_a_run_of_hints_goes_on_with_its_anchor_as_strong_as_it_was(tmp_path):
    task = Hinted(task=Letters(), answerer=low_letters, pseudo_hint=Beginning(1))
    config = TrainerConfig(prompts=3, group_size=2, most_tokens=2, learning_rate=0.02)
    whole, parts = (PolicyTrainer(tiny(), task, AdaptiveAnchor(target=0.01), config) for _ in "ab")
    for _ in range(4):
        whole.step()
    for _ in range(2):
        parts.step()
    parts.save(tmp_path)
    later = PolicyTrainer(tiny(), task, AdaptiveAnchor(target=0.01), config)
    assert later.restore(tmp_path)
    for _ in range(2):
        later.step()
    for name, value in whole.model.parameters.items():
        assert torch.equal(later.model.parameters[name], value)


def test_a_problem_of_hints_is_a_problem():
    one = hinted().draw(1, np.random.default_rng(0))[0]
    assert isinstance(one, HintProblem)
    assert one.difficulty == one.asked.difficulty
