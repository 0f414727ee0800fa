"""Weights of a person: the posterior around everybody's, against a slow twin and known truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.beliefs.named_person import Earned, PersonalWeights
from penchant.encoders.named import Menu
from penchant.errors import ConfigError
from penchant.fitting.online_named import OnlineNamed, OnlineNamedConfig

NAMES = ("price", "new", "red")


def a_menu(rng, size=3):
    features = tuple(dict(zip(NAMES, rng.normal(size=3).tolist())) for _ in range(size))
    return Menu({"hour": float(rng.normal())}, tuple("abcd"[:size]), features)


def everybody(rng, num=60, **config):
    learnt = OnlineNamed.empty(OnlineNamedConfig(**config))
    for _ in range(num):
        menu = a_menu(rng)
        learnt.learn(menu, 0, float(menu.features[0]["price"] + 0.3 * rng.normal()))
    return learnt.belief()


def some_rewards(rng, num):
    return [Earned(a_menu(rng), int(rng.integers(3)), float(rng.normal())) for _ in range(num)]


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(0, 6), st.sampled_from([0.1, 1.0, 5.0]))
def test_it_is_the_posterior_that_weight_by_weight_gives(seed, num, spread):
    rng = np.random.default_rng(seed)
    belief, earned, menu = everybody(rng), some_rewards(rng, num), a_menu(rng)
    found = PersonalWeights(belief, earned, spread)
    # The slow twin: precision and mean of each weight's own part, one reward after the other.
    D = len(belief.columns)
    precision, moved = np.eye(D) / spread**2, np.zeros(D)
    for each in earned:
        x = belief.entries(each.menu)[each.place]
        precision += np.outer(x, x) / belief.noise**2
        moved += x * (each.reward - x @ belief.mean) / belief.noise**2
    own = np.linalg.solve(precision, moved)
    x_KU = belief.entries(menu)
    mean, spread_of_all = belief.moments(menu)
    variance = np.einsum("ku,uv,kv->k", x_KU, np.linalg.inv(precision), x_KU)
    told, error = found.moments(menu)
    assert np.allclose(told, mean + x_KU @ own, atol=1e-8)
    assert np.allclose(found.own(menu), x_KU @ own, atol=1e-8)
    assert np.allclose(error**2, spread_of_all**2 + variance, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("size", "spread"), [(1.0, 0.5), (1e3, 0.5), (1e6, 0.5), (1.0, 1e3), (1e3, 1e3)]
)
def test_the_same_large_entries_four_times_are_learnt_from(size, spread):
    # In double precision their products with the noise are singular; all of it hangs on x'd alone.
    menu = Menu({"u": size}, ("a", "b"), ({"v": size}, {"v": 0.0}))
    learnt = OnlineNamed.empty(OnlineNamedConfig())
    learnt.learn(menu, 0, 1.0)
    belief = learnt.belief()
    mean, error = PersonalWeights(belief, [Earned(menu, 0, 3.0)] * 4, spread).moments(menu)
    before, before_error = belief.moments(menu)
    variance = spread**2 * (belief.entries(menu)[0] ** 2).sum()
    share = variance / (variance + belief.noise**2 / 4)
    assert np.isclose(mean[0], before[0] + share * (3.0 - before[0]), rtol=1e-6)
    assert np.isclose(error[0] ** 2, before_error[0] ** 2 + share * belief.noise**2 / 4, rtol=1e-3)


@given(st.integers(0, 10**6))
def test_somebody_unknown_is_like_everybody_only_less_sure(seed):
    rng = np.random.default_rng(seed)
    belief, menu = everybody(rng, 20), a_menu(rng)
    mean, spread = PersonalWeights(belief, [], 0.7).moments(menu)
    assert np.allclose(mean, belief.moments(menu)[0])
    assert np.all(spread > belief.moments(menu)[1])


def test_little_spread_is_everybody_and_many_rewards_outweigh_them():
    rng = np.random.default_rng(0)
    belief, menu = everybody(rng, 200), a_menu(rng)
    # This person likes what is dear as much as the others dislike it.
    earned = []
    for _ in range(200):
        asked = a_menu(rng)
        earned.append(Earned(asked, 0, -float(asked.features[0]["price"])))
    alike, _ = PersonalWeights(belief, earned, 1e-4).moments(menu)
    assert np.allclose(alike, belief.moments(menu)[0], atol=1e-3)
    apart, error = PersonalWeights(belief, earned, 1.0).moments(menu)
    truth = np.array([-named["price"] for named in menu.features])
    assert np.all(np.abs(apart - truth) < 4 * error)
    assert np.abs(apart - truth).max() < 0.2


def test_intervals_of_people_cover_what_they_like():
    rng = np.random.default_rng(1)
    belief = everybody(rng, 3000, noise=0.3)
    hits, num = 0, 0
    for _ in range(300):
        # Own parts of all weights that there are, those of products too.
        own = 0.5 * rng.normal(size=len(belief.columns))
        earned = []
        for _ in range(10):
            menu = a_menu(rng, 1)
            x = belief.entries(menu)[0]
            earned.append(Earned(menu, 0, float(x @ (belief.mean + own) + 0.3 * rng.normal())))
        menu = a_menu(rng, 1)
        mean, error = PersonalWeights(belief, earned, 0.5).moments(menu)
        hits += abs(mean[0] - belief.entries(menu)[0] @ (belief.mean + own)) < 1.96 * error[0]
        num += 1
    assert 0.91 < hits / num < 0.99


def test_what_is_yes_or_no_is_refused():
    belief = everybody(np.random.default_rng(0), 0, is_binary=True)
    with pytest.raises(ConfigError, match="is_binary"):
        PersonalWeights(belief, [], 1.0)
