"""Weights of attributes from comparisons and from the reasons that people give for them.

Legend: B comparisons, D attributes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.feedback.reason import reason_log_prob, reason_score
from penchant.fitting.lbfgs import Slope, climb_lbfgs
from penchant.numerics.arrays import Array, log_sigmoid, sigmoid
from penchant.numerics.threads import one_blas_thread


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

    def slope(w: Float[Array, " D"]) -> Slope:
        gap, contributions = differences @ w, differences * w
        arguments = (contributions, named, config.sharpness, config.lapse)
        value = log_sigmoid(gap) + config.reason_weight * reason_log_prob(*arguments)
        pull = config.reason_weight * reason_score(*arguments) + sigmoid(-gap)[:, None]
        gradient = np.einsum("b,bd,bd->d", weight, pull, differences) - precision * w
        return Slope(
            value=float(weight @ value) - 0.5 * precision * float(w @ w), gradient=gradient
        )

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
