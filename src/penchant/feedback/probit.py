"""Normal instead of Gumbel noise: the probit of a pair and of a choice.

Legend: B observations, K options, J = K - 1 rivals of the chosen one, Q quadrature nodes,
R draws, M own parameters, S kinds of people.
"""

from jaxtyping import Float, Int

from penchant.feedback.derivatives import (
    Curvature,
    Score,
    curvature_of_utilities,
    score_of_utilities,
)
from penchant.numerics.arrays import Array, align, inverse_mills, log_ndtr, namespace, ndtr, stack


def pair_log_prob(
    utilities: Float[Array, "B 2 *S"], outcome: Int[Array, " B"]
) -> Float[Array, " B *S"]:
    """log p(winner) = log Phi(u_winner - u_loser), case V of Thurstone (1927).

    The difference of the two options has a noise of unit variance.
    """
    return log_ndtr(_margin(utilities, outcome))


def pair_score(utilities: Float[Array, "B 2 *S"], outcome: Int[Array, " B"]) -> Score:
    """First derivatives."""
    slope = inverse_mills(_margin(utilities, outcome)) * _sign(utilities, outcome)
    return score_of_utilities(stack([slope, -slope], axis=1))


def pair_curvature(utilities: Float[Array, "B 2 *S"], outcome: Int[Array, " B"]) -> Curvature:
    """Minus the second derivatives."""
    margin = _margin(utilities, outcome)
    ratio = inverse_mills(margin)
    bend = ratio * (margin + ratio)
    rows = [stack([bend, -bend], axis=1), stack([-bend, bend], axis=1)]
    return curvature_of_utilities(stack(rows, axis=1))


def pair_probabilities(utilities: Float[Array, "B 2 *S"]) -> Float[Array, "B 2 *S"]:
    """That the first wins, that the second wins."""
    gap = utilities[:, 0] - utilities[:, 1]
    return stack([ndtr(gap), ndtr(-gap)], axis=1)


def _sign(utilities: Float[Array, "B 2 *S"], outcome: Int[Array, " B"]) -> Float[Array, " B *#S"]:
    """+1 where the first won, -1 where the second won."""
    sign = 1.0 - 2.0 * namespace(utilities).astype(outcome, utilities.dtype)
    return align(sign, utilities[:, 0])


def _margin(utilities: Float[Array, "B 2 *S"], outcome: Int[Array, " B"]) -> Array:
    return _sign(utilities, outcome) * (utilities[:, 0] - utilities[:, 1])
