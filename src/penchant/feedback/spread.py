"""How far apart a reward model puts what a policy writes: what it should still tell, unlabelled.

It says nothing of which output is better, and is no likelihood of an answer.

Legend: R outputs of a policy.
"""

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array, sigmoid


def spread(rewards: Float[Array, "*M R"]) -> Float[Array, "*M"]:
    """(2 / R^2) sum_(i < j) sigmoid(|r_i - r_j|): 1/2 (1 - 1/R) where all are worth the same, up to
    1 - 1/R (Dou et al. 2024, MetaRM; Wang et al. 2024)."""
    told = sigmoid(np.abs(rewards[..., :, None] - rewards[..., None, :]))
    size = rewards.shape[-1]
    return (told.sum(axis=(-2, -1)) - 0.5 * size) / size**2


def spread_score(rewards: Float[Array, "*M R"]) -> Float[Array, "*M R"]:
    """Its slope by each reward; of two that are equal none, since either might be the better."""
    apart = rewards[..., :, None] - rewards[..., None, :]
    told = sigmoid(np.abs(apart))
    # Each pair stands twice in the square, once for either output.
    return 2.0 * (np.sign(apart) * told * (1.0 - told)).sum(axis=-1) / rewards.shape[-1] ** 2
