"""Intervals of strengths from their errors or resamples, and where lopsided from the shape itself.

Legend: N items, A items asked about, R resamples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.rankings import Rankings
from penchant.data.votes import Votes
from penchant.fitting.interval_kinds import IntervalConfig
from penchant.fitting.interval_remarks import interval_remarks
from penchant.fitting.item_profile import Ends
from penchant.fitting.paired_errors import StrengthErrors
from penchant.metrics.intervals import students_quantile
from penchant.numerics.arrays import Array

# From this skewness on the ends move by more than a tenth of a standard error.
_LOPSIDED = 0.15


@dataclass(frozen=True, kw_only=True, eq=False)
class Shape:
    """The likelihood of N strengths, seen item by item.

    below, above: whether the data bound the item on that side; seen: whether it met anybody.
    skewness: of each item's likelihood; profile: ends of some items at normal cutoffs; posterior:
    ends of some items at a level, under a weak prior. has_profile: whether there are such ends;
    where there are none all ends are symmetric.
    """

    strengths: Float[Array, " N"]
    seen: Bool[Array, " N"]
    below: Bool[Array, " N"]
    above: Bool[Array, " N"]
    skewness: Callable[[], Float[Array, " N"]]
    profile: Callable[[Int[Array, " A"], Float[Array, " A"]], Ends]
    posterior: Callable[[Int[Array, " A"], float], Ends]
    has_profile: bool = True

    def lopsided(self) -> Bool[Array, " N"]:
        """Items whose ends are visibly nearer on one side."""
        if not self.has_profile:
            return np.zeros(len(self.strengths), dtype=bool)
        return (self.skewness() > _LOPSIDED) | ~self.below | ~self.above


@dataclass(frozen=True, kw_only=True, eq=False)
class StrengthIntervals:
    """Intervals of strengths in the gauge of mean zero within each island.

    kind: how most ends were found; is_lopsided: items whose ends follow the likelihood's shape
    instead. bounded_below, bounded_above: whether the votes bound the item on that side. errors:
    with the covariance or draws from which rank intervals follow. curvature: those that trust
    the model, by which profiles are measured. notes: what a reader should know, in sentences."""

    se: Float[Array, " N"]
    low: Float[Array, " N"]
    high: Float[Array, " N"]
    kind: str
    is_lopsided: Bool[Array, " N"]
    bounded_below: Bool[Array, " N"]
    bounded_above: Bool[Array, " N"]
    errors: StrengthErrors
    curvature: StrengthErrors
    notes: tuple[str, ...]


def estimated_intervals(
    shape: Shape,
    kind: str,
    errors: StrengthErrors,
    plain: StrengthErrors,
    config: IntervalConfig,
    data: Votes | Rankings | None,
) -> StrengthIntervals:
    """From errors of a kind; `plain` are those by curvature. Under "auto" lopsided items get
    profile ends, under "profile" all do."""
    lopsided = np.zeros(len(shape.strengths), dtype=bool)
    if config.kind in ("auto", "profile"):
        lopsided = shape.lopsided() if config.kind == "auto" else ~lopsided
    low, high = _ends(shape, errors, plain.se, lopsided, config.level)
    return _assembled(shape, kind, errors, plain, (low, high), lopsided, lopsided, config, data)


def resampled_intervals(
    shape: Shape,
    draws: Float[Array, "R N"],
    plain: StrengthErrors,
    config: IntervalConfig,
    data: Votes | Rankings | None,
) -> StrengthIntervals:
    """Percentiles of refitted strengths (Efron 1979); by the profile where all goes one way."""
    low, high = np.quantile(draws, [(1 - config.level) / 2, (1 + config.level) / 2], axis=0)
    errors = StrengthErrors(
        se=np.where(shape.seen, draws.std(axis=0, ddof=1), np.inf),
        covariance=None, draws=draws - draws.mean(axis=0),
        accuracy=float(1.96 / np.sqrt(2.0 * config.num_resamples)),
        degrees_of_freedom=np.full(len(low), np.inf),
    )  # fmt: skip
    # Resamples of nothing but wins are all wins: they know no low end for it.
    one_sided = shape.seen & ~(shape.below & shape.above) & shape.has_profile
    if one_sided.any():
        shaped = _ends(shape, plain, plain.se, one_sided, config.level)
        low, high = np.where(one_sided, shaped[0], low), np.where(one_sided, shaped[1], high)
    return _assembled(
        shape, config.kind, errors, plain, (low, high), one_sided, shape.lopsided(), config, data
    )


def shaped_ends(
    shape: Shape, intervals: StrengthIntervals, level: float
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Ends of the same intervals at another level, infinite where the data set no bound."""
    low, high = _ends(shape, intervals.errors, intervals.curvature.se, intervals.is_lopsided, level)
    low = np.where(intervals.bounded_below, low, -np.inf)
    return low, np.where(intervals.bounded_above, high, np.inf)


def _ends(
    shape: Shape,
    errors: StrengthErrors,
    curvature_se: Float[Array, " N"],
    lopsided: Bool[Array, " N"],
    level: float,
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Symmetric ends, and by the profile where the likelihood is lopsided."""
    reach = students_quantile(errors.degrees_of_freedom, level)
    low, high = shape.strengths - reach * errors.se, shape.strengths + reach * errors.se
    some = np.flatnonzero(lopsided & np.isfinite(curvature_se))
    if len(some):
        ratio = errors.se[some] / np.maximum(curvature_se[some], 1e-300)
        ends = shape.profile(some, reach[some] * ratio)
        low[some], high[some] = ends.low, ends.high
    return low, high


def _assembled(
    shape: Shape,
    kind: str,
    errors: StrengthErrors,
    plain: StrengthErrors,
    ends: tuple[Float[Array, " N"], Float[Array, " N"]],
    is_shaped: Bool[Array, " N"],
    lopsided: Bool[Array, " N"],
    config: IntervalConfig,
    data: Votes | Rankings | None,
) -> StrengthIntervals:
    below, above = shape.below, shape.above
    low, high = np.where(below, ends[0], -np.inf), np.where(above, ends[1], np.inf)
    some = np.flatnonzero(~(below & above))
    if config.unbounded == "prior" and len(some):
        prior = shape.posterior(some, config.level)
        low[some] = np.where(below[some], low[some], prior.low)
        high[some] = np.where(above[some], high[some], prior.high)
    return StrengthIntervals(
        se=errors.se, low=low, high=high, kind=kind, is_lopsided=is_shaped,
        bounded_below=below, bounded_above=above, errors=errors, curvature=plain,
        notes=interval_remarks(data, kind, config, errors, lopsided, below, above),
    )  # fmt: skip
