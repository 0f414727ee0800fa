"""The numbers under every likelihood: exact in the tails, the same in NumPy and torch."""

import subprocess
import sys

import numpy as np
import pytest

from penchant.numerics import arrays

mpmath = pytest.importorskip("mpmath")
torch = pytest.importorskip("torch")

GRID = np.concatenate([-np.logspace(4, -300, 60), [0.0], np.logspace(-300, 4, 60)])
BACKENDS = [np.asarray, torch.as_tensor]


def relative_error(got, expected):
    got, expected = np.asarray(got), np.array([float(value) for value in expected])
    scale = np.where(expected == 0.0, 1.0, np.abs(expected))
    return np.max(np.abs(got - expected) / scale)


@pytest.mark.parametrize("convert", BACKENDS)
@pytest.mark.parametrize(
    ("function", "exact", "points"),
    [
        (arrays.log_sigmoid, lambda x: -mpmath.log1p(mpmath.exp(-x)), GRID),
        (arrays.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), GRID[np.abs(GRID) < 700]),
        (arrays.log1m_exp, lambda x: mpmath.log(-mpmath.expm1(-x)), GRID[GRID > 0]),
        (arrays.log_ndtr, lambda x: mpmath.log(mpmath.ncdf(x)), np.linspace(-300, 30, 67)),
        (
            arrays.inverse_mills,
            lambda x: mpmath.npdf(x) / mpmath.ncdf(x),
            np.linspace(-300, 30, 67),
        ),
    ],
)
def test_one_number_functions_are_exact_in_both_tails(convert, function, exact, points):
    with mpmath.workdps(400):
        expected = [exact(mpmath.mpf(float(x))) for x in points]
    assert relative_error(function(convert(points)), expected) < 2e-12


@pytest.mark.parametrize("convert", BACKENDS)
def test_the_normal_quantile_of_a_log_probability_inverts_its_logarithm(convert):
    log_p = -np.logspace(-12, 6, 200)
    x = arrays.ndtri_exp(convert(log_p))
    assert relative_error(arrays.log_ndtr(x), log_p) < 1e-12


def test_the_normal_quantile_carries_its_derivative_in_torch():
    log_p = torch.linspace(-50, -0.01, 40, dtype=torch.float64, requires_grad=True)
    x = arrays.ndtri_exp(log_p)
    (slope,) = torch.autograd.grad(x.sum(), log_p)
    assert torch.allclose(slope, 1 / arrays.inverse_mills(x.detach()), rtol=1e-12)


@pytest.mark.parametrize("convert", BACKENDS)
def test_log_sum_exp_survives_what_overflows_and_what_is_empty(convert):
    x = np.array([[1e4, 1e4, -np.inf], [-np.inf, -np.inf, -np.inf], [-1e5, -np.inf, -1e5]])
    expected = [1e4 + np.log(2), -np.inf, -1e5 + np.log(2)]
    np.testing.assert_allclose(arrays.log_sum_exp(convert(x), axis=1), expected, rtol=1e-15)
    np.testing.assert_allclose(
        arrays.softmax(convert(x), axis=1), [[0.5, 0.5, 0], [0, 0, 0], [0.5, 0, 0.5]]
    )


@pytest.mark.parametrize("convert", BACKENDS)
def test_log_cum_sum_exp_ends_in_log_sum_exp(convert):
    x = convert(np.random.default_rng(0).normal(size=(5, 4, 3)) * 300)
    running = arrays.log_cum_sum_exp(x, axis=1)
    for k in range(4):
        np.testing.assert_allclose(
            running[:, k], arrays.log_sum_exp(x[:, : k + 1], axis=1), rtol=1e-14
        )


def test_an_empty_sum_has_a_gradient_of_zero_and_not_of_nan():
    x = torch.full((2, 3), -torch.inf, dtype=torch.float64, requires_grad=True)
    arrays.softmax(x, axis=1).sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("convert", BACKENDS)
def test_options_are_masked_taken_and_marked_in_every_kind_of_people(convert):
    utilities = np.arange(12.0).reshape(2, 3, 2)
    offered = np.array([[True, False, True], [True, True, True]])
    masked = arrays.mask_options(convert(utilities), convert(offered), fill=-np.inf)
    assert np.isneginf(np.asarray(masked)[0, 1]).all()
    assert np.isfinite(np.asarray(masked)).sum() == 10
    taken = arrays.take_option(convert(utilities), convert(np.array([2, 0])))
    np.testing.assert_array_equal(taken, [[4, 5], [6, 7]])
    marks = arrays.one_hot(convert(np.array([1, -1])), 3, convert(utilities))
    np.testing.assert_array_equal(marks, [[0, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize("convert", BACKENDS)
def test_zero_times_the_logarithm_of_zero_is_zero(convert):
    got = arrays.xlogy(convert(np.array([0.0, 2.0])), convert(np.array([0.0, np.e])))
    np.testing.assert_allclose(got, [0.0, 2.0])


def test_neither_torch_nor_scipy_is_imported_before_it_is_needed():
    code = (
        "import sys, numpy; from penchant.numerics import arrays;"
        "arrays.log_sum_exp(numpy.ones(3), 0); arrays.log_sigmoid(numpy.ones(3));"
        "sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
