"""Reversals and contrasts, and what context inference costs at most (I6)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.metrics.reversals import contrast, flip_rate, pair_accuracy
from penchant.numerics.arrays import sigmoid, softmax


@given(st.integers(0, 10_000))
def test_whoever_ignores_the_context_is_right_in_half_of_the_reversed_pairs_exactly(seed):
    gap = np.random.default_rng(seed).normal(size=37).round(1)
    assert pair_accuracy(np.concatenate([gap, -gap])) == 0.5


def test_ties_count_as_half():
    assert pair_accuracy(np.array([1.0, -1.0, 0.0, 2.0])) == pytest.approx(0.625)


def test_decisions_that_turn_round_are_counted():
    gap, negated = np.array([1.0, 2.0, -1.0, 3.0]), np.array([-1.0, 2.0, 4.0, 0.0])
    assert flip_rate(gap, negated) == pytest.approx(0.625)
    assert flip_rate(gap, -gap) == 1.0
    assert flip_rate(gap, gap) == 0.0


def test_a_prompt_s_own_bonus_is_seen_by_the_instruction_contrast_alone():
    rng = np.random.default_rng(0)
    own, other = rng.normal(size=100) + 1.0, rng.normal(size=100)
    bonus = rng.normal(size=100) * 10
    plain = contrast(own, own - 1.0, other)
    moved = contrast(own + bonus, own + bonus - 1.0, other)
    assert plain.response == moved.response == 1.0
    assert plain.instruction != moved.instruction


@given(st.integers(0, 10_000))
def test_the_error_of_a_marginal_prediction_is_bounded_by_its_two_steps(seed):
    rng = np.random.default_rng(seed)
    truth, said = sigmoid(rng.normal(size=(2, 6)) * 3)
    p, q = softmax(rng.normal(size=(2, 6)) * 2, axis=1)
    error = abs(p @ truth - q @ said)
    of_context = 0.5 * np.abs(p - q).sum()
    assert error <= p @ np.abs(truth - said) + of_context + 1e-12
