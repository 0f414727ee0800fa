"""Newton's method on densities whose top is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import DataError
from penchant.fitting.inference import covariances, invert_information
from penchant.fitting.newton import Evaluation, NewtonConfig, maximise, step_up


def quadratic(matrix, centre):
    def evaluate(theta):
        apart = theta - centre
        return Evaluation(
            value=float(-0.5 * apart @ matrix @ apart),
            gradient=-matrix @ apart,
            information=matrix.copy(),
        )

    return evaluate


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_a_quadratic_is_climbed_in_one_step_whatever_its_units(seed, size):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size)) + 3.0 * np.eye(size)
    units = 10.0 ** rng.uniform(-6, 6, size)
    matrix = (root @ root.T) * units[:, None] * units
    centre = rng.normal(size=size) / units
    optimum = maximise(quadratic(matrix, centre), np.zeros(size))
    assert optimum.converged
    assert optimum.iterations <= 2
    np.testing.assert_allclose(optimum.theta * units, centre * units, rtol=1e-5, atol=1e-6)


def test_a_saddle_is_left_uphill():
    # -x^4/4 + x^2/2 has a minimum at 0, where Newton without damping would stay, and tops at +-1.
    def evaluate(theta):
        x = theta[0]
        return Evaluation(
            value=float(-(x**4) / 4 + x**2 / 2),
            gradient=np.array([x - x**3]),
            information=np.array([[3 * x**2 - 1]]),
        )

    optimum = maximise(evaluate, np.array([0.1]))
    assert optimum.converged
    np.testing.assert_allclose(optimum.theta, [1.0], atol=1e-6)


@given(st.floats(0.01, 1e6), st.floats(-0.5, 0.5))
def test_a_step_too_far_is_halved_until_it_rises_and_no_more(length, start):
    # -x^2/2 + x from `start`: a step uphill of `length` rises if it ends short of the mirrored
    # start, 2 - start; the first half-length to do so is taken.
    def evaluate(theta):
        x = float(theta[0])
        return Evaluation(value=x - x * x / 2, gradient=1 - theta, information=np.eye(1))

    theta = np.array([start])
    here = evaluate(theta).value
    moved, there = step_up(evaluate, theta, np.array([length]), here)
    taken = float(moved[0]) - start
    assert there.value == evaluate(moved).value >= here
    assert np.log2(length / taken) == pytest.approx(round(np.log2(length / taken)), abs=1e-6)
    assert taken == pytest.approx(length) or 2 * taken > 2 * (1 - start) * (1 - 1e-9)


def test_a_step_into_infinity_is_shortened_and_one_that_never_rises_is_none():
    def steep(theta):
        value = float(theta[0] - np.exp(theta[0] ** 3))
        return Evaluation(value=value, gradient=theta, information=np.eye(1))

    moved = step_up(steep, np.zeros(1), np.array([1024.0]), -1.0)
    assert moved is not None
    assert np.isfinite(moved[1].value)
    assert step_up(steep, np.zeros(1), np.array([1.0]), 5.0) is None
    assert step_up(steep, np.zeros(1), np.array([1024.0]), -1.0, halvings=3) is None


def test_running_out_of_steps_is_reported_not_hidden():
    optimum = maximise(
        lambda t: Evaluation(
            value=float(-np.logaddexp(0, -t[0])),
            gradient=np.array([1 / (1 + np.exp(t[0]))]),
            information=np.array([[np.exp(-t[0]) / (1 + np.exp(-t[0])) ** 2]]),
        ),
        np.zeros(1),
        NewtonConfig(max_steps=3),
    )
    assert not optimum.converged
    assert optimum.decrement > 1e-3


def test_a_start_without_a_finite_density_is_refused():
    with pytest.raises(DataError, match=r"rescale"):
        maximise(lambda t: Evaluation(value=np.nan, gradient=t, information=np.eye(1)), np.zeros(1))


def test_every_accepted_point_is_seen_so_that_a_climb_can_be_taken_up_again():
    seen = []
    matrix, centre = np.diag([1.0, 4.0]), np.array([2.0, -1.0])
    whole = maximise(quadratic(matrix, centre), np.zeros(2), on_step=lambda *a: seen.append(a))
    resumed = maximise(quadratic(matrix, centre), seen[0][1])
    np.testing.assert_array_equal(whole.theta, resumed.theta)


def test_the_inverse_leaves_out_directions_without_information():
    inverse, flat = invert_information(np.array([[1.0, 1.0], [1.0, 1.0]]))
    assert flat.shape == (1, 2)
    np.testing.assert_allclose(np.abs(flat @ np.ones(2)), 0.0, atol=1e-9)
    assert np.all(np.isfinite(inverse))


def test_the_sandwich_equals_the_inverse_when_scores_vary_as_the_model_says():
    rng = np.random.default_rng(0)
    information = np.array([[2.0, 0.3], [0.3, 1.0]])
    scores = rng.multivariate_normal(np.zeros(2), information, size=200_000)
    found = covariances(information * len(scores), scores)
    np.testing.assert_allclose(found.robust, found.classical, rtol=0.02)


def test_copying_every_row_of_a_person_leaves_the_robust_error_alone():
    # The trap that clustering exists for: ten copies of each answer are not ten times the news.
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(50, 3))
    information = scores.T @ scores
    once = covariances(information, scores)
    tenfold = covariances(10 * information, 10 * scores)
    np.testing.assert_allclose(once.robust, tenfold.robust, rtol=1e-9)
    np.testing.assert_allclose(once.classical, 10 * tenfold.classical, rtol=1e-9)
