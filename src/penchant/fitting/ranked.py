"""Plackett-Luce on many rankings of many items: full, partial, top-k and tied.

Rankings without ties run through compiled loops; those with ties through the exact sums over
orders of `feedback.ranking`, menu size by menu size. Nothing is broken into pairs.

Legend: R rankings, E entries over all menus, N items, K options of a menu.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.rankings import Rankings
from penchant.errors import DataError
from penchant.feedback import ranking
from penchant.fitting.paired_prior import (
    StrengthPrior,
    centred,
    in_gauge,
    prior_for,
    prior_sentences,
    prior_weight,
)
from penchant.fitting.strengths_start import strengths_from_wins
from penchant.fitting.truncated_newton import Local, climb
from penchant.numerics.arrays import Array
from penchant.numerics.graph import Connectivity, bounded_sides, connectivity, describe
from penchant.numerics.threads import one_blas_thread


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedConfig:
    """prior_scale: standard deviation of every strength before any data, in logits; None fits
    without a prior, but for a weak one on items that no finite strength fits.
    max_steps: Newton steps before giving up (and saying so).
    tolerance: gain, in nats, that one more step may still promise when the climb ends."""

    prior_scale: float | None = None
    max_steps: int = 100
    tolerance: float = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class RankedFit:
    """Strengths of N items in logits, with a mean of 0 within each island, over the items that no
    weak prior holds. `information` is minus the second derivatives of log-likelihood and prior at
    these strengths, where N allows."""

    rankings: Rankings
    strengths: Float[Array, " N"]
    converged: bool
    iterations: int
    decrement: float
    connectivity: Connectivity
    prior: StrengthPrior | None
    prior_weight: Float[Array, " N"]
    warnings: tuple[str, ...]

    @cached_property
    def log_likelihood(self) -> float:
        """Of the rankings, without the prior."""
        return self._density.log_likelihood(self.strengths)

    def information(self) -> Float[Array, "N N"]:
        """Minus the Hessian, as a matrix; N x N numbers."""
        return self._density.information(self.strengths)

    @cached_property
    def _density(self) -> "RankedDensity":
        return RankedDensity(self.rankings, self.prior, self.connectivity.island)

    def bounded_sides(self) -> tuple[Bool[Array, " N"], Bool[Array, " N"]]:
        """Whether the rankings bound each strength from below, and from above."""
        return bounded_sides(*_scored(self.rankings), self.connectivity)


@one_blas_thread
def fit_ranked(
    rankings: Rankings,
    config: RankedConfig | None = None,
    *,
    on_step: Callable[[int, float], None] | None = None,
) -> RankedFit:
    """Maximise the likelihood of the rankings (Luce 1959; Plackett 1975) by truncated Newton steps.

    Finite strengths exist if, however the items are split in two, somebody of each part was ranked
    above somebody of the other (Hunter 2004); elsewhere a weak prior bounds the items concerned.
    A tie says that the order within it is not known: it puts its items above those behind, and
    says nothing between them. Raises DataError where more than eight items tie.
    """
    config = config or RankedConfig()
    if not len(rankings):
        raise DataError("there are no rankings; expected at least one. Check the file.")
    found = _connectivity(rankings)
    prior = prior_for(config.prior_scale, "logit", found)
    density = RankedDensity(rankings, prior, found.island)
    peak = climb(
        density.look, _start(rankings, found.island), max_steps=config.max_steps,
        tolerance=config.tolerance, is_logistic=density.is_logistic, on_step=on_step,
    )  # fmt: skip
    strengths = in_gauge(peak.theta, found.island, prior)
    weight = prior_weight(peak.local.diagonal, prior)
    return RankedFit(
        rankings=rankings, strengths=strengths,
        converged=peak.converged, iterations=peak.iterations, decrement=peak.decrement,
        connectivity=found, prior=prior, prior_weight=weight,
        warnings=(*describe(found, rankings.items),
                  *prior_sentences(rankings.items, prior, "logit", weight)),
    )  # fmt: skip


def gauge_weights(fit: RankedFit) -> Float[Array, " N"]:
    """Each item's part in the mean that is 0 on its island."""
    if fit.prior is not None and fit.prior.is_weak:
        return fit.prior.anchor
    island = fit.connectivity.island
    return 1.0 / np.bincount(island)[island]


