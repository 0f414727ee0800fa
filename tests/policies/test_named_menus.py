"""Decisions over changing menus: what is believed, with what probability each option is shown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.beliefs import named_weights
from penchant.encoders.named import Menu, NumberTable
from penchant.errors import ConfigError
from penchant.fitting import online_named
from penchant.fitting.online_named import OnlineNamed, OnlineNamedConfig
from penchant.policies.bandits import named_menus
from penchant.policies.bandits.named_menus import FirstPolicy, NamedPolicy, drawn
from penchant.policies.bandits.rules import (
    EpsilonGreedy,
    Greedy,
    InverseGap,
    InverseGapLoss,
    Softmax,
    Thompson,
    UpperConfidence,
)

RULES = [Thompson(), UpperConfidence(), InverseGap(), InverseGapLoss(), EpsilonGreedy(), Softmax(),
         Greedy()]  # fmt: skip


def menu_of(rng, num=4):
    ids = tuple(f"o{k}" for k in range(num))
    features = tuple({"p": float(rng.normal()), "q": float(rng.normal())} for _ in ids)
    return Menu({"hour": float(rng.normal())}, ids, features)


def learnt(seed=0, num=40, **config):
    rng = np.random.default_rng(seed)
    online = OnlineNamed.empty(OnlineNamedConfig(**config))
    history = [(menu_of(rng), int(rng.integers(4)), float(rng.integers(2))) for _ in range(num)]
    for menu, place, reward in history:
        online.learn(menu, place, reward)
    return online, history


def dense(online, menu, place):
    alone = Menu(menu.context, (menu.ids[place],), (menu.features[place],))
    coded = online.coder.code(alone)
    x = np.zeros(len(online.coder))
    x[coded.columns] = coded.values[0]
    return x


@pytest.mark.parametrize("step", [1, 4, 32])
def test_what_is_learnt_one_by_one_is_ridge_regression_on_all_at_once(step, monkeypatch):
    # However few columns are made at a time.
    monkeypatch.setattr(online_named, "_STEP", step)
    online, history = learnt(prior_precision=0.7)
    largest = np.linalg.eigvalsh(online.weights.covariance[0])[-1]
    assert largest * (1 - 1e-9) <= online.weights.size[0, 0]
    X = np.array([dense(online, menu, place) for menu, place, _ in history])
    precision = 0.7 * np.eye(X.shape[1]) + X.T @ X
    belief = online.belief()
    assert np.allclose(belief.mean, np.linalg.solve(precision, X.T @ [r for *_, r in history]))
    assert np.allclose(belief.covariance, np.linalg.inv(precision))
    assert belief.rounds == len(history)


@pytest.mark.parametrize("is_binary", [False, True])
def test_moments_are_those_of_the_normal_law_unknown_names_included(is_binary):
    online, _ = learnt(is_binary=is_binary, prior_precision=2.0)
    belief = online.belief()
    menu = menu_of(np.random.default_rng(9))
    x = np.array([dense(online, menu, k) for k in range(4)])
    mean, spread = belief.moments(menu)
    noise = 1.0 if is_binary else 0.5
    assert np.allclose(mean, x @ belief.mean)
    assert np.allclose(spread, noise * np.sqrt(np.einsum("kd,de,ke->k", x, belief.covariance, x)))
    features = ({**menu.features[0], "new": 3.0}, *menu.features[1:])
    wider = belief.moments(Menu(menu.context, menu.ids, features))[1]
    unknown = noise**2 * 9.0 * (1 + menu.context["hour"] ** 2) / 2.0
    assert np.isclose(wider[0] ** 2, spread[0] ** 2 + unknown)
    assert np.allclose(wider[1:], spread[1:])
    # The same name for every option, and one of the situation that nobody has met.
    widest = tuple({**features, "new": 3.0} for features in menu.features)
    found = belief.moments(Menu(menu.context, menu.ids, widest))[1]
    assert np.allclose(found**2, spread**2 + unknown)
    strange = belief.moments(Menu({**menu.context, "wind": 2.0}, menu.ids, menu.features))[1]
    sizes = np.array([1 + f["p"] ** 2 + f["q"] ** 2 for f in menu.features])
    assert np.allclose(strange**2, spread**2 + noise**2 * 4.0 * sizes / 2.0)


@pytest.mark.parametrize("is_compiled", [True, False])
def test_sums_over_the_situation_first_are_the_sums_over_columns(is_compiled, monkeypatch):
    if is_compiled:
        pytest.importorskip("numba")
    else:
        monkeypatch.setattr(named_weights, "_loops", lambda: None)
    belief, menu = learnt()[0].belief(), menu_of(np.random.default_rng(4), num=7)
    sides = belief._coder.sides(menu)
    assert belief._part(sides) is not None
    for first, by_columns in zip(belief.moments(menu), belief._moments_by_columns(sides)):
        assert np.allclose(first, by_columns, rtol=1e-12)


def test_a_table_of_numbers_is_decided_like_the_features_that_it_stands_for():
    belief, menu = learnt()[0].belief(), menu_of(np.random.default_rng(4))
    for new in ({}, {"new": 1.0}):
        features = [{**told, **new} for told in menu.features]
        table = NumberTable((*features[0],), np.array([[*told.values()] for told in features]))
        assert [*table] == features
        assert [*table[1:]] == features[1:]
        plain = belief.moments(Menu(menu.context, menu.ids, tuple(features)))
        told = belief.moments(Menu(menu.context, menu.ids, table))
        assert all(np.array_equal(a, b) for a, b in zip(told, plain))


def test_a_belief_does_not_change_when_more_is_learnt():
    online, history = learnt()
    belief = online.belief()
    before = belief.moments(history[0][0])
    online.learn(*history[1])
    assert all(np.array_equal(a, b) for a, b in zip(before, belief.moments(history[0][0])))


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99), floor=st.sampled_from([0.0, 0.1]))
def test_every_rule_gives_probabilities_above_the_floor_compiled_and_plain(rule, seed, floor):
    belief = learnt(seed)[0].belief()
    menu = menu_of(np.random.default_rng(seed), num=6)
    policy = NamedPolicy(rule=rule, floor=floor)
    found = policy.probabilities(belief, menu)
    assert np.isclose(found.sum(), 1.0)
    assert (found >= floor / 6 - 1e-12).all()
    compiled = named_menus._loops
    try:
        named_menus._loops = lambda: None
        assert np.allclose(policy.probabilities(belief, menu), found, atol=2e-3)
    finally:
        named_menus._loops = compiled


def test_an_apprentice_shows_what_stands_first():
    belief, menu = learnt()[0].belief(), menu_of(np.random.default_rng(0))
    assert np.allclose(FirstPolicy(floor=0.2).probabilities(belief, menu), [0.85, 0.05, 0.05, 0.05])


def test_slates_are_drawn_by_plackett_and_luce():
    p, rng = np.array([0.5, 0.3, 0.2, 0.0]), np.random.default_rng(0)
    slates = np.array([drawn(p, 3, rng) for _ in range(20_000)])
    assert {tuple(sorted(slate)) for slate in slates.tolist()} == {(0, 1, 2)}
    assert np.allclose(np.bincount(slates[:, 0], minlength=4) / 20_000, p, atol=0.012)
    second = slates[slates[:, 0] == 0, 1]
    assert np.allclose(np.bincount(second, minlength=4) / len(second), [0, 0.6, 0.4, 0], atol=0.02)
    assert drawn(p, 4, rng)[3] == 3
    first = np.bincount([drawn(p, 1, rng)[0] for _ in range(20_000)], minlength=4) / 20_000
    assert np.allclose(first, p, atol=0.012)


def test_it_finds_what_pays_in_which_situation():
    rng = np.random.default_rng(1)
    online, policy = OnlineNamed.empty(OnlineNamedConfig()), NamedPolicy(rule=Thompson())
    late = []
    for step in range(1500):
        menu = menu_of(rng)
        truth = np.array([f["p"] * menu.context["hour"] - 0.5 * f["q"] for f in menu.features])
        place = drawn(policy.probabilities(online.belief(), menu), 1, rng)[0]
        online.learn(menu, place, float(truth[place] + 0.5 * rng.normal()))
        if step >= 1000:
            late.append((truth.max() - truth[place], truth.max() - truth.mean()))
    regret, by_chance = np.mean(late, axis=0)
    assert regret < 0.1 * by_chance
    belief = online.belief()
    weight = dict(zip(belief.columns, belief.mean))
    error = 0.5 * np.sqrt(np.diag(belief.covariance))
    assert abs(weight["p", "hour"] - 1.0) < 4 * error[belief.columns.index(("p", "hour"))]
    best = int(np.argmax(belief.moments(menu)[0]))
    assert belief.contributions(menu, best)[0][0] in {("p", "hour"), ("q", "")}


@pytest.mark.parametrize("bad", [{"noise": 0.0}, {"most_columns": 0}])
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(ConfigError, match="expected"):
        OnlineNamedConfig(**bad)


def test_a_floor_is_a_probability():
    with pytest.raises(ConfigError, match="probability"):
        NamedPolicy(rule=Thompson(), floor=1.5)


@pytest.mark.parametrize("is_binary", [False, True])
@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=15)
@given(data=st.data())
def test_whatever_numbers_a_service_takes_probabilities_stay_probabilities(is_binary, rule, data):
    numbers = st.sampled_from([0.0, 1.0, -1e6, 1e6, 1e-300, 3.0]) | st.floats(-1e6, 1e6)
    online = OnlineNamed.empty(OnlineNamedConfig(is_binary=is_binary))
    rewards = st.sampled_from([0.0, 1.0]) if is_binary else numbers
    for _ in range(6):
        features = tuple({"p": data.draw(numbers), "q": data.draw(numbers)} for _ in range(3))
        menu = Menu({"c": data.draw(numbers)}, ("a", "b", "c"), features)
        found = NamedPolicy(rule=rule).probabilities(online.belief(), menu)
        assert (found > 0).all()
        assert np.isclose(found.sum(), 1.0)
        online.learn(menu, data.draw(st.integers(0, 2)), data.draw(rewards))


@pytest.mark.parametrize("prior_precision", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("forgetting", [0.5, 0.99, 1.0])
@pytest.mark.parametrize("is_binary", [False, True])
def test_a_million_times_a_million_ends_neither_learning_nor_deciding(
    prior_precision, forgetting, is_binary
):
    rng = np.random.default_rng(3)
    config = OnlineNamedConfig(
        prior_precision=prior_precision, forgetting=forgetting, is_binary=is_binary
    )
    online, sizes = OnlineNamed.empty(config), np.array([1e6, -1e6, 1e-3, 1.0, 3e5, 0.0])
    for _ in range(60):
        p, q, hour = rng.choice(sizes, 3).tolist()
        menu = Menu({"hour": hour}, ("a", "b"), ({"p": p}, {"p": q}))
        online.learn(menu, int(rng.integers(2)), float(rng.integers(2)))
        for rule in RULES:
            found = NamedPolicy(rule=rule).probabilities(online.belief(), menu)
            assert np.isclose(found.sum(), 1.0)
    held = online.weights
    # What is forgotten widens doubt, so that no older bound holds.
    largest = np.linalg.norm(held.root[0], 2) ** 2
    assert largest * (1 - 1e-9) <= held.size[0, 0]
    assert held.size[0, 0] <= np.square(held.root[0]).sum() * (1 + 1e-9)


def test_what_was_too_unequal_to_be_forgotten_is_learnt_over():
    online = OnlineNamed.empty(OnlineNamedConfig(prior_precision=1e-6, forgetting=0.5))
    huge = Menu({"hour": 1e6}, ("a",), ({"p": 1e6},))
    for _ in range(3):
        online.learn(huge, 0, 1.0)
    plain = Menu({"hour": 0.5}, ("a",), ({"p": 0.3},))
    for _ in range(100):
        online.learn(plain, 0, 2.0)
    mean, _ = online.belief().moments(plain)
    assert np.isclose(mean[0], 2.0, atol=1e-3)
