"""A ranked table: one line an item, with what can be said of its score and of its place.

Legend: N items.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.fitting.interval_kinds import IntervalConfig, IntervalKind, floored_by_voter
from penchant.fitting.interval_remarks import interval_remarks, why
from penchant.fitting.paired import PairedFit
from penchant.fitting.paired_errors import StrengthErrors
from penchant.fitting.paired_intervals import ends_at
from penchant.fitting.ranked import RankedFit
from penchant.fitting.ranked_intervals import ranked_ends_at
from penchant.fitting.shaped_intervals import StrengthIntervals
from penchant.fitting.votes_table import VotesFit
from penchant.metrics.intervals import students_quantile
from penchant.metrics.rank_intervals import (
    RankIntervals,
    ranks_from_intervals,
    sidak_level,
    simultaneous_ranks,
)
from penchant.numerics.arrays import Array

# Elo's scale: 400 points are odds of 10 to 1; 1,000 is the mean of an island.
ELO_PER_LOGIT = 400.0 / math.log(10.0)
ELO_MEAN = 1000.0
# The standard deviation of the logistic over the normal's that is closest to it.
LOGITS_PER_PROBIT = 1.702
# All differences are compared up to here, in some seconds; beyond, intervals of single scores are.
MOST_COMPARED = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """One item of a leaderboard.

    strength: in logits (probits for Thurstone), mean 0 over the items
    of an island that no weak prior holds; elo: the same on Elo's
    scale, mean 1,000. se: standard error of the strength; low, high: its interval, infinite where
    the data set no bound. rank: 1 is best, within the island; rank_low, rank_high: the best and
    the worst rank that the data allow, for all items at once. votes: comparisons the item took
    part in, by weight. island: number of the set of items that it can be compared with.
    """

    name: str
    strength: float
    elo: float
    se: float
    low: float
    high: float
    rank: int
    rank_low: int
    rank_high: int
    votes: float
    island: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Bounds:
    """What is known of N strengths: standard errors, ends of intervals, and the covariance where
    there is room for it. at_once: low and high ends that hold for all items together, where items
    are too many to compare every two. shape: the covariance by curvature, where `covariance` is a
    guess of few voters. `notes` says how they were found and what to mind."""

    se: Float[Array, " N"]
    low: Float[Array, " N"]
    high: Float[Array, " N"]
    covariance: Float[Array, "N N"] | None
    level: float
    kind: str
    degrees_of_freedom: Float[Array, " N"]
    shape: Float[Array, "N N"] | None = None
    at_once: tuple[Float[Array, " N"], Float[Array, " N"]] | None = None
    notes: tuple[str, ...] = ()


def paired_bounds(fit: PairedFit, intervals: StrengthIntervals, level: float) -> Bounds:
    """Of intervals for pairs."""
    return _interval_bounds(intervals, level, lambda at: ends_at(fit, intervals, at))


def ranked_bounds(fit: RankedFit, intervals: StrengthIntervals, level: float) -> Bounds:
    """Of intervals for rankings."""
    return _interval_bounds(intervals, level, lambda at: ranked_ends_at(fit, intervals, at))


def _interval_bounds(
    intervals: StrengthIntervals,
    level: float,
    ends: Callable[[float], tuple[Float[Array, " N"], Float[Array, " N"]]],
) -> Bounds:
    """`ends` at another level serve ranks where items are too many to compare every two."""
    errors, num_items = intervals.errors, len(intervals.se)
    covariance = errors.covariance
    if covariance is None and errors.draws is not None and len(errors.draws) > num_items:
        covariance = np.cov(errors.draws, rowvar=False)
    at_once = None
    if covariance is None or num_items > MOST_COMPARED:
        at_once = ends(sidak_level(level, num_items))
    return Bounds(
        se=intervals.se, low=intervals.low, high=intervals.high, covariance=covariance,
        level=level, kind=intervals.kind, degrees_of_freedom=errors.degrees_of_freedom,
        shape=intervals.curvature.covariance if intervals.kind == "voter" else None,
        at_once=at_once, notes=intervals.notes,
    )  # fmt: skip


def normal_bounds(
    strengths: Float[Array, " N"],
    covariance: Float[Array, "N N"],
    level: float,
    degrees_of_freedom: Float[Array, " N"] | None = None,
    *,
    kind: IntervalKind = "wald",
    shape: Float[Array, "N N"] | None = None,
) -> Bounds:
    """Symmetric intervals from a covariance of strengths, Student's where degrees are given."""
    se = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    degrees = np.full(len(se), np.inf) if degrees_of_freedom is None else degrees_of_freedom
    low, high = _symmetric(strengths, se, degrees, level)
    at_once = None
    if len(se) > MOST_COMPARED:
        at_once = _symmetric(strengths, se, degrees, sidak_level(level, len(se)))
    return Bounds(
        se=se, low=low, high=high, covariance=covariance, level=level, kind=kind,
        degrees_of_freedom=degrees, shape=shape, at_once=at_once,
        notes=(f"{100 * level:.10g}% intervals {why(kind)}.",),
    )  # fmt: skip


