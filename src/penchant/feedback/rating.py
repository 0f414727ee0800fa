"""Stars and other ordered ratings of single options: ordinal logit and probit.

Legend: B observations, K options, L levels, M own parameters, S kinds of people.

`level` runs from 0 to L - 1, higher is better, -1 where no rating was given. The thresholds are
common to all (`Ordered`) or each person's own (`Personal`). They take up the constant of the
utilities, so leave constants out of the features; here the level of a utility matters, not only
its difference to others.
"""

from jaxtyping import Bool, Float, Int

from penchant.feedback import cumulative
from penchant.feedback.cumulative import Link
from penchant.feedback.derivatives import Curvature, Score
from penchant.feedback.thresholds import Thresholds
from penchant.numerics.arrays import Array, namespace


def log_prob(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    level: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
    *,
    thresholds: Thresholds,
    link: Link = "logit",
) -> Float[Array, " B *S"]:
    """Log-probability of all ratings in a row, independent given the utilities.

    p(level_k <= l) = F(tau_l - u_k): McCullagh (1980) with the logit link, Aitchison and Silvey
    (1957) with the probit one.
    """
    level = _given(offered, level)
    log_p = cumulative.log_prob(utilities, level, parameters, thresholds=thresholds, link=link)
    return namespace(utilities).sum(log_p, axis=1)


def score(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    level: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
    *,
    thresholds: Thresholds,
    link: Link = "logit",
) -> Score:
    """First derivatives."""
    level = _given(offered, level)
    return cumulative.score(utilities, level, parameters, thresholds=thresholds, link=link)


def curvature(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    level: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
    *,
    thresholds: Thresholds,
    link: Link = "logit",
) -> Curvature:
    """Minus the second derivatives."""
    level = _given(offered, level)
    return cumulative.curvature(utilities, level, parameters, thresholds=thresholds, link=link)


def probabilities(
    utilities: Float[Array, "B K *S"],
    parameters: Float[Array, "#B M *#S"],
    *,
    thresholds: Thresholds,
    link: Link = "logit",
) -> Float[Array, "B K L *S"]:
    """The probability of every level, for each option."""
    return cumulative.probabilities(utilities, parameters, thresholds=thresholds, link=link)


def _given(offered: Bool[Array, "B K"], level: Int[Array, "B K"]) -> Int[Array, "B K"]:
    return namespace(level).where(offered, level, -1)
