"""Normal instead of Gumbel noise: the probit of a pair and of a choice with independent errors.

Errors that vary together are in `probit_correlated.py`.

Legend: B observations, K (and L) options, Q quadrature nodes, S kinds of people.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Int

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
    constant,
    inverse_mills,
    log_ndtr,
    log_sum_exp,
    marks,
    namespace,
    ndtr,
    one_hot,
    softmax,
    stack,
    stop_gradient,
    take_option,
)

# With the nodes around the mode of each integrand, 40 leave a relative error below 1e-9.
_NUM_NODES = 40
# Newton on a convex decreasing slope climbs to the mode without ever stepping past it.
_NUM_STEPS = 12


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


def log_prob(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], chosen: Int[Array, " B"]
) -> Float[Array, " B *S"]:
    """Log-probability of the option each person chose, with independent unit-normal errors.

    p(j) = integral phi(x) prod_{k not j} Phi(x + u_j - u_k) dx (Daganzo 1979), by Gauss-Hermite
    quadrature around the mode of the integrand (Liu and Pierce 1994), which keeps its digits
    however unlikely the choice. Two options are the probit pair on utilities over sqrt(2).
    """
    return _integrate(utilities, offered, chosen).log_p


def score(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], chosen: Int[Array, " B"]
) -> Score:
    """First derivatives: of the integrand, averaged over the nodes with their shares in it."""
    xp = namespace(utilities)
    found = _integrate(utilities, offered, chosen)
    pull = xp.sum(found.share * found.slopes, axis=-1)
    hit = align(one_hot(chosen, utilities.shape[1], utilities), utilities)
    return score_of_utilities(hit * xp.sum(pull, axis=1, keepdims=True) - pull)


def curvature(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], chosen: Int[Array, " B"]
) -> Curvature:
    """Minus the second derivatives: the mean bend less the spread of the slopes over the nodes."""
    xp = namespace(utilities)
    found = _integrate(utilities, offered, chosen)
    pull = xp.sum(found.share * found.slopes, axis=-1)
    bend = xp.sum(found.share * found.slopes * (found.gaps + found.slopes), axis=-1)
    last = xp.moveaxis(found.slopes, 1, -2)
    products = xp.matmul(xp.moveaxis(found.share * found.slopes, 1, -2), xp.moveaxis(last, -1, -2))
    spread = xp.moveaxis(products, (-2, -1), (1, 2)) - outer(pull, pull)
    rivals = diagonal(bend) - spread
    # From the gaps u_j - u_k to the utilities: the chosen option has a part in all of them.
    hit = align(one_hot(chosen, utilities.shape[1], utilities), utilities)
    row = xp.sum(rivals, axis=2)
    whole = xp.sum(row, axis=1, keepdims=True)
    return curvature_of_utilities(
        rivals - outer(hit, row) - outer(row, hit) + outer(hit * whole, hit)
    )


def probabilities(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"]
) -> Float[Array, "B K *S"]:
    """The probability of choosing each option; zero for those not offered."""
    xp = namespace(utilities)
    columns = []
    for k in range(utilities.shape[1]):
        chosen = constant(np.full(utilities.shape[0], k), utilities)
        p = xp.exp(log_prob(utilities, offered, chosen))
        columns.append(xp.where(align(offered[:, k], p), p, 0.0))
    return stack(columns, axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Integral:
    """The integral of one choice probability and what its derivatives are averages of."""

    log_p: Float[Array, " B *S"]
    share: Float[Array, "B 1 *S Q"]  # of each node in the integral
    gaps: Float[Array, "B K *S Q"]  # x + u_j - u_k
    slopes: Float[Array, "B K *S Q"]  # phi / Phi at the gaps; zero but for offered rivals


def _integrate(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], chosen: Int[Array, " B"]
) -> _Integral:
    xp = namespace(utilities)
    gaps = take_option(utilities, chosen)[:, None] - utilities
    is_rival = xp.logical_and(offered, xp.logical_not(marks(chosen, offered.shape[1])))
    is_rival = align(is_rival, gaps)
    center, width = _mode(stop_gradient(gaps), is_rival)
    nodes, log_weights = (constant(values, utilities) for values in _hermite())
    x = center[..., None] + width[..., None] * nodes
    gaps = x[:, None] + gaps[..., None]
    log_phi = xp.where(is_rival[..., None], log_ndtr(gaps), 0.0)
    log_terms = log_weights - 0.5 * x**2 + xp.sum(log_phi, axis=1)
    log_p = log_sum_exp(log_terms, axis=-1) + xp.log(width) - 0.5 * math.log(2 * math.pi)
    return _Integral(
        log_p=log_p,
        share=softmax(log_terms, axis=-1)[:, None],
        gaps=gaps,
        slopes=xp.where(is_rival[..., None], inverse_mills(gaps), 0.0),
    )


def _mode(
    gaps: Float[Array, "B K *S"], is_rival: Bool[Array, "B K *#S"]
) -> tuple[Float[Array, " B *S"], Float[Array, " B *S"]]:
    """Where phi(x) prod Phi(x + gap) is largest, and the width of the normal that fits it there."""
    xp = namespace(gaps)
    x = 0.0 * gaps[:, 0]
    for _ in range(_NUM_STEPS):
        z = x[:, None] + gaps
        slope = xp.where(is_rival, inverse_mills(z), 0.0)
        bend = 1.0 + xp.sum(slope * (z + slope), axis=1)
        x = x + (xp.sum(slope, axis=1) - x) / bend
    return x, 1.0 / xp.sqrt(bend)


@cache
def _hermite() -> tuple[Float[Array, " Q"], Float[Array, " Q"]]:
    """Nodes x and log(w exp(x^2 / 2)) of the rule for functions that look like exp(-x^2 / 2)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NUM_NODES)
    return nodes, np.log(weights) + 0.5 * nodes**2


def _sign(utilities: Float[Array, "B 2 *S"], outcome: Int[Array, " B"]) -> Float[Array, " B *#S"]:
    """+1 where the first won, -1 where the second won."""
    sign = 1.0 - 2.0 * namespace(utilities).astype(outcome, utilities.dtype)
    return align(sign, utilities[:, 0])


def _margin(utilities: Float[Array, "B 2 *S"], outcome: Int[Array, " B"]) -> Array:
    return _sign(utilities, outcome) * (utilities[:, 0] - utilities[:, 1])
