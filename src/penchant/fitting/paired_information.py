"""What the votes tell about the strengths, as a graph: the curvature at a fit, and its inverse.

Legend: N items, Q pairs that met, 3 outcomes.

The information about strengths is the Laplacian of the graph whose edges weigh as much as the
curvature of their votes. It says nothing of a common shift: strengths have mean zero within each
island, over the items that no weak prior holds, and so have all covariances here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from penchant.data.pair_counts import PairCounts
from penchant.errors import DataError
from penchant.fitting.paired_prior import StrengthPrior
from penchant.fitting.paired_terms import Link, OutcomeTerms, Ties, outcome_terms
from penchant.numerics.arrays import Array

_PAIRS_AT_ONCE = 1 << 15  # their terms stay in the cache
_ROWS_AT_ONCE = 128  # of a matrix that is turned over: two such blocks stay in the cache


@dataclass(frozen=True, kw_only=True, eq=False)
class PairedPoint:
    """Where doubt is measured: a fit of strengths to counts, and the model it was made with.

    tie_parameter: log nu (Davidson) or log eta (Rao and Kupper). prior: None where none was needed.
    """

    counts: PairCounts
    strengths: Float[Array, " N"]
    island: Int[Array, " N"]
    ties: Ties = "half"
    link: Link = "logit"
    tie_parameter: float = -np.inf
    prior: StrengthPrior | None = None

    @cached_property
    def information(self) -> "PairedInformation":
        """Minus the Hessian of the log-posterior here."""
        if self.link == "logit" and (self.ties == "half" or not np.isfinite(self.tie_parameter)):
            return PairedInformation(
                first=self.counts.first, second=self.counts.second, weight=self._logit_weight(),
                cross=np.zeros(self.counts.num_pairs), tie_curvature=0.0, prior=self.prior,
                island=self.island,
            )  # fmt: skip
        weight, cross, tie = self.summed(lambda terms: (terms.curvature, terms.cross,
                                                        terms.tie_curvature))  # fmt: skip
        return PairedInformation(
            first=self.counts.first, second=self.counts.second, weight=weight, cross=cross,
            tie_curvature=float(tie.sum()), prior=self.prior, island=self.island,
        )  # fmt: skip

    def summed(
        self, pick: Callable[[OutcomeTerms], tuple[Array, ...]]
    ) -> tuple[Float[Array, " Q"], ...]:
        """Terms of single votes, added up over each pair's votes; some pairs at a time.

        All terms of ten million pairs would be a gigabyte and a half.
        """
        parts = []
        for start in range(0, self.counts.num_pairs, _PAIRS_AT_ONCE):
            rows = slice(start, start + _PAIRS_AT_ONCE)
            votes = self._votes(rows)
            picked = pick(self._terms(rows))
            # An outcome that never happened says nothing, however unlikely it was.
            parts.append([np.where(votes > 0.0, votes * one, 0.0).sum(axis=0) for one in picked])
        if not parts:
            return tuple(np.zeros(0) for _ in pick(self._terms(slice(0))))
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def _logit_weight(self) -> Float[Array, " Q"]:
        """n p (1 - p), the same for every outcome: a quarter of what all terms cost."""
        counts, weight = self.counts, np.empty(self.counts.num_pairs)
        for start in range(0, counts.num_pairs, _PAIRS_AT_ONCE):
            rows = slice(start, start + _PAIRS_AT_ONCE)
            gap = self.strengths[counts.first[rows]] - self.strengths[counts.second[rows]]
            small = np.exp(-np.abs(gap))
            votes = counts.first_wins[rows] + counts.second_wins[rows] + counts.ties[rows]
            weight[rows] = votes * small / (1.0 + small) ** 2
        return weight

    def _votes(self, rows: slice) -> Float[Array, "3 A"]:
        counts = self.counts
        return np.stack([counts.first_wins[rows], counts.second_wins[rows], counts.ties[rows]])

    def _terms(self, rows: slice) -> OutcomeTerms:
        counts, strengths = self.counts, self.strengths
        gap = strengths[counts.first[rows]] - strengths[counts.second[rows]]
        return outcome_terms(gap, self.tie_parameter, ties=self.ties, link=self.link)


@dataclass(frozen=True, kw_only=True, eq=False)
class PairedInformation:
    """Minus the Hessian of the log-posterior, pair by pair: Laplacian(weight) + the prior's,
    bordered by the tie parameter's cross terms and curvature (zeros where there is none)."""

    first: Int[Array, " Q"]
    second: Int[Array, " Q"]
    weight: Float[Array, " Q"]
    cross: Float[Array, " Q"]
    tie_curvature: float
    prior: StrengthPrior | None
    island: Int[Array, " N"]

    @property
    def num_items(self) -> int:
        return len(self.island)

    @cached_property
    def border(self) -> Float[Array, " N"]:
        """What strengths and tie parameter have in common."""
        if self.tie_curvature <= 0.0:
            return np.zeros(self.num_items)
        return per_item(self.cross, -self.cross, self.first, self.second, self.num_items)

    @cached_property
    def tie_response(self) -> Float[Array, " N"]:
        """border / tie_curvature: profiling the tie parameter out subtracts border x this."""
        if self.tie_curvature <= 0.0:
            return np.zeros(self.num_items)
        return self.border / self.tie_curvature

    @cached_property
    def diagonal(self) -> Float[Array, " N"]:
        """Of the information with the tie parameter profiled out."""
        degree = self.degree - self.border * self.tie_response
        return degree if self.prior is None else degree + self.prior.diagonal()

    @cached_property
    def degree(self) -> Float[Array, " N"]:
        """The weights of the pairs of each item, added up."""
        return per_item(self.weight, self.weight, self.first, self.second, self.num_items)

    @cached_property
    def inverse(self) -> Float[Array, "N N"]:
        """`dense_covariance`, kept: several kinds of errors start from it."""
        return dense_covariance(self)

    @cached_property
    def island_size(self) -> Int[Array, " N"]:
        """How many items are on each item's island."""
        return np.bincount(self.island)[self.island]

    @cached_property
    def gauge(self) -> Float[Array, " N"]:
        """Each item's part in the mean that is 0 on its island: none for one held by a weak prior,
        which must not move the others; for the others alike."""
        if self.prior is not None and self.prior.is_weak:
            return self.prior.anchor
        return 1.0 / self.island_size

    def in_gauge(self, values: Float[Array, "N ..."]) -> Float[Array, "N ..."]:
        """The values minus their mean over each island, by the gauge."""
        if self.prior is None or not self.prior.is_weak:
            return self.centred(values)
        gauge = self.gauge.reshape((-1,) + (1,) * (values.ndim - 1))
        return values - self.island_sums(gauge * values)[self.island]

    def centred(self, values: Float[Array, "N ..."]) -> Float[Array, "N ..."]:
        """The values minus their mean over each island."""
        if self.island.max(initial=0) == 0 and len(values):
            return np.asarray(values - values.mean(axis=0))
        shape = (-1,) + (1,) * (values.ndim - 1)
        return values - self.island_sums(values)[self.island] / self.island_size.reshape(shape)

    def island_sums(self, values: Float[Array, "N ..."]) -> Float[Array, "I ..."]:
        """The values added up over each island."""
        if self.island.max(initial=0) == 0:
            return values.sum(axis=0, keepdims=True)
        order, starts = self._by_island
        return np.add.reduceat(values[order], starts, axis=0)

    def prior_times(self, vectors: Float[Array, "N R"]) -> Float[Array, "N R"]:
        """`StrengthPrior.information_times` of many vectors at once."""
        prior = self.prior
        assert prior is not None
        anchor = prior.anchor[:, None]
        middle = self.island_sums(anchor * vectors)[self.island]
        gap = (prior.held / prior.scale**2)[:, None] * (vectors - middle)
        return gap - anchor * self.island_sums(gap)[self.island]

    @cached_property
    def _by_island(self) -> tuple[Int[Array, " N"], Int[Array, " I"]]:
        order = np.argsort(self.island, kind="stable")
        return order, np.flatnonzero(np.diff(self.island[order], prepend=-1))


