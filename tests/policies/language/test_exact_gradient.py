"""On a problem that can be enumerated: which estimators have the right gradient, which have not.

Responses have two lengths; all use the constant length unless the test says otherwise.
"""

import numpy as np
import pytest

from penchant.policies.language.aggregation import token_scale
from penchant.policies.language.credit import (
    advantage,
    others_mean,
    shrunk_baseline,
)
from penchant.policies.language.loss import Surrogate, policy_gradient_loss, to_tokens
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.group_relative import rloo
from penchant.policies.language.returns import return_to_go, tree_advantage

torch = pytest.importorskip("torch")

from policies.language.two_step_tree import (  # noqa: E402  # it needs torch
    LENGTH,
    TRAJECTORIES,
    exact_gradient,
    expected_gradient,
    log_probs,
    parameters,
)

WORTH = np.array([0.2, 1.0, -0.5, 0.6])
PLAIN = Surrogate(form="plain")


def whole_rollouts(credit, *, mean="constant"):
    """The loss in which a rollout is one unit; `credit(returns, rollouts)` gives advantages."""

    def loss(theta, rollouts):
        logp, there = log_probs(theta, rollouts)
        unit_of = np.where(there, np.arange(len(rollouts))[:, None], -1)
        values = to_tokens(credit(WORTH[list(rollouts)]), unit_of)
        scale = token_scale(unit_of, mean, length=LENGTH)
        return policy_gradient_loss(logp, logp.detach(), values, unit_of, scale, PLAIN)

    return loss


def of_one_prompt(**how):
    def credit(returns):
        num = len(returns)
        key, everyone = np.zeros(num, dtype=int), np.ones(num, dtype=bool)
        return advantage(returns, key, np.arange(num), everyone, **how).advantage

    return credit


def shrunk(prior, *, leave_one_out):
    def credit(returns):
        num = len(returns)
        return returns - shrunk_baseline(
            returns,
            np.full(num, prior),
            np.zeros(num, dtype=int),
            np.arange(num),
            np.ones(num, dtype=bool),
            leave_one_out=leave_one_out,
        )

    return credit


def parallel(found, exact):
    """By what one number `found` is `exact` times, None where there is none."""
    factor = found @ exact / (exact @ exact)
    return factor if np.allclose(found, factor * exact, atol=1e-12) else None


@pytest.mark.parametrize(
    "credit",
    [
        pytest.param(of_one_prompt(leave_one_out=True), id="leave one out"),
        pytest.param(lambda returns: returns - 0.37, id="a stored value"),
        pytest.param(shrunk(0.1, leave_one_out=True), id="shrunk between a prior and the others"),
    ],
)
@pytest.mark.parametrize("group_size", [2, 3])
def test_unbiased_estimators_have_the_exact_gradient(credit, group_size):
    found = expected_gradient(whole_rollouts(credit), group_size) * LENGTH
    np.testing.assert_allclose(found, exact_gradient(WORTH), atol=1e-12)


@pytest.mark.parametrize("group_size", [2, 3])
def test_a_mean_with_oneself_in_it_shrinks_the_gradient_by_a_known_factor(group_size):
    loss = whole_rollouts(of_one_prompt(leave_one_out=False))
    found = expected_gradient(loss, group_size) * LENGTH
    exact = exact_gradient(WORTH)
    np.testing.assert_allclose(found, (group_size - 1) / group_size * exact, atol=1e-12)


@pytest.mark.parametrize(
    ("credit", "mean"),
    [
        pytest.param(
            of_one_prompt(leave_one_out=False, scale="group"), "constant", id="a group's deviation"
        ),
        pytest.param(
            shrunk(0.1, leave_one_out=False), "constant", id="shrunk towards a mean with oneself"
        ),
        pytest.param(of_one_prompt(leave_one_out=True), "token", id="token mean"),
        pytest.param(of_one_prompt(leave_one_out=True), "row", id="mean of each row"),
    ],
)
def test_biased_estimators_point_elsewhere_than_the_exact_gradient(credit, mean):
    found = expected_gradient(whole_rollouts(credit, mean=mean), 3)
    assert parallel(found, exact_gradient(WORTH)) is None


STEPS = {0: (0.2,), 1: (0.5, 1.0), 2: (0.5, -0.5), 3: (0.5, 0.6)}


def turns(credit):
    """The loss in which every token is a unit with a reward of its own."""

    def loss(theta, rollouts):
        logp, there = log_probs(theta, rollouts)
        unit_of = np.full(there.shape, -1)
        unit_of[there] = np.arange(there.sum())
        rollout_of, order = np.nonzero(there)
        reward = np.concatenate([STEPS[r] for r in rollouts])
        values = to_tokens(credit(reward, rollout_of, order), unit_of)
        scale = token_scale(unit_of, "constant", length=LENGTH)
        return policy_gradient_loss(logp, logp.detach(), values, unit_of, scale, PLAIN)

    return loss


def test_returns_to_go_less_the_others_at_the_same_turn_have_the_exact_gradient():
    def credit(reward, rollout_of, order):
        returns = return_to_go(reward, rollout_of, order)
        return returns - others_mean(returns, order, rollout_of, np.ones(len(order), dtype=bool))

    found = expected_gradient(turns(credit), 3) * LENGTH
    exact = exact_gradient(np.array([sum(STEPS[r]) for r in range(4)]))
    np.testing.assert_allclose(found, exact, atol=1e-12)


