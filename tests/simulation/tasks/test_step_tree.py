"""Trees by a table: each piece goes on from the one before, and is drawn once."""

import numpy as np

from penchant.simulation.tasks.chain import Chain
from penchant.simulation.tasks.step_table import StepTable, Sums
from penchant.simulation.tasks.step_tree import grown


def planted(ways, piece=2, seed=0):
    rng = np.random.default_rng(seed)
    sums = Sums.read(Chain(fewest=1, most=6).draw(8, rng))
    return grown(StepTable.taught(rng, skill=1.0), sums, ways, piece, rng), sums


def test_each_piece_goes_on_from_the_one_before_and_its_digits_are_its_own():
    tree, sums = planted((3, 2, 2))
    depth = np.zeros(len(tree.parent), dtype=int)
    for e, above in enumerate(tree.parent):
        digits, own = tree.written.said[e], tree.written.at[e] >= 0
        if above >= 0:
            depth[e] = depth[above] + 1
            assert tree.root[e] == tree.root[above]
            begun = tree.written.said[above]
            assert digits[begun >= 0].tolist() == begun[begun >= 0].tolist()
        ends = sums.length[tree.root[e]] if depth[e] == 2 else 2 * (depth[e] + 1)
        last = min(ends, sums.length[tree.root[e]])
        assert np.flatnonzero(own).tolist() == list(range(2 * depth[e], last))
        assert np.isfinite(tree.outcome[e]) == (last == sums.length[tree.root[e]])
        assert np.isnan(tree.outcome[e]) == (tree.parent == e).any()
    ways = np.bincount(tree.parent[tree.parent >= 0])
    assert set(ways[ways > 0]) == {2}
    assert np.bincount(tree.root[tree.parent < 0]).tolist() == [3] * 8


def test_what_is_over_is_worth_what_it_says():
    tree, sums = planted((4, 3))
    for e in np.flatnonzero(np.isfinite(tree.outcome)):
        last = tree.written.said[e, sums.length[tree.root[e]] - 1]
        assert tree.outcome[e] == (last == sums.right[tree.root[e]])


def test_one_level_is_whole_answers():
    tree, sums = planted((5,))
    assert tree.root.tolist() == np.repeat(np.arange(8), 5).tolist()
    assert np.all(tree.parent == -1)
    assert tree.written.tokens == 5 * sums.length.sum()
