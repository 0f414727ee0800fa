"""Scores from votes at equal covariates, and by context: one taste for all voters.

Legend: B rows, N items, X contexts, C covariates, M own parameters, D deviations, P parameters.
"""

import time
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.interval_kinds import FEW_VOTERS
from penchant.fitting.newton import NewtonConfig
from penchant.fitting.paired import PairedConfig, fit_paired
from penchant.fitting.paired_prior import (
    prior_for,
    prior_sentences,
)
from penchant.fitting.vote_density import VoteDensity, deviations
from penchant.fitting.vote_rows import Ties, VoteRows, vote_rows
from penchant.fitting.vote_sandwich import Sandwich, effective_voters, sandwich
from penchant.fitting.votes_newton import Summit, climb_votes
from penchant.fitting.votes_table import ContextScores, VotesFit, context_table, tabulate
from penchant.numerics.arrays import Array
from penchant.numerics.bordered import Factor
from penchant.numerics.graph import Connectivity, connectivity, describe
from penchant.numerics.threads import one_blas_thread

# Between these the spread of what contexts add is looked for, in logits.
SMALLEST, LARGEST = 0.01, 5.0
_WEAK_COEFFICIENT = 5.0
# A covariate whose error per standard deviation exceeds this is not being estimated.
_ASTRAY = 100.0


@dataclass(frozen=True, kw_only=True)
class VotesConfig:
    """model: how votes arise. ties: "answer", "half" or "none", as in `vote_rows`.
    has_context: scores may differ by context, shrunk to the common ones by as much as the data
    tell; spread: standard deviation of these differences in logits, None to learn it.
    prior_scale: standard deviation of every score before any vote; None holds only those that no
    finite score fits. errors: by the "curvature", which trusts the model and that votes are
    independent, or by "voter", which trusts only that voters are."""

    model: GapModel
    ties: Ties = "answer"
    has_context: bool = False
    spread: float | None = None
    prior_scale: float | None = None
    errors: Literal["curvature", "voter"] = "curvature"
    newton: NewtonConfig = field(default_factory=NewtonConfig)


@one_blas_thread
def fit_votes(votes: Votes, config: VotesConfig) -> VotesFit:
    """Scores at equal covariates and, where asked for, by context.

    Maximum likelihood; where an item never lost or never won, a weak normal prior of standard
    deviation 5 logits on the scores of its island bounds them, and a warning says so. What a
    context adds to a score is normal around 0 with one spread, chosen by the evidence. A model with
    `levels` hears the votes' grades ("much better").

    Raises `DataError` for votes without weight, without the contexts asked for, or with another
    number of grades than the model has levels.
    """
    began = time.perf_counter()
    rows = rows_of(votes, config)
    density, found, notes = prepare(rows, votes, config)
    start = _start(votes, density, config)
    try:
        summit, spread = _climb(density, config, start)
    except np.linalg.LinAlgError:
        # Some coefficient is not determined at all, or its determination was lost on the way.
        barely = with_prior_on_covariates(density, 2.0 * _ASTRAY)
        summit, spread = _climb(barely, config, start)
    astray = _astray_covariates(density, summit)
    if astray.any():
        density = with_prior_on_covariates(density, _WEAK_COEFFICIENT, astray)
        summit, spread = _climb(density, config, start)
        names = ", ".join(f"`{votes.covariate_names[place]}`" for place in np.flatnonzero(astray))
        notes += (
            f"The votes do not bound the coefficient of {names}: it decides every vote, or never "
            "differs within what the scores leave open. A weak prior (standard deviation "
            f"{_WEAK_COEFFICIENT:g} per standard deviation of the covariate) does; read its wide "
            "interval, not its value.",
        )
    errors = _errors(votes, density, summit, spread, config)
    context = None
    if config.has_context:
        if len(density.deviation_item):
            context = _context_scores(votes, density, summit, errors.factor, spread, config)
        else:
            notes += (
                "No two contexts share items that can be compared, so that scores by context and "
                "scores are the same; the context was left out.",
            )
    if not summit.converged:
        notes += (f"The fit did not converge: one more step would gain {summit.decrement:.2g}.",)
    return _fit(votes, density, found, summit, errors, context, notes, time.perf_counter() - began)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Errors:
    factor: Factor | Sandwich
    degrees_of_freedom: Float[Array, " N"] | None = None


def _errors(
    votes: Votes,
    density: VoteDensity,
    summit: Summit,
    spread: float,
    config: VotesConfig,
) -> _Errors:
    """The information taken apart at the summit, or the sandwich by voter around it."""
    if config.errors == "curvature":
        return _Errors(factor=summit.slope.factor)
    rows = rows_of(votes, config, by_voter=True)
    here = with_spread(density, spread) if len(density.deviation_item) else density
    here = replace(here, rows=rows)
    response = here.respond(here.core_gap(summit.theta), here.own(summit.theta))
    return _Errors(
        factor=sandwich(here, response, summit.slope.factor),
        degrees_of_freedom=np.maximum(effective_voters(rows) - 1.0, 1.0),
    )


