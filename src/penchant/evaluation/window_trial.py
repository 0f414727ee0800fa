"""Answers drawn a window at a time, tried on CHAIN with a table for a policy, whose advantages are
known exactly.

Legend: B rows, T steps of the longest, U digits of a step's windows.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array
from penchant.policies.language.methods.proximal import Proximal
from penchant.policies.language.methods.windowed import Windowed
from penchant.policies.language.returns import generalised_advantage
from penchant.simulation.tasks.step_table import StepTable, Sums, Written

# Beyond a cut stands the value of the last state before it, or nothing.
End = Literal["bootstrap", "zero"]
FEWEST, MOST, TAIL = 2, 24, 1.2
_ROWS = 128
# How fast the value follows what it is told.
_FOLLOWS = 0.2
_BASE = Proximal(is_whitened=False)


@dataclass(kw_only=True)
class WindowRun:
    """decoded: digits of the longest row of each step, which one after another are its time; value:
    by steps to go, and whether the last digit is right; off: of either end, the advantages of cut
    windows less the exact ones, step by step."""

    table: StepTable
    value: Float[Array, "_ 2"] = field(default_factory=lambda: np.zeros((MOST + 1, 2)))
    spent: int = 0
    decoded: int = 0
    off: list[list[float]] = field(default_factory=list)


def long_tailed(num: int, generator: np.random.Generator) -> Sums:
    """Of so many operations by a power law: most are few, the longest are 24."""
    size = (FEWEST * generator.random(num) ** (-1.0 / TAIL)).clip(max=MOST).astype(int)
    found = Sums.drawn(size, generator)
    wide = np.pad(found.cell, ((0, 0), (0, MOST - found.cell.shape[1])), constant_values=-1)
    return Sums(first=found.first, cell=wide, right=found.right)


def climbed_windows(
    table: StepTable, window: int, end: End, tokens: int, rate: float, seed: int
) -> WindowRun:
    """From this table until so many digits were drawn, by T-PPO; with a window of `MOST` it is PPO
    on whole answers."""
    generator, run = np.random.default_rng((seed, 1)), WindowRun(table=table)
    sums, said = long_tailed(_ROWS, generator), np.full((_ROWS, MOST), -1)
    while run.spent < tokens:
        last = (said >= 0).sum(axis=1) + window
        whole, inside = run.table.written(sums, generator, said), np.arange(MOST) < last[:, None]
        at, said = np.where(inside, whole.at, -1), np.where(inside, whole.said, -1)
        is_over, state = sums.length <= last, _states(sums, said)
        rows, place = np.nonzero(at >= 0)
        both = _advantages(run.value[state][rows, place], whole.is_right, rows, place, is_over)
        if (cut := ~is_over[rows]).any():
            true = run.table.gained(sums, said)[rows, place]
            run.off.append([float((credit - true)[cut].mean()) for credit in both])
        weight = np.zeros(at.shape)
        weight[rows, place] = Proximal().whitened(both[int(end == "zero")]) / len(rows)
        now = Written(said=said, at=at, is_right=whole.is_right)
        run.table, run.spent = run.table.climbed(now, weight, rate), run.spent + len(rows)
        run.decoded += int((at >= 0).sum(axis=1).max())
        # The value learns from answers that ended alone, at each of their digits.
        there = (sums.cell >= 0) & is_over[:, None]
        run.value = _followed(run.value, state, there, whole.is_right)
        sums, said = _renewed(sums, said, is_over, generator)
    return run


def _followed(
    value: Float[Array, "_ 2"], state: tuple[Array, Array], there: Bool[Array, "B T"],
    is_right: Bool[Array, " B"],
) -> Float[Array, "_ 2"]:  # fmt: skip
    """A fifth of the way to what was earned from each state on."""
    cell = np.asarray(np.ravel_multi_index(state, value.shape))[there]
    num = np.bincount(cell, minlength=value.size)
    earned = np.broadcast_to(is_right[:, None], there.shape)[there]
    mean = np.bincount(cell, earned, value.size) / np.maximum(num, 1)
    step = np.where(num > 0, _FOLLOWS * (mean - value.ravel()), 0.0)
    return value + step.reshape(value.shape)


def _renewed(
    sums: Sums, said: Int[Array, "B T"], is_over: Bool[Array, " B"], generator: np.random.Generator
) -> tuple[Sums, Int[Array, "B T"]]:
    """New problems where answers are over."""
    new, over = long_tailed(len(said), generator), is_over[:, None]
    fresh = Sums(
        first=np.where(is_over, new.first, sums.first), cell=np.where(over, new.cell, sums.cell),
        right=np.where(is_over, new.right, sums.right),
    )  # fmt: skip
    return fresh, np.where(over, -1, said)


def _advantages(
    value: Float[Array, " U"], is_right: Bool[Array, " B"], rows: Int[Array, " U"],
    place: Int[Array, " U"], is_over: Bool[Array, " B"],
) -> tuple[Float[Array, " U"], Float[Array, " U"]]:  # fmt: skip
    """Of each digit of the windows, with the last state's own value beyond a cut, and with 0."""
    is_last = np.append(rows[1:] != rows[:-1], True)
    reward = np.where(is_last & is_over[rows] & is_right[rows], 1.0, 0.0)
    zero = generalised_advantage(reward, value, rows, place, discount=np.ones(1),
                                 trace=np.full(1, _BASE.trace))  # fmt: skip
    return Windowed(window=1, base=_BASE).credit(reward, value, rows, place, is_over), zero


def _states(sums: Sums, said: Int[Array, "B T"]) -> tuple[Int[Array, "B T"], Int[Array, "B T"]]:
    """Before each digit: steps to go, and whether the one before is right."""
    is_right = np.column_stack([np.ones(len(sums), dtype=int), (said == sums.steps)[:, :-1]])
    return np.maximum(sums.length[:, None] - np.arange(MOST), 0), is_right
