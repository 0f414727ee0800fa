"""The fits behind a leaderboard: counts, rankings, or votes one by one; each with its intervals.

Legend: N items, V voters.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from penchant.data.pair_counts import PairCounts
from penchant.data.rankings import Rankings
from penchant.data.votes import Votes
from penchant.errors import ConfigError
from penchant.feedback.gap import GapModel
from penchant.fitting.interval_kinds import IntervalConfig, has_repeating_voters
from penchant.fitting.paired import PairedConfig, PairedFit, fit_paired
from penchant.fitting.paired_intervals import strength_intervals
from penchant.fitting.ranked import RankedConfig, RankedFit, fit_ranked, gauge_weights
from penchant.fitting.ranked_intervals import ranked_intervals
from penchant.fitting.ranked_reliability import RankersFit, fit_rankers
from penchant.fitting.voter_remarks import describe_rankers, heavy_voters
from penchant.fitting.votes_pooled import VotesConfig
from penchant.fitting.votes_table import VotesFit
from penchant.models.grade_shares import GradeShares, grade_shares
from penchant.models.leaderboard_options import LeaderboardOptions
from penchant.models.richer_bootstrap import bootstrap_strengths
from penchant.models.richer_votes import Detail, RicherFit, fit_richer
from penchant.models.standings import (
    Bounds,
    normal_bounds,
    open_ends,
    paired_bounds,
    ranked_bounds,
    resampled_bounds,
    votes_bounds,
)
from penchant.numerics.arrays import Array
from penchant.numerics.graph import bounded_sides, connectivity

OnStep = Callable[[int, float], None] | None
Fit = PairedFit | RankedFit | RankersFit | VotesFit
# Of rankings and voters, where every resample is a whole fit.
_RESAMPLES = 200
_TRUSTING = (
    "Some voters voted more than once, and errors of this model trust all votes to be independent: "
    "intervals and places are too sure if voters differ."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class BoardFit:
    """Strengths of N items with their intervals, and what to say of them. detail: of voters and
    drift, the whole fit; grades: of graded votes, their scale."""

    fit: Fit
    items: tuple[str, ...]
    bounds: Bounds
    island: Int[Array, " N"]
    votes_of_item: Float[Array, " N"]
    warnings: tuple[str, ...]
    detail: Detail | None = None
    grades: GradeShares | None = None


def cast_name(fit: Fit) -> str:
    """What voters cast, in a reader's word."""
    return "rankings" if isinstance(fit, RankedFit | RankersFit) else "votes"


def fit_counts(
    options: LeaderboardOptions, counts: PairCounts, votes: Votes | None, on_step: OnStep = None
) -> BoardFit:
    """Of counts; `votes` are those that were counted, where it is known who cast them."""
    config = PairedConfig(
        link=options.link, ties=options.tie_model, prior_scale=options.prior_scale
    )
    fit = fit_paired(counts, config, on_step=on_step)
    intervals = strength_intervals(
        fit, votes, IntervalConfig(kind=options.interval, level=options.level),
        options.generator(),
    )  # fmt: skip
    bounds = paired_bounds(fit, intervals, options.level)
    return BoardFit(
        fit=fit, items=counts.items, bounds=bounds, island=fit.connectivity.island,
        votes_of_item=counts.votes_of_item,
        warnings=(*fit.warnings, *_busy_voters(votes), *_convergence_sentences(fit),
                  *bounds.notes[1:]),
    )  # fmt: skip


