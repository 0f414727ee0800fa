"""Weights of objectives by prompt: recovered from pairs, equal where nothing tells, refused."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from penchant.errors import ConfigError, DataError
from penchant.fitting.prompt_weights import PromptWeights, fit_prompt_weights, preferred_weights


def world(num_pairs=6000, seed=0):
    rng = np.random.default_rng(seed)
    truth = PromptWeights(slopes=rng.normal(size=(4, 3)), sharpness=3.0)
    prompt, apart = rng.normal(size=(num_pairs, 4)), rng.normal(size=(num_pairs, 3))
    won = rng.random(num_pairs) < 1 / (1 + np.exp(-truth.log_odds(prompt, apart)))
    return truth, prompt, np.where(won[:, None], apart, -apart)


def test_true_weights_are_recovered_from_pairs():
    truth, prompt, apart = world()
    found = fit_prompt_weights(prompt, apart)
    np.testing.assert_allclose(found.weights(prompt), truth.weights(prompt), atol=0.12)
    assert found.sharpness == pytest.approx(3.0, rel=0.1)


def test_the_end_of_the_climb_has_no_slope():
    _, prompt, apart = world(num_pairs=300)
    found = fit_prompt_weights(prompt, apart)

    def loss(theta):
        head = PromptWeights(slopes=theta[:-1].reshape(4, 3), sharpness=np.exp(theta[-1]))
        value = -np.logaddexp(0.0, -head.log_odds(prompt, apart)).sum()
        return 0.5 * theta[-1] ** 2 / 9.0 + 0.5 * (theta[:-1] ** 2).sum() / 9.0 - value

    end = np.append(found.slopes.ravel(), np.log(found.sharpness))
    assert check_grad(loss, lambda theta: np.zeros(13), end) < 0.5
    away = 0.05 * np.random.default_rng(0).normal(size=(20, 13))
    assert loss(end) < min(loss(end + step) for step in away)


def test_weights_are_positive_sum_to_one_and_are_equal_where_nothing_was_learnt():
    rng = np.random.default_rng(1)
    found = fit_prompt_weights(np.zeros((50, 2)), rng.normal(size=(50, 3)))
    weights = found.weights(rng.normal(size=(9, 2)))
    np.testing.assert_allclose(weights, 1 / 3)
    other = fit_prompt_weights(*world(200)[1:]).weights(rng.normal(size=(9, 4)))
    assert np.all(other > 0)
    np.testing.assert_allclose(other.sum(axis=1), 1.0)


def test_scores_of_preferred_answers_point_the_right_way_and_not_far_enough():
    rng = np.random.default_rng(2)
    slopes = 2.0 * rng.normal(size=(4, 3))
    truth = PromptWeights(slopes=slopes, sharpness=1.0)
    prompt, scores = rng.normal(size=(20_000, 4)), rng.normal(size=(20_000, 2, 3))
    worth = (scores * truth.weights(prompt)[:, None]).sum(axis=2)
    taken = scores[np.arange(20_000), worth.argmax(axis=1)]
    found = preferred_weights(prompt, taken)
    centred = slopes - slopes.mean(axis=1, keepdims=True)
    assert np.corrcoef(found.slopes.ravel(), centred.ravel())[0, 1] > 0.9
    assert np.abs(found.slopes).sum() < 0.5 * np.abs(centred).sum()


def test_what_cannot_be_weighed_is_refused():
    with pytest.raises(DataError, match="not finite"):
        fit_prompt_weights(np.ones((2, 1)), np.full((2, 3), np.nan))
    with pytest.raises(ConfigError, match="prior_scale=0"):
        fit_prompt_weights(np.ones((2, 1)), np.ones((2, 3)), prior_scale=0.0)
