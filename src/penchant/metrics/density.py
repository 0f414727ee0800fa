"""How thickly values lie along a line: a smooth curve instead of bars.

Legend: N values, M points of the curve.
"""

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array

# Values are first counted in bins of this share of the bandwidth: the error is below 1e-3.
_BIN = 0.1
# Values whose spread is less than this share of their size differ by rounding only.
_EQUAL = 1e-9


def density_curve(
    values: Float[Array, " N"],
    weights: Float[Array, " N"],
    points: Float[Array, " M"],
    bandwidth: float | None = None,
) -> Float[Array, " M"]:
    """The density of weighted values at some points, by a Gaussian kernel (Parzen 1962).

    f(x) = sum_n w_n phi((x - v_n) / h) / (h sum_n w_n). `bandwidth` h, in units of the values; None
    takes 0.9 min(sd, iqr / 1.34) n^(-1/5) (Silverman 1986, 3.31), with n the effective number of
    values (sum w)^2 / sum w^2; the deviation alone where half of the values are equal. Values that
    are not finite, or weigh nothing, do not count; zeros come back where none is left or all are
    equal.
    """
    kept = np.isfinite(values) & (weights > 0)
    values, weights = values[kept], weights[kept]
    width = _silverman(values, weights) if bandwidth is None else bandwidth
    if not width > _EQUAL * np.abs(values).max(initial=0.0):
        return np.zeros(len(points))
    near = (values > points.min() - 6 * width) & (values < points.max() + 6 * width)
    cell = np.round(values[near] / (_BIN * width))
    centre, place = np.unique(cell, return_inverse=True)
    mass = np.bincount(place, weights[near], minlength=len(centre)) / weights.sum()
    # Forty widths off there is nothing left, and the square of very many has no number.
    away = np.clip(points[:, None] / width - _BIN * centre, -40.0, 40.0)
    return np.exp(-0.5 * away**2) @ mass / (width * np.sqrt(2 * np.pi))


def _silverman(values: Float[Array, " N"], weights: Float[Array, " N"]) -> float:
    if len(values) < 2:
        return 0.0
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    low, high = values[order][np.searchsorted(reached, [0.25, 0.75])]
    spread = float(high - low) / 1.34
    mean = float(np.average(values, weights=weights))
    deviation = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    usual = spread if _EQUAL * deviation < spread < deviation else deviation
    return 0.9 * usual * effective**-0.2
