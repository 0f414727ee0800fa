"""Ideal points: an option is worth more the nearer it lies to where a person would like it.

Legend: B observations, K options, D features (one coordinate each).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class IdealPoint:
    """Where the best value of a feature lies, with the error of the delta method.

    curvature: utility lost per squared unit away from `position`; where it is not positive the
    feature has no best value inside the line, and `position` is where it is worst.
    """

    position: float
    se: float
    curvature: float


def worths(
    features: Float[Array, "B K D"], ideal: Float[Array, " D"], curvature: Float[Array, " D"]
) -> Float[Array, "B K"]:
    """u = -sum_d c_d (x_d - a_d)^2, the unfolding model (Coombs 1950; Carroll 1972)."""
    return -np.einsum("bkd,d->bk", (features - ideal) ** 2, curvature)


def ideal_point(linear: float, square: float, covariance: Float[Array, "2 2"]) -> IdealPoint:
    """The ideal point behind the part-worths of x and x^2.

    -c (x - a)^2 = 2 c a x - c x^2 + const: an ideal point is an inner product plus a radial term,
    so that fitting `x + x:x` fits it, and a = -linear / (2 square). `covariance` is that of the
    two part-worths, in this order.

    Raises `ConfigError` where the square has no part-worth.
    """
    if square == 0.0:
        raise ConfigError(
            "the part-worth of the squared feature is exactly 0, so there is no ideal point; "
            "expected a fit with both x and x:x in the formula."
        )
    slope = np.array([-0.5 / square, 0.5 * linear / square**2])
    return IdealPoint(
        position=-0.5 * linear / square,
        se=float(np.sqrt(slope @ covariance @ slope)),
        curvature=-square,
    )
