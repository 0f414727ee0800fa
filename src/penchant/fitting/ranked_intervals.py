"""One interval for every Plackett-Luce strength, of the kind that covers: chosen, and said which.

Legend: N items, R rankings.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from penchant.fitting.interval_kinds import (
    IntervalConfig,
    IntervalKind,
    floored_by_voter,
    has_repeating_voters,
)
from penchant.fitting.paired_errors import StrengthErrors
from penchant.fitting.ranked import RankedFit
from penchant.fitting.ranked_errors import Trust, bootstrap_rankings, ranked_errors
from penchant.fitting.ranked_profile import (
    check_profile,
    has_profile,
    ranked_posterior_ends,
    ranked_profile_ends,
    ranked_skewness,
)
from penchant.fitting.shaped_intervals import (
    Shape,
    StrengthIntervals,
    estimated_intervals,
    resampled_intervals,
    shaped_ends,
)
from penchant.numerics.arrays import Array

_TRUST: dict[str, Trust] = {"sandwich": "rankings", "voter": "voters"}


def ranked_intervals(
    fit: RankedFit,
    config: IntervalConfig | None = None,
    generator: np.random.Generator | None = None,
    *,
    on_resample: Callable[[int, int], None] | None = None,
) -> StrengthIntervals:
    """Intervals of all strengths of rankings.

    "auto": errors by voter where voters are named and some ranked more than once, never narrower
    than by curvature where fewer than ten equally busy voters ranked an item, or they all but
    agree; else by curvature. Items whose likelihood is lopsided get profile ends, as far apart as
    those errors say, where rankings are few enough for a profile (some 20 million stages that
    items saw, less with ties above other items). Ends that the rankings do not bound are infinite
    (or the prior's).

    Raises DataError for kinds that need voters that are not named, for profiles of too many
    rankings, and beyond some thousand items.
    """
    config = config or IntervalConfig()
    generator = generator or np.random.default_rng(0)
    if config.kind == "profile" or config.unbounded == "prior":
        check_profile(fit)
    plain = ranked_errors(fit)
    shape = _shape(fit, plain)
    if config.kind in ("bootstrap", "voter_bootstrap"):
        draws = bootstrap_rankings(
            fit, config.num_resamples, generator, by_voter=config.kind == "voter_bootstrap",
            on_resample=on_resample,
        )  # fmt: skip
        return resampled_intervals(shape, draws, plain, config, fit.rankings)
    kind: IntervalKind = config.kind
    if kind == "auto":
        kind = "voter" if has_repeating_voters(fit.rankings) else "wald"
    errors = ranked_errors(fit, _TRUST[kind]) if kind in _TRUST else plain
    if config.kind == "auto" and kind == "voter":
        errors = floored_by_voter(errors, plain, config.level)
    return estimated_intervals(shape, kind, errors, plain, config, fit.rankings)


def ranked_ends_at(
    fit: RankedFit, intervals: StrengthIntervals, level: float
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Ends of the same intervals at another level, infinite where the rankings set no bound."""
    return shaped_ends(_shape(fit, intervals.curvature), intervals, level)


def _shape(fit: RankedFit, plain: StrengthErrors) -> Shape:
    below, above = _sides(fit)
    is_shown = has_profile(fit)
    return Shape(
        strengths=fit.strengths, seen=~fit.connectivity.unseen,
        below=below, above=above,
        skewness=lambda: ranked_skewness(fit) if is_shown else np.zeros(len(fit.strengths)),
        profile=lambda items, cutoff: ranked_profile_ends(fit, plain.se, items, cutoff),
        posterior=lambda items, level: ranked_posterior_ends(fit, plain.se, items, level),
        has_profile=is_shown,
    )  # fmt: skip


def _sides(fit: RankedFit) -> tuple[Bool[Array, " N"], Bool[Array, " N"]]:
    """Whether the rankings bound each strength from below and from above."""
    everywhere = np.ones(len(fit.strengths), dtype=bool)
    if fit.prior is not None and not fit.prior.is_weak:
        return everywhere, everywhere
    below, above = fit.bounded_sides()
    return below & ~fit.connectivity.unseen, above & ~fit.connectivity.unseen
