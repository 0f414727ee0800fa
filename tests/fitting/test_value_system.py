"""Value systems: exact gradients, weights recovered, two channels of one utility."""

import numpy as np
import pytest

from penchant.errors import DataError
from penchant.fitting.value_system import (
    Paths,
    _followed,
    expected_totals,
    fit_value_system,
    value_totals,
)
from penchant.numerics.arrays import sigmoid
from penchant.numerics.planning_horizon import soft_plan
from penchant.simulation.grids import grid_moves, walk


def world(seed, num_paths=200, weights=(1.5, 0.5)):
    rng = np.random.default_rng(seed)
    grounding = np.repeat(rng.normal(size=(16, 1, 2)), 5, axis=1)
    moves = grid_moves(4, 4)
    plan = soft_plan(grounding @ np.array(weights), moves, 8)
    paths = walk(plan.log_policy, moves, rng.integers(16, size=num_paths), rng)
    one, two = (
        walk(np.full((8, 16, 5), -np.log(5)), moves, rng.integers(16, size=300), rng)
        for _ in range(2)
    )
    apart = value_totals(grounding, one) - value_totals(grounding, two)
    sign = np.where(rng.random(300) < sigmoid(apart @ np.array(weights)), 1.0, -1.0)
    return grounding, moves, paths, apart * sign[:, None]


@pytest.mark.parametrize("is_certain", [True, False])
def test_the_gradient_of_followed_paths_is_that_of_finite_differences(is_certain):
    rng = np.random.default_rng(0)
    grounding, moves, paths, _ = world(0, num_paths=20)
    if not is_certain:
        moves = 0.8 * moves + 0.2 * rng.dirichlet(np.ones(16), size=(16, 5))
    weights = np.array([0.7, -0.4])
    _, gradient = _followed(weights, grounding, moves, paths)
    for place, axis in enumerate(1e-5 * np.eye(2)):
        up, down = (
            _followed(weights + side * axis, grounding, moves, paths)[0] for side in (1, -1)
        )
        assert gradient[place] == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-6)


def test_where_moves_are_certain_the_gradient_is_values_reached_less_values_expected():
    grounding, moves, paths, _ = world(1, num_paths=30)
    weights = np.array([0.3, 0.9])
    _, gradient = _followed(weights, grounding, moves, paths)
    expected = sum(
        expected_totals(grounding, moves, weights, np.eye(16)[start], 8)
        for start in paths.state[:, 0]
    )
    np.testing.assert_allclose(gradient, value_totals(grounding, paths).sum(axis=0) - expected)


def test_weights_are_recovered_from_paths_from_preferences_and_better_from_both():
    inside = []
    for seed in range(8):
        grounding, moves, paths, apart = world(seed)
        known = [
            fit_value_system(grounding, moves, demonstrations=paths),
            fit_value_system(grounding, moves, apart=apart),
            fit_value_system(grounding, moves, demonstrations=paths, apart=apart),
        ]
        assert all(found.optimum.converged for found in known)
        assert (known[2].errors < np.minimum(known[0].errors, known[1].errors)).all()
        inside += [np.abs(f.weights - [1.5, 0.5]) < 2.6 * f.errors for f in known]
        assert known[2].shares == pytest.approx([0.75, 0.25], abs=0.1)
    assert np.mean(inside) > 0.9


def test_the_two_kinds_of_evidence_add_up():
    grounding, moves, paths, apart = world(2)
    both = fit_value_system(grounding, moves, demonstrations=paths, apart=apart)
    weights = both.weights
    told, pull = _followed(weights, grounding, moves, paths)
    gap = apart @ weights
    np.testing.assert_allclose(pull + apart.T @ sigmoid(-gap), weights / 100.0, atol=1e-5)
    assert both.optimum.value == pytest.approx(
        told + np.log(sigmoid(gap)).sum() - 0.5 * weights @ weights / 100.0
    )


def test_a_value_that_somebody_shuns_has_no_share():
    grounding, moves, paths, _ = world(3, weights=(1.0, -0.5))
    found = fit_value_system(grounding, moves, demonstrations=paths)
    assert found.weights[1] < 0
    np.testing.assert_allclose(found.shares, [1.0, 0.0])


def test_nothing_to_learn_from_and_paths_off_the_board_are_refused():
    grounding, moves, paths, _ = world(0)
    with pytest.raises(DataError, match="neither demonstrations nor preferences"):
        fit_value_system(grounding, moves)
    off = Paths(state=paths.state + 3, action=paths.action)
    with pytest.raises(DataError, match="a state numbered"):
        fit_value_system(grounding, moves, demonstrations=off)
