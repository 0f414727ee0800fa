"""What the leaderboard's page shows of voters: who voted how, and whether the side shown counts."""

from dataclasses import dataclass

import numpy as np

from penchant.data.votes import Votes
from penchant.evaluation.report_words import percent
from penchant.models.leaderboard import Leaderboard
from penchant.models.pair_forecast import preferred
from penchant.numerics.arrays import Array

# More than a reader takes in at once.
MOST_VOTERS = 12


@dataclass(frozen=True, kw_only=True)
class VoterLine:
    """agreed, expected: shares of decided votes along the order, seen and foretold by the scores;
    surprise: their difference in standard errors. first: share of decided votes for the item shown
    first."""

    name: str
    votes: float
    agreed: float
    expected: float
    surprise: float
    first: float
    ties: float


def voter_lines(votes: Votes | None, board: Leaderboard) -> tuple[tuple[VoterLine, ...], str]:
    """The busiest voters, and whoever agrees with the order far less than the scores foretell."""
    if votes is None or votes.voter is None or len(votes.voters) < 2:
        return (), ""
    decided = (votes.voter >= 0) & ~votes.tie & ((votes.share == 0) | (votes.share == 1))
    strengths = board.fit_.strengths
    gap = strengths[votes.first] - strengths[votes.second]
    foretold = preferred(board.fit_, np.abs(gap))
    agreed = np.where(gap >= 0, votes.share == 1, votes.share == 0)

    def total(values: Array, rows: Array) -> Array:
        chosen = votes.voter[rows]  # type: ignore[index]  # voters are there, or we had left
        return np.bincount(chosen, values[rows], minlength=len(votes.voters))

    known = votes.voter >= 0
    everything, clear = total(votes.weight, known), total(votes.weight, decided)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = total(votes.weight * agreed, decided) / clear
        expected = total(votes.weight * foretold, decided) / clear
        error = np.sqrt(total(votes.weight * foretold * (1 - foretold), decided)) / clear
        surprise = (share - expected) / error
        first = total(votes.weight * votes.share, decided) / clear
        ties = total(votes.weight * votes.tie, known) / everything
    odd = np.flatnonzero((clear >= 10) & (surprise < -4.0))
    odd = odd[np.argsort(surprise[odd])][: MOST_VOTERS // 2]
    busy = [v for v in np.argsort(-everything) if v not in odd][: MOST_VOTERS - len(odd)]
    lines = tuple(
        VoterLine(
            name=votes.voters[v], votes=float(everything[v]), agreed=float(share[v]),
            expected=float(expected[v]), surprise=float(surprise[v]), first=float(first[v]),
            ties=float(ties[v]),
        )
        for v in [*busy, *odd]
    )  # fmt: skip
    against = int(((clear >= 10) & (surprise < -4.0)).sum())
    told = (
        f"{against} of {int((clear >= 10).sum()):,} voters with ten decided votes or more go "
        "along with the order far less than its scores foretell; they vote at random or want "
        "something else."
        if against
        else "No voter with ten decided votes or more stands clearly against the order."
    )
    return lines, told


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
