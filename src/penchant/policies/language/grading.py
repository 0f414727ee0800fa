"""Responses to rewards: graders that may fail, components that may be missing.

Legend: B responses, N some of them.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array
from penchant.simulation.tasks.task import Problem

_LOG = logging.getLogger(__name__)

# A component may be None, or the error it ended with: what cannot be graded is missing, not 0.
Grader = Callable[[Problem, str], Mapping[str, float | Exception | None]]
Reward = Callable[[Mapping[str, float]], float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Grades:
    """components: of each response, NaN where there is none. reward: one number of them, NaN where
    it needs one that is missing. failed: responses at which the grader, a component of it or the
    reward raised."""

    components: Mapping[str, Float[Array, " B"]]
    reward: Float[Array, " B"]
    failed: int

    def at(self, rows: Int[Array, " N"], num: int) -> "Grades":
        """As those of some of `num` responses; the others have none."""

        def spread(values: Float[Array, " N"]) -> Float[Array, " B"]:
            found = np.full(num, math.nan)
            found[rows] = values
            return found

        return Grades(
            components={name: spread(values) for name, values in self.components.items()},
            reward=spread(self.reward), failed=self.failed,
        )  # fmt: skip

    def means(self, among: Bool[Array, " B"] | None = None) -> dict[str, float]:
        """Of each component, over the responses (among some) that have it."""
        mine = slice(None) if among is None else among
        return {
            name: float(np.nanmean(values[mine])) if np.isfinite(values[mine]).any() else math.nan
            for name, values in self.components.items()
        }


@dataclass(frozen=True, kw_only=True)
class Episode:
    """All that happened. observed: what the policy read before each turn, the prompt first. said:
    what it wrote in each; a response is one turn. earned: what a world paid for each, nothing for a
    response. has_ended: of itself, not for want of room; None where nobody knows."""

    problem: Problem
    observed: tuple[str, ...]
    said: tuple[str, ...]
    earned: tuple[float, ...] = ()
    has_ended: bool | None = None


@dataclass(frozen=True)
class OfEpisodes:
    """A grader of whole episodes, of worlds of several turns too: `grade(episode)` gives components
    as any other does. A response alone is an episode of one turn."""

    grade: Callable[[Episode], Mapping[str, float | Exception | None]]

    def __call__(self, problem: Problem, response: str) -> Mapping[str, float | Exception | None]:
        return self.grade(Episode(problem=problem, observed=(problem.prompt,), said=(response,)))


@dataclass(frozen=True)
class OfBatches:
    """A grader that is asked for many responses at once, such as one behind which a model stands
    that reads them together: `grade(problems, responses)` gives components of each. Where it
    raises, none of them has any."""

    grade: Callable[
        [Sequence[Problem], Sequence[str]], Sequence[Mapping[str, float | Exception | None]]
    ]

    def __call__(self, problem: Problem, response: str) -> Mapping[str, float | Exception | None]:
        return self.grade([problem], [response])[0]


def graded_episodes(grade: OfEpisodes, reward: Reward, episodes: Sequence[Episode]) -> Grades:
    """`graded`, of episodes. What a world itself says stays beside: `correct` (the last turn earned
    1 or more) and `earned` (the sum)."""

    def told(problem: Problem, row: str) -> Mapping[str, float | Exception | None]:
        episode = episodes[int(row)]
        world = {} if not episode.earned else {
            "correct": float(episode.earned[-1] >= 1.0), "earned": sum(episode.earned)
        }  # fmt: skip
        return {**world, **grade.grade(episode)}

    rows = [str(row) for row in range(len(episodes))]
    return graded(told, reward, [episode.problem for episode in episodes], rows)


def correct(components: Mapping[str, float]) -> float:
    """The usual reward: whether the answer is right."""
    return components["correct"]


def graded(
    grade: Grader, reward: Reward, problems: Sequence[Problem], responses: Sequence[str]
) -> Grades:
    """Grade each response to its problem.

    What raises is logged and counted, and its response has no reward; never 0, which would be a
    verdict; neither has one whose grades are no numbers. Grades that are infinite are as missing as
    those that are None.
    """
    found: list[dict[str, float]] = []
    earned: list[float] = []
    failed, troubles = 0, Counter[str]()
    ask = _asked(grade, problems, responses)
    for row, (problem, response) in enumerate(zip(problems, responses, strict=True)):
        broken: dict[str, Exception] = {}
        said: dict[str, float] = {}
        reached = math.nan
        try:
            told = ask(row, problem, response)
            broken = {n: g for n, g in told.items() if isinstance(g, Exception)}
            said = _numbers(told)
            reached = _composed(reward, said)
        except Exception as error:  # what a user wrote must not end a run of hours
            broken["grader or reward"] = error
            said = {}
        for name, why in broken.items():
            troubles[f"grading by {name} raised {type(why).__name__}: {why}"] += 1
        failed += bool(broken)
        found.append(said)
        earned.append(reached)
    # Each trouble once: what a batch of answers ended with is the same of all of them.
    for told_of, num in troubles.items():
        _LOG.warning("%s (%d of %d responses)", told_of, num, len(responses))
    names = dict.fromkeys(name for grades in found for name in grades)
    return Grades(
        components={n: np.array([grades.get(n, math.nan) for grades in found]) for n in names},
        reward=np.array(earned),
        failed=failed,
    )


def _asked(
    grade: Grader, problems: Sequence[Problem], responses: Sequence[str]
) -> Callable[[int, Problem, str], Mapping[str, float | Exception | None]]:
    """What is told of a row; of a grader of batches all rows are told at once."""
    if not isinstance(grade, OfBatches):
        return lambda row, problem, response: grade(problem, response)
    try:
        together = grade.grade(problems, responses)
    except Exception as error:  # as of a single response: it must not end a run of hours
        why = error
        return lambda row, problem, response: {"grader": why}
    return lambda row, problem, response: together[row]


def _numbers(told: Mapping[str, float | Exception | None]) -> dict[str, float]:
    """The grades that there are."""
    said = {n: float(g) for n, g in told.items() if g is not None and not isinstance(g, Exception)}
    return {n: g for n, g in said.items() if math.isfinite(g)}


def _composed(reward: Reward, grades: Mapping[str, float]) -> float:
    try:
        return float(reward(grades))
    except KeyError:  # it asked for a component that is missing
        return math.nan
