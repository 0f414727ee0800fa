"""One interval for every strength, of the kind that covers: chosen, and said which.

Legend: N items, B votes, R resamples.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.votes import Votes
from penchant.errors import ConfigError, DataError
from penchant.fitting.paired import PairedFit
from penchant.fitting.paired_bootstrap import bootstrap_voters, bootstrap_votes
from penchant.fitting.paired_errors import (
    StrengthErrors,
    clustered_errors,
    curvature_errors,
    vote_errors,
)
from penchant.fitting.paired_information import PairedPoint
from penchant.fitting.paired_prior import WEAK_SCALE
from penchant.fitting.paired_profile import lopsidedness, posterior_ends, profile_ends
from penchant.metrics.rank_intervals import (
    MOST_COMPARED,
    RankIntervals,
    marginal_ranks,
    ranks_from_intervals,
    sidak_level,
    simultaneous_ranks,
)
from penchant.numerics.arrays import Array
from penchant.numerics.graph import bounded_sides

IntervalKind = Literal[
    "auto", "wald", "sandwich", "voter", "profile", "bootstrap", "voter_bootstrap"
]
INTERVAL_KINDS = (
    "auto", "wald", "sandwich", "voter", "profile", "bootstrap", "voter_bootstrap"
)  # fmt: skip
# From this skewness on the ends move by more than a tenth of a standard error.
_LOPSIDED = 0.15
# A voter-clustered error from fewer than this many equally busy voters is itself a rough guess.
_FEW_VOTERS = 10.0
# So is one by the scores of fewer than this many votes of equal weight.
_FEW_VOTES = 10.0
# Scores that come to less than this part of the curvature's error (a tenth of its square) agree
# too well to be believed: of ties alone, or of equal soft votes, they are zero.
_TELLS_NOTHING = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class IntervalConfig:
    """kind: "wald" trusts the model's curvature; "sandwich" that votes are independent; "voter"
    that voters are; "profile" follows the likelihood's own shape; "bootstrap" and
    "voter_bootstrap" fit resamples of votes and of voters; "auto" picks among the first four.
    level: how often an interval should hold. num_resamples: of either bootstrap.
    unbounded: what stands where the votes bound a strength on one side only: "infinite", or the
    end of the posterior under a weak "prior"."""

    kind: IntervalKind = "auto"
    level: float = 0.95
    num_resamples: int = 500
    unbounded: Literal["infinite", "prior"] = "infinite"

    def __post_init__(self) -> None:
        if self.kind not in INTERVAL_KINDS:
            raise ConfigError(
                f"interval kind is {self.kind!r}; expected one of {', '.join(INTERVAL_KINDS)}."
            )
        if not 0.0 < self.level < 1.0:
            raise ConfigError(f"level is {self.level}; expected a share between 0 and 1.")
        if self.num_resamples < 20:
            raise ConfigError(
                f"num_resamples is {self.num_resamples}; expected at least 20, and 500 for ends "
                "that are steady to a tenth of a standard error."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class StrengthIntervals:
    """Intervals of strengths in the gauge of mean zero within each island.

    kind: how most ends were found; is_lopsided: items whose ends follow the likelihood's shape
    instead. bounded_below, bounded_above: whether the votes bound the item on that side. errors:
    with the covariance or draws from which rank intervals follow. curvature_se: those that trust
    the model, by which profiles are measured. notes: what a reader should know, in sentences."""

    se: Float[Array, " N"]
    low: Float[Array, " N"]
    high: Float[Array, " N"]
    kind: str
    is_lopsided: Bool[Array, " N"]
    bounded_below: Bool[Array, " N"]
    bounded_above: Bool[Array, " N"]
    errors: StrengthErrors
    curvature_se: Float[Array, " N"]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sides:
    below: Bool[Array, " N"]
    above: Bool[Array, " N"]


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
    sides = _sides(fit)
    if config.kind in ("bootstrap", "voter_bootstrap"):
        return _resampled(fit, point, votes, config, generator, sides, on_resample)
    kind = _chosen(point, votes) if config.kind == "auto" else config.kind
    plain = curvature_errors(point, generator)
    errors = _errors(kind, point, votes, plain, generator)
    if config.kind == "auto" and kind == "voter":
        few = errors.degrees_of_freedom + 1.0 < _FEW_VOTERS
        errors = _never_surer(errors, plain, few, np.ones(len(few)), config.level, is_students=True)
    elif config.kind == "auto" and kind == "sandwich":
        effective, cast = _effective_votes(point, votes), point.counts.votes_of_item
        # The curvature takes a vote of weight ten for ten votes; it is one.
        stretch = np.sqrt(np.where(effective > 0.0, cast / np.maximum(effective, 1e-300), 1.0))
        errors = _never_surer(
            errors, plain, effective < _FEW_VOTES, stretch, config.level, is_students=False
        )
    lopsided = np.zeros(fit.counts.num_items, dtype=bool)
    if config.kind in ("auto", "profile"):
        lopsided = _lopsided(point, sides) if config.kind == "auto" else ~lopsided
    low, high = _ends(point, errors, plain.se, lopsided, config.level)
    low, high = _unbounded(point, plain.se, low, high, sides, config)
    return StrengthIntervals(
        se=errors.se, low=low, high=high, kind=kind, is_lopsided=lopsided,
        bounded_below=sides.below, bounded_above=sides.above, errors=errors,
        curvature_se=plain.se, notes=_notes(point, votes, kind, config, errors, lopsided, sides),
    )  # fmt: skip


def strength_ranks(
    fit: PairedFit,
    intervals: StrengthIntervals,
    generator: np.random.Generator,
    *,
    level: float = 0.95,
    is_simultaneous: bool = True,
) -> RankIntervals:
    """Rank intervals, for all items at once or each by itself, from the same errors.

    From differences between items where there are few (`metrics.rank_intervals`); from intervals of
    single strengths at Sidak's level where there are many, or where errors were drawn.
    """
    errors, island = intervals.errors, fit.connectivity.island
    num_items = fit.counts.num_items
    covariance, degrees = comparison_errors(errors, level)
    if covariance is not None and num_items <= MOST_COMPARED:
        rule = simultaneous_ranks if is_simultaneous else marginal_ranks
        return rule(
            fit.strengths, covariance, generator, level=level, island=island,
            degrees_of_freedom=degrees,
        )  # fmt: skip
    single = sidak_level(level, num_items) if is_simultaneous else level
    low, high = _ends(point_of(fit), errors, intervals.curvature_se, intervals.is_lopsided, single)
    return ranks_from_intervals(
        fit.strengths, np.where(intervals.bounded_below, low, -np.inf),
        np.where(intervals.bounded_above, high, np.inf), island=island,
    )  # fmt: skip


def comparison_errors(
    errors: StrengthErrors, level: float
) -> tuple[Float[Array, "N N"] | None, float]:
    """A covariance of all strengths with one number of degrees of freedom, for comparing items.

    The median item's degrees of freedom; items judged by fewer voters are given wider errors in
    exchange, by the ratio of Student's quantiles. Draws serve where they outnumber the items; None
    where there is neither.
    """
    covariance = errors.covariance
    if covariance is None and errors.draws is not None:
        num_draws, num_items = errors.draws.shape
        covariance = np.cov(errors.draws, rowvar=False) if num_draws > num_items else None
    degrees = errors.degrees_of_freedom
    middle = float(np.median(degrees)) if len(degrees) else np.inf
    if covariance is None or not np.isfinite(degrees).any():
        return covariance, middle
    stretch = np.maximum(_quantile(degrees, level) / _quantile(np.array([middle]), level), 1.0)
    return covariance * stretch[:, None] * stretch, middle


def _ends(
    point: PairedPoint,
    errors: StrengthErrors,
    curvature_se: Float[Array, " N"],
    lopsided: Bool[Array, " N"],
    level: float,
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Symmetric ends, and by the profile where the likelihood is lopsided."""
    reach = _quantile(errors.degrees_of_freedom, level)
    low, high = point.strengths - reach * errors.se, point.strengths + reach * errors.se
    some = np.flatnonzero(lopsided & np.isfinite(curvature_se))
    if len(some):
        ratio = errors.se[some] / np.maximum(curvature_se[some], 1e-300)
        ends = profile_ends(point, curvature_se, some, reach[some] * ratio)
        low[some], high[some] = ends.low, ends.high
    return low, high


