"""Baselines and scales of groups, against what the words say, unit by unit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.policies.language.credit import (
    STD_FLOOR,
    advantage,
    group_deviation,
    group_mean,
    hierarchical_advantage,
    is_degenerate,
    others_mean,
    shrunk_baseline,
)

MANY = settings(max_examples=40, deadline=None)


@st.composite
def units(draw):
    """Returns, keys (-1: none), rollouts and who is counted, of up to twelve units."""
    num = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    returns = rng.integers(-2, 3, num).astype(float)
    return returns, rng.integers(-1, 3, num), rng.integers(0, 4, num), rng.random(num) < 0.8


@MANY
@given(units())
def test_means_are_those_of_the_counted_of_the_group(case):
    returns, key, rollout_of, counted = case
    mean, others = group_mean(returns, key, counted), others_mean(returns, key, rollout_of, counted)
    deviation = group_deviation(returns, key, counted)
    for u in range(len(returns)):
        group = [v for v in range(len(returns)) if key[v] == key[u] >= 0 and counted[v]]
        rest = [v for v in group if rollout_of[v] != rollout_of[u]]
        assert mean[u] == pytest.approx(np.mean(returns[group]) if group else 0.0)
        assert others[u] == pytest.approx(np.mean(returns[rest]) if rest else 0.0)
        spread = np.std(returns[group], ddof=1) if len(group) > 1 else 0.0
        assert deviation[u] == pytest.approx(spread)


@MANY
@given(units(), st.sampled_from(["none", "group", "batch"]), st.booleans())
def test_a_constant_on_every_return_of_a_group_changes_nothing(case, scale, leave_one_out):
    returns, key, rollout_of, _ = case
    # Everybody has company: a lone decision keeps baseline 0 and is not shift invariant.
    returns, key = np.tile(returns, 2), np.tile(np.maximum(key, 0), 2)
    rollout_of = np.concatenate([rollout_of, rollout_of + 10])
    counted = np.ones(len(key), dtype=bool)
    shift = np.array([3.0, -1.0, 0.5])[key]

    def found(values):
        return advantage(values, key, rollout_of, counted, leave_one_out=leave_one_out, scale=scale)

    np.testing.assert_allclose(
        found(returns + shift).advantage, found(returns).advantage, atol=1e-9
    )
    np.testing.assert_array_equal(found(returns + shift).is_valid, found(returns).is_valid)


@MANY
@given(units(), st.randoms(use_true_random=False))
def test_the_order_of_units_and_the_names_of_groups_do_not_matter(case, random):
    returns, key, rollout_of, counted = case
    order = list(range(len(returns)))
    random.shuffle(order)
    renamed = np.where(key >= 0, 7 - key, -1)
    found = advantage(returns, key, rollout_of, counted, scale="group")
    other = advantage(returns[order], renamed[order], rollout_of[order] + 5, counted[order],
                      scale="group")  # fmt: skip
    np.testing.assert_allclose(other.advantage, found.advantage[order], atol=1e-12)


def test_a_group_is_degenerate_if_all_of_it_is_equal_not_if_the_others_are():
    # Three times 0.1, divided by three, is not 0.1 to the last digit.
    returns = np.array([0.0, 0.0, 0.0, 1.0, 0.1, 0.1, 0.1])
    key, counted = np.array([0, 0, 0, 0, 1, 1, 1]), np.ones(7, dtype=bool)
    np.testing.assert_array_equal(is_degenerate(returns, key, counted), [False] * 4 + [True] * 3)
    credit = advantage(returns, key, np.arange(7), counted, leave_one_out=False, scale="group")
    np.testing.assert_array_equal(credit.advantage[4:], 0.0)
    assert credit.is_valid.tolist() == [True] * 4 + [False] * 3


def test_leave_one_out_is_the_mean_with_oneself_times_a_factor():
    rng = np.random.default_rng(0)
    returns, key, counted = rng.normal(size=12), np.repeat([0, 1, 2], 4), np.ones(12, dtype=bool)
    own = advantage(returns, key, np.arange(12), counted, leave_one_out=False).advantage
    others = advantage(returns, key, np.arange(12), counted).advantage
    np.testing.assert_allclose(others, 4 / 3 * own, atol=1e-12)


def test_a_groups_deviation_is_the_one_that_group_relative_policy_optimisation_divides_by():
    returns = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    counted = np.ones(5, dtype=bool)
    credit = advantage(returns, np.zeros(5, dtype=int), np.arange(5), counted,
                       leave_one_out=False, scale="group")  # fmt: skip
    wanted = (returns - 0.6) / (np.std(returns, ddof=1) + STD_FLOOR)
    np.testing.assert_allclose(credit.advantage, wanted, atol=1e-12)


def test_long_rollouts_do_not_dominate_where_one_unit_of_each_is_counted():
    # A failing rollout of three turns and a winning one of one turn: the mean is one half.
    returns, rollout_of = np.array([0.0, 0.0, 0.0, 1.0]), np.array([0, 0, 0, 1])
    counted = np.array([True, False, False, True])
    key = np.zeros(4, dtype=int)
    np.testing.assert_allclose(group_mean(returns, key, counted), 0.5)
    np.testing.assert_allclose(
        advantage(returns, key, rollout_of, counted).advantage, [-1.0, -1.0, -1.0, 1.0]
    )


def test_nested_groups_are_weighed_and_levels_that_say_nothing_left_out():
    returns = np.array([1.0, 0.0, 0.3, 0.3])
    keys = np.array([[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, -1, -1]])
    credit = hierarchical_advantage(returns, keys, np.ones(4, dtype=bool))
    # Two levels for the first two (weights 2 and 3), one for the others, whose pair is equal.
    wanted = [(2 * 0.6 + 3 * 0.5) / 5, (2 * -0.4 + 3 * -0.5) / 5, -0.1, -0.1]
    np.testing.assert_allclose(credit.advantage, wanted, atol=1e-12)
    assert credit.is_valid.tolist() == [True, True, True, True]
    lone = hierarchical_advantage(returns[:1], keys[:, :1], np.ones(1, dtype=bool))
    assert lone.advantage.tolist() == [0.0]
    assert lone.is_valid.tolist() == [False]


def test_one_level_of_groups_is_the_plain_group_mean():
    rng = np.random.default_rng(1)
    returns, key = rng.normal(size=10), rng.integers(0, 3, 10)
    counted = np.ones(10, dtype=bool)
    one = hierarchical_advantage(returns, key[None], counted)
    plain = advantage(returns, key, np.arange(10), counted, leave_one_out=False)
    np.testing.assert_allclose(one.advantage, plain.advantage, atol=1e-12)


def test_a_prior_within_the_noise_is_kept_and_one_far_off_is_not():
    returns = np.array([1.0, 1.0, -1.0, 1.0])
    key, own, counted = np.zeros(4, dtype=int), np.arange(4), np.ones(4, dtype=bool)

    def baseline(prior, leave_one_out=False):
        return shrunk_baseline(returns, np.full(4, prior), key, own, counted,
                               leave_one_out=leave_one_out)  # fmt: skip

    # The mean is 0.5 and 1/k is 0.25: a prior of 0.1 is within one standard deviation of it.
    np.testing.assert_allclose(baseline(0.1), 0.1)
    weight = (2.25 - 0.25) / 2.25
    np.testing.assert_allclose(baseline(-1.0), weight * 0.5 - (1 - weight))
    # Left out, the first sees a mean of 1/3 over three, the third of 1.
    weights = [((m + 1) ** 2 - 1 / 3) / (m + 1) ** 2 for m in (1 / 3, 1.0)]
    wanted = [w * m - (1 - w) for w, m in zip(weights, (1 / 3, 1.0), strict=True)]
    np.testing.assert_allclose(baseline(-1.0, True)[[0, 2]], wanted)
    # Alone there is the prior and nothing else.
    alone = shrunk_baseline(returns[:1], np.array([0.2]), key[:1], own[:1], counted[:1])
    assert alone.tolist() == [0.2]


@pytest.mark.parametrize("scale", ["group", "batch"])
def test_what_has_nothing_to_be_compared_with_is_not_blown_up_by_a_scale(scale):
    # Alone in its group, and where a scale is shared, alone or among equals in the batch.
    for returns in (np.array([2.0]), np.array([0.1, 0.1, 0.1])):
        own, counted = np.arange(len(returns)), np.ones(len(returns), dtype=bool)
        credit = advantage(returns, own, own, counted, scale=scale)
        np.testing.assert_array_equal(credit.advantage, returns)
        assert not credit.is_valid.any()
    returns, key = np.array([5.0, 1.0, 0.0]), np.array([0, 1, 1])
    mixed = advantage(returns, key, np.arange(3), np.ones(3, dtype=bool), scale="group")
    floor = np.sqrt(0.5) + STD_FLOOR
    np.testing.assert_allclose(mixed.advantage, [5.0, 1 / floor, -1 / floor])


def test_nested_groups_are_divided_by_the_populations_deviation():
    returns, key = np.array([1.0, 0.0, 0.5]), np.zeros((1, 3), dtype=int)
    credit = hierarchical_advantage(returns, key, np.ones(3, dtype=bool), scale="group")
    wanted = (returns - 0.5) / (np.std(returns) + STD_FLOOR)
    np.testing.assert_allclose(credit.advantage, wanted)
