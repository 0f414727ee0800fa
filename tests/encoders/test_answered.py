"""Somebody's answers as a context."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.encoders.answered import answered


@given(st.integers(0, 10_000))
def test_answers_count_in_any_order_whichever_was_shown_first_and_nobody_s_are_zero(seed):
    rng = np.random.default_rng(seed)
    x, answer, person = rng.normal(size=(9, 3)), rng.integers(2, size=9), rng.integers(3, size=9)
    known = answered(x, answer, person, 4)
    order = rng.permutation(9)
    np.testing.assert_allclose(answered(x[order], answer[order], person[order], 4), known)
    np.testing.assert_allclose(answered(-x, 1 - answer, person, 4), known)
    np.testing.assert_allclose(answered(x, 1 - answer, person, 4), -known)
    assert (known[3] == 0).all()


def test_few_answers_are_shrunk_and_many_are_their_mean():
    x = np.ones((400, 1))
    few = answered(x[:4], np.zeros(4, dtype=int), np.zeros(4, dtype=int), 1, shrink=4.0)
    assert few[0, 0] == pytest.approx(0.5)
    many = answered(x, np.zeros(400, dtype=int), np.zeros(400, dtype=int), 1, shrink=4.0)
    assert many[0, 0] == pytest.approx(1.0, abs=0.02)
