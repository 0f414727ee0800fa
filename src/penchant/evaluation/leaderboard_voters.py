"""What the leaderboard's page shows of voters: who voted how, and whether the side shown counts.

Legend: V voters, B rankings of menus of K options, I stages.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.data.rankings import Rankings
from penchant.data.votes import Votes
from penchant.evaluation.report_words import number, percent
from penchant.fitting.ranked import StrictPart
from penchant.fitting.ranked_reliability import RankersFit
from penchant.fitting.votes_reliability import VotersFit
from penchant.models.leaderboard import Leaderboard
from penchant.models.pair_forecast import preferred
from penchant.numerics.arrays import Array, softmax

# More than a reader takes in at once.
MOST_VOTERS = 12
# Votes that decide something, below which nothing is said of a voter; and standard errors below
# what the scores foretell from which a voter stands out.
_ENOUGH, _FAR = 10, -4.0
_AT_ONCE = 2_000_000


@dataclass(frozen=True, kw_only=True)
class VoterLine:
    """agreed, expected: shares of decided votes, or of pairs on ranked menus, along the order, seen
    and foretold by the scores; surprise: their difference in standard errors. first: share of
    decided votes for the item shown first, and ties: of ties; None of rankings. reliability: with
    its interval, where it was estimated."""

    name: str
    votes: float
    agreed: float
    expected: float
    surprise: float
    first: float | None
    ties: float | None
    reliability: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Along:
    """Of each voter: what was cast, how much of it decided something, and how it went along."""

    cast: Float[Array, " V"]
    decided: Float[Array, " V"]
    agreed: Float[Array, " V"]
    expected: Float[Array, " V"]
    error: Float[Array, " V"]
    first: Float[Array, " V"] | None = None
    ties: Float[Array, " V"] | None = None


def voter_lines(
    observed: Votes | Rankings | None, board: Leaderboard
) -> tuple[tuple[VoterLine, ...], str]:
    """The busiest voters, and whoever agrees with the order far less than the scores foretell."""
    if observed is None or observed.voter is None or len(observed.voters) < 2:
        return (), ""
    if isinstance(observed, Rankings):
        found, enough_of = _along_of_rankings(observed, board), "ranked pairs"
    else:
        found, enough_of = _along_of_votes(observed, board), "decided votes"
    with np.errstate(invalid="ignore", divide="ignore"):
        surprise = (found.agreed - found.expected) / found.error
    enough = found.decided >= _ENOUGH
    against = np.flatnonzero(enough & (surprise < _FAR))
    odd = against[np.argsort(surprise[against])][: MOST_VOTERS // 2]
    busy = [v for v in np.argsort(-found.cast) if v not in odd][: MOST_VOTERS - len(odd)]
    reliability = _reliabilities(board)
    lines = tuple(
        VoterLine(
            name=observed.voters[v], votes=float(found.cast[v]), agreed=float(found.agreed[v]),
            expected=float(found.expected[v]), surprise=float(surprise[v]),
            first=None if found.first is None else float(found.first[v]),
            ties=None if found.ties is None else float(found.ties[v]),
            reliability=reliability.get(observed.voters[v], ""),
        )
        for v in [*busy, *odd]
    )  # fmt: skip
    those = f"with ten {enough_of} or more"
    told = (
        f"{len(against)} of {int(enough.sum()):,} voters {those} go along with the order far less "
        "than its scores foretell; they vote at random or want something else."
        if len(against)
        else f"No voter {those} stands clearly against the order."
    )
    return lines, told


def _along_of_votes(votes: Votes, board: Leaderboard) -> _Along:
    voter = votes.voter
    assert voter is not None
    decided = (voter >= 0) & ~votes.tie & ((votes.share == 0) | (votes.share == 1))
    strengths = board.fit_.strengths
    gap = strengths[votes.first] - strengths[votes.second]
    foretold = preferred(board.fit_, np.abs(gap))
    agreed = np.where(gap >= 0, votes.share == 1, votes.share == 0)

    def total(values: Array, rows: Array) -> Array:
        return np.bincount(voter[rows], values[rows], minlength=len(votes.voters))

    known = voter >= 0
    everything, clear = total(votes.weight, known), total(votes.weight, decided)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _Along(
            cast=everything, decided=clear, agreed=total(votes.weight * agreed, decided) / clear,
            expected=total(votes.weight * foretold, decided) / clear,
            error=np.sqrt(total(votes.weight * foretold * (1 - foretold), decided)) / clear,
            first=total(votes.weight * votes.share, decided) / clear,
            ties=total(votes.weight * votes.tie, known) / everything,
        )  # fmt: skip


def _along_of_rankings(rankings: Rankings, board: Leaderboard) -> _Along:
    """Stage by stage: of those left, how many stand below whoever was chosen, and how many the
    scores expect; differences of stages are uncorrelated. Ties above others have no stages."""
    assert rankings.voter is not None
    num, strengths = len(rankings.voters), board.fit_.strengths
    known = rankings.voter >= 0
    cast = np.bincount(rankings.voter[known], rankings.weight[known], num)
    sums = np.zeros((4, num))
    plain = rankings.take(np.flatnonzero(known & ~rankings.has_ties))
    assert plain.voter is not None
    sizes, stages = np.diff(plain.start), StrictPart.of(plain).stages
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        step = max(_AT_ONCE // int(size) ** 2, 1)
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            item = plain.item[plain.start[some][:, None] + np.arange(size)]
            told = _stage_sums(strengths[item], stages[some]) * plain.weight[some]
            for total, part in zip(sums, told, strict=True):
                total += np.bincount(plain.voter[some], part, num)
    pairs, agreed, expected, variance = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        return _Along(
            cast=cast, decided=pairs, agreed=agreed / pairs, expected=expected / pairs,
            error=np.sqrt(variance) / pairs,
        )  # fmt: skip


def _stage_sums(strengths: Float[Array, "B K"], stages: Array) -> Float[Array, "4 B"]:
    """Over the stages of rankings, the best first: pairs, pairs along the order, those that the
    scores expect, and the variance of these."""
    size = strengths.shape[1]
    # left[i, j]: whether j is still there at stage i.
    left = np.triu(np.ones((size, size), dtype=bool))
    gap = strengths[:, :, None] - strengths[:, None]
    ahead = np.where(gap > 0, 1.0, np.where(gap < 0, 0.0, 0.5))
    # below[i, j]: how many of those left at stage i stand below j; j itself counts half.
    below = np.einsum("bjk,ik->bij", ahead, left) - 0.5
    chance = softmax(np.where(left, strengths[:, None], -np.inf), axis=2)
    mean = (chance * below).sum(axis=2)
    variance = (chance * below**2).sum(axis=2) - mean**2
    is_stage = np.arange(size) < stages[:, None]
    seen = np.einsum("bii->bi", below)
    others = np.broadcast_to(size - 1.0 - np.arange(size), mean.shape)
    return np.stack([(is_stage * part).sum(axis=1) for part in (others, seen, mean, variance)])


def _reliabilities(board: Leaderboard) -> dict[str, str]:
    """Of each voter, where it was estimated: the reliability and its 95 % interval, in words."""
    detail = board.detail_
    if isinstance(detail, VotersFit):
        mean, sd = detail.mean[:, 0], detail.sd[:, 0]
    elif isinstance(detail, RankersFit):
        mean, sd = detail.mean, detail.sd
    else:
        return {}
    return {
        name: f"{number(math.exp(m), 2)} ({number(math.exp(m - 1.96 * s), 2)} to "
        f"{number(math.exp(m + 1.96 * s), 2)})"
        for name, m, s in zip(detail.voters, mean.tolist(), sd.tolist(), strict=True)
    }


def first_shown_sentence(votes: Votes | None, board: Leaderboard) -> tuple[str, ...]:
    """Whether what is shown first wins more often than the scores explain."""
    if votes is None:
        return ()
    decided = ~votes.tie & ((votes.share == 0) | (votes.share == 1))
    if decided.sum() < 50:
        return ()
    strengths = board.fit_.strengths
    gap = strengths[votes.first[decided]] - strengths[votes.second[decided]]
    p = preferred(board.fit_, gap)
    weight, won = votes.weight[decided], votes.share[decided]
    seen, foretold = weight @ won / weight.sum(), weight @ p / weight.sum()
    error = np.sqrt(weight**2 @ (p * (1 - p))) / weight.sum()
    if abs(seen - foretold) < 3.0 * error:
        return ()
    return (
        f"The item shown first wins {percent(seen, 1)} of the decided votes, where the scores "
        f"foretell {percent(foretold, 1)}: the side counts. Rank with --covariates shown_first for "
        "scores at equal sides.",
    )
