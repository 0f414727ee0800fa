"""Reward networks: their gradient, an ensemble as its members, and labels that are cleaned."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.feedback.contrastive import contrast_log_prob
from penchant.feedback.corrupted_pair import soft_log_prob
from penchant.feedback.spread import spread
from penchant.fitting.reward_network import (
    Contrast,
    MetaStep,
    RewardNetworkConfig,
    SoftPairs,
    _after_ascent,
    _forward,
    _gradients,
    _Learner,
    fit_reward_networks,
    relabelled,
)
from penchant.fitting.sgd import TrainConfig


def world(members=3, num_pairs=40, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(60, 4))
    winner = rng.integers(0, 60, num_pairs)
    return SoftPairs(
        features=features, winner=winner, loser=(winner + rng.integers(1, 60, num_pairs)) % 60,
        target=rng.random(num_pairs), margin=rng.normal(size=num_pairs),
        weight=rng.uniform(0, 2, (members, num_pairs)),
    )  # fmt: skip


@pytest.mark.parametrize("width", [0, 5])
def test_the_gradient_is_that_of_finite_differences(width):
    pairs, rows = world(), np.arange(17)
    parameters = {
        name: np.random.default_rng(3).normal(size=value.shape)
        for name, value in _Learner(pairs, RewardNetworkConfig(width=width)).parameters.items()
    }

    def loss(changed):
        winner = _forward(changed, pairs.features[pairs.winner[rows]])[0]
        loser = _forward(changed, pairs.features[pairs.loser[rows]])[0]
        gap = winner - loser - pairs.margin[rows]
        return -(pairs.weight[:, rows] * soft_log_prob(gap, pairs.target[rows])).sum() / len(rows)

    _, gradients = _gradients(parameters, pairs, rows)
    for name, value in parameters.items():
        for place in np.random.default_rng(4).integers(0, value.size, 8):
            step = np.zeros(value.size)
            step[place] = 1e-5
            apart = step.reshape(value.shape)
            up, down = (loss({**parameters, name: value + s * apart}) for s in (1, -1))
            assert gradients[name].ravel()[place] == pytest.approx((up - down) / 2e-5, abs=1e-7)


def test_members_with_equal_weights_and_starts_are_one_network():
    pairs = world(members=1)
    both = replace(pairs, weight=np.repeat(pairs.weight, 2, axis=0))
    config = TrainConfig(batch_size=8, max_epochs=3, patience=None)
    # Linear heads start at zero, so that members differ in nothing.
    alone, _ = fit_reward_networks(pairs, RewardNetworkConfig(width=0), config)
    twice, _ = fit_reward_networks(both, RewardNetworkConfig(width=0), config)
    np.testing.assert_allclose(twice.parameters["out"][1], alone.parameters["out"][0], atol=1e-12)


def test_a_pair_of_no_weight_teaches_nothing():
    pairs = world(members=1)
    keep = np.where(np.arange(40) < 30, 1.0, 0.0)
    config = TrainConfig(batch_size=40, max_epochs=5, patience=None)
    other = replace(pairs, target=np.where(keep > 0, pairs.target, 1.0 - pairs.target))
    one, two = (
        fit_reward_networks(relabelled(p, keep=keep), RewardNetworkConfig(), config)[0]
        for p in (pairs, other)
    )
    np.testing.assert_allclose(one.rewards(pairs.features), two.rewards(pairs.features))


def test_a_hidden_layer_learns_what_no_line_can():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2000, 5))
    worth = np.abs(features[:, 0]) * 4
    first, second = np.arange(1000), np.arange(1000, 2000)
    won = worth[first] > worth[second]
    pairs = SoftPairs.plain(features, np.where(won, first, second), np.where(won, second, first))
    config = TrainConfig(batch_size=64, max_epochs=20, learning_rate=0.01)
    found = []
    for width in (0, 32):
        nets, training = fit_reward_networks(
            pairs, RewardNetworkConfig(width=width), config, held_out=np.arange(700, 1000)
        )
        rewards = nets.rewards(features)[0]
        found.append(np.mean(rewards[pairs.winner[700:]] > rewards[pairs.loser[700:]]))
        assert training.looks
    assert found[0] < 0.6
    assert found[1] > 0.9


def test_features_that_are_no_numbers_are_refused():
    pairs = world()
    broken = pairs.features.copy()
    broken[3, 1] = np.inf
    with pytest.raises(DataError, match="not all finite"):
        fit_reward_networks(
            replace(pairs, features=broken), RewardNetworkConfig(), TrainConfig(max_epochs=1)
        )


def test_the_contrast_adds_its_own_slope_and_one_training_taken_up_draws_the_same_views():
    pairs, rows = world(), np.arange(12)
    contrast = Contrast(weight=0.7, dropout=0.3, temperature=0.5)
    learner = _Learner(pairs, RewardNetworkConfig(width=5, contrast=contrast))
    parameters = learner.parameters

    def slope(with_it):
        rng = np.random.default_rng(1)
        return _gradients(parameters, pairs, rows, contrast if with_it else None, rng)[1]

    def loss(changed):
        rng = np.random.default_rng(1)
        texts = np.concatenate([pairs.winner[rows], pairs.loser[rows]])
        outputs = _forward(changed, pairs.features[texts])[1][1]
        one, other = (outputs * (rng.random(outputs.shape[1:]) >= 0.3) / 0.7 for _ in range(2))
        return -0.7 * contrast_log_prob(one, other, 0.5).sum() / len(texts)

    with_it, without = slope(True), slope(False)
    for name in ("hidden", "bias"):
        for place in np.random.default_rng(4).integers(0, parameters[name].size, 8):
            step = np.zeros(parameters[name].size)
            step[place] = 1e-5
            apart = step.reshape(parameters[name].shape)
            up, down = (loss({**parameters, name: parameters[name] + s * apart}) for s in (1, -1))
            own = (with_it[name] - without[name]).ravel()[place]
            assert own == pytest.approx((up - down) / 2e-5, abs=1e-6)
    np.testing.assert_array_equal(with_it["out"], without["out"])
    again = _Learner(pairs, RewardNetworkConfig(width=5, contrast=contrast))
    for step in range(3):
        learner.step(rows, 0.01)
        if step == 0:
            again.restore(learner.state())
    for _ in range(2):
        again.step(rows, 0.01)
    np.testing.assert_array_equal(again.parameters["hidden"], learner.parameters["hidden"])


def test_the_contrast_keeps_texts_apart_that_labels_would_fold_together():
    pairs = world(members=1, num_pairs=200)
    training = TrainConfig(batch_size=25, max_epochs=30, learning_rate=0.01, patience=None)

    def alike(contrast):
        config = RewardNetworkConfig(width=12, contrast=contrast)
        networks, _ = fit_reward_networks(pairs, config, training)
        units = _forward(networks.parameters, pairs.features)[1][1][0]
        unit = units / np.linalg.norm(units, axis=1, keepdims=True)
        return (unit @ unit.T)[~np.eye(len(unit), dtype=bool)].mean()

    assert alike(Contrast(weight=1.0)) < alike(None) - 0.05


@pytest.mark.parametrize("wrong", [{"weight": 0.0}, {"dropout": 1.0}, {"temperature": -1.0}])
def test_a_contrast_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match="Leave the contrast out"):
        Contrast(**wrong)
    with pytest.raises(ConfigError, match="no hidden units"):
        RewardNetworkConfig(width=0, contrast=Contrast())


@pytest.mark.parametrize("width", [0, 5])
def test_a_step_of_ascent_goes_along_the_slope_of_the_spread(width):
    fresh, rng = np.random.default_rng(1).normal(size=(9, 4)), np.random.default_rng(2)
    fitted = _Learner(world(), RewardNetworkConfig(width=width)).parameters
    parameters = {name: rng.normal(size=value.shape) for name, value in fitted.items()}
    moved = _after_ascent(parameters, fresh, 0.3)

    def told(changed):
        return spread(_forward(changed, fresh)[0]).sum()

    for name, value in parameters.items():
        for place in rng.integers(0, value.size, 8):
            step = np.zeros(value.size)
            step[place] = 1e-5
            apart = step.reshape(value.shape)
            up, down = (told({**parameters, name: value + s * apart}) for s in (1, -1))
            own = (moved[name] - value).ravel()[place]
            assert own == pytest.approx(0.3 * (up - down) / 2e-5, abs=1e-8)


def test_the_meta_step_takes_the_slope_where_the_ascent_leads_and_moves_from_where_it_stood():
    pairs, rows, fresh = world(), np.arange(12), np.random.default_rng(1).normal(size=(1, 4))
    # One output alone, drawn over and over, cannot be put apart: nothing changes.
    plain = _Learner(pairs, RewardNetworkConfig(width=5))
    same = _Learner(pairs, RewardNetworkConfig(width=5, meta=MetaStep()), fresh)
    many = np.random.default_rng(1).normal(size=(50, 4))
    meta = MetaStep(rate=2.0, outputs=20)
    other = _Learner(pairs, RewardNetworkConfig(width=5, meta=meta), many)
    shown = np.random.default_rng((0, 0)).integers(50, size=20)
    slopes = _gradients(_after_ascent(other.parameters, many[shown], 2.0), pairs, rows)[1]
    before = other.parameters
    for learner in (plain, same, other):
        learner.step(rows, 0.01)
    np.testing.assert_array_equal(same.parameters["hidden"], plain.parameters["hidden"])
    # The first step of Adam is the sign of the slope.
    np.testing.assert_allclose(
        other.parameters["hidden"] - before["hidden"], -0.01 * np.sign(slopes["hidden"]), rtol=1e-3
    )
    assert np.any(np.abs(other.parameters["hidden"] - plain.parameters["hidden"]) > 1e-3)


def test_each_meta_step_is_shown_as_many_outputs_as_asked_and_other_ones(monkeypatch):
    shown = []

    def seen(parameters, fresh, rate):
        shown.append(fresh)
        return dict(parameters)

    monkeypatch.setattr("penchant.fitting.reward_network._after_ascent", seen)
    many = np.random.default_rng(1).normal(size=(50, 4))
    learner = _Learner(world(), RewardNetworkConfig(meta=MetaStep(outputs=20)), many)
    for _ in range(2):
        learner.step(np.arange(12), 0.01)
    assert [len(each) for each in shown] == [20, 20]
    assert np.any(shown[0] != shown[1])


def test_a_meta_step_needs_what_the_policy_writes_and_the_other_way_round():
    pairs, training = world(), TrainConfig(max_epochs=1)
    with pytest.raises(ConfigError, match="belong together"):
        fit_reward_networks(pairs, RewardNetworkConfig(meta=MetaStep()), training)
    with pytest.raises(ConfigError, match="belong together"):
        fit_reward_networks(pairs, RewardNetworkConfig(), training, fresh=np.ones((3, 4)))
    with pytest.raises(DataError, match="not all finite"):
        fit_reward_networks(
            pairs, RewardNetworkConfig(meta=MetaStep()), training, fresh=np.full((3, 4), np.nan)
        )
    with pytest.raises(DataError, match="got 1 fresh outputs; expected two"):
        fit_reward_networks(
            pairs, RewardNetworkConfig(meta=MetaStep()), training, fresh=np.ones((1, 4))
        )
    with pytest.raises(ConfigError, match="Leave the meta step out"):
        MetaStep(outputs=1)
