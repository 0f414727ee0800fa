"""A number that came back for an option: a reward, a spend, a time. Gaussian around its utility.

Legend: B observations, K options, S kinds of people.

`value` is NaN where nothing was observed. The own parameter is log sigma, the noise in the units
of the value, which are those of the utility too.
"""

import math

from jaxtyping import Bool, Float

from penchant.feedback.derivatives import Curvature, Score, diagonal
from penchant.numerics.arrays import Array, align, namespace


def log_prob(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    value: Float[Array, "B K"],
    parameters: Float[Array, "#B 1 *#S"],
) -> Float[Array, " B *S"]:
    """Log-density of all values of a row: sum_k log N(value_k; u_k, sigma^2)."""
    xp = namespace(utilities)
    residual, is_given, log_sigma = _residuals(utilities, offered, value, parameters)
    log_p = -0.5 * residual**2 - log_sigma - 0.5 * math.log(2 * math.pi)
    return xp.sum(xp.where(is_given, log_p, 0.0), axis=1)


def score(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    value: Float[Array, "B K"],
    parameters: Float[Array, "#B 1 *#S"],
) -> Score:
    """First derivatives."""
    xp = namespace(utilities)
    residual, is_given, log_sigma = _residuals(utilities, offered, value, parameters)
    own = xp.where(is_given, residual**2 - 1.0, 0.0)
    return Score(
        utilities=residual * xp.exp(-log_sigma), parameters=xp.sum(own, axis=1, keepdims=True)
    )


def curvature(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    value: Float[Array, "B K"],
    parameters: Float[Array, "#B 1 *#S"],
) -> Curvature:
    """Minus the second derivatives."""
    xp = namespace(utilities)
    residual, is_given, log_sigma = _residuals(utilities, offered, value, parameters)
    own = 2.0 * xp.sum(residual**2, axis=1, keepdims=True)
    return Curvature(
        utilities=diagonal(xp.where(is_given, xp.exp(-2.0 * log_sigma) + 0.0 * residual, 0.0)),
        cross=(2.0 * residual * xp.exp(-log_sigma))[:, :, None],
        parameters=own[:, :, None],
    )


def _residuals(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    value: Float[Array, "B K"],
    parameters: Float[Array, "#B 1 *#S"],
) -> tuple[Array, Array, Array]:
    """(value - u) / sigma, zero where nothing was observed; where it was; log sigma."""
    xp = namespace(utilities)
    log_sigma = align(parameters, utilities)
    is_given = xp.logical_and(offered, xp.logical_not(xp.isnan(value)))
    # NaN is taken out before the difference: torch would carry it into the gradient.
    known = align(xp.where(is_given, value, 0.0), utilities)
    is_given = align(is_given, utilities)
    return xp.where(is_given, (known - utilities) * xp.exp(-log_sigma), 0.0), is_given, log_sigma
