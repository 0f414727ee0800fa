"""Standard errors of strengths: by the curvature, by the votes' scores, by the voters' scores.

Up to `MOST_DENSE` items the covariance is written out; beyond, errors by curvature are exact on
islands that are all small, and elsewhere come from draws, with no inverse and a stated error.

Legend: N items, Q pairs that met, B votes, V voters, R draws, 3 outcomes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.fitting.paired_draws import (
    BLOCK,
    Moments,
    draw_chance,
    noise,
    prior_noise,
    solve,
)
from penchant.fitting.paired_information import (
    PairedInformation,
    PairedPoint,
    laplacian,
    per_item,
)
from penchant.fitting.paired_islands import has_small_islands, island_errors
from penchant.fitting.paired_terms import outcome_terms
from penchant.metrics.intervals import Z95
from penchant.numerics.arrays import Array

# Above this many items N^2 numbers and N^3 multiplications cost more than draws.
MOST_DENSE = 2000
_VOTES_AT_ONCE = 500_000
_NUMBERS_KEPT = 20_000_000  # of draws: 160 MB


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawConfig:
    """accuracy: stop drawing when the 95 % bound on the relative error of every standard error is
    below this. most_draws: stop there in any case, and most_numbers: after so many strengths have
    been drawn in all. fewest_draws: wanted for their own sake."""

    accuracy: float = 0.02
    fewest_draws: int = BLOCK
    most_draws: int = 20 * BLOCK
    most_numbers: int = 64_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class StrengthErrors:
    """Errors of strengths in the gauge of mean zero within each island, over the items that no
    weak prior holds; infinite for an item that met nobody.

    covariance: None where the items are too many; draws then has that covariance. accuracy: 95 %
    bound on the largest relative error of the errors themselves, 0 where they are exact.
    degrees_of_freedom: of Student's t, item by item; infinite but for few voters."""

    se: Float[Array, " N"]
    covariance: Float[Array, "N N"] | None
    draws: Float[Array, "R N"] | None
    accuracy: float
    degrees_of_freedom: Float[Array, " N"]

    def of_difference(self, first: Int[Array, " A"], second: Int[Array, " A"]) -> Array:
        """The standard errors of differences within an island."""
        if self.covariance is not None:
            variance = np.diag(self.covariance)
            squared = variance[first] + variance[second] - 2 * self.covariance[first, second]
            return np.sqrt(np.maximum(squared, 0.0))
        assert self.draws is not None
        return np.sqrt(((self.draws[:, first] - self.draws[:, second]) ** 2).mean(axis=0))


def curvature_errors(
    point: PairedPoint,
    generator: np.random.Generator | None = None,
    config: DrawConfig | None = None,
) -> StrengthErrors:
    """Errors that trust the model: the inverse of the information (Fisher 1925).

    The tie parameter is profiled out, so that its doubt is in them. Raises `DataError` where a gap
    is infinite: fit with a weak prior first.
    """
    if point.counts.num_items <= MOST_DENSE:
        return _exact(point, point.information.inverse)
    generator = generator or np.random.default_rng(0)
    if has_small_islands(point.information):
        return _on_islands(point, generator)
    blocks = _curvature_blocks(point.information, generator)
    return _from_draws(point, blocks, config or DrawConfig())


def vote_errors(
    point: PairedPoint,
    votes: Votes | None = None,
    generator: np.random.Generator | None = None,
    config: DrawConfig | None = None,
) -> StrengthErrors:
    """Errors that trust only that votes are independent: the sandwich of squared scores.

    M^-1 (B / (B - 1) sum_b s_b s_b' + prior) M^-1 (Huber 1967; White 1980). From counts alone each
    count is a vote of weight 1; with `votes`, weights and soft votes are each vote's own. Right
    where the curvature is not: half-wins, repeated or weighted votes, gaps that wander.
    """
    if votes is not None:
        return clustered_errors(point, votes, np.arange(len(votes)), generator, config)
    moments = _score_moments(point)
    if point.counts.num_items <= MOST_DENSE:
        bread = point.information.inverse
        return _exact(point, _symmetric(bread @ _dense_meat(point.information, moments) @ bread))
    blocks = _vote_blocks(point.information, moments, generator or np.random.default_rng(0))
    return _from_draws(point, blocks, config or DrawConfig())


