"""Losses on preferences between responses, from what the policy implicitly thinks they are worth.

Utilities come from `utilities/implicit.py`, the winner first. Where a loss is a likelihood it is
the one of `feedback`: named here only are soft labels, and the losses that are no likelihood. All
give one loss a row, to be weighted and averaged by who calls; trailing axes (kinds of people, one
adapter each) stay apart, so that a population can weigh them.

Legend: B pairs or responses, S kinds of people.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from penchant.errors import ConfigError
from penchant.feedback.pairwise import davidson_log_prob, rao_kupper_log_prob
from penchant.numerics.arrays import (
    Array,
    align,
    constant,
    log_sigmoid,
    namespace,
    sigmoid,
    stop_gradient,
)


def soft_pair_loss(
    utilities: Float[Array, "B 2 *S"],
    first_wins: Float[Array, "#B"],
    margin: Float[Array, "#B"] | float = 0.0,
) -> Float[Array, " B *S"]:
    """-q log sigma(m) - (1 - q) log sigma(-m), m = u_1 - u_2 - margin (cDPO, Mitchell 2023).

    first_wins: q, the probability that the first is the better one; 1 is direct preference
    optimisation (DPO). margin: by how much the first should be better, in utility: a gap of
    ratings, or SimPO's constant.
    """
    apart = _gap(utilities, margin)
    q = align(first_wins, apart)
    return -q * log_sigmoid(apart) - (1.0 - q) * log_sigmoid(-apart)


def tied_pair_loss(
    utilities: Float[Array, "B 2 *S"],
    first_wins: Float[Array, " B"],
    parameter: Float[Array, " 1"],
    law: Literal["davidson", "rao_kupper"],
) -> Float[Array, " B *S"]:
    """-log p(tie) where a label is one half, else -q log p(first wins) - (1 - q) log p(second
    wins): ties as an answer of their own (`feedback.pairwise`), with their own parameter."""
    log_prob = davidson_log_prob if law == "davidson" else rao_kupper_log_prob
    own = parameter.reshape((1,) * utilities.ndim)
    first, second, tie = (
        log_prob(utilities, constant(np.full(len(utilities), outcome), utilities), own)
        for outcome in range(3)
    )
    q, xp = align(first_wins, first), namespace(utilities)
    return -xp.where(q == 0.5, tie, q * first + (1.0 - q) * second)


def robust_pair_loss(utilities: Float[Array, "B 2 *S"], flipped: float) -> Float[Array, " B *S"]:
    """An unbiased loss where a share of the labels is turned round (rDPO, Chowdhury et al. 2024).

    (-(1 - e) log sigma(m) + e log sigma(-m)) / (1 - 2 e). Raises `ConfigError` unless
    0 <= flipped < 0.5.
    """
    if not 0.0 <= flipped < 0.5:
        raise ConfigError(
            f"got flipped={flipped}; expected a share of turned labels from 0 to below one half, "
            "at which labels say nothing."
        )
    apart = _gap(utilities)
    mixed = -(1.0 - flipped) * log_sigmoid(apart) + flipped * log_sigmoid(-apart)
    return mixed / (1.0 - 2.0 * flipped)


def squared_pair_loss(utilities: Float[Array, "B 2 *S"], strength: float) -> Float[Array, " B *S"]:
    """(m / beta - 1 / (2 beta))^2: a gap of log-ratios to reach, not to exceed (IPO, Azar et al.
    2024). strength: the beta that the utilities were made with."""
    return ((_gap(utilities) - 0.5) / strength) ** 2


def hinge_pair_loss(utilities: Float[Array, "B 2 *S"]) -> Float[Array, " B *S"]:
    """max(0, 1 - m) (SLiC, Zhao et al. 2023)."""
    short = 1.0 - _gap(utilities)
    return namespace(short).where(short > 0.0, short, 0.0)


def unpaired_loss(
    utility: Float[Array, " B *S"],
    is_desired: Bool[Array, " B"],
    usual: Float[Array, "#B *#S"],
    *,
    desired_weight: float = 1.0,
    undesired_weight: float = 1.0,
) -> Float[Array, " B *S"]:
    """w (1 - sigma(+-(u - z))), + where a response is desired (KTO, Ethayarajh et al. 2024).

    usual: z, beta KL(pi || reference) of the batch, a constant, at least 0 and in the unit of u.
    """
    xp = namespace(utility)
    level = stop_gradient(usual)
    apart = utility - xp.where(level > 0.0, level, 0.0)
    desired = align(is_desired, utility)
    # Of two plain numbers torch would make single precision, whatever the utility's.
    weight = undesired_weight + (desired_weight - undesired_weight) * xp.astype(
        desired, utility.dtype
    )
    return weight * sigmoid(xp.where(desired, -apart, apart))


def same_worth_loss(
    utility: Float[Array, " B *S"], other: Float[Array, " B *S"]
) -> Float[Array, " B *S"]:
    """|u - u'|: the same answer is worth the same under a short and a long context (SoLoPO)."""
    return namespace(utility).abs(utility - other)


def advantage_loss(
    utility: Float[Array, " B *S"], advantage: Float[Array, " B"], strength: float
) -> Float[Array, " B *S"]:
    """((u - A) / beta)^2 / 2: a step is worth to the policy what it changes in the chance to be
    right (Direct Advantage, Liu et al. 2024); no likelihood, and no partner to compare with.

    u = beta (log pi - log pi_reference) of the step, so that the log-ratio is drawn to A / beta, as
    the policy of most reward under a divergence has it but for a constant of the state. strength:
    the beta that u was made with.
    """
    return 0.5 * ((utility - align(constant(advantage, utility), utility)) / strength) ** 2


def _gap(
    utilities: Float[Array, "B 2 *S"], margin: Float[Array, "#B"] | float = 0.0
) -> Float[Array, " B *S"]:
    apart = utilities[:, 0] - utilities[:, 1]
    if isinstance(margin, int | float):
        return apart - margin
    return apart - align(margin, apart)
