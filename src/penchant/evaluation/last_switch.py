"""Rules play arms that tire and recover, whose payoffs are known.

Legend: T rounds, A arms.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array
from penchant.policies.sequential.last_switch import LastSwitchBandit, Rotation, choose_arm
from penchant.simulation.switching import SwitchingArms, switched

# From the round and what each arm pays now to the arm to play.
SwitchingRule = Callable[[int, Array], int]


def follow_rule(arms: SwitchingArms, rule: SwitchingRule, num_rounds: int) -> Float[Array, " T"]:
    """What a rule that knows the payoffs earns in each round; all arms begin rested."""
    num, far = arms.rested.shape
    since, earned = np.full(num, far), np.empty(num_rounds)
    for t in range(num_rounds):
        pays = arms.pays(since)
        arm = rule(t, pays)
        earned[t] = pays[arm]
        since = switched(since, np.array([arm]), far)
    return earned


def follow_rotation(arms: SwitchingArms, rotation: Rotation, num_rounds: int) -> Float[Array, " T"]:
    """What a rotation earns in each round."""
    return follow_rule(arms, lambda t, pays: choose_arm(rotation.wants(t), pays), num_rounds)


def follow_learner(
    arms: SwitchingArms,
    bandit: LastSwitchBandit,
    num_rounds: int,
    rng: np.random.Generator,
    noise: float,
) -> Float[Array, " T"]:
    """What a learner's arms pay on average in each round; it is told that with normal noise."""

    def learnt(t: int, pays: Array) -> int:
        arm = bandit.decide()
        bandit.update(float(pays[arm] + noise * rng.normal()))
        return arm

    return follow_rule(arms, learnt, num_rounds)