class RankedDensity:
    """The penalised log-likelihood of rankings, those with ties apart from those without."""

    def __init__(
        self, rankings: Rankings, prior: StrengthPrior | None, island: Int[Array, " N"]
    ) -> None:
        self.num_items, self.prior, self.island = rankings.num_items, prior, island
        self.parts: list[StrictPart | TiedPart] = []
        tied = rankings.has_ties
        if not tied.all():
            strict = rankings if not tied.any() else rankings.take(np.flatnonzero(~tied))
            self.parts.append(StrictPart.of(strict))
        if tied.any():
            self.parts += TiedPart.all_of(rankings.take(np.flatnonzero(tied)))

    @property
    def is_logistic(self) -> bool:
        """Whether each stage is a choice, as it is without ties: a sum over the orders that a tie
        allows bends in its own way."""
        return all(isinstance(part, StrictPart) for part in self.parts)

    def log_likelihood(self, strengths: Float[Array, " N"]) -> float:
        """Of the rankings, without the prior."""
        return sum(part.log_likelihood(strengths) for part in self.parts)

    def look(self, strengths: Float[Array, " N"]) -> Local:
        """Gradient and curvature at these strengths."""
        gradient, diagonal = np.zeros(self.num_items), np.zeros(self.num_items)
        products = []
        for part in self.parts:
            slope, bend, times = part.slopes(strengths)
            gradient += slope
            diagonal += bend
            products.append(times)
        if self.prior is not None:
            gradient += self.prior.gradient(strengths)
            diagonal += self.prior.diagonal()
        if self.prior is None or self.prior.is_weak:
            gradient = centred(gradient, self.island)
        diagonal = np.where(diagonal > 0, diagonal, 1.0)

        def times_all(vector: Array) -> Array:
            product = sum(times(vector) for times in products)
            if self.prior is not None:
                product = product + self.prior.information_times(vector)
            return product

        return Local(gradient=gradient, diagonal=diagonal, times=times_all)

    def information(self, strengths: Float[Array, " N"]) -> Float[Array, "N N"]:
        """Minus the Hessian as a matrix."""
        total = np.zeros((self.num_items, self.num_items))
        for part in self.parts:
            part.add_information(strengths, total)
        return total if self.prior is None else total + self.prior.information()


# Gradient, the diagonal of minus the second derivatives, and their product with a vector.
Slopes = tuple[Array, Array, Callable[[Array], Array]]


@dataclass(frozen=True, kw_only=True, eq=False)
class StrictPart:
    """Rankings in which only the last tier may hold several items; `stages` choices are counted."""

    rankings: Rankings
    stages: Int[Array, " R"]

    @classmethod
    def of(cls, rankings: Rankings) -> "StrictPart":
        last = rankings.start[1:] - 1
        # The last tier is no choice: alone it is what is left, together it is unranked.
        return cls(rankings=rankings, stages=rankings.tier[last].astype(np.int64))

    def log_likelihood(self, strengths: Float[Array, " N"]) -> float:
        try:
            from penchant.fitting import ranked_fused as fused
        except ImportError:
            return sum(part.log_likelihood(strengths) for part in self._plain)
        data = self.rankings
        return float(fused.value(data.item, data.start, self.stages, data.weight, strengths))

    def slopes(self, strengths: Float[Array, " N"]) -> Slopes:
        try:
            from penchant.fitting import ranked_fused as fused
        except ImportError:
            return _merge_slopes([part.slopes(strengths) for part in self._plain])
        data = self.rankings
        gradient, diagonal, share = fused.slopes(
            data.item, data.start, self.stages, data.weight, strengths
        )
        room = np.empty(int(np.diff(data.start).max(initial=0)))

        def times(vector: Array) -> Array:
            out = np.empty(data.num_items)
            fused.bend_times(data.item, data.start, data.weight, share, vector, room, out)
            return out

        return gradient, diagonal, times

    def add_information(self, strengths: Float[Array, " N"], total: Float[Array, "N N"]) -> None:
        try:
            from penchant.fitting import ranked_fused as fused
        except ImportError:
            for part in self._plain:
                part.add_information(strengths, total)
            return
        data = self.rankings
        columns = (data.item, data.start, self.stages, data.weight)
        share = fused.slopes(*columns, strengths)[2]
        fused.add_information(data.item, data.start, data.weight, share, total)

    @property
    def _plain(self) -> "list[TiedPart]":
        return TiedPart.all_of(self.rankings)


@dataclass(frozen=True, kw_only=True, eq=False)
class TiedPart:
    """Rankings of menus of one size, by the likelihood of `feedback.ranking`: the plain twin."""

    num_items: int
    item: Int[Array, "R K"]
    rank: Int[Array, "R K"]
    weight: Float[Array, " R"]

    @classmethod
    def all_of(cls, rankings: Rankings) -> "list[TiedPart]":
        sizes = np.diff(rankings.start)
        return [_block(rankings, np.flatnonzero(sizes == size), int(size))
                for size in np.unique(sizes)]  # fmt: skip

    def log_likelihood(self, strengths: Float[Array, " N"]) -> float:
        logs = ranking.log_prob(strengths[self.item], self._offered, self.rank)
        return float(self.weight @ logs)

    def slopes(self, strengths: Float[Array, " N"]) -> Slopes:
        utilities, offered = strengths[self.item], self._offered
        score = ranking.score(utilities, offered, self.rank).utilities
        bend = ranking.curvature(utilities, offered, self.rank).utilities
        bend = bend * self.weight[:, None, None]

        def times(vector: Array) -> Array:
            return self._to_items((bend @ vector[self.item][:, :, None])[:, :, 0])

        gradient = self._to_items(score * self.weight[:, None])
        return gradient, self._to_items(np.einsum("rkk->rk", bend)), times

    def add_information(self, strengths: Float[Array, " N"], total: Float[Array, "N N"]) -> None:
        bend = ranking.curvature(strengths[self.item], self._offered, self.rank).utilities
        np.add.at(total, (self.item[:, :, None], self.item[:, None, :]),
                  bend * self.weight[:, None, None])  # fmt: skip

    @property
    def _offered(self) -> Bool[Array, "R K"]:
        return np.ones(self.item.shape, dtype=bool)

    def _to_items(self, values: Array) -> Array:
        return np.bincount(self.item.ravel(), values.ravel(), self.num_items)


