"""A batch of experience: problems drawn, answered and graded, or worlds played to their end.

Legend: B rows (one a rollout), N turns.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from penchant.lm.language_model import LanguageModel
from penchant.lm.sample import SampleConfig
from penchant.numerics.arrays import Array
from penchant.policies.language.episodes import play
from penchant.policies.language.grading import Grader, Grades, Reward, graded
from penchant.policies.language.rollouts import Rollouts, draw_rollouts
from penchant.simulation.tasks.task import Problem, TextTask, WorldTask


@dataclass(frozen=True, kw_only=True, eq=False)
class Gathered:
    """problems: of each row. turn_reward: of each turn; of one response its reward. observed: what
    was read before each turn, of worlds."""

    rollouts: Rollouts
    problems: tuple[Problem, ...]
    grades: Grades
    turn_reward: Float[Array, "B N"]
    observed: tuple[tuple[str, ...], ...] = ()


def answer(
    model: LanguageModel,
    problems: Sequence[Problem],
    group_size: int,
    config: SampleConfig,
    generator: Any,
    grade: Grader,
    reward: Reward,
    *,
    version: int = 0,
) -> Gathered:
    """Several responses to each problem, graded; `generator` is torch's."""
    prompts = [problem.prompt for problem in problems]
    rollouts = draw_rollouts(model, prompts, group_size, config, generator, version=version)
    mine = tuple(problems[p] for p in rollouts.prompt_of)
    grades = graded(grade, reward, mine, rollouts.responses)
    turns = np.where(np.isfinite(grades.reward), grades.reward, 0.0)[:, None]
    return Gathered(rollouts=rollouts, problems=mine, grades=grades, turn_reward=turns)


def explore(
    model: LanguageModel,
    task: WorldTask,
    num_worlds: int,
    group_size: int,
    config: SampleConfig,
    draws: np.random.Generator,
    generator: Any,
    *,
    version: int = 0,
) -> Gathered:
    """Copies of each world, played; the reward is what all turns earned."""
    first = [task.draw_world(draws) for _ in range(num_worlds)]
    worlds = [copy.deepcopy(world) for world in first for _ in range(group_size)]
    world_of = np.repeat(np.arange(num_worlds), group_size)
    played = play(model, worlds, world_of, config, generator, version=version)
    problems = tuple(
        Problem(prompt=world.prompt, demonstration="", difficulty=world.difficulty)
        for world in first
        for _ in range(group_size)
    )
    grades = Grades(
        components={"correct": played.is_solved.astype(float)},
        reward=played.turn_reward.sum(axis=1),
        failed=0,
    )
    return Gathered(
        rollouts=played.rollouts, problems=problems, grades=grades,
        turn_reward=played.turn_reward, observed=played.observed,
    )  # fmt: skip


def gathered(
    model: LanguageModel,
    task: TextTask | WorldTask,
    num_problems: int,
    group_size: int,
    config: SampleConfig,
    draws: np.random.Generator,
    generator: Any,
    grade: Grader,
    reward: Reward,
    *,
    version: int = 0,
) -> Gathered:
    """`answer` or `explore`, as the task is; grade and reward are of answers."""
    if isinstance(task, WorldTask):
        return explore(
            model, task, num_problems, group_size, config, draws, generator, version=version
        )
    problems = task.draw(num_problems, draws)
    return answer(model, problems, group_size, config, generator, grade, reward, version=version)


def grader_of(task: TextTask | WorldTask) -> Grader:
    """The task's own; a world, whose turns earn their own, has none and is never asked."""
    return task.grade if isinstance(task, TextTask) else lambda problem, response: {}
