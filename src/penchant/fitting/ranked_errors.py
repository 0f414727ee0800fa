"""Errors of Plackett-Luce strengths: by curvature, by ranking, by voter, by resamples of either.

Legend: R rankings, E entries over all menus, N items, V voters, D resamples.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from penchant.data.rankings import Rankings
from penchant.errors import DataError
from penchant.feedback import ranking
from penchant.fitting.paired_errors import StrengthErrors, voter_codes
from penchant.fitting.paired_prior import StrengthPrior, in_gauge
from penchant.fitting.ranked import RankedConfig, RankedFit, StrictPart, TiedPart, fit_ranked
from penchant.numerics.arrays import Array
from penchant.numerics.graph import Connectivity

MOST_RANKED = 5_000


Trust = Literal["model", "rankings", "voters"]


def ranked_errors(fit: RankedFit, trust: Trust = "model") -> StrengthErrors:
    """Errors of strengths in their gauge: those of `ranked_covariance`, Student's by voter.

    Degrees of freedom are, item by item, the number of equally busy voters that would tell as much
    of it, less one (after Carter, Schnepel and Steigerwald 2017).
    """
    covariance = ranked_covariance(fit, trust)
    degrees = np.full(len(covariance), np.inf)
    if trust == "voters":
        degrees = np.maximum(_effective_voters(fit.rankings) - 1.0, 1.0)
    return StrengthErrors(
        se=np.sqrt(np.maximum(np.diag(covariance), 0.0)), covariance=covariance, draws=None,
        accuracy=0.0, degrees_of_freedom=degrees,
    )  # fmt: skip


def ranked_covariance(fit: RankedFit, trust: Trust = "model") -> Float[Array, "N N"]:
    """Of strengths in their gauge, infinite for an item that met nobody.

    "model": the inverse H^-1 of the information. "rankings": the sandwich by ranking
    H^-1 (R / (R - 1) sum_r w_r s_r s_r' + prior) H^-1 (Huber 1967), which trusts only that rankings
    are independent; a weight counts equal rankings, as in PrefLib's files, and R is their sum.
    "voters": the same with the sums of voters' scores, V / (V - 1) sum_v s_v s_v' (Liang and Zeger
    1986), whatever ties each one's rankings together; unknown voters are voters of one ranking.

    Raises DataError beyond some thousand items, where a matrix of all pairs has no room, and by
    voter where rankings name none, or a single one.
    """
    num_items, island = len(fit.strengths), fit.connectivity.island
    if num_items > MOST_RANKED:
        raise DataError(
            f"errors of {num_items} ranked items need a matrix of {num_items}^2 numbers; expected "
            f"at most {MOST_RANKED} items. Rank fewer items, or use `fit_ranked` without errors."
        )
    if trust == "model":
        return covariance_in_gauge(
            fit.information() + island_shift(island), fit.connectivity, fit.prior
        )
    gauge = _gauge(fit.connectivity, fit.prior)
    bread = (np.eye(num_items) - gauge) @ np.linalg.inv(fit.information() + island_shift(island))
    meat = _meat_of_rankings(fit) if trust == "rankings" else _meat_of_voters(fit)
    if fit.prior is not None:
        meat = meat + fit.prior.information()
    return _without_unseen(bread @ meat @ bread.T, fit.connectivity)


def covariance_in_gauge(
    information: Float[Array, "N N"], found: Connectivity, prior: StrengthPrior | None
) -> Float[Array, "N N"]:
    """(I - G) H^-1 (I - G)', G the mean that is 0; infinite for an item that met nobody. H is the
    `information`, with some on the common shift of each island."""
    free = np.eye(len(information)) - _gauge(found, prior)
    return _without_unseen(free @ np.linalg.inv(information) @ free.T, found)


def island_shift(island: Int[Array, " N"]) -> Float[Array, "N N"]:
    """Information on the common shift of each island, which rankings have none of: 1 / n on all of
    its pairs. It is taken out again with the gauge."""
    return (island[:, None] == island) / np.bincount(island)[island]


def _gauge(found: Connectivity, prior: StrengthPrior | None) -> Float[Array, "N N"]:
    if prior is not None and prior.is_weak:
        return (found.island[:, None] == found.island) * prior.anchor
    return island_shift(found.island)


def _without_unseen(covariance: Float[Array, "N N"], found: Connectivity) -> Float[Array, "N N"]:
    covariance[found.unseen, found.unseen] = np.inf
    return np.asarray(covariance)


def bootstrap_rankings(
    fit: RankedFit,
    num_resamples: int,
    generator: np.random.Generator,
    *,
    by_voter: bool = False,
    on_resample: Callable[[int, int], None] | None = None,
) -> Float[Array, "D N"]:
    """Strengths of resamples of rankings (Efron 1979), in the gauge of the fit; with `by_voter` as
    many voters, drawn with replacement, each with all their rankings.

    Raises DataError by voter where rankings name none, or a single one.
    """
    weight = fit.rankings.weight
    code, num_voters = _voters(fit.rankings) if by_voter else (None, 0)
    total = max(round(float(weight.sum())), 1)
    scale = fit.prior.scale if fit.prior is not None and not fit.prior.is_weak else None
    config = RankedConfig(prior_scale=scale, tolerance=1e-5)
    draws = np.empty((num_resamples, len(fit.strengths)))
    for d in range(num_resamples):
        if code is None:
            drawn = generator.multinomial(total, weight / weight.sum()).astype(np.float64)
        else:
            times = generator.multinomial(num_voters, np.full(num_voters, 1.0 / num_voters))
            drawn = weight * times[code]
        found = fit_ranked(replace(fit.rankings, weight=drawn), config).strengths
        draws[d] = in_gauge(found, fit.connectivity.island, fit.prior)
        if on_resample is not None:
            on_resample(d + 1, num_resamples)
    return draws


def _voters(rankings: Rankings) -> tuple[Int[Array, " R"], int]:
    if rankings.voter is None:
        raise DataError(
            "errors by voter were asked for, and these rankings name no voters. Name the voters' "
            'column, or use interval "sandwich" or "wald".'
        )
    code, num_voters = voter_codes(rankings.voter)
    if num_voters < 2:
        raise DataError(
            f"{num_voters} voter made all {len(rankings)} rankings; expected at least two to see "
            'how much voters differ. Use interval "sandwich", which trusts that rankings are '
            "independent."
        )
    return code, num_voters


def _effective_voters(rankings: Rankings) -> Float[Array, " N"]:
    """On each item, (sum_v n_v)^2 / sum_v n_v^2 of the rankings n_v of it that voters made."""
    from scipy.sparse import coo_array

    code, num_voters = _voters(rankings)
    shape = (num_voters, rankings.num_items)
    cast = rankings.weight[rankings.ranking]
    busy = coo_array((cast, (code[rankings.ranking], rankings.item)), shape).tocsr()
    squares = np.asarray(busy.multiply(busy).sum(axis=0)).ravel()
    shares = np.asarray(busy.sum(axis=0)).ravel() ** 2
    return np.divide(shares, squares, out=np.zeros_like(shares), where=squares > 0)


def ranking_scores(rankings: Rankings, strengths: Float[Array, " N"]) -> Any:
    """[R, N] sparse: the derivatives of each ranking's log-likelihood, weights left out."""
    from scipy.sparse import coo_array

    tied = rankings.has_ties
    parts = []
    if not tied.all():
        rows = np.flatnonzero(~tied)
        strict = rankings.take(rows)
        parts.append((rows[strict.ranking], strict.item, _strict_scores(strict, strengths)))
    if tied.any():
        parts += _tied_scores(rankings, np.flatnonzero(tied), strengths)
    row, item, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    return coo_array((value, (row, item)), (len(rankings), rankings.num_items)).tocsr()


def _meat_of_rankings(fit: RankedFit) -> Float[Array, "N N"]:
    rankings = fit.rankings
    scores = ranking_scores(rankings, fit.strengths)
    total = float(rankings.weight.sum())
    weighted = scores.multiply(rankings.weight[:, None]).tocsr()
    return np.asarray((scores.T @ weighted).toarray() * total / max(total - 1.0, 1.0))


def _meat_of_voters(fit: RankedFit) -> Float[Array, "N N"]:
    from scipy.sparse import coo_array

    code, num_voters = _voters(fit.rankings)
    rows = np.arange(len(code))
    cast = coo_array((fit.rankings.weight, (code, rows)), (num_voters, len(code))).tocsr()
    scores = cast @ ranking_scores(fit.rankings, fit.strengths)
    return np.asarray((scores.T @ scores).toarray() * num_voters / (num_voters - 1.0))


def _strict_scores(rankings: Rankings, strengths: Float[Array, " N"]) -> Float[Array, " E"]:
    """Of each entry: 1 if it was chosen at a stage, less the chances it had at all stages it saw.

    At stage k whoever is left is chosen with chance exp(s) / sum of exp(s) of those left.
    """
    start, row = rankings.start, rankings.ranking
    utility = strengths[rankings.item]
    worth = np.exp(utility - np.maximum.reduceat(utility, start[:-1])[row])
    place = np.arange(len(row)) - start[:-1][row]
    is_stage = place < StrictPart.of(rankings).stages[row]
    left = sums_behind(worth, start)
    hazard = np.where(is_stage, 1.0 / left, 0.0)
    # An entry saw the stages up to its own place, or all there were.
    seen = np.cumsum(hazard) - (np.cumsum(hazard) - hazard)[start[:-1]][row]
    return is_stage - worth * seen


def sums_behind(values: Float[Array, " E"], start: Int[Array, " R1"]) -> Float[Array, " E"]:
    """Of each entry its own value and those behind it in its ranking."""
    sums = np.cumsum(values[::-1])[::-1]
    beyond = np.append(sums, 0.0)[start[1:]]
    return sums - np.repeat(beyond, np.diff(start))


def _tied_scores(
    rankings: Rankings, rows: Int[Array, " A"], strengths: Float[Array, " N"]
) -> list[tuple[Array, Array, Array]]:
    sizes, parts = np.diff(rankings.start)[rows], []
    for size in np.unique(sizes):
        mine = rows[sizes == size]
        (part,) = TiedPart.all_of(rankings.take(mine))
        offered = np.ones(part.item.shape, dtype=bool)
        score = ranking.score(strengths[part.item], offered, part.rank).utilities
        parts.append((np.repeat(mine, size), part.item.ravel(), score.ravel()))
    return parts
