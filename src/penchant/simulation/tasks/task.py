"""What a task in text is: problems to draw, demonstrations to learn from, and a grader.

Answers are graded by components, each between 0 and 1; how they become a reward is not the task's
affair. Everything is made of a few letters, digits and signs, so that a decoder of a million
parameters can learn it in a minute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Problem:
    """prompt: what the policy reads. demonstration: one right answer. difficulty: what the task
    counts (operations, hops, cells), comparable within a task only."""

    prompt: str
    demonstration: str
    difficulty: int


@runtime_checkable
class TextTask(Protocol):
    """One prompt, one response."""

    def draw(self, num: int, generator: np.random.Generator) -> Sequence[Problem]:
        """So many problems, independent of one another."""

    def grade(self, problem: Problem, response: str) -> Mapping[str, float]:
        """Components between 0 and 1; "correct" is always among them."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a world says back: text for the policy to read, what was earned, whether it is over."""

    text: str
    reward: float
    is_over: bool


@runtime_checkable
class TextWorld(Protocol):
    """Several turns: the policy writes a line, the world answers. One is used once. difficulty: as
    of a problem."""

    prompt: str

    @property
    def difficulty(self) -> int: ...

    def step(self, action: str) -> Turn:
        """What comes of an action. Raises `ConfigError` after the end."""

    def best_action(self) -> str:
        """What a demonstration does next."""


@runtime_checkable
class WorldTask(Protocol):
    """Worlds of one kind."""

    def draw_world(self, generator: np.random.Generator) -> TextWorld:
        """A new one."""


def demonstrated(world: TextWorld) -> list[tuple[str, str]]:
    """A world played as shown, to its end: what was read before each turn and what was done."""
    read, told, is_over = world.prompt, [], False
    while not is_over:
        action = world.best_action()
        told.append((read, action))
        turn = world.step(action)
        read, is_over = turn.text, turn.is_over
    return told


def after_mark(response: str, mark: str = "#") -> str | None:
    """What stands behind the last mark, None without one: the part of an answer that is graded."""
    _, found, answer = response.rpartition(mark)
    return answer.strip() if found else None
