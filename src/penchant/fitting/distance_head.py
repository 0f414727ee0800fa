"""A head that chooses by nearness: a point for each option, worth by distance from it.

Legend: B observations, K options, D features.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.fitting.lbfgs import Slope, climb_lbfgs
from penchant.numerics.arrays import Array, log_sum_exp, softmax
from penchant.numerics.threads import one_blas_thread
from penchant.utilities.distance import Distance, euclidean, harmonic_worths


@dataclass(frozen=True, kw_only=True, eq=False)
class DistanceHead:
    """points: where each option lies among the features. power: n of `harmonic_worths`.
    log_likelihood: nats, of what it was fitted on."""

    points: Float[Array, "K D"]
    power: float
    distance: Distance
    log_likelihood: float
    converged: bool

    def worths(self, features: Float[Array, "B D"]) -> Float[Array, "B K"]:
        """-n log d of each option."""
        return harmonic_worths(self.distance(features, self.points).distance, self.power)

    def probabilities(self, features: Float[Array, "B D"]) -> Float[Array, "B K"]:
        """Of choosing each option: the conditional logit of the worths."""
        return softmax(self.worths(features), axis=1)


@one_blas_thread
def fit_distance_head(
    features: Float[Array, "B D"],
    chosen: Int[Array, " B"],
    *,
    distance: Distance = euclidean,
    power: float | None = None,
    prior_scale: float = 4.0,
    max_steps: int = 300,
) -> DistanceHead:
    """The mode of sum_b log p(chosen_b), p = d^-n / sum_j d_j^-n (harmonic loss, Baek et al. 2025).

    power None: sqrt(D), their default. The points start at the means of those who chose them, and
    have a normal prior around there with `prior_scale` times each feature's standard deviation,
    which keeps an option that few chose near them. Not concave: a top near the means is found; at
    the kinks of Manhattan and Bray-Curtis steps may end before the top, and `converged` says so.

    Raises `DataError` for features that are not finite or an option that nobody chose,
    `ConfigError` for a power or a scale that is not positive.
    """
    power = float(np.sqrt(features.shape[1])) if power is None else power
    _check(features, chosen, power, prior_scale)
    num_options, rows = int(chosen.max()) + 1, np.arange(len(chosen))
    means = np.array([features[chosen == k].mean(axis=0) for k in range(num_options)])
    spread = features.std(axis=0)
    spread = prior_scale * np.where(spread > 0, spread, 1.0)

    def slope(theta: Float[Array, " M"]) -> Slope:
        # In units of the prior, so that every coordinate is of one size.
        near = distance(features, means + theta.reshape(means.shape) * spread)
        worth = harmonic_worths(near.distance, power)
        value = float((worth[rows, chosen] - log_sum_exp(worth, axis=1)).sum())
        pull = -softmax(worth, axis=1)
        pull[rows, chosen] += 1.0
        by_point = np.einsum("bk,bkd->kd", -power * pull / near.distance, near.slope) * spread
        return Slope(value=value - 0.5 * float(theta @ theta), gradient=by_point.ravel() - theta)

    climb = climb_lbfgs(slope, np.zeros(means.size), max_steps=max_steps)
    return DistanceHead(
        points=means + climb.theta.reshape(means.shape) * spread, power=power, distance=distance,
        log_likelihood=climb.value + 0.5 * float(climb.theta @ climb.theta),
        converged=climb.converged,
    )  # fmt: skip


def _check(
    features: Float[Array, "B D"], chosen: Int[Array, " B"], power: float, prior_scale: float
) -> None:
    if not (power > 0 and prior_scale > 0):
        raise ConfigError(
            f"got power={power}, prior_scale={prior_scale}; expected positive numbers."
        )
    if not len(chosen) or not np.all(np.isfinite(features)):
        raise DataError(
            "there are no observations, or their features are not all finite numbers; expected "
            "at least one of finite features. Drop rows that lack any."
        )
    count = np.bincount(chosen) if chosen.min() >= 0 else np.zeros(1)
    if not count.all():
        raise DataError(
            f"option {int(count.argmin())} of {len(count)} was chosen by nobody, or numbers are "
            "below 0; expected options numbered 0 and up, each chosen at least once. Number those "
            "that were."
        )
