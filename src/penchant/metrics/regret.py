"""What a decision lost beside the best that was on offer.

Legend: B observations, K options, S kinds of people (trailing axes broadcast).
"""

import numpy as np
from jaxtyping import Bool, Float

from penchant.numerics.arrays import Array


def regret(
    worth: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    decision: Float[Array, "B K"],
) -> Float[Array, " B *S"]:
    """The best worth on the menu minus the expected worth of the decision.

    `decision` are the probabilities with which each option is taken (an indicator, for a sure
    decision), 0 for what is not offered. In units of worth, 0 or more.
    """
    extra = (1,) * (worth.ndim - 2)
    shown = offered.reshape(*offered.shape, *extra)
    best = np.where(shown, worth, -np.inf).max(axis=1)
    expected = np.where(shown, worth, 0.0) * decision.reshape(*decision.shape, *extra)
    return best - expected.sum(axis=1)


def worst_regret(
    worth: Float[Array, "B K S"], offered: Bool[Array, "B K"], decision: Float[Array, "B K"]
) -> Float[Array, " B"]:
    """The regret of the kind of people that loses most (Savage 1951)."""
    return regret(worth, offered, decision).max(axis=1)
