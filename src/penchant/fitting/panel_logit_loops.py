"""Feeding the panel logit's compiled loops: arrays in working precision, people in threads.

The mathematics, and the plain twin of what is called here, stand in `panel_logit.py`.

Legend: N rows of differences, G groups (people), D features, V varying and F fixed ones, P spreads,
M = D + P parameters, C blocks of draws, R random coefficients, S draws of a block.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.fitting.panel_logit import PanelChoices, PanelMoments, PanelPass
from penchant.fitting.proposals import Proposals, num_wide
from penchant.numerics.arrays import Array
from penchant.populations.normal import Normal, TasteDraws

# Utility differences beyond so many powers of two count as that many.
_LIMIT = {np.float32: 100.0, np.float64: 1000.0}
_LOG2_E = 1.0 / np.log(2.0)


def has_fused() -> bool:
    """Whether the compiled loops can be had."""
    try:
        import penchant.fitting.panel_logit_fused  # noqa: F401  # asked for, not used here
    except ImportError:
        return False
    return True


@dataclass(frozen=True, kw_only=True, eq=False)
class Chunk:
    """A few blocks of draws, base[blocks], and the people who use them; block: each one's."""

    theta: Float[Array, " M"]
    base: Float[Array, "C R S"]
    blocks: slice
    people: slice
    block: Int[Array, " G"]


