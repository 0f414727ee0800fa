"""Named weights from what was preferred to what: picks, refusals of a slate, rankings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.encoders.named import Menu
from penchant.errors import ConfigError, DataError
from penchant.fitting import online_named
from penchant.fitting.online_named import OnlineNamed, OnlineNamedConfig

CHOICES = OnlineNamedConfig(is_binary=True, learns_orders=True)
TRUE = {"p": -1.2, "q": 0.8}


def menu_of(rng, num=4):
    features = tuple({"p": float(rng.normal()), "q": float(rng.normal())} for _ in range(num))
    return Menu({}, tuple(f"o{k}" for k in range(num)), features)


def worths(menu, base=0.0):
    return np.array([base + sum(TRUE[n] * x for n, x in f.items()) for f in menu.features])


def ordered(rng, menu, base):
    """Places from best, None for nothing at all, as people with extreme-value noise have them."""
    noisy = np.append(worths(menu, base), 0.0) + rng.gumbel(size=len(menu.ids) + 1)
    return [None if place == len(menu.ids) else int(place) for place in np.argsort(-noisy)]


def weights(online):
    belief = online.belief()
    found = dict(zip(belief.columns, zip(belief.mean, np.sqrt(np.diag(belief.covariance)))))
    return {name: found[name, ""] for name in ("", "p", "q")}


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 9999), forgetting=st.sampled_from([1.0, 0.95]))
def test_one_option_beside_nothing_is_a_yes_or_no(seed, forgetting):
    rng = np.random.default_rng(seed)
    config = OnlineNamedConfig(is_binary=True, learns_orders=True, forgetting=forgetting)
    by_orders, by_rewards = OnlineNamed.empty(config), OnlineNamed.empty(config)
    for _ in range(6):
        menu, taken = menu_of(rng, 1), bool(rng.integers(2))
        by_orders.learn_order(menu, (0, None) if taken else (None, 0), 1)
        by_rewards.learn(menu, 0, float(taken))
    one, other = by_orders.belief(), by_rewards.belief()
    assert one.columns == other.columns
    assert np.allclose(one.mean, other.mean, atol=1e-5)
    assert np.allclose(one.covariance, other.covariance, atol=1e-5)
    assert one.rounds == other.rounds == 6


@pytest.mark.parametrize("num_ranked", [1, 3])
def test_what_people_want_is_found_with_the_doubt_that_is_told(num_ranked):
    rng, away = np.random.default_rng(6), []
    for _ in range(4):
        online = OnlineNamed.empty(CHOICES)
        for _ in range(60):
            menu = menu_of(rng)
            online.learn_order(menu, ordered(rng, menu, base=-0.5), num_ranked)
        truth = {"": -0.5, **TRUE}
        away += [(mean - truth[n]) / sd for n, (mean, sd) in weights(online).items()]
    assert np.sqrt(np.mean(np.square(away))) < 1.5
    assert abs(np.mean(away)) < 0.7


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 9999), num_ranked=st.integers(1, 4))
def test_weights_after_an_order_are_where_plackett_luce_and_the_prior_balance(seed, num_ranked):
    rng = np.random.default_rng(seed)
    menu, online = menu_of(rng), OnlineNamed.empty(CHOICES)
    places = [*rng.permutation(4).tolist(), None]
    online.learn_order(menu, places, num_ranked)
    belief = online.belief()
    x = np.vstack([belief.entries(menu), np.zeros(len(belief.columns))])
    pull, left = np.zeros(len(belief.columns)), [4 if at is None else at for at in places]
    for _ in range(num_ranked):
        p = np.exp(x[left] @ belief.mean)
        pull += x[left[0]] - p @ x[left] / p.sum()
        left = left[1:]
    assert np.allclose(CHOICES.prior_precision * belief.mean, pull, atol=1e-5)


def test_an_order_tells_more_than_its_first_place():
    rng, spreads = np.random.default_rng(1), []
    orders = [(menu, ordered(rng, menu, 0.0)) for menu in (menu_of(rng) for _ in range(30))]
    for num_ranked in (1, 4):
        online = OnlineNamed.empty(CHOICES)
        for menu, order in orders:
            online.learn_order(menu, order, num_ranked)
        spreads.append([spread for _, spread in weights(online).values()])
    assert (np.array(spreads[1]) < np.array(spreads[0])).all()


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 9999))
def test_what_stands_behind_the_ranked_has_no_order(seed):
    rng = np.random.default_rng(seed)
    menu, one, other = menu_of(rng), OnlineNamed.empty(CHOICES), OnlineNamed.empty(CHOICES)
    one.learn_order(menu, (2, 0, 1, 3, None), 2)
    other.learn_order(menu, (2, 0, None, 3, 1), 2)
    assert np.allclose(one.belief().moments(menu), other.belief().moments(menu), atol=1e-8)
    before = OnlineNamed.empty(CHOICES).belief().moments(menu)[0]
    mean, _ = one.belief().moments(menu)
    assert np.ptp(before) == 0
    assert mean[2] != before[2]


def test_worths_of_orders_are_log_odds():
    with pytest.raises(ConfigError, match="is_binary"):
        OnlineNamedConfig(learns_orders=True)


def test_an_order_that_cannot_be_learnt_is_told_and_changes_nothing(monkeypatch):
    online, menu = OnlineNamed.empty(CHOICES), menu_of(np.random.default_rng(0))
    online.learn_order(menu, (0, 1, None), 1)
    before = {name: array.copy() for name, array in online.arrays().items()}

    def fails(*told):
        raise np.linalg.LinAlgError

    monkeypatch.setattr(online_named, "laplace", fails)
    with pytest.raises(DataError, match="not learnt"):
        online.learn_order(menu, (1, 0, None), 1)
    after = online.arrays()
    assert all(np.array_equal(after[name], array) for name, array in before.items())
