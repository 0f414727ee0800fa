"""FIND: facts among distractors, followed over one to three hops; read at once or looked up."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase

import numpy as np

from penchant.errors import ConfigError
from penchant.simulation.tasks.task import Problem, Turn, after_mark


@dataclass(frozen=True, kw_only=True)
class Find:
    """ "a=c;k=3;c=7;?a" asks for what a leads to; answered by "c,#7": a is c, c is 7.

    hops: how often a letter leads to another before the digit, 1 to `hops` in all. facts: lines in
    the context; the rest are distractors. Components: correct, evidence (the share of the hops that
    the answer names in order before its mark).
    """

    hops: int = 2
    facts: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.hops <= self.facts <= len(ascii_lowercase):
            raise ConfigError(
                f"got hops={self.hops} and facts={self.facts}; expected 1 <= hops <= facts <= "
                f"{len(ascii_lowercase)}, the letters there are."
            )

    def draw(self, num: int, generator: np.random.Generator) -> Sequence[Problem]:
        return tuple(self._problem(generator) for _ in range(num))

    def _problem(self, generator: np.random.Generator) -> Problem:
        hops = int(generator.integers(1, self.hops + 1))
        letters = generator.permutation(list(ascii_lowercase))[: self.facts]
        path = [str(letter) for letter in letters[:hops]]
        facts = dict(itertools.pairwise(path))
        for letter in (path[-1], *letters[hops:]):
            facts[str(letter)] = str(generator.integers(0, 10))
        order = generator.permutation(list(facts))
        text = "".join(f"{letter}={facts[letter]};" for letter in order)
        shown = "".join(f"{letter}," for letter in path[1:])
        return Problem(
            prompt=f"{text}?{path[0]}",
            demonstration=f"{shown}#{facts[path[-1]]}",
            difficulty=hops,
        )

    def grade(self, problem: Problem, response: str) -> Mapping[str, float]:
        path, answer = followed(problem.prompt)
        said = response.partition("#")[0].split(",")[: len(path)]
        named = sum(a == b for a, b in zip(said, path))
        return {
            "correct": float(after_mark(response) == answer),
            "evidence": named / len(path) if path else 1.0,
        }


@dataclass(kw_only=True)
class LookUp:
    """The same facts behind a tool: "look a" is answered by "a=c", "#7" ends it.

    The prompt shows the question alone; a context of any length would not hold what is found by
    looking. Reward 1 for the right digit, 0 otherwise; it is over after `most_turns`.
    """

    problem: Problem
    most_turns: int = 6
    prompt: str = field(init=False)
    _turns: int = field(default=0, init=False)
    _is_over: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.prompt = "?" + self.problem.prompt.rpartition("?")[2]

    @property
    def difficulty(self) -> int:
        return self.problem.difficulty

    @property
    def answer(self) -> str:
        """The action that ends it rightly."""
        return f"#{followed(self.problem.prompt)[1]}"

    def best_action(self) -> str:
        """Look along the way, then say the digit."""
        path, _ = followed(self.problem.prompt)
        # Not the letters of the path alone: what the question leads to is known once it is read.
        route = [self.prompt[-1], *path]
        return f"look {route[self._turns]}" if self._turns < len(route) else self.answer

    def step(self, action: str) -> Turn:
        if self._is_over:
            raise ConfigError("this world is over; expected a new one for every rollout.")
        self._turns += 1
        answer = after_mark(action)
        facts = facts_of(self.problem.prompt)
        if answer is not None:
            said, reward = "", float(answer == followed(self.problem.prompt)[1])
        else:
            letter = action.strip().removeprefix("look ").strip()
            said, reward = f"{letter}={facts[letter]}" if letter in facts else "?", 0.0
        self._is_over = answer is not None or self._turns >= self.most_turns
        return Turn(text=said, reward=reward, is_over=self._is_over)


@dataclass(frozen=True, kw_only=True)
class FindByLooking:
    """The task: the same problems, each fact behind a look."""

    hops: int = 2
    facts: int = 8
    most_turns: int = 6

    def __post_init__(self) -> None:
        Find(hops=self.hops, facts=self.facts)
        if self.most_turns <= self.hops:
            raise ConfigError(
                f"got most_turns={self.most_turns} with hops={self.hops}; expected more turns than "
                "hops, a look for each and one turn for the answer: the longest could not be won."
            )

    def draw_world(self, generator: np.random.Generator) -> LookUp:
        (problem,) = Find(hops=self.hops, facts=self.facts).draw(1, generator)
        return LookUp(problem=problem, most_turns=self.most_turns)


def facts_of(prompt: str) -> dict[str, str]:
    """What each letter is, of a prompt."""
    lines = prompt.rpartition("?")[0].rstrip(";").split(";")
    return dict(line.split("=") for line in lines)


def followed(prompt: str) -> tuple[list[str], str]:
    """The letters that the question leads over, and the digit at the end."""
    facts, path = facts_of(prompt), []
    here = facts[prompt.rpartition("?")[2]]
    while here in facts:
        path.append(here)
        here = facts[here]
    return path, here
