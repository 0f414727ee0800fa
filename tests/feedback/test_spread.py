"""How far apart outputs are put: by hand, its slopes, its ends."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.feedback.spread import spread, spread_score


def test_it_is_the_mean_over_pairs_by_hand():
    sigmoid = 1 / (1 + np.exp(-np.array([1.0, 3.0, 2.0])))
    np.testing.assert_allclose(spread(np.array([0.0, 1.0, 3.0])), 2 / 9 * sigmoid.sum())


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_slopes_are_finite_differences_and_a_constant_changes_nothing(seed):
    rewards = np.random.default_rng(seed).normal(size=(2, 5))
    found = spread_score(rewards)
    for place in np.ndindex(2, 5):
        step = np.zeros((2, 5))
        step[place] = 1e-6
        up, down = (spread(rewards + s * step).sum() for s in (1, -1))
        np.testing.assert_allclose(found[place], (up - down) / 2e-6, atol=1e-7)
    np.testing.assert_allclose(found.sum(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(spread(rewards + 3.0), spread(rewards))


def test_outputs_alike_are_put_apart_least_and_far_ones_most():
    alike, far = np.zeros(4), 1000.0 * np.arange(4)
    np.testing.assert_allclose([spread(alike), spread(far)], [0.375, 0.75])
    np.testing.assert_array_equal(spread_score(alike), np.zeros(4))
    np.testing.assert_allclose(spread_score(far), np.zeros(4))
