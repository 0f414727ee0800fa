"""How one coefficient is spread over people: its deviates, its shape, its moments.

Legend: R random coefficients, C blocks of draws, S draws of a block.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array
from penchant.numerics.draws import draw_uniforms

# These are functions of a normal deviate, which may be correlated with others.
NORMAL_KIN = ("normal", "lognormal", "censored")
ONE_SIGNED = ("lognormal", "censored", "truncated")
DISTRIBUTIONS = ("normal", "lognormal", "censored", "truncated", "triangular", "uniform")


@lru_cache(maxsize=4)
def deviates(
    distributions: tuple[str, ...], num_blocks: int, num_draws: int, seed: int, kind: str
) -> Float[Array, "C R S"]:
    from scipy.special import ndtri

    rng = np.random.default_rng(seed)
    base = draw_uniforms(kind, num_blocks, len(distributions), num_draws, rng)
    for row, name in enumerate(distributions):
        u = base[:, row]
        if name in NORMAL_KIN:
            base[:, row] = ndtri(u)
        elif name == "uniform":
            base[:, row] = 2.0 * u - 1.0
        elif name == "triangular":
            base[:, row] = np.where(u < 0.5, np.sqrt(2.0 * u) - 1.0, 1.0 - np.sqrt(2.0 - 2.0 * u))
    base.flags.writeable = False
    return base


def shape_tastes(
    distributions: tuple[str, ...],
    locations: Float[Array, " R"],
    root: Float[Array, "R R"],
    base: Float[Array, "C R S"],
) -> tuple[Array, Array, Array, Array, Array]:
    """values, slopes, bends, basis and bend_basis of the random coefficients."""
    values = locations[:, None] + root @ base
    slopes, bends = np.ones_like(values), np.zeros_like(values)
    basis = bend_basis = base
    for row, name in enumerate(distributions):
        if name == "lognormal":
            values[:, row] = np.exp(np.minimum(values[:, row], 300.0))
            slopes[:, row] = bends[:, row] = values[:, row]
        elif name == "censored":
            slopes[:, row] = values[:, row] > 0
            values[:, row] = np.maximum(values[:, row], 0.0)
        elif name == "truncated":
            basis, bend_basis = (part.copy() if part is base else part
                                 for part in (basis, bend_basis))  # fmt: skip
            (values[:, row], slopes[:, row], bends[:, row], basis[:, row], bend_basis[:, row]) = (
                _truncated(float(locations[row]), float(root[row, row]), base[:, row])
            )
    return values, slopes, bends, basis, bend_basis


def _truncated(
    location: float, spread: float, u: Float[Array, "C S"]
) -> tuple[Array, Array, Array, Array, float]:
    """The u-quantile of a normal given that it is positive, and its derivatives.

    value = m + s q with Phi(-q) = (1 - u) Phi(-a), a = -m / s. With the hazard
    h(x) = phi(x) / Phi(-x) and rho = dq/da = h(a) / h(q): d value / d m = 1 - rho,
    d value / d s = q - a rho, and the second derivatives are rho' / s * (1, a)(1, a)' with
    rho' = rho (h(a) - a - rho (h(q) - q)).
    """
    from scipy.special import log_ndtr, ndtri_exp

    sign = -1.0 if spread < 0 else 1.0
    scale = max(abs(spread), 1e-6 * max(abs(location), 1e-3))
    a = -location / scale
    q = -ndtri_exp(np.log1p(-u) + log_ndtr(-a))

    def hazard(x: Array) -> Array:
        return np.exp(-0.5 * x * x - 0.9189385332046727 - log_ndtr(-x))

    at_a, at_q = hazard(a), hazard(q)
    rho = np.minimum(at_a / at_q, 1.0 - 1e-12)
    bend = rho * (at_a - a - rho * (at_q - q)) / scale
    value = np.maximum(location + scale * q, 0.0)
    return value, 1.0 - rho, bend, sign * (q - a * rho) / (1.0 - rho), sign * a


def taste_moments(name: str, location: float, spread: float) -> tuple[float, float, float]:
    """Mean, standard deviation, share above zero."""
    if name == "lognormal":
        mean = np.exp(location + 0.5 * spread**2)
        return float(mean), float(mean * np.sqrt(np.expm1(spread**2))), 1.0
    if spread == 0.0:
        kept = max(location, 0.0) if name in ONE_SIGNED else location
        return kept, 0.0, float(kept > 0)
    ratio = location / spread
    if name == "uniform":
        return location, spread / np.sqrt(3.0), float(np.clip(0.5 + 0.5 * ratio, 0.0, 1.0))
    if name == "triangular":
        below = 0.5 * (1.0 - min(abs(ratio), 1.0)) ** 2
        return location, spread / np.sqrt(6.0), float(1.0 - below if ratio > 0 else below)
    from scipy.special import log_ndtr, ndtr

    above = float(ndtr(ratio))
    if name == "normal":
        return location, spread, above
    hazard = float(np.exp(-0.5 * ratio**2 - 0.9189385332046727 - log_ndtr(ratio)))
    mean = location + spread * hazard
    variance = spread**2 * (1.0 - hazard * (hazard + ratio))
    if name == "truncated":
        return mean, float(np.sqrt(max(variance, 0.0))), 1.0
    # Censored: above zero with probability `above`, and then as if truncated.
    second = above * (variance + mean**2)
    return above * mean, float(np.sqrt(max(second - (above * mean) ** 2, 0.0))), above