def rows_of(votes: Votes, config: VotesConfig, *, by_voter: bool = False) -> VoteRows:
    """The rows that this model hears. Raises `DataError` for other grades than it has levels."""
    levels = config.model.levels
    if levels is not None and votes.grade is not None and len(votes.grades) != levels:
        raise DataError(
            f"the votes have {len(votes.grades)} grades and the model {levels} levels; expected as "
            f"many. Use GapModel(levels={len(votes.grades)})."
        )
    return vote_rows(
        votes, ties=config.ties, by_context=config.has_context, by_voter=by_voter,
        by_grade=levels is not None,
    )  # fmt: skip


def prepare(
    rows: VoteRows, votes: Votes, config: VotesConfig
) -> tuple[VoteDensity, Connectivity, tuple[str, ...]]:
    """The density before any spread is known, what the comparisons connect, and what to say."""
    found = _connections(rows, config.model)
    context, item = _telling_deviations(rows, found.island)
    if not config.has_context:
        context, item = context[:0], item[:0]
    num_own = config.model.num_own
    num = rows.num_items + len(item) + rows.covariates.shape[1] + num_own
    precision = np.zeros(num)
    notes = describe(found, votes.items)
    prior = prior_for(config.prior_scale, config.model.link, found)
    notes += prior_sentences(votes.items, prior, config.model.link)
    density = VoteDensity(
        rows=rows,
        model=config.model,
        precision=precision,
        island=found.island,
        deviation_context=context,
        deviation_item=item,
        prior=prior,
    )
    return density, found, notes


def _start(votes: Votes, density: VoteDensity, config: VotesConfig) -> Float[Array, " P"]:
    """The scores from counts alone; zeros, with thresholds a unit apart, of graded votes."""
    start = np.zeros(density.num_parameters)
    if config.model.levels is None:
        ties = config.model.ties or ("half" if config.ties == "half" else None)
        plain = fit_paired(
            votes.counts(),
            PairedConfig(ties=ties, link=config.model.link, prior_scale=config.prior_scale),
        )
        start[: density.num_items] = plain.strengths
        if plain.tie_parameter is not None:
            start[-1] = plain.tie_parameter
    return start


def _connections(rows: VoteRows, model: GapModel) -> Connectivity:
    """Who scored against whom; a tie, or a middle grade, scores for both."""
    if model.levels is None:
        up, down = 1.0 * (rows.answer == 0), 1.0 * (rows.answer == 1)
    else:
        middle = 0.5 * (model.levels - 1)
        up, down = 1.0 * (rows.answer > middle), 1.0 * (rows.answer < middle)
    tied = 0.5 * (1.0 - up - down)
    return connectivity(
        rows.edge_first,
        rows.edge_second,
        rows.by_edge(rows.weight * (up + tied)),
        rows.by_edge(rows.weight * (down + tied)),
        rows.num_items,
    )


def _telling_deviations(
    rows: VoteRows, island: Int[Array, " N"]
) -> tuple[Int[Array, " D"], Int[Array, " D"]]:
    """What contexts add, but for islands seen in one context only: there it is the score itself."""
    context, item = deviations(rows)
    seen = np.unique(np.stack([island[item], context]), axis=1)[0]
    several = np.bincount(seen, minlength=int(island.max(initial=0)) + 1) > 1
    kept = several[island[item]]
    return context[kept], item[kept]


def _climb(
    density: VoteDensity, config: VotesConfig, start: Float[Array, " P"]
) -> tuple[Summit, float]:
    """The summit under the spread that the data tell (evidence, MacKay 1992), and that spread."""
    num = len(density.deviation_item)
    if not num:
        return climb_votes(density, start, config.newton), 0.0
    if config.spread is not None:
        return climb_votes(with_spread(density, config.spread), start, config.newton), config.spread
    from scipy.optimize import minimize_scalar

    best: dict[float, Summit] = {}
    at = start

    def loss(log_spread: float) -> float:
        nonlocal at
        spread = float(np.exp(log_spread))
        best[log_spread] = climb_votes(with_spread(density, spread), at, config.newton)
        at = best[log_spread].theta
        return -evidence(density, best[log_spread], spread)

    found = minimize_scalar(
        loss, bounds=np.log((SMALLEST, LARGEST)), method="bounded", options={"xatol": 0.02}
    )
    return best[found.x], float(np.exp(found.x))


