"""Methods guided by a value, tried on CHAIN with a table for a policy: what a step costs and brings
is exact but for its own draws.

Legend: P problems of a step, B responses, D features of a problem.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array
from penchant.policies.language.methods.value_guided import ValueGuided
from penchant.policies.language.prompt_value import PromptValue
from penchant.policies.language.scheduling import budget, nearest_to_half
from penchant.simulation.tasks.chain import Chain
from penchant.simulation.tasks.step_table import StepTable, Sums, Written, put_together

# Problems by which a table is judged, each exactly.
_TRIAL = 2_000


@dataclass(frozen=True, kw_only=True, eq=False)
class TableRun:
    """tokens, right: digits drawn and the exact chance to be right, before the first step and after
    each. mixed: share of a step's groups with right and wrong responses. length: steps of its
    problems. table, value: as they were at the end."""

    tokens: tuple[int, ...]
    right: tuple[float, ...]
    mixed: tuple[float, ...]
    length: tuple[float, ...]
    table: StepTable
    value: PromptValue


def climbed_table(
    method: ValueGuided, task: Chain, tokens: int, rate: float, seed: int, *,
    num_problems: int = 16, group_size: int = 8,
) -> TableRun:  # fmt: skip
    """From a table that was taught a little until so many digits were drawn; start, problems and
    draws are the seed's. One credit for all steps of a response, a constant length."""
    generator = np.random.default_rng(seed)
    table, trial = StepTable.taught(generator), Sums.read(task.draw(_TRIAL, generator))
    size = chain_features(trial).shape[1]
    value = PromptValue(gram=np.zeros((size, size)), moment=np.zeros(size))
    told, right = [0], [float(table.chance_right(trial).mean())]
    mixed, length = [], []
    while told[-1] < tokens:
        sums = Sums.read(task.draw(method.candidates * num_problems, generator))
        states = chain_features(sums)
        foretold = value.value(states)
        taken = nearest_to_half(foretold, num_problems)
        mine, foretold, states = sums.take(taken), foretold[taken], states[taken]
        group, written = _spent(method, table, mine, foretold, group_size, generator)
        reward = written.is_right.astype(float)
        credit = method.credit(reward, foretold[group], group, np.ones(len(group), dtype=bool))
        weight = np.repeat(credit[:, None], written.at.shape[1], axis=1) / len(group)
        table = table.climbed(written, weight, rate)
        num = np.bincount(group, minlength=num_problems)
        mean = np.bincount(group, weights=reward, minlength=num_problems) / num
        value = value.updated(states, mean, num.astype(float))
        told.append(told[-1] + written.tokens)
        right.append(float(table.chance_right(trial).mean()))
        mixed.append(float(np.mean((mean > 0.0) & (mean < 1.0))))
        length.append(float(mine.length.mean()))
    return TableRun(
        tokens=tuple(told), right=tuple(right), mixed=tuple(mixed), length=tuple(length),
        table=table, value=value,
    )  # fmt: skip


def _spent(
    method: ValueGuided, table: StepTable, sums: Sums, value: Float[Array, " P"], group_size: int,
    generator: np.random.Generator,
) -> tuple[Int[Array, " B"], Written]:  # fmt: skip
    """Which problem each response answers, and the responses, as many as the method spends."""
    often = np.full(len(sums), group_size)
    if method.spending == "failures":
        often = budget(value, len(sums) * group_size, method.least, method.most)
    group = np.repeat(np.arange(len(sums)), often)
    written = table.written(sums.take(group), generator)
    while method.spending == "until_sure":
        open_ = method.unsure(group, written.is_right.astype(float), value)
        if not len(open_):
            break
        again = np.repeat(open_, method.stride)
        more = table.written(sums.take(again), generator)
        group = np.concatenate([group, again])
        written = put_together([written, more])
    return group, written


def chain_features(sums: Sums) -> Float[Array, "P D"]:
    """How often each sign with each digit, functions of the length, and a constant: what can be
    read off a problem without solving it."""
    count = np.zeros((len(sums), 30))
    rows, steps = np.nonzero(sums.cell >= 0)
    np.add.at(count, (rows, sums.cell[rows, steps]), 0.3)
    length = sums.length.astype(float)
    return np.column_stack([count, 0.1 * length, np.log(length), 1.0 / length, np.ones(len(sums))])
