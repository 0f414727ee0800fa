"""Whether a probability of 0.3 comes true three times in ten.

Legend: N options over all menus, each with a probability and an outcome (1 if chosen, else 0);
B observations, Z bins.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.metrics.intervals import Z95, Interval, clustered_mean
from penchant.metrics.scoring import chosen_indicator
from penchant.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Reliability:
    """Bins of equal mass along the probabilities: what was foretold, what came true.

    `low` and `high` are Wilson's (1927) 95 % interval of what came true, as if options were
    independent; those of one menu are not, quite.
    """

    mass: Float[Array, " Z"]
    predicted: Float[Array, " Z"]
    observed: Float[Array, " Z"]
    low: Float[Array, " Z"]
    high: Float[Array, " Z"]

    @property
    def error(self) -> float:
        """The mean over the bins of |observed - predicted|: the expected calibration error."""
        return float(np.abs(self.observed - self.predicted).mean())


def reliability(
    probabilities: Float[Array, " N"],
    outcomes: Float[Array, " N"],
    weight: Float[Array, " N"] | None = None,
    num_bins: int = 15,
) -> Reliability:
    """The reliability table over bins of exactly equal mass.

    Options are laid out by probability, each as long as its weight, and the line is cut into
    `num_bins` equal pieces; an option on a cut belongs to both sides in proportion. Options of
    equal probability are one stretch with their mean outcome, so that their order, which means
    nothing, changes nothing (Nguyen and O'Connor 2015 cut equal counts; the treatment of ties and
    cuts is ours). Of nothing, every bin is NaN.
    """
    if not len(probabilities):
        none = np.full(num_bins, np.nan)
        return Reliability(np.zeros(num_bins), none, none, none, none)
    weight = np.ones(len(probabilities)) if weight is None else weight
    values, tied = np.unique(probabilities, return_inverse=True)
    masses = np.bincount(tied, weight)
    # Cumulative sums are straight lines within a stretch of ties: cutting them is interpolation.
    ends = np.concatenate([[0.0], np.cumsum(masses)])
    cuts = np.linspace(0.0, ends[-1], num_bins + 1)

    def within(sums: Array) -> Array:
        return np.diff(np.interp(cuts, ends, np.concatenate([[0.0], np.cumsum(sums)])))

    mass = np.full(num_bins, ends[-1] / num_bins)
    predicted = within(values * masses) / mass
    observed = np.clip(within(np.bincount(tied, weight * outcomes)) / mass, 0.0, 1.0)
    low, high = wilson(observed, mass)
    return Reliability(mass, predicted, observed, low, high)


def expected_calibration_error(
    probabilities: Float[Array, " N"],
    outcomes: Float[Array, " N"],
    weight: Float[Array, " N"] | None = None,
    num_bins: int = 15,
) -> float:
    """The mean over the bins of `reliability` of |observed - predicted|; NaN of nothing.

    Every option of every menu counts, chosen or not. Noise alone makes it positive: compare with
    `calibration_floor`.
    """
    return reliability(probabilities, outcomes, weight, num_bins).error


def calibration_floor(
    probabilities: Float[Array, " N"],
    offsets: Int[Array, " B1"],
    generator: np.random.Generator,
    num_draws: int = 20,
    num_bins: int = 15,
) -> float:
    """The calibration error that these probabilities would show if they were exactly right.

    The mean over `num_draws` data sets in which every menu's choice is drawn from its
    probabilities.
    """
    if not len(probabilities):
        return float("nan")
    ends = np.cumsum(probabilities)
    before = ends[offsets[:-1]] - probabilities[offsets[:-1]]
    reach = ends[offsets[1:] - 1] - before
    sizes = np.diff(offsets)
    errors = []
    for _ in range(num_draws):
        mark = before + generator.random(len(sizes)) * reach
        place = np.searchsorted(ends, mark, side="right") - offsets[:-1]
        outcomes = chosen_indicator(offsets, np.clip(place, 0, sizes - 1))
        errors.append(expected_calibration_error(probabilities, outcomes, None, num_bins))
    return float(np.mean(errors))


def clustered_share(hits: Float[Array, " B"], cluster: Int[Array, " B"]) -> Interval:
    """A share of observations of people, with Wilson's interval, which stays in [0, 1].

    The observations count for as many independent ones as `clustered_mean`'s error says,
    p (1 - p) / error^2 (Kish 1965); where that says nothing, for as many as there are people.
    """
    mean = clustered_mean(hits, cluster)
    num = len(np.unique(cluster))
    if not np.isfinite(mean.estimate) or num < 2:
        return mean
    p, reach = mean.estimate, mean.high - mean.estimate
    counted = p * (1.0 - p) * (Z95 / reach) ** 2 if reach > 0 and 0 < p < 1 else float(num)
    low, high = wilson(np.array([p]), np.array([counted]))
    return Interval(p, float(low[0]), float(high[0]))


def wilson(share: Float[Array, " Z"], num: Float[Array, " Z"]) -> tuple[Array, Array]:
    """The 95 % interval of each share of `num` (Wilson 1927)."""
    z = Z95
    centre = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    reach = z / (1 + z**2 / num) * np.sqrt(share * (1 - share) / num + z**2 / (4 * num**2))
    return np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)
