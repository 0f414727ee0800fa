"""Hints for a frozen model: a small policy writes a few words, another model answers with them.

The model that answers is a black box, texts in and texts out. What it makes of a hint is the hint's
reward, so that any method that learns from rewards trains the policy, and nothing else is trained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from penchant.errors import DataError
from penchant.lm.language_model import LanguageModel
from penchant.lm.sample import SampleConfig, sample
from penchant.lm.tokens import fingerprint
from penchant.policies.language.grading import OfBatches
from penchant.policies.language.rollouts import prompt_ids
from penchant.simulation.tasks.task import Problem, TextTask

# Prompts that a frozen model reads at a time.
_AT_ONCE = 128
# An error in place of an answer: that hint has no reward and is counted, the others have theirs.
Answerer = Callable[[Sequence[str]], Sequence[str | Exception]]


@dataclass(frozen=True, kw_only=True)
class HintProblem(Problem):
    """demonstration: a pseudo-hint. asked: the problem that the frozen model is to solve."""

    asked: Problem


def joined(prompt: str, hint: str) -> str:
    """The hint right behind the prompt."""
    return prompt + hint


@dataclass(frozen=True, kw_only=True, repr=False)
class Hinted:
    """The task of writing hints (directional stimulus prompting, Li et al. 2023). Implements
    `TextTask`.

    task: what the frozen model is to do, whose components grade its answer. answerer: that model.
    pseudo_hint: what a hint might be, from a problem and its reference answer; the supervised start
    is taught by it. form: the frozen model's prompt. Its answer must be the same twice, or
    processes that grade alike would part.
    """

    task: TextTask
    answerer: Answerer
    pseudo_hint: Callable[[Problem], str]
    form: Callable[[str, str], str] = joined

    def __repr__(self) -> str:
        # A run that goes on is told by its words whether it is the same: no addresses in them.
        parts = (self.task, self.answerer, self.pseudo_hint, self.form)
        return f"Hinted({', '.join(getattr(p, '__qualname__', None) or repr(p) for p in parts)})"

    def draw(self, num: int, generator: np.random.Generator) -> Sequence[HintProblem]:
        return tuple(
            HintProblem(
                prompt=problem.prompt, demonstration=self.pseudo_hint(problem),
                difficulty=problem.difficulty, asked=problem,
            )
            for problem in self.task.draw(num, generator)
        )  # fmt: skip

    @property
    def grade(self) -> OfBatches:
        """Of the frozen model's answers, the hints themselves are not graded."""
        return OfBatches(self._graded)

    def _graded(
        self, problems: Sequence[Problem], hints: Sequence[str]
    ) -> Sequence[Mapping[str, float | Exception | None]]:
        answers = self.answerer([self.form(p.prompt, h) for p, h in zip(problems, hints)])
        if len(answers) != len(hints):
            raise DataError(
                f"the frozen model gave {len(answers)} answers to {len(hints)} prompts; expected "
                "one of each, in their order."
            )
        return [
            {"frozen model": said} if isinstance(said, Exception)
            else self.task.grade(_asked(p), said)
            for p, said in zip(problems, answers)
        ]  # fmt: skip


def _asked(problem: Problem) -> Problem:
    return problem.asked if isinstance(problem, HintProblem) else problem


@dataclass(frozen=True)
class Beginning:
    """A pseudo-hint that costs nobody anything: the first letters of the reference answer."""

    num: int

    def __call__(self, problem: Problem) -> str:
        return problem.demonstration[: self.num]


@dataclass(frozen=True, kw_only=True, eq=False)
class FrozenAnswers:
    """An `Answerer`: the likeliest answer of a language model, token by token; a `DataError` for a
    prompt that leaves no room for so many of them in its window."""

    model: LanguageModel = field(repr=False)
    most_tokens: int
    told: str = field(init=False)

    def __post_init__(self) -> None:
        # By which a run that goes on knows the model again.
        object.__setattr__(self, "told", fingerprint([], self.model.parameters))

    def __call__(self, prompts: Sequence[str]) -> Sequence[str | Exception]:
        rows = [prompt_ids(self.model.tokenizer, prompt) for prompt in prompts]
        fits = [self._has_room(len(row)) for row in rows]
        said = iter(self._said([row for row, is_held in zip(rows, fits) if is_held]))
        return [next(said) if is_held else self._too_long(len(row))
                for row, is_held in zip(rows, fits)]  # fmt: skip

    def check(self, prompts: Sequence[str]) -> None:
        """Raises `DataError` where one of them leaves no room for an answer."""
        sizes = [len(prompt_ids(self.model.tokenizer, prompt)) for prompt in prompts]
        if sizes and not self._has_room(max(sizes)):
            raise self._too_long(max(sizes))

    def _has_room(self, size: int) -> bool:
        window = self.model.network.window
        return not window or size + self.most_tokens <= window

    def _too_long(self, size: int) -> DataError:
        return DataError(
            f"a prompt of the frozen model has {size} tokens with its hint, and its answer may "
            f"have {self.most_tokens}; expected {self.model.network.window} in all, that model's "
            "window. Take shorter problems or hints, or a frozen model with a larger window."
        )

    def _said(self, rows: Sequence[Sequence[int]]) -> list[str]:
        import torch

        model, found = self.model, list[str]()
        likeliest = SampleConfig(most_tokens=self.most_tokens, temperature=0.0)
        device = next(iter(model.parameters.values())).device
        unused = torch.Generator(device=device).manual_seed(0)  # nothing is left to chance
        for at in range(0, len(rows), _AT_ONCE):
            drawn = sample(model, rows[at : at + _AT_ONCE], likeliest, unused)
            found += [model.tokenizer.decode(ids[real].tolist())
                      for ids, real in zip(drawn.ids, drawn.is_text)]  # fmt: skip
        return found
