"""A policy whose gradient is known: two decisions, responses of two lengths, all of it enumerable.

At the root it says `a`, and is done, or `b`; after `b` it says `c`, `d` or `e`. The expectation of
any estimator over all groups of rollouts is a finite sum, so that "unbiased" is exact.
"""

from itertools import product

import numpy as np
import torch

TRAJECTORIES = ((0,), (1, 0), (1, 1), (1, 2))
LENGTH = 2


def parameters():
    theta = torch.tensor([0.3, -0.4, 0.2, 0.9, -0.6], dtype=torch.float64)
    return theta.requires_grad_()


def log_probs(theta, rollouts):
    """log pi of each token [R, 2], and which tokens there are."""
    first = torch.log_softmax(theta[:2], dim=0)
    second = torch.log_softmax(theta[2:], dim=0)
    logp = torch.stack(
        [
            torch.stack([first[t[0]], second[t[1]] if len(t) > 1 else first[0] * 0.0])
            for t in (TRAJECTORIES[r] for r in rollouts)
        ]
    )
    there = np.array([[True, len(TRAJECTORIES[r]) > 1] for r in rollouts])
    return logp, there


def trajectory_probabilities(theta):
    logp, there = log_probs(theta, range(len(TRAJECTORIES)))
    return torch.where(torch.tensor(there), logp, 0.0).sum(dim=1).exp()


def exact_gradient(worth):
    """grad E[worth of the trajectory]."""
    theta = parameters()
    value = (trajectory_probabilities(theta) * torch.tensor(worth)).sum()
    return torch.autograd.grad(value, theta)[0].numpy()


def expected_gradient(loss, group_size):
    """The expectation over all groups of -grad loss(theta, rollouts), rollouts drawn from pi."""
    theta = parameters()
    probabilities = trajectory_probabilities(theta).detach().numpy()
    total = np.zeros(len(theta))
    for rollouts in product(range(len(TRAJECTORIES)), repeat=group_size):
        gradient = torch.autograd.grad(loss(theta, rollouts), theta, allow_unused=True)[0]
        if gradient is not None:
            total -= np.prod(probabilities[list(rollouts)]) * gradient.numpy()
    return total
