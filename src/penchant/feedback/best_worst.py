"""The best and the worst option of a menu: two models of how both are picked.

Legend: B observations, K (and L) options, S kinds of people.

`sequential_*`: the best first, by a conditional logit, then the worst of the others by a
conditional logit on minus the utilities (model B&W 2 of Marley and Pihlens 2012). `max_diff_*`:
the pair with the largest noisy difference, all pairs considered at once (Marley and Louviere 2005).
The sequential one is the default elsewhere: its best answers alone are a conditional logit, so that
they agree with plain choices fitted to the same utilities, and respondents were found to answer in
sequence (Dyachenko, Reczek and Allenby 2014). In the joint one, calling the best the worst is the
same as turning all utilities around.
"""

import math

from jaxtyping import Bool, Float, Int

from penchant.feedback import choice
from penchant.feedback.derivatives import (
    Curvature,
    Score,
    curvature_of_utilities,
    diagonal,
    outer,
    score_of_utilities,
)
from penchant.numerics.arrays import (
    Array,
    align,
    log_sigmoid,
    log_sum_exp,
    marks,
    namespace,
    one_hot,
    softmax,
    take_option,
)


def sequential_log_prob(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    best: Int[Array, " B"],
    worst: Int[Array, " B"],
) -> Float[Array, " B *S"]:
    """log p = log softmax(u)[best] + log softmax(-u over the others)[worst]."""
    others = _without(offered, best)
    return choice.log_prob(utilities, offered, best) + choice.log_prob(-utilities, others, worst)


def sequential_score(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    best: Int[Array, " B"],
    worst: Int[Array, " B"],
) -> Score:
    """First derivatives."""
    others = _without(offered, best)
    return score_of_utilities(
        choice.score(utilities, offered, best).utilities
        - choice.score(-utilities, others, worst).utilities
    )


def sequential_curvature(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    best: Int[Array, " B"],
    worst: Int[Array, " B"],
) -> Curvature:
    """Minus the second derivatives."""
    others = _without(offered, best)
    return curvature_of_utilities(
        choice.curvature(utilities, offered, best).utilities
        + choice.curvature(-utilities, others, worst).utilities
    )


def sequential_probabilities(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"]
) -> Float[Array, "B K L *S"]:
    """The probability that k is best and l is worst; zero on the diagonal."""
    xp = namespace(utilities)
    p_best = choice.probabilities(utilities, offered)
    eye = marks(xp.arange(utilities.shape[1]), utilities.shape[1])
    is_other = xp.logical_and(offered[:, None, :], xp.logical_not(eye)[None])
    gaps = xp.where(align(is_other, p_best[:, None]), -utilities[:, None], -math.inf)
    return p_best[:, :, None] * softmax(gaps, axis=2)


def max_diff_log_prob(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    best: Int[Array, " B"],
    worst: Int[Array, " B"],
) -> Float[Array, " B *S"]:
    """log p = (u_best - u_worst) - log sum_{k not l} exp(u_k - u_l)."""
    xp = namespace(utilities)
    gap = take_option(utilities, best) - take_option(utilities, worst)
    pairs = _pair_gaps(utilities, offered)
    is_answer = xp.logical_and(
        marks(best, utilities.shape[1])[:, :, None], marks(worst, utilities.shape[1])[:, None]
    )
    rivals = xp.where(align(is_answer, pairs), -math.inf, pairs - gap[:, None, None])
    return log_sigmoid(-log_sum_exp(log_sum_exp(rivals, axis=1), axis=1))


def max_diff_score(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    best: Int[Array, " B"],
    worst: Int[Array, " B"],
) -> Score:
    """1[k = best] - 1[k = worst] - (p(k is best) - p(k is worst))."""
    xp = namespace(utilities)
    p = max_diff_probabilities(utilities, offered)
    size = utilities.shape[1]
    answer = align(one_hot(best, size, p) - one_hot(worst, size, p), utilities)
    return score_of_utilities(answer - (xp.sum(p, axis=2) - xp.sum(p, axis=1)))


def max_diff_curvature(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    best: Int[Array, " B"],
    worst: Int[Array, " B"],
) -> Curvature:
    """The covariance of 1[k is best] - 1[k is worst]."""
    xp = namespace(utilities)
    p = max_diff_probabilities(utilities, offered)
    is_best, is_worst = xp.sum(p, axis=2), xp.sum(p, axis=1)
    mean = is_best - is_worst
    both = p + xp.moveaxis(p, 1, 2)
    return curvature_of_utilities(diagonal(is_best + is_worst) - both - outer(mean, mean))


def max_diff_probabilities(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"]
) -> Float[Array, "B K L *S"]:
    """The probability that k is best and l is worst; zero on the diagonal."""
    xp = namespace(utilities)
    pairs = _pair_gaps(utilities, offered)
    flat = xp.reshape(pairs, (pairs.shape[0], -1, *pairs.shape[3:]))
    return xp.reshape(softmax(flat, axis=1), pairs.shape)


def _pair_gaps(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"]
) -> Float[Array, "B K L *S"]:
    """u_k - u_l of every ordered pair of two offered options, minus infinity elsewhere."""
    xp = namespace(utilities)
    gaps = utilities[:, :, None] - utilities[:, None]
    is_pair = xp.logical_and(offered[:, :, None], offered[:, None])
    eye = marks(xp.arange(utilities.shape[1]), utilities.shape[1])
    is_pair = xp.logical_and(is_pair, xp.logical_not(eye)[None])
    return xp.where(align(is_pair, gaps), gaps, -math.inf)


def _without(offered: Bool[Array, "B K"], gone: Int[Array, " B"]) -> Bool[Array, "B K"]:
    xp = namespace(offered)
    return xp.logical_and(offered, xp.logical_not(marks(gone, offered.shape[1])))
