"""A batch of experience: problems drawn, answered and graded, or worlds played to their end.

Legend: B rows (one a rollout), N turns.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.lm.language_model import LanguageModel
from penchant.lm.sample import SampleConfig
from penchant.numerics.arrays import Array
from penchant.policies.language.episodes import play
from penchant.policies.language.grading import (
    Episode,
    Grader,
    Grades,
    OfEpisodes,
    Reward,
    correct,
    graded,
    graded_episodes,
)
from penchant.policies.language.rollouts import Rollouts, draw_rollouts, put_together
from penchant.simulation.tasks.task import Problem, TextTask, WorldTask


@dataclass(frozen=True, kw_only=True, eq=False)
class Gathered:
    """problems: of each row. turn_reward: of each turn; of one response its reward. observed: what
    was read before each turn, of worlds. told: what a method that gathered for itself wants to
    hear again. spent: tokens that were drawn beside those of the rollouts. is_plain: rows that the
    policy drew just now and from the prompt alone; a report tells what these earned. group: the
    problem of each row, where `rollouts.prompt_of` tells rows apart that begin otherwise."""

    rollouts: Rollouts
    problems: tuple[Problem, ...]
    grades: Grades
    turn_reward: Float[Array, "B N"]
    observed: tuple[tuple[str, ...], ...] = ()
    told: Mapping[str, Array] = field(default_factory=dict)
    spent: int = 0
    is_plain: Bool[Array, " B"] | None = None
    group: Int[Array, " B"] | None = None

    def with_rows(
        self,
        rows: Rollouts,
        problems: Sequence[Problem],
        reward: Float[Array, " _"] | None = None,
    ) -> "Gathered":
        """With rows behind the others that nobody drew; without a reward they are in no
        statistic, and in no component's either way."""
        none = np.full(len(rows), np.nan)
        components = {n: np.append(a, none) for n, a in self.grades.components.items()}
        earned = none if reward is None else reward
        grades = replace(
            self.grades, components=components, reward=np.append(self.grades.reward, earned)
        )
        turns = np.zeros((len(rows), self.turn_reward.shape[1]))
        turns[:, 0] = np.nan_to_num(earned)
        drawn = int(rows.lengths.sum())
        return replace(
            self, rollouts=put_together([self.rollouts, rows]), grades=grades,
            problems=(*self.problems, *problems), spent=self.spent - drawn,
            turn_reward=np.concatenate([self.turn_reward, turns]),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Ask:
    """What experience is asked for. draws, generator: NumPy's for problems, torch's for tokens.
    memory: what the method kept from the batch before."""

    model: LanguageModel
    task: TextTask | WorldTask
    num_problems: int
    group_size: int
    sampling: SampleConfig
    draws: np.random.Generator
    generator: Any
    grade: Grader
    reward: Reward
    version: int = 0
    memory: Mapping[str, np.ndarray] = field(default_factory=dict)

    def answered(
        self, problems: Sequence[Problem], often: int | Int[Array, " P"] | None = None
    ) -> Gathered:
        """Answers to these problems, so many to each (a group by default)."""
        return answer(
            self.model, problems, self.group_size if often is None else often, self.sampling,
            self.generator, self.grade, self.reward, version=self.version,
        )  # fmt: skip

    def single_answers(self, who: str) -> TextTask:
        """The task; raises `ConfigError` for worlds, whose turns `who` could not tell apart."""
        if isinstance(self.task, WorldTask):
            raise ConfigError(
                f"{who} learns from single answers and got a world of several turns; expected a "
                "task such as CHAIN."
            )
        return self.task


@runtime_checkable
class Gatherer(Protocol):
    """A method that says itself which problems are tried, how often, and what joins them."""

    def gathered(self, ask: Ask) -> Gathered: ...


def answer(
    model: LanguageModel,
    problems: Sequence[Problem],
    group_size: int | Int[Array, " P"],
    config: SampleConfig,
    generator: Any,
    grade: Grader,
    reward: Reward,
    *,
    version: int = 0,
) -> Gathered:
    """Several responses to each problem (or to each so many), graded; `generator` is torch's."""
    prompts = [problem.prompt for problem in problems]
    rollouts = draw_rollouts(model, prompts, group_size, config, generator, version=version)
    return judged(rollouts, [problems[p] for p in rollouts.prompt_of], grade, reward)


def judged(
    rollouts: Rollouts, problems: Sequence[Problem], grade: Grader, reward: Reward
) -> Gathered:
    """Single answers with their grades; `problems` of each row."""
    mine = tuple(problems)
    if isinstance(grade, OfEpisodes):
        grades = graded_episodes(grade, reward, [
            Episode(problem=one, observed=(one.prompt,), said=(said,), has_ended=bool(ended))
            for one, said, ended in zip(mine, rollouts.responses, rollouts.has_ended, strict=True)
        ])  # fmt: skip
    else:
        grades = graded(grade, reward, mine, rollouts.responses)
    turns = np.where(np.isfinite(grades.reward), grades.reward, 0.0)[:, None]
    return Gathered(rollouts=rollouts, problems=mine, grades=grades, turn_reward=turns)


def together(parts: Sequence[Gathered]) -> Gathered:
    """Batches of single answers to the same problems as one, the rows of a prompt side by side."""
    rollouts = put_together([part.rollouts for part in parts])
    order = np.argsort(rollouts.prompt_of, kind="stable")
    names = dict.fromkeys(name for part in parts for name in part.grades.components)
    none = [np.full(len(part.rollouts), np.nan) for part in parts]
    components = {
        name: np.concatenate([p.grades.components.get(name, n) for p, n in zip(parts, none)])[order]
        for name in names
    }
    problems = [problem for part in parts for problem in part.problems]
    return Gathered(
        rollouts=rollouts.take(order),
        problems=tuple(problems[row] for row in order),
        grades=Grades(
            components=components,
            reward=np.concatenate([part.grades.reward for part in parts])[order],
            failed=sum(part.grades.failed for part in parts),
        ),
        turn_reward=np.concatenate([part.turn_reward for part in parts])[order],
    )


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
    grade: Grader | None = None,
    reward: Reward = correct,
) -> Gathered:
    """Copies of each world, played; the reward is what all turns earned, or what a grader of whole
    episodes says (`OfEpisodes`), which then the last turn earns. A world that has one right
    `answer` gives it to its problem as the demonstration."""
    first = [task.draw_world(draws) for _ in range(num_worlds)]
    worlds = [copy.deepcopy(world) for world in first for _ in range(group_size)]
    world_of = np.repeat(np.arange(num_worlds), group_size)
    played = play(model, worlds, world_of, config, generator, version=version)
    problems = tuple(
        Problem(
            prompt=world.prompt,
            demonstration=getattr(world, "answer", ""),
            difficulty=world.difficulty,
        )
        for world in first
        for _ in range(group_size)
    )
    grades = Grades(
        components={"correct": played.is_solved.astype(float)},
        reward=played.turn_reward.sum(axis=1),
        failed=0,
    )
    turns = played.turn_reward
    if isinstance(grade, OfEpisodes):
        num = [len(said) for said in played.said]
        grades = graded_episodes(grade, reward, [
            Episode(problem=problem, observed=read[:n], said=said,
                    earned=tuple(earned[:n].tolist()), has_ended=bool(ended))
            for problem, read, said, earned, ended, n in zip(
                problems, played.observed, played.said, turns, played.rollouts.has_ended, num,
                strict=True)
        ])  # fmt: skip
        turns = np.zeros(turns.shape)
        turns[np.arange(len(num)), np.array(num) - 1] = np.nan_to_num(grades.reward)
    return Gathered(
        rollouts=played.rollouts, problems=problems, grades=grades, turn_reward=turns,
        observed=played.observed,
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
    """`answer` or `explore`, as the task is; of worlds only graders of whole episodes are asked."""
    if isinstance(task, WorldTask):
        return explore(
            model, task, num_problems, group_size, config, draws, generator, version=version,
            grade=grade, reward=reward,
        )  # fmt: skip
    problems = task.draw(num_problems, draws)
    return answer(model, problems, group_size, config, generator, grade, reward, version=version)


def grader_of(task: TextTask | WorldTask) -> Grader:
    """The task's own; a world, whose turns earn their own, has none and is never asked."""
    return task.grade if isinstance(task, TextTask) else lambda problem, response: {}
