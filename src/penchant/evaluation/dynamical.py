"""A learner moves a system whose truth is known.

Legend: T rounds, A actions, D parts of an action.
"""

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array
from penchant.policies.bandits.dynamical import HeldActions
from penchant.simulation.dynamical import DynamicalSystem


def play_held(
    learner: HeldActions,
    system: DynamicalSystem,
    actions: Float[Array, "A D"],
    num_rounds: int,
    rng: np.random.Generator,
) -> Float[Array, " T"]:
    """What each round paid, from a system at rest. actions: those of the learner."""
    state, earned = np.zeros(len(system.readout)), np.empty(num_rounds)
    for t in range(num_rounds):
        state, earned[t] = system.step(state, actions[learner.decide()], rng)
        learner.update(float(earned[t]))
    return earned