def clustered_errors(
    point: PairedPoint,
    votes: Votes,
    voter: Int[Array, " B"],
    generator: np.random.Generator | None = None,
    config: DrawConfig | None = None,
) -> StrengthErrors:
    """Errors that trust only that voters are independent, whatever ties each one's votes together.

    M^-1 (V / (V - 1) sum_v s_v s_v' + prior) M^-1, with s_v the sum of a voter's scores (Liang and
    Zeger 1986; the factor is CR1 of Cameron and Miller 2015 without its count of parameters).
    Unknown voters (-1) are voters of one vote each. Student's degrees of freedom are, item by item,
    the number of equally busy voters that would tell as much of it, less one (after Carter,
    Schnepel and Steigerwald 2017): few voters, or one who casts half of the votes, widen.

    Raises `DataError` for a single voter.
    """
    scores = voter_scores(point, votes, voter)
    num_voters = scores.num_voters
    if num_voters < 2:
        raise DataError(
            f"{num_voters} voter cast all {len(votes)} votes; expected at least two to see how "
            "much voters differ. Use errors by vote, which trust that votes are independent."
        )
    if point.counts.num_items <= MOST_DENSE:
        bread = point.information.inverse
        found = _exact(point, _symmetric(bread @ scores.meat(point.information) @ bread))
    else:
        blocks = _voter_blocks(point.information, scores, generator or np.random.default_rng(0))
        found = _from_draws(point, blocks, config or DrawConfig())
    return replace(found, degrees_of_freedom=np.maximum(scores.effective_voters - 1.0, 1.0))


@dataclass(frozen=True, kw_only=True, eq=False)
class VoterScores:
    """by_item: [V, N], sparse: the derivatives of each voter's log-likelihood to the strengths;
    tie: to the tie parameter. effective_voters: on each item, (sum_v n_v)^2 / sum_v n_v^2 of the
    votes n_v that voters cast on it."""

    by_item: Any  # scipy.sparse is imported lazily
    tie: Float[Array, " V"]
    effective_voters: Float[Array, " N"]

    @property
    def num_voters(self) -> int:
        return len(self.tie)

    @property
    def correction(self) -> float:
        return self.num_voters / max(self.num_voters - 1, 1)

    def meat(self, information: PairedInformation) -> Float[Array, "N N"]:
        """V / (V - 1) sum_v s_v s_v', the tie parameter profiled out, plus the prior's own."""
        scores = self.by_item
        if scores.nnz > 0.02 * scores.shape[0] * scores.shape[1]:
            total = _dense_square(scores)
        else:
            total = (scores.T @ scores).toarray()
        response = information.tie_response
        with_tie = np.outer(scores.T @ self.tie, response)
        total += (self.tie @ self.tie) * np.outer(response, response) - with_tie - with_tie.T
        total *= self.correction
        return total if information.prior is None else total + information.prior.information()


def voter_scores(point: PairedPoint, votes: Votes, voter: Int[Array, " B"]) -> VoterScores:
    """The scores of every vote, added up by voter; an unknown voter's votes stay apart."""
    from scipy.sparse import csr_array

    code, num_voters = voter_codes(voter)
    shape = (num_voters, point.counts.num_items)
    by_item, busy, tie = csr_array(shape), csr_array(shape), np.zeros(num_voters)
    for start in range(0, len(votes), _VOTES_AT_ONCE):
        rows = slice(start, start + _VOTES_AT_ONCE)
        who, first, second = code[rows], votes.first[rows], votes.second[rows]
        push, tie_push = _vote_scores(point, votes, rows)
        by_item = by_item + _two_sided(who, first, second, push, -push, shape)
        weight = votes.weight[rows]
        busy = busy + _two_sided(who, first, second, weight, weight, shape)
        tie += np.bincount(who, tie_push, num_voters)
    shares = np.asarray(busy.sum(axis=0)).ravel() ** 2
    squares = np.asarray(busy.multiply(busy).sum(axis=0)).ravel()
    effective = np.divide(shares, squares, out=np.zeros_like(shares), where=squares > 0)
    return VoterScores(by_item=by_item, tie=tie, effective_voters=effective)


def _vote_scores(point: PairedPoint, votes: Votes, rows: slice) -> tuple[Array, Array]:
    """The derivatives of each vote to its gap and to the tie parameter, times its weight."""
    gap = point.strengths[votes.first[rows]] - point.strengths[votes.second[rows]]
    terms = outcome_terms(gap, point.tie_parameter, ties=point.ties, link=point.link)
    tie, share = votes.tie[rows], np.where(votes.tie[rows], 0.0, votes.share[rows])
    parts = np.stack([share, np.where(tie, 0.0, 1.0 - share), tie]) * votes.weight[rows]
    return (parts * terms.score).sum(axis=0), (parts * terms.tie_score).sum(axis=0)


