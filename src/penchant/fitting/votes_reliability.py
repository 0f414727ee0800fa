"""Scores and voters together: who is reliable, who favours what is shown first, who ties often.

Legend: B rows, E edges, N items, V voters, K effects, Q nodes, M own parameters, P parameters.
"""

import time
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from penchant.data.votes import Votes
from penchant.feedback.gap import GapResponse
from penchant.fitting.vote_density import VoteDensity
from penchant.fitting.vote_rows import range_sums
from penchant.fitting.voter_posteriors import (
    Posteriors,
    VoterProblem,
    average_response,
    bound_sentences,
    effect_errors,
    improve_modes,
    next_population,
    posteriors,
)
from penchant.fitting.votes_pooled import (
    VotesConfig,
    fit_votes,
    prepare,
    rows_of,
    with_prior_on_covariates,
    with_spread,
)
from penchant.fitting.votes_table import (
    VotesFit,
    context_table,
    log_prob_by_answer,
    tabulate,
)
from penchant.numerics.arrays import Array, log_sum_exp, sigmoid
from penchant.numerics.bordered import Factor
from penchant.numerics.threads import one_blas_thread
from penchant.populations.voters import Effect, Voters, standard_nodes

# Up to so many parameters what voters leave unknown is taken off the whole information.
_MOST_WHOLE = 3000


@dataclass(frozen=True, kw_only=True)
class VotersConfig:
    """effects: what differs between voters. rounds: at most so many of EM; tolerance: stop when a
    round gains less, in nats, and no spread moves by more than one part in a hundred."""

    effects: tuple[Effect, ...] = ("reliability", "bias", "ties")
    rounds: int = 200
    tolerance: float = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class VotersFit:
    """`fit` holds the scores, in logits as a voter of typical reliability feels them.

    mean, sd: of log reliability, bias for the first shown (logits) and what is added to the log
    tie strength, for each voter, given their votes. agreement: the probability that the voter
    sides with the better of two, ties and place aside, over the pairs that voter was shown.
    votes: weighted number. pooled_log_likelihood: of the same votes with all voters alike.
    """

    fit: VotesFit
    voters: tuple[str, ...]
    population: Voters
    mean: Float[Array, "V 3"]
    sd: Float[Array, "V 3"]
    agreement: Float[Array, " V"]
    votes: Float[Array, " V"]
    posterior: Posteriors
    log_likelihood: float
    pooled_log_likelihood: float

    @property
    def reliability(self) -> Float[Array, " V"]:
        """exp of the mean log reliability: 1 is typical, 0 votes at random."""
        return np.exp(self.mean[:, 0])

    def log_prob(self, votes: Votes) -> Float[Array, " B"]:
        """log p of each vote from what is known of its voter; by the population where nothing is.

        Votes must name the same items in the same order; voters and contexts are found by name.
        """
        known = {name: v for v, name in enumerate(self.voters)}
        place = np.array([known.get(name, -1) for name in votes.voters] + [-1], dtype=np.int64)
        voter = np.full(len(votes), -1) if votes.voter is None else place[votes.voter]
        standard = standard_nodes(len(self.population.effects))
        anybody = self.population.means + self.population.spreads * standard.places
        nodes = np.concatenate([self.posterior.nodes[: len(self.voters)], anybody[None]])
        weights = np.concatenate(
            [self.posterior.weights[: len(self.voters)], np.exp(standard.log_weights)[None]]
        )
        gap = self.fit.gaps(votes)
        logs = np.empty(len(votes))
        for start in range(0, len(votes), 50_000):
            rows = np.arange(start, min(start + 50_000, len(votes)))
            logs[rows] = self._log_prob(
                votes.take(rows), gap[rows], nodes[voter[rows]], weights[voter[rows]]
            )
        return logs

    def _log_prob(
        self,
        votes: Votes,
        gap: Float[Array, " B"],
        nodes: Float[Array, "B Q K"],
        weights: Float[Array, "B Q"],
    ) -> Float[Array, " B"]:
        whole, model = self.population.full(nodes), self.fit.model
        heard = np.exp(whole[..., 0]) * gap[:, None] + whole[..., 1]
        own = np.broadcast_to(self.fit.own[None, :, None], (len(gap), len(self.fit.own), 1))
        if len(self.fit.own):
            own = own + whole[:, None, :, 2]
        answers = []
        for answer in range(model.num_answers):
            logs = model.log_prob(heard, np.full(len(gap), answer), own)
            answers.append(log_sum_exp(np.log(weights) + logs, axis=1))
        return log_prob_by_answer(answers, votes, by_grade=model.levels is not None)


