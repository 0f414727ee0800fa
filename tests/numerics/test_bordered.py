"""Blocks with a border: the same numbers as the whole matrix, inverted at once."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from penchant.errors import ConfigError
from penchant.numerics.bordered import MOST_PLACES, BorderedLayout, factorise


def bordered_matrix(rng, sizes=(4, 1, 3), border_core=2, corner=2):
    """A positive definite matrix whose blocks touch only each other and the border."""
    total = sum(sizes) + border_core + corner
    root = rng.normal(size=(total, total))
    matrix = root @ root.T + np.eye(total)
    starts = np.cumsum((0, *sizes))
    block_of = np.repeat(np.arange(len(sizes)), sizes)
    inside = sum(sizes)
    matrix[:inside, :inside] *= block_of[:, None] == block_of
    matrix += 3.0 * total * np.eye(total)
    # Shuffled, so that nothing rests on the order of places; the corner stays at the end.
    cut = inside + border_core
    order = np.concatenate([rng.permutation(cut), cut + np.arange(corner)])
    where = np.argsort(order)
    blocks = tuple(np.sort(where[starts[k] : starts[k + 1]]) for k in range(len(sizes)))
    layout = BorderedLayout(blocks=blocks, border=np.sort(where[inside:]))
    return matrix[np.ix_(order, order)], layout, total - corner


@pytest.fixture
def taken_apart():
    matrix, layout, num_core = bordered_matrix(np.random.default_rng(3))
    group = np.full(num_core, -1)
    group[layout.blocks[0]] = 0
    group[layout.blocks[2]] = 1
    factor = factorise(
        layout,
        csr_array(matrix[:num_core, :num_core]),
        matrix[:num_core, num_core:],
        matrix[num_core:, num_core:],
        group,
        ridge=2.0,
    )
    for number in (0, 1):
        mine = np.flatnonzero(group == number)
        matrix[np.ix_(mine, mine)] += 2.0 / len(mine)
    return matrix, layout, factor


def test_solves_are_those_of_the_whole_matrix(taken_apart):
    matrix, _, factor = taken_apart
    right = np.random.default_rng(0).normal(size=len(matrix))
    np.testing.assert_allclose(factor.solve(right), np.linalg.solve(matrix, right), rtol=1e-10)


def test_variances_and_the_determinant_are_those_of_the_whole_matrix(taken_apart):
    matrix, _, factor = taken_apart
    np.testing.assert_allclose(factor.variances(), np.diag(np.linalg.inv(matrix)), rtol=1e-10)
    assert factor.log_determinant == pytest.approx(np.linalg.slogdet(matrix)[1], rel=1e-12)


def test_covariances_of_border_block_and_mixed_places_are_those_of_the_whole_matrix(taken_apart):
    matrix, layout, factor = taken_apart
    inverse = np.linalg.inv(matrix)
    mixed = np.array([layout.blocks[0][1], layout.border[0], layout.blocks[2][0]])
    for places in (layout.border[:2], layout.blocks[0], mixed):
        np.testing.assert_allclose(
            factor.covariance(places), inverse[np.ix_(places, places)], rtol=1e-9, atol=1e-13
        )


def test_combinations_of_places_have_the_covariance_of_the_whole_matrix(taken_apart):
    matrix, _, factor = taken_apart
    combination = np.random.default_rng(1).normal(size=(len(matrix), 3))
    np.testing.assert_allclose(
        factor.quadratic(combination), combination.T @ np.linalg.inv(matrix) @ combination,
        rtol=1e-9,
    )  # fmt: skip


def test_a_matrix_that_is_not_positive_definite_is_refused():
    layout = BorderedLayout(blocks=(), border=np.arange(2))
    with pytest.raises(np.linalg.LinAlgError):
        factorise(
            layout, csr_array(np.array([[1.0, -1.0], [-1.0, 1.0]])), np.zeros((2, 0)),
            np.zeros((0, 0)), np.full(2, -1),
        )  # fmt: skip


def test_too_many_parameters_that_hang_together_are_refused_in_words():
    with pytest.raises(ConfigError, match="hang together"):
        BorderedLayout(blocks=(), border=np.arange(MOST_PLACES + 1))