def _two_sided(
    who: Array, first: Array, second: Array, one: Array, other: Array, shape: tuple[int, int]
) -> Any:
    from scipy.sparse import coo_array

    place = (np.concatenate([who, who]), np.concatenate([first, second]))
    return coo_array((np.concatenate([one, other]), place), shape).tocsr()


def voter_codes(voter: Int[Array, " B"]) -> tuple[Int[Array, " B"], int]:
    """Voters numbered without gaps; every unknown one (-1) is a voter of its own."""
    names, code = np.unique(voter, return_inverse=True)
    if not len(names) or names[0] >= 0:
        return code, len(names)
    unknown = np.flatnonzero(voter < 0)
    num_known = len(names) - 1
    code = code - 1
    code[unknown] = num_known + np.arange(len(unknown))
    return code, num_known + len(unknown)


def _score_moments(point: PairedPoint) -> Moments:
    gap, cross, tie = point.summed(lambda t: (t.score**2, t.score * t.tie_score, t.tie_score**2))
    correction = point.counts.votes / max(point.counts.votes - 1.0, 1.0)
    return Moments(
        gap=correction * gap, cross=correction * cross, tie=correction * float(tie.sum())
    )


def _dense_meat(information: PairedInformation, moments: Moments) -> Float[Array, "N N"]:
    N, response = information.num_items, information.tie_response
    meat = laplacian(information.first, information.second, moments.gap, N)
    if information.tie_curvature > 0.0:
        border = per_item(moments.cross, -moments.cross, information.first, information.second, N)
        with_tie = np.outer(border, response)
        meat += moments.tie * np.outer(response, response) - with_tie - with_tie.T
    return meat if information.prior is None else meat + information.prior.information()