def fit_rankings(
    options: LeaderboardOptions, rankings: Rankings, on_step: OnStep = None
) -> BoardFit:
    """Of rankings. Raises ConfigError for models of pairs and what belongs to single votes."""
    if options.model in ("bradley_terry", "thurstone"):
        raise ConfigError(
            f'model="{options.model}" is for pairs, but the data are rankings, which are never '
            'broken into pairs; expected model="plackett_luce".'
        )
    if options.voters == "classes" or options.asks_of_pairs:
        raise ConfigError(
            "covariates, contexts, classes of voters and drift are for pairs; expected none of "
            'them with rankings. voters="reliability" and intervals by voter are there for both.'
        )
    ranked = RankedConfig(prior_scale=options.prior_scale)
    if options.voters == "reliability":
        return _fit_rankers(options, rankings, ranked, on_step)
    fit = fit_ranked(rankings, ranked, on_step=on_step)
    config = IntervalConfig(kind=options.interval, level=options.level, num_resamples=_RESAMPLES)
    intervals = ranked_intervals(fit, config, options.generator(), on_resample=on_step)
    bounds = ranked_bounds(fit, intervals, options.level)
    return BoardFit(
        fit=fit, items=rankings.items, bounds=bounds, island=fit.connectivity.island,
        votes_of_item=rankings.votes_of_item,
        warnings=(*fit.warnings, *_busy_voters(rankings),
                  *_convergence_sentences(fit, "rankings"), *bounds.notes[1:]),
    )  # fmt: skip


def _fit_rankers(
    options: LeaderboardOptions, rankings: Rankings, ranked: RankedConfig, on_step: OnStep
) -> BoardFit:
    """Of rankings by voters who differ in how reliable they are."""
    fit = fit_rankers(rankings, ranked, on_step=on_step)
    pooled, island = fit.pooled, fit.pooled.connectivity.island
    if options.interval == "voter_bootstrap":
        draws = bootstrap_strengths(
            rankings, lambda again: fit_rankers(again, ranked).strengths,
            gauge_weights(pooled), island, _RESAMPLES, options.generator(), on_resample=on_step,
        )  # fmt: skip
        bounds = resampled_bounds(fit.strengths, draws, options.level, fit.covariance)
    else:
        bounds = normal_bounds(fit.strengths, fit.covariance, options.level)
    if options.prior_scale is None:
        bounds = open_ends(bounds, *pooled.bounded_sides())
    return BoardFit(
        fit=fit, items=rankings.items, bounds=bounds, island=island,
        votes_of_item=rankings.votes_of_item, detail=fit,
        warnings=(*fit.warnings, *describe_rankers(fit),
                  *_convergence_sentences(fit, "rankings"), *bounds.notes[1:]),
    )  # fmt: skip


def fit_votes(options: LeaderboardOptions, votes: Votes, on_step: OnStep = None) -> BoardFit:
    """Of votes one by one. Raises ConfigError where they lack what was asked for."""
    _check_columns(options, votes)
    votes = asked(options, votes)
    if votes.grade is not None:
        _check_graded(options)
    errors: Literal["voter", "curvature"] = "voter" if _is_by_voter(options, votes) else "curvature"

    def fitted(votes: Votes) -> RicherFit:
        heard = _heard(options, votes)
        return fit_richer(
            heard, _votes_config(options, heard, errors), voters=options.voters,
            num_classes=options.num_classes, has_drift=options.has_drift,
            seed=options.random_state,
        )  # fmt: skip

    richer = fitted(votes)
    fit, counts = richer.table, votes.directions().counts()
    pairs = counts.first, counts.second, *counts.halved()
    found = connectivity(*pairs, counts.num_items)
    is_free = options.prior_scale is None and options.voters != "classes" and not options.has_drift
    if options.interval == "voter_bootstrap":
        # Scores have the mean 0 that the fit gave them.
        zero = found.reference if is_free else np.ones(len(found.island))
        anchor = zero / np.bincount(found.island, zero)[found.island]
        draws = bootstrap_strengths(
            votes, lambda again: fitted(again).table.strengths, anchor, found.island,
            _RESAMPLES, options.generator(), on_resample=on_step,
        )  # fmt: skip
        bounds = resampled_bounds(fit.strengths, draws, options.level, fit.strength_covariance)
    else:
        bounds = votes_bounds(fit, options.level, is_auto=options.interval == "auto")
    if is_free:
        bounds = open_ends(bounds, *bounded_sides(*pairs, found))
    grades, unheard = _grades(options, richer, votes)
    # Voters who differ are told of in sentences of their own.
    busy = _busy_voters(votes) if options.voters is None else ()
    if options.voters is None and bounds.kind == "wald" and has_repeating_voters(votes):
        busy += (_TRUSTING,)
    return BoardFit(
        fit=fit, items=votes.items, bounds=bounds, island=found.island,
        votes_of_item=counts.votes_of_item, detail=richer.detail, grades=grades,
        warnings=(*fit.warnings, *richer.notes, *unheard, *busy, *_convergence_sentences(fit),
                  *bounds.notes[1:]),
    )  # fmt: skip