def votes_bounds(fit: VotesFit, level: float, *, is_auto: bool = True) -> Bounds:
    """Of a fit to single votes: by voter where its errors are, else by curvature. With `is_auto`
    few voters, or voters who all but agree, are never surer than the curvature."""
    if fit.degrees_of_freedom is None or fit.curvature_covariance is None:
        return normal_bounds(fit.strengths, fit.strength_covariance, level)
    degrees, free = fit.degrees_of_freedom, np.full(len(fit.items), np.inf)
    errors, plain = (
        StrengthErrors(
            se=np.sqrt(np.maximum(np.diag(covariance), 0.0)), covariance=covariance, draws=None,
            accuracy=0.0, degrees_of_freedom=freedom,
        )
        for covariance, freedom in ((fit.strength_covariance, degrees),
                                    (fit.curvature_covariance, free))
    )  # fmt: skip
    if is_auto:
        errors = floored_by_voter(errors, plain, level)
    assert errors.covariance is not None
    bounds = normal_bounds(
        fit.strengths, errors.covariance, level, errors.degrees_of_freedom, kind="voter",
        shape=plain.covariance,
    )  # fmt: skip
    nothing = np.zeros(len(degrees), dtype=bool)
    config = IntervalConfig(kind="voter", level=level)
    remarks = interval_remarks(None, "voter", config, errors, nothing, ~nothing, ~nothing)
    return replace(bounds, notes=remarks)


def resampled_bounds(
    strengths: Float[Array, " N"],
    draws: Float[Array, "R N"],
    level: float,
    shape: Float[Array, "N N"],
) -> Bounds:
    """Percentiles of strengths fitted to voters drawn anew; infinite where `shape` is, for an item
    that met nobody."""
    covariance = np.atleast_2d(np.cov(draws, rowvar=False))
    unseen = np.isinf(np.diag(shape))
    covariance[unseen, unseen] = np.inf
    bounds = normal_bounds(strengths, covariance, level, kind="voter_bootstrap", shape=shape)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    low, high = np.where(unseen, -np.inf, low), np.where(unseen, np.inf, high)
    return replace(bounds, low=low, high=high)


def _symmetric(
    strengths: Float[Array, " N"], se: Float[Array, " N"], degrees: Float[Array, " N"], level: float
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    reach = students_quantile(degrees, level) * se
    return strengths - reach, strengths + reach


def open_ends(bounds: Bounds, below: Bool[Array, " N"], above: Bool[Array, " N"]) -> Bounds:
    """Infinite where the data set no bound."""

    def opened(low: Array, high: Array) -> tuple[Array, Array]:
        return np.where(below, low, -np.inf), np.where(above, high, np.inf)

    low, high = opened(bounds.low, bounds.high)
    at_once = None if bounds.at_once is None else opened(*bounds.at_once)
    return replace(bounds, low=low, high=high, at_once=at_once)


def rank_bounds(
    strengths: Float[Array, " N"],
    bounds: Bounds,
    island: Int[Array, " N"],
    generator: np.random.Generator,
) -> RankIntervals:
    """Ranks within each island that hold for all items at once: by differences, or by score
    intervals where items are many."""
    found = _ranks_of_all(strengths, bounds, island, generator)
    # An item of another island counts as neither above nor below: it only widens the worst rank.
    size = np.bincount(island)[island]
    order = np.lexsort((-strengths, island))
    first_equal = np.zeros(len(strengths), dtype=np.int64)
    begins = np.ones(len(strengths), dtype=bool)
    begins[1:] = (np.diff(strengths[order]) != 0) | (np.diff(island[order]) != 0)
    first_equal[order] = np.maximum.accumulate(np.where(begins, np.arange(len(strengths)), 0))
    island_start = np.concatenate([[0], np.cumsum(np.bincount(island))])[island]
    return replace(
        found, rank=1 + first_equal - island_start, high=found.high - (len(strengths) - size)
    )


def _ranks_of_all(
    strengths: Float[Array, " N"],
    bounds: Bounds,
    island: Int[Array, " N"],
    generator: np.random.Generator,
) -> RankIntervals:
    if bounds.covariance is not None and len(strengths) <= MOST_COMPARED:
        return simultaneous_ranks(
            strengths, bounds.covariance, generator, level=bounds.level, island=island,
            degrees_of_freedom=bounds.degrees_of_freedom, shape=bounds.shape,
        )  # fmt: skip
    assert bounds.at_once is not None
    return ranks_from_intervals(strengths, *bounds.at_once, island=island)


def standings(
    items: tuple[str, ...],
    strengths: Float[Array, " N"],
    bounds: Bounds,
    found: RankIntervals,
    votes: Float[Array, " N"],
    island: Int[Array, " N"],
    logits_per_unit: float = 1.0,
) -> tuple[Standing, ...]:
    """The table: islands by size, in each the best first; equals in the order of `items`."""
    elo = ELO_MEAN + ELO_PER_LOGIT * logits_per_unit * strengths
    return tuple(
        Standing(
            name=items[i], strength=float(strengths[i]), elo=float(elo[i]), se=float(bounds.se[i]),
            low=float(bounds.low[i]), high=float(bounds.high[i]), rank=int(found.rank[i]),
            rank_low=int(found.low[i]), rank_high=int(found.high[i]), votes=float(votes[i]),
            island=int(island[i]),
        )
        for i in np.lexsort((-strengths, island))
    )  # fmt: skip
