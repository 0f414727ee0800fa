"""Plackett-Luce strengths and those who rank together: who ranks with care, who at random.

A voter of log reliability a ranks as if every strength were exp(a) times what it is for the typical
voter: at -infinity all orders are as likely as any other. The place that an item had on the menu
as it was shown is not part of rankings, so that a bias for places cannot be told here.

Legend: N items, V voters, Q nodes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.data.rankings import Rankings
from penchant.errors import DataError
from penchant.fitting.ranked import RankedConfig, RankedFit, fit_ranked
from penchant.fitting.ranked_errors import MOST_RANKED, covariance_in_gauge
from penchant.fitting.ranked_voters import RankersProblem
from penchant.fitting.voter_posteriors import (
    Posteriors,
    adaptive_nodes,
    bound_sentences,
    effect_errors,
    next_population,
    weighed,
)
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread
from penchant.populations.voters import Voters

# Modes only say where to look; the first look comes from the middle of all voters.
_FIRST_STEPS = 6


@dataclass(frozen=True, kw_only=True)
class RankersConfig:
    """rounds: at most so many of EM; tolerance: stop when a round gains less, in nats, and the
    spread moves by less than one part in a hundred."""

    rounds: int = 200
    tolerance: float = 0.001


@dataclass(frozen=True, kw_only=True, eq=False)
class RankersFit:
    """Strengths in logits as a voter of typical reliability feels them, and those who ranked.

    pooled: the fit with all voters alike, whose gauge, islands and prior these share. mean, sd: of
    each voter's log reliability, given the voter's rankings. agreement: the probability that the
    voter puts the better of two in front, over all pairs on the voter's menus. votes: rankings of
    each, by weight. `log_likelihood` is that of the rankings with reliabilities summed out.
    """

    pooled: RankedFit
    strengths: Float[Array, " N"]
    covariance: Float[Array, "N N"]
    voters: tuple[str, ...]
    population: Voters
    mean: Float[Array, " V"]
    sd: Float[Array, " V"]
    agreement: Float[Array, " V"]
    votes: Float[Array, " V"]
    log_likelihood: float
    converged: bool
    iterations: int
    warnings: tuple[str, ...]

    @property
    def reliability(self) -> Float[Array, " V"]:
        """exp of the mean log reliability: 1 is typical, 0 ranks at random."""
        return np.exp(self.mean)


@one_blas_thread
def fit_rankers(
    rankings: Rankings,
    config: RankedConfig | None = None,
    rankers: RankersConfig | None = None,
    *,
    on_step: Callable[[int, float], None] | None = None,
) -> RankersFit:
    """Strengths and voters by EM on the marginal likelihood, voters' reliabilities summed out.

    log L = sum_v log integral prod_(r of v) p(ranking r | exp(a) s)^w_r N(a; 0, spread^2) da, with
    p of Plackett and Luce. The E-step is adaptive quadrature; the M-step one Newton step for the
    strengths (Lange 1995) and `next_population` for the spread. Errors are from the observed
    information (Louis 1982), the spread taken as known. Unknown voters are voters of one ranking.

    Raises DataError for rankings without voters, and of more than some thousand items.
    """
    rankers = rankers or RankersConfig()
    _check(rankings)
    pooled = fit_ranked(rankings, config)
    problem = RankersProblem.of(pooled)
    strengths, found, voters = pooled.strengths, None, _FIRST_VOTERS
    modes, value, converged = np.zeros(problem.num_voters), -np.inf, False
    for number in range(1, rankers.rounds + 1):
        for _ in range(_FIRST_STEPS if number == 1 else 1):
            near = problem.near(strengths, modes, voters)
            reach = voters.spreads[0]
            modes = modes + np.clip(near.gradient / near.curvature, -reach, reach)
        nodes = adaptive_nodes(modes[:, None], near.curvature[:, None, None])
        found = weighed(voters, nodes, problem.log_prob(strengths, nodes.places[:, :, 0]))
        before = value
        value = float(found.log_likelihood.sum()) + problem.log_prior(strengths)
        fresh = next_population(voters, found, problem.active)
        moved = float(abs(np.log(fresh.spreads[0] / voters.spreads[0])))
        if on_step is not None:
            on_step(number, value - before)
        converged = abs(value - before) < rankers.tolerance and moved < 0.01
        if converged:
            break
        # By Fisher's identity the averaged slopes are those of the marginal likelihood; the
        # information at the modes says how far to go.
        step = np.linalg.solve(near.information, problem.gradient(strengths, found))
        strengths, voters = problem.in_gauge(strengths + step), fresh
    assert found is not None
    return _told(problem, strengths, voters, found, number, converged)


_FIRST_VOTERS = Voters(effects=("reliability",), bias_mean=0.0, spreads=np.array([0.5]))


def _check(rankings: Rankings) -> None:
    if rankings.voter is None or not (rankings.voter >= 0).any():
        raise DataError(
            "these rankings name no voters, and how reliable voters are was asked for; expected a "
            "voter for each ranking. Name the voters' column, or rank without a model of voters."
        )
    if rankings.num_items > MOST_RANKED:
        raise DataError(
            f"a model of voters who rank {rankings.num_items} items needs a matrix of "
            f"{rankings.num_items}^2 numbers; expected at most {MOST_RANKED} items. Rank fewer "
            "items, or rank without a model of voters."
        )


def _told(
    problem: RankersProblem,
    strengths: Float[Array, " N"],
    voters: Voters,
    found: Posteriors,
    rounds: int,
    converged: bool,
) -> RankersFit:
    pooled, rankings = problem.pooled, problem.pooled.rankings
    assert rankings.voter is not None
    names = np.unique(rankings.voter[rankings.voter >= 0])
    known = np.arange(len(names))
    mean = found.mean[:, 0]
    notes = pooled.warnings
    if not converged:
        notes += (
            f"The voters' reliabilities had not settled after {rounds} rounds: what is said of "
            "single voters is rough. Rankings of voters who rank several menus settle it.",
        )
    cast = np.bincount(problem.code, rankings.weight, problem.num_voters)
    return RankersFit(
        pooled=pooled, strengths=strengths,
        covariance=covariance_in_gauge(
            problem.observed(strengths, found), problem.found, problem.prior
        ),
        voters=tuple(rankings.voters[v] for v in names), population=voters,
        mean=mean[known], sd=effect_errors(voters, found, problem.active)[known, 0],
        agreement=problem.agreement(strengths, mean)[known], votes=cast[known],
        log_likelihood=float(found.log_likelihood.sum()), converged=converged, iterations=rounds,
        warnings=notes + bound_sentences(voters),
    )  # fmt: skip