def with_spread(density: VoteDensity, spread: float) -> VoteDensity:
    """The density whose deviations have this standard deviation."""
    precision = density.precision.copy()
    precision[density.num_items : density.num_core] = spread**-2
    return replace(density, precision=precision)


def evidence(density: VoteDensity, summit: Summit, spread: float) -> float:
    """log integral of the likelihood over all parameters, by Laplace, up to what spreads share."""
    num = len(density.deviation_item)
    return (
        summit.slope.value
        - num * np.log(spread if num else 1.0)
        - 0.5 * summit.slope.factor.log_determinant
    )


def _context_scores(
    votes: Votes,
    density: VoteDensity,
    summit: Summit,
    factor: Factor | Sandwich,
    spread: float,
    config: VotesConfig,
) -> ContextScores:
    from scipy.special import gammaincc

    none = np.zeros(0, dtype=np.int64)
    kept = np.r_[: density.num_items, density.num_core : density.num_parameters]
    same = replace(
        density,
        deviation_context=none,
        deviation_item=none,
        precision=density.precision[kept],
    )
    alone = climb_votes(same, summit.theta[kept], config.newton)
    gain = evidence(density, summit, spread) - evidence(same, alone, 0.0)
    table = context_table(votes, density, summit.theta, factor, spread)
    # A spread at its floor is none: what is left of the gain is rounding.
    is_none = spread <= 1.1 * SMALLEST or gain <= 0.0
    p_value = 1.0 if is_none else 0.5 * float(gammaincc(0.5, gain))
    return replace(
        table, spread=0.0 if is_none else spread, evidence=max(gain, 0.0), p_value=p_value
    )


def _astray_covariates(density: VoteDensity, summit: Summit) -> Array:
    """Which coefficients the votes do not bound."""
    size = density.rows.covariates.std(axis=0)
    size = np.where(size > 0, size, 1.0)
    start = density.num_core
    at = np.arange(start, start + density.num_covariates)
    variance = np.diag(summit.slope.factor.covariance(at)) if len(at) else np.zeros(0)
    return np.sqrt(variance) * size > _ASTRAY


def with_prior_on_covariates(
    density: VoteDensity, scale: float, which: Array | None = None
) -> VoteDensity:
    """Coefficients normal around 0, `scale` logits per standard deviation of the covariate."""
    size = density.rows.covariates.std(axis=0)
    precision = density.precision.copy()
    at = slice(density.num_core, density.num_core + density.num_covariates)
    chosen = np.ones(len(size)) if which is None else which
    precision[at] += chosen * (np.where(size > 0, size, 1.0) / scale) ** 2
    return replace(density, precision=precision)


def _fit(
    votes: Votes,
    density: VoteDensity,
    found: Connectivity,
    summit: Summit,
    errors: _Errors,
    context: ContextScores | None,
    notes: tuple[str, ...],
    seconds: float,
) -> VotesFit:
    table = tabulate(votes, density, summit.theta, errors.factor)
    table.strength_covariance[found.unseen, found.unseen] = np.inf
    plain = None
    if errors.degrees_of_freedom is not None:
        trusting = tabulate(votes, density, summit.theta, summit.slope.factor)
        plain = trusting.strength_covariance
        plain[found.unseen, found.unseen] = np.inf
        if errors.degrees_of_freedom.min() + 1.0 < FEW_VOTERS:
            # Three voters may agree by chance on what a covariate is worth.
            table = replace(
                table,
                coefficient_covariance=_no_less(
                    table.coefficient_covariance, trusting.coefficient_covariance
                ),
            )
    return replace(
        table,
        degrees_of_freedom=errors.degrees_of_freedom,
        curvature_covariance=plain,
        context=context,
        log_likelihood=summit.slope.log_likelihood,
        converged=summit.converged,
        iterations=summit.iterations,
        seconds=seconds,
        prior=_prior_in_words(density, context),
        warnings=notes,
    )


def _no_less(covariance: Float[Array, "C C"], floor: Float[Array, "C C"]) -> Float[Array, "C C"]:
    """The covariance, stretched where its errors are less than the other's."""
    own = np.maximum(np.diag(covariance), 1e-300)
    stretch = np.sqrt(np.maximum(np.diag(floor) / own, 1.0))
    return covariance * stretch[:, None] * stretch


def _prior_in_words(density: VoteDensity, context: ContextScores | None) -> str | None:
    parts = []
    if density.prior is not None:
        scale = density.prior.scale
        whom = "of every score" if not density.prior.is_weak else "where no finite score fits"
        parts.append(f"normal, standard deviation {scale:g}, {whom}")
    if context is not None:
        parts.append(f"what a context adds, standard deviation {context.spread:.3g} logits")
    return "; ".join(parts) or None
