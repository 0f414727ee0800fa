"""One interval for every strength, of the kind that covers: chosen, and said which.

Legend: N items, B votes, R resamples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.fitting.interval_kinds import (
    IntervalConfig,
    chosen_kind,
    errors_as_chosen,
    errors_of_kind,
)
from penchant.fitting.interval_remarks import interval_remarks
from penchant.fitting.paired import PairedFit
from penchant.fitting.paired_bootstrap import bootstrap_voters, bootstrap_votes
from penchant.fitting.paired_errors import StrengthErrors, curvature_errors
from penchant.fitting.paired_information import PairedPoint
from penchant.fitting.paired_prior import WEAK_SCALE
from penchant.fitting.paired_profile import lopsidedness, posterior_ends, profile_ends
from penchant.metrics.intervals import students_quantile
from penchant.numerics.arrays import Array
from penchant.numerics.graph import bounded_sides

# From this skewness on the ends move by more than a tenth of a standard error.
_LOPSIDED = 0.15


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


def point_of(fit: PairedFit) -> PairedPoint:
    """The place at which a fit's doubt is measured."""
    return PairedPoint(
        counts=fit.counts, strengths=fit.strengths, island=fit.connectivity.island,
        ties=fit.model.ties, link=fit.model.link,
        tie_parameter=-np.inf if fit.tie_parameter is None else fit.tie_parameter,
        prior=fit.prior,
    )  # fmt: skip


def strength_intervals(
    fit: PairedFit,
    votes: Votes | None = None,
    config: IntervalConfig | None = None,
    generator: np.random.Generator | None = None,
    *,
    on_resample: Callable[[int, int], None] | None = None,
) -> StrengthIntervals:
    """Intervals of all strengths; `votes` are those that were counted, where voters matter.

    "auto": errors by voter where voters are named and some voted more than once; else by vote where
    ties are half-wins or votes have weights or are soft; else by curvature. Where fewer than ten
    equally busy voters, or ten votes of equal weight, judged an item, or where they all but agree,
    never narrower than by curvature. Items whose likelihood is
    lopsided get profile ends, as far apart as those errors say; ends that the votes do not bound
    are infinite (or the prior's).

    Raises `DataError` for kinds that need voters or votes that are not there.
    """
    config = config or IntervalConfig()
    generator = generator or np.random.default_rng(0)
    point = point_of(fit)
    below, above = _sides(fit)
    if config.kind in ("bootstrap", "voter_bootstrap"):
        return _resampled(fit, point, votes, config, generator, below, above, on_resample)
    plain = curvature_errors(point, generator)
    if config.kind == "auto":
        kind = chosen_kind(point, votes)
        errors = errors_as_chosen(kind, point, votes, plain, config.level, generator)
    else:
        kind = config.kind
        errors = errors_of_kind(kind, point, votes, plain, generator)
    lopsided = np.zeros(fit.counts.num_items, dtype=bool)
    if config.kind in ("auto", "profile"):
        lopsided = _lopsided(point, below, above) if config.kind == "auto" else ~lopsided
    low, high = _ends(point, errors, plain.se, lopsided, config.level)
    low, high = _unbounded(point, plain.se, low, high, below, above, config)
    return StrengthIntervals(
        se=errors.se, low=low, high=high, kind=kind, is_lopsided=lopsided,
        bounded_below=below, bounded_above=above, errors=errors,
        curvature=plain,
        notes=interval_remarks(votes, kind, config, errors, lopsided, below, above),
    )  # fmt: skip