@one_blas_thread
def fit_voters(
    votes: Votes, config: VotesConfig, voters_config: VotersConfig | None = None
) -> VotersFit:
    """Scores and voters by EM on the marginal likelihood, voters' effects summed out.

    log L = sum_v log integral prod_(b of v) p(y_b | exp(a) gap_b + b, t) N(a, b, t) d(a, b, t).
    The E-step is adaptive quadrature; the M-step one Newton step for the scores (Lange 1995) and
    `next_population` for the spreads.
    Errors of the scores are from the observed information (Louis 1982), the spreads taken as known.

    Raises `DataError` for votes without voters.
    """
    began = time.perf_counter()
    voters_config = voters_config or VotersConfig()
    rows = rows_of(votes, config, by_voter=True)
    pooled = fit_votes(votes, replace(config, errors="curvature"))
    density, _, _ = prepare(rows, votes, config)
    density = replace(density, most_dense=_MOST_WHOLE)
    if pooled.context is not None:
        density = with_spread(density, max(pooled.context.spread, 1e-2))
    if any("coefficient" in warning for warning in pooled.warnings):
        density = with_prior_on_covariates(density, 5.0)
    start = _start(density, pooled)
    effects = tuple(
        e for e in voters_config.effects if e != "ties" or config.model.ties is not None
    )
    climb = _climb(density, start, effects, voters_config)
    return _fit(votes, density, pooled, climb, time.perf_counter() - began)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Climb:
    theta: Float[Array, " P"]
    problem: VoterProblem
    found: Posteriors
    value: float
    rounds: int
    converged: bool


def _start(density: VoteDensity, pooled: VotesFit) -> Float[Array, " P"]:
    """The scores with all voters alike."""
    deviation = np.zeros(0)
    if pooled.context is not None:
        at = (density.deviation_context, density.deviation_item)
        deviation = pooled.context.deviation[at]
    return np.concatenate([pooled.strengths, deviation, pooled.coefficients, pooled.own])


def _climb(
    density: VoteDensity,
    start: Float[Array, " P"],
    effects: tuple[Effect, ...],
    config: VotersConfig,
) -> _Climb:
    voters = Voters(effects=effects, bias_mean=0.0, spreads=np.full(len(effects), 0.5))
    modes = np.broadcast_to(voters.means, (density.rows.num_voters, len(effects)))
    active = np.diff(density.rows.voter_start) > 0
    theta, value, converged = start, -np.inf, False
    for number in range(1, config.rounds + 1):
        problem = VoterProblem(
            rows=density.rows,
            model=density.model,
            gap=density.core_gap(theta),
            own=density.own(theta),
            voters=voters,
        )
        modes, curvature = improve_modes(problem, modes, 6 if number == 1 else 1)
        found = posteriors(problem, modes, curvature)
        before, value = value, _value(density, theta, found)
        fresh = next_population(voters, found, active)
        moved = float(np.max(np.abs(np.log(fresh.spreads / voters.spreads))))
        converged = abs(value - before) < config.tolerance and moved < 0.01
        if converged:
            break
        response = average_response(problem, found)
        # By Fisher's identity the averaged slopes are those of the marginal likelihood.
        theta = theta + density.factorise(response).solve(density.gradient(theta, response))
        voters = fresh
    return _Climb(
        theta=theta, problem=problem, found=found, value=value, rounds=number, converged=converged
    )


def _value(density: VoteDensity, theta: Float[Array, " P"], found: Posteriors) -> float:
    return float(found.log_likelihood.sum()) + density.log_prior(theta)


