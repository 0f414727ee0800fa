"""RANK: a profile of liked tags, a list of items in the order they would please."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.simulation.tasks.task import Problem


@dataclass(frozen=True, kw_only=True)
class RankItems:
    """ "ace:" likes the tags a, c and e; items are pairs of tags ("ab"), one a line, best first.

    The catalogue holds every pair of `tags` tags; an item's relevance is how many of its tags are
    liked, 0, 1 or 2. Components: correct (the discounted gain of the first `length` items over the
    best there is, NDCG), catalogue (the share of lines that are items, each counted once).
    """

    tags: int = 8
    liked: int = 3
    length: int = 8

    def __post_init__(self) -> None:
        if not 2 <= self.liked <= self.tags <= 26:
            raise ConfigError(
                f"got liked={self.liked} of tags={self.tags}; expected 2 <= liked <= tags <= 26."
            )

    @property
    def letters(self) -> str:
        return "abcdefghijklmnopqrstuvwxyz"[: self.tags]

    def catalogue(self) -> tuple[str, ...]:
        """Every item, in the order of the alphabet."""
        return tuple(a + b for a, b in combinations(self.letters, 2))

    def draw(self, num: int, generator: np.random.Generator) -> Sequence[Problem]:
        drawn = (generator.permutation(list(self.letters))[: self.liked] for _ in range(num))
        return tuple(self._problem("".join(sorted(tags))) for tags in drawn)

    def _problem(self, liked: str) -> Problem:
        best = sorted(self.catalogue(), key=lambda item: -self.relevance(liked, item))
        return Problem(
            prompt=f"{liked}:",
            demonstration="\n".join(best[: self.length]),
            difficulty=self.liked,
        )

    def relevance(self, liked: str, item: str) -> int:
        return sum(tag in liked for tag in item)

    def hits(self, problem: Problem, response: str) -> Float[Array, " N"]:
        """The relevance of each listed item, 0 to 1; 0 for what is no item or was listed before."""
        known, seen = set(self.catalogue()), set[str]()
        liked, gains = problem.prompt.rstrip(":"), []
        for line in response.split("\n")[: self.length]:
            is_new = line in known and line not in seen
            gains.append(self.relevance(liked, line) / 2 if is_new else 0.0)
            seen.add(line)
        return np.array(gains + [0.0] * (self.length - len(gains)))

    def grade(self, problem: Problem, response: str) -> Mapping[str, float]:
        discount = 1.0 / np.log2(np.arange(2, self.length + 2))
        gain = self.hits(problem, response) @ discount
        most = self.hits(problem, problem.demonstration) @ discount
        lines = response.split("\n")
        items = set(lines) & set(self.catalogue())
        return {"correct": float(gain / most), "catalogue": len(items) / len(lines)}
