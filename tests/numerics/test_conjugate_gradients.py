"""Conjugate gradients: the system solved, in few steps, and short of directions without bend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.numerics.conjugate_gradients import conjugate_gradients


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_what_is_found_solves_the_system_whatever_the_preconditioner(seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(6, 6))
    matrix, target = root @ root.T + 0.1 * np.eye(6), rng.normal(size=6)
    diagonal = rng.uniform(0.01, 100.0, 6)
    x = conjugate_gradients(
        lambda v: matrix @ v, target, diagonal, tolerance=1e-10, max_steps=200, flat=1e-14
    )
    np.testing.assert_allclose(matrix @ x, target, atol=1e-6 * np.abs(target).max())


@given(st.integers(0, 1000), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_after_each_step_the_error_is_the_least_that_its_products_allow(seed, steps):
    # Of all x in the span of (D^-1 A)^i D^-1 b, i < steps, the one with the smallest error
    # (x - x*)' A (x - x*): what tells conjugate gradients from any other way uphill.
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(6, 6))
    matrix, target = root @ root.T + 0.5 * np.eye(6), rng.normal(size=6)
    diagonal = rng.uniform(0.5, 2.0, 6)
    x = conjugate_gradients(lambda v: matrix @ v, target, diagonal, tolerance=0.0, max_steps=steps)
    krylov = [target / diagonal]
    for _ in range(steps - 1):
        krylov.append(matrix @ krylov[-1] / diagonal)
    basis = np.linalg.qr(np.stack(krylov, axis=1))[0]
    best = basis @ np.linalg.solve(basis.T @ matrix @ basis, basis.T @ target)
    np.testing.assert_allclose(x, best, rtol=1e-6, atol=1e-6 * np.abs(best).max())


def test_the_own_diagonal_solves_a_diagonal_system_in_one_product():
    calls, diagonal = [], np.logspace(-6, 6, 40)

    def times(v):
        calls.append(v)
        return diagonal * v

    target = np.linspace(1.0, 2.0, 40)
    x = conjugate_gradients(times, target, diagonal, tolerance=1e-12, max_steps=40)
    assert len(calls) == 1
    np.testing.assert_allclose(x, target / diagonal, rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_a_direction_of_rounding_is_left_alone_in_any_unit(unit):
    # One unknown bends a part in 1e16 of the other: a step along it would be of size 1e16.
    matrix = np.diag([1.0, 1e-16]) / unit**2
    target = np.array([1.0, 0.0]) / unit
    noisy = target + np.array([0.0, 1e-3]) / unit
    diagonal = np.full(2, unit**-2.0)
    x = conjugate_gradients(
        lambda v: matrix @ v, noisy, diagonal, tolerance=1e-10, max_steps=50, flat=1e-14
    )
    assert abs(x[1]) < unit
    assert x @ target > 0


def test_nothing_to_solve_is_solved_by_nothing():
    x = conjugate_gradients(lambda v: v, np.zeros(3), np.ones(3), tolerance=1e-3, max_steps=5)
    np.testing.assert_array_equal(x, np.zeros(3))
