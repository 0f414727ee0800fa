"""Vector registers compute what numbers one by one would."""

import numpy as np
import pytest

from penchant.numerics import lanes, lanes_product

PRECISION = {np.float32: 2.5e-7, np.float64: 3e-16}


@lanes.compiled
def apply_exp2(x, limit, out):
    width = 64 // x.itemsize
    for s in range(0, x.shape[1], width):
        lanes.store(out, 0, s, lanes.exp2(lanes.load(x, 0, s), limit))


@lanes.compiled
def apply_parts(x, power, fraction, positive, sign):
    width = 64 // x.itemsize
    for s in range(0, x.shape[1], width):
        lanes.store(power, 0, s, lanes.exponent(lanes.load(x, 0, s)))
        lanes.store(fraction, 0, s, lanes.mantissa(lanes.load(x, 0, s)))
        shifted = lanes.subtract(lanes.load(x, 0, s), lanes.spread(x[0, 0]))
        lanes.store(positive, 0, s, lanes.positive_part(shifted))
        lanes.store(sign, 0, s, lanes.is_positive(shifted))


@lanes.compiled
def apply_total(x):
    return lanes.total(lanes.load(x, 0, 0))


@pytest.mark.parametrize("dtype", PRECISION)
def test_exp2_is_exact_to_the_last_digits_and_clamped(dtype):
    x = np.concatenate([np.linspace(-99, 99, 6400), [-500.0, 500.0, 0.0, 1.0] * 16])
    x, out = x.astype(dtype)[None], np.empty((1, 6464), dtype)
    apply_exp2(x, dtype(100.0), out)
    exact = np.exp2(np.clip(x.astype(np.longdouble), -100, 100))
    assert np.abs(out / exact - 1).max() < PRECISION[dtype]
    assert out[0, -2] == 1.0


@pytest.mark.parametrize("dtype", PRECISION)
def test_a_number_is_its_mantissa_times_two_to_its_exponent(dtype):
    x = np.exp2(np.random.default_rng(0).uniform(-90, 90, (1, 256))).astype(dtype)
    power, fraction, positive, sign = (np.empty_like(x) for _ in range(4))
    apply_parts(x, power, fraction, positive, sign)
    np.testing.assert_array_equal(np.ldexp(fraction, power.astype(int)), x)
    assert fraction.min() >= 1
    assert fraction.max() < 2
    np.testing.assert_array_equal(positive, np.maximum(x - x[0, 0], 0))
    np.testing.assert_array_equal(sign, x > x[0, 0])


@pytest.mark.parametrize("dtype", PRECISION)
def test_the_total_counts_every_lane(dtype):
    x = (2.0 ** np.arange(64 // np.dtype(dtype).itemsize)).astype(dtype)[None]
    assert apply_total(x) == x.sum()


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize(("rows", "count"), [(1, 1), (3, 5), (4, 2), (7, 0), (11, 9)])
def test_matmul_serves_a_matrix_and_its_transpose(dtype, rows, count):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(rows, count)).astype(dtype), rng.normal(size=(count + 1, 64))
    b, start = b.astype(dtype), rng.normal(size=rows).astype(dtype)
    exact = start[:, None] + a.astype(float) @ b[1:].astype(float)
    for matrix, steps in ((a, (count, 1)), (np.ascontiguousarray(a.T), (1, rows))):
        out = np.zeros((rows + 1, 64), dtype)
        if count == 0:
            matrix = np.zeros((1, 1), dtype)
        lanes_product.matmul(start, 0, matrix, 0, 0, *steps, rows, count, b, 1, 64, out, 1)
        np.testing.assert_allclose(out[1:], exact, rtol=0, atol=20 * PRECISION[dtype])
        assert not out[0].any()


@lanes.compiled
def apply_turn(flat, at, rows, shift, out):
    lanes.prefetch(flat, len(flat) + 10**6)
    lanes.transpose(flat, at, shift, out, rows, 1, 0)


@pytest.mark.parametrize(("source", "target"), [("f4", "f4"), ("f4", "f8"), ("f8", "f8")])
def test_a_square_is_turned_from_and_to_any_place(source, target):
    width = 64 // np.dtype(target).itemsize
    rng = np.random.default_rng(0)
    flat = rng.normal(size=40 * width).astype(source)
    at = rng.integers(0, 39 * width - 3, width)
    rows = np.concatenate([[99], rng.permutation(width + 2)[:width]])
    out = np.zeros((width + 2, width), target)
    apply_turn(flat, at, rows, 3, out)
    for j in range(width):
        np.testing.assert_array_equal(out[rows[1 + j]], flat[at + 3 + j])


@lanes.compiled
def apply_maximum(x, out):
    lanes.store(out, 0, 0, lanes.maximum(lanes.load(x, 0, 0), lanes.load(x, 1, 0)))


@pytest.mark.parametrize("dtype", PRECISION)
def test_the_maximum_is_the_larger_of_each_lane(dtype):
    x = np.random.default_rng(1).normal(size=(2, 64 // np.dtype(dtype).itemsize)).astype(dtype)
    x[0, :2] = -np.inf, np.inf
    out = np.empty((1, x.shape[1]), dtype)
    apply_maximum(x, out)
    np.testing.assert_array_equal(out[0], x.max(axis=0))
