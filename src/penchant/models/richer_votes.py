"""A leaderboard's richer models: voters who differ, kinds of voters, scores that drift.

Each is brought to the one table that a leaderboard shows, with the whole fit beside it.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from penchant.data.votes import Votes
from penchant.errors import ConfigError
from penchant.fitting.ranked_reliability import RankersFit
from penchant.fitting.scores_now import ScoresNow
from penchant.fitting.voter_remarks import describe_voters
from penchant.fitting.votes_classes import (
    VoterClassesConfig,
    VoterClassesFit,
    fit_voter_classes,
)
from penchant.fitting.votes_drift import DriftConfig, DriftFit, fit_drift
from penchant.fitting.votes_pooled import VotesConfig, fit_votes
from penchant.fitting.votes_reliability import VotersFit, fit_voters
from penchant.fitting.votes_table import VotesFit

VoterModel = Literal["reliability", "classes"]
Detail = VotersFit | RankersFit | VoterClassesFit | DriftFit
VOTER_MODELS = ("reliability", "classes")


@dataclass(frozen=True, kw_only=True, eq=False)
class RicherFit:
    """`table` is what the leaderboard shows; `detail` the whole fit, None where that is all."""

    table: VotesFit
    detail: Detail | None
    notes: tuple[str, ...] = ()


def fit_richer(
    votes: Votes,
    config: VotesConfig,
    *,
    voters: VoterModel | None = None,
    num_classes: int = 2,
    has_drift: bool = False,
    seed: int = 0,
) -> RicherFit:
    """Scores with covariates, contexts, voters or time, as asked for.

    Raises `ConfigError` where voters and drift, or drift and contexts, are asked for at once, and
    for classes of voters who grade.
    """
    if has_drift and (voters is not None or config.has_context):
        raise ConfigError(
            "drift was asked for together with voters or a context; expected drift alone, with or "
            "without covariates. Fit one after the other."
        )
    if voters == "classes" and config.model.levels is not None:
        raise ConfigError(
            "classes of voters were asked for, and the votes are graded; expected voters="
            '"reliability", or votes whose grades are read as soft votes (`votes.ungraded()`).'
        )
    if has_drift:
        return _drifting(votes, config)
    if voters == "reliability":
        found = fit_voters(votes, config)
        return RicherFit(table=found.fit, detail=found, notes=describe_voters(found))
    if voters == "classes":
        return _in_classes(votes, config, num_classes, seed)
    return RicherFit(table=fit_votes(votes, config), detail=None)


def table_of_standing(
    now: ScoresNow, log_likelihood: float | None, warnings: tuple[str, ...], converged: bool = True
) -> VotesFit:
    """What is known now, as a leaderboard shows it."""
    num, count = len(now.items), len(now.covariate_names)
    middle, end = slice(num, num + count), slice(num + count, len(now.mean))
    return VotesFit(
        items=now.items,
        strengths=now.strengths,
        strength_covariance=now.strength_covariance,
        covariate_names=now.covariate_names,
        coefficients=now.mean[middle],
        coefficient_covariance=now.covariance[middle, middle],
        own=now.mean[end],
        own_covariance=now.covariance[end, end],
        context=None,
        model=now.model,
        log_likelihood=log_likelihood,
        converged=converged,
        iterations=0,
        seconds=0.0,
        prior=f"normal, standard deviation {now.start_scale:g}, of every score at the start",
        warnings=warnings,
    )


def _drifting(votes: Votes, config: VotesConfig) -> RicherFit:
    settings = DriftConfig(model=config.model, ties=config.ties)
    if config.prior_scale is not None:
        settings = replace(settings, start_scale=config.prior_scale)
    found = fit_drift(votes, settings)
    table = table_of_standing(found.now, found.log_likelihood, found.warnings, found.converged)
    span = float(np.ptp(found.times)) if len(found.times) else 0.0
    moved = found.drift * np.sqrt(span)
    notes = (
        f"Over the time of the votes a score moves by {moved:.2g} logits (one standard deviation; "
        f"p = {found.p_value:.2g} that none moves). Scores are those at the end, of the fit of all "
        f"votes at once; a single pass over them, time by time, would have ended within "
        f"{found.distance:.2g} standard errors. Updates never look back at earlier votes either.",
    )
    return RicherFit(table=table, detail=found, notes=notes)


def _in_classes(votes: Votes, config: VotesConfig, num_classes: int, seed: int) -> RicherFit:
    settings = VoterClassesConfig(num_classes=num_classes, seed=seed)
    if config.prior_scale is not None:
        settings = replace(settings, score_scale=config.prior_scale)
    found = fit_voter_classes(votes, config, settings)
    nothing = np.zeros((0, 0))
    table = VotesFit(
        items=found.items,
        strengths=found.mean_strengths,
        strength_covariance=found.mean_covariance,
        covariate_names=(),
        coefficients=np.zeros(0),
        coefficient_covariance=nothing,
        own=found.shares @ found.own,
        own_covariance=np.zeros((found.own.shape[1],) * 2),
        context=None,
        model=found.model,
        log_likelihood=found.log_likelihood,
        converged=found.converged,
        iterations=found.iterations,
        seconds=found.seconds,
        prior=None,
        warnings=found.warnings,
    )
    held = found.shares * len(found.voters) >= 1.0
    notes = tuple(_class_sentence(found, number) for number in range(num_classes) if held[number])
    return RicherFit(table=table, detail=found, notes=notes)


def _class_sentence(found: VoterClassesFit, number: int) -> str:
    best = np.argsort(-found.strengths[number], kind="stable")[:3]
    names = ", ".join(f"`{found.items[item]}`" for item in best)
    return (
        f"Voters of class {number + 1} ({found.shares[number]:.0%}) put {names} first; the table "
        "weighs each class by its share."
    )
