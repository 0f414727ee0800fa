"""The simulated log-density of a random-coefficients model: value, people's scores, information.

Legend: G groups (people), D features, V varying ones, P spreads, M = D + P parameters, C blocks
of draws, S draws of a block, Z = C S, K pairs of features.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.fitting.panel_logit import (
    PanelChoices,
    PanelMoments,
    PanelPass,
    panel_moments,
    panel_pass,
)
from penchant.fitting.proposals import Proposals, num_wide, propose
from penchant.numerics.arrays import Array
from penchant.populations.normal import Normal, TasteDraws

# Draws come in rows of whole registers of the fused loops (see panel_logit_fused.PADDING).
_PADDING = 64
# So many blocks are worked on at a time that an array of their tastes stays below 32 MB.
_CHUNK_FLOATS = 4_000_000
# Utility differences beyond so many powers of two count as that many.
_LIMIT = {np.float32: 100.0, np.float64: 1000.0}
_LOG2_E = 1.0 / np.log(2.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedValue:
    """The log-density at one point. scores: of each person, without weight and prior."""

    value: float
    log_likelihood: float
    gradient: Float[Array, " M"]
    scores: Float[Array, "G M"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PanelDensity:
    """log prod_g L_g(theta)^(weight_g) + log prior, L_g by quasi-random draws.

    People share blocks of draws, person g that of `block[g]`: the tastes of a block are made once
    for all its people. With one block all people share their simulation error, which then does
    not average out; with as many blocks as people each has draws of their own. is_single: work in
    single precision, three times faster; sums over people are double in any case. proposals: where
    each person's draws are taken; from the population itself if there are none. They do not move
    with theta, so that the density stays smooth.
    """

    choices: PanelChoices
    population: Normal
    base: Float[Array, "C R S"]
    block: Int[Array, " G"]
    precision: Float[Array, " M"]
    is_single: bool = True
    num_threads: int = 1
    proposals: Proposals | None = None

    @classmethod
    def build(
        cls,
        choices: PanelChoices,
        population: Normal,
        *,
        num_blocks: int,
        precision: Float[Array, " M"] | None = None,
        num_threads: int = 1,
    ) -> "PanelDensity":
        """Draws for `population.num_draws` tastes per person, in at most `num_blocks` blocks."""
        if not population.random:
            raise ConfigError(
                "no coefficient is random; expected at least one. Without any, fit a "
                "ConditionalLogit."
            )
        num_groups = choices.num_groups
        num_blocks = max(1, min(num_blocks, num_groups))
        size = choices.differences.shape[1] + len(population.spread_pairs)
        return cls(
            choices=choices,
            population=population,
            base=_padded(population.base_draws(num_blocks)),
            block=np.arange(num_groups) * num_blocks // num_groups,
            precision=np.zeros(size) if precision is None else precision,
            num_threads=num_threads,
        )

    @property
    def num_draws(self) -> int:
        return self.population.num_draws

    def coarser(self, every: int, num_draws: int) -> "PanelDensity":
        """Every so many-th person with the first few draws: a cheap likeness of the whole.

        The prior is thinned as the people are, so that it keeps its relative weight.
        """
        groups = np.arange(0, self.choices.num_groups, every)
        population = replace(self.population, num_draws=min(num_draws, self.num_draws))
        share = len(groups) / self.choices.num_groups
        return replace(
            self,
            choices=self.choices.take_groups(groups),
            population=population,
            base=_padded(self.base[:, :, : population.num_draws]),
            block=self.block[groups],
            precision=self.precision * share,
            proposals=None,
        )

    def in_double(self) -> "PanelDensity":
        """The same density in double precision throughout."""
        return replace(self, is_single=False)

    def adapted(self, theta: Float[Array, " M"]) -> "PanelDensity":
        """The same density with each person's draws around their taste, as it looks from theta.

        A population without a normal deviate behind it is left as it is.
        """
        # A few blocks do: they only place the coefficients that are no normal deviates.
        recipe = self.population.taste_recipe(theta, self.base[:8])
        if not recipe.is_kin.any():
            return self
        varying, fixed = self._order
        fixed_utility = self._features[:, fixed] @ theta[fixed]
        varying_x = np.ascontiguousarray(self._features[:, varying])
        price = -1 if self.population.price is None else self.population.price
        before = None if self.proposals is None else self.proposals.centre
        proposals = propose(self.choices, varying_x, fixed_utility, recipe, price, before)
        return replace(self, proposals=proposals)

    def evaluate(self, theta: Float[Array, " M"]) -> SimulatedValue:
        """Value, gradient and people's scores."""
        num_groups = self.choices.num_groups
        log_likelihood, scores = np.zeros(num_groups), np.zeros((num_groups, len(theta)))
        for chunk in self._chunks(theta, self._features.shape[1]):
            part = self._pass(chunk)
            log_likelihood[chunk.people], scores[chunk.people] = part.log_likelihood, part.scores
        weight = self.choices.weight
        total = float(weight @ log_likelihood)
        return SimulatedValue(
            value=total - 0.5 * float(self.precision @ theta**2),
            log_likelihood=total,
            gradient=weight @ scores - self.precision * theta,
            scores=scores,
        )

    def outer_product(self, here: SimulatedValue) -> Float[Array, "M M"]:
        """sum_g w s s', near the information where the model holds (Berndt et al. 1974)."""
        weighted = here.scores * self.choices.weight[:, None]
        return weighted.T @ here.scores + np.diag(self.precision)

    def information(self, theta: Float[Array, " M"], here: SimulatedValue) -> Float[Array, "M M"]:
        """Minus the Hessian, exact (Louis 1982); `here` is `evaluate(theta)`.

        d2 log L_g = E[J'(h h' - A) J + h'd2 taste] - s s', with h and A a person's score and
        information in the taste itself, J = d taste / d theta, E over draws by their weight. All
        people of a block share J, so h h' - A is summed over them before J is met.
        """
        if self.proposals is not None and _has_fused():
            return self.outer_product(here) - self._curvature(theta)
        if _has_fused() and len(self._order[1]) > self._rows_of_people.max(initial=0):
            # Draws around nothing in particular: those of the population, person by person.
            own = Proposals.of_population(self.choices.num_groups, len(self.population.random))
            return replace(self, proposals=own).information(theta, here)
        hessian = np.zeros((len(theta), len(theta)))
        num_features = self._features.shape[1]
        for chunk in self._chunks(theta, num_features * num_features):
            draws = self._twin_draws(chunk)[0]
            hessian += _contract(draws, self._moments(chunk), self.num_draws)
        return self.outer_product(here) - hessian

    @property
    def _features(self) -> Float[Array, "N D"]:
        return self.choices.differences

    @property
    def _dtype(self) -> Any:
        return np.float32 if self.is_single else np.float64

    @property
    def _order(self) -> tuple[Int[Array, " V"], Int[Array, " F"]]:
        """Places of the features whose taste varies, and of the others."""
        places = np.arange(self._features.shape[1])
        is_priced = self.population.price is not None
        varying = places if is_priced else np.array(self.population.random)
        return varying, np.setdiff1d(places, varying)

    @cached_property
    def _columns(self) -> "_Columns":
        varying, fixed = self._order
        everything = np.ascontiguousarray(self._features, dtype=self._dtype)
        return _Columns(
            varying=np.ascontiguousarray(
                (self._features[:, varying] * _LOG2_E).astype(self._dtype)
            ),
            fixed=np.ascontiguousarray(everything[:, fixed]),
            ordered=np.ascontiguousarray(everything[:, np.concatenate([varying, fixed])]),
        )

    @cached_property
    def _deviates(self) -> Float[Array, "C R S"]:
        return self.base.astype(self._dtype)

    def _chunks(self, theta: Float[Array, " M"], width: int) -> Iterator["_Chunk"]:
        """A few blocks of draws at a time, with the people who use them."""
        num_blocks, _, length = self.base.shape
        step = max(1, _CHUNK_FLOATS // (length * max(width, 1)))
        for start in range(0, num_blocks, step):
            stop = min(start + step, num_blocks)
            first, last = np.searchsorted(self.block, [start, stop])
            if first < last:
                yield _Chunk(
                    theta=theta,
                    base=self.base[start:stop],
                    blocks=slice(start, stop),
                    people=slice(int(first), int(last)),
                    block=self.block[first:last] - start,
                )

    def _pass(self, chunk: "_Chunk") -> PanelPass:
        if not _has_fused():
            draws, block, log_weight = self._twin_draws(chunk)
            return panel_pass(self._people(chunk), draws, block, self.num_draws, log_weight)
        from penchant.fitting import panel_logit_fused as fused

        people, dtype = chunk.people, self._dtype
        num_people, num_features = people.stop - people.start, self._features.shape[1]
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
                *self._pairs, self._price, self._has_slopes, *own.arguments, self.num_draws,
                *self._limits, begin, end, log_likelihood, scores,
            )  # fmt: skip

        self._share_out(work, chunk.block)
        order = np.concatenate(self._order)
        scores[:, order] = scores[:, :num_features].copy()
        return PanelPass(log_likelihood=log_likelihood, scores=scores)

    def _moments(self, chunk: "_Chunk") -> PanelMoments:
        draws, block, log_weight = self._twin_draws(chunk)
        if not _has_fused():
            return panel_moments(self._people(chunk), draws, block, self.num_draws, log_weight)
        from penchant.fitting import panel_curvature_fused as fused

        people, dtype = chunk.people, self._dtype
        num_features = self._features.shape[1]
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
                values, self.num_draws, self._limits[0], begin, end, first, second,
            )  # fmt: skip

        self._share_out(work, chunk.block)
        rank = np.argsort(np.concatenate(self._order))
        rows, columns = np.tril_indices(num_features)
        one, two = np.maximum(rank[rows], rank[columns]), np.minimum(rank[rows], rank[columns])
        return PanelMoments(first=first[:, rank], second=second[:, one * (one + 1) // 2 + two])

    def _curvature(self, theta: Float[Array, " M"]) -> Float[Array, "M M"]:
        """The Hessian but for the outer product, person by person: all have their own deviates."""
        most_rows = int(self._rows_of_people.max(initial=0))
        if len(self._order[1]) > most_rows:
            return self._in_feature_order(self._curvature_by_rows(theta, most_rows))
        return self._in_feature_order(self._curvature_by_features(theta))

    def _curvature_by_features(self, theta: Float[Array, " M"]) -> Float[Array, "M M"]:
        from penchant.fitting import panel_curvature_fused as fused

        num_features, size = self._features.shape[1], len(theta)
        coefficient, draw = self._pairs
        start = np.searchsorted(coefficient, np.arange(num_features + 1))
        fixed_utility = self._fixed_utility(theta)
        parts: dict[tuple[int, int], Array] = {}
        for chunk in self._chunks(theta, num_features):
            own, people = self._own(chunk), chunk.people
            group_start = self.choices.group_start[people.start : people.stop + 1]

            def work(begin: int, end: int, chunk=chunk, own=own, group_start=group_start):  # type: ignore[no-untyped-def]  # the loop's own values
                hessian = np.zeros((size, size))
                fused.panel_curvature(
                    self._columns.varying, self._columns.ordered, fixed_utility,
                    self.choices.menu_start, group_start, self.choices.weight[chunk.people],
                    chunk.block, own.values, own.slopes, own.bends, own.basis, own.bend_basis,
                    start, draw, self._price, self._has_slopes, *own.arguments[1:], self.num_draws,
                    *self._limits, begin, end, hessian,
                )  # fmt: skip
                parts[chunk.people.start, begin] = hessian

            self._share_out(work, chunk.block)
        # In the order of people, whichever thread was first.
        return sum((parts[key] for key in sorted(parts)), np.zeros((size, size)))

    def _curvature_by_rows(self, theta: Float[Array, " M"], most_rows: int) -> Float[Array, "M M"]:
        """The same where fixed features outnumber a person's options.

        Fixed tastes reach a person's answers through the utilities of a few options only: the
        curvature is taken in those, by indicators in place of the fixed features, and carried over
        by the features once, X' H X. It costs rows squared a draw, not features squared.
        """
        from penchant.fitting import panel_curvature_fused as fused

        varying, fixed = self._columns.ordered[:, : len(self._order[0])], self._columns.fixed
        num_varying, num_fixed = varying.shape[1], fixed.shape[1]
        num_spreads = len(theta) - num_varying - num_fixed
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
        for chunk in self._chunks(theta, all_x.shape[1]):
            own, people = self._own(chunk), chunk.people
            group_start = self.choices.group_start[people.start : people.stop + 1]
            for person in range(people.stop - people.start):
                hessian = np.zeros((size, size))
                fused.panel_curvature(
                    self._columns.varying, all_x, fixed_utility, self.choices.menu_start,
                    group_start, self.choices.weight[people], chunk.block, own.values, own.slopes,
                    own.bends, own.basis, own.bend_basis, start, draw, self._price,
                    self._has_slopes, *own.arguments[1:], self.num_draws, *self._limits, person,
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
        order = np.concatenate([*self._order, np.arange(self._features.shape[1], len(raw))])
        hessian = np.empty_like(raw)
        hessian[np.ix_(order, order)] = raw
        return hessian

    @cached_property
    def _rows_of_people(self) -> Int[Array, " G"]:
        """How many options (beside those chosen) each person's answers compare."""
        return np.diff(self.choices.menu_start[self.choices.group_start])

    def _own(self, chunk: "_Chunk") -> "_Own":
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
                num_wide(self.num_draws), self._deviates[chunk.blocks], recipe.code, recipe.row,
                *arrays,
            ),
        )  # fmt: skip

    def _twin_draws(self, chunk: "_Chunk") -> tuple[TasteDraws, Array, Array]:
        """Tastes as arrays: those of the blocks, or of each person with their log-weights."""
        base, block, log_weight = chunk.base, chunk.block, None
        if self.proposals is not None:
            own = self.proposals.take(chunk.people)
            is_kin = self.population.taste_recipe(chunk.theta, base[:1]).is_kin
            base, log_weight = own.deviates(base[block], is_kin, self.num_draws)
            block = np.arange(len(block))
        return self.population.taste_draws(chunk.theta, base), block, log_weight

    def _people(self, chunk: "_Chunk") -> PanelChoices:
        return self.choices.take_groups(np.arange(chunk.people.start, chunk.people.stop))

    def _fixed_utility(self, theta: Float[Array, " M"]) -> Float[Array, " N"]:
        """In units of log2(e), as the fused loops want them."""
        return self._columns.fixed @ (theta[self._order[1]] * _LOG2_E).astype(self._dtype)

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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Chunk:
    theta: Float[Array, " M"]
    base: Float[Array, "C R S"]
    blocks: slice
    people: slice
    block: Int[Array, " G"]


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


def _has_fused() -> bool:
    try:
        import penchant.fitting.panel_logit_fused  # noqa: F401
    except ImportError:
        return False
    return True


def _padded(base: Float[Array, "C R S"]) -> Float[Array, "C R S2"]:
    """Draws repeated up to whole registers; the copies get no weight."""
    length = -(-base.shape[2] // _PADDING) * _PADDING
    return np.take(base, np.arange(length) % base.shape[2], axis=2)


def _contract(draws: TasteDraws, moments: PanelMoments, num_draws: int) -> Float[Array, "M M"]:
    """sum over draws of E[J'(h h' - A) J + h'd2 taste], from the sums over people.

    A taste d moves with its own location and spreads, c_d = (1, basis ..), and in
    willingness-to-pay space with the price's, c_p, as well. So the Hessian is
    sum_de W_de c_d c_e' plus the bends, with W a D x D matrix for each draw.
    """
    first, matrix = _unpack(moments, num_draws)
    num_features = len(first)
    slopes, bends = np.ones_like(first), np.zeros_like(first)
    slopes[draws.varying] = _flat(draws.slopes, num_draws)
    bends[draws.varying] = _flat(draws.bends, num_draws)
    tastes = _flat(draws.values, num_draws)
    by_row = matrix
    matrix = matrix * slopes[:, None] * slopes
    if draws.price >= 0:
        # All features vary in willingness-to-pay space, in their own order.
        price, pull = draws.price, (by_row * tastes).sum(axis=1)
        with_price = slopes * (pull + first)
        with_price[price] = (tastes * (pull + first)).sum(axis=0)
        matrix[price, :] = matrix[:, price] = with_price
    basis, bend_basis = _flat(draws.basis, num_draws), _flat(draws.bend_basis, num_draws)
    places = [[d] for d in range(num_features)]
    moves: list[list[Array]] = [[np.ones(first.shape[1])] for _ in range(num_features)]
    curls: list[list[Array]] = [[np.ones(first.shape[1])] for _ in range(num_features)]
    for p, (v, q) in enumerate(zip(draws.coefficient, draws.draw)):
        d = int(draws.varying[v])
        places[d].append(num_features + p)
        moves[d].append(basis[q])
        curls[d].append(bend_basis[q])
    stacked = [np.stack(rows) for rows in moves]
    size = num_features + len(draws.draw)
    hessian = np.zeros((size, size))
    for d in range(num_features):
        for e in range(d + 1):
            part = (stacked[d] * matrix[d, e]) @ stacked[e].T
            hessian[np.ix_(places[d], places[e])] = part
            hessian[np.ix_(places[e], places[d])] = part.T
        if bends[d].any():
            curl = np.stack(curls[d])
            hessian[np.ix_(places[d], places[d])] += (curl * (first[d] * bends[d])) @ curl.T
    return hessian


def _unpack(moments: PanelMoments, num_draws: int) -> tuple[Float[Array, "D Z"], Array]:
    """first [D, Z] and second as a full symmetric matrix [D, D, Z]."""
    first = _flat(moments.first, num_draws)
    second = _flat(moments.second, num_draws)
    rows, columns = np.tril_indices(len(first))
    matrix = np.empty((len(first), len(first), second.shape[1]))
    matrix[rows, columns] = second
    matrix[columns, rows] = second
    return first, matrix


def _flat(array: Float[Array, "C A S"], num_draws: int) -> Float[Array, "A Z"]:
    """Blocks side by side, without the padding."""
    part = np.swapaxes(array[:, :, :num_draws], 0, 1).astype(np.float64)
    return part.reshape(part.shape[0], -1)
