"""Two views of a text beside those of the others: by hand, its slopes, what it does not see."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.feedback.contrastive import contrast_log_prob, contrast_score


def views(seed, shape=(2, 4, 3)):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape), rng.normal(size=shape)


def test_it_is_the_log_share_of_the_own_view_by_hand():
    one, other = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 3.0], [0.0, 1.0]])
    half = np.sqrt(0.5)
    wanted = [half / 0.5 - np.log(np.exp(half / 0.5) + 1), 2 - np.log(np.exp(half / 0.5) + np.e**2)]
    np.testing.assert_allclose(contrast_log_prob(one, other, 0.5), wanted)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 1.0]))
def test_slopes_are_finite_differences(seed, temperature):
    pair = views(seed)
    found = contrast_score(*pair, temperature)
    rng = np.random.default_rng(seed)
    for side in (0, 1):
        place = tuple(rng.integers(0, size) for size in pair[side].shape)
        moved = [[each.copy() for each in pair] for _ in range(2)]
        for changed, step in zip(moved, (1e-6, -1e-6)):
            changed[side][place] += step
        up, down = (contrast_log_prob(*each, temperature).sum() for each in moved)
        assert found[side][place] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-5)


@given(st.integers(0, 10_000), st.floats(0.1, 10.0))
def test_how_long_a_view_is_does_not_matter(seed, factor):
    one, other = views(seed)
    np.testing.assert_allclose(
        contrast_log_prob(factor * one, other, 0.3), contrast_log_prob(one, other, 0.3), atol=1e-9
    )


def test_a_view_without_any_unit_left_still_has_a_share():
    one, other = views(0, (3, 2))
    one[1] = 0.0
    assert np.isfinite(contrast_log_prob(one, other, 0.1)).all()
