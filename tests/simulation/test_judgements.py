"""Simulated judges have the tastes that they were given."""

import numpy as np
import pytest

from penchant.numerics.arrays import sigmoid
from penchant.simulation.judgements import judge_pairs, two_tastes


def test_answers_follow_the_taste_that_the_context_shows():
    tastes = two_tastes(np.pi / 3, 4, size=2.0)
    assert np.linalg.norm(tastes, axis=1) == pytest.approx(2.0)
    assert tastes[0] @ tastes[1] == pytest.approx(4.0 * np.cos(np.pi / 3))
    made = judge_pairs(tastes, 4000, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(made.kind, (made.context[:, 0] > 0).astype(int))
    own = (made.differences * tastes[made.kind[made.person]]).sum(axis=1)
    np.testing.assert_allclose(made.gap, own)
    said = np.bincount((made.answer == 0) * 1, minlength=2) / len(own)
    assert said[1] == pytest.approx(0.5, abs=0.02)
    # The average answer is what the truth gives.
    clear = np.abs(own) < 0.5
    assert (made.answer[clear] == 0).mean() == pytest.approx(sigmoid(own[clear]).mean(), abs=0.02)


def test_more_tastes_than_two_are_equally_many():
    made = judge_pairs(np.eye(5)[:4], 4000, 1, np.random.default_rng(1))
    np.testing.assert_allclose(np.bincount(made.kind) / 4000, 0.25, atol=0.001)
