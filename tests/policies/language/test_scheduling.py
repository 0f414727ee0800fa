"""Which prompts and rollouts are taken, against trying everything."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.policies.language.scheduling import (
    budget,
    extremes,
    is_one_more_worth_it,
    most_varied,
    nearest_to_half,
    rows_of_budget,
    useful_failures,
)

SEEDS = st.integers(0, 2**32 - 1)


def test_prompts_of_middling_success_are_taken():
    value = np.array([0.9, 0.55, 0.1, 0.45, 0.5])
    assert nearest_to_half(value, 3).tolist() == [1, 3, 4]


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(3, 12))
def test_a_budget_is_the_best_of_all(seed, total):
    value = np.random.default_rng(seed).random(3)
    given_out = budget(value, total, low=1, high=4)
    assert given_out.sum() == total

    def worth(split):
        return useful_failures(np.array(split, dtype=float), value).sum()

    every = [split for split in product(range(1, 5), repeat=3) if sum(split) == total]
    assert worth(given_out) == pytest.approx(max(map(worth, every)))


def test_useful_failures_are_those_expected_in_groups_with_a_success():
    p, num = 0.3, 4
    expected = 0.0
    for group in product([0, 1], repeat=num):
        chance = np.prod([p if g else 1 - p for g in group])
        expected += chance * (num - sum(group)) * (sum(group) > 0)
    assert useful_failures(np.array(float(num)), np.array(p)) == pytest.approx(expected)
    assert useful_failures(np.array(8.0), np.array([0.0, 1.0])).tolist() == [0.0, 0.0]


def test_a_budget_that_cannot_be_handed_out_is_refused():
    with pytest.raises(ConfigError, match="expected 3 to 12"):
        budget(np.full(3, 0.5), 13, low=1, high=4)


def test_one_more_rollout_is_tried_while_the_prior_is_in_doubt():
    k = np.array([4, 15, 16, 4])
    mean, prior = np.array([0.9, 2.0, 2.0, 0.1]), np.array([-0.9, -30.0, -30.0, 0.0])
    assert is_one_more_worth_it(mean, prior, k).tolist() == [True, True, False, False]


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, 6))
def test_the_most_varied_rollouts_are_so_among_all_subsets(seed, num):
    credit = np.random.default_rng(seed).normal(size=7)
    kept = most_varied(credit, num)
    assert len(kept) == num
    best = max(np.var(credit[list(some)]) for some in combinations(range(7), num))
    assert np.var(credit[kept]) == pytest.approx(best)


def test_short_successes_and_long_failures_are_kept():
    reward, length = np.array([1.0, 1.0, 0.0, 0.0, 1.0]), np.array([9.0, 3.0, 2.0, 8.0, 5.0])
    assert extremes(reward, length, 2).tolist() == [1, 3]
    assert extremes(reward, length, 3).tolist() == [1, 3, 4]
    assert extremes(reward, length, 99).tolist() == [0, 1, 2, 3, 4]


def test_a_budget_of_rows_takes_all_rollouts_alike():
    rollout_of = np.array([0] * 10 + [1] * 2 + [2])
    rows = rows_of_budget(rollout_of, 9, np.random.default_rng(0))
    assert np.bincount(rollout_of[rows]).tolist() == [3, 3, 3]
    few = rows_of_budget(rollout_of, 3, np.random.default_rng(0))
    assert sorted(rollout_of[few]) == [0, 1, 2]
    # Of a rollout with rows enough none comes twice.
    assert len(set(rows[rollout_of[rows] == 0])) == 3


def test_the_rows_left_over_fall_to_any_rollout():
    rollout_of = np.repeat(np.arange(4), 3)
    extra = np.zeros(4)
    for seed in range(200):
        rows = rows_of_budget(rollout_of, 5, np.random.default_rng(seed))
        extra += np.bincount(rollout_of[rows], minlength=4) - 1
    assert extra.sum() == 200
    assert extra.min() > 30
