"""How strongly to shrink: families of coefficients whose common spread the data themselves tell.

A context-dependent model has hundreds of interactions, most of them near zero. Each family (all
interactions of one attribute, say) has a normal prior around zero with one unknown standard
deviation, chosen by the evidence.

Legend: M parameters, F families.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array

# Spreads in utility per standard deviation of a feature: below the first a family is gone.
SMALLEST, LARGEST = 1e-3, 10.0

Fit = TypeVar("Fit")


@dataclass(frozen=True, kw_only=True)
class Shrinkage:
    """families[m]: which family parameter m belongs to, -1 for none; names: one per family.

    rounds: at most so many re-estimates of the spreads; tolerance: stop when no log-spread moves
    by more than this.
    """

    families: tuple[int, ...]
    names: tuple[str, ...]
    rounds: int = 12
    tolerance: float = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned(Generic[Fit]):
    """The last fit, the prior precision of each parameter, and each family's spread."""

    fit: Fit
    precision: Float[Array, " M"]
    spreads: Float[Array, " F"]

    def sentence(self, shrinkage: Shrinkage) -> str:
        """The prior in words, for the report."""
        told = ", ".join(
            f"{name} {spread:.2g}" for name, spread in zip(shrinkage.names, self.spreads)
        )
        return (
            "normal around 0 within families, standard deviations learned from the data (utility "
            f"per standard deviation of the feature): {told}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Mode(Generic[Fit]):
    """A posterior mode under a given prior: theta, its covariance, and whatever the fit made."""

    theta: Float[Array, " M"]
    covariance: Float[Array, "M M"]
    fit: Fit


def learn_spreads(
    climb: Callable[[Float[Array, " M"], Float[Array, " M"] | None], Mode[Fit]],
    shrinkage: Shrinkage,
    scales: Float[Array, " M"],
    base_precision: Float[Array, " M"],
    start: Float[Array, " M"] | None = None,
    start_spread: float = 0.3,
) -> Learned[Fit]:
    """Type-II maximum likelihood of the families' spreads (MacKay 1992; Tipping 2001).

    tau_f^2 = sum_m (theta_m s_m)^2 / gamma_f with gamma_f = sum_m (1 - Var(theta_m) s_m^2 /
    tau_f^2), the number of coefficients that the data determine; s_m is the standard deviation of
    the feature. `climb(precision, start)` finds the mode for one prior, from the last one.
    """
    families = np.array(shrinkage.families)
    size = np.where(scales > 0, scales, 1.0)
    spreads = np.full(len(shrinkage.names), start_spread)
    for _ in range(shrinkage.rounds):
        precision = base_precision + _precision(families, spreads, size)
        mode = climb(precision, start)
        start = mode.theta
        weights, variance = mode.theta * size, np.diag(mode.covariance) * size**2
        fresh = spreads.copy()
        for family, spread in enumerate(spreads):
            mine = families == family
            # Nothing determined: the data do not need the family at all.
            fresh[family] = evidence_spread(weights[mine], variance[mine], float(spread))
        fresh = np.clip(fresh, SMALLEST, LARGEST)
        moved = np.max(np.abs(np.log(fresh / spreads)), initial=0.0)
        spreads = fresh
        if moved < shrinkage.tolerance:
            break
    precision = base_precision + _precision(families, spreads, size)
    return Learned(fit=climb(precision, start).fit, precision=precision, spreads=spreads)


def evidence_spread(
    weights: Float[Array, "*M"], variance: Float[Array, "*M"], spread: float, *, least: float = 0.0
) -> float:
    """One step of MacKay's (1992) fixed point, sqrt(|w|^2 / gamma), for weights ~ N(0, spread^2).

    gamma = sum_m (1 - variance_m / spread^2) is the number of weights that the data determine, of
    the posterior's variances; it counts as `least` where it is smaller. 0 where nothing is
    determined.
    """
    determined = max(float(np.sum(1.0 - np.minimum(variance / spread**2, 1.0))), least)
    return float(np.sqrt((weights**2).sum() / determined)) if determined > 0 else 0.0


def _precision(
    families: Array, spreads: Float[Array, " F"], size: Float[Array, " M"]
) -> Float[Array, " M"]:
    padded = np.append(spreads, np.inf)  # family -1 reads the last entry: no prior
    return (size / padded[families]) ** 2
