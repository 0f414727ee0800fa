"""Graders as the reward functions that trainers of language models call: TRL's and verl's."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penchant.lm.templates import plain_chat
from penchant.policies.language.grading import Grader, Reward, correct, graded
from penchant.serving.trainers import column
from penchant.simulation.tasks.task import Problem


def trl_grade(
    grade: Grader, reward: Reward = correct, *, answer: str = "answer"
) -> Callable[..., list[float | None]]:
    """A function for TRL's `reward_funcs`: reward(prompts, completions, **columns).

    The column named by `answer` is the demonstration that the grader sees, `difficulty` the
    problem's; texts are strings or lists of messages. What raised or gave no finite number is None,
    which TRL leaves out of the group's mean. Means of the components and the number of failures are
    logged where TRL hands over `log_metric`.

    Calling it raises `DataError` where columns have other lengths than the completions.
    """

    def penchant_grade(
        prompts: Sequence[Any] | None = None, completions: Sequence[Any] = (), **columns: Any
    ) -> list[float | None]:
        size = len(completions)
        asked, shown, hard = (
            column(values, size, name)
            for name, values in (("prompts", prompts), (answer, columns.get(answer)),
                                 ("difficulty", columns.get("difficulty")))
        )  # fmt: skip
        problems = [problem_of(*said) for said in zip(asked, shown, hard, strict=True)]
        found = graded(grade, reward, problems, [_text(text) for text in completions])
        log = columns.get("log_metric")
        if log is not None:
            for name, mean in {**found.means(), "failed": float(found.failed)}.items():
                log(f"penchant/{name}", mean)
        return [float(r) if math.isfinite(r) else None for r in found.reward]

    return penchant_grade


def verl_grade(
    grade: Grader, reward: Reward = correct, *, missing: float = math.nan
) -> Callable[..., dict[str, float]]:
    """A function for verl's `custom_reward_function`: compute_score(data_source, solution_str,
    ground_truth, extra_info), which answers with `score` and the components.

    ground_truth is the demonstration that the grader sees; `extra_info` holds the `prompt`, and
    perhaps a `difficulty`. missing: the score where the grader raised or gave no finite number; NaN
    suits `trainer_credit.verl_advantage`, which leaves such responses out, and no estimator of
    verl's own.
    """

    def compute_score(
        data_source: str | None = None,
        solution_str: str = "",
        ground_truth: Any = None,
        extra_info: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> dict[str, float]:
        known = dict(extra_info or {})
        problem = problem_of(known.get("prompt"), ground_truth, known.get("difficulty"))
        found = graded(grade, reward, [problem], [solution_str])
        said = float(found.reward[0])
        components = {name: float(values[0]) for name, values in found.components.items()}
        return {
            **components, "score": said if math.isfinite(said) else missing,
            "failed": float(found.failed),
        }  # fmt: skip

    return compute_score


def problem_of(prompt: Any, demonstration: Any, difficulty: Any) -> Problem:
    """What a grader sees, of strings or messages."""
    return Problem(
        prompt=_text(prompt), demonstration=_text(demonstration), difficulty=int(difficulty or 0)
    )


def _text(said: Any) -> str:
    """A string as it is; messages as one text."""
    if said is None or isinstance(said, str):
        return said or ""
    return plain_chat(said)
