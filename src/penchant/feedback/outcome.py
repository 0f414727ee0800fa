"""A number that came back for an option: a reward, a spend, a time. Gaussian around its utility.

Legend: B observations, K options, M own parameters (1, 2 or 4), S kinds of people.

`value` is NaN where nothing was observed. The own parameters are log sigma, the noise in utility,
and, where there is a second one, an intercept: the value of an option of utility zero. Without it
the utility is in the units of the value and has their zero. Where there are four, the third shifts
a person's values and the fourth, a log, stretches their scale, noise included: a lenient rater and
one who uses the whole range say the same of which option is better.
"""

import math
from dataclasses import dataclass

from jaxtyping import Bool, Float

from penchant.feedback.derivatives import Curvature, Score, diagonal
from penchant.numerics.arrays import Array, align, namespace, stack


def log_prob(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    value: Float[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> Float[Array, " B *S"]:
    """Log-density of all values of a row: sum_k log N(value_k; level + e^stretch u_k, sigma^2
    e^(2 stretch)), the level being intercept + shift."""
    xp = namespace(utilities)
    at = _residuals(utilities, offered, value, parameters)
    log_p = -0.5 * at.residual**2 - at.log_sigma - at.stretch - 0.5 * math.log(2 * math.pi)
    return xp.sum(xp.where(at.is_given, log_p, 0.0), axis=1)


def score(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    value: Float[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> Score:
    """First derivatives."""
    xp = namespace(utilities)
    at = _residuals(utilities, offered, value, parameters)
    residual = at.residual
    level = residual * at.per_value
    columns = [residual**2 - 1.0, level, level, residual * at.distance - 1.0]
    own = [xp.sum(xp.where(at.is_given, x, 0.0), axis=1) for x in columns[: parameters.shape[1]]]
    return Score(utilities=residual * xp.exp(-at.log_sigma), parameters=stack(own, axis=1))


def curvature(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    value: Float[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> Curvature:
    """Minus the second derivatives: those of residual^2 / 2, whose own slopes are minus (1 / sigma,
    residual, per_value, per_value, distance)."""
    xp = namespace(utilities)
    at = _residuals(utilities, offered, value, parameters)
    r, q, per = at.residual, at.distance, at.per_value
    precise = xp.exp(-at.log_sigma)

    def kept(x: Array) -> Array:
        return xp.where(at.is_given, x + 0.0 * r, 0.0)

    M = parameters.shape[1]
    cross = [2.0 * r * precise, per * precise, per * precise, q * precise][:M]
    level = [2.0 * r * per, per * per, per * per, per * (q + r)]
    rows = [
        [2.0 * r * r, 2.0 * r * per, 2.0 * r * per, 2.0 * r * q],
        level,
        level,
        [2.0 * r * q, per * (q + r), per * (q + r), q * (q + r)],
    ]
    own = [stack([xp.sum(kept(x), axis=1) for x in row[:M]], axis=1) for row in rows[:M]]
    return Curvature(
        utilities=diagonal(kept(precise**2)),
        cross=stack([kept(x) for x in cross], axis=2),
        parameters=stack(own, axis=1),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Residuals:
    """residual: (value - level) e^-stretch - u in units of sigma, zero where nothing was observed;
    distance: the same before u is taken off; per_value: units of sigma in one of the value."""

    residual: Array
    distance: Array
    per_value: Array
    is_given: Array
    log_sigma: Array
    stretch: Array


def _residuals(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    value: Float[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> _Residuals:
    xp = namespace(utilities)
    parameters = align(parameters, utilities)
    log_sigma = parameters[:, :1]
    level = xp.sum(parameters[:, 1:3], axis=1, keepdims=True)
    stretch = xp.sum(parameters[:, 3:], axis=1, keepdims=True)
    is_given = xp.logical_and(offered, xp.logical_not(xp.isnan(value)))
    # NaN is taken out before the difference: torch would carry it into the gradient.
    known = align(xp.where(is_given, value, 0.0), utilities)
    is_given = align(is_given, utilities)
    per_value = xp.exp(-stretch - log_sigma)
    distance = xp.where(is_given, (known - level) * per_value, 0.0)
    residual = xp.where(is_given, distance - utilities * xp.exp(-log_sigma), 0.0)
    return _Residuals(
        residual=residual, distance=distance, per_value=per_value, is_given=is_given,
        log_sigma=log_sigma, stretch=stretch,
    )  # fmt: skip
