"""Reasons beside comparisons: the second channel of a linear head, and how strongly it is read.

Each reason names one of J themes, and a theme is a direction d_j of the head's parameters: an
attribute of its own, or a direction of the embedding in which texts and reasons are both read.
What a theme contributed to a gap is c_j = (d_j' theta) (d_j' y), the part of theta' y along it,
which for d_j = e_j is the w_j x_j of Just et al. (2024) as simulated.

Legend: B comparisons, N reasons, J themes, D attributes, T parameters of the head.
"""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.feedback.reason import reading_score, reason_bend, reason_log_prob, reason_score
from penchant.fitting.lbfgs import Slope, climb_lbfgs
from penchant.fitting.linear_head import LinearHead
from penchant.numerics.arrays import Array, log_sigmoid, sigmoid
from penchant.numerics.threads import one_blas_thread

# How sharply reasons may be read at most: beyond, the largest contribution is always the one named.
_SHARPEST = 100.0
# Lapses are within these: a reason may always be beside the point, and one in fifty never is.
_LAPSES = (0.02, 0.98)
# Nats that one more step may still bring before a climb counts as having stopped early.
_LEFT = 0.01
# The share of the widest variance below which rounding says anything.
_FLAT = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasonConfig:
    """prior_scale: standard deviation of each weight (log-odds per unit of the attribute).
    reason_weight: how much of a comparison one reason counts for; 0 leaves reasons out. sharpness:
    how strongly the largest contribution is the one named; lapse: the share of reasons that name
    anything."""

    prior_scale: float = 1.0
    reason_weight: float = 1.0
    sharpness: float = 1.0
    lapse: float = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How reasons are read (`feedback/reason.py`). sharpness: how strongly the theme that
    contributed most is the one named, 0: not at all, 1: as options compete to be chosen; lapse: the
    share of reasons that name anything."""

    sharpness: float
    lapse: float


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedThemes:
    """Reasons as a head hears them. along: d_j' y of the comparison that each reason is of, winner
    less loser. named: its theme, -1 for none. usual: the share of reasons that name each theme
    whatever was compared; None where all are alike. directions: d_j."""

    along: Float[Array, "N J"]
    named: Int[Array, " N"]
    weight: Float[Array, " N"]
    directions: Float[Array, "J T"]
    usual: Float[Array, " J"] | None = None

    def contributions(self, theta: Float[Array, " T"]) -> Float[Array, "N J"]:
        """What each theme contributed to each gap, in its logits."""
        return self.along * (self.directions @ theta)

    def slope(self, theta: Float[Array, " T"], reading: Reading) -> Slope:
        """sum_n v_n log p(named_n | c_n) and its gradient."""
        arguments = (
            self.contributions(theta), self.named, reading.sharpness, reading.lapse, self.usual
        )  # fmt: skip
        pull = np.einsum("n,nj,nj->j", self.weight, reason_score(*arguments), self.along)
        return Slope(
            value=float(self.weight @ reason_log_prob(*arguments)),
            gradient=self.directions.T @ pull,
        )

    def information(self, theta: Float[Array, " T"], reading: Reading) -> Float[Array, "T T"]:
        """What these reasons are expected to tell of theta."""
        bend = reason_bend(
            self.contributions(theta), reading.sharpness, reading.lapse, self.usual
        )  # fmt: skip
        weight = self.weight * (self.named >= 0)
        told = bend.shares * self.along
        own = bend.own * self.along * weight[:, None]
        cross = own.T @ told
        total = np.diag((own * self.along).sum(axis=0)) - cross - cross.T
        total += told.T @ (told * (weight * bend.own.sum(axis=1))[:, None])
        return self.directions.T @ total @ self.directions


@runtime_checkable
class HeadLikelihood(Protocol):
    """What the answers alone say of a linear head: `HeadDensity` of pairs, `PooledDensity` of all
    kinds."""

    def slope(self, theta: Float[Array, " T"]) -> Slope:
        """Value and gradient of the log-likelihood."""
        ...

    def information(self, theta: Float[Array, " T"]) -> Float[Array, "T T"]:
        """Minus its second derivatives."""
        ...


@one_blas_thread
def hear_reasons(
    head: LinearHead,
    answers: HeadLikelihood,
    precision: Float[Array, " T"],
    themes: NamedThemes,
    reading: Reading,
) -> LinearHead:
    """The mode with the reasons heard beside the answers, from the mode without; `precision` of
    the prior, zero mean.

    The climb goes in units of what the mode without leaves open, in which the posterior is round.
    The covariance counts reasons by their expected information, which is never negative.
    """
    assert head.covariance is not None
    cuts = np.cumsum([len(head.weights), len(head.coefficients)])
    start = head.theta
    root = _root(head.covariance)

    def slope(theta: Float[Array, " T"]) -> Slope:
        told, said = answers.slope(theta), themes.slope(theta, reading)
        pulled = precision * theta
        return Slope(
            value=told.value + said.value - 0.5 * float(pulled @ theta),
            gradient=told.gradient + said.gradient - pulled,
        )

    def along(step: Float[Array, " T"]) -> Slope:
        there = slope(start + root @ step)
        return replace(there, gradient=root.T @ there.gradient)

    climb = climb_lbfgs(along, np.zeros(len(start)), rounding=1e-9, flat=1e-4)
    theta = start + root @ climb.theta
    told = answers.information(theta) + themes.information(theta, reading) + np.diag(precision)
    covariance = np.linalg.inv(told)
    covariance = 0.5 * (covariance + covariance.T)
    gradient = slope(theta).gradient
    left = 0.5 * float(gradient @ covariance @ gradient)
    return replace(
        head, weights=theta[: cuts[0]], coefficients=theta[cuts[0] : cuts[1]],
        own=theta[cuts[1] :], covariance=covariance,
        converged=head.converged and left < _LEFT,
        iterations=head.iterations + climb.iterations, gain_left=left,
    )  # fmt: skip


def _root(covariance: Float[Array, "T T"]) -> Float[Array, "T T"]:
    """R with R R' the covariance, also where rounding has left it none: thresholds of a rater who
    hardly rated are a million times as uncertain as what everybody tells."""
    spread, axes = np.linalg.eigh(0.5 * (covariance + covariance.T))
    return axes * np.sqrt(np.maximum(spread, _FLAT * spread[-1]))


def likeliest_reading(
    contributions: Float[Array, "N J"],
    named: Int[Array, " N"],
    weight: Float[Array, " N"],
    usual: Float[Array, " J"] | None = None,
    sharpness: float | None = None,
) -> Reading:
    """The sharpness, where it is not given, and the lapse that make these reasons likeliest.

    Contributions are to come from heads that have not seen the comparisons: by one that has, its
    reasons would look sharper than they are. The likeliest sharpness is zero where what contributed
    is not what was named.
    """
    from scipy.optimize import minimize

    # Of gaps a hundredth as large, reasons are as sharp a hundred times over.
    unit = max(float(np.sqrt((contributions**2).mean())), 1e-12)
    scaled = (contributions / unit, named)
    span = (0.0, _SHARPEST) if sharpness is None else (sharpness * unit, sharpness * unit)

    def loss(theta: Float[Array, " M"]) -> tuple[float, Float[Array, " M"]]:
        told = (*scaled, float(theta[0]), float(theta[1]), usual)
        value, slopes = reason_log_prob(*told), reading_score(*told)
        return -float(weight @ value), -np.array([weight @ each for each in slopes])

    found = [
        minimize(loss, (float(np.clip(sharp, *span)), lapse), jac=True, method="L-BFGS-B",
                 bounds=[span, _LAPSES])
        for sharp, lapse in ((0.3, 0.5), (3.0, 0.2))
    ]  # fmt: skip
    best = min(found, key=lambda each: float(each.fun)).x
    return Reading(sharpness=float(best[0]) / unit, lapse=float(best[1]))


@one_blas_thread
def fit_reasoned_head(
    differences: Float[Array, "B D"],
    named: Int[Array, " B"],
    weight: Float[Array, " B"],
    config: ReasonConfig | None = None,
) -> Float[Array, " D"]:
    """The mode of sum_b v_b [log sigmoid(w' x_b) + eta log p(named_b | w x_b)] - |w|^2 / (2 s^2).

    v is `weight`. differences: winner less loser, in each attribute's own unit. named: the
    attribute, -1 for none.

    Raises `DataError` for differences that are not finite or attributes that do not exist,
    `ConfigError` for settings out of range.
    """
    config = config or ReasonConfig()
    _check(differences, named, config)
    precision = config.prior_scale**-2
    reading = Reading(sharpness=config.sharpness, lapse=config.lapse)
    themes = NamedThemes(
        along=differences, named=named, weight=config.reason_weight * weight,
        directions=np.eye(differences.shape[1]),
    )  # fmt: skip

    def slope(w: Float[Array, " D"]) -> Slope:
        gap, said = differences @ w, themes.slope(w, reading)
        pull = weight * sigmoid(-gap)
        value = float(weight @ log_sigmoid(gap)) - 0.5 * precision * float(w @ w)
        gradient = differences.T @ pull - precision * w
        return Slope(value=value + said.value, gradient=gradient + said.gradient)

    return climb_lbfgs(slope, np.zeros(differences.shape[1])).theta


def _check(differences: Float[Array, "B D"], named: Int[Array, " B"], config: ReasonConfig) -> None:
    if not np.all(np.isfinite(differences)):
        raise DataError("the differences are not all finite numbers; expected so.")
    if len(named) and not -1 <= named.min() <= named.max() < differences.shape[1]:
        raise DataError(
            f"reasons name attributes {named.min()} to {named.max()} of {differences.shape[1]}; "
            "expected 0 and up, or -1 for no reason."
        )
    if not (config.prior_scale > 0 and config.sharpness > 0 and 0 < config.lapse < 1):
        raise ConfigError(
            f"got prior_scale={config.prior_scale}, sharpness={config.sharpness}, "
            f"lapse={config.lapse}; expected positive ones, the lapse below 1."
        )
