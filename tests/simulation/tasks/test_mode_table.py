"""A table with three ways to answer: what is judged is what is drawn."""

import numpy as np

from penchant.simulation.tasks.mode_table import (
    AT_ONCE,
    BY_CALL,
    BY_STEPS,
    answered,
    costs,
    judged,
    mixed_sums,
    taught_modes,
)


def test_what_is_judged_exactly_is_what_free_answers_do():
    rng = np.random.default_rng(0)
    table, sums = taught_modes(rng), mixed_sums(40_000, rng)
    table.logits[900:910, :3] += rng.normal(size=(10, 3))  # ways, by length
    written, mode = answered(table, sums, np.full(len(sums), -1), rng)
    found, length = judged(table, sums), costs(sums)[np.arange(len(sums)), mode].mean()
    right = written.is_right.mean()
    np.testing.assert_allclose(found["right"], 100.0 * right, atol=0.6)
    np.testing.assert_allclose(found["length"], length, rtol=0.02)
    np.testing.assert_allclose(found["cost"], length / right, rtol=0.03)
    at_once = mode[sums.length == 1] == AT_ONCE
    np.testing.assert_allclose(found["at once"], 100.0 * at_once.mean(), atol=1.0)


def test_a_way_that_is_told_is_taken_and_not_learnt():
    rng = np.random.default_rng(1)
    table, sums = taught_modes(rng), mixed_sums(30, rng)
    told = np.tile([-1, AT_ONCE, BY_STEPS, BY_CALL, -1, AT_ONCE], 5)
    written, mode = answered(table, sums, told, rng)
    assert np.all((mode == told) | (told < 0))
    assert np.all((written.at[:, 0] >= 0) == (told < 0))
    assert np.all((written.at[:, 1] >= 0) == (mode == BY_CALL))
    assert np.all((written.at[:, 2] >= 0) == (mode == AT_ONCE))
    steps = (written.at[:, 3:] >= 0).sum(axis=1)
    assert np.all(steps == np.where(mode == BY_STEPS, sums.length, 0))
    assert costs(sums)[sums.length == 5][0].tolist() == [2, 12, 19]


def test_at_once_a_table_knows_single_operations_and_nothing_of_long_ones():
    rng = np.random.default_rng(2)
    table, sums = taught_modes(rng), mixed_sums(4_000, rng)
    written, _ = answered(table, sums, np.full(len(sums), AT_ONCE), rng)
    assert written.is_right[sums.length == 1].mean() > 0.6
    assert written.is_right[sums.length > 1].mean() < 0.2
