"""Each option taken or left by itself: approval, clicks, conversions.

Legend: B observations, K options, S kinds of people.

`success` is 1 where an option was approved or taken, 0 where it was not, -1 where nobody looked.
The own parameter is the bar: an option worth exactly the bar is taken half of the time.
"""

from jaxtyping import Bool, Float, Int

from penchant.feedback.cumulative import Link
from penchant.feedback.derivatives import Curvature, Score, diagonal
from penchant.numerics.arrays import (
    Array,
    align,
    inverse_mills,
    log_ndtr,
    log_sigmoid,
    namespace,
    ndtr,
    sigmoid,
)


def log_prob(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    success: Int[Array, "B K"],
    parameters: Float[Array, "#B 1 *#S"],
    *,
    link: Link = "logit",
) -> Float[Array, " B *S"]:
    """Log-probability of all answers in a row: sum_k log F(+-(u_k - bar)), + where taken."""
    xp = namespace(utilities)
    sign, is_given = _answers(utilities, offered, success)
    log_f = log_sigmoid if link == "logit" else log_ndtr
    log_p = log_f(sign * (utilities - align(parameters, utilities)))
    return xp.sum(xp.where(is_given, log_p, 0.0), axis=1)


def score(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    success: Int[Array, "B K"],
    parameters: Float[Array, "#B 1 *#S"],
    *,
    link: Link = "logit",
) -> Score:
    """First derivatives."""
    xp = namespace(utilities)
    sign, is_given = _answers(utilities, offered, success)
    signed = sign * (utilities - align(parameters, utilities))
    slope = sigmoid(-signed) if link == "logit" else inverse_mills(signed)
    slope = xp.where(is_given, sign * slope, 0.0)
    return Score(utilities=slope, parameters=-xp.sum(slope, axis=1, keepdims=True))


def curvature(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    success: Int[Array, "B K"],
    parameters: Float[Array, "#B 1 *#S"],
    *,
    link: Link = "logit",
) -> Curvature:
    """Minus the second derivatives."""
    xp = namespace(utilities)
    sign, is_given = _answers(utilities, offered, success)
    signed = sign * (utilities - align(parameters, utilities))
    if link == "logit":
        bend = sigmoid(signed) * sigmoid(-signed)
    else:
        ratio = inverse_mills(signed)
        bend = ratio * (signed + ratio)
    bend = xp.where(is_given, bend, 0.0)
    return Curvature(
        utilities=diagonal(bend),
        cross=-bend[:, :, None],
        parameters=xp.sum(bend, axis=1, keepdims=True)[:, :, None],
    )


def probabilities(
    utilities: Float[Array, "B K *S"],
    parameters: Float[Array, "#B 1 *#S"],
    *,
    link: Link = "logit",
) -> Float[Array, "B K *S"]:
    """The probability that each option is taken."""
    gap = utilities - align(parameters, utilities)
    return sigmoid(gap) if link == "logit" else ndtr(gap)


def _answers(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], success: Int[Array, "B K"]
) -> tuple[Array, Array]:
    """+1 where taken and -1 where left, and where there was an answer at all."""
    xp = namespace(utilities)
    sign = 2.0 * xp.astype(success == 1, utilities.dtype) - 1.0
    return align(sign, utilities), align(xp.logical_and(offered, success >= 0), utilities)
