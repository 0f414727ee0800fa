"""Tokens drawn by one number a row: which token each number stands for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import DataError

torch = pytest.importorskip("torch")

from penchant.lm.sample import drawn_by  # noqa: E402  # it needs torch

ALMOST_ONE = np.nextafter(1.0, 0.0)


def tokens_at(share, chances):
    """What each of many numbers stands for, under the same shares."""
    rows = torch.tensor(share)[None, :].expand(len(chances), -1)
    return drawn_by(rows, torch.tensor(chances, dtype=torch.float64)).numpy()


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any))
def test_every_token_stands_for_as_many_numbers_as_it_has_share(parts):
    share, num = np.array(parts, dtype=np.float32) / sum(parts), 60 * sum(parts)
    middles = (np.arange(num) + 0.5) / num
    found = np.bincount(tokens_at(share, middles), minlength=len(parts))
    np.testing.assert_array_equal(found, 60 * np.array(parts))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tokens_rarer_than_single_precision_tells_apart_come_in_their_place(dtype):
    generator = np.random.default_rng(0)
    share = np.full(32_000, 2e-9)
    share[generator.choice(32_000, 40, replace=False)] = generator.dirichlet(np.ones(40))
    share = (share / share.sum()).astype(dtype)
    ends = np.cumsum(share.astype(np.longdouble))
    middles = ((ends - share / 2) / ends[-1]).astype(float)
    some = np.r_[0:32_000:50, 31_900:32_000]
    np.testing.assert_array_equal(tokens_at(share, middles[some]), some)


def test_what_has_no_share_is_never_drawn_not_even_at_the_ends():
    share = np.array([0.0, 0.25, 0.0, 0.75, 0.0], dtype=np.float32)
    found = tokens_at(share, [0.0, np.nextafter(0.25, 0), 0.25, ALMOST_ONE])
    np.testing.assert_array_equal(found, [1, 1, 3, 3])
    # Shares that rounding made to sum to a little more or less than one.
    for total in (1.0 - 3e-7, 1.0 + 3e-7, 2.0, 1e-30):
        rows = torch.tensor(share, dtype=torch.float64)[None] * total
        assert drawn_by(rows, torch.tensor([ALMOST_ONE], dtype=torch.float64)).item() == 3


def test_shares_that_are_no_numbers_are_refused():
    for bad in (np.nan, np.inf):
        with pytest.raises(DataError, match="expected finite logits"):
            tokens_at(np.array([0.5, bad], dtype=np.float32), [0.5])
