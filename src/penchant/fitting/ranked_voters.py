"""What rankings tell of strengths and of those who rank, at given reliabilities or averaged.

Legend: R rankings, N items, V voters, Q nodes, B rankings of menus of K options.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.feedback import ranking
from penchant.fitting.paired_errors import voter_codes
from penchant.fitting.paired_prior import StrengthPrior, in_gauge
from penchant.fitting.ranked import RankedFit, TiedPart
from penchant.fitting.ranked_errors import island_shift
from penchant.fitting.voter_posteriors import Posteriors
from penchant.numerics.arrays import Array, sigmoid
from penchant.numerics.graph import Connectivity
from penchant.populations.voters import Voters

# Rankings times pairs of options times nodes held at once: some 100 MB with what is made of them.
_AT_ONCE = 2_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Near:
    """At one reliability a voter: the slope of each voter's log posterior by log reliability and
    minus its bend, and the information on strengths."""

    gradient: Float[Array, " V"]
    curvature: Float[Array, " V"]
    information: Float[Array, "N N"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Rankings of menus of one size, and whose they are."""

    part: TiedPart
    voter: Int[Array, " B"]

    def take(self, rows: slice) -> "Block":
        part = self.part
        some = TiedPart(
            num_items=part.num_items, item=part.item[rows], rank=part.rank[rows],
            weight=part.weight[rows],
        )  # fmt: skip
        return Block(part=some, voter=self.voter[rows])

    def heard(
        self, strengths: Float[Array, " N"], effects: Float[Array, "V Q"]
    ) -> tuple[Float[Array, "B K Q"], Float[Array, "B 1 Q"]]:
        """Utilities as each voter feels them at each node, and the voter's reliability there."""
        reliability = np.exp(effects)[self.voter][:, None]
        return strengths[self.part.item][:, :, None] * reliability, reliability


