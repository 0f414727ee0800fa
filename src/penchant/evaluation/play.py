"""A bandit plays a world whose truth is known.

Legend: T rounds, A arms.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array
from penchant.policies.bandits.budgeted import BudgetedBandit
from penchant.policies.bandits.linear import LinearBandit
from penchant.simulation.arms import ArmsWorld


@dataclass(frozen=True, kw_only=True, eq=False)
class Played:
    """arm: played in each round. probability: with which it was. reward: that it paid. regret: what
    the best arm would have paid more, on average."""

    arm: Int[Array, " T"]
    probability: Float[Array, " T"]
    reward: Float[Array, " T"]
    regret: Float[Array, " T"]


def play(bandit: LinearBandit, world: ArmsWorld) -> Played:
    """Round by round: decide, be paid, learn. The bandit's arms are those of the world in order."""
    num_rounds = len(world.contexts)
    arm, probability = np.zeros(num_rounds, dtype=np.int64), np.zeros(num_rounds)
    for t in range(num_rounds):
        decision = bandit.decide(world.contexts[t])
        arm[t], probability[t] = decision.place, decision.probability
        bandit.update(decision, float(world.paid[t, decision.place]))
    rounds = np.arange(num_rounds)
    return Played(
        arm=arm,
        probability=probability,
        reward=world.paid[rounds, arm],
        regret=world.expected.max(axis=1) - world.expected[rounds, arm],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Spent:
    """is_played: whether the round was spent on. share: the probability that it was. reward: what
    it paid, 0 where nothing was spent."""

    is_played: Bool[Array, " T"]
    share: Float[Array, " T"]
    reward: Float[Array, " T"]

    @property
    def reward_per_unit(self) -> float:
        """What a round that was spent on paid on average; NaN where none was."""
        return float(self.reward.sum() / self.is_played.sum()) if self.is_played.any() else np.nan


def spend(bandit: BudgetedBandit, world: ArmsWorld) -> Spent:
    """Round by round: spend or not, be paid, learn."""
    num_rounds = len(world.contexts)
    is_played = np.zeros(num_rounds, dtype=bool)
    share, reward = np.zeros(num_rounds), np.zeros(num_rounds)
    for t in range(num_rounds):
        made = bandit.decide(world.contexts[t])
        share[t] = made.share
        if made.decision is not None:
            is_played[t] = True
            reward[t] = world.paid[t, made.decision.place]
            bandit.update(made, float(reward[t]))
    return Spent(is_played=is_played, share=share, reward=reward)
