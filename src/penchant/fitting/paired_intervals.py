"""One interval for every strength, of the kind that covers: chosen, and said which.

Legend: N items, B votes, R resamples.
"""

from collections.abc import Callable

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
from penchant.fitting.paired import PairedFit
from penchant.fitting.paired_bootstrap import bootstrap_voters, bootstrap_votes
from penchant.fitting.paired_errors import StrengthErrors, curvature_errors
from penchant.fitting.paired_information import PairedPoint
from penchant.fitting.paired_prior import WEAK_SCALE
from penchant.fitting.paired_profile import lopsidedness, posterior_ends, profile_ends
from penchant.fitting.shaped_intervals import (
    Shape,
    StrengthIntervals,
    estimated_intervals,
    resampled_intervals,
    shaped_ends,
)
from penchant.numerics.arrays import Array
from penchant.numerics.graph import bounded_sides


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
    if config.kind in ("bootstrap", "voter_bootstrap"):
        draws = _resamples(fit, votes, config, generator, on_resample)
        plain = curvature_errors(point, generator)
        return resampled_intervals(_shape(fit, point, plain), draws, plain, config, votes)
    plain = curvature_errors(point, generator)
    if config.kind == "auto":
        kind = chosen_kind(point, votes)
        errors = errors_as_chosen(kind, point, votes, plain, config.level, generator)
    else:
        kind = config.kind
        errors = errors_of_kind(kind, point, votes, plain, generator)
    return estimated_intervals(_shape(fit, point, plain), kind, errors, plain, config, votes)


def ends_at(
    fit: PairedFit, intervals: StrengthIntervals, level: float
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Ends of the same intervals at another level, infinite where the votes set no bound."""
    return shaped_ends(_shape(fit, point_of(fit), intervals.curvature), intervals, level)


def _shape(fit: PairedFit, point: PairedPoint, plain: StrengthErrors) -> Shape:
    below, above = _sides(fit)
    return Shape(
        strengths=fit.strengths, seen=~fit.connectivity.unseen, below=below, above=above,
        skewness=lambda: lopsidedness(point),
        profile=lambda items, cutoff: profile_ends(point, plain.se, items, cutoff),
        posterior=lambda items, level: posterior_ends(
            point, plain.se, items, level, WEAK_SCALE[point.link]
        ),
    )  # fmt: skip


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


def _resamples(
    fit: PairedFit,
    votes: Votes | None,
    config: IntervalConfig,
    generator: np.random.Generator,
    on_resample: Callable[[int, int], None] | None,
) -> Float[Array, "R N"]:
    if config.kind == "bootstrap":
        return bootstrap_votes(fit, config.num_resamples, generator, on_resample=on_resample)
    if votes is None:
        raise DataError(
            'interval "voter_bootstrap" needs votes one by one, and got counts. Fit to votes '
            'that name their voters, or use "bootstrap".'
        )
    return bootstrap_voters(fit, votes, config.num_resamples, generator, on_resample=on_resample)
