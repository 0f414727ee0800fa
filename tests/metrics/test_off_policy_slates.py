"""Slate estimators: exact over all that can happen where their assumption holds, and only there."""

import itertools

import numpy as np
import pytest

from penchant.errors import DataError
from penchant.metrics import off_policy_slates as slates

ITEMS, PLACES = 4, 2
ORDERS = np.array(list(itertools.permutations(range(ITEMS), PLACES)))


@pytest.fixture
def world():
    """All orders of two out of four items; policies that draw from the top, without replacement."""
    rng = np.random.default_rng(0)
    logged, target = rng.dirichlet(np.full(ITEMS, 2.0), size=2)

    def steps(share):
        first = share[ORDERS[:, 0]]
        return np.column_stack([first, share[ORDERS[:, 1]] / (1.0 - first)])

    return steps(logged), steps(target), rng


def exact(probability, terms):
    return float(probability @ terms)


def test_the_weight_of_the_whole_slate_is_right_whatever_rewards_depend_on(world):
    logged, target, rng = world
    reward = rng.normal(size=logged.shape)
    truth = exact(target.prod(axis=1), reward.sum(axis=1))
    terms = slates.slate_ips(target / logged, reward)
    assert exact(logged.prod(axis=1), terms) == pytest.approx(truth)
    cut = slates.cascade_ips(target / logged, reward)
    # Rewards of the top that look below them are beyond the cascade.
    assert exact(logged.prod(axis=1), cut) != pytest.approx(truth)


def cascade_rewards(rng):
    top, pair = rng.normal(size=ITEMS), rng.normal(size=(ITEMS, ITEMS))
    return np.column_stack([top[ORDERS[:, 0]], pair[ORDERS[:, 0], ORDERS[:, 1]]])


def test_the_cascade_is_right_where_people_read_from_the_top(world):
    logged, target, rng = world
    reward = cascade_rewards(rng)
    truth = exact(target.prod(axis=1), reward.sum(axis=1))
    for terms in (
        slates.cascade_ips(target / logged, reward),
        slates.slate_ips(target / logged, reward),
    ):
        assert exact(logged.prod(axis=1), terms) == pytest.approx(truth)


@pytest.mark.parametrize("is_right", [True, False])
def test_cascade_doubly_robust_is_right_with_any_model_and_still_with_the_true_one(world, is_right):
    logged, target, rng = world
    reward = cascade_rewards(rng)
    # The model says what place l and those below it earn, given the slate down to l.
    below = np.zeros((ITEMS, ITEMS))
    below[ORDERS[:, 0], ORDERS[:, 1]] = reward[:, 1]
    shares = np.zeros((ITEMS, ITEMS))
    shares[ORDERS[:, 0], ORDERS[:, 1]] = target[:, 1]
    expected_below = (shares * below).sum(axis=1)
    first_reward = np.zeros(ITEMS)
    first_reward[ORDERS[:, 0]] = reward[:, 0]
    first_share = np.zeros(ITEMS)
    first_share[ORDERS[:, 0]] = target[:, 0]
    whole, last = first_reward + expected_below, below
    if not is_right:
        whole, last = rng.normal(size=ITEMS), rng.normal(size=(ITEMS, ITEMS))
    predicted = np.column_stack([whole[ORDERS[:, 0]], last[ORDERS[:, 0], ORDERS[:, 1]]])
    value = np.column_stack([
        np.full(len(ORDERS), first_share @ whole), (shares * last).sum(axis=1)[ORDERS[:, 0]],
    ])  # fmt: skip
    terms = slates.cascade_doubly_robust(target / logged, reward, predicted, value)
    truth = exact(target.prod(axis=1), reward.sum(axis=1))
    assert exact(logged.prod(axis=1), terms) == pytest.approx(truth)
    if is_right:
        np.testing.assert_allclose(terms, truth)


