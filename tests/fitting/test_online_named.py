"""Named weights from what was preferred to what, and from ratings by levels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.beliefs.normal_law import FullNormal
from penchant.encoders.named import Menu
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_option import Binary, Rating
from penchant.feedback.thresholds import Ordered
from penchant.fitting import online_named
from penchant.fitting.online_answers import OnlineAnswers, nothing_known
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


STARS = OnlineNamedConfig(is_binary=True, rating_levels=4, prior_precision=0.7)
CUTS = np.array([-1.0, 0.4, 1.1])


def rated(rng, menu, base=0.0):
    """A level from 0, as people with logistic noise and these cut points give it."""
    noisy = worths(menu, base)[0] + rng.logistic()
    return int((noisy > CUTS).sum())


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 9999))
def test_ratings_of_named_features_are_those_of_the_library(seed):
    """The same belief as of `OnlineAnswers`, which has a law of features and thresholds."""
    rng = np.random.default_rng(seed)
    named = OnlineNamed.empty(STARS)
    eye = np.sqrt(1 / STARS.prior_precision) * np.eye(3)
    prior = FullNormal(mean=np.zeros(3), root=eye)
    plain = OnlineAnswers(nothing_known([Rating(levels=4), Binary()], prior))
    binary = [(menu_of(rng, 1), rng.integers(4)) for _ in range(8)]
    for menu, level in binary:
        named.learn_rating(menu, 0, int(level))
        (x,) = named.belief().entries(menu)
        plain.learn(x[None], "rating", {"level": np.array([level])})
    belief, known = named.belief(), plain.belief_
    np.testing.assert_allclose(belief.mean, known.part_worths, atol=1e-6)
    law = known.law.covariance_of(np.eye(len(known.law.mean)))
    np.testing.assert_allclose(belief.covariance, law[:3, :3], atol=1e-6)
    own = known.own_parameters("rating")
    np.testing.assert_allclose(named.cut_points, Ordered(4).values(own[None])[0], atol=1e-6)
    assert belief.rounds == 8


def test_cut_points_and_what_people_want_are_found_beside_yes_and_no():
    away, cuts = [], []
    for seed in range(2):
        rng, online = np.random.default_rng(seed), OnlineNamed.empty(STARS)
        for _ in range(60):
            menu = menu_of(rng, 1)
            online.learn_rating(menu, 0, rated(rng, menu))
            # What is worth nothing more or less is liked half of the time: the zero of ratings.
            online.learn(menu, 0, float(worths(menu)[0] + rng.logistic() > 0))
        away += [(mean - {"": 0.0, **TRUE}[n]) / sd for n, (mean, sd) in weights(online).items()]
        cuts.append(online.cut_points)
    assert np.sqrt(np.mean(np.square(away))) < 1.8
    np.testing.assert_allclose(np.mean(cuts, axis=0), CUTS, atol=0.45)


def test_new_names_between_ratings_lose_nothing():
    """More columns are made while cut points stand in front of them."""
    rng, online = np.random.default_rng(2), OnlineNamed.empty(STARS)
    for n in range(12):
        many = Menu({}, ("a",), ({f"x{n}{k}": 1.0 for k in range(4)},))
        online.learn_rating(many, 0, n % 4)
    before = online.cut_points
    assert len(online.coder) > 32
    again = OnlineNamed.from_arrays(STARS, online.coder.columns, online.arrays())
    np.testing.assert_array_equal(again.cut_points, before)
    assert np.isfinite(online.belief().moments(menu_of(rng))).all()
    assert (np.diff(before) > 0).all()


def test_ratings_want_levels_and_log_odds():
    for wrong in (1, 21):
        with pytest.raises(ConfigError, match="2 to 20"):
            OnlineNamedConfig(is_binary=True, rating_levels=wrong)
    with pytest.raises(ConfigError, match="rating_levels is given"):
        OnlineNamedConfig(rating_levels=5)
    assert OnlineNamed.empty(CHOICES).cut_points.shape == (0,)
