"""What votes tell, item by item: scores in their gauge, by context, with errors.

Legend: B rows, N items, X contexts, C covariates, M own parameters, P parameters.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.vote_density import VoteDensity
from penchant.fitting.vote_sandwich import Sandwich
from penchant.numerics.arrays import Array
from penchant.numerics.bordered import Factor


@dataclass(frozen=True, kw_only=True, eq=False)
class ContextScores:
    """Scores by context. Where an item was not met in a context, its common score and its doubt.

    spread: the standard deviation of what a context adds to a score, learned from the data.
    evidence: gain in log marginal likelihood (Laplace) over the same scores everywhere; p_value: of
    its likelihood-ratio test, half chi-squared since no spread is below 0 (Self and Liang 1987).
    """

    names: tuple[str, ...]
    deviation: Float[Array, "X N"]
    deviation_se: Float[Array, "X N"]
    scores: Float[Array, "X N"]
    scores_se: Float[Array, "X N"]
    spread: float
    evidence: float
    p_value: float


@dataclass(frozen=True, kw_only=True, eq=False)
class VotesFit:
    """What votes tell. Strengths have mean zero within each island; `strength_covariance` is that
    of these centred strengths, infinite for an item that met nobody.

    degrees_of_freedom: of errors by voter, item by item, and then curvature_covariance: that of the
    strengths as the model alone would have it; both None where all errors are the curvature's.

    coefficients: of the covariates, per unit. own: log tie strength, or threshold steps.
    log_likelihood: None where not all votes were read, as after an update of drifting scores.
    """

    items: tuple[str, ...]
    strengths: Float[Array, " N"]
    strength_covariance: Float[Array, "N N"]
    covariate_names: tuple[str, ...]
    coefficients: Float[Array, " C"]
    coefficient_covariance: Float[Array, "C C"]
    own: Float[Array, " M"]
    own_covariance: Float[Array, "M M"]
    context: ContextScores | None
    model: GapModel
    log_likelihood: float | None
    converged: bool
    iterations: int
    seconds: float
    prior: str | None
    warnings: tuple[str, ...]
    degrees_of_freedom: Float[Array, " N"] | None = None
    curvature_covariance: Float[Array, "N N"] | None = None

    @property
    def strength_se(self) -> Float[Array, " N"]:
        """Standard errors of the centred strengths."""
        return np.sqrt(np.diag(self.strength_covariance))

    @property
    def coefficient_se(self) -> Float[Array, " C"]:
        """Standard errors of the covariates' coefficients."""
        return np.sqrt(np.diag(self.coefficient_covariance))

    def gaps(self, votes: Votes) -> Float[Array, " B"]:
        """The worth of the first less that of the second in each vote, in its context.

        Votes must name the same items in the same order; contexts are found by name.
        """
        gap = self.strengths[votes.first] - self.strengths[votes.second]
        if self.coefficients.size:
            gap = gap + votes.covariates @ self.coefficients
        if self.context is None or votes.context is None:
            return gap
        place = np.array([self._context_place(name) for name in votes.contexts] + [-1])
        at = place[votes.context]
        padded = np.concatenate([self.context.deviation, np.zeros((1, len(self.items)))])
        return gap + padded[at, votes.first] - padded[at, votes.second]

    def log_prob(self, votes: Votes) -> Float[Array, " B"]:
        """log p of who won each vote, or of its grade where the model has levels; of a soft one the
        share-weighted mean over both answers."""
        return log_prob_of_votes(self.model, self.gaps(votes), votes, self.own)

    def _context_place(self, name: str) -> int:
        names = () if self.context is None else self.context.names
        return names.index(name) if name in names else -1


def log_prob_of_votes(
    model: GapModel, gap: Float[Array, " B"], votes: Votes, own: Float[Array, " M"]
) -> Float[Array, " B"]:
    """log p of each vote at these gaps; ties under a model without them count half for each."""
    answers = range(model.num_answers)
    logs = [model.log_prob(gap, np.full(len(gap), answer), own[None]) for answer in answers]
    return log_prob_by_answer(logs, votes, by_grade=model.levels is not None)


def log_prob_by_answer(
    logs: list[Float[Array, " B"]], votes: Votes, *, by_grade: bool = False
) -> Float[Array, " B"]:
    """log p of each vote, given those of its answers: the share-weighted mean of a soft one's two,
    and of a tie where there is no answer for it; of its grade where the answers are grades.

    Raises `DataError` where they are, and the votes have other grades or none.
    """
    if by_grade:
        if votes.grade is None or len(votes.grades) != len(logs):
            raise DataError(
                f"the votes have {len(votes.grades)} grades and the model {len(logs)} levels; "
                "expected as many. Grade them as the votes of the fit were."
            )
        return np.stack(logs, axis=1)[np.arange(len(votes)), votes.grade]
    share = np.where(votes.tie, 0.5, votes.share)
    # A share of 0 must not meet a log-probability of minus infinity: their product is no number.
    with np.errstate(invalid="ignore"):
        mixed = np.where(share > 0, share * logs[0], 0.0)
        mixed = mixed + np.where(share < 1, (1.0 - share) * logs[1], 0.0)
    return np.where(votes.tie, logs[2], mixed) if len(logs) > 2 else mixed


