"""Proxy against gold: exact best-of-n, the closed-form policy, and a proxy that betrays."""

import numpy as np
import pytest
from scipy.optimize import minimize

from penchant.errors import ConfigError
from penchant.evaluation.over_optimisation import best_of_n_curve, tilted_curve
from penchant.numerics.arrays import softmax


def test_best_of_n_is_what_drawing_gives():
    rng = np.random.default_rng(0)
    proxy, gold = rng.normal(size=(2, 3, 20))
    found = best_of_n_curve(proxy, gold, [1, 2, 7])
    for place, n in enumerate((1, 2, 7)):
        drawn = rng.integers(0, 20, (20_000, 3, n))
        taken = np.take_along_axis(
            drawn, np.take_along_axis(proxy[None], drawn, axis=2).argmax(axis=2)[:, :, None], axis=2
        )
        paid = np.take_along_axis(gold[None], taken, axis=2)
        assert found.gold[place] == pytest.approx(paid.mean(), abs=0.02)
    np.testing.assert_allclose([found.proxy[0], found.gold[0]], [proxy.mean(), gold.mean()])
    assert np.all(np.diff(found.proxy) > 0)


def test_candidates_of_one_proxy_are_drawn_alike():
    gold = np.arange(10.0)[None]
    found = best_of_n_curve(np.ones((1, 10)), gold, [1, 64])
    np.testing.assert_allclose(found.gold, [4.5, 4.5])
    # Neither the order of the candidates nor what other prompts tie at counts.
    proxy = np.array([[1.0, 2, 2, 3, 3, 3], [3, 3, 3, 3, 3, 3]])
    gold = np.random.default_rng(3).normal(size=(2, 6))
    turned = best_of_n_curve(proxy[:, ::-1], gold[:, ::-1], [1, 3, 500])
    again = best_of_n_curve(proxy, gold, [1, 3, 500])
    np.testing.assert_allclose(turned.gold, again.gold)
    assert again.gold[-1] == pytest.approx((gold[0, 3:].mean() + gold[1].mean()) / 2)


def test_the_tilted_policy_is_the_best_for_its_beta():
    proxy = np.random.default_rng(1).normal(size=(1, 6))

    def loss(logits):
        policy = softmax(logits[None], axis=1)
        kl = np.log(6) + (policy * np.log(policy)).sum()
        return -float((policy * proxy).sum() - 0.4 * kl)

    found = tilted_curve(proxy, proxy, [0.4])
    assert found.proxy[0] - 0.4 * found.kl[0] == pytest.approx(
        -minimize(loss, np.zeros(6)).fun, abs=1e-6
    )
    weak, strong = tilted_curve(proxy, proxy, [1e6, 1e-3]).kl
    assert weak == pytest.approx(0.0, abs=1e-9)
    assert strong == pytest.approx(np.log(6), abs=1e-6)


def test_an_honest_proxy_loses_nothing_and_a_false_one_is_caught():
    rng = np.random.default_rng(2)
    gold = rng.normal(size=(50, 400))
    cheat = 3.0 * (rng.random((50, 400)) < 0.01)
    honest = best_of_n_curve(gold, gold, [1, 4, 16, 64, 256])
    false = best_of_n_curve(gold + cheat, gold - cheat, [1, 4, 16, 64, 256])
    assert honest.lost == 0.0
    assert false.lost > 0.5
    assert false.proxy[-1] > honest.proxy[-1]


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="one candidate or more"):
        best_of_n_curve(np.ones((1, 2)), np.ones((1, 2)), [0])
    with pytest.raises(ConfigError, match="positive"):
        tilted_curve(np.ones((1, 2)), np.ones((1, 2)), [0.0])