def _chosen(point: PairedPoint, votes: Votes | None) -> IntervalKind:
    if votes is not None and votes.voter is not None:
        known = np.bincount(votes.voter[votes.voter >= 0])
        if (known > 0).sum() >= 2 and known.max() > 1:
            return "voter"
    is_half = point.ties == "half" and bool((point.counts.ties > 0).any())
    is_uneven = votes is not None and _is_uneven(votes)
    return "sandwich" if is_half or is_uneven else "wald"


def _is_uneven(votes: Votes) -> bool:
    """Whether votes weigh unlike one, or are probabilities."""
    soft = ~votes.tie & (votes.share > 0.0) & (votes.share < 1.0)
    return bool(soft.any() or (votes.weight != 1.0).any())


def _errors(
    kind: str,
    point: PairedPoint,
    votes: Votes | None,
    plain: StrengthErrors,
    generator: np.random.Generator,
) -> StrengthErrors:
    if kind == "sandwich":
        uneven = votes if votes is not None and _is_uneven(votes) else None
        return vote_errors(point, uneven, generator)
    if kind == "voter":
        if votes is None or votes.voter is None:
            raise DataError(
                "errors by voter were asked for, and these votes name no voters. Name the voters' "
                'column, or use interval "sandwich" or "wald".'
            )
        return clustered_errors(point, votes, votes.voter, generator)
    return plain