def ends_at(
    fit: PairedFit, intervals: StrengthIntervals, level: float
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Ends of the same intervals at another level, infinite where the votes set no bound."""
    low, high = _ends(
        point_of(fit), intervals.errors, intervals.curvature.se, intervals.is_lopsided, level
    )
    low = np.where(intervals.bounded_below, low, -np.inf)
    return low, np.where(intervals.bounded_above, high, np.inf)


def _ends(
    point: PairedPoint,
    errors: StrengthErrors,
    curvature_se: Float[Array, " N"],
    lopsided: Bool[Array, " N"],
    level: float,
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Symmetric ends, and by the profile where the likelihood is lopsided."""
    reach = students_quantile(errors.degrees_of_freedom, level)
    low, high = point.strengths - reach * errors.se, point.strengths + reach * errors.se
    some = np.flatnonzero(lopsided & np.isfinite(curvature_se))
    if len(some):
        ratio = errors.se[some] / np.maximum(curvature_se[some], 1e-300)
        ends = profile_ends(point, curvature_se, some, reach[some] * ratio)
        low[some], high[some] = ends.low, ends.high
    return low, high


def _sides(fit: PairedFit) -> tuple[Bool[Array, " N"], Bool[Array, " N"]]:
    everywhere = np.ones(fit.counts.num_items, dtype=bool)
    if fit.prior is not None and not fit.prior.is_weak:
        return everywhere, everywhere
    seen = ~fit.connectivity.unseen
    if not fit.connectivity.is_separated:
        return seen, seen
    counts = fit.counts
    below, above = bounded_sides(
        counts.first, counts.second, counts.first_wins + counts.ties,
        counts.second_wins + counts.ties, fit.connectivity,
    )  # fmt: skip
    return below & seen, above & seen


def _lopsided(
    point: PairedPoint, below: Bool[Array, " N"], above: Bool[Array, " N"]
) -> Bool[Array, " N"]:
    return (lopsidedness(point) > _LOPSIDED) | ~below | ~above


def _unbounded(
    point: PairedPoint,
    curvature_se: Float[Array, " N"],
    low: Float[Array, " N"],
    high: Float[Array, " N"],
    below: Bool[Array, " N"],
    above: Bool[Array, " N"],
    config: IntervalConfig,
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    low, high = np.where(below, low, -np.inf), np.where(above, high, np.inf)
    some = np.flatnonzero(~(below & above))
    if config.unbounded == "prior" and len(some):
        ends = posterior_ends(point, curvature_se, some, config.level, WEAK_SCALE[point.link])
        low[some] = np.where(below[some], low[some], ends.low)
        high[some] = np.where(above[some], high[some], ends.high)
    return low, high


def _resampled(
    fit: PairedFit,
    point: PairedPoint,
    votes: Votes | None,
    config: IntervalConfig,
    generator: np.random.Generator,
    below: Bool[Array, " N"],
    above: Bool[Array, " N"],
    on_resample: Callable[[int, int], None] | None,
) -> StrengthIntervals:
    """Percentiles of refitted strengths (Efron 1979); by the profile where all votes go one way."""
    if config.kind == "voter_bootstrap":
        if votes is None:
            raise DataError(
                'interval "voter_bootstrap" needs votes one by one, and got counts. Fit to votes '
                'that name their voters, or use "bootstrap".'
            )
        draws = bootstrap_voters(
            fit, votes, config.num_resamples, generator, on_resample=on_resample
        )
    else:
        draws = bootstrap_votes(fit, config.num_resamples, generator, on_resample=on_resample)
    seen = ~fit.connectivity.unseen
    low, high = np.quantile(draws, [(1 - config.level) / 2, (1 + config.level) / 2], axis=0)
    errors = StrengthErrors(
        se=np.where(seen, draws.std(axis=0, ddof=1), np.inf),
        covariance=None, draws=draws - draws.mean(axis=0),
        accuracy=float(1.96 / np.sqrt(2.0 * config.num_resamples)),
        degrees_of_freedom=np.full(len(low), np.inf),
    )  # fmt: skip
    plain = curvature_errors(point, generator)
    # Resamples of nothing but wins are all wins: they know no low end for it.
    one_sided = seen & ~(below & above)
    shaped = _ends(point, plain, plain.se, one_sided, config.level)
    low, high = np.where(one_sided, shaped[0], low), np.where(one_sided, shaped[1], high)
    low, high = _unbounded(point, plain.se, low, high, below, above, config)
    return StrengthIntervals(
        se=errors.se, low=low, high=high, kind=config.kind, is_lopsided=one_sided,
        bounded_below=below, bounded_above=above, errors=errors,
        curvature=plain,
        notes=interval_remarks(
            votes, config.kind, config, errors, _lopsided(point, below, above), below, above
        ),
    )  # fmt: skip
