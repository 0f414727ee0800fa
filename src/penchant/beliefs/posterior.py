"""What a person's own answers say of their kind: responsibilities over classes or draws.

Legend: B observations, S kinds of people, G groups.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array, log_sum_exp


def group_log_likelihood(
    log_prob: Float[Array, "B S"],
    group: Int[Array, " B"],
    weight: Float[Array, " B"],
    num_groups: int,
) -> Float[Array, "G S"]:
    """sum over the rows of each group of w_b log p(y_b | kind s)."""
    total = np.zeros((num_groups, log_prob.shape[1]))
    np.add.at(total, group, log_prob * weight[:, None])
    return total


def responsibilities(
    log_weights: Float[Array, "G1 S"], log_likelihood: Float[Array, "G S"]
) -> Float[Array, "G S"]:
    """log p(kind s | answers of g) = log w[g, s] + log p(answers | s) - log of their sum.

    Exact for classes (Bayes' rule); for draws of a continuous taste it is importance sampling
    from the population, whose error falls with the number of draws.
    """
    joint = log_weights + log_likelihood
    return joint - log_sum_exp(joint, axis=1)[:, None]
