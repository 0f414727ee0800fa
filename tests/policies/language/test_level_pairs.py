"""Levels of a group as pairs: the credit is the loss's own derivative, and scales do not count."""

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.level_pairs import LevelPairs, level_pairs
from penchant.policies.language.preference import soft_pair_loss

torch = pytest.importorskip("torch")

GROUP = np.repeat(np.arange(4), 4)


def drawn(seed):
    rng = np.random.default_rng(seed)
    level = rng.choice([-1.0, 0.0, 0.5, 1.0], 16)
    is_scored = rng.random(16) > 0.2
    return level, is_scored, rng.normal(size=16)


def slow_loss(ratio, level, is_scored, method):
    """One pair after another, as the paper writes it."""
    losses = []
    for i in range(16):
        for j in range(16):
            if GROUP[i] == GROUP[j] and is_scored[i] and is_scored[j] and level[i] > level[j]:
                apart = method.strength * (ratio[i] - ratio[j])
                apart = apart * (method.best_margin if level[i] >= method.best_from else 1.0)
                both = torch.stack([apart, torch.zeros_like(apart)])[None]
                losses.append(soft_pair_loss(both, torch.ones(1, dtype=torch.float64))[0])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("seed", range(5))
def test_the_credit_is_what_the_loss_of_all_pairs_asks_of_each_answer(seed):
    level, is_scored, mean = drawn(seed)
    method = LevelPairs(strength=0.7)
    ratio = torch.tensor(mean, requires_grad=True)
    slow_loss(ratio, level, is_scored, method).backward()
    found = method.credit(level, GROUP, is_scored, mean)
    np.testing.assert_allclose(found / 16, -ratio.grad, atol=1e-12)
    assert np.abs(found).max() > 0.01


def test_the_scale_of_rewards_does_not_count_but_their_order_does():
    level, is_scored, mean = drawn(0)
    stretched = np.select([level == -1.0, level == 0.0, level == 0.5], [-100.0, -3.0, 0.99], 7.0)
    method = LevelPairs()
    np.testing.assert_array_equal(
        method.credit(level, GROUP, is_scored, mean),
        method.credit(stretched, GROUP, is_scored, mean),
    )
    assert not np.allclose(
        method.credit(level, GROUP, is_scored, mean),
        method.credit(-level, GROUP, is_scored, mean),
    )


def test_pairs_are_within_a_group_and_of_answers_that_have_a_reward():
    level, is_scored, _ = drawn(1)
    first, second = level_pairs(level, GROUP, is_scored)
    assert (GROUP[first] == GROUP[second]).all()
    assert (level[first] > level[second]).all()
    assert is_scored[first].all()
    assert is_scored[second].all()


def test_where_no_group_has_two_levels_answers_are_pushed_by_themselves():
    right, mean = np.repeat([1.0, 0.0], 8), np.linspace(-1.0, 1.0, 16)
    scored = np.ones(16, dtype=bool)
    ratio = torch.tensor(mean, requires_grad=True)
    sign = torch.tensor(np.where(right == 1.0, 1.0, -1.0))
    (-torch.nn.functional.logsigmoid(sign * ratio)).mean().backward()
    found = LevelPairs().credit(right, GROUP, scored, mean)
    np.testing.assert_allclose(found / 16, -ratio.grad, atol=1e-12)


def test_an_anchor_in_the_reward_which_has_no_place_is_refused():
    with pytest.raises(ConfigError, match="place"):
        LevelPairs(anchor=Anchor(strength=0.1, place="reward"))
    with pytest.raises(ConfigError, match="above 0"):
        LevelPairs(strength=0.0)
