"""CHAIN: sums modulo ten, one operation after the other, with or without scratch work."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from penchant.errors import ConfigError
from penchant.simulation.tasks.task import Problem, after_mark

_OPERATIONS = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}
_FORM = re.compile(r"(\d,)*#\d")


@dataclass(frozen=True, kw_only=True)
class Chain:
    """ "7+5*3=" is read from the left: 7, 12 mod 10 = 2, 6; answered by "2,6,#6" or "#6".

    fewest, most: operations. scratch: whether demonstrations write the steps. Components: correct
    (the digit behind the mark), format (steps, mark and digit and nothing else), steps (the
    share of steps that are right, 0 without scratch work: a mistake can be placed).
    """

    fewest: int = 2
    most: int = 8
    scratch: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.fewest <= self.most:
            raise ConfigError(
                f"got fewest={self.fewest} and most={self.most}; expected 1 <= fewest <= most "
                "operations."
            )

    def draw(self, num: int, generator: np.random.Generator) -> Sequence[Problem]:
        lengths = generator.integers(self.fewest, self.most + 1, num)
        return tuple(self._problem(int(length), generator) for length in lengths)

    def _problem(self, length: int, generator: np.random.Generator) -> Problem:
        digits = generator.integers(0, 10, length + 1)
        signs = generator.choice(list(_OPERATIONS), length)
        prompt = str(digits[0]) + "".join(f"{s}{d}" for s, d in zip(signs, digits[1:])) + "="
        steps = steps_of(prompt)
        shown = "".join(f"{step}," for step in steps) if self.scratch else ""
        return Problem(prompt=prompt, demonstration=f"{shown}#{steps[-1]}", difficulty=length)

    def grade(self, problem: Problem, response: str) -> Mapping[str, float]:
        right, said = steps_of(problem.prompt), response.partition("#")[0].split(",")
        agree = sum(a == str(b) for a, b in zip(said, right))
        return {
            "correct": float(after_mark(response) == str(right[-1])),
            "format": float(_FORM.fullmatch(response) is not None),
            "steps": agree / len(right),
        }


def steps_of(prompt: str) -> list[int]:
    """The value after each operation, modulo ten."""
    value, steps = int(prompt[0]), []
    for sign, digit in re.findall(r"([-+*])(\d)", prompt[1:]):
        value = _OPERATIONS[sign](value, int(digit)) % 10
        steps.append(value)
    return steps
