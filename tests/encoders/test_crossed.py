"""Context times option: a linear head on it is a bilinear one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.encoders.crossed import Crossed
from penchant.errors import DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import winners
from penchant.fitting.linear_head import fit_linear_head
from penchant.numerics.arrays import sigmoid


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_the_worth_is_bilinear_in_context_and_option(seed):
    rng = np.random.default_rng(seed)
    crossed = Crossed.of(rng.normal(size=(30, 3)), rng.normal(size=(40, 5)))
    weights = rng.normal(size=4 * 5)

    def worth(context, option):
        return (crossed.features(context[None], option[None]) @ weights)[0]

    def centred(vector, centre):
        return vector - centre

    c, a, b = rng.normal(size=3), rng.normal(size=5), rng.normal(size=5)
    mix = 0.3 * a + 0.7 * b
    assert worth(c, mix) == pytest.approx(0.3 * worth(c, a) + 0.7 * worth(c, b), abs=1e-3)
    d = rng.normal(size=3)
    both = 0.4 * c + 0.6 * d
    assert worth(both, a) == pytest.approx(0.4 * worth(c, a) + 0.6 * worth(d, a), abs=1e-3)
    # In the centre of all contexts only the shared taste is left.
    option = centred(a, crossed.option_centre) @ crossed.option_axes
    assert worth(crossed.context_centre, a) == pytest.approx(option @ weights[:5], abs=1e-3)


def test_directions_are_led_by_spread_and_scaled_to_one():
    rng = np.random.default_rng(0)
    options = rng.normal(size=(500, 4)) * [3.0, 1.0, 0.5, 0.0] + 2.0
    crossed = Crossed.of(rng.normal(size=(50, 2)), options, num_option=2)
    made = (options - crossed.option_centre) @ crossed.option_axes
    assert made.shape == (500, 2)
    np.testing.assert_allclose(made.std(axis=0), 1.0, atol=1e-6)
    assert np.abs(crossed.option_axes[0, 0]) * 3.0 == pytest.approx(1.0, abs=0.1)
    full = Crossed.of(rng.normal(size=(50, 2)), options)
    # A feature without spread has no direction.
    assert full.option_axes.shape == (4, 3)


def test_a_preference_that_reverses_with_the_context_is_learned_and_a_context_free_head_cannot():
    rng = np.random.default_rng(1)
    context, a, b = (
        rng.normal(size=(2000, 2)),
        rng.normal(size=(2000, 3)),
        rng.normal(size=(2000, 3)),
    )
    gap = 4.0 * context[:, 0] * (a - b)[:, 0]
    sign = np.where(rng.random(2000) < sigmoid(gap), 1.0, -1.0)[:, None]
    crossed = Crossed.of(context, np.concatenate([a, b]))
    features = crossed.features(context, a) - crossed.features(context, b)
    head = fit_linear_head(winners(features * sign), GapModel(), has_covariance=False)
    blind = fit_linear_head(winners((a - b) * sign), GapModel(), has_covariance=False)
    assert np.mean((features @ head.weights > 0) == (gap > 0)) > 0.95
    assert np.mean(((a - b) @ blind.weights > 0) == (gap > 0)) < 0.58


def test_an_infinite_context_is_refused():
    context = np.zeros((4, 2))
    context[2, 1] = np.inf
    with pytest.raises(DataError, match="context 2 has features"):
        Crossed.of(context, np.zeros((4, 2)))
