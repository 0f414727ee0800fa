"""Estimators of a divergence: unbiased or not, and what their gradients are gradients of."""

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.policies.language.divergence import divergence, outside_band, summed
from penchant.policies.language.loss import divergence_loss
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.returns import return_to_go

torch = pytest.importorskip("torch")

from policies.language.two_step_tree import (  # noqa: E402  # it needs torch
    TRAJECTORIES,
    log_probs,
    parameters,
    trajectory_probabilities,
)

OTHER = torch.tensor([0.1, 0.5, -0.3, 0.2, 0.4], dtype=torch.float64)


def softmax_pair():
    logits = torch.tensor([0.5, -1.0, 0.3, 0.0, 0.9], dtype=torch.float64, requires_grad=True)
    return torch.log_softmax(logits, 0), torch.log_softmax(OTHER, 0), logits


def exact(one, other):
    return (one.exp() * (one - other)).sum()


def gradient(value, of):
    return torch.autograd.grad(value, of, retain_graph=True)[0].numpy()


@pytest.mark.parametrize(("estimator", "is_unbiased"), [("k1", True), ("k2", False), ("k3", True)])
def test_an_estimate_is_unbiased_or_is_said_not_to_be(estimator, is_unbiased):
    logp, other, _ = softmax_pair()
    mean = (logp.exp() * divergence(logp, other, estimator)).sum().item()
    assert (mean == pytest.approx(exact(logp, other).item(), rel=1e-12)) is is_unbiased


def test_no_estimate_by_k2_or_k3_is_negative():
    apart = torch.linspace(-3, 3, 31, dtype=torch.float64)
    nothing = torch.zeros_like(apart)
    assert (divergence(apart, nothing, "k2") >= 0).all()
    assert (divergence(apart, nothing, "k3") >= 0).all()


def test_the_gradients_of_the_three_losses_are_those_of_what_is_said():
    logp, other, logits = softmax_pair()
    drawn = logp.detach().exp()  # the draw is a constant, as in a loss

    def expected(estimator):
        return gradient((drawn * divergence(logp, other, estimator)).sum(), logits)

    np.testing.assert_allclose(expected("k1"), 0.0, atol=1e-14)
    np.testing.assert_allclose(expected("k2"), gradient(exact(logp, other), logits), atol=1e-14)
    np.testing.assert_allclose(expected("k3"), gradient(exact(other, logp), logits), atol=1e-14)


def over_responses(loss):
    """The expected gradient over all responses of the two-step tree, drawn from the policy."""
    theta = parameters()
    probability = trajectory_probabilities(theta).detach()
    logp, there = log_probs(theta, range(4))
    other, _ = log_probs(OTHER, range(4))
    return gradient((probability * loss(logp, other, torch.tensor(there))).sum(), theta)


def exact_over_responses():
    theta = parameters()
    one = trajectory_probabilities(theta)
    return gradient((one * (one.log() - trajectory_probabilities(OTHER).log())).sum(), theta)


def test_k3_times_its_ratio_has_the_gradient_of_the_divergence_whoever_drew_it():
    logp, other, logits = softmax_pair()
    drawn_by = torch.tensor(np.random.default_rng(0).dirichlet(np.ones(len(logp))))
    wanted = gradient(exact(logp, other), logits)
    scale, each = drawn_by.numpy()[:, None], other[:, None]
    found = {}
    for is_weighed in (True, False):
        logp, _, logits = softmax_pair()
        ratio = (logp.exp() / drawn_by)[:, None] if is_weighed else None
        loss = divergence_loss(logp[:, None], each, scale, "k3", ratio=ratio)
        found[is_weighed] = gradient(loss, logits)
    np.testing.assert_allclose(found[True], wanted, atol=1e-14)
    assert not np.allclose(found[False], wanted, atol=1e-3)
    with pytest.raises(ConfigError, match="knows no ratio"):
        Anchor(strength=0.1, place="reward", is_weighed=True)


def test_for_sequences_k2_of_the_summed_log_ratio_is_exact():
    found = over_responses(
        lambda logp, other, there: divergence(summed(logp, there), summed(other, there), "k2")
    )
    np.testing.assert_allclose(found, exact_over_responses(), atol=1e-14)


@pytest.mark.parametrize("estimator", ["k2", "k3"])
def test_for_sequences_token_by_token_is_not(estimator):
    found = over_responses(
        lambda logp, other, there: torch.where(there, divergence(logp, other, estimator), 0.0).sum(
            dim=1
        )
    )
    assert not np.allclose(found, exact_over_responses(), atol=1e-3)


def test_for_sequences_k1_in_the_reward_with_return_to_go_is_exact():
    def loss(logp, other, there):
        cost = divergence(logp, other, "k1").detach().numpy()
        credit = np.zeros(cost.shape)
        for row, trajectory in enumerate(TRAJECTORIES):
            num = len(trajectory)
            of_row = np.zeros(num, dtype=int)
            credit[row, :num] = return_to_go(cost[row, :num], of_row, np.arange(num))
        return (torch.tensor(credit) * torch.where(there, logp, 0.0)).sum(dim=1)

    np.testing.assert_allclose(over_responses(loss), exact_over_responses(), atol=1e-14)


def test_to_itself_a_divergence_is_nought_and_so_is_its_gradient():
    logp, _, logits = softmax_pair()
    for estimator in ("k2", "k3"):
        value = divergence(logp, logp, estimator).sum()
        assert value.item() == 0.0
        np.testing.assert_allclose(gradient(value, logits), 0.0, atol=1e-15)


def test_the_other_policy_is_not_moved():
    logp, other, _ = softmax_pair()
    other = other.detach().requires_grad_()
    for estimator in ("k1", "k2", "k3"):
        value = divergence(logp, other, estimator).sum()
        assert torch.autograd.grad(value, other, allow_unused=True, retain_graph=True)[0] is None


def test_entropy_outside_its_band_is_pushed_back_and_inside_left_alone():
    entropy = torch.tensor([0.1, 1.0, 2.5], dtype=torch.float64, requires_grad=True)
    usual = torch.ones(3, dtype=torch.float64, requires_grad=True)
    cost = outside_band(entropy, usual, low=0.5, high=2.0)
    np.testing.assert_allclose(cost.detach().numpy(), [0.4, 0.0, 0.5])
    np.testing.assert_allclose(gradient(cost.sum(), entropy), [-1.0, 0.0, 1.0])
    assert torch.autograd.grad(cost.sum(), usual, allow_unused=True)[0] is None
