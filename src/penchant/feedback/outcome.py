"""A number that came back for an option: a reward, a spend, a time. Gaussian around its utility.

Legend: B observations, K options, M own parameters (1 or 2), S kinds of people.

`value` is NaN where nothing was observed. The own parameters are log sigma, the noise in the units
of the value, and, where there is a second one, an intercept: the value of an option of utility
zero. Without it the utility is in the units of the value and has their zero.
"""

import math

from jaxtyping import Bool, Float

from penchant.feedback.derivatives import Curvature, Score, diagonal
from penchant.numerics.arrays import Array, align, namespace, stack


def log_prob(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    value: Float[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> Float[Array, " B *S"]:
    """Log-density of all values of a row: sum_k log N(value_k; intercept + u_k, sigma^2)."""
    xp = namespace(utilities)
    residual, is_given, log_sigma = _residuals(utilities, offered, value, parameters)
    log_p = -0.5 * residual**2 - log_sigma - 0.5 * math.log(2 * math.pi)
    return xp.sum(xp.where(is_given, log_p, 0.0), axis=1)


def score(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    value: Float[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> Score:
    """First derivatives."""
    xp = namespace(utilities)
    residual, is_given, log_sigma = _residuals(utilities, offered, value, parameters)
    slope = residual * xp.exp(-log_sigma)
    columns = [xp.sum(xp.where(is_given, residual**2 - 1.0, 0.0), axis=1), xp.sum(slope, axis=1)]
    return Score(utilities=slope, parameters=stack(columns[: parameters.shape[1]], axis=1))


def curvature(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    value: Float[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> Curvature:
    """Minus the second derivatives."""
    xp = namespace(utilities)
    residual, is_given, log_sigma = _residuals(utilities, offered, value, parameters)
    precision = xp.where(is_given, xp.exp(-2.0 * log_sigma) + 0.0 * residual, 0.0)
    to_noise = 2.0 * residual * xp.exp(-log_sigma)
    noise, mixed, level = (xp.sum(x, axis=1) for x in (2.0 * residual**2, to_noise, precision))
    M = parameters.shape[1]
    own = stack([stack([noise, mixed], axis=1), stack([mixed, level], axis=1)], axis=1)
    return Curvature(
        utilities=diagonal(precision),
        cross=stack([to_noise, precision], axis=2)[:, :, :M],
        parameters=own[:, :M, :M],
    )


def _residuals(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    value: Float[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> tuple[Array, Array, Array]:
    """(value - mean) / sigma, zero where nothing was observed; where it was; log sigma."""
    xp = namespace(utilities)
    parameters = align(parameters, utilities)
    log_sigma = parameters[:, :1]
    mean = utilities + xp.sum(parameters[:, 1:], axis=1, keepdims=True)
    is_given = xp.logical_and(offered, xp.logical_not(xp.isnan(value)))
    # NaN is taken out before the difference: torch would carry it into the gradient.
    known = align(xp.where(is_given, value, 0.0), utilities)
    is_given = align(is_given, utilities)
    return xp.where(is_given, (known - mean) * xp.exp(-log_sigma), 0.0), is_given, log_sigma
