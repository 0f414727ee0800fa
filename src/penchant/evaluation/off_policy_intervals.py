"""Which interval an off-policy estimate gets, and what its terms must be like for it to hold.

Legend: B rounds, N options over all menus, C clusters (people, most often).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from penchant.data.decisions import Decisions
from penchant.errors import ConfigError
from penchant.metrics.intervals import Interval, bootstrap_mean, clustered_mean
from penchant.metrics.sequences import asymptotic_sequence, empirical_bernstein
from penchant.numerics.arrays import Array

IntervalKind = Literal["normal", "bootstrap", "bernstein", "anytime"]
INTERVALS = ("normal", "bootstrap", "bernstein", "anytime")


@dataclass(frozen=True, kw_only=True)
class IntervalConfig:
    """kind: "normal" (Student's, clustered by person), "bootstrap" (over people, of the terms),
    "bernstein" (at any size; estimates by weights alone), "anytime" (may be looked at as the log
    grows). tightest_at: number of people at which the latter is narrowest; fixed before the first
    look, as an interval tuned again at every look does not hold over all of them."""

    kind: IntervalKind = "normal"
    level: float = 0.95
    num_draws: int = 1000
    tightest_at: float = 1000.0

    def __post_init__(self) -> None:
        if self.kind not in INTERVALS:
            raise ConfigError(
                f"the interval is {self.kind!r}; expected one of {', '.join(INTERVALS)}."
            )
        if not 0 < self.level < 1:
            raise ConfigError(f"the level is {self.level}; expected a share such as 0.95.")
        if self.num_draws < 1 or not 0 < self.tightest_at < np.inf:
            raise ConfigError(
                f"num_draws is {self.num_draws} and tightest_at {self.tightest_at}; expected "
                "numbers above 0."
            )


@dataclass(frozen=True)
class Ends:
    """What the terms of a round cannot pass, and what their expectation cannot."""

    low: float
    high: float
    least: float
    most: float


def ends_of_terms(
    decisions: Decisions, target: Float[Array, " N"], clip: float | None
) -> dict[str, Ends]:
    """Ends of the terms of estimators by weights alone, given the situations of the log.

    None unless rewards are of the kind "binary" and the propensities of whole menus are known:
    rewards of another kind have no end, though all that were seen be 0 or 1. Nor have terms with a
    reward model, which carry the model's own doubt, and self-normalised ones, which hang together;
    clipped ones have where `clip` was not picked by looking at them. "gain" is ips less the reward.
    """
    if (
        decisions.reward_kind != "binary"
        or not decisions.has_whole_propensities
        or np.isnan(target).any()
    ):
        return {}
    possible = decisions.propensities > 0
    most = float((target[possible] / decisions.propensities[possible]).max(initial=0.0))
    found = {"ips": Ends(0.0, most, 0.0, 1.0), "gain": Ends(-1.0, max(most - 1.0, 0.0), -1.0, 1.0)}
    if clip is not None:
        found["clipped ips"] = Ends(0.0, min(clip, most), 0.0, 1.0)
    return found


def interval_of(
    decisions: Decisions,
    terms: Float[Array, " B"],
    ends: Ends | None,
    config: IntervalConfig,
    generator: np.random.Generator,
) -> Interval:
    """The interval of the terms' mean; NaN ends where Bernstein's kind knows no `ends`."""
    cluster, weight, level = decisions.cluster, decisions.weight, config.level
    if config.kind == "normal":
        return clustered_mean(terms, cluster, weight, level)
    if config.kind == "bootstrap":
        return bootstrap_mean(terms, cluster, generator, weight, level, config.num_draws)
    mean = float(np.average(terms, weights=weight))
    if config.kind == "bernstein":
        return _bernstein(decisions, terms, mean, ends, level)
    # About the mean: how many rounds somebody has must not count as spread of the terms.
    units = mean + _per_person(decisions, terms - mean)
    low, high = asymptotic_sequence(units, level, config.tightest_at)
    return Interval(mean, float(low[-1]), float(high[-1]))


def _bernstein(
    decisions: Decisions,
    terms: Float[Array, " B"],
    mean: float,
    ends: Ends | None,
    level: float,
) -> Interval:
    if ends is None or not ends.low < ends.high:
        return Interval(mean, np.nan, np.nan)
    sizes = _per_person(decisions, np.ones(len(terms)))
    reach = np.outer((ends.low, ends.high), sizes)
    low, high = min(float(reach.min()), 0.0), float(reach.max())
    found = empirical_bernstein(_per_person(decisions, terms), low, high, level)
    # Nothing earns less than the least reward nor more than the most.
    kept = np.clip([found.low, found.high], ends.least, ends.most)
    return Interval(mean, float(kept[0]), float(kept[1]))


def _per_person(decisions: Decisions, terms: Float[Array, " B"]) -> Float[Array, " C"]:
    """One term a person, in order of appearance, whose mean is that of the rounds."""
    first = np.unique(decisions.cluster, return_index=True)[1]
    total = np.bincount(decisions.cluster, decisions.weight * terms)
    return total[np.argsort(first, kind="stable")] * len(first) / decisions.weight.sum()
