"""TOOL: a request in a few words, answered by a call with the right name and typed arguments."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from penchant.simulation.tasks.task import Problem

# Name of the tool, the word that asks for it, its arguments' types.
TOOLS = {"mul": ("times", (int, int)), "rep": ("repeat", (str, int)), "max": ("larger", (int, int))}
_CALL = re.compile(r"(\w+)\(([^)]*)\)")


@dataclass(frozen=True, kw_only=True)
class CallTool:
    """ "repeat b 3" is answered by "rep(b,3)".

    Components: correct (the whole call), name, arguments (the share that are right, in order),
    types (the share that are of the type the tool named takes): graded matches of a structure.
    """

    def draw(self, num: int, generator: np.random.Generator) -> Sequence[Problem]:
        names = generator.choice(list(TOOLS), num)
        return tuple(self._problem(str(name), generator) for name in names)

    def _problem(self, name: str, generator: np.random.Generator) -> Problem:
        word, types = TOOLS[name]
        said = [
            str(generator.integers(0, 100)) if kind is int else "abcdefgh"[generator.integers(8)]
            for kind in types
        ]
        return Problem(
            prompt=f"{word} {' '.join(said)}:",
            demonstration=f"{name}({','.join(said)})",
            difficulty=sum(map(len, said)),
        )

    def grade(self, problem: Problem, response: str) -> Mapping[str, float]:
        wanted_name, wanted = _parsed(problem.demonstration)
        name, said = _parsed(response.strip())
        types = TOOLS[name][1] if name in TOOLS else ()
        typed = sum(value.isdigit() == (kind is int) for value, kind in zip(said, types))
        agree = sum(a == b for a, b in zip(said, wanted))
        most = max(len(said), len(wanted), 1)
        return {
            "correct": float(name == wanted_name and said == wanted),
            "name": float(name == wanted_name),
            "arguments": agree / most,
            "types": typed / max(len(said), len(types), 1),
        }


def _parsed(call: str) -> tuple[str, tuple[str, ...]]:
    """Name and arguments; two empty ones for what is no call."""
    found = _CALL.fullmatch(call)
    if found is None:
        return "", ()
    return found[1], tuple(value.strip() for value in found[2].split(","))