def dense_covariance(information: PairedInformation) -> Float[Array, "N N"]:
    """The inverse of the information over strengths of mean zero within each island.

    A constant added within each island makes the Laplacian positive definite for Cholesky, N^3
    multiplications in all; centring the inverse takes it off again.

    Raises `DataError` where some gap is infinite, so that no error exists.
    """
    from scipy.linalg import lapack

    N = information.num_items
    # Only the half above the diagonal is read.
    matrix = _upper(information.first, information.second, -information.weight, N)
    np.einsum("ii->i", matrix)[:] = information.degree
    if information.tie_curvature > 0.0:
        matrix -= np.outer(information.border, information.tie_response)
    if information.prior is not None:
        matrix += information.prior.information()
    level = float(information.diagonal.mean()) if N else 0.0
    # Where nobody met, any level will do.
    _add_within_islands(matrix, information, level if level > 0.0 else 1.0)
    factor, failed = lapack.dpotrf(matrix.T, lower=1, overwrite_a=1)
    pivots = np.abs(np.diag(factor)) if not failed else np.zeros(1)
    if failed or (N and pivots.min() < 1e-7 * pivots.max()):
        raise DataError(
            "some items are infinitely far apart or not comparable, so that their strengths have "
            "no standard errors. Fit with a weak prior (`prior_scale`), which bounds them."
        )
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    # Column by column in memory, as LAPACK has it: its transpose is filled from above.
    _mirror_upper(inverse.T)
    return information.in_gauge(information.in_gauge(inverse).T)


