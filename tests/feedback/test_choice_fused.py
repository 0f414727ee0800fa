"""The fused conditional logit is its plain twin, and the twin is the sum of `choice`."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.feedback import choice, choice_flat, choice_fused

SEEDS = st.integers(0, 2**32 - 1)


def ragged_choices(seed, num, features, largest, dtype=np.float64, spread=1.0):
    rng = np.random.default_rng(seed)
    size = rng.integers(1, largest + 1, num)
    menu_start = np.concatenate([[0], np.cumsum(size)])
    x = (rng.normal(size=(menu_start[-1], features)) * spread).astype(dtype)
    chosen = menu_start[:-1] + rng.integers(0, size)
    return x, menu_start, chosen, rng.uniform(0, 3, num), rng.normal(size=features)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 90), st.sampled_from([1, 2, 5, 10, 23, 24, 31]), st.integers(1, 30))
def test_the_fused_pass_equals_its_plain_twin(seed, num, features, largest):
    data = ragged_choices(seed, num, features, largest)
    fused = choice_fused.value_score_information(*data)
    plain = choice_flat.value_score_information(*data)
    np.testing.assert_allclose(fused[0], plain[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(fused[1], plain[1], rtol=1e-10, atol=1e-11 * num)
    np.testing.assert_allclose(fused[2], plain[2], rtol=1e-10, atol=1e-11 * num)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 60), st.integers(1, 9))
def test_the_sums_are_those_of_the_conditional_logit_row_by_row(seed, num, largest):
    x, menu_start, chosen, weight, beta = ragged_choices(seed, num, 4, largest)
    K = np.diff(menu_start).max()
    place = np.arange(K)[None] + menu_start[:-1, None]
    offered = place < menu_start[1:, None]
    features = np.where(offered[..., None], x[np.where(offered, place, 0)], 0.0)
    args = (features @ beta, offered, chosen - menu_start[:-1])
    log_lik, gradient, information = choice_flat.value_score_information(
        x, menu_start, chosen, weight, beta
    )
    np.testing.assert_allclose(log_lik, weight @ choice.log_prob(*args), rtol=1e-12)
    slopes = np.einsum("bk,bkd->bd", choice.score(*args).utilities, features)
    np.testing.assert_allclose(gradient, weight @ slopes, rtol=1e-9, atol=1e-10)
    bends = choice.curvature(*args).utilities
    np.testing.assert_allclose(
        information,
        np.einsum("b,bkl,bkd,ble->de", weight, bends, features, features),
        rtol=1e-9,
        atol=1e-10,
    )
    group = np.where(np.arange(num) < num // 3, 0, 2)
    np.testing.assert_allclose(
        choice_flat.log_probabilities(x, menu_start, beta)[chosen],
        choice.log_prob(*args),
        rtol=1e-12,
        atol=1e-13,
    )
    for module in (choice_flat, choice_fused):
        *same, scores = module.with_group_scores(x, menu_start, chosen, weight, group, 3, beta)
        assert not scores[1].any()
        np.testing.assert_allclose(same[2], information, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(
            scores[0], (weight[:, None] * slopes)[: num // 3].sum(0), rtol=1e-9, atol=1e-10
        )
        np.testing.assert_allclose(scores.sum(0), gradient, rtol=1e-9, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 60), st.integers(1, 9), st.integers(1, 12))
def test_spreads_within_menus_are_those_of_the_linear_utility(seed, num, largest, features):
    x, menu_start, _, weight, _ = ragged_choices(seed, num, features, largest)
    constant = np.random.default_rng(seed).normal(size=num) + 33.3
    x[:, 0] = np.repeat(constant, np.diff(menu_start))
    one = np.array([x[a:b].var(axis=0) for a, b in itertools.pairwise(menu_start)])
    for module in (choice_flat, choice_fused):
        total, count = module.spreads_within_menus(x, menu_start, weight)
        np.testing.assert_allclose(total, weight @ one, rtol=1e-11, atol=1e-11)
        assert total[0] == count[0] == 0
        np.testing.assert_allclose(count[1:], weight @ (np.diff(menu_start) > 1), rtol=1e-12)


def test_single_precision_features_are_summed_in_double():
    data = ragged_choices(3, 500, 6, 5, dtype=np.float32)
    wide = (data[0].astype(np.float64), *data[1:])
    for got, expected in zip(
        choice_fused.value_score_information(*data), choice_fused.value_score_information(*wide)
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-12)


def test_far_utilities_stay_finite_and_right():
    data = ragged_choices(4, 300, 3, 6, spread=400.0)
    fused, plain = (m.value_score_information(*data) for m in (choice_fused, choice_flat))
    assert np.isfinite(fused[0])
    for got, expected in zip(fused, plain):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-6)


def test_large_means_of_features_cost_no_digits():
    x, *rest = ragged_choices(5, 400, 3, 5)
    near = choice_fused.value_score_information(x, *rest)
    far = choice_fused.value_score_information(x + np.array([1e6, 0.0, -1e6]), *rest)
    np.testing.assert_allclose(far[2], near[2], rtol=1e-7)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_feature_makes_the_likelihood_nan_and_never_a_number(bad):
    x, menu_start, chosen, weight, beta = ragged_choices(6, 50, 3, 5)
    option = next(n for n in range(len(x)) if n not in set(chosen))
    x[option, 1] = bad
    assert np.isnan(choice_fused.value_score_information(x, menu_start, chosen, weight, beta)[0])


def test_one_menu_of_ten_thousand_options_among_small_ones():
    rng = np.random.default_rng(7)
    size = np.array([2, 3, 10_000, 2, 5] + [3] * 40)
    menu_start = np.concatenate([[0], np.cumsum(size)])
    x = rng.normal(size=(menu_start[-1], 4))
    data = (x, menu_start, menu_start[:-1] + 1, np.ones(len(size)), rng.normal(size=4))
    fused, plain = (m.value_score_information(*data) for m in (choice_fused, choice_flat))
    for got, expected in zip(fused, plain):
        np.testing.assert_allclose(got, expected, rtol=1e-11)


def test_the_same_input_gives_the_same_bits():
    data = ragged_choices(8, 1000, 10, 6)
    first, second = (choice_fused.value_score_information(*data) for _ in range(2))
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[2], second[2])
