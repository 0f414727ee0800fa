"""A bandit plays a world whose truth is known.

Legend: T rounds, A arms, N experts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array
from penchant.policies.bandits.advice import AdviceBandit
from penchant.policies.bandits.budgeted import BudgetedBandit
from penchant.policies.bandits.combinations import SemiBandit
from penchant.policies.bandits.linear import LinearBandit
from penchant.policies.bandits.zooming import ZoomingBandit
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


def play_continuum(
    bandit: ZoomingBandit,
    worth: Callable[[Array], float],
    best: float,
    num_rounds: int,
    rng: np.random.Generator,
) -> Float[Array, " T"]:
    """The regret of each round. worth: the probability that a point pays 1; best: the largest."""
    regret = np.empty(num_rounds)
    for t in range(num_rounds):
        decision = bandit.decide()
        chance = worth(decision.point)
        bandit.update(decision, float(rng.random() < chance))
        regret[t] = best - chance
    return regret


def play_advised(
    bandit: AdviceBandit, advice: Float[Array, "T N A"], paid: Float[Array, "T A"]
) -> Float[Array, " T"]:
    """The regret of each round beside the expert who is best over all of them, on average over what
    each would have drawn. paid: what each arm pays, 0 to 1, however it came about."""
    num_rounds = len(paid)
    earned = np.empty(num_rounds)
    for t in range(num_rounds):
        decision = bandit.decide(advice[t])
        bandit.update(decision, float(paid[t, decision.arm]))
        earned[t] = decision.probabilities @ paid[t]
    theirs = np.einsum("tna,ta->tn", advice, paid)
    return theirs[:, int(theirs.sum(axis=0).argmax())] - earned


def play_combinations(
    bandit: SemiBandit, world: ArmsWorld, best: Bool[Array, "T A"]
) -> Float[Array, " T"]:
    """The regret of each round. best: the combination that is worth most in each; the bandit's
    items are named by their places in the world."""
    regret = np.empty(len(best))
    for t, expected in enumerate(world.expected):
        shown = bandit.decide(world.contexts[t])
        bandit.update(shown, {name: float(world.paid[t, int(name)]) for name in shown.items})
        regret[t] = expected[best[t]].sum() - expected[[int(name) for name in shown.items]].sum()
    return regret
