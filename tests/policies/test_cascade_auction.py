"""Readers who take the first link they like: the best placement, and payments without lies."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import DataError
from penchant.policies.oneshot.cascade_auction import (
    cascade_clicks,
    cascade_payments,
    place_in_cascade,
    place_many,
    truthful_payments,
    worth_at_most,
)


def by_looking_at_all(value, chance, most):
    num, places = chance.shape
    nobody = [-1] * places
    best = 0.0
    for line in set(permutations([*range(num), *nobody], places)):
        shown = [(at, i) for at, i in enumerate(line) if i >= 0]
        if len(shown) <= most:
            unread, total = 1.0, 0.0
            for at, i in shown:
                total += unread * chance[i, at] * value[i]
                unread *= 1.0 - chance[i, at]
            best = max(best, total)
    return best


@pytest.mark.parametrize("most", [1, 2, 4])
def test_no_placement_is_worth_more(most):
    for seed in range(6):
        rng = np.random.default_rng((seed, most))
        value, chance = rng.random(4), rng.random((4, 3))
        found = place_in_cascade(value, chance, most)
        assert found.total == pytest.approx(by_looking_at_all(value, chance, most))
        assert (found.place >= 0).sum() <= most
        shown = found.place[found.place >= 0]
        assert len(set(shown)) == len(shown)
        assert found.total == pytest.approx(float(value @ cascade_clicks(chance, found.place)))


def test_readers_who_like_what_stands_above_never_come_to_what_stands_below():
    chance = np.array([[1.0, 1.0], [0.5, 0.5]])
    np.testing.assert_allclose(cascade_clicks(chance, np.array([0, 1])), [1.0, 0.0])
    np.testing.assert_allclose(cascade_clicks(chance, np.array([1, 0])), [0.5, 0.5])
    np.testing.assert_allclose(cascade_clicks(chance, np.array([-1, 1])), [0.0, 0.5])


def test_where_places_are_alike_the_more_valuable_stands_above():
    rng = np.random.default_rng(0)
    value = rng.random(5)
    chance = np.repeat(rng.random((5, 1)), 5, axis=1)
    place = place_in_cascade(value, chance).place
    assert (np.argsort(place) == np.argsort(-value)).all()


def test_nobody_gains_by_another_bid_and_nobody_pays_more_than_it_is_worth():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        value, chance = rng.random(4), rng.random((4, 3))
        honest, pays = cascade_payments(value, chance, 2)
        payoff = value * honest.click - pays
        assert (pays >= 0).all()
        assert (payoff >= -1e-12).all()
        for i in range(4):
            for told in np.linspace(0, 1, 7):
                bids = value.copy()
                bids[i] = told
                found, asked = cascade_payments(bids, chance, 2)
                assert value[i] * found.click[i] - asked[i] <= payoff[i] + 1e-12


def test_chances_that_are_none_and_crowds_are_refused():
    with pytest.raises(DataError, match="chances from"):
        place_in_cascade(np.ones(2), np.full((2, 2), 1.5))
    with pytest.raises(DataError, match="chances from"):
        place_many(np.array([1.0, np.nan]), np.full((2, 2), 0.5))
    with pytest.raises(DataError, match=r"up to 16.*place_many"):
        place_in_cascade(np.ones(17), np.full((17, 2), 0.5))


def drawn(seed, most_advertisers=7):
    """Advertisers alike and unlike, links that nearly all take and that nearly nobody does."""
    rng = np.random.default_rng(seed)
    num, places = int(rng.integers(2, most_advertisers + 1)), int(rng.integers(1, 6))
    value = rng.random(num) ** rng.choice([1, 4])
    spread, level = rng.choice([0.3, 1.5, 6.0]), rng.choice([-3.0, 0.0, 3.0])
    chance = 1 / (1 + np.exp(-spread * rng.normal(size=(num, places)) - level))
    chance[rng.random(chance.shape) < 0.1] = rng.integers(2)
    return value, chance, int(rng.integers(1, places + 1))


@given(seed=st.integers(0, 100_000))
@settings(max_examples=60, deadline=None)
def test_many_are_placed_for_half_of_the_best_at_least_and_no_more_than_the_bound(seed):
    value, chance, most = drawn(seed)
    best = place_in_cascade(value, chance, most).total
    found, bound = place_many(value, chance, most), worth_at_most(value, chance, most)
    thinned, _ = truthful_payments(value, chance, most)
    for placed in (found, thinned):
        assert (placed.place >= 0).sum() <= most
        shown = placed.place[placed.place >= 0]
        assert len(set(shown.tolist())) == len(shown)
        assert 0.5 * bound * (1 - 1e-9) <= placed.total <= best * (1 + 1e-9)
    assert best <= bound * (1 + 1e-9)
    assert found.total >= thinned.total * (1 - 1e-9)
    assert found.total == pytest.approx(float(value @ cascade_clicks(chance, found.place)))


@given(seed=st.integers(0, 100_000))
@settings(max_examples=30, deadline=None)
def test_links_shown_at_times_are_taken_as_often_as_is_said(seed):
    value, chance, most = drawn(seed)
    found, _ = truthful_payments(value, chance, most)
    assert ((found.shown >= 0) & (found.shown <= 1 + 1e-12)).all()
    # Drawn for each reader, a link attracts those who come so far with both probabilities at once.
    clicks = cascade_clicks(chance * found.shown[:, None], found.place)
    np.testing.assert_allclose(clicks, found.click, atol=1e-12)
    assert found.total == pytest.approx(float(value @ clicks))


@given(seed=st.integers(0, 100_000))
@settings(max_examples=15, deadline=None)
def test_of_many_nobody_gains_by_another_bid_where_links_are_shown_at_times(seed):
    value, chance, most = drawn(seed, most_advertisers=5)
    honest, pays = truthful_payments(value, chance, most)
    payoff = value * honest.click - pays
    assert (payoff >= -1e-12).all()
    for i in range(len(value)):
        for told in (0.0, 0.5 * value[i], 0.9 * value[i], 1.1 * value[i], 1.0):
            bids = value.copy()
            bids[i] = told
            found, asked = truthful_payments(bids, chance, most)
            assert value[i] * found.click[i] - asked[i] <= payoff[i] + 1e-9


def test_half_is_all_that_is_left_where_one_is_surely_liked_and_one_hardly_ever():
    """A link that all take and one that few do, for a fortune: t = G(t) = 1 with both, worth 2."""
    value, chance = np.array([1.0, 1e6]), np.array([[1e-9, 1.0], [1e-6, 1e-9]])
    thinned, _ = truthful_payments(value, chance)
    assert thinned.total / place_in_cascade(value, chance).total == pytest.approx(0.5, abs=1e-3)
    assert place_many(value, chance).total == pytest.approx(2.0, rel=1e-3)


def test_hundreds_are_placed_close_to_what_is_possible():
    rng = np.random.default_rng(0)
    value, chance = rng.random(400), 1 / (1 + np.exp(3.0 - 1.5 * rng.normal(size=(400, 20))))
    assert place_many(value, chance, 12).total > 0.95 * worth_at_most(value, chance, 12)
