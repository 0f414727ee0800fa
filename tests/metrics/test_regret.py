"""Regret: nothing lost by the best, and never less than nothing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from penchant.metrics.regret import regret, worst_regret

worths = arrays.arrays(float, (3, 4, 2), elements=st.floats(-5, 5))
OFFERED = np.array([[True] * 4, [True, False, True, False], [False, False, True, False]])


def test_by_hand():
    worth = np.array([[1.0, 5.0, 3.0, 9.0]])
    offered = np.array([[True, True, True, False]])
    lost = regret(worth, offered, np.array([[0.5, 0.0, 0.5, 0.0]]))
    np.testing.assert_allclose(lost, [5.0 - 2.0])


@given(worths, st.floats(-100, 100))
def test_no_decision_beats_the_best_and_only_differences_count(worth, shift):
    even = OFFERED / OFFERED.sum(axis=1, keepdims=True)
    lost = regret(worth, OFFERED, even)
    assert (lost >= -1e-12).all()
    np.testing.assert_allclose(regret(worth + shift, OFFERED, even), lost, atol=1e-9)
    best = np.where(OFFERED, worth[:, :, 0], -np.inf).argmax(axis=1)
    sure = np.eye(4)[best]
    np.testing.assert_allclose(regret(worth, OFFERED, sure)[:, 0], 0.0, atol=1e-12)


@given(worths, st.sampled_from([np.nan, -np.inf, 1e9]))
def test_what_is_not_offered_does_not_matter(worth, ghost):
    even = OFFERED / OFFERED.sum(axis=1, keepdims=True)
    haunted = np.where(OFFERED[:, :, None], worth, ghost)
    np.testing.assert_array_equal(regret(haunted, OFFERED, even), regret(worth, OFFERED, even))


def test_the_worst_regret_is_that_of_who_loses_most():
    worth = np.array([[[1.0, 0.0], [0.0, 3.0]]])
    decision = np.array([[1.0, 0.0]])
    np.testing.assert_array_equal(worst_regret(worth, np.ones((1, 2), bool), decision), [3.0])
