"""Rewards that look at a group, at history or at ranks, by hand."""

import numpy as np
import pytest

from penchant.utilities.response_rewards import (
    brevity_by_history,
    brevity_in_group,
    clear_of_ease,
    gated,
    information_gain,
    rank_returns,
    softened_above,
)


def test_a_gate_leaves_nothing_to_farm():
    hard, soft = np.array([1.0, 0.0, 0.0]), np.array([0.4, 0.4, np.nan])
    met = np.array([True, False, False])
    assert gated(hard, soft, met).tolist() == [1.4, 0.0, 0.0]
    assert np.isnan(gated(hard, soft, np.array([True, False, True]))[2])


def test_brevity_is_measured_by_the_shortest_right_answer_so_far():
    length, shortest = np.array([5.0, 10.0, 40.0, 5.0, 40.0, 7.0]), np.array([10.0] * 5 + [np.inf])
    right = np.array([True, True, True, False, False, True])
    found = brevity_by_history(length, shortest, right)
    half = np.cos(np.pi / 4)
    np.testing.assert_allclose(found, [half, 0.0, -0.7, 0.0, -1.0, 0.0], atol=1e-12)


def test_brevity_in_a_group_pays_right_answers_only():
    found = brevity_in_group(np.array([10.0, 20.0, 30.0, 10.0]), np.array([True] * 3 + [False]))
    np.testing.assert_allclose(found, [0.5, 0.0, -0.5, 0.0])
    assert brevity_in_group(np.full(3, 7.0), np.ones(3, dtype=bool)).tolist() == [0.0] * 3


def test_a_softened_reward_keeps_its_order_and_its_threshold():
    reward = np.linspace(0, 1, 101)
    found = softened_above(reward)
    assert np.all(np.diff(found) > 0)
    assert softened_above(np.array([0.8]))[0] == pytest.approx(0.8)
    assert found[-1] - 0.8 < 0.01
    assert softened_above(np.array([-0.2]))[0] == pytest.approx(-0.2)


def test_a_softened_reward_far_below_goes_on_straight_and_stays_a_number():
    reward = np.array([-1e9, -1e3, -2.2, -1.2, -0.2, -0.2 + 1e-6])
    for below in (0.5, 1.0, 3.0):
        found = softened_above(reward, below=below)
        assert np.all(np.isfinite(found))
        assert np.all(np.diff(found) > 0)
        slope = np.diff(found) / np.diff(reward)
        # No kink where the line begins.
        np.testing.assert_allclose(slope[:-1], slope[-1], rtol=1e-5)
    assert np.isnan(softened_above(np.array([np.nan])))


def test_a_rank_never_pays_for_those_before_it():
    hit = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    found = rank_returns(hit)
    np.testing.assert_allclose(found[1], 0.5)
    np.testing.assert_allclose(found[0], [1.5, 0.5, 0.5])
    assert rank_returns(hit, is_local=True).tolist() == hit.tolist()
    # The first rank's return is the list's discounted gain.
    np.testing.assert_allclose(found[:, 0], hit @ (1 / np.log2([2, 3, 4])))


def test_a_turn_earns_what_it_added():
    found = information_gain(np.array([[-3.0, -1.0, -1.5, np.nan]]))
    np.testing.assert_allclose(found, [[2.0, -0.5, np.nan]])


def test_the_hard_way_to_an_easy_answer_earns_less():
    ones = np.ones(4)
    easy = np.array([True, False, False, False])
    free = np.array([True, True, False, True])
    found = clear_of_ease(ones * [1, 1, 1, 0], easy, free, easy_rate=0.8)
    np.testing.assert_allclose(found, [1.0, 1 - 0.64, 1.0, 0.0])
    np.testing.assert_allclose(clear_of_ease(ones, easy, free, easy_rate=0.4), 1.0)
