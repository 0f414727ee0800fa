"""A policy for CHAIN that is a table: what it writes after a digit, a sign and a digit.

Small enough that its chance to be right is known exactly, and its gradient; large enough to have
prompts of every difficulty, steps to be credited one by one, and skills that prompts share.

Legend: B responses, T steps of the longest, P problems, C cells of the table (3 signs x 10 x 10).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array
from penchant.simulation.tasks.chain import steps_of
from penchant.simulation.tasks.task import Problem

_SIGNS = "+-*"


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """Problems as numbers. first: the digit that each begins with. cell: of each step, sign and
    right digit as 10 sign + digit, -1 behind the last. right: the answer."""

    first: Int[Array, " P"]
    cell: Int[Array, "P T"]
    right: Int[Array, " P"]

    @classmethod
    def read(cls, problems: Sequence[Problem]) -> "Sums":
        """Of prompts such as "7+5*3="."""
        lines = [re.findall(r"([-+*])(\d)", problem.prompt[1:]) for problem in problems]
        cell = np.full((len(lines), max(map(len, lines))), -1)
        for row, line in enumerate(lines):
            cell[row, : len(line)] = [10 * _SIGNS.index(s) + int(d) for s, d in line]
        return cls(
            first=np.array([int(problem.prompt[0]) for problem in problems]),
            cell=cell,
            right=np.array([steps_of(problem.prompt)[-1] for problem in problems]),
        )

    @classmethod
    def drawn(cls, length: Int[Array, " P"], generator: np.random.Generator) -> "Sums":
        """Problems of so many operations each, as CHAIN draws them."""
        cell = generator.integers(0, 30, (len(length), int(length.max(initial=1))))
        cell = np.where(np.arange(cell.shape[1]) < length[:, None], cell, -1)
        found = cls(first=generator.integers(0, 10, len(length)), cell=cell, right=0 * length)
        return cls(first=found.first, cell=cell, right=found.steps[:, -1])

    def __len__(self) -> int:
        return len(self.first)

    @property
    def steps(self) -> Int[Array, "P T"]:
        """The right digit after each step; behind the last, the answer."""
        here, found = self.first, []
        for step in self.cell.T:
            sign, digit = np.divmod(np.maximum(step, 0), 10)
            after = np.choose(sign, [here + digit, here - digit, here * digit]) % 10
            here = np.where(step >= 0, after, here)
            found.append(here)
        return np.stack(found, axis=1)

    @property
    def length(self) -> Int[Array, " P"]:
        """Steps of each."""
        return (self.cell >= 0).sum(axis=1)

    def cells(self, said: Int[Array, "P T"]) -> Int[Array, "P T"]:
        """Of the table, where each of these digits is drawn from; -1 behind the last."""
        before = np.column_stack([self.first, said[:, :-1]])
        sign, digit = np.divmod(np.maximum(self.cell, 0), 10)
        return np.where(self.cell >= 0, 100 * sign + 10 * before + digit, -1)

    def take(self, rows: Int[Array, " _"]) -> "Sums":
        """Some of them, any of them any number of times."""
        return Sums(first=self.first[rows], cell=self.cell[rows], right=self.right[rows])


@dataclass(frozen=True, kw_only=True, eq=False)
class Written:
    """said: the digit of each step. at: the cell of the table that it was drawn from, -1 where no
    step is. is_right: whether the last digit is the answer."""

    said: Int[Array, "B T"]
    at: Int[Array, "B T"]
    is_right: Bool[Array, " B"]

    @property
    def tokens(self) -> int:
        """Digits written in all."""
        return int((self.at >= 0).sum())


def put_together(parts: Sequence[Written]) -> Written:
    """The responses of all parts, in order; problems of as many steps at the most."""
    return Written(
        said=np.concatenate([part.said for part in parts]),
        at=np.concatenate([part.at for part in parts]),
        is_right=np.concatenate([part.is_right for part in parts]),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class StepTable:
    """logits: of each digit, for each cell (100 sign + 10 left digit + right digit)."""

    logits: Float[Array, "C 10"]

    @classmethod
    def taught(
        cls, generator: np.random.Generator, skill: float = 3.0, spread: float = 2.0
    ) -> "StepTable":
        """One that knows some steps better than others: the right digit's logit is normal around
        `skill`, the others' around 0 with a tenth of the spread."""
        sign, left, right = np.unravel_index(np.arange(300), (3, 10, 10))
        true = np.choose(sign, [left + right, left - right, left * right]) % 10
        logits = 0.1 * spread * generator.standard_normal((300, 10))
        logits[np.arange(300), true] += skill + spread * generator.standard_normal(300)
        return cls(logits=logits)

    @property
    def chances(self) -> Float[Array, "C 10"]:
        """Of each digit."""
        share = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return share / share.sum(axis=1, keepdims=True)

    def chance_right(self, sums: Sums) -> Float[Array, " P"]:
        """Of the last digit to be the answer, exactly."""
        return self.answers(sums)[np.arange(len(sums)), sums.right]

    def answers(self, sums: Sums) -> Float[Array, "P 10"]:
        """The chance of each last digit, exactly: the law of what stands there, step by step."""
        table = self.chances.reshape(3, 10, 10, 10)
        here = np.eye(10)[sums.first]
        for step in sums.cell.T:
            sign, digit = np.divmod(np.maximum(step, 0), 10)
            after = np.einsum("pa,pab->pb", here, table[sign, :, digit])
            here = np.where((step >= 0)[:, None], after, here)
        return here

    def gained(self, sums: Sums, said: Int[Array, "P T"]) -> Float[Array, "P T"]:
        """What each of these digits changed in the chance to be right, exactly; 0 where none is."""
        table, here = self.chances.reshape(3, 10, 10, 10), np.eye(10)[sums.right]
        before = np.column_stack([sums.first, said[:, :-1]])
        rows, found = np.arange(len(sums)), np.zeros(said.shape)
        for t in reversed(range(said.shape[1])):
            step = sums.cell[:, t]
            sign, digit = np.divmod(np.maximum(step, 0), 10)
            earlier = np.einsum("bad,bd->ba", table[sign, :, digit], here)
            change = here[rows, said[:, t]] - earlier[rows, before[:, t]]
            found[:, t] = np.where((step >= 0) & (said[:, t] >= 0), change, 0.0)
            here = np.where((step >= 0)[:, None], earlier, here)
        return found

    def written(
        self, sums: Sums, generator: np.random.Generator, begun: Int[Array, "P _"] | None = None
    ) -> Written:
        """A response to each; `begun`: digits that were already written, -1 where the policy goes
        on by itself, and these count as said but not as drawn (their cell is -1)."""
        table, here = self.chances.cumsum(axis=1), sums.first
        said, at = np.full(sums.cell.shape, -1), np.full(sums.cell.shape, -1)
        for t, step in enumerate(sums.cell.T):
            cell = 100 * (np.maximum(step, 0) // 10) + 10 * here + np.maximum(step, 0) % 10
            drawn = (generator.random(len(here))[:, None] > table[cell]).sum(axis=1).clip(max=9)
            given = begun[:, t] if begun is not None and t < begun.shape[1] else -1 + 0 * here
            new = np.where(given >= 0, given, drawn)
            here = np.where(step >= 0, new, here)
            said[:, t] = np.where(step >= 0, new, -1)
            at[:, t] = np.where((step >= 0) & (given < 0), cell, -1)
        return Written(said=said, at=at, is_right=here == sums.right)

    def climbed(self, written: Written, weight: Float[Array, "B T"], rate: float) -> "StepTable":
        """After rate x sum of weight x grad log pi of the digits that were drawn."""
        there = written.at >= 0
        cell, said, w = written.at[there], written.said[there], weight[there]
        gradient = np.zeros(self.logits.shape)
        np.add.at(gradient, (cell, said), w)
        total = np.bincount(cell, weights=w, minlength=len(gradient))
        return StepTable(logits=self.logits + rate * (gradient - total[:, None] * self.chances))
