"""Reasons as a second channel: slopes, limits, and what they are worth."""

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.feedback import choice
from penchant.feedback.reason import reason_log_prob, reason_score
from penchant.fitting.reasoned_head import ReasonConfig, fit_reasoned_head


def test_the_slope_is_that_of_finite_differences_and_no_reason_has_none():
    rng = np.random.default_rng(0)
    contributions, named = rng.normal(size=(9, 4)), rng.integers(-1, 4, 9)
    score = reason_score(contributions, named, 1.7, 0.2)
    for d in range(4):
        step = np.zeros((9, 4))
        step[:, d] = 1e-6
        up, down = (reason_log_prob(contributions + s * step, named, 1.7, 0.2) for s in (1, -1))
        np.testing.assert_allclose(score[:, d], (up - down) / 2e-6, atol=1e-7)
    assert np.all(score[named < 0] == 0)
    assert np.all(reason_log_prob(contributions, named, 1.7, 0.2)[named < 0] == 0)


def test_without_lapses_a_reason_is_a_choice_between_attributes():
    rng = np.random.default_rng(1)
    contributions, named = rng.normal(size=(9, 4)), rng.integers(0, 4, 9)
    np.testing.assert_allclose(
        reason_log_prob(contributions, named, 2.0, 0.0),
        choice.log_prob(2.0 * contributions, np.ones((9, 4), dtype=bool), named),
    )


def test_probabilities_of_all_reasons_sum_to_one():
    contributions = np.random.default_rng(2).normal(size=(5, 3))
    total = sum(np.exp(reason_log_prob(contributions, np.full(5, d), 1.3, 0.3)) for d in range(3))
    np.testing.assert_allclose(total, 1.0)


def test_a_reason_brings_the_weights_nearer_to_the_truth():
    near = {0.0: [], 1.0: []}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        truth, gaps = rng.normal(size=20), rng.normal(size=(80, 20))
        won = rng.random(80) < 1 / (1 + np.exp(-gaps @ truth))
        gaps = np.where(won[:, None], gaps, -gaps)
        named = np.argmax(gaps * truth, axis=1)
        for eta, found in near.items():
            w = fit_reasoned_head(gaps, named, np.ones(80), ReasonConfig(reason_weight=eta))
            found.append(np.corrcoef(w, truth)[0, 1])
    assert np.mean(near[1.0]) > np.mean(near[0.0]) + 0.05


def test_reasons_that_were_not_given_change_nothing():
    rng = np.random.default_rng(3)
    gaps = rng.normal(size=(50, 4))
    none = fit_reasoned_head(gaps, np.full(50, -1), np.ones(50))
    left_out = fit_reasoned_head(
        gaps, rng.integers(0, 4, 50), np.ones(50), ReasonConfig(reason_weight=0.0)
    )
    np.testing.assert_allclose(none, left_out, atol=1e-6)


def test_reasons_for_attributes_that_are_not_there_are_refused():
    with pytest.raises(DataError, match="attributes -1 to 4 of 4"):
        fit_reasoned_head(np.ones((2, 4)), np.array([-1, 4]), np.ones(2))
    with pytest.raises(ConfigError, match="lapse=0"):
        fit_reasoned_head(np.ones((1, 2)), np.zeros(1, int), np.ones(1), ReasonConfig(lapse=0.0))