def _dense_square(scores: Any) -> Float[Array, "N N"]:
    """scores' scores by dense products: faster than sparse ones where voters see many items."""
    total = np.zeros((scores.shape[1],) * 2)
    at_once = max(1, 16_000_000 // max(scores.shape[1], 1))
    for start in range(0, scores.shape[0], at_once):
        part = scores[start : start + at_once].toarray()
        total += part.T @ part
    return total


def _exact(point: PairedPoint, covariance: Float[Array, "N N"]) -> StrengthErrors:
    unseen = point.counts.votes_of_item <= 0
    if unseen.any():
        covariance = np.where(unseen[:, None] | unseen, 0.0, covariance)
        covariance[unseen, unseen] = np.inf
    return StrengthErrors(
        se=np.sqrt(np.maximum(np.diag(covariance), 0.0)), covariance=covariance, draws=None,
        accuracy=0.0, degrees_of_freedom=np.full(len(covariance), np.inf),
    )  # fmt: skip


def _on_islands(point: PairedPoint, generator: np.random.Generator) -> StrengthErrors:
    found = island_errors(point.information, BLOCK, generator)
    seen = point.counts.votes_of_item > 0
    return StrengthErrors(
        se=np.where(seen, np.sqrt(found.variance), np.inf), covariance=None, draws=found.draws,
        accuracy=0.0, degrees_of_freedom=np.full(len(seen), np.inf),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Block:
    """Draws, what each adds to its items' variance, and the part that is known without draws."""

    draws: Float[Array, "N R"]
    squares: Float[Array, "N R"]
    known: Float[Array, " N"]


def _own_variance(information: PairedInformation) -> Float[Array, " N"]:
    """Of each item, all others given; of one that met nobody any number will do."""
    return 1.0 / np.where(information.diagonal > 0.0, information.diagonal, 1.0)


def _curvature_blocks(
    information: PairedInformation, generator: np.random.Generator
) -> Iterator[_Block]:
    """x = M^-1 r and y = x - r / diag(M): Var(x) = (1 - 2 / n) / diag(M) + Var(y).

    n, the size of the island, comes in by the gauge: Cov(r_i, x_i) = 1 - 1 / n; where a weak prior
    holds items, 1 / n counts the others, and is 0 for those.
    """
    own = _own_variance(information)
    known = (1.0 - 2.0 * information.gauge) * own
    while True:
        chance = draw_chance(information, BLOCK, generator)
        right = noise(information, Moments.of(information), chance)
        draws = solve(information, right).vectors
        yield _Block(draws=draws, squares=(draws - own[:, None] * right) ** 2, known=known)


def _vote_blocks(
    information: PairedInformation, moments: Moments, generator: np.random.Generator
) -> Iterator[_Block]:
    """Var(x) with x = r / diag(M) + z + rest, z the answer of the direct opponents to r.

    The first two parts' variance and covariance are sums over pairs; only what comes back by way
    of third items is left to the draws.
    """
    own, response = _own_variance(information), information.tie_response
    first, second, N = information.first, information.second, information.num_items

    def neighbours(values: Float[Array, " N"]) -> Float[Array, " N"]:
        """sum over opponents of the pair's weight times their value."""
        weight = information.weight
        return per_item(weight * values[second], weight * values[first], first, second, N)

    border = per_item(moments.cross, -moments.cross, first, second, N)
    square = per_item(moments.gap, moments.gap, first, second, N)
    square += response * (moments.tie * response - 2.0 * border)
    if information.prior is not None:
        square += information.prior.diagonal()
    both = information.weight * moments.gap
    shared = -per_item(both * own[second], both * own[first], first, second, N)
    with_tie = neighbours(own * response)
    shared += (moments.tie * response - border) * with_tie - response * neighbours(own * border)
    known = own**2 * (square + 2.0 * shared)
    while True:
        chance = draw_chance(information, BLOCK, generator)
        right = noise(information, moments, chance)
        draws = solve(information, right).vectors
        from_pairs = own[:, None] * (right - chance.own)
        near = own[:, None] * np.stack([neighbours(column) for column in from_pairs.T], axis=1)
        rest = draws - own[:, None] * right
        squares = 2.0 * own[:, None] * right * (rest - near) + rest**2
        yield _Block(draws=draws, squares=squares, known=known)


def _voter_blocks(
    information: PairedInformation, scores: VoterScores, generator: np.random.Generator
) -> Iterator[_Block]:
    """Each voter's score with a random sign (a wild bootstrap of the score, Wu 1986)."""
    own, response = _own_variance(information), information.tie_response
    by_item = scores.by_item
    square = np.asarray(by_item.multiply(by_item).sum(axis=0)).ravel()
    square += response * (response * (scores.tie @ scores.tie) - 2.0 * (by_item.T @ scores.tie))
    square *= scores.correction
    known = own**2 * (
        square if information.prior is None else square + information.prior.diagonal()
    )
    while True:
        sign = generator.choice([-1.0, 1.0], size=(scores.num_voters, BLOCK))
        sign *= np.sqrt(scores.correction)
        right = by_item.T @ sign - np.outer(response, scores.tie @ sign)
        right = information.centred(right + prior_noise(information, BLOCK, generator))
        draws = solve(information, right).vectors
        rest = draws - own[:, None] * right
        yield _Block(draws=draws, squares=(2 * own[:, None] * right + rest) * rest, known=known)


def _from_draws(point: PairedPoint, blocks: Iterator[_Block], config: DrawConfig) -> StrengthErrors:
    """Draw until the errors are as accurate as wanted, or draws run out."""
    N = point.counts.num_items
    seen = point.counts.votes_of_item > 0
    total, total_square, count = np.zeros(N), np.zeros(N), 0
    kept: list[Array] = []
    while True:
        block = next(blocks)
        count += block.squares.shape[1]
        total += block.squares.sum(axis=1)
        total_square += (block.squares**2).sum(axis=1)
        if N * count <= _NUMBERS_KEPT or not kept:
            kept.append(block.draws.T)
        mean = total / count
        variance = np.maximum(block.known + mean, 1e-300)
        spread = np.sqrt(np.maximum(total_square / count - mean**2, 0.0) / count)
        # An error is a root: half the relative error of its square.
        accuracy = float((Z95 * 0.5 * spread / variance)[seen].max(initial=0.0))
        if count >= config.most_draws or N * count >= config.most_numbers:
            break
        if count >= config.fewest_draws and accuracy <= config.accuracy:
            break
    return StrengthErrors(
        se=np.where(seen, np.sqrt(variance), np.inf), covariance=None,
        draws=np.concatenate(kept), accuracy=accuracy,
        degrees_of_freedom=np.full(N, np.inf),
    )  # fmt: skip


def _symmetric(matrix: Float[Array, "N N"]) -> Float[Array, "N N"]:
    return 0.5 * (matrix + matrix.T)
