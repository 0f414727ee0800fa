"""One option chosen from a menu: the conditional logit. With two options it is Bradley-Terry.

Legend: B observations, K options, S kinds of people.
"""

import math

from jaxtyping import Bool, Float, Int

from penchant.feedback.derivatives import (
    Curvature,
    Score,
    curvature_of_utilities,
    multinomial_curvature,
    score_of_utilities,
)
from penchant.numerics.arrays import (
    Array,
    align,
    log_sigmoid,
    log_sum_exp,
    marks,
    mask_options,
    namespace,
    one_hot,
    softmax,
    take_option,
)


def log_prob(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], chosen: Int[Array, " B"]
) -> Float[Array, " B *S"]:
    """Log-probability of the option each person chose.

    log p(j) = u_j - log sum_{k offered} exp(u_k), the conditional logit of McFadden (1974).
    Utilities carry no unit: only differences within a menu matter. Computed as
    -log(1 + sum_{k not j} exp(u_k - u_j)), which keeps all digits however sure the choice is.
    """
    gaps = utilities - take_option(utilities, chosen)[:, None]
    rivals = log_sum_exp(mask_options(gaps, _rivals(offered, chosen), fill=-math.inf), axis=1)
    return log_sigmoid(-rivals)


def score(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], chosen: Int[Array, " B"]
) -> Score:
    """d log p(j) / d u_k = 1[k = j] - p(k)."""
    xp = namespace(utilities)
    p = probabilities(utilities, offered)
    rivals = mask_options(p, _rivals(offered, chosen), fill=0.0)
    hit = align(one_hot(chosen, p.shape[1], p), p)
    # 1 - p(j) as the sum of what the others get: exact where p(j) nears one.
    return score_of_utilities(hit * xp.sum(rivals, axis=1, keepdims=True) - rivals)


def curvature(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], chosen: Int[Array, " B"]
) -> Curvature:
    """p(k) 1[k = l] - p(k) p(l), whatever was chosen."""
    return curvature_of_utilities(multinomial_curvature(probabilities(utilities, offered)))


def probabilities(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"]
) -> Float[Array, "B K *S"]:
    """The probability of choosing each option; zero for those not offered."""
    return softmax(mask_options(utilities, offered, fill=-math.inf), axis=1)


def _rivals(offered: Bool[Array, "B K"], chosen: Int[Array, " B"]) -> Bool[Array, "B K"]:
    xp = namespace(offered)
    return xp.logical_and(offered, xp.logical_not(marks(chosen, offered.shape[1])))
