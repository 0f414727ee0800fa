"""The skew head: its gradient, its special cases, its symmetries, and cycles that it finds."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.linear_head import fit_linear_head
from penchant.fitting.skew_head import (
    SkewHead,
    SkewHeadConfig,
    SkewPairs,
    _slope,
    fit_skew_head,
    skew_log_likelihood,
)
from penchant.utilities.intransitive import hodge_split


def world(num_pairs=400, seed=0, num_contexts=3):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 50, num_pairs)
    return SkewPairs(
        features=rng.normal(size=(50, 6)), first=first,
        second=(first + rng.integers(1, 50, num_pairs)) % 50, won=rng.random(num_pairs),
        weight=rng.uniform(0.5, 2.0, num_pairs), context=rng.normal(size=(num_pairs, num_contexts)),
    )  # fmt: skip


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_the_gradient_is_that_of_finite_differences(blocks):
    pairs, config = world(), SkewHeadConfig(num_blocks=blocks)
    theta = np.random.default_rng(1).normal(size=6 + 12 * blocks + 3 * blocks)
    gradient = _slope(theta, pairs, config).gradient
    step = 1e-6 * np.eye(len(theta))
    numeric = [
        (_slope(theta + e, pairs, config).value - _slope(theta - e, pairs, config).value) / 2e-6
        for e in step
    ]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-4)


def test_swapping_the_sides_turns_the_log_odds_round():
    pairs = world()
    head = fit_skew_head(pairs, SkewHeadConfig(num_blocks=2, max_steps=20, num_starts=1))
    a, b = pairs.features[pairs.first], pairs.features[pairs.second]
    np.testing.assert_allclose(
        head.log_odds(a, b, pairs.context), -head.log_odds(b, a, pairs.context), atol=1e-12
    )
    swapped = replace(pairs, first=pairs.second, second=pairs.first, won=1.0 - pairs.won)
    assert skew_log_likelihood(head, swapped) == pytest.approx(head.log_likelihood)


def test_without_planes_it_is_the_linear_head():
    pairs = replace(world(), won=(world().won > 0.5).astype(float))
    skew = fit_skew_head(pairs, SkewHeadConfig(num_blocks=0, worth_scale=0.8, num_starts=1))
    linear = fit_linear_head(
        HeadPairs(
            features=pairs.features.astype(np.float32), first=pairs.first, second=pairs.second,
            answer=(1 - pairs.won).astype(np.int64), weight=pairs.weight,
        ),
        GapModel(), prior_scale=0.8,
    )  # fmt: skip
    np.testing.assert_allclose(skew.worth, linear.weights, atol=2e-3)


def test_a_plane_with_a_constant_in_it_is_a_worth():
    rng = np.random.default_rng(0)
    features = np.column_stack([rng.normal(size=(9, 4)), np.ones(9)])
    worth = rng.normal(size=5)
    plane = SkewHead(
        worth=np.zeros(5), planes=np.column_stack([worth, np.eye(5)[4]]), gates=np.zeros((0, 1)),
        log_likelihood=0.0, log_posterior=0.0, starts=(), converged=True,
    )  # fmt: skip
    level = features @ worth
    np.testing.assert_allclose(plane.comparison(features), level[:, None] - level, atol=1e-12)


def test_a_cycle_is_found_and_called_one_where_worths_see_nothing():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 300)
    features = np.eye(3)[kind] + 0.1 * rng.normal(size=(300, 3))
    first, second = rng.integers(0, 300, (2, 1500))
    other = kind[first] != kind[second]
    first, second = first[other], second[other]
    won = ((kind[first] - kind[second]) % 3 == 2).astype(float)
    pairs = SkewPairs(
        features=features, first=first, second=second, won=won, weight=np.ones(len(won))
    )
    unseen = np.eye(3) + 0.1 * rng.normal(size=(3, 3))
    flat = fit_skew_head(pairs, SkewHeadConfig(num_blocks=0, worth_scale=3.0))
    round_ = fit_skew_head(pairs, SkewHeadConfig(num_blocks=1, worth_scale=3.0, plane_scale=3.0))
    assert len(set(np.sign(np.round(round_.comparison(unseen)[[0, 1, 2], [1, 2, 0]], 9)))) == 1
    assert hodge_split(round_.comparison(unseen)).cyclic_share > 0.9
    assert flat.log_likelihood < 0.98 * len(won) * np.log(0.5) < -1.0
    assert round_.log_likelihood > 0.1 * flat.log_likelihood


def test_what_cannot_be_fitted_is_refused():
    pairs = world()
    with pytest.raises(ConfigError, match="num_blocks = -1"):
        fit_skew_head(pairs, SkewHeadConfig(num_blocks=-1))
    with pytest.raises(ConfigError, match="worth_scale = 0"):
        fit_skew_head(pairs, SkewHeadConfig(num_blocks=0, worth_scale=0.0))
    with pytest.raises(DataError, match="won of the pairs"):
        fit_skew_head(replace(pairs, won=np.full(400, np.nan)))
    with pytest.raises(DataError, match="no weight"):
        fit_skew_head(replace(pairs, weight=np.zeros(400)))
