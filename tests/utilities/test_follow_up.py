"""Worth by what follows: means over aspects, and what is missing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.utilities.follow_up import follow_up_worths


@given(st.integers(0, 1000))
def test_turning_praise_into_complaint_turns_the_worth_round(seed):
    praise, complaint = np.random.default_rng(seed).normal(size=(2, 4, 3, 2))
    np.testing.assert_allclose(
        follow_up_worths(praise, complaint), -follow_up_worths(complaint, praise)
    )
    # What both owe to the answer alone, such as its length, is no evidence.
    shared = np.random.default_rng(seed + 1).normal(size=(4, 3, 2))
    np.testing.assert_allclose(
        follow_up_worths(praise + shared, complaint + shared), follow_up_worths(praise, complaint)
    )


def test_a_missing_aspect_is_left_out_and_none_at_all_is_missing():
    praise = np.array([[[1.0, 5.0], [np.nan, 5.0], [np.nan, np.nan]]])
    worth = follow_up_worths(praise, np.zeros((1, 3, 2)))
    other = follow_up_worths(np.zeros((1, 3, 2)), praise)
    np.testing.assert_array_equal(other, -worth)
    np.testing.assert_allclose(worth[0, :2], [3.0, 5.0])
    assert np.isnan(worth[0, 2])


def test_torch_gives_the_same():
    torch = pytest.importorskip("torch")
    praise = np.random.default_rng(0).normal(size=(2, 3, 2))
    praise[0, 0, 1] = np.nan
    said = follow_up_worths(torch.from_numpy(praise), torch.zeros(2, 3, 2, dtype=torch.float64))
    np.testing.assert_allclose(said.numpy(), follow_up_worths(praise, np.zeros((2, 3, 2))))
