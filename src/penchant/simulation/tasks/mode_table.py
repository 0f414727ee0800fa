"""A policy for CHAIN with three ways to answer that is a table: at once, by steps, by a call.

At once is cheap and good for a single operation at best, steps cost two tokens each, a call most
and is right where its form is. The first token says which; what an answer costs and the chance that
it is right are known exactly.

Legend: P problems, C cells of the table.
"""

import numpy as np
from jaxtyping import Int

from penchant.numerics.arrays import Array
from penchant.simulation.tasks.step_table import StepTable, Sums, Written

AT_ONCE, BY_STEPS, BY_CALL = 0, 1, 2
# Where the table's rows begin: steps, answers at once, ways by length, forms of calls by length.
_ONCE, _WAY, _FORM = 300, 900, 910


def taught_modes(generator: np.random.Generator) -> StepTable:
    """Knows steps, single ones at once less surely, nothing of long sums at once; calls are in form
    four times of five; each mode as likely as another."""
    steps, at_once = StepTable.taught(generator, skill=5.0), StepTable.taught(generator, skill=4.0)
    blank = 0.1 * generator.standard_normal((300, 10))
    rest = np.full((20, 10), -np.inf)
    rest[:10, :3], rest[10:, :2] = 0.0, np.log([0.2, 0.8])
    return StepTable(logits=np.concatenate([steps.logits, at_once.logits, blank, rest]))


def mixed_sums(num: int, generator: np.random.Generator) -> Sums:
    """One operation, or four to six, half each."""
    long = generator.integers(4, 7, num)
    return Sums.drawn(np.where(np.arange(num) < num // 2, 1, long), generator)


def costs(sums: Sums) -> Int[Array, "P 3"]:
    """Tokens of an answer in each mode: "#6"; "2,6,#6"; a call that repeats the sum, and "#6"."""
    length = sums.length
    return np.column_stack([0 * length + 2, 2 * length + 2, 2 * length + 9])


def at_once(sums: Sums) -> Int[Array, " P"]:
    """The cell of an answer without steps: of one operation all of it, of more the last one."""
    last = sums.cell[np.arange(len(sums)), sums.length - 1]
    one = 100 * (last // 10) + 10 * sums.first + last % 10
    return _ONCE + np.where(sums.length == 1, one, 300 + 10 * last + sums.length)


def answered(
    table: StepTable, sums: Sums, told: Int[Array, " P"], generator: np.random.Generator
) -> tuple[Written, Int[Array, " P"]]:
    """An answer to each, made to begin with a mode (-1: free), and its mode. Columns: mode, form of
    a call, answer at once, steps."""
    cell = np.column_stack([_WAY + sums.length, _FORM + sums.length, at_once(sums)])
    level = generator.random(cell.shape)[..., None]
    said = (level > table.chances[cell].cumsum(axis=-1)).sum(axis=-1)
    # A level may lie above the last sum by rounding.
    said = np.minimum(said, [2, 1, 9])
    said[:, 0] = np.where(told >= 0, told, said[:, 0])
    steps = table.written(sums, generator)
    mode = said[:, 0]
    is_there = np.column_stack([told < 0, mode == BY_CALL, mode == AT_ONCE])
    right = np.column_stack([said[:, 2] == sums.right, steps.is_right, said[:, 1] == 1])
    return Written(
        said=np.column_stack([said, steps.said]),
        at=np.column_stack([np.where(is_there, cell, -1),
                            np.where((mode == BY_STEPS)[:, None], steps.at, -1)]),
        is_right=right[np.arange(len(mode)), mode],
    ), mode  # fmt: skip


def judged(table: StepTable, sums: Sums) -> dict[str, float]:
    """Exactly, of free answers: % right, tokens an answer and a right one, % at once of easy."""
    share = table.chances[_WAY + sums.length][:, :3]
    right = np.column_stack([
        table.chances[at_once(sums), sums.right],
        StepTable(logits=table.logits[:_ONCE]).chance_right(sums),
        table.chances[_FORM + sums.length, 1],
    ])  # fmt: skip
    length, good = ((share * part).sum(axis=1).mean() for part in (costs(sums), right))
    return {
        "right": 100.0 * float(good), "length": float(length), "cost": float(length / good),
        "at once": 100.0 * float(share[sums.length == 1, AT_ONCE].mean()),
    }  # fmt: skip
