"""Places sold in one text: the placement is the best, and to lie gains nobody anything."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import DataError
from penchant.policies.oneshot.auction import (
    clarke_payments,
    click_rates,
    place_best,
    revenue_best,
    virtual_values,
)


def drawn(seed, num=4, places=3):
    rng = np.random.default_rng(seed)
    return rng.random(num), np.exp(1.5 * rng.normal(size=(num, places)))


def every_placement(num, places, most):
    """All ways to give some advertisers a place of their own."""
    for chosen in itertools.product(range(-1, places), repeat=num):
        shown = [p for p in chosen if p >= 0]
        if len(set(shown)) == len(shown) and len(shown) <= most:
            yield np.array(chosen)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_no_placement_has_a_larger_welfare(seed, most):
    value, attraction = drawn(seed)
    found = place_best(value, attraction, most)
    by_hand = max(
        float(value @ click_rates(attraction, place)) for place in every_placement(4, 3, most)
    )
    assert found.total == pytest.approx(by_hand, rel=1e-9, abs=1e-12)
    assert (found.place >= 0).sum() <= most
    np.testing.assert_allclose(found.total, value @ found.click)


def test_who_would_take_readers_from_a_better_one_is_not_shown():
    value = np.array([1.0, 0.1])
    found = place_best(value, np.full((2, 2), 5.0))
    assert found.place[1] == -1
    assert place_best(value, np.full((2, 2), 0.01)).place.min() >= 0


def test_clicks_are_those_of_a_conditional_logit_with_nothing_taken():
    attraction = np.array([[1.0, 9.0], [9.0, 3.0]])
    np.testing.assert_allclose(click_rates(attraction, np.array([0, 1])), [0.2, 0.6])
    np.testing.assert_allclose(click_rates(attraction, np.array([-1, 1])), [0.0, 0.75])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_nobody_gains_by_another_bid_where_each_pays_what_others_lose(seed):
    value, attraction = drawn(seed)
    best, pays = clarke_payments(value, attraction, 2)
    honest = value * best.click - pays
    assert (pays >= 0).all()
    assert (honest >= -1e-9).all()
    for i, bid in itertools.product(range(4), np.linspace(0, 2, 7)):
        told = value.copy()
        told[i] = bid
        other, asked = clarke_payments(told, attraction, 2)
        assert value[i] * other.click[i] - asked[i] <= honest[i] + 1e-9


def test_alone_nobody_pays_and_a_rival_for_the_one_place_is_paid_for():
    alone, pays = clarke_payments(np.array([0.7]), np.array([[2.0]]))
    assert (alone.place, pays) == (np.array([0]), np.array([0.0]))
    two, pays = clarke_payments(np.array([0.7, 0.4]), np.array([[2.0], [2.0]]))
    np.testing.assert_array_equal(two.place, [0, -1])
    # A second-price auction, by the click.
    np.testing.assert_allclose(pays, [0.4 * 2 / 3, 0.0])


def test_virtual_values_of_an_even_law_are_twice_the_value_less_the_highest():
    level = np.linspace(0.001, 1, 1000)
    found = virtual_values(level, np.full(1000, 1e-3))
    np.testing.assert_allclose(found, 2 * level - 1, atol=0.0021)


def test_ironing_pools_levels_whose_virtual_values_would_fall():
    level, law = np.array([1.0, 2.0, 3.0]), np.array([0.45, 0.1, 0.45])
    plain = (
        level
        - np.diff(np.append(level, level[-1]))
        * np.append(np.cumsum(law[::-1])[::-1][1:], 0.0)
        / law
    )
    found = virtual_values(level, law)
    assert (np.diff(plain) < 0).any()
    assert (np.diff(found) >= 0).all()
    # Pooling keeps what the pooled levels are worth together.
    assert found @ law == pytest.approx(plain @ law)


def test_what_sells_for_most_is_truthful_and_earns_its_virtual_welfare():
    """Payments on average over all reports are the virtual welfare (Myerson's lemma), no report
    gains, and no placement rule of constant level earns more than the best."""
    level, law = np.array([0.2, 0.5, 1.0]), np.array([0.3, 0.4, 0.3])
    _, attraction = drawn(3, num=2, places=2)
    paid = promised = welfare_paid = 0.0
    for reported in itertools.product(range(3), repeat=2):
        told = np.array(reported)
        chance = float(law[told].prod())
        best, pays = revenue_best(level, law, told, attraction)
        paid += chance * pays.sum()
        promised += chance * best.total
        welfare_paid += chance * clarke_payments(level[told], attraction)[1].sum()
        for i, other in itertools.product(range(2), range(3)):
            lie = told.copy()
            lie[i] = other
            fooled, asked = revenue_best(level, law, lie, attraction)
            honest = level[told[i]] * best.click[i] - pays[i]
            assert level[told[i]] * fooled.click[i] - asked[i] <= honest + 1e-12
            assert honest >= -1e-12
    assert paid == pytest.approx(promised)
    assert paid > welfare_paid


@pytest.mark.parametrize(
    ("level", "probability"),
    [([1, 2, 3], [0.5, 0.0, 0.5]), ([1, 3, 2], [0.2, 0.3, 0.5]), ([1, 2, 3], [0.5, 0.5, 0.5])],
)
def test_laws_of_values_that_are_none_are_refused(level, probability):
    with pytest.raises(DataError, match="levels that rise"):
        virtual_values(np.array(level, dtype=float), np.array(probability))


def test_attractions_that_are_none_are_refused():
    with pytest.raises(DataError, match="above 0"):
        place_best(np.array([1.0]), np.array([[0.0]]))
