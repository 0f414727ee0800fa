"""Losses on pairs of responses: likelihoods where they are such, and what the others reward."""

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.feedback import pairwise
from penchant.policies.language.preference import (
    hinge_pair_loss,
    robust_pair_loss,
    same_worth_loss,
    soft_pair_loss,
    squared_pair_loss,
    unpaired_loss,
)

torch = pytest.importorskip("torch")

UTILITIES = np.array([[0.7, -0.2], [-1.0, 0.4], [0.0, 0.0]])
APART = UTILITIES[:, 0] - UTILITIES[:, 1]


def test_a_sure_label_is_bradley_and_terrys_likelihood():
    wins = np.zeros(3, dtype=int)
    np.testing.assert_allclose(
        soft_pair_loss(UTILITIES, np.ones(3)), -pairwise.bradley_terry_log_prob(UTILITIES, wins)
    )
    np.testing.assert_allclose(
        soft_pair_loss(UTILITIES, np.zeros(3)),
        -pairwise.bradley_terry_log_prob(UTILITIES, wins + 1),
    )


def test_a_soft_label_is_met_where_the_policy_agrees_with_it():
    gap = torch.tensor([np.log(0.8 / 0.2)], requires_grad=True)
    utilities = torch.stack([gap, torch.zeros(1)], dim=1)
    loss = soft_pair_loss(utilities, torch.tensor([0.8])).sum()
    assert torch.autograd.grad(loss, gap)[0].item() == pytest.approx(0.0, abs=1e-7)


def test_a_margin_asks_the_winner_to_be_better_by_so_much():
    shifted = UTILITIES - np.array([[0.5, 0.0]])
    wanted = soft_pair_loss(shifted, np.ones(3))
    np.testing.assert_allclose(soft_pair_loss(UTILITIES, np.ones(3), 0.5), wanted)
    np.testing.assert_allclose(soft_pair_loss(UTILITIES, np.ones(3), np.full(3, 0.5)), wanted)


def test_turned_labels_are_taken_into_account_without_bias():
    # Averaged over labels of which a third is turned, the robust loss is the plain one.
    straight, turned = UTILITIES, UTILITIES[:, ::-1]
    mean = 0.7 * robust_pair_loss(straight, 0.3) + 0.3 * robust_pair_loss(turned, 0.3)
    np.testing.assert_allclose(mean, soft_pair_loss(UTILITIES, np.ones(3)))
    with pytest.raises(ConfigError, match="one half"):
        robust_pair_loss(UTILITIES, 0.5)


def test_a_squared_loss_is_least_at_its_target_and_a_hinge_rests_beyond_one():
    beta = 0.1
    # The log-ratio's gap should be 1 / (2 beta); utilities are beta times it.
    at_target = np.array([[0.5, 0.0]])
    assert squared_pair_loss(at_target, beta)[0] == 0.0
    np.testing.assert_allclose(
        squared_pair_loss(UTILITIES, beta), (APART / beta - 1 / (2 * beta)) ** 2
    )
    np.testing.assert_allclose(hinge_pair_loss(UTILITIES), np.maximum(0.0, 1.0 - APART))


def test_unpaired_answers_are_pushed_to_their_side_of_the_usual():
    utility = torch.tensor([0.5, 0.5], dtype=torch.float64, requires_grad=True)
    desired = torch.tensor([True, False])
    usual = torch.tensor([0.2], dtype=torch.float64, requires_grad=True)
    loss = unpaired_loss(utility, desired, usual, undesired_weight=2.0)
    s = 1 / (1 + np.exp(-0.3))
    np.testing.assert_allclose(loss.detach().numpy(), [1 - s, 2 * s])
    slope = torch.autograd.grad(loss.sum(), utility)[0]
    assert slope[0] < 0 < slope[1]
    # A negative estimate of a divergence counts as none.
    below = unpaired_loss(utility, desired, usual - 5.0)
    none = unpaired_loss(utility, desired, torch.zeros(1, dtype=torch.float64))
    np.testing.assert_allclose(below.detach().numpy(), none.detach().numpy())


def test_kinds_of_people_stay_apart():
    both = np.stack([UTILITIES, -UTILITIES], axis=2)
    for loss in (
        lambda u: soft_pair_loss(u, np.ones(3)),
        lambda u: robust_pair_loss(u, 0.1),
        lambda u: squared_pair_loss(u, 0.1),
        hinge_pair_loss,
        lambda u: same_worth_loss(u[:, 0], u[:, 1]),
        lambda u: unpaired_loss(u[:, 0], np.array([True, False, True]), np.array([0.1])),
    ):
        found = loss(both)
        np.testing.assert_allclose(found[:, 0], loss(UTILITIES))
        np.testing.assert_allclose(found[:, 1], loss(-UTILITIES))


def test_a_margin_may_be_a_whole_number_and_weights_keep_their_precision():
    np.testing.assert_allclose(
        soft_pair_loss(UTILITIES, np.ones(3), 1), soft_pair_loss(UTILITIES, np.ones(3), 1.0)
    )
    utility = torch.tensor([0.0, 0.0], dtype=torch.float64)
    loss = unpaired_loss(
        utility, torch.tensor([True, False]), torch.zeros(1, dtype=torch.float64),
        desired_weight=1.1, undesired_weight=0.7,
    )  # fmt: skip
    np.testing.assert_allclose(loss.numpy(), [0.55, 0.35], rtol=1e-15)
