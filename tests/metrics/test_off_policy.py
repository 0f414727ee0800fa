"""Estimators of what another policy would have earned: identities, limits, unbiasedness."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penchant.metrics import off_policy, off_policy_tuning
from penchant.metrics.off_policy_embeddings import marginalised_weights

finite = st.floats(-5, 5)


@st.composite
def rounds(draw):
    size = draw(st.integers(2, 20))
    numbers = hnp.arrays(np.float64, size, elements=finite)
    weights = hnp.arrays(np.float64, size, elements=st.floats(0.01, 20))
    return draw(weights), draw(numbers), draw(numbers), draw(numbers)


@given(rounds())
def test_a_policy_that_decides_as_the_log_did_earns_what_the_log_earned(logged):
    _, reward, predicted, _ = logged
    weight = np.ones_like(reward)
    mean = reward.mean()
    for terms in (
        off_policy.ips(weight, reward),
        off_policy.clipped_ips(weight, reward, 1.0),
        off_policy.snips(weight, reward),
        off_policy.doubly_robust(weight, reward, predicted, predicted),
    ):
        np.testing.assert_allclose(terms.mean(), mean, atol=1e-9)


@given(rounds())
def test_an_exact_reward_model_leaves_nothing_to_the_weights(logged):
    weight, reward, _, value = logged
    for terms in (
        off_policy.doubly_robust(weight, reward, reward, value),
        off_policy.switch_doubly_robust(weight, reward, reward, value, 1.0),
        off_policy.shrunk_doubly_robust(weight, reward, reward, value, 3.0),
        off_policy.self_normalised_doubly_robust(weight, reward, reward, value),
    ):
        np.testing.assert_allclose(terms, off_policy.direct(value), atol=1e-9)


@given(rounds())
def test_switching_and_shrinking_lie_between_the_direct_method_and_doubly_robust(logged):
    weight, reward, predicted, value = logged
    inputs = (weight, reward, predicted, value)
    robust = off_policy.doubly_robust(*inputs)
    for estimator, most in (
        (off_policy.switch_doubly_robust, weight.max()),
        (off_policy.shrunk_doubly_robust, np.inf),
    ):
        np.testing.assert_allclose(estimator(*inputs, most), robust, atol=1e-9)
        np.testing.assert_allclose(estimator(*inputs, 0.0), value, atol=1e-9)


@given(rounds(), st.floats(0.01, 100))
def test_shrunk_weights_are_never_larger_and_grow_with_lambda(logged, much):
    weight = logged[0]
    shrunk = off_policy.shrunk_weights(weight, much)
    assert np.all(shrunk <= weight * (1 + 1e-12))
    assert np.all(shrunk <= off_policy.shrunk_weights(weight, 2 * much) * (1 + 1e-12))
    np.testing.assert_allclose(shrunk, weight * much / (weight**2 + much))


@given(rounds(), st.floats(-3, 3))
def test_self_normalisation_moves_with_the_rewards_and_ignores_the_scale_of_weights(logged, shift):
    weight, reward, _, _ = logged
    plain = off_policy.snips(weight, reward).mean()
    np.testing.assert_allclose(off_policy.snips(weight, reward + shift).mean(), plain + shift,
                               atol=1e-8)  # fmt: skip
    terms = off_policy.snips(weight, reward)
    np.testing.assert_allclose(off_policy.snips(7 * weight, reward), terms, atol=1e-8)
    assert reward.min() - 1e-9 <= plain <= reward.max() + 1e-9
    np.testing.assert_allclose(plain, weight @ reward / weight.sum(), atol=1e-9)


@given(rounds())
def test_the_terms_of_snips_are_its_infinitesimal_jackknife(logged):
    weight, reward, _, _ = logged
    terms = off_policy.snips(weight, reward)
    step = 1e-6
    for b in range(len(weight)):
        heavier = np.ones(len(weight))
        heavier[b] += step
        moved = np.average(off_policy.snips(weight, reward, heavier), weights=heavier)
        slope = (moved - terms.mean()) / step
        np.testing.assert_allclose(
            slope * len(weight), terms[b] - terms.mean(), rtol=1e-2, atol=1e-3
        )


def test_what_the_target_never_takes_weighs_nothing_and_contradictions_are_infinite():
    weight = off_policy.importance_weights(np.array([0.0, 0.5, 0.2]), np.array([0.0, 0.25, 0.0]))
    assert weight.tolist() == [0.0, 2.0, np.inf]


def test_every_unbiased_estimator_is_exact_when_all_that_can_happen_is_summed_over():
    rng = np.random.default_rng(0)
    logged, target = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))
    reward, wrong = rng.normal(size=5), rng.normal(size=5)
    weight, value = target / logged, np.full(5, target @ wrong)
    for terms in (
        off_policy.ips(weight, reward),
        off_policy.doubly_robust(weight, reward, wrong, value),
    ):
        assert logged @ terms == pytest.approx(target @ reward)
    assert logged @ off_policy.clipped_ips(weight, reward, 0.5) != pytest.approx(target @ reward)


def test_wrong_weights_are_mended_by_a_right_model():
    rng = np.random.default_rng(1)
    logged, target, weight = *rng.dirichlet(np.ones(4), size=2), rng.random(4)
    reward = rng.normal(size=4)
    value = np.full(4, target @ reward)
    assert logged @ off_policy.doubly_robust(weight, reward, reward, value) == pytest.approx(
        target @ reward
    )


def test_marginal_weights_are_exact_where_only_the_kind_matters():
    rng = np.random.default_rng(2)
    logged, target = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))
    logged[0] = 0.0
    logged /= logged.sum()
    kind, by_kind = np.array([0, 0, 1, 1, 2, 2]), np.array([1.0, -1.0, 0.5])
    row = np.repeat(np.arange(6), 6)
    taken = np.arange(6) * 6 + np.arange(6)
    weight = marginalised_weights(
        np.tile(target, 6), np.tile(logged, 6), np.tile(kind, 6), row, taken
    )
    # Option 0 is never logged, and its kind is: ordinary weights would miss its reward.
    assert logged @ (weight * by_kind[kind]) == pytest.approx(target @ by_kind[kind])
    each = marginalised_weights(
        np.tile(target, 6), np.tile(logged, 6), np.tile(np.arange(6), 6), row, taken
    )
    np.testing.assert_allclose(each[1:], target[1:] / logged[1:])


def test_heavy_weights_are_cut_where_that_moves_nothing_and_left_where_it_would():
    weight, value = np.full(1000, 0.2), np.zeros(1000)
    weight[:4] = 200.0
    residual = np.random.default_rng(0).normal(size=1000)
    residual[:4] = [1.0, -1.0, 1.0, -1.0]
    assert off_policy_tuning.switch_threshold(weight, residual, value) < 200
    assert off_policy_tuning.shrinkage(weight, residual, value) < np.inf
    residual[:4] = 1.0
    assert off_policy_tuning.switch_threshold(weight, residual, value) >= 200
    even, biased = np.ones(1000), np.full(1000, 0.8)
    assert off_policy_tuning.shrinkage(even, biased, value) == np.inf
    assert off_policy_tuning.clip(even, biased) >= 1.0


@given(rounds())
def test_what_is_cut_biases_by_less_than_the_interval_would_notice(logged):
    weight, residual, _, value = logged
    most = off_policy_tuning.switch_threshold(weight, residual, value)
    used = np.where(weight <= most, weight, 0.0)
    terms = value + used * residual
    bias, error = ((weight - used) * residual).mean(), terms.std() / np.sqrt(len(terms))
    assert abs(bias) <= off_policy_tuning.MOST_BIAS * error + 1e-12


def test_leaning_on_a_model_costs_what_its_own_doubt_is():
    rng = np.random.default_rng(4)
    weight, residual = rng.exponential(size=500), rng.normal(size=500)
    noise = rng.normal(size=500)
    free = off_policy_tuning.shrinkage(weight, residual, np.zeros(500))
    dear = off_policy_tuning.shrinkage(
        weight, residual, np.zeros(500), lambda used: 5.0 * noise * (weight - used)
    )
    assert free < np.inf
    assert dear > free