def _never_surer(
    errors: StrengthErrors,
    plain: StrengthErrors,
    few: Bool[Array, " N"],
    stretch: Float[Array, " N"],
    level: float,
    *,
    is_students: bool,
) -> StrengthErrors:
    """Few votes or voters may agree by chance, and so may many; then the curvature's interval,
    stretched, is the floor.

    The floor is under the interval, not under the error: Student's quantile for three voters has
    already paid for their number, and would pay twice. Where it need not stay Student's, the error
    is the curvature's and so is the quantile. What an error lacks is added with the
    curvature's correlations, so that differences between items are as unsure as the items.
    """
    degrees = errors.degrees_of_freedom
    normal = _quantile(plain.degrees_of_freedom, level)
    wanted = normal / _quantile(degrees, level) * stretch * plain.se
    seen = np.isfinite(plain.se) & np.isfinite(errors.se)
    floored = seen & (errors.se < wanted) & (few | (errors.se < _TELLS_NOTHING * wanted))
    if not floored.any():
        return errors
    if not is_students:
        wanted, degrees = stretch * plain.se, np.where(floored, np.inf, degrees)
    lacking = np.zeros(len(wanted))
    lacking[floored] = np.sqrt(wanted[floored] ** 2 - errors.se[floored] ** 2) / plain.se[floored]
    covariance, draws = errors.covariance, errors.draws
    if covariance is not None and plain.covariance is not None:
        known = np.where(seen[:, None] & seen, plain.covariance, 0.0)
        covariance = covariance + known * lacking[:, None] * lacking
    if draws is not None and plain.draws is not None:
        num_draws = min(len(draws), len(plain.draws))
        draws = draws[:num_draws] + plain.draws[:num_draws] * lacking
    se = np.where(floored, wanted, errors.se)
    return replace(errors, se=se, covariance=covariance, draws=draws, degrees_of_freedom=degrees)


def _effective_votes(point: PairedPoint, votes: Votes | None) -> Float[Array, " N"]:
    """(sum_b w_b)^2 / sum_b w_b^2 of the weights w_b of an item's votes."""
    total = point.counts.votes_of_item
    if votes is None:
        return total
    square, N = votes.weight**2, len(total)
    squares = np.bincount(votes.first, square, N) + np.bincount(votes.second, square, N)
    return np.divide(total**2, squares, out=np.zeros(N), where=squares > 0)


def _quantile(degrees: Float[Array, " N"], level: float) -> Float[Array, " N"]:
    """Of Student's distribution, the normal where degrees of freedom are infinite."""
    from scipy.special import ndtri, stdtrit

    finite = np.isfinite(degrees)
    student = stdtrit(np.where(finite, degrees, 1.0), (1 + level) / 2)
    return np.where(finite, student, ndtri((1 + level) / 2))


def _sides(fit: PairedFit) -> _Sides:
    everywhere = np.ones(fit.counts.num_items, dtype=bool)
    if fit.prior is not None and not fit.prior.is_weak:
        return _Sides(below=everywhere, above=everywhere)
    seen = ~fit.connectivity.unseen
    if not fit.connectivity.is_separated:
        return _Sides(below=seen, above=seen)
    counts = fit.counts
    below, above = bounded_sides(
        counts.first, counts.second, counts.first_wins + counts.ties,
        counts.second_wins + counts.ties, fit.connectivity,
    )  # fmt: skip
    return _Sides(below=below & seen, above=above & seen)