def test_places_by_themselves_are_right_where_items_are_taken_for_their_own_sake(world):
    logged, target, rng = world
    mass = {"logged": logged.prod(axis=1), "target": target.prod(axis=1)}
    alone = {
        name: np.stack([
            np.bincount(ORDERS[:, place], share, minlength=ITEMS) for place in range(PLACES)
        ])
        for name, share in mass.items()
    }  # fmt: skip
    worth = rng.normal(size=(PLACES, ITEMS))
    place = np.arange(PLACES)
    reward = worth[place, ORDERS]
    weight = alone["target"][place, ORDERS] / alone["logged"][place, ORDERS]
    truth = exact(mass["target"], reward.sum(axis=1))
    assert exact(mass["logged"], slates.independent_ips(weight, reward)) == pytest.approx(truth)


def marks(orders):
    shown = np.zeros((len(orders), PLACES, ITEMS))
    for place in range(PLACES):
        shown[np.arange(len(orders)), place, orders[:, place]] = 1.0
    return shown


def test_the_pseudo_inverse_needs_only_the_reward_of_the_whole_slate(world):
    logged, target, rng = world
    shown, worth = marks(ORDERS), rng.normal(size=(PLACES, ITEMS))
    reward = (shown * worth).sum(axis=(1, 2))
    flat = shown.reshape(len(ORDERS), -1)
    mass = logged.prod(axis=1)
    gamma = (flat * mass[:, None]).T @ flat
    wanted = (target.prod(axis=1) @ flat).reshape(PLACES, ITEMS)
    terms = slates.pseudo_inverse(
        np.tile(wanted, (len(ORDERS), 1, 1)), shown, np.tile(gamma, (len(ORDERS), 1, 1)), reward
    )
    assert exact(mass, terms) == pytest.approx(float((wanted * worth).sum()))
    # Its weights are far smaller than those of whole slates.
    ones = slates.pseudo_inverse(
        np.tile(wanted, (len(ORDERS), 1, 1)), shown, np.tile(gamma, (len(ORDERS), 1, 1)),
        np.ones(len(ORDERS)),
    )  # fmt: skip
    whole = target.prod(axis=1) / mass
    assert exact(mass, ones**2) < exact(mass, whole**2)


def test_slates_whose_parts_the_log_never_takes_apart_are_refused():
    # The log shows (a, b) or (b, a), each half of the time; the target a at both places: every
    # part of it stands in the log, the whole follows from no sum of what the log shows.
    logged = np.array([[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]])
    gamma = (logged.T @ logged / 2)[None]
    shown = logged[:1].reshape(1, 2, 2)
    with pytest.raises(DataError, match="never takes apart"):
        slates.pseudo_inverse(np.array([[[1.0, 0.0], [1.0, 0.0]]]), shown, gamma, np.ones(1))
    mixed = np.array([[[0.8, 0.2], [0.2, 0.8]]])
    np.testing.assert_allclose(slates.pseudo_inverse(mixed, shown, gamma, np.ones(1)), 1.6)


def test_second_moments_are_those_of_what_they_describe():
    flat = marks(ORDERS).reshape(len(ORDERS), -1)
    np.testing.assert_allclose(
        slates.uniform_second_moment(PLACES, ITEMS), flat.T @ flat / len(ORDERS)
    )
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(ITEMS), size=PLACES)
    pairs = np.array(list(itertools.product(range(ITEMS), repeat=PLACES)))
    flat = marks(pairs).reshape(len(pairs), -1)
    mass = shares[0][pairs[:, 0]] * shares[1][pairs[:, 1]]
    np.testing.assert_allclose(
        slates.independent_second_moment(shares[None])[0], (flat * mass[:, None]).T @ flat
    )


def test_items_that_the_log_never_shows_at_a_place_are_refused():
    gamma = np.diag([1.0, 0.0])[None]
    with pytest.raises(DataError, match="never does"):
        slates.pseudo_inverse(np.array([[[0.5, 0.5]]]), np.array([[[1.0, 0.0]]]), gamma, np.ones(1))
