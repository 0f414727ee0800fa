"""Trees of answers by a table: pieces of so many digits, several ways on from the end of each.

Legend: U pieces, T steps of the longest.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array
from penchant.simulation.tasks.step_table import StepTable, Sums, Written


@dataclass(frozen=True, kw_only=True)
class Grown:
    """Pieces of answers, one a row. parent: the row of the piece before, -1 of those that leave the
    prompt; root: the prompt; outcome: NaN where ways go on."""

    written: Written
    parent: Int[Array, " U"]
    root: Int[Array, " U"]
    outcome: Float[Array, " U"]


def grown(
    table: StepTable, sums: Sums, ways: tuple[int, ...], piece: int, generator: np.random.Generator
) -> Grown:
    """`ways[0]` pieces of so many digits from each problem, `ways[1]` from the end of each that
    goes on, the last ones to the answer's end; one level alone is whole answers."""
    said = np.full(sums.cell.shape, -1)
    parts, total = [], 0
    before, root = np.full(len(sums), -1), np.arange(len(sums))
    for level, num in enumerate(ways):
        before, root, begun = (np.repeat(a, num, axis=0) for a in (before, root, said))
        mine = sums.take(root)
        drawn = table.written(mine, generator, begun)
        end = mine.cell.shape[1] if level + 1 == len(ways) else piece * (level + 1)
        is_over = mine.length <= end
        inside = np.arange(mine.cell.shape[1]) < end
        said, at = (np.where(inside, a, -1) for a in (drawn.said, drawn.at))
        parts.append((said, at, before, root, np.where(is_over, drawn.is_right, np.nan)))
        rows = np.flatnonzero(~is_over)
        before, root, said, total = total + rows, root[rows], said[rows], total + len(is_over)
    digits, at, parent, root, outcome = (np.concatenate(part) for part in zip(*parts, strict=True))
    written = Written(said=digits, at=at, is_right=outcome == 1.0)
    return Grown(written=written, parent=parent, root=root, outcome=outcome)
