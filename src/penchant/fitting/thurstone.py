"""Thurstonian utilities: every item has a mean worth and a noise of its own.

Legend: Q pairs that met, N items, M = 2 N parameters.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.data.pair_counts import PairCounts
from penchant.errors import ConfigError, DataError
from penchant.fitting.lbfgs import Slope, climb_lbfgs
from penchant.numerics.arrays import Array, inverse_mills, log_ndtr, ndtr


@dataclass(frozen=True, kw_only=True, slots=True)
class ThurstoneConfig:
    """prior_scale: standard deviation of the means before any vote, in units of a typical
    comparison's noise (so that a gap of 1 is won 84 % of the time between typical items).
    noise_spread: standard deviation of the items' log noise around the typical item's; 0 gives all
    items one noise (Thurstone's case V)."""

    prior_scale: float = 2.0
    noise_spread: float = 0.3
    max_steps: int = 500
    tolerance: float = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class ThurstoneFit:
    """utility of i ~ N(mean_i, noise_i^2), means with mean 0 and standard deviation 1 and the noise
    in the same unit; log_likelihood in nats, ties as half a win each."""

    items: tuple[str, ...]
    mean: Float[Array, " N"]
    noise: Float[Array, " N"]
    log_likelihood: float
    converged: bool

    def win_probability(
        self, first: Int[Array, "*Q"], second: Int[Array, "*Q"]
    ) -> Float[Array, "*Q"]:
        """P(first's utility is the higher one)."""
        spread = np.sqrt(self.noise[first] ** 2 + self.noise[second] ** 2)
        return ndtr((self.mean[first] - self.mean[second]) / spread)


def fit_thurstone(counts: PairCounts, config: ThurstoneConfig | None = None) -> ThurstoneFit:
    """Posterior mode of p(i beats j) = Phi((m_i - m_j) / sqrt(s_i^2 + s_j^2)) (Thurstone 1927, case
    III), as Mazeika et al. 2025 fit it to a language model's choices.

    Means and noises have one common scale that votes cannot tell; the typical noise is fixed at
    1 / sqrt(2) while fitting, and the result is told in units in which means have standard
    deviation 1. Two normal priors where the paper has none: without them an item that always wins,
    or one whose answers look like coin flips, runs away. Soft votes are kept as they are.

    Raises `DataError` without votes or with one item, `ConfigError` for scales out of range.
    """
    config = config or ThurstoneConfig()
    if counts.votes <= 0:
        raise DataError("there are no votes to fit; expected at least one pair that met.")
    if config.prior_scale <= 0 or config.noise_spread < 0:
        raise ConfigError(
            f"prior_scale = {config.prior_scale} and noise_spread = {config.noise_spread}; "
            "expected above 0, and 0 or above."
        )
    size = counts.num_items
    density = _Density(counts, config)
    climb = climb_lbfgs(
        density.slope, np.zeros(2 * size), max_steps=config.max_steps, memory=10, rounding=1e-13,
        flat=config.tolerance * max(1.0, counts.votes / size),
    )  # fmt: skip
    mean, noise = density.unpack(climb.theta)
    mean = mean - mean.mean()
    unit = float(mean.std())
    if unit <= 0:
        unit = 1.0  # No item differs from another: there is nothing to scale by.
    return ThurstoneFit(
        items=counts.items,
        mean=mean / unit,
        noise=noise / unit,
        log_likelihood=density.log_likelihood(mean, noise),
        converged=climb.converged,
    )


@dataclass(frozen=True, eq=False)
class _Density:
    counts: PairCounts
    config: ThurstoneConfig

    def unpack(self, theta: Float[Array, " M"]) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
        """Means, and noises from standard normal coordinates of their logarithm."""
        size = self.counts.num_items
        return theta[:size], np.exp(self.config.noise_spread * theta[size:]) / np.sqrt(2.0)

    def log_likelihood(self, mean: Float[Array, " N"], noise: Float[Array, " N"]) -> float:
        wins, losses = self.counts.halved()
        gap, _ = self._gaps(mean, noise)
        return float(wins @ log_ndtr(gap) + losses @ log_ndtr(-gap))

    def slope(self, theta: Float[Array, " M"]) -> Slope:
        """The log posterior and its gradient."""
        mean, noise = self.unpack(theta)
        wins, losses = self.counts.halved()
        gap, spread = self._gaps(mean, noise)
        slope = wins * inverse_mills(gap) - losses * inverse_mills(-gap)
        first, second, size = self.counts.first, self.counts.second, len(mean)
        along = slope / spread
        # d gap / d log noise_i = -gap noise_i^2 / spread^2.
        across = -slope * gap / spread**2
        to_mean = np.bincount(first, along, size) - np.bincount(second, along, size)
        to_log_noise = (np.bincount(first, across, size) + np.bincount(second, across, size)) * (
            noise**2
        )
        coordinates, precision = theta[size:], self.config.prior_scale**-2
        value = (
            self.log_likelihood(mean, noise)
            - 0.5 * precision * float(mean @ mean)
            - 0.5 * float(coordinates @ coordinates)
        )
        gradient = np.concatenate([
            to_mean - precision * mean, self.config.noise_spread * to_log_noise - coordinates
        ])  # fmt: skip
        return Slope(value=value, gradient=gradient)

    def _gaps(
        self, mean: Float[Array, " N"], noise: Float[Array, " N"]
    ) -> tuple[Float[Array, " Q"], Float[Array, " Q"]]:
        first, second = self.counts.first, self.counts.second
        spread = np.sqrt(noise[first] ** 2 + noise[second] ** 2)
        return (mean[first] - mean[second]) / spread, spread
