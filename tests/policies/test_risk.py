"""Who is worst off is minded, and nobody loses more exposure than it takes to grant it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from penchant.errors import ConfigError, DataError
from penchant.policies.bandits.rules import Cautious, Greedy
from penchant.policies.oneshot.risk import (
    careful_lottery,
    conditional_value_at_risk,
    with_least_exposure,
)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.floats(0.01, 1.0), st.integers(0, 10_000))
def test_the_tail_mean_is_the_best_value_of_its_variational_form(num, share, seed):
    """max_t t - E (t - worth)_+ / share, whose maximum lies at one of the worths."""
    rng = np.random.default_rng(seed)
    worth, weight = rng.normal(size=num), rng.uniform(0.1, 1.0, size=num)
    law = weight / weight.sum()
    by_form = max(t - float(law @ np.maximum(t - worth, 0.0)) / share for t in worth)
    assert conditional_value_at_risk(worth, weight, share) == pytest.approx(by_form, abs=1e-9)


def test_all_are_the_mean_and_none_the_worst_off():
    worth, weight = np.array([[3.0, 1.0, -2.0]]), np.array([[0.5, 0.5, 0.0]])
    np.testing.assert_allclose(conditional_value_at_risk(worth, weight, 1.0), [2.0])
    np.testing.assert_allclose(conditional_value_at_risk(worth, weight, 0.0), [1.0])
    np.testing.assert_allclose(conditional_value_at_risk(worth, weight, 1e-9), [1.0])


def test_minding_fewer_is_never_kinder():
    rng = np.random.default_rng(0)
    worth, weight = rng.normal(size=(20, 6)), rng.uniform(0.1, 1, size=(20, 6))
    found = [conditional_value_at_risk(worth, weight, s) for s in (0.0, 0.1, 0.4, 0.8, 1.0)]
    assert (np.diff(np.stack(found), axis=0) >= -1e-12).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_no_lottery_serves_the_worst_off_better(share):
    rng = np.random.default_rng(2)
    worth, weight = rng.normal(size=(4, 5)), rng.dirichlet(np.ones(5))
    found = careful_lottery(worth, weight, share)
    value = lambda p: float(conditional_value_at_risk(p @ worth, weight, share))  # noqa: E731
    assert found.sum() == pytest.approx(1.0)
    tried = rng.dirichlet(np.full(4, 0.5), size=3000)
    assert max(map(value, tried)) <= value(found) + 1e-9
    if share == 1.0:
        assert found[np.argmax(worth @ weight)] == pytest.approx(1.0)


def test_two_kinds_with_opposed_tastes_are_served_by_even_chances():
    found = careful_lottery(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([0.9, 0.1]), 0.0)
    np.testing.assert_allclose(found, [0.5, 0.5])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.floats(0, 0.5), st.integers(0, 10_000))
def test_exposure_is_granted_at_the_least_relative_entropy(num, least, seed):
    rng = np.random.default_rng(seed)
    q = rng.dirichlet(np.full(num, 0.4))
    p = with_least_exposure(q, least)
    floor = min(least, 1 / num)
    assert p.sum() == pytest.approx(1.0)
    assert (p >= floor - 1e-12).all()
    # Whoever is above the least was not raised to it, and keeps its ratio to others there.
    above = p > floor * (1 + 1e-9)
    if above.any():
        ratio = p[above] / q[above]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)


def test_a_search_finds_no_nearer_law_with_that_exposure():
    q, least = np.array([0.7, 0.2, 0.06, 0.04]), np.array([0.0, 0.25, 0.1, 0.1])
    p = with_least_exposure(q, least)
    found = minimize(
        lambda x: float(x @ np.log(x / q)), np.full(4, 0.25), method="SLSQP",
        bounds=[(max(low, 1e-9), 1) for low in least],
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1}, options={"ftol": 1e-12},
    )  # fmt: skip
    np.testing.assert_allclose(p, found.x, atol=1e-4)


def test_more_than_all_asked_for_is_shared_in_proportion():
    np.testing.assert_allclose(
        with_least_exposure(np.array([1.0, 0.0]), np.array([0.6, 1.2])), [1 / 3, 2 / 3]
    )


def test_caution_counts_the_mean_of_the_worst_part_of_our_doubt():
    rng = np.random.default_rng(0)
    draws = 1.0 + 2.0 * rng.normal(size=400_000)
    worst = np.sort(draws)[:40_000].mean()
    assert 1.0 - Cautious(share=0.1).depth * 2.0 == pytest.approx(worst, abs=0.02)
    assert Cautious(share=1.0).depth == 0.0
    mean, spread = np.array([[1.0, 0.9]]), np.array([[1.0, 0.1]])
    offered = np.ones((1, 2), dtype=bool)
    np.testing.assert_array_equal(Cautious().probabilities(mean, spread, offered, 1), [[0, 1]])
    np.testing.assert_array_equal(Greedy().probabilities(mean, spread, offered, 1), [[1, 0]])


def test_shares_and_worths_that_are_none_are_refused():
    with pytest.raises(ConfigError, match=r"share of people is 1\.5"):
        conditional_value_at_risk(np.ones(2), np.ones(2), 1.5)
    with pytest.raises(ConfigError, match="share is 0"):
        Cautious(share=0.0)
    with pytest.raises(ConfigError, match="least exposure"):
        with_least_exposure(np.ones(1), -0.1)
    with pytest.raises(DataError, match="not finite"):
        careful_lottery(np.array([[np.nan]]), np.ones(1), 0.5)
