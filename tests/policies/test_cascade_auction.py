"""Readers who take the first link they like: the best placement, and payments without lies."""

from itertools import permutations

import numpy as np
import pytest

from penchant.errors import DataError
from penchant.policies.oneshot.cascade_auction import (
    cascade_clicks,
    cascade_payments,
    place_in_cascade,
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
    with pytest.raises(DataError, match="up to 16"):
        place_in_cascade(np.ones(17), np.full((17, 2), 0.5))