def _lopsided(point: PairedPoint, sides: _Sides) -> Bool[Array, " N"]:
    return (lopsidedness(point) > _LOPSIDED) | ~sides.below | ~sides.above


def _unbounded(
    point: PairedPoint,
    curvature_se: Float[Array, " N"],
    low: Float[Array, " N"],
    high: Float[Array, " N"],
    sides: _Sides,
    config: IntervalConfig,
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    low, high = np.where(sides.below, low, -np.inf), np.where(sides.above, high, np.inf)
    some = np.flatnonzero(~(sides.below & sides.above))
    if config.unbounded == "prior" and len(some):
        ends = posterior_ends(point, curvature_se, some, config.level, WEAK_SCALE[point.link])
        low[some] = np.where(sides.below[some], low[some], ends.low)
        high[some] = np.where(sides.above[some], high[some], ends.high)
    return low, high


def _resampled(
    fit: PairedFit,
    point: PairedPoint,
    votes: Votes | None,
    config: IntervalConfig,
    generator: np.random.Generator,
    sides: _Sides,
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
    one_sided = seen & ~(sides.below & sides.above)
    shaped = _ends(point, plain, plain.se, one_sided, config.level)
    low, high = np.where(one_sided, shaped[0], low), np.where(one_sided, shaped[1], high)
    low, high = _unbounded(point, plain.se, low, high, sides, config)
    return StrengthIntervals(
        se=errors.se, low=low, high=high, kind=config.kind, is_lopsided=one_sided,
        bounded_below=sides.below, bounded_above=sides.above, errors=errors,
        curvature_se=plain.se,
        notes=_notes(point, votes, config.kind, config, errors, _lopsided(point, sides), sides),
    )  # fmt: skip


_WHY = {
    "wald": "by the curvature of the likelihood, which trusts the model",
    "sandwich": "by the scores of single votes, which trust only that votes are independent",
    "voter": "by voter, trusting only that voters are independent",
    "profile": "by the profile of the likelihood",
    "bootstrap": "by resamples of votes",
    "voter_bootstrap": "by resamples of whole voters",
}


def _notes(
    point: PairedPoint,
    votes: Votes | None,
    kind: str,
    config: IntervalConfig,
    errors: StrengthErrors,
    lopsided: Bool[Array, " N"],
    sides: _Sides,
) -> tuple[str, ...]:
    notes = [f"{100 * config.level:.10g}% intervals {_WHY[kind]}."]
    if config.kind == "auto" and lopsided.any():
        notes.append(
            f"{_items(lopsided)} with a lopsided likelihood, few votes or nearly all one way: ends "
            "by its profile."
        )
    if kind in ("bootstrap", "voter_bootstrap") and lopsided.any():
        notes.append(
            f"{_items(lopsided)} with a lopsided likelihood, for which resamples come out too "
            'narrow; "auto" or "profile" holds there.'
        )
    far = "infinite" if config.unbounded == "infinite" else "the weak prior's word"
    one_sided = sides.below != sides.above
    if one_sided.any():
        notes.append(
            f"The votes bound {_items(one_sided)} on one side only; the other end is {far}."
        )
    unbounded = ~(sides.below | sides.above)
    if unbounded.any():
        notes.append(f"The votes bound {_items(unbounded)} on neither side; both ends are {far}.")
    few = np.isfinite(errors.degrees_of_freedom) & (errors.degrees_of_freedom + 1 < _FEW_VOTERS)
    if kind == "voter" and few.any():
        notes.append(
            f"{_items(few)} judged as if by fewer than {_FEW_VOTERS:.0f} equally busy voters: "
            "intervals are wide, and still a rough guess."
        )
    if kind not in ("voter", "voter_bootstrap") and _has_busy_voter(votes):
        notes.append(
            "Some voters cast many votes, which this kind of interval takes for independent: "
            'it is too narrow if voters differ. Use "voter" or "auto".'
        )
    if errors.accuracy > 0.021 and kind not in ("bootstrap", "voter_bootstrap"):
        notes.append(
            f"Errors were drawn, not computed, and may be off by {errors.accuracy:.1%} at worst."
        )
    return tuple(notes)


def _has_busy_voter(votes: Votes | None) -> bool:
    if votes is None or votes.voter is None:
        return False
    known = np.bincount(votes.voter[votes.voter >= 0], minlength=1)
    return bool(known.max() > 1)


def _items(which: Bool[Array, " N"]) -> str:
    count: Int[Array, ""] | int = int(which.sum())
    return "1 item" if count == 1 else f"{count} items"
