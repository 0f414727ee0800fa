"""Votes as a fit reads them: one row an answer, equal rows added up, pairs told apart once.

Legend: A votes, B rows, E edges (pairs of items in a context, as shown), C covariates, V voters.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from penchant.data.pair_counts import FIRST_WON, SECOND_WON, TIED
from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.numerics.arrays import Array

Ties = Literal["answer", "half", "none"]


@dataclass(frozen=True, kw_only=True, eq=False)
class VoteRows:
    """Rows sorted by voter. `edge` points into the edges; `answer` is 0 where the first won, 1
    where the second did, 2 for a tie; `voter_start[v]` to `voter_start[v + 1]` are the rows of
    voter v. Where voters play no part all rows are of one. A context of -1 is unknown."""

    num_items: int
    edge_first: Int[Array, " E"]
    edge_second: Int[Array, " E"]
    edge_context: Int[Array, " E"]
    edge: Int[Array, " B"]
    answer: Int[Array, " B"]
    weight: Float[Array, " B"]
    covariates: Float[Array, "B C"]
    voter_start: Int[Array, " V1"]

    @property
    def num_voters(self) -> int:
        return len(self.voter_start) - 1

    @property
    def voter(self) -> Int[Array, " B"]:
        """Whose vote each row is."""
        return np.repeat(np.arange(self.num_voters), np.diff(self.voter_start))

    def by_voter(self, values: Float[Array, " B *S"]) -> Float[Array, " V *S"]:
        """Sums over each voter's rows."""
        return range_sums(values, self.voter_start)

    def by_edge(self, values: Float[Array, " B"]) -> Float[Array, " E"]:
        """Sums over each edge's rows."""
        return np.bincount(self.edge, values, minlength=len(self.edge_first))


def vote_rows(
    votes: Votes,
    *,
    ties: Ties = "answer",
    by_context: bool = False,
    by_voter: bool = False,
    by_grade: bool = False,
) -> VoteRows:
    """The rows of votes, those that nothing tells apart added up.

    ties: "answer" keeps them as answers of their own, "half" makes each half a win for both,
    "none" refuses them. Soft votes make two rows that share the weight. With `by_voter`, voters
    keep their numbers, and each vote of unknown voter is a voter of its own, after them. With
    `by_grade` the answer is each vote's grade, higher better for the first, in place of who won.

    Raises `DataError` where there is no vote, a tie is refused, or a column asked for is missing.
    """
    _check(votes, ties, by_context, by_voter, by_grade)
    source, answer, weight = _grades(votes) if by_grade else _answers(votes, ties)
    context = _codes(votes.context if by_context else None, len(votes))
    num_items = votes.num_items
    edge_of_vote, edge = _numbered([votes.first, votes.second, context])
    voter, num_voters = _voters(votes, by_voter)
    keys = [voter[source], edge[source], answer]
    keys += [_numbered([column[source]])[1] for column in votes.covariates.T]
    first_entry, row = _numbered(keys)
    kept = source[first_entry]
    counts = np.bincount(voter[kept], minlength=num_voters)
    return VoteRows(
        num_items=num_items,
        edge_first=votes.first[edge_of_vote].astype(np.int64),
        edge_second=votes.second[edge_of_vote].astype(np.int64),
        edge_context=context[edge_of_vote],
        edge=edge[kept],
        answer=answer[first_entry],
        weight=np.bincount(row, weight, minlength=len(first_entry)),
        covariates=np.ascontiguousarray(votes.covariates[kept]),
        voter_start=np.concatenate([[0], np.cumsum(counts)]),
    )


def _answers(votes: Votes, ties: Ties) -> tuple[Array, Array, Array]:
    """One entry for each answer that has weight: its vote, what it was, its weight."""
    won, lost, tied = votes.weight * votes.share, votes.weight * (1.0 - votes.share), votes.tie
    if ties == "half":
        half = 0.5 * votes.weight
        won, lost = np.where(tied, half, won), np.where(tied, half, lost)
        tied = np.zeros(len(votes), dtype=bool)
    parts = [
        (np.flatnonzero(~tied & (won > 0)), FIRST_WON, won),
        (np.flatnonzero(~tied & (lost > 0)), SECOND_WON, lost),
        (np.flatnonzero(tied & (votes.weight > 0)), TIED, votes.weight),
    ]
    return (
        np.concatenate([rows for rows, _, _ in parts]),
        np.concatenate([np.full(len(rows), code) for rows, code, _ in parts]),
        np.concatenate([values[rows] for rows, _, values in parts]),
    )


def _grades(votes: Votes) -> tuple[Array, Array, Array]:
    assert votes.grade is not None
    source = np.flatnonzero(votes.weight > 0)
    return source, votes.grade[source].astype(np.int64), votes.weight[source]


def range_sums(values: Float[Array, " B *S"], start: Int[Array, " V1"]) -> Float[Array, " V *S"]:
    """Sums over the rows start[v] to start[v + 1] of each v, all rows covered."""
    padded = np.concatenate([values, np.zeros((1, *values.shape[1:]))])
    sums = np.add.reduceat(padded, start[:-1], axis=0)
    # `reduceat` gives an empty range the value at its start instead of nothing.
    sums[np.diff(start) == 0] = 0.0
    return sums


def _check(votes: Votes, ties: str, by_context: bool, by_voter: bool, by_grade: bool) -> None:
    if not np.any(votes.weight > 0):
        raise DataError(
            f"there are {len(votes)} votes and none with a weight above 0; expected at least one. "
            "Check the filters that came before."
        )
    if ties == "none" and votes.tie.any():
        raise DataError(
            f"{int(votes.tie.sum())} of {len(votes)} votes are ties, which this model has no "
            "answer for. Use ties='davidson', 'rao_kupper' or 'half'."
        )
    for name, wanted, codes in (
        ("context", by_context, votes.context),
        ("voter", by_voter, votes.voter),
        ("grade", by_grade, votes.grade),
    ):
        if wanted and codes is None:
            raise DataError(
                f"the votes have no {name}s; expected the {name} of each vote. Name the column "
                f"that holds the {name} when reading, or leave this model out."
            )


def _codes(codes: Array | None, count: int) -> Int[Array, " A"]:
    return np.full(count, -1) if codes is None else codes.astype(np.int64)


def _voters(votes: Votes, by_voter: bool) -> tuple[Int[Array, " A"], int]:
    if not by_voter:
        return np.zeros(len(votes), dtype=np.int64), 1
    assert votes.voter is not None
    voter = votes.voter.astype(np.int64)
    unknown = np.flatnonzero(voter < 0)
    voter[unknown] = len(votes.voters) + np.arange(len(unknown))
    return voter, len(votes.voters) + len(unknown)


def _numbered(keys: list[Array]) -> tuple[Int[Array, " R"], Int[Array, " A"]]:
    """The first place of each distinct row of keys, in sorted order, and every row's number."""
    code = np.zeros(len(keys[0]), dtype=np.int64)
    size = 1
    for key in keys:
        # Columns become small whole numbers, so that one integer can hold them all.
        levels, inverse = (
            (None, key - key.min(initial=0)) if key.dtype.kind == "i" else _levels(key)
        )
        span = int(inverse.max(initial=0)) + 1 if levels is None else len(levels)
        if size * span > 2**62:
            kept, code = np.unique(code, return_inverse=True)
            size = len(kept)
        code, size = code * span + inverse, size * span
    _, place, number = np.unique(code, return_index=True, return_inverse=True)
    return place, number


def _levels(key: Array) -> tuple[Array, Array]:
    levels, inverse = np.unique(key, return_inverse=True)
    return levels, inverse
