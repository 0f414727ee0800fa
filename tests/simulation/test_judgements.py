"""Simulated judges have the tastes that they were given."""

import numpy as np
import pytest

from penchant.numerics.arrays import sigmoid
from penchant.simulation.judgements import foretold_by_kinds, judge_pairs, two_tastes


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


def test_who_knows_the_kinds_foretells_by_bayes_rule_and_as_often_as_they_say():
    tastes = 2.0 * np.eye(5)[:3]
    made = judge_pairs(tastes, 3000, 12, np.random.default_rng(2))
    place = np.tile(np.arange(12), 3000)
    right = []
    for known in (0, 2, 8):
        said = foretold_by_kinds(tastes, made, place < known)[place >= 8]
        truth = made.gap[place >= 8] > 0
        right.append(np.mean((said > 0.5) == truth))
        for low in (0.0, 0.2, 0.4, 0.6, 0.8):
            near = (said >= low) & (said <= low + 0.2)
            if near.sum() > 500:
                assert truth[near].mean() == pytest.approx(said[near].mean(), abs=0.04)
    assert right[0] < right[1] < right[2]
    # One person by hand.
    mine, told = made.person == 7, np.zeros(len(place), dtype=bool)
    told[np.flatnonzero(mine)[:3]] = True
    weight = np.ones(3)
    for difference, answer in zip(made.differences[told], made.answer[told]):
        chance = 1.0 / (1.0 + np.exp(-tastes @ difference))
        weight *= chance if answer == 0 else 1.0 - chance
    by_hand = (made.differences[mine] @ tastes.T > 0) @ (weight / weight.sum())
    np.testing.assert_allclose(foretold_by_kinds(tastes, made, told)[mine], by_hand)


def test_of_a_single_kind_all_is_known():
    tastes = 3.0 * np.eye(4)[:1]
    made = judge_pairs(tastes, 20, 5, np.random.default_rng(3))
    said = foretold_by_kinds(tastes, made, np.zeros(100, dtype=bool))
    np.testing.assert_array_equal(said > 0.5, made.gap > 0)
