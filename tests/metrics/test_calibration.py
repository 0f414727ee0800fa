"""Calibration: a slow twin, and the laws that ties and cuts must keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.metrics.calibration import (
    calibration_floor,
    expected_calibration_error,
    reliability,
)
from penchant.metrics.scoring import chosen_indicator


def slow_error(probabilities, outcomes, weights, num_bins):
    """Walks along the line of mass, filling one bin after the other."""
    stretches = []
    for p in sorted(set(probabilities)):
        mine = [i for i in range(len(probabilities)) if probabilities[i] == p]
        mass = sum(weights[i] for i in mine)
        stretches.append([p, mass, sum(weights[i] * outcomes[i] for i in mine) / mass])
    size = sum(weights) / num_bins
    error = 0.0
    for z in range(num_bins):
        room, gap = size, 0.0
        while stretches and room > 1e-12 * size:
            p, mass, share = stretches[0]
            taken = min(mass, room)
            gap += taken * (share - p)
            room -= taken
            stretches[0][1] -= taken
            if stretches[0][1] <= 1e-12 * size:
                stretches.pop(0)
        error += abs(gap) / size / num_bins
        del z
    return error


tables = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 1.0]) | st.floats(0, 1),
        st.booleans(),
        st.sampled_from([0.5, 1.0, 2.0]),
    ),
    min_size=1,
    max_size=40,
)


@given(tables, st.integers(1, 20))
def test_the_error_is_that_of_the_slow_twin(table, num_bins):
    probabilities, outcomes, weights = (np.array(column, float) for column in zip(*table))
    found = expected_calibration_error(probabilities, outcomes, weights, num_bins)
    expected = slow_error(list(probabilities), list(outcomes), list(weights), num_bins)
    assert found == pytest.approx(expected, abs=1e-9)


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_options_means_nothing(table, random):
    shuffled = list(table)
    random.shuffle(shuffled)
    found, again = (
        expected_calibration_error(*(np.array(column, float) for column in zip(*each)))
        for each in (table, shuffled)
    )
    assert found == pytest.approx(again, abs=1e-9)


def test_fifteen_bins_of_fifteen_options_by_hand():
    probabilities = np.arange(15) / 15
    outcomes = (np.arange(15) % 2).astype(float)
    expected = np.abs(outcomes - probabilities).mean()
    assert expected_calibration_error(probabilities, outcomes) == pytest.approx(expected)


def test_one_tied_stretch_is_one_gap_however_it_is_cut():
    probabilities, outcomes = np.full(8, 0.25), np.array([1, 1, 1, 1, 0, 0, 0, 0.0])
    for num_bins in (1, 3, 15):
        found = expected_calibration_error(probabilities, outcomes, num_bins=num_bins)
        assert found == pytest.approx(0.25)


def test_the_table_holds_all_mass_and_means():
    generator = np.random.default_rng(1)
    probabilities = generator.random(1000)
    outcomes = (generator.random(1000) < probabilities).astype(float)
    table = reliability(probabilities, outcomes, num_bins=7)
    assert table.mass.sum() == pytest.approx(1000)
    np.testing.assert_allclose(table.mass, 1000 / 7)
    assert (table.predicted * table.mass).sum() == pytest.approx(probabilities.sum())
    assert (table.observed * table.mass).sum() == pytest.approx(outcomes.sum())
    assert (np.diff(table.predicted) > 0).all()
    assert ((table.low < table.observed) & (table.observed < table.high)).all()


def test_wilsons_interval_is_the_known_one():
    # 10 of 100: Wilson's 95 % interval is 0.0552 to 0.1744.
    outcomes = np.repeat([1.0, 0.0], [10, 90])
    table = reliability(np.full(100, 0.1), outcomes, num_bins=1)
    np.testing.assert_allclose([table.low[0], table.high[0]], [0.0552, 0.1744], atol=5e-5)


def make_choices(generator, num, sharpen=1.0):
    worth = generator.normal(size=(num, 3)) * 1.5
    truth = np.exp(worth) / np.exp(worth).sum(axis=1, keepdims=True)
    said = np.exp(sharpen * worth) / np.exp(sharpen * worth).sum(axis=1, keepdims=True)
    chosen = (generator.random((num, 1)) > truth.cumsum(axis=1)).sum(axis=1)
    return said.ravel(), np.arange(num + 1) * 3, np.minimum(chosen, 2)


def test_the_floor_is_what_the_truth_shows():
    generator = np.random.default_rng(2)
    errors, floors = [], []
    for _ in range(20):
        probabilities, offsets, chosen = make_choices(generator, 500)
        errors.append(expected_calibration_error(probabilities, chosen_indicator(offsets, chosen)))
        floors.append(calibration_floor(probabilities, offsets, generator, num_draws=5))
    standard_error = np.hypot(np.std(errors), np.std(floors)) / np.sqrt(20)
    assert abs(np.mean(errors) - np.mean(floors)) < 3 * standard_error
    assert np.mean(floors) > 0.005


def test_overconfidence_is_seen():
    generator = np.random.default_rng(3)
    probabilities, offsets, chosen = make_choices(generator, 5000, sharpen=2.0)
    error = expected_calibration_error(probabilities, chosen_indicator(offsets, chosen))
    assert error > 3 * calibration_floor(probabilities, offsets, generator)


def test_the_error_of_nothing_is_not_a_number():
    none = np.zeros(0)
    assert np.isnan(expected_calibration_error(none, none))
    assert np.isnan(calibration_floor(none, np.array([0]), np.random.default_rng(0)))
    assert np.isnan(reliability(none, none).observed).all()
