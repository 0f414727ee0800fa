"""Losses of a language policy: sums over tokens of weight times what a component says of them.

L = sum over components of sum_{b,t} scale[b,t] weight[b,t] l[b,t], the scale from `aggregation.py`
with its normaliser, the weight any constant (importance, masks by entropy). A method is a choice of
credit, ratio and scale, not a trainer. Every loss is to be minimised.

Legend: B rows, T tokens, C of these rows, U units.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array, constant, namespace
from penchant.policies.language.aggregation import aggregate
from penchant.policies.language.divergence import Estimator, divergence, outside_band
from penchant.policies.language.ratio import Level, clipped, log_ratio, regressed, truncated


@dataclass(frozen=True, kw_only=True, slots=True)
class Surrogate:
    """What of the ratio a gradient may use.

    level: one ratio for each token, or for all tokens of a unit (their geometric mean). form:
    "clipped" (PPO), "plain" (ratio times advantage), "truncated" (the ratio a bounded constant),
    "squared" (`ratio.regressed`: no ratio, a unit pulled back by `pull`). low, high: how far below
    and above 1 a ratio counts ("truncated" knows no low, "plain" and "squared" neither); worst:
    `ratio.clipped`, of no other form.
    """

    level: Level = "token"
    form: Literal["clipped", "plain", "truncated", "squared"] = "clipped"
    low: float = 0.2
    high: float = 0.28
    worst: float | None = None
    pull: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.low <= 1.0 and self.high >= 0.0):
            raise ConfigError(
                f"got clipping bounds low={self.low} and high={self.high}; expected low between 0 "
                "and 1 and high of 0 or more: ratios count from 1 - low to 1 + high."
            )
        if self.worst is not None and not (self.form == "clipped" and self.worst > 1.0 + self.high):
            raise ConfigError(
                f"got worst={self.worst} with form={self.form!r} and high={self.high}; expected "
                "the clipped form and a ratio above 1 + high (3 is usual), or None."
            )
        if not (self.pull >= 0.0 and (self.pull == 0.0 or self.form == "squared")):
            raise ConfigError(
                f"got pull={self.pull} with form={self.form!r}; expected 0 or more of the squared "
                "form, and 0 of the others, which would not heed it."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Steer:
    """Where an update bends entropy. bonus: what a nat of it earns, in units of the gain; hold: of
    each token, what a nat outside `low` to `high` times the usual costs; usual: there, nats."""

    bonus: float
    hold: Float[Array, "B T"]
    usual: Float[Array, "B T"]
    low: float = 0.0
    high: float = 2.0

    def take(self, rows: Int[Array, " C"], width: int) -> "Steer":
        """Some rows, so wide."""
        hold, usual = self.hold[rows, :width], self.usual[rows, :width]
        return replace(self, hold=hold, usual=usual)


def to_tokens(values: Float[Array, " U"], unit_of: Int[Array, "B T"]) -> Float[Array, "B T"]:
    """Each token gets what its unit has; 0 where a token belongs to none."""
    padded = np.append(values, 0.0)
    return padded[np.where(unit_of >= 0, unit_of, len(values))]


def policy_gradient_loss(
    logp: Float[Array, "B T"],
    against: Float[Array, "B T"],
    advantage: Float[Array, "B T"],
    unit_of: Int[Array, "B T"],
    scale: Float[Array, "B T"],
    config: Surrogate,
    weight: Float[Array, "B T"] | None = None,
) -> Float[Array, ""]:
    """-sum scale weight g(rho, A), rho against the denominator of each row (`ratio.denominator`).

    With no ratio far from 1 its gradient is the score function's, -sum scale weight A grad log pi.
    """
    xp = namespace(logp)
    there = constant(unit_of, logp) >= 0
    logp = xp.where(there, logp, 0.0)
    rho = xp.exp(log_ratio(logp, against, constant(unit_of, logp), config.level))
    credit = constant(advantage, logp)
    if config.form == "clipped":
        gain = clipped(rho, credit, config.low, config.high, config.worst)
    elif config.form == "plain":
        gain = rho * credit
    elif config.form == "truncated":
        gain = truncated(logp, rho, credit, config.high)
    else:
        gain = regressed(logp, against, credit, constant(unit_of, logp), config.pull)
    return aggregate(-gain if weight is None else -gain * constant(weight, logp), scale)


def likelihood_loss(
    logp: Float[Array, "B T"],
    scale: Float[Array, "B T"],
    weight: Float[Array, "B T"] | None = None,
) -> Float[Array, ""]:
    """-sum scale weight log pi: imitation, anchors to an answer that should stay."""
    return aggregate(-logp if weight is None else -logp * constant(weight, logp), scale)


def divergence_loss(
    logp: Float[Array, "B T"],
    other: Float[Array, "B T"],
    scale: Float[Array, "B T"],
    estimator: Estimator,
    weight: Float[Array, "B T"] | None = None,
    *,
    ratio: Float[Array, "B T"] | None = None,
) -> Float[Array, ""]:
    """sum scale weight k(log pi - log pi_other), token by token; see `divergence.py` for what its
    gradient is and is not. ratio: of pi to what drew each token, a factor with a gradient."""
    xp = namespace(logp)
    there = constant(scale, logp) != 0.0
    # What does not count is taken out first: a gradient of 0 times infinity would be no number.
    apart = divergence(xp.where(there, logp, 0.0), xp.where(there, other, 0.0), estimator)
    if ratio is not None:
        apart = apart * xp.where(there, ratio, 1.0)
    return aggregate(apart if weight is None else apart * constant(weight, logp), scale)


def entropy_loss(
    entropy: Float[Array, "B T"], scale: Float[Array, "B T"], steer: Steer
) -> Float[Array, ""]:
    """-sum scale (bonus H - hold max(0, H - high H_usual) - hold max(0, low H_usual - H)): entropy
    is sought, and held near what was usual (EPO, 2025, its penalty made a hinge).

    Above its band the gradient in H is hold - bonus: with hold <= bonus entropy is still sought.
    """
    usual, hold = constant(steer.usual, entropy), constant(steer.hold, entropy)
    apart = outside_band(entropy, usual, steer.low, steer.high)
    return aggregate(hold * apart - steer.bonus * entropy, scale)
