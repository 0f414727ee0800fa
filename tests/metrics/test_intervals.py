"""Intervals over people: they cover as often as they say, and see clusters as they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.metrics.intervals import (
    Interval,
    bootstrap_mean,
    clustered_mean,
    drawn_interval,
    reach_of_mean,
)


def people_and_answers(generator, num_people):
    """Answers that share much within a person; people answer 1 to 9 times, and more if higher."""
    level = generator.normal(size=num_people)
    num = generator.integers(1, 5, num_people) + 5 * (level > 0)
    person = np.repeat(np.arange(num_people), num)
    return level[person] + 0.5 * generator.normal(size=len(person)), person


def truth():
    # E[n] = 2.5 + 5/2, E[n level] = 5 E[level; level > 0] = 5 / sqrt(2 pi).
    return 5 / np.sqrt(2 * np.pi) / 5.0


def test_draws_are_told_by_their_quantiles_if_there_are_enough():
    rng = np.random.default_rng(0)
    value, draws = np.array([1.0, 2.0]), rng.normal([1.0, 2.0], [0.5, 3.0], (4000, 2))
    low, high = drawn_interval(value, draws)
    np.testing.assert_allclose(np.mean((draws >= low) & (draws <= high), axis=0), 0.95, atol=0.001)
    # Quantiles of 30 reach 1.84 standard deviations on average.
    few = [drawn_interval(value, rng.normal(value, 1.0, (30, 2))) for _ in range(400)]
    assert np.mean([high - low for low, high in few]) / 2 == pytest.approx(1.94, abs=0.03)
    for low, high in few[:5]:
        np.testing.assert_allclose((low + high) / 2, value)
    assert np.isnan(drawn_interval(value, draws[:0])).all()


@pytest.mark.parametrize("how", ["delta", "bootstrap"])
def test_the_interval_covers_as_often_as_it_says(how):
    generator = np.random.default_rng(11)
    hits, reps = 0, 400
    for _ in range(reps):
        values, person = people_and_answers(generator, 80)
        if how == "delta":
            found = clustered_mean(values, person)
        else:
            found = bootstrap_mean(values, person, generator, num_draws=300)
        hits += found.low <= truth() <= found.high
    assert 0.92 <= hits / reps <= 0.975


def test_blindness_to_people_would_not_cover():
    generator = np.random.default_rng(11)
    hits = 0
    for _ in range(200):
        values, _ = people_and_answers(generator, 80)
        found = clustered_mean(values, np.arange(len(values)))
        hits += found.low <= truth() <= found.high
    assert hits / 200 < 0.85


def test_with_one_answer_each_it_is_students_interval():
    from scipy import stats

    values = np.random.default_rng(0).normal(size=12)
    expected = stats.t.interval(0.9, 11, values.mean(), stats.sem(values))
    found = clustered_mean(values, np.arange(12), level=0.9)
    np.testing.assert_allclose([found.low, found.high], expected)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_a_weight_of_two_is_two_observations(seed, times):
    generator = np.random.default_rng(seed)
    values, person = generator.normal(size=9), generator.integers(0, 4, 9)
    weights = generator.integers(1, 3, 9)
    weighted = clustered_mean(values, person, times * weights.astype(float))
    repeated = clustered_mean(np.repeat(values, weights), np.repeat(person, weights))
    np.testing.assert_allclose(
        [weighted.estimate, weighted.low, weighted.high],
        [repeated.estimate, repeated.low, repeated.high],
    )


@given(st.lists(st.integers(0, 5), min_size=2, max_size=20), st.floats(-9, 9), st.floats(-9, 9))
def test_what_everybody_answers_alike_has_no_doubt_and_a_shift_moves_all(person, level, shift):
    person = np.array([6, *person])
    alike = clustered_mean(np.full(len(person), level), person)
    assert alike.high - alike.low == pytest.approx(0.0, abs=1e-9)
    drawn = bootstrap_mean(
        np.full(len(person), level), person, np.random.default_rng(0), num_draws=20
    )
    assert drawn.high - drawn.low == pytest.approx(0.0, abs=1e-9)
    values = np.arange(len(person)) * 1.0
    before, after = clustered_mean(values, person), clustered_mean(values + shift, person)
    assert after.low == pytest.approx(before.low + shift)
    assert after.high == pytest.approx(before.high + shift)


@given(st.permutations(range(8)))
def test_order_and_names_of_clusters_mean_nothing(order):
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 0.0, 3.0])
    person = np.array([0, 0, 1, 1, 1, 2, 3, 3])
    order = np.array(order)
    found = clustered_mean(values[order], 100 - 7 * person[order])
    expected = clustered_mean(values, person)
    assert np.isclose(found.low, expected.low)
    assert np.isclose(found.high, expected.high)


def test_both_intervals_agree_where_people_are_many():
    values, person = people_and_answers(np.random.default_rng(5), 2000)
    delta = clustered_mean(values, person)
    drawn = bootstrap_mean(values, person, np.random.default_rng(6), num_draws=2000)
    assert drawn.estimate == pytest.approx(delta.estimate)
    assert drawn.low == pytest.approx(delta.low, abs=0.1 * (delta.high - delta.low))
    assert drawn.high == pytest.approx(delta.high, abs=0.1 * (delta.high - delta.low))


def test_the_bootstrap_is_the_same_in_pieces(monkeypatch):
    values, person = people_and_answers(np.random.default_rng(5), 50)
    whole = bootstrap_mean(values, person, np.random.default_rng(6), num_draws=101)
    monkeypatch.setattr("penchant.metrics.intervals._DRAWS_AT_ONCE", 50 * 10)
    assert bootstrap_mean(values, person, np.random.default_rng(6), num_draws=101) == whole


@pytest.mark.parametrize("num", [0, 1])
def test_nothing_has_no_mean_and_one_person_no_interval(num):
    values, person = np.array([2.0, 4.0])[: 2 * num], np.zeros(2 * num, dtype=int)
    expected = Interval(3.0 if num else np.nan, np.nan, np.nan)
    np.testing.assert_equal(clustered_mean(values, person), expected)
    np.testing.assert_equal(bootstrap_mean(values, person, np.random.default_rng(0)), expected)


def test_an_infinite_loss_is_not_hidden_unless_its_weight_is_zero():
    values, person = np.array([1.0, np.inf, 2.0]), np.arange(3)
    assert clustered_mean(values, person).estimate == np.inf
    assert np.isnan(clustered_mean(values, person).high)
    assert clustered_mean(values, person, np.array([1.0, 0.0, 1.0])).estimate == 1.5


def test_means_of_five_seeds_are_within_reach_nineteen_times_of_twenty():
    rng = np.random.default_rng(0)
    seeds = 3.0 + 2.0 * rng.normal(size=(1500, 5))
    inside = [abs(each.mean() - 3.0) <= reach_of_mean(each) for each in seeds]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)
    assert np.isnan(reach_of_mean(seeds[0, :1]))