def asked(options: LeaderboardOptions, votes: Votes) -> Votes:
    """The votes with the covariates that were asked for, in that order."""
    place = [votes.covariate_names.index(n) for n in options.covariates]
    return replace(votes, covariates=votes.covariates[:, place],
                   covariate_names=tuple(options.covariates))  # fmt: skip


def _check_columns(options: LeaderboardOptions, votes: Votes) -> None:
    missing = set(options.covariates) - set(votes.covariate_names)
    if missing or (options.context is not None and votes.context is None):
        raise ConfigError(
            f"the votes have the covariates {votes.covariate_names} and "
            f"{'no contexts' if votes.context is None else 'contexts'}; expected covariates "
            f"{options.covariates} and context {options.context!r}. Read them with `VoteColumns`."
        )


def _is_by_voter(options: LeaderboardOptions, votes: Votes) -> bool:
    """Whether errors trust voters only. Models of voters and drift know what ties votes."""
    if options.interval != "auto":
        return options.interval == "voter"
    return options.voters is None and not options.has_drift and has_repeating_voters(votes)


def _check_graded(options: LeaderboardOptions) -> None:
    if options.ties is not None:
        raise ConfigError(
            f'ties is "{options.ties}", and the votes are graded: the middle grade is the tie; '
            "expected no `ties`, or votes whose grades are read as soft ones "
            "(`votes.ungraded()`)."
        )
    options.check_richer("graded votes do")


def _heard(options: LeaderboardOptions, votes: Votes) -> Votes:
    """Drifting scores hold thresholds by a prior, and further votes may have all grades."""
    return votes if options.has_drift else votes.with_given_grades()


def _votes_config(
    options: LeaderboardOptions, votes: Votes, errors: Literal["voter", "curvature"]
) -> VotesConfig:
    """How these votes arise, as asked for."""
    ties: Literal["davidson", "rao_kupper"] | None = None
    if votes.grade is None and votes.tie.any() and options.tie_model != "half":
        ties = options.tie_model
    levels = len(votes.grades) or None
    return VotesConfig(
        model=GapModel(ties=ties, link=options.link, levels=levels),
        ties="half" if ties is None else "answer", has_context=options.context is not None,
        prior_scale=options.prior_scale, errors=errors,
    )  # fmt: skip


def _grades(
    options: LeaderboardOptions, richer: RicherFit, votes: Votes
) -> tuple[GradeShares | None, tuple[str, ...]]:
    """The scale of graded votes, and what to say of grades that nobody gave."""
    if votes.grade is None:
        return None, ()
    heard = _heard(options, votes)
    if heard.grade is None:
        middle = votes.grades[len(votes.grades) // 2]
        return None, (f"Every vote has the grade `{middle}`: these votes prefer nothing.",)
    found = grade_shares(richer.table, heard, is_pooled=richer.detail is None)
    unheard = [f"`{name}`" for name in votes.grades if name not in heard.grades]
    if not unheard:
        return found, ()
    told = f"Nobody gave the grades {', '.join(unheard)}: the scale is taken to be without them."
    return found, (told,)


def _busy_voters(data: Votes | Rankings | None) -> tuple[str, ...]:
    """A voter who casts a large part of all votes is named."""
    if data is None or data.voter is None or not data.weight.any():
        return ()
    known = data.voter >= 0
    cast = np.bincount(data.voter[known], data.weight[known], minlength=len(data.voters))
    what = "rankings" if isinstance(data, Rankings) else "votes"
    found = heavy_voters(data.voters, cast, float(data.weight.sum()), what)
    if len(cast) < 2 or not found:
        return found
    return (*found, "Intervals by voter say how much the order rests on them.")


def _convergence_sentences(fit: Fit, what: str = "votes") -> tuple[str, ...]:
    if fit.converged:
        return ()
    return (
        f"The climb stopped after {fit.iterations} steps before it had reached the top: scores may "
        f"be off. Look for items with very few {what}, or set a prior.",
    )