def context_table(
    votes: Votes,
    density: VoteDensity,
    theta: Float[Array, " P"],
    factor: Factor | Sandwich,
    spread: float,
) -> ContextScores:
    """Scores by context with their errors; the test is still to be filled in."""
    shape = (len(votes.contexts), density.num_items)
    deviation, deviation_se = np.zeros(shape), np.full(shape, spread)
    at = (density.deviation_context, density.deviation_item)
    deviation[at] = theta[density.num_items : density.num_core]
    deviation_se[at] = np.sqrt(factor.variances()[density.num_items : density.num_core])
    scores, variance = _scores_by_context(density, factor, theta, deviation, spread)
    return ContextScores(
        names=votes.contexts,
        deviation=deviation,
        deviation_se=deviation_se,
        scores=scores,
        scores_se=np.sqrt(variance),
        spread=spread,
        evidence=np.nan,
        p_value=np.nan,
    )


def _scores_by_context(
    density: VoteDensity,
    factor: Factor | Sandwich,
    theta: Float[Array, " P"],
    deviation: Float[Array, "X N"],
    spread: float,
) -> tuple[Float[Array, "X N"], Float[Array, "X N"]]:
    """Scores in each context, mean zero within islands of those met there, and their variances."""
    num = density.num_items
    scores = theta[:num] + deviation
    variance = np.empty_like(scores)
    items = np.arange(num)
    for context in range(len(scores)):
        here = np.flatnonzero(density.deviation_context == context)
        met = np.zeros(num, dtype=bool)
        met[density.deviation_item[here]] = True
        combination = np.zeros((density.num_parameters, num))
        combination[items, items] = 1.0
        combination[num + here, density.deviation_item[here]] = 1.0
        covariance = factor.quadratic(combination)
        covariance[items, items] += np.where(met, 0.0, spread**2)
        for island in np.unique(density.island):
            mine = np.flatnonzero(density.island == island)
            centre = mine[met[mine]] if met[mine].any() else mine
            scores[context, mine] -= scores[context, centre].mean()
            own = covariance[np.ix_(mine, mine)]
            with_mean = covariance[np.ix_(mine, centre)].mean(axis=1)
            of_mean = covariance[np.ix_(centre, centre)].mean()
            variance[context, mine] = np.diag(own) - 2.0 * with_mean + of_mean
    return scores, np.maximum(variance, 0.0)


def tabulate(
    votes: Votes, density: VoteDensity, theta: Float[Array, " P"], factor: Factor | Sandwich
) -> VotesFit:
    """Estimates and errors by name; what the climb has to say is still to be filled in."""
    num = density.num_items
    strengths, covariance = centred(
        theta[:num], score_covariance(density, factor), density.island,
        None if density.prior is None else density.prior.anchor,
    )  # fmt: skip
    rest = np.arange(density.num_core, density.num_parameters)
    tail, cut = factor.covariance(rest), density.num_covariates
    return VotesFit(
        items=votes.items,
        strengths=strengths,
        strength_covariance=covariance,
        covariate_names=votes.covariate_names,
        coefficients=theta[rest[:cut]],
        coefficient_covariance=tail[:cut, :cut],
        own=theta[rest[cut:]],
        own_covariance=tail[cut:, cut:],
        context=None,
        model=density.model,
        log_likelihood=np.nan,
        converged=False,
        iterations=0,
        seconds=0.0,
        prior=None,
        warnings=(),
    )


def score_covariance(density: VoteDensity, factor: Factor | Sandwich) -> Float[Array, "N N"]:
    """The covariance of the scores; zero between islands where each is a block of its own."""
    num = density.num_items
    if isinstance(factor, Sandwich):
        return factor.covariance(np.arange(num))
    inside = {int(place) for place in factor.layout.border}
    if all(place in inside for place in range(num)):
        return factor.covariance(np.arange(num))
    covariance = np.zeros((num, num))
    for places, block in zip(factor.layout.blocks, factor.blocks):
        del block
        covariance[np.ix_(places, places)] = factor.covariance(places)
    return covariance


def centred(
    strengths: Float[Array, " N"],
    covariance: Float[Array, "N N"],
    island: Int[Array, " N"],
    anchor: Float[Array, " N"] | None = None,
) -> tuple[Float[Array, " N"], Float[Array, "N N"]]:
    """Strengths less the mean of their island, with the covariance of these; by the parts that a
    weak prior's anchor gives to each item, where there is one."""
    if anchor is not None and anchor.any():
        same = (island[:, None] == island) * anchor
        return strengths - same @ strengths, (
            (half := covariance - same @ covariance) - half @ same.T
        )
    strengths, covariance = strengths.copy(), covariance.copy()
    for number in np.unique(island):
        mine = np.flatnonzero(island == number)
        strengths[mine] -= strengths[mine].mean()
        covariance[mine] -= covariance[mine].mean(axis=0)
        covariance[:, mine] -= covariance[:, mine].mean(axis=1, keepdims=True)
    return strengths, covariance


def centring(island: Int[Array, " N"]) -> Float[Array, "N N"]:
    """What takes the mean of its island off every score."""
    together = island[:, None] == island
    return np.eye(len(island)) - together / together.sum(axis=1)


def centred_covariance(
    covariance: Float[Array, "N N"], island: Int[Array, " N"]
) -> Float[Array, "N N"]:
    """Of scores less the mean of their island; infinite for an item that met nobody."""
    found = centred(np.zeros(len(island)), covariance, island)[1]
    alone = np.flatnonzero(np.bincount(island)[island] == 1)
    found[alone, alone] = np.inf
    return found
