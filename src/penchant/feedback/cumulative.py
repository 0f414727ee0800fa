"""Ordered answers: where a noisy worth falls between thresholds.

An ordered answer l = 0 .. L-1 is given when the worth plus noise lies between threshold l-1 and
threshold l: p(l) = F(tau_l - u) - F(tau_{l-1} - u), with F the logistic (McCullagh 1980) or the
normal distribution function (Aitchison and Silvey 1957). Ratings, graded pairs and Rao-Kupper
ties are this one formula with different thresholds.

Legend: B observations, K options, L levels, T = L - 1 thresholds, M (and N) own parameters,
S kinds of people.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.feedback.derivatives import Curvature, Score, diagonal
from penchant.feedback.thresholds import Thresholds
from penchant.numerics.arrays import (
    Array,
    align,
    constant,
    inverse_mills,
    log1m_exp,
    log_ndtr,
    log_normal_density,
    log_sigmoid,
    namespace,
    sigmoid,
    stack,
    take_options,
)

Link = Literal["logit", "probit"]


def log_prob(
    worth: Float[Array, "B K *S"],
    level: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
    *,
    thresholds: Thresholds,
    link: Link = "logit",
) -> Float[Array, "B K *S"]:
    """Log-probability of each ordered answer; zero where the level is -1, not answered."""
    xp = namespace(worth)
    tau = thresholds.values(align(parameters, worth))
    ends = _ends(worth, level, tau)
    log_p = (_logit_log_prob if link == "logit" else _probit_log_prob)(ends)
    return xp.where(ends.is_given, log_p, 0.0)


def score(
    worth: Float[Array, "B K *S"],
    level: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
    *,
    thresholds: Thresholds,
    link: Link = "logit",
) -> Score:
    """First derivatives of the sum over K."""
    xp = namespace(worth)
    parameters = align(parameters, worth)
    ends = _ends(worth, level, thresholds.values(parameters))
    slope = _slopes(ends, link)
    lower_J, upper_J = _end_derivatives(thresholds.jacobian(parameters), ends)
    own = slope.lower[:, :, None] * lower_J + slope.upper[:, :, None] * upper_J
    return Score(utilities=-slope.lower - slope.upper, parameters=xp.sum(own, axis=1))


def curvature(
    worth: Float[Array, "B K *S"],
    level: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
    *,
    thresholds: Thresholds,
    link: Link = "logit",
) -> Curvature:
    """Minus the second derivatives of the sum over K."""
    xp = namespace(worth)
    parameters = align(parameters, worth)
    ends = _ends(worth, level, thresholds.values(parameters))
    slope, bend = _slopes(ends, link), _bends(ends, link)
    lower_J, upper_J = _end_derivatives(thresholds.jacobian(parameters), ends)
    lower_H, upper_H = _end_derivatives(thresholds.hessian(parameters), ends)
    pull_lower = bend.lower[:, :, None] * lower_J + bend.cross[:, :, None] * upper_J
    pull_upper = bend.cross[:, :, None] * lower_J + bend.upper[:, :, None] * upper_J
    own = (
        pull_lower[:, :, :, None] * lower_J[:, :, None]
        + pull_upper[:, :, :, None] * upper_J[:, :, None]
        + slope.lower[:, :, None, None] * lower_H
        + slope.upper[:, :, None, None] * upper_H
    )
    return Curvature(
        utilities=diagonal(-(bend.lower + 2.0 * bend.cross + bend.upper)),
        cross=pull_lower + pull_upper,
        parameters=-xp.sum(own, axis=1),
    )


def probabilities(
    worth: Float[Array, "B K *S"],
    parameters: Float[Array, "#B M *#S"],
    *,
    thresholds: Thresholds,
    link: Link = "logit",
) -> Float[Array, "B K L *S"]:
    """The probability of every level, for each option."""
    xp = namespace(worth)
    levels = [
        constant(np.full(worth.shape[:2], level), worth)
        for level in range(thresholds.num_thresholds + 1)
    ]
    log_p = [
        log_prob(worth, level, parameters, thresholds=thresholds, link=link) for level in levels
    ]
    return xp.exp(stack(log_p, axis=2))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ends:
    """The two ends of the interval that each noise fell into, and which of them are finite.

    An end at infinity holds 0 in `lower` or `upper`, so that nothing infinite is ever multiplied.
    """

    lower: Float[Array, "B K *S"]
    upper: Float[Array, "B K *S"]
    has_lower: Bool[Array, "B K *#S"]
    has_upper: Bool[Array, "B K *#S"]
    is_given: Bool[Array, "B K *#S"]
    below: Int[Array, "B K"]
    above: Int[Array, "B K"]

    @property
    def has_both(self) -> Array:
        return namespace(self.lower).logical_and(self.has_lower, self.has_upper)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Slopes:
    """First derivatives of the log-probability to the two ends of its interval."""

    lower: Float[Array, "B K *S"]
    upper: Float[Array, "B K *S"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Bends:
    """Second derivatives of the log-probability to the two ends of its interval."""

    lower: Float[Array, "B K *S"]
    cross: Float[Array, "B K *S"]
    upper: Float[Array, "B K *S"]


def _ends(
    worth: Float[Array, "B K *S"], level: Int[Array, "B K"], tau: Float[Array, "#B T *#S"]
) -> _Ends:
    xp = namespace(worth)
    num_thresholds = tau.shape[1]
    tau = xp.broadcast_to(tau, (worth.shape[0], *tau.shape[1:]))
    is_given = align(level >= 0, worth)
    has_lower = align(level > 0, worth)
    has_upper = xp.logical_and(is_given, align(level < num_thresholds, worth))
    below, above = xp.clip(level - 1, 0), xp.clip(level, 0, num_thresholds - 1)
    return _Ends(
        lower=xp.where(has_lower, take_options(tau, below) - worth, 0.0),
        upper=xp.where(has_upper, take_options(tau, above) - worth, 0.0),
        has_lower=has_lower,
        has_upper=has_upper,
        is_given=is_given,
        below=below,
        above=above,
    )


def _end_derivatives(x: Array, ends: _Ends) -> tuple[Array, Array]:
    """Derivatives of the thresholds [B, T, M, ..] picked for each end [B, K, M, ..]."""
    xp = namespace(ends.lower)
    x = xp.broadcast_to(x, (ends.below.shape[0], *x.shape[1:]))
    lower, upper = take_options(x, ends.below), take_options(x, ends.above)
    shape = ends.below.shape + (1,) * (x.ndim - 2)
    return (
        xp.where(ends.has_lower.reshape(shape), lower, 0.0),
        xp.where(ends.has_upper.reshape(shape), upper, 0.0),
    )


def _logit_log_prob(ends: _Ends) -> Float[Array, "B K *S"]:
    """log(F(b) - F(a)) = log F(b) + log F(-a) + log(1 - exp(a - b)), exact in the tails."""
    xp = namespace(ends.lower)
    width = xp.where(ends.has_both, ends.upper - ends.lower, 1.0)
    return (
        xp.where(ends.has_upper, log_sigmoid(ends.upper), 0.0)
        + xp.where(ends.has_lower, log_sigmoid(-ends.lower), 0.0)
        + xp.where(ends.has_both, log1m_exp(width), 0.0)
    )


def _probit_log_prob(ends: _Ends) -> Float[Array, "B K *S"]:
    """log(F(b) - F(a)), by the lower tail or its mirror image, whichever is the smaller."""
    xp = namespace(ends.lower)
    is_high = ends.lower + ends.upper > 0
    log_big = log_ndtr(xp.where(is_high, -ends.lower, ends.upper))
    log_small = log_ndtr(xp.where(is_high, -ends.upper, ends.lower))
    gap = xp.where(ends.has_both, log_big - log_small, 1.0)
    one_sided = xp.where(ends.has_upper, log_ndtr(ends.upper), log_ndtr(-ends.lower))
    return xp.where(ends.has_both, log_big + log1m_exp(gap), one_sided)


def _slopes(ends: _Ends, link: Link) -> _Slopes:
    """First derivatives to the two ends; zero where an end is at infinity."""
    xp = namespace(ends.lower)
    if link == "logit":
        rest = _odds_of_width(ends)
        lower, upper = -sigmoid(ends.lower) - rest, sigmoid(-ends.upper) + rest
    else:
        # With one end at infinity the ratio has a form that keeps its digits in the far tail.
        log_p = xp.where(ends.has_both, _probit_log_prob(ends), 0.0)
        lower, upper = (xp.where(ends.has_both, x, 0.0) for x in (ends.lower, ends.upper))
        lower, upper = (xp.exp(log_normal_density(x) - log_p) for x in (lower, upper))
        lower = -xp.where(ends.has_both, lower, inverse_mills(-ends.lower))
        upper = xp.where(ends.has_both, upper, inverse_mills(ends.upper))
    return _Slopes(
        lower=xp.where(ends.has_lower, lower, 0.0), upper=xp.where(ends.has_upper, upper, 0.0)
    )


def _bends(ends: _Ends, link: Link) -> _Bends:
    """Second derivatives to the two ends."""
    xp = namespace(ends.lower)
    if link == "logit":
        rest = _odds_of_width(ends)
        cross = rest * (1.0 + rest)
        lower = -sigmoid(ends.lower) * sigmoid(-ends.lower) - cross
        upper = -sigmoid(ends.upper) * sigmoid(-ends.upper) - cross
    else:
        slope = _slopes(ends, link)
        cross = -slope.lower * slope.upper
        lower = -slope.lower * (ends.lower + slope.lower)
        upper = -slope.upper * (ends.upper + slope.upper)
    return _Bends(
        lower=xp.where(ends.has_lower, lower, 0.0),
        upper=xp.where(ends.has_upper, upper, 0.0),
        cross=cross,
    )


def _odds_of_width(ends: _Ends) -> Float[Array, "B K *S"]:
    """1 / (exp(b - a) - 1), zero where the interval has no end."""
    xp = namespace(ends.lower)
    width = xp.where(ends.has_both, ends.upper - ends.lower, 1.0)
    return xp.where(ends.has_both, xp.exp(-width) / -xp.expm1(-width), 0.0)