@dataclass(frozen=True, kw_only=True, eq=False)
class RankersProblem:
    """Rankings by the size of their menus, with the gauge and the prior of the pooled fit."""

    pooled: RankedFit
    blocks: tuple[Block, ...]
    code: Int[Array, " R"]
    num_voters: int

    @classmethod
    def of(cls, pooled: RankedFit) -> "RankersProblem":
        """The rankings of a fit with all voters alike."""
        rankings = pooled.rankings
        code, num_voters = voter_codes(rankings.voter)
        sizes = np.diff(rankings.start)
        blocks = []
        for size in np.unique(sizes):
            rows = np.flatnonzero(sizes == size)
            (part,) = TiedPart.all_of(rankings.take(rows))
            blocks.append(Block(part=part, voter=code[rows]))
        return cls(pooled=pooled, blocks=tuple(blocks), code=code, num_voters=num_voters)

    @property
    def active(self) -> Array:
        """Whether each voter ranked anything that counts."""
        return np.bincount(self.code, self.pooled.rankings.weight, self.num_voters) > 0

    @property
    def prior(self) -> StrengthPrior | None:
        return self.pooled.prior

    @property
    def found(self) -> Connectivity:
        return self.pooled.connectivity

    def in_gauge(self, strengths: Float[Array, " N"]) -> Float[Array, " N"]:
        return in_gauge(strengths, self.found.island, self.prior)

    def log_prior(self, strengths: Float[Array, " N"]) -> float:
        return 0.0 if self.prior is None else self.prior.value(strengths)

    def chunks(self, num_nodes: int) -> Iterator[Block]:
        """Rankings of one size whose derivatives at all nodes fit in memory."""
        for block in self.blocks:
            many, size = block.part.item.shape
            step = max(_AT_ONCE // (size**2 * num_nodes), 1)
            for start in range(0, many, step):
                yield block.take(slice(start, start + step))

    def log_prob(
        self, strengths: Float[Array, " N"], effects: Float[Array, "V Q"]
    ) -> Float[Array, "V Q"]:
        """log p of each voter's rankings at each node."""
        total = np.zeros(effects.shape)
        for block in self.chunks(effects.shape[1]):
            heard, _ = block.heard(strengths, effects)
            logs = ranking.log_prob(heard, _offered(block), block.part.rank)
            np.add.at(total, block.voter, block.part.weight[:, None] * logs)
        return total

    def near(
        self, strengths: Float[Array, " N"], modes: Float[Array, " V"], voters: Voters
    ) -> Near:
        """The bend by log reliability leaves out how the slope itself bends with it (Gauss and
        Newton), so that it is positive everywhere."""
        precision = float(voters.spreads[0]) ** -2.0
        gradient, curvature = -modes * precision, np.full(self.num_voters, precision)
        information = self._flat()
        for block in self.chunks(1):
            heard, reliability = (x[..., 0] for x in block.heard(strengths, modes[:, None]))
            part, offered = block.part, _offered(block)
            score = ranking.score(heard, offered, part.rank).utilities
            bend = ranking.curvature(heard, offered, part.rank).utilities
            pull = np.einsum("bk,bk->b", score, heard)
            stiff = np.einsum("bk,bkl,bl->b", heard, bend, heard)
            gradient += np.bincount(block.voter, part.weight * pull, self.num_voters)
            curvature += np.bincount(block.voter, part.weight * stiff, self.num_voters)
            scaled = (part.weight * reliability[:, 0] ** 2)[:, None, None] * bend
            _add_pairs(information, part.item, scaled)
        return Near(gradient=gradient, curvature=curvature, information=information)

    def gradient(self, strengths: Float[Array, " N"], found: Posteriors) -> Float[Array, " N"]:
        """Of the marginal log-likelihood and the prior, by the strengths."""
        total = np.zeros(len(strengths))
        for block, slope in self._slopes(strengths, found):
            mean = np.einsum("bq,bkq->bk", found.weights[block.voter], slope)
            total += np.bincount(block.part.item.ravel(), mean.ravel(), len(total))
        return total if self.prior is None else total + self.prior.gradient(strengths)

    def observed(self, strengths: Float[Array, " N"], found: Posteriors) -> Float[Array, "N N"]:
        """Minus the second derivatives of the marginal log-likelihood and the prior: those of the
        rankings on average over what a voter may be, less what is not known of the voters; where
        rounding or few nodes make that impossible, those of the rankings."""
        from scipy.sparse import csr_array

        information = self._flat()
        num_nodes = found.weights.shape[1]
        lines, columns, values = [], [], []
        for block, slope in self._slopes(strengths, found):
            heard, reliability = block.heard(strengths, found.nodes[:, :, 0])
            bend = ranking.curvature(heard, _offered(block), block.part.rank).utilities
            share = found.weights[block.voter]
            scaled = block.part.weight[:, None] * share * reliability[:, 0] ** 2
            _add_pairs(information, block.part.item, np.einsum("bq,bklq->bkl", scaled, bend))
            line = block.voter[:, None, None] * num_nodes + np.arange(num_nodes)
            lines.append(np.broadcast_to(line, slope.shape).ravel())
            columns.append(np.repeat(block.part.item.ravel(), num_nodes))
            values.append(slope.ravel())
        shape = (self.num_voters * num_nodes, len(strengths))
        place = (np.concatenate(lines), np.concatenate(columns))
        scores = csr_array((np.concatenate(values), place), shape)
        observed = information - _unknown(scores, found.weights)
        try:
            np.linalg.cholesky(observed)
        except np.linalg.LinAlgError:
            return information
        return observed

    def agreement(
        self, strengths: Float[Array, " N"], mean: Float[Array, " V"]
    ) -> Float[Array, " V"]:
        """Mean of sigmoid(r |gap|) over all pairs on each voter's menus; NaN without rankings."""
        sides, pairs = np.zeros((2, self.num_voters))
        for block in self.chunks(1):
            heard = block.heard(strengths, mean[:, None])[0][..., 0]
            first, second = np.triu_indices(heard.shape[1], 1)
            agreed = sigmoid(np.abs(heard[:, first] - heard[:, second])).sum(axis=1)
            weight = block.part.weight
            sides += np.bincount(block.voter, weight * agreed, self.num_voters)
            pairs += np.bincount(block.voter, weight * len(first), self.num_voters)
        return np.where(pairs > 0, sides / np.where(pairs > 0, pairs, 1.0), np.nan)

    def _slopes(
        self, strengths: Float[Array, " N"], found: Posteriors
    ) -> Iterator[tuple[Block, Float[Array, "B K Q"]]]:
        """Derivatives by the strengths of each ranking's log-probability at each node, weighted."""
        for block in self.chunks(found.weights.shape[1]):
            heard, reliability = block.heard(strengths, found.nodes[:, :, 0])
            score = ranking.score(heard, _offered(block), block.part.rank).utilities
            yield block, block.part.weight[:, None, None] * reliability * score

    def _flat(self) -> Float[Array, "N N"]:
        """The prior's information, and some on the common shift of an island, which has none."""
        shift = island_shift(self.found.island)
        return shift if self.prior is None else shift + self.prior.information()


def _offered(block: Block) -> Array:
    return np.ones(block.part.item.shape, dtype=bool)


def _add_pairs(
    total: Float[Array, "N N"], item: Int[Array, "B K"], bend: Float[Array, "B K L"]
) -> None:
    np.add.at(total, (item[:, :, None], item[:, None, :]), bend)


def _unknown(scores: Any, weights: Float[Array, "V Q"]) -> Float[Array, "N N"]:
    """sum_v Cov(score of v's rankings at what v may be), the covariance over v's posterior."""
    from scipy.sparse import csr_array

    num_voters, num_nodes = weights.shape
    line = np.arange(num_voters * num_nodes)
    to_mean = csr_array((weights.ravel(), (line // num_nodes, line)), (num_voters, len(line)))
    to_node = csr_array((np.ones(len(line)), (line, line // num_nodes)), (len(line), num_voters))
    apart = scores - to_node @ (to_mean @ scores)
    spread = apart.multiply(np.sqrt(weights.ravel())[:, None]).tocsr()
    return np.asarray((spread.T @ spread).toarray())
