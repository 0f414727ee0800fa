"""Labels that may be wrong: limits, slopes, and TRL's reward loss with a margin by its formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.feedback import corrupted_pair
from penchant.feedback.pairwise import bradley_terry_log_prob

GAP = st.floats(-30, 30)


@given(GAP)
def test_a_sure_label_is_bradley_terry_and_a_flipped_one_the_other_way_round(gap):
    gaps = np.array([gap])
    worths = np.array([[gap, 0.0]])
    for target, outcome in ((1.0, 0), (0.0, 1)):
        np.testing.assert_allclose(
            corrupted_pair.soft_log_prob(gaps, np.array([target])),
            bradley_terry_log_prob(worths, np.array([outcome])), atol=1e-12,
        )  # fmt: skip
        np.testing.assert_allclose(
            corrupted_pair.flipped_log_prob(gaps, np.array([1.0 - target])),
            bradley_terry_log_prob(worths, np.array([outcome])), atol=1e-9,
        )  # fmt: skip


@given(GAP, st.floats(0.01, 0.99))
def test_slopes_are_those_of_finite_differences(gap, share):
    gaps, shares = np.array([gap]), np.array([share])
    for log_prob, score in (
        (corrupted_pair.soft_log_prob, corrupted_pair.soft_score),
        (corrupted_pair.flipped_log_prob, corrupted_pair.flipped_score),
    ):
        numeric = (log_prob(gaps + 1e-5, shares) - log_prob(gaps - 1e-5, shares)) / 2e-5
        np.testing.assert_allclose(score(gaps, shares), numeric, atol=1e-6)


def test_a_label_that_cannot_be_true_pulls_a_soft_target_and_not_a_flip():
    far = np.array([-25.0])
    assert corrupted_pair.soft_score(far, np.array([0.9]))[0] == pytest.approx(0.9)
    assert abs(corrupted_pair.flipped_score(far, np.array([0.1]))[0]) < 1e-9
    assert corrupted_pair.flipped_log_prob(far, np.array([0.1]))[0] == pytest.approx(np.log(0.1))


@pytest.mark.parametrize("gap", [-800.0, -40.0, 0.0, 40.0, 800.0])
def test_without_flips_the_tails_are_those_of_a_sure_label(gap):
    far, none, all_of_them = np.array([gap]), np.zeros(1), np.ones(1)
    for flipped, soft in (
        (corrupted_pair.flipped_log_prob, corrupted_pair.soft_log_prob),
        (corrupted_pair.flipped_score, corrupted_pair.soft_score),
    ):
        np.testing.assert_allclose(flipped(far, none), soft(far, all_of_them), 1e-12, 1e-15)
        np.testing.assert_allclose(flipped(far, all_of_them), soft(far, none), 1e-12, 1e-15)


def test_slopes_of_flips_are_those_of_autograd_in_the_tails():
    torch = pytest.importorskip("torch")
    gaps = torch.tensor([-800.0, -30.0, 0.0, 30.0, 800.0], dtype=torch.float64, requires_grad=True)
    for rate in (0.0, 1e-12, 0.2):
        rates = torch.full((5,), rate, dtype=torch.float64)
        (slope,) = torch.autograd.grad(corrupted_pair.flipped_log_prob(gaps, rates).sum(), gaps)
        ours = corrupted_pair.flipped_score(gaps.detach().numpy(), rates.numpy())
        np.testing.assert_allclose(ours, slope.numpy(), rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("margin", [0.0, 0.7, 3.0])
def test_the_margin_is_that_of_the_reward_loss_in_trl_by_its_formula(margin):
    """TRL: -logsigmoid(rewards_chosen - rewards_rejected - margin).mean(); its text, in torch."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    chosen, rejected = torch.tensor(rng.normal(size=(2, 20)), requires_grad=True)
    theirs = -torch.nn.functional.logsigmoid(chosen - rejected - margin).mean()
    (slope,) = torch.autograd.grad(theirs, chosen)
    gap = (chosen - rejected).detach().numpy()
    ours = -corrupted_pair.margin_log_prob(gap, np.full(20, margin)).mean()
    assert ours == pytest.approx(theirs.item())
    np.testing.assert_allclose(
        -corrupted_pair.soft_score(gap - margin, np.ones(20)) / 20, slope.numpy(), atol=1e-12
    )


def test_the_implicit_reward_margin_of_dpo_by_its_formula():
    """TRL: rewards = beta (log pi - log pi_ref), loss -logsigmoid(chosen - rejected), with label
    smoothing -(1 - a) logsigmoid(x) - a logsigmoid(-x)."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    policy, reference = rng.normal(size=(2, 2, 9))
    beta, smoothing = 0.1, 0.15
    logits = torch.tensor((policy[0] - policy[1]) - (reference[0] - reference[1]))
    log_sigmoid = torch.nn.functional.logsigmoid
    theirs = -(1 - smoothing) * log_sigmoid(beta * logits) - smoothing * log_sigmoid(-beta * logits)
    implicit = beta * (policy - reference)
    ours = -corrupted_pair.soft_log_prob(implicit[0] - implicit[1], np.full(9, 1 - smoothing))
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12)


def test_the_lowest_share_is_turned_round_and_no_more():
    gaps = np.random.default_rng(0).normal(size=(7, 50)) + np.linspace(-2, 3, 50)
    held = corrupted_pair.strength(gaps)
    low = held.lowest(0.2)
    assert low.sum() == 10
    assert held.mean[low].max() <= held.mean[~low].min()
    np.testing.assert_array_equal(held.targets(0.2), np.where(low, 0.0, 1.0))
    assert np.all(np.diff(held.soft_targets()[np.argsort(held.mean)]) >= 0)
    with pytest.raises(ConfigError, match="a share of 2"):
        held.lowest(2.0)