def _mirror_upper(matrix: Float[Array, "N N"]) -> None:
    """What stands above the diagonal is written below it, in place and block by block."""
    for start in range(0, len(matrix), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        block = np.triu(matrix[rows, rows])
        matrix[rows, rows] = block + np.triu(block, 1).T
        matrix[start + _ROWS_AT_ONCE :, rows] = matrix[rows, start + _ROWS_AT_ONCE :].T


def laplacian(
    first: Int[Array, " Q"], second: Int[Array, " Q"], weight: Float[Array, " Q"], num_items: int
) -> Float[Array, "N N"]:
    """sum over pairs of weight (e_first - e_second) (e_first - e_second)'."""
    matrix = _upper(first, second, -weight, num_items)
    matrix += matrix.T
    matrix[np.diag_indices(num_items)] = per_item(weight, weight, first, second, num_items)
    return matrix


def _upper(
    first: Int[Array, " Q"], second: Int[Array, " Q"], weight: Float[Array, " Q"], num_items: int
) -> Float[Array, "N N"]:
    matrix = np.zeros((num_items, num_items))
    matrix[first, second] = weight
    return matrix


def per_item(
    to_first: Float[Array, " Q"],
    to_second: Float[Array, " Q"],
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    num_items: int,
) -> Float[Array, " N"]:
    """What pairs give to their two items, added up."""
    # Of no pairs at all NumPy counts in integers.
    return 0.0 + np.bincount(first, to_first, num_items) + np.bincount(second, to_second, num_items)


def _add_within_islands(
    matrix: Float[Array, "N N"], information: PairedInformation, level: float
) -> None:
    """level / n added to all entries [i, j] with both on the same island of n items."""
    if information.island.max(initial=0) == 0:
        matrix += level / max(len(matrix), 1)
        return
    for part in range(int(information.island.max()) + 1):
        inside = np.flatnonzero(information.island == part)
        matrix[np.ix_(inside, inside)] += level / len(inside)
