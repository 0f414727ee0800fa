"""One mind behind the answers: triads against brute force, lotteries, exchange rates."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import DataError
from penchant.metrics.coherence import exchange_rate, expected_utility, log_curve, transitivity

seeds = st.integers(0, 10**6)


def preferences(seed, size):
    p = np.triu(np.random.default_rng(seed).random((size, size)), 1)
    return p + np.tril(1 - p.T, -1) + 0.5 * np.eye(size)


@given(seeds, st.integers(3, 8))
def test_triads_equal_brute_force(seed, size):
    p = preferences(seed, size)
    cyclic, chance = [], []
    for i, j, k in itertools.combinations(range(size), 3):
        wins = sum(int(p[pair] > 0.5) for pair in ((i, j), (j, k), (k, i)))
        cyclic.append(wins in (0, 3))
        chance.append(p[i, j] * p[j, k] * p[k, i] + p[j, i] * p[k, j] * p[i, k])
    found = transitivity(p)
    assert found.triads == len(cyclic)
    assert found.cyclic == pytest.approx(np.mean(cyclic))
    assert found.cycle_probability == pytest.approx(np.mean(chance))


@given(seeds, st.integers(3, 8))
def test_worths_have_no_cyclic_triad(seed, size):
    worth = np.random.default_rng(seed).normal(size=size)
    assert transitivity(1 / (1 + np.exp(worth - worth[:, None]))).cyclic == 0.0


def test_answers_by_lot_go_round_one_time_in_four():
    rng = np.random.default_rng(0)
    p = (rng.random((60, 60)) < 0.5).astype(float)
    p = np.triu(p, 1) + np.tril(1 - np.triu(p, 1).T, -1)
    assert transitivity(p).cyclic == pytest.approx(0.25, abs=0.02)
    assert transitivity(np.full((4, 4), 0.5)).cycle_probability == pytest.approx(0.25)
    assert transitivity(np.full((4, 4), 0.5)).cyclic == 0.0


def test_drawn_triads_are_of_three_items_and_agree_with_all():
    p = preferences(3, 30)
    drawn = transitivity(p, generator=np.random.default_rng(1), num_triads=20_000)
    assert drawn.triads == 20_000
    assert drawn.cyclic == pytest.approx(transitivity(p).cyclic, abs=0.015)


def test_pairs_that_never_met_leave_their_triples_out():
    p = preferences(0, 4)
    p[0, 1] = p[1, 0] = np.nan
    assert transitivity(p).triads == 2


@given(seeds)
def test_expected_utilities_pass_whatever_their_unit(seed):
    rng = np.random.default_rng(seed)
    utilities, chances = rng.normal(size=5), rng.dirichlet(np.ones(5), size=7)
    found = expected_utility(3.0 * (chances @ utilities) - 2.0, chances, utilities)
    assert found.correlation == pytest.approx(1.0)
    assert found.error == pytest.approx(0.0, abs=1e-9)
    assert found.same_order == 1.0
    reversed_ = expected_utility(-(chances @ utilities), chances, utilities)
    assert (reversed_.correlation, reversed_.same_order) == (pytest.approx(-1.0), 0.0)


def test_who_values_a_lottery_by_its_best_outcome_is_found_out():
    rng = np.random.default_rng(0)
    utilities, chances = rng.normal(size=10), rng.dirichlet(np.full(10, 0.3), size=200)
    optimist = np.where(chances > 0.05, utilities, -9.0).max(axis=1)
    found = expected_utility(optimist, chances, utilities)
    assert found.correlation < 0.85
    assert found.error > 0.05
    assert found.same_order < 0.85


def test_exchange_rates_are_those_the_curves_were_made_with():
    amounts = np.array([1.0, 2.0, 5.0, 10.0])
    apples = log_curve(amounts, 0.3 + 0.5 * np.log(amounts))
    pears = log_curve(amounts, 0.3 + 0.5 * np.log(amounts / 4.0))
    assert apples.misfit == pytest.approx(0.0, abs=1e-12)
    assert exchange_rate(apples, pears) == pytest.approx(4.0)
    assert exchange_rate(pears, apples, amount=8.0) == pytest.approx(2.0)
    # There and back is where one was.
    back = exchange_rate(pears, apples, exchange_rate(apples, pears, 7.0))
    assert back == pytest.approx(7.0)
    indifferent = log_curve(amounts, np.zeros(4))
    assert np.isnan(exchange_rate(apples, indifferent)) or indifferent.slope != 0


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(DataError, match="no triple"):
        transitivity(np.full((2, 2), 0.5))
    with pytest.raises(DataError, match="sum to 1"):
        expected_utility(np.arange(2.0), np.ones((2, 3)), np.arange(3.0))
    with pytest.raises(DataError, match="at least two"):
        expected_utility(np.arange(2.0), np.full((2, 2), 0.5), np.arange(2.0))
    with pytest.raises(DataError, match="zero has no logarithm"):
        log_curve(np.array([0.0, 1.0]), np.zeros(2))
