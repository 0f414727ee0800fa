"""Order and cycles: laws of the split and of skew comparisons, and the two worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import DataError
from penchant.utilities.intransitive import (
    Cycle,
    comparison_matrix,
    embed_skew,
    hodge_split,
    skew_comparison,
    skew_matrix,
    strongest_cycles,
)

torch = pytest.importorskip("torch")

seeds, sizes = st.integers(0, 10**6), st.integers(2, 8)


def world(seed, size):
    """A skew comparison and symmetric weights, a third of the pairs never met."""
    rng = np.random.default_rng(seed)
    c = rng.normal(size=(size, size))
    weight = rng.exponential(size=(size, size)) * (rng.random((size, size)) < 0.7)
    weight = np.triu(weight, 1)
    return c - c.T, weight + weight.T


@given(seeds, sizes)
def test_transitive_comparisons_have_no_cyclic_part(seed, size):
    _, weight = world(seed, size)
    worth = np.random.default_rng(seed).normal(size=size)
    split = hodge_split(worth[:, None] - worth, weight)
    np.testing.assert_allclose(split.cyclic, 0.0, atol=1e-9)
    assert split.cyclic_share == pytest.approx(0.0, abs=1e-15)


@given(seeds, sizes)
def test_the_parts_add_up_are_orthogonal_and_the_cyclic_one_has_no_divergence(seed, size):
    comparison, weight = world(seed, size)
    split = hodge_split(comparison, weight)
    np.testing.assert_allclose(
        split.gradient + split.cyclic, np.where(weight > 0, comparison, 0.0), atol=1e-9
    )
    np.testing.assert_allclose((weight * split.cyclic).sum(axis=1), 0.0, atol=1e-8)
    assert (weight * split.cyclic * split.gradient).sum() == pytest.approx(0.0, abs=1e-8)


@given(seeds, sizes)
def test_splitting_again_changes_nothing(seed, size):
    comparison, weight = world(seed, size)
    split = hodge_split(comparison, weight)
    np.testing.assert_allclose(hodge_split(split.cyclic, weight).strengths, 0.0, atol=1e-7)
    np.testing.assert_allclose(
        hodge_split(split.gradient, weight).strengths, split.strengths, atol=1e-7
    )


@given(seeds, sizes)
def test_strengths_are_weighted_least_squares(seed, size):
    comparison, weight = world(seed, size)
    rows, targets = [], []
    for i in range(size):
        for j in range(i + 1, size):
            root = np.sqrt(weight[i, j])
            rows.append(root * (np.eye(size)[i] - np.eye(size)[j]))
            targets.append(root * comparison[i, j])
    slow = np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]
    np.testing.assert_allclose(hodge_split(comparison, weight).strengths, slow, atol=1e-7)


@given(seeds, sizes)
def test_with_equal_weights_a_strength_is_the_mean_of_its_row(seed, size):
    comparison, _ = world(seed, size)
    np.testing.assert_allclose(
        hodge_split(comparison).strengths, comparison.mean(axis=1), atol=1e-9
    )


@given(seeds, sizes)
def test_relabelling_items_relabels_the_split(seed, size):
    comparison, weight = world(seed, size)
    order = np.random.default_rng(seed).permutation(size)
    mine, theirs = (
        hodge_split(comparison, weight),
        hodge_split(comparison[np.ix_(order, order)], weight[np.ix_(order, order)]),
    )
    np.testing.assert_allclose(theirs.strengths, mine.strengths[order], atol=1e-7)
    assert theirs.cyclic_share == pytest.approx(mine.cyclic_share, abs=1e-9)


def test_a_balanced_cycle_is_all_cycle():
    comparison = comparison_matrix(3, np.array([0, 1, 0]), np.array([1, 2, 2]),
                                   np.array([1.0, 1.0, -1.0]))  # fmt: skip
    split = hodge_split(comparison)
    np.testing.assert_allclose(split.strengths, 0.0, atol=1e-12)
    assert split.cyclic_share == pytest.approx(1.0)
    assert strongest_cycles(comparison, comparison != 0) == (Cycle((0, 1, 2), 3.0),)


def test_islands_have_strengths_of_mean_zero_each():
    comparison = np.zeros((4, 4))
    comparison[0, 1], comparison[1, 0], comparison[2, 3], comparison[3, 2] = 2.0, -2.0, 6.0, -6.0
    split = hodge_split(comparison, (comparison != 0) * 1.0)
    np.testing.assert_allclose(split.strengths, [1.0, -1.0, 3.0, -3.0], atol=1e-12)


@given(seeds, sizes)
def test_every_skew_matrix_of_rank_two_per_block_is_embedded_exactly(seed, size):
    comparison, _ = world(seed, size)
    num_blocks = size // 2
    embedding = embed_skew(comparison, num_blocks)
    np.testing.assert_allclose(skew_matrix(embedding, np.ones(num_blocks)), comparison, atol=1e-9)


@given(seeds, st.integers(4, 8))
def test_fewer_blocks_leave_out_the_smallest_planes(seed, size):
    comparison, _ = world(seed, size)
    sigma = np.linalg.svd(comparison, compute_uv=False)
    left = comparison - skew_matrix(embed_skew(comparison, 1), np.ones(1))
    assert np.linalg.norm(left) == pytest.approx(np.sqrt((sigma[2:] ** 2).sum()))


@given(seeds)
def test_comparisons_are_antisymmetric_and_entries_of_the_matrix(seed):
    rng = np.random.default_rng(seed)
    embedding, gates = rng.normal(size=(5, 4)), rng.exponential(size=2)
    matrix = skew_matrix(embedding, gates)
    np.testing.assert_allclose(matrix, -matrix.T)
    one, two = rng.integers(0, 5, 7), rng.integers(0, 5, 7)
    found = skew_comparison(embedding[one], embedding[two], gates)
    np.testing.assert_allclose(found, matrix[one, two], atol=1e-12)
    in_torch = skew_comparison(*(torch.tensor(x) for x in (embedding[one], embedding[two], gates)))
    np.testing.assert_allclose(in_torch.numpy(), found, atol=1e-12)


def test_one_block_with_a_constant_is_bradley_terry():
    worth = np.array([0.5, -1.0, 2.0])
    embedding = np.column_stack([worth, np.ones(3)])
    np.testing.assert_allclose(skew_matrix(embedding, np.ones(1)), worth[:, None] - worth)


@given(seeds, st.integers(3, 7))
def test_the_strongest_cycles_are_those_of_brute_force(seed, size):
    comparison, weight = world(seed, size)
    met = weight > 0
    slow = sorted(
        (
            comparison[i, j] + comparison[j, k] + comparison[k, i]
            for i in range(size) for j in range(size) for k in range(size)
            if i < j and i < k and j != k and met[i, j] and met[j, k] and met[k, i]
            and min(comparison[i, j], comparison[j, k], comparison[k, i]) > 0
        ),
        reverse=True,
    )  # fmt: skip
    found = strongest_cycles(comparison, met, top=3)
    np.testing.assert_allclose([cycle.curl for cycle in found], slow[:3])
    for cycle in found:
        i, j, k = cycle.items
        assert min(comparison[i, j], comparison[j, k], comparison[k, i]) > 0


@pytest.mark.parametrize(
    ("comparison", "weight", "words"),
    [
        (np.array([[0.0, 1.0], [1.0, 0.0]]), None, "not skew-symmetric"),
        (np.array([[0.0, np.inf], [-np.inf, 0.0]]), None, "add half a vote"),
        (np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([[0.0, 1.0], [2.0, 0.0]]), "not symmetric"),
    ],
)
def test_what_is_no_comparison_is_refused(comparison, weight, words):
    with pytest.raises(DataError, match=words):
        hodge_split(comparison, weight)