def test_a_decision_that_others_did_not_reach_must_not_be_dropped():
    def credit(reward, rollout_of, order):
        returns = return_to_go(reward, rollout_of, order)
        less = returns - others_mean(returns, order, rollout_of, np.ones(len(order), dtype=bool))
        return np.where(np.bincount(order)[order] > 1, less, 0.0)

    found = expected_gradient(turns(credit), 3) * LENGTH
    exact = exact_gradient(np.array([sum(STEPS[r]) for r in range(4)]))
    assert parallel(found, exact) is None


def test_rewards_centred_before_they_are_summed_point_elsewhere():
    def credit(reward, rollout_of, order):
        less = reward - others_mean(reward, order, rollout_of, np.ones(len(order), dtype=bool))
        return return_to_go(less, rollout_of, order)

    found = expected_gradient(turns(credit), 3) * LENGTH
    exact = exact_gradient(np.array([sum(STEPS[r]) for r in range(4)]))
    assert parallel(found, exact) is None


@pytest.mark.parametrize(("is_corrected", "factor"), [(True, 1.0), (False, 1 / 2)])
def test_a_tree_of_two_branches_at_each_node_has_the_exact_gradient_once_corrected(
    is_corrected, factor
):
    # Two first tokens; after each `b` two continuations. Every edge is one row of one token.
    def loss(theta, drawn):
        firsts, seconds = drawn[:2], (drawn[2:4], drawn[4:6])
        first, second = torch.log_softmax(theta[:2], 0), torch.log_softmax(theta[2:], 0)
        logp, parent, outcome = [], [], []
        for place, said in enumerate(firsts):
            here = len(parent)
            logp.append(first[said])
            parent.append(-1)
            outcome.append(WORTH[0] if said == 0 else np.nan)
            if said == 1:
                for then in seconds[place]:
                    logp.append(second[then])
                    parent.append(here)
                    outcome.append(WORTH[TRAJECTORIES.index((1, then))])
        edges = np.arange(len(parent))
        credit = tree_advantage(
            np.array(parent),
            np.array(outcome),
            np.zeros(len(parent), dtype=int),
            is_corrected=is_corrected,
        )
        # An edge stands for all leaves under it: each node's children share its weight.
        weight = np.array([1 / 2 if p < 0 else 1 / 4 for p in parent])[:, None]
        unit_of = edges[:, None]
        row = torch.stack(logp)[:, None]
        ones = np.ones(unit_of.shape)
        return policy_gradient_loss(
            row, row.detach(), credit[:, None], unit_of, ones, PLAIN, weight
        )

    theta = parameters()
    p_first = torch.softmax(theta[:2], 0).detach().numpy()
    p_second = torch.softmax(theta[2:], 0).detach().numpy()
    total = np.zeros(5)
    for drawn in np.ndindex(2, 2, 3, 3, 3, 3):
        chance = np.prod(p_first[list(drawn[:2])]) * np.prod(p_second[list(drawn[2:])])
        total -= (
            chance * torch.autograd.grad(loss(theta, drawn), theta, allow_unused=True)[0].numpy()
        )
    np.testing.assert_allclose(total, factor * exact_gradient(WORTH), atol=1e-12)


def test_a_ratio_against_who_drew_a_token_makes_anothers_draws_unbiased():
    drawn_by, worth = np.array([0.2, 0.3, 0.5]), np.array([1.0, -0.5, 0.6])
    theta = parameters()
    total = np.zeros(5)
    for said in range(3):
        logp = torch.log_softmax(theta[2:], 0)[said].reshape(1, 1)
        against = torch.log(torch.tensor(drawn_by))[said].reshape(1, 1)
        unit_of, one = np.zeros((1, 1), dtype=int), np.ones((1, 1))
        loss = policy_gradient_loss(logp, against, worth[said] * one, unit_of, one, PLAIN)
        total -= drawn_by[said] * torch.autograd.grad(loss, theta)[0].numpy()
    value = torch.softmax(theta[2:], 0) @ torch.tensor(worth)
    np.testing.assert_allclose(total, torch.autograd.grad(value, theta)[0].numpy(), atol=1e-12)


@pytest.mark.parametrize("group_size", [2, 3])
def test_an_anchor_in_the_reward_has_the_gradient_of_worth_less_its_divergence(group_size):
    method, strength = rloo(LENGTH, Anchor(strength=0.7, place="reward")), 0.7
    other = torch.tensor([0.1, 0.5, -0.3, 0.2, 0.4], dtype=torch.float64)

    def summed(theta, rollouts):
        logp, there = log_probs(theta, rollouts)
        return torch.where(torch.tensor(there), logp, 0.0).sum(dim=1)

    def loss(theta, rollouts):
        logp, there = log_probs(theta, rollouts)
        group, everyone = np.zeros(len(rollouts), dtype=int), np.ones(len(rollouts), dtype=bool)
        log_ratio = (summed(theta, rollouts) - summed(other, rollouts)).detach().numpy()
        credit = method.credit(WORTH[list(rollouts)], group, everyone, log_ratio).advantage
        unit_of = np.where(there, np.arange(len(rollouts))[:, None], -1)
        scale = method.token_scale(unit_of, group)
        values = to_tokens(credit, unit_of)
        return policy_gradient_loss(logp, logp.detach(), values, unit_of, scale, method.surrogate)

    theta = parameters()
    logp, there = summed(theta, range(4)), summed(other, range(4))
    value = (logp.exp() * (torch.tensor(WORTH) - strength * (logp - there))).sum()
    exact = torch.autograd.grad(value, theta)[0].numpy()
    assert parallel(exact, exact_gradient(WORTH)) is None
    np.testing.assert_allclose(expected_gradient(loss, group_size) * LENGTH, exact, atol=1e-12)