# As many blocks at a time as arrays of so many rows allow.
Chunks = Callable[[int], Iterator[Chunk]]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Columns:
    """Features in working precision; the varying ones times log2(e), whose exponential is 2**x."""

    varying: Float[Array, "N V"]
    fixed: Float[Array, "N F"]
    ordered: Float[Array, "N D"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Own:
    values: Float[Array, "C V S"]
    slopes: Float[Array, "C V S"]
    bends: Float[Array, "C V S"]
    basis: Float[Array, "C R S"]
    bend_basis: Float[Array, "C R S"]
    arguments: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class PanelLoops:
    """The compiled loops over the people of a `PanelDensity`, whose fields these are."""

    choices: PanelChoices
    population: Normal
    base: Float[Array, "C R S"]
    is_single: bool
    num_threads: int
    proposals: Proposals | None

    @property
    def _num_draws(self) -> int:
        return self.population.num_draws

    @property
    def _dtype(self) -> Any:
        return np.float32 if self.is_single else np.float64

    @property
    def order(self) -> tuple[Int[Array, " V"], Int[Array, " F"]]:
        """Places of the features whose taste varies, and of the others."""
        places = np.arange(self.choices.differences.shape[1])
        is_priced = self.population.price is not None
        varying = places if is_priced else np.array(self.population.random)
        return varying, np.setdiff1d(places, varying)

    @cached_property
    def _columns(self) -> _Columns:
        varying, fixed = self.order
        everything = np.ascontiguousarray(self.choices.differences, dtype=self._dtype)
        return _Columns(
            varying=np.ascontiguousarray(
                (self.choices.differences[:, varying] * _LOG2_E).astype(self._dtype)
            ),
            fixed=np.ascontiguousarray(everything[:, fixed]),
            ordered=np.ascontiguousarray(everything[:, np.concatenate([varying, fixed])]),
        )

    @cached_property
    def _deviates(self) -> Float[Array, "C R S"]:
        return self.base.astype(self._dtype)

    def run(self, chunk: Chunk) -> PanelPass:
        """Log-likelihood and scores of a chunk's people."""
        from penchant.fitting import panel_logit_fused as fused

        people, dtype = chunk.people, self._dtype
        num_people, num_features = people.stop - people.start, self.choices.differences.shape[1]
        log_likelihood = np.zeros(num_people)
        scores = np.zeros((num_people, num_features + len(self.population.spread_pairs)))
        group_start = self.choices.group_start[people.start : people.stop + 1]
        own = self._own(chunk)
        if self.proposals is None:
            draws = self.population.taste_draws(chunk.theta, chunk.base)
            values, slopes = draws.values.astype(dtype), draws.slopes
            slopes = slopes.astype(dtype) if self._has_slopes else values
            basis = draws.basis.astype(dtype)
        else:
            values, slopes, basis = own.values, own.slopes, own.basis
        fixed_utility = self._fixed_utility(chunk.theta)

        def work(begin: int, end: int) -> None:
            fused.panel_pass(
                self._columns.varying, self._columns.fixed, fixed_utility,
                self.choices.menu_start, group_start, chunk.block, values, slopes, basis,
                *self._pairs, self._price, self._has_slopes, *own.arguments, self._num_draws,
                *self._limits, begin, end, log_likelihood, scores,
            )  # fmt: skip

        self._share_out(work, chunk.block)
        order = np.concatenate(self.order)
        scores[:, order] = scores[:, :num_features].copy()
        return PanelPass(log_likelihood=log_likelihood, scores=scores)

    def moments(self, chunk: Chunk, draws: TasteDraws) -> PanelMoments:
        """Sums over a chunk's people, who share their blocks' draws, of what the Hessian needs."""
        from penchant.fitting import panel_curvature_fused as fused

        people, dtype = chunk.people, self._dtype
        num_features = self.choices.differences.shape[1]
        values = draws.values.astype(dtype)
        num_blocks, _, length = values.shape
        first = np.zeros((num_blocks, num_features, length), dtype)
        second = np.zeros((num_blocks, num_features * (num_features + 1) // 2, length), dtype)
        group_start = self.choices.group_start[people.start : people.stop + 1]
        fixed_utility = self._fixed_utility(chunk.theta)

        def work(begin: int, end: int) -> None:
            fused.panel_moments(
                self._columns.varying, self._columns.ordered, fixed_utility,
                self.choices.menu_start, group_start, self.choices.weight[people], chunk.block,
                values, self._num_draws, self._limits[0], begin, end, first, second,
            )  # fmt: skip

        self._share_out(work, chunk.block)
        rank = np.argsort(np.concatenate(self.order))
        rows, columns = np.tril_indices(num_features)
        one, two = np.maximum(rank[rows], rank[columns]), np.minimum(rank[rows], rank[columns])
        return PanelMoments(first=first[:, rank], second=second[:, one * (one + 1) // 2 + two])

    def curvature(self, theta: Float[Array, " M"], chunks: Chunks) -> Float[Array, "M M"]:
        """The Hessian but for the outer product, person by person: all have their own deviates."""
        if self.has_few_rows:
            return self._in_feature_order(self._curvature_by_rows(theta, chunks))
        return self._in_feature_order(self._curvature_by_features(theta, chunks))

    @property
    def has_few_rows(self) -> bool:
        """Whether fixed features outnumber the options that anybody's answers compare."""
        return len(self.order[1]) > int(self._rows_of_people.max(initial=0))

    def _curvature_by_features(
        self, theta: Float[Array, " M"], chunks: Chunks
    ) -> Float[Array, "M M"]:
        from penchant.fitting import panel_curvature_fused as fused

        num_features, size = self.choices.differences.shape[1], len(theta)
        coefficient, draw = self._pairs
        start = np.searchsorted(coefficient, np.arange(num_features + 1))
        fixed_utility = self._fixed_utility(theta)
        parts: dict[tuple[int, int], Array] = {}
        for chunk in chunks(num_features):
            own, people = self._own(chunk), chunk.people
            group_start = self.choices.group_start[people.start : people.stop + 1]

            # Bound to this round of the loop, as anything made in a loop should be.
            def work(
                begin: int, end: int, chunk: Chunk = chunk, own: _Own = own,
                group_start: Array = group_start,
            ) -> None:  # fmt: skip
                hessian = np.zeros((size, size))
                fused.panel_curvature(
                    self._columns.varying, self._columns.ordered, fixed_utility,
                    self.choices.menu_start, group_start, self.choices.weight[chunk.people],
                    chunk.block, own.values, own.slopes, own.bends, own.basis, own.bend_basis,
                    start, draw, self._price, self._has_slopes, *own.arguments[1:], self._num_draws,
                    *self._limits, begin, end, hessian,
                )  # fmt: skip
                parts[chunk.people.start, begin] = hessian

            self._share_out(work, chunk.block)
        # In the order of people, whichever thread was first.
        return sum((parts[key] for key in sorted(parts)), np.zeros((size, size)))

    def _curvature_by_rows(self, theta: Float[Array, " M"], chunks: Chunks) -> Float[Array, "M M"]:
        """The same where fixed features outnumber a person's options.

        Fixed tastes reach a person's answers through the utilities of a few options only: the
        curvature is taken in those, by indicators in place of the fixed features, and carried over
        by the features once, X' H X. It costs rows squared a draw, not features squared.
        """
        from penchant.fitting import panel_curvature_fused as fused

        varying, fixed = self._columns.ordered[:, : len(self.order[0])], self._columns.fixed
        num_varying, num_fixed = varying.shape[1], fixed.shape[1]
        num_spreads = len(theta) - num_varying - num_fixed
        most_rows = int(self._rows_of_people.max(initial=0))
        edges = self.choices.menu_start[self.choices.group_start]
        place = np.arange(len(varying)) - np.repeat(edges[:-1], self._rows_of_people)
        all_x = np.concatenate(
            [varying, (place[:, None] == np.arange(most_rows)).astype(self._dtype)], axis=1
        )
        coefficient, draw = self._pairs
        start = np.searchsorted(coefficient, np.arange(all_x.shape[1] + 1))
        size = all_x.shape[1] + num_spreads
        others = np.concatenate([np.arange(num_varying), np.arange(size - num_spreads, size)])
        of_others = np.zeros((len(others), len(others)))
        # What each option's utility bends with: the others' parameters, and the fixed features.
        crossed = np.zeros((len(varying), len(others)))
        bent = np.zeros((len(varying), num_fixed))
        x_fixed = fixed.astype(np.float64)
        fixed_utility = self._fixed_utility(theta)
        for chunk in chunks(all_x.shape[1]):
            own, people = self._own(chunk), chunk.people
            group_start = self.choices.group_start[people.start : people.stop + 1]
            for person in range(people.stop - people.start):
                hessian = np.zeros((size, size))
                fused.panel_curvature(
                    self._columns.varying, all_x, fixed_utility, self.choices.menu_start,
                    group_start, self.choices.weight[people], chunk.block, own.values, own.slopes,
                    own.bends, own.basis, own.bend_basis, start, draw, self._price,
                    self._has_slopes, *own.arguments[1:], self._num_draws, *self._limits, person,
                    person + 1, hessian,
                )  # fmt: skip
                first, last = edges[people.start + person], edges[people.start + person + 1]
                rows = slice(num_varying, num_varying + last - first)
                of_others += hessian[np.ix_(others, others)]
                crossed[first:last] = hessian[rows][:, others]
                bent[first:last] = hessian[rows, rows] @ x_fixed[first:last]
        of_fixed, across = x_fixed.T @ bent, x_fixed.T @ crossed
        hessian = np.zeros((len(theta), len(theta)))
        kept = np.concatenate(
            [np.arange(num_varying), np.arange(num_varying + num_fixed, len(theta))]
        )
        middle = np.arange(num_varying, num_varying + num_fixed)
        hessian[np.ix_(kept, kept)] = of_others
        hessian[np.ix_(middle, middle)] = of_fixed
        hessian[np.ix_(middle, kept)] = across
        hessian[np.ix_(kept, middle)] = across.T
        return hessian

    def _in_feature_order(self, raw: Float[Array, "M M"]) -> Float[Array, "M M"]:
        """From varying, fixed, spreads to the order of theta."""
        order = np.concatenate(
            [*self.order, np.arange(self.choices.differences.shape[1], len(raw))]
        )
        hessian = np.empty_like(raw)
        hessian[np.ix_(order, order)] = raw
        return hessian

    @cached_property
    def _rows_of_people(self) -> Int[Array, " G"]:
        """How many options (beside those chosen) each person's answers compare."""
        return np.diff(self.choices.menu_start[self.choices.group_start])

    def _own(self, chunk: Chunk) -> _Own:
        """What the fused loops need to make each person's own tastes; empty shapes if shared."""
        dtype = self._dtype
        # The loops read a block's tastes only for coefficients that are no normal deviate.
        base = chunk.base[:1] if self._is_all_kin else chunk.base
        recipe = self.population.taste_recipe(chunk.theta, base)
        if self.proposals is None:
            size = len(recipe.is_kin)
            centre, root = np.zeros((0, size), dtype), np.zeros((0, size, size), dtype)
            inverse = root
        else:
            centre = self.proposals.centre[chunk.people].astype(dtype)
            root = self.proposals.root[chunk.people].astype(dtype)
            inverse = self.proposals.inverse[chunk.people].astype(dtype)
        arrays = [part.astype(dtype) for part in (recipe.sign, recipe.location, recipe.root)]
        shared = (recipe.values, recipe.slopes, recipe.bends, recipe.basis, recipe.bend_basis)
        values, slopes, bends, basis, bend_basis = (part.astype(dtype) for part in shared)
        return _Own(
            values=values,
            slopes=slopes,
            bends=bends,
            basis=basis,
            bend_basis=bend_basis,
            arguments=(
                self.proposals is not None, centre, root, inverse, recipe.is_kin,
                num_wide(self._num_draws), self._deviates[chunk.blocks], recipe.code, recipe.row,
                *arrays,
            ),
        )  # fmt: skip

    def _fixed_utility(self, theta: Float[Array, " M"]) -> Float[Array, " N"]:
        """In units of log2(e), as the fused loops want them."""
        return self._columns.fixed @ (theta[self.order[1]] * _LOG2_E).astype(self._dtype)

    @property
    def _pairs(self) -> tuple[Int[Array, " P"], Int[Array, " P"]]:
        """Place among the varying features, and row of deviates, of each spread."""
        pairs = np.array(self.population.spread_pairs, dtype=np.int64).reshape(-1, 2)
        of_row = np.arange(len(self.population.random))
        if self.population.price is not None:
            of_row = np.array(self.population.random)
        return of_row[pairs[:, 0]], pairs[:, 1].copy()

    @property
    def _price(self) -> int:
        return -1 if self.population.price is None else self.population.price

    @property
    def _limits(self) -> tuple[Any, Any]:
        dtype = self._dtype
        return dtype(_LIMIT[dtype]), dtype(_LOG2_E)

    @property
    def _is_all_kin(self) -> bool:
        return set(self.population.plain_distributions) <= {"normal", "lognormal", "censored"}

    @property
    def _has_slopes(self) -> bool:
        """Whether a taste moves otherwise than one for one with its location."""
        additive = {"normal", "uniform", "triangular"}
        return self.population.price is not None or not (
            set(self.population.distributions) <= additive
        )

    def _share_out(self, work: Callable[[int, int], None], block: Int[Array, " G"]) -> None:
        """People to threads, cut between blocks: no two threads add to the same sums."""
        if self.num_threads == 1:
            work(0, len(block))
            return
        from concurrent.futures import ThreadPoolExecutor

        edges = np.round(np.linspace(0, block[-1] + 1, self.num_threads + 1))
        cuts = np.searchsorted(block, edges).tolist()
        with ThreadPoolExecutor(self.num_threads) as pool:
            list(pool.map(work, cuts[:-1], cuts[1:]))
