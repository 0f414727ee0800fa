"""Planning with a last step: value iteration over a finite horizon, soft and hard.

`planning.py` plans for ever; here the policy changes as the end comes near.

Legend: S states, A actions, T steps.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array, log_sum_exp


@dataclass(frozen=True, kw_only=True, eq=False)
class HorizonPlan:
    """values: value (soft or best) of each state with T, .., 0 steps to come, first step first;
    log_policy: log-probability of each action at each step."""

    values: Float[Array, "T1 S"]
    log_policy: Float[Array, "T S A"]


def soft_plan(
    reward: Float[Array, "S A"], transition: Float[Array, "S A S"], horizon: int
) -> HorizonPlan:
    """Q_t = r + E V_(t+1), V_t = log sum_a exp Q_t, pi_t = exp(Q_t - V_t).

    The policy of maximum causal entropy for a reward in units of its temperature (Ziebart, Bagnell
    and Dey 2010): log pi is the soft advantage, so that on deterministic moves the log-probability
    of a path is its return less V of where it began.
    """
    values = np.zeros((horizon + 1, len(reward)))
    log_policy = np.zeros((horizon, *reward.shape))
    for step in reversed(range(horizon)):
        quality = reward + transition @ values[step + 1]
        values[step] = log_sum_exp(quality, axis=1)
        log_policy[step] = quality - values[step][:, None]
    return HorizonPlan(values=values, log_policy=log_policy)


def best_plan(
    reward: Float[Array, "T S A"], transition: Float[Array, "S A S"], discount: float = 1.0
) -> HorizonPlan:
    """V_t = max_a r_t + gamma E V_(t+1) of rewards of each step, and its policy: the best action,
    or the best ones alike (Bellman 1957)."""
    horizon = len(reward)
    values = np.zeros((horizon + 1, reward.shape[1]))
    log_policy = np.zeros(reward.shape)
    for step in reversed(range(horizon)):
        quality = reward[step] + discount * transition @ values[step + 1]
        values[step] = quality.max(axis=1)
        is_best = quality >= values[step][:, None] - 1e-9
        share = is_best / is_best.sum(axis=1, keepdims=True)
        log_policy[step] = np.where(is_best, np.log(np.maximum(share, 1e-300)), -np.inf)
    return HorizonPlan(values=values, log_policy=log_policy)


def expected_visits(
    log_policy: Float[Array, "T S A"],
    transition: Float[Array, "S A S"],
    start: Float[Array, " S"],
) -> Float[Array, "S A"]:
    """How often each action is taken in each state, summed over the steps."""
    here, total = start, np.zeros(log_policy.shape[1:])
    for of_step in np.exp(log_policy):
        taken = here[:, None] * of_step
        total += taken
        here = np.einsum("sa,sat->t", taken, transition)
    return total