def _fit(
    votes: Votes,
    density: VoteDensity,
    pooled: VotesFit,
    climb: _Climb,
    seconds: float,
) -> VotersFit:
    problem, found = climb.problem, climb.found
    response = average_response(problem, found)
    factor = _observed(density, problem, found, response)
    scores = tabulate(votes, density, climb.theta, factor)
    context = pooled.context
    if context is not None:
        fresh = context_table(votes, density, climb.theta, factor, context.spread)
        context = replace(fresh, evidence=context.evidence, p_value=context.p_value)
    notes = pooled.warnings
    if not climb.converged:
        notes += (
            f"The voters' effects had not settled after {climb.rounds} rounds: "
            "what is said of single voters is rough. Votes of voters who cast several settle it.",
        )
    notes += bound_sentences(problem.voters)
    assert pooled.log_likelihood is not None
    num = len(votes.voters)
    whole_mean = problem.voters.full(found.mean)
    whole_sd = np.zeros_like(whole_mean)
    at = [i for i, e in enumerate(("reliability", "bias", "ties")) if e in problem.voters.effects]
    active = np.diff(density.rows.voter_start) > 0
    whole_sd[:, at] = effect_errors(problem.voters, found, active)
    return VotersFit(
        fit=replace(
            scores,
            context=context,
            prior=pooled.prior,
            log_likelihood=float(found.log_likelihood.sum()),
            converged=climb.converged,
            iterations=climb.rounds,
            seconds=seconds,
            warnings=notes,
        ),
        voters=votes.voters,
        population=problem.voters,
        mean=whole_mean[:num],
        sd=whole_sd[:num],
        agreement=_agreement(problem, whole_mean)[:num],
        votes=density.rows.by_voter(density.rows.weight)[:num],
        posterior=found,
        log_likelihood=float(found.log_likelihood.sum()),
        pooled_log_likelihood=pooled.log_likelihood,
    )


def _agreement(problem: VoterProblem, mean: Float[Array, "V 3"]) -> Float[Array, " V"]:
    """Mean over each voter's rows of sigmoid(r |gap|); NaN where there are none."""
    rows = problem.rows
    sides = sigmoid(np.exp(mean[rows.voter, 0]) * np.abs(problem.gap))
    total = rows.by_voter(rows.weight)
    agreed = rows.by_voter(rows.weight * sides)
    return np.where(total > 0, agreed / np.where(total > 0, total, 1.0), np.nan)


def _observed(
    density: VoteDensity, problem: VoterProblem, found: Posteriors, response: GapResponse
) -> Factor:
    """The information with what is not known of voters taken off; where rounding or few nodes
    make that impossible, the complete one."""
    try:
        return density.factorise(response, _missing(density, problem, found))
    except np.linalg.LinAlgError:
        return density.factorise(response)


def _missing(density: VoteDensity, problem: VoterProblem, found: Posteriors) -> Array:
    """sum_v Cov(score of v's votes at what v may be), the covariance over v's posterior."""
    from scipy.sparse import coo_array, csr_array, hstack

    rows, num_nodes = density.rows, found.nodes.shape[1]
    total = csr_array((density.num_parameters, density.num_parameters))
    for first, last, at in problem.chunks(num_nodes):
        heard = problem.heard(found.nodes[first:last], first, last)
        one = problem.respond(heard, at)
        voter = rows.voter[at]
        share, weight = found.weights[voter], rows.weight[at]
        # Each row's slope at a node less its mean over nodes, times the root of the node's weight.
        slope = _centred(weight[:, None] * heard.reliability * one.slope, share)
        line = (voter - first)[:, None] * num_nodes + np.arange(num_nodes)
        shape = ((last - first) * num_nodes, len(rows.edge_first))
        edge = np.broadcast_to(rows.edge[at][:, None], slope.shape)
        by_edge = coo_array((slope.ravel(), (line.ravel(), edge.ravel())), shape).tocsr()
        columns = [rows.covariates[at][:, c, None] * slope for c in range(density.num_covariates)]
        columns += [
            _centred(weight[:, None] * one.own_slope[:, m], share)
            for m in range(density.model.num_own)
        ]
        start = rows.voter_start[first : last + 1] - at.start
        dense = [csr_array(range_sums(column, start).reshape(-1, 1)) for column in columns]
        spread = hstack([by_edge @ density.incidence, *dense], format="csr")
        total = total + spread.T @ spread
    return total.tocsr()


def _centred(values: Float[Array, "B Q"], share: Float[Array, "B Q"]) -> Float[Array, "B Q"]:
    mean = np.sum(share * values, axis=1, keepdims=True)
    return np.sqrt(share) * (values - mean)
