"""Two models on the same choices: intervals paired by person, a test that keeps its level."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.market_shares import MarketShares, make_records
from penchant.errors import DataError
from penchant.evaluation.comparison import compare, sign_flip_p_value
from penchant.evaluation.cross_validation import cross_validate
from penchant.evaluation.known_people import predict_known_people
from penchant.metrics.intervals import clustered_mean

RECORDS = make_records(60)


def test_the_difference_is_that_of_the_losses_paired_by_row():
    shares = predict_known_people(lambda: MarketShares(), RECORDS, num_known=3)
    habits = predict_known_people(lambda: MarketShares(2.0), RECORDS, num_known=3)
    found = compare(habits, shares, np.random.default_rng(0))
    assert found.difference == clustered_mean(
        habits.losses - shares.losses, shares.person, shares.weight
    )
    assert found.difference.high < 0
    assert found.p_value < 0.02
    assert (found.people, found.choices) == (60, 120)
    totals = np.bincount(shares.person, shares.weight * (habits.losses - shares.losses))
    assert found.p_value == sign_flip_p_value(totals, np.random.default_rng(0))
    back = compare(shares, habits, np.random.default_rng(0))
    assert back.difference.estimate == -found.difference.estimate
    assert back.p_value == found.p_value
    # The pairing pays: the two losses rise and fall together.
    assert np.ptp([found.difference.low, found.difference.high]) < np.ptp(
        [shares.nll().low, shares.nll().high]
    ) + np.ptp([habits.nll().low, habits.nll().high])


def test_a_model_is_as_good_as_itself():
    shares = cross_validate(lambda: MarketShares(), RECORDS)
    found = compare(shares, shares, np.random.default_rng(0))
    assert found.difference.estimate == 0
    assert found.p_value == 1


def test_predictions_of_other_rows_are_refused():
    shares = cross_validate(lambda: MarketShares(), RECORDS)
    known = predict_known_people(lambda: MarketShares(), RECORDS, num_known=3)
    with pytest.raises(DataError, match="300 and 120 rows, 120 of them the same"):
        compare(shares, known, np.random.default_rng(0))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=7))
def test_the_exact_test_tries_all_flips(totals):
    flipped = [
        abs(sum(sign * total for sign, total in zip(signs, totals, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(totals))
    ]
    expected = np.mean([each >= abs(sum(totals)) for each in flipped])
    found = sign_flip_p_value(np.array(totals, dtype=float), np.random.default_rng(0))
    assert found == pytest.approx(expected)


def test_the_random_test_is_near_the_exact_one(monkeypatch):
    totals = np.random.default_rng(3).normal(0.5, 1.0, 12)
    exact = sign_flip_p_value(totals, np.random.default_rng(0))
    monkeypatch.setattr("penchant.evaluation.comparison._EXACT_PEOPLE", 5)
    monkeypatch.setattr("penchant.evaluation.comparison._DRAWS_AT_ONCE", 12 * 700)
    drawn = sign_flip_p_value(totals, np.random.default_rng(0), num_draws=20_000)
    assert 0.01 < exact < 0.5
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


def test_the_test_cries_wolf_as_often_as_it_says():
    generator = np.random.default_rng(4)
    p_values = []
    for _ in range(400):
        # Heavy tails and unequal scales: only symmetry is assumed.
        totals = generator.standard_t(2, 25) * generator.gamma(1, 1, 25)
        p_values.append(sign_flip_p_value(totals, generator, num_draws=199))
    assert 0.02 <= np.mean(np.array(p_values) <= 0.05) <= 0.08
    assert abs(np.mean(p_values) - 0.5) < 0.05


def test_nothing_to_compare_has_no_p_value():
    assert np.isnan(sign_flip_p_value(np.zeros(0), np.random.default_rng(0)))
    assert np.isnan(sign_flip_p_value(np.array([np.inf]), np.random.default_rng(0)))
