"""Planning with a last step: soft value iteration over a finite horizon.

`planning.py` plans for ever; here the policy changes as the end comes near.

Legend: S states, A actions, T steps.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array, log_sum_exp


@dataclass(frozen=True, kw_only=True, eq=False)
class SoftPlan:
    """values: soft value of each state with T, .., 0 steps still to come, first step first;
    log_policy: log-probability of each action at each step."""

    values: Float[Array, "T1 S"]
    log_policy: Float[Array, "T S A"]


def soft_plan(
    reward: Float[Array, "S A"], transition: Float[Array, "S A S"], horizon: int
) -> SoftPlan:
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
    return SoftPlan(values=values, log_policy=log_policy)


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
