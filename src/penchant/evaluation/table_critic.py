"""Steps of CHAIN tried by a table, a critic of partial answers that is learnt from how they ended,
and the exact one: what a critic's mistakes do to a policy.

Legend: P problems of T steps each, N partial answers, M numbers of the critic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.fitting.lbfgs import Slope, climb_lbfgs
from penchant.numerics.arrays import Array, sigmoid
from penchant.policies.language.state_value import ends_log_prob
from penchant.simulation.tasks.step_table import StepTable, Sums

# A number for each digit in each cell of the table, each cell that the next step is drawn from and
# each sign and digit that is left, a constant, and slopes by how likely the steps were.
_WRITTEN, _NEXT, _LEFT, _CONSTANT, _SLOPES, _NUM = 0, 3_000, 3_300, 3_330, 3_331, 3_333
# Standard deviation of the numbers of single cells before any ending was seen.
_SCALE = 0.15


@dataclass(frozen=True, kw_only=True, eq=False)
class PartialAnswers:
    """at, digit: of the steps that are there the cell of the table and what was written, -1 of the
    others. log_prob: of these steps, 0 of the others. left: sign and digit (10 sign + digit) of the
    others; next: the cell that the next step is drawn from, -1 of a complete answer. right, num: of
    their endings. problem:
    which they answer."""

    at: Int[Array, "N T"]
    digit: Int[Array, "N T"]
    log_prob: Float[Array, "N T"]
    left: Int[Array, "N T"]
    next: Int[Array, " N"]
    right: Float[Array, " N"]
    num: Float[Array, " N"]
    problem: Int[Array, " N"]

    @property
    def is_complete(self) -> Bool[Array, " N"]:
        """Whether no step is left."""
        return (self.left < 0).all(axis=1)

    def take(self, rows: Int[Array, " _"] | Bool[Array, " N"]) -> "PartialAnswers":
        """Some of them."""
        return PartialAnswers(
            **{each.name: getattr(self, each.name)[rows] for each in fields(self)}
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class TriedSteps:
    """before: states; after: what the first steps of their endings lead to, those of a state side
    by side. drawn: digits that it took."""

    before: PartialAnswers
    after: PartialAnswers
    drawn: int

    @property
    def step(self) -> tuple[Int[Array, " N"], Int[Array, " N"]]:
        """The cell and the digit of each step that was tried."""
        rows, last = np.arange(len(self.after.at)), (self.after.at >= 0).sum(axis=1) - 1
        return self.after.at[rows, last], self.after.digit[rows, last]

    def advantage(self, chance: Callable[[PartialAnswers], Array]) -> Float[Array, " N"]:
        """V(s') - V(s) of each, V being `chance`; in place of V(s') of a complete answer whether it
        is right."""
        endings = len(self.after.at) // len(self.before.at)
        worth = np.where(self.after.is_complete, self.after.right, chance(self.after))
        return worth - np.repeat(chance(self.before), endings)


@dataclass(frozen=True, kw_only=True, eq=False)
class TableCritic:
    """V(s) = sigma(the sum of a number for each step that is there, one for the cell of the next
    step, one for each sign and digit that is left, a constant, and slopes by how likely all steps
    were and the least likely one), which is what it goes by where it has not met a step."""

    numbers: Float[Array, " M"]

    def chance(self, states: PartialAnswers) -> Float[Array, " N"]:
        """That each ends right."""
        return sigmoid(_logit(self.numbers, _places(states), _doubts(states)))


def tried_steps(
    table: StepTable, sums: Sums, endings: int, generator: np.random.Generator
) -> TriedSteps:
    """The states of one answer to each problem, all of which have as many steps, and fresh endings
    from each."""
    first, rows = table.written(sums, generator), np.repeat(np.arange(len(sums)), endings)
    again, before, after, drawn = sums.take(rows), [], [], first.tokens
    for t in range(sums.cell.shape[1]):
        ends = table.written(again, generator, first.said[rows, :t])
        right, drawn = ends.is_right.astype(float), drawn + ends.tokens
        of_state = right.reshape(-1, endings).sum(axis=1)
        before.append(_partial(table, sums, first.said, t, of_state, endings, rows[::endings]))
        after.append(_partial(table, again, ends.said, t + 1, right, 1, rows))
    return TriedSteps(before=_joined(before), after=_joined(after), drawn=drawn)


def exact_chances(table: StepTable, sums: Sums, states: PartialAnswers) -> Float[Array, " N"]:
    """That each ends right by the table itself: what the best of critics would say."""
    found, done = np.zeros(len(states.at)), (states.at >= 0).sum(axis=1)
    for num in np.unique(done):
        rows = np.flatnonzero(done == num)
        mine = sums.take(states.problem[rows])
        rest = Sums(
            first=states.digit[rows, num - 1] if num else mine.first,
            cell=mine.cell[:, num:], right=mine.right,
        )  # fmt: skip
        found[rows] = table.chance_right(rest)
    return found


def fit_table_critic(tried: TriedSteps) -> TableCritic:
    """The likeliest by how endings went; before that its numbers of cells are N(0, 0.15^2), the
    others N(0, 1). Complete answers, which need no critic, are left out."""
    states = _joined([tried.before, tried.after])
    states = states.take(~states.is_complete)
    at, doubts = _places(states), _doubts(states)
    precision = np.where(np.arange(_NUM) < _LEFT, 1.0 / _SCALE**2, 1.0)

    def slope(numbers: Float[Array, " M"]) -> Slope:
        told = _logit(numbers, at, doubts)
        missed = states.right - states.num * sigmoid(told)
        pull = np.bincount(
            at.ravel(), np.repeat(missed, at.shape[1]), minlength=_NUM + 1
        )[:_NUM]  # fmt: skip
        pull[_SLOPES:] = missed @ doubts
        value = ends_log_prob(told, states.right, states.num).sum() - 0.5 * numbers @ (
            precision * numbers
        )
        return Slope(value=float(value), gradient=pull - precision * numbers)

    return TableCritic(numbers=climb_lbfgs(slope, np.zeros(_NUM), max_steps=300).theta)


def _logit(
    numbers: Float[Array, " M"], at: Int[Array, "N _"], doubts: Float[Array, "N 2"]
) -> Float[Array, " N"]:
    # What is not there has a place of its own behind all numbers, and no number.
    return np.append(numbers, 0.0)[at].sum(axis=1) + doubts @ numbers[_SLOPES:]


def _doubts(states: PartialAnswers) -> Float[Array, "N 2"]:
    """What the policy itself said of its steps, of all and of the least likely one."""
    return np.column_stack([states.log_prob.sum(axis=1), states.log_prob.min(axis=1)])


def _places(states: PartialAnswers) -> Int[Array, "N _"]:
    """Of the numbers that each state adds up."""
    written = np.where(states.at >= 0, _WRITTEN + 10 * states.at + states.digit, _NUM)
    left = np.where(states.left >= 0, _LEFT + states.left, _NUM)
    after = np.where(states.next >= 0, _NEXT + states.next, _NUM)
    return np.column_stack([written, left, after, np.full(len(written), _CONSTANT)])


def _partial(
    table: StepTable,
    sums: Sums,
    said: Int[Array, "N T"],
    num_steps: int,
    right: Float[Array, " N"],
    num: int,
    problem: Int[Array, " N"],
) -> PartialAnswers:
    """Of answers their first steps."""
    at, is_there = sums.cells(said), np.arange(said.shape[1]) < num_steps
    log_prob = np.log(table.chances)[at, said]
    return PartialAnswers(
        at=np.where(is_there, at, -1),
        digit=np.where(is_there, said, -1),
        log_prob=np.where(is_there, log_prob, 0.0),
        left=np.where(is_there, -1, sums.cell),
        next=at[:, num_steps] if num_steps < said.shape[1] else np.full(len(at), -1),
        right=right,
        num=np.full(len(said), float(num)),
        problem=problem,
    )


def _joined(parts: Sequence[PartialAnswers]) -> PartialAnswers:
    return PartialAnswers(**{
        each.name: np.concatenate([getattr(part, each.name) for part in parts])
        for each in fields(PartialAnswers)
    })  # fmt: skip
