"""GRID: a small grid of coloured shapes, a description, and the name of the cell it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np

from penchant.errors import ConfigError
from penchant.simulation.tasks.task import Problem, after_mark

_COLOURS, _SHAPES, _SIZES = "rgby", "ostx", "12"


@dataclass(frozen=True, kw_only=True)
class NameCell:
    """ "ro1 gs2 ro2/.. ?ro2" is answered by "#a3": row a, column 3.

    A cell is colour, shape and size. The meant cell is the only one of its kind; `near` others
    differ from it in one letter, so that reading half of the description is not enough. Components:
    correct (of several named cells the last counts), distance (1 less the share of the grid's steps
    between the named cell and the meant one; 0 for what is no cell).
    """

    rows: int = 3
    columns: int = 3
    near: int = 3

    def __post_init__(self) -> None:
        if not (1 <= self.rows <= len(ascii_lowercase) and self.rows * self.columns > 1):
            raise ConfigError(
                f"got {self.rows} rows and {self.columns} columns; expected two cells or more, and "
                f"up to {len(ascii_lowercase)} rows, which are named by letters."
            )
        if not 0 <= self.near < self.rows * self.columns:
            raise ConfigError(
                f"got near={self.near} in {self.rows} x {self.columns} cells; expected fewer near-"
                "duplicates than cells, one of which is the one meant."
            )

    def draw(self, num: int, generator: np.random.Generator) -> Sequence[Problem]:
        return tuple(self._problem(generator) for _ in range(num))

    def _problem(self, generator: np.random.Generator) -> Problem:
        meant = _thing(generator)
        near = [_other_letter(meant, generator) for _ in range(self.near)]
        others: list[str] = []
        while len(others) < self.rows * self.columns - 1 - self.near:
            thing = _thing(generator)
            if thing != meant:
                others.append(thing)
        cells = np.array([meant, *near, *others])
        order = generator.permutation(len(cells))
        at = int(np.flatnonzero(order == 0)[0])
        lines = cells[order].reshape(self.rows, self.columns)
        return Problem(
            prompt="/".join(" ".join(line) for line in lines) + f" ?{meant}",
            demonstration="#" + self._name(at),
            difficulty=self.near,
        )

    def _name(self, at: int) -> str:
        return f"{ascii_lowercase[at // self.columns]}{at % self.columns + 1}"

    def grade(self, problem: Problem, response: str) -> Mapping[str, float]:
        names = [self._name(at) for at in range(self.rows * self.columns)]
        said, meant = after_mark(response), names.index(problem.demonstration[1:])
        if said not in names:
            return {"correct": 0.0, "distance": 0.0}
        at = names.index(said)
        apart = abs(at // self.columns - meant // self.columns)
        apart += abs(at % self.columns - meant % self.columns)
        return {
            "correct": float(at == meant),
            "distance": 1.0 - apart / (self.rows + self.columns - 2),
        }


def _thing(generator: np.random.Generator) -> str:
    return "".join(kind[generator.integers(len(kind))] for kind in (_COLOURS, _SHAPES, _SIZES))


def _other_letter(thing: str, generator: np.random.Generator) -> str:
    """The same thing but for one letter."""
    at = int(generator.integers(3))
    kind = (_COLOURS, _SHAPES, _SIZES)[at]
    letters = [letter for letter in kind if letter != thing[at]]
    return thing[:at] + letters[generator.integers(len(letters))] + thing[at + 1 :]