def _block(rankings: Rankings, rows: Array, size: int) -> TiedPart:
    entries = rankings.start[rows][:, None] + np.arange(size)
    tier = rankings.tier[entries]
    # The last tier comes after all others whatever its order: not ranked.
    rank = np.where(tier == tier[:, -1:], 0, tier + 1)
    return TiedPart(
        num_items=rankings.num_items, item=rankings.item[entries].astype(np.int64),
        rank=rank.astype(np.int64), weight=rankings.weight[rows],
    )  # fmt: skip


def _merge_slopes(found: list[Slopes]) -> Slopes:
    return (
        sum(part[0] for part in found),
        sum(part[1] for part in found),
        lambda vector: sum(part[2](vector) for part in found),
    )


def _start(rankings: Rankings, island: Int[Array, " N"]) -> Float[Array, " N"]:
    """From how often an item came before others of its menu, and how often after: with menus at
    random, two thirds of the steps are saved."""
    try:
        from penchant.fitting.ranked_fused import add_placings
    except ImportError:
        add_placings = placings_plain
    ahead, behind = np.zeros(rankings.num_items), np.zeros(rankings.num_items)
    add_placings(rankings.item, rankings.tier, rankings.start, rankings.weight, ahead, behind)
    return centred(strengths_from_wins(behind, ahead), island)


def placings_plain(
    item: Array, tier: Array, start: Array, weight: Array, ahead: Array, behind: Array
) -> None:
    """The plain twin of the compiled `add_placings`."""
    ranking = np.repeat(np.arange(len(start) - 1), np.diff(start))
    begins = np.flatnonzero((np.diff(tier, prepend=-1) != 0) | (np.diff(ranking, prepend=-1) != 0))
    size = np.diff(np.append(begins, len(tier)))
    before = np.repeat(begins, size) - start[:-1][ranking]
    after = start[1:][ranking] - np.repeat(begins + size, size)
    ahead += np.bincount(item, weight[ranking] * before, len(ahead))
    behind += np.bincount(item, weight[ranking] * after, len(behind))


def _connectivity(rankings: Rankings) -> Connectivity:
    return connectivity(*_scored(rankings), rankings.num_items)


def _scored(rankings: Rankings) -> tuple[Array, Array, Array, Array]:
    """Who was ranked above whom: each tier above the next one, which says all by way of chains."""
    if not rankings.has_equals:
        # Every entry but the last of a ranking is above the next one.
        upper = np.ones(len(rankings.item), dtype=bool)
        upper[rankings.start[1:] - 1] = False
        upper &= np.repeat(rankings.weight > 0, np.diff(rankings.start))
        upper = np.flatnonzero(upper)
        above, below = rankings.item[upper], rankings.item[upper + 1]
        return above, below, np.ones(len(upper)), np.zeros(len(upper))
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    pairs += list(_above_next(rankings))
    above, below = np.concatenate(pairs).T
    low, high = np.minimum(above, below), np.maximum(above, below)
    return low, high, (above < below) * 1.0, (above > below) * 1.0


def _above_next(rankings: Rankings) -> Iterator[Array]:
    """Every item with every item of the tier behind its own."""
    tier_id = np.cumsum((np.diff(rankings.tier, prepend=-1) != 0)
                        | (np.diff(rankings.ranking, prepend=-1) != 0)) - 1  # fmt: skip
    begins = np.flatnonzero(np.diff(tier_id, prepend=-1))
    size = np.diff(np.append(begins, len(tier_id)))
    of_ranking = rankings.ranking[begins]
    has_next = np.append(of_ranking[1:] == of_ranking[:-1], False)
    counted = rankings.weight[of_ranking] > 0
    for step in range(int(size.max(initial=0))):
        # The step-th item of every tier, against all of the next tier.
        own = np.flatnonzero(has_next & counted & (size > step))
        there = size[own + 1]
        places = np.repeat(begins[own + 1], there) + _within(there)
        yield np.stack(
            [np.repeat(rankings.item[begins[own] + step], there), rankings.item[places]], axis=1
        ).astype(np.int64)


def _within(sizes: Array) -> Array:
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
