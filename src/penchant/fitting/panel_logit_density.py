"""The simulated log-density of a random-coefficients model: value, people's scores, information.

Legend: G groups (people), D features, V varying ones, P spreads, M = D + P parameters, C blocks
of draws, S draws of a block, Z = C S, K pairs of features.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.fitting.panel_answers import PanelAnswers
from penchant.fitting.panel_logit import (
    PanelChoices,
    PanelMoments,
    PanelPass,
    PanelPeople,
    hessian_of_moments,
    panel_moments,
    panel_pass,
)
from penchant.fitting.panel_logit_loops import Chunk, PanelLoops, has_fused
from penchant.fitting.proposals import Proposals, propose, propose_to
from penchant.numerics.arrays import Array
from penchant.populations.normal import Normal, TasteDraws, TasteRecipe

# Draws come in rows of whole registers of the fused loops (see panel_logit_fused.PADDING).
_PADDING = 64
# So many blocks are worked on at a time that an array of their tastes stays below 32 MB.
_CHUNK_FLOATS = 4_000_000


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
    with theta, so that the density stays smooth. precision, centre: of the normal prior.
    num_beside: how many locations, the last ones, are no tastes (bars, thresholds). Choices go
    through the compiled loops, where numba is installed; other answers person by person.
    """

    choices: PanelChoices | PanelAnswers
    population: Normal
    base: Float[Array, "C R S"]
    block: Int[Array, " G"]
    precision: Float[Array, " M"]
    is_single: bool = True
    num_threads: int = 1
    proposals: Proposals | None = None
    centre: Float[Array, " M"] | float = 0.0
    num_beside: int = 0

    @classmethod
    def build(
        cls,
        choices: PanelChoices | PanelAnswers,
        population: Normal,
        *,
        num_blocks: int,
        precision: Float[Array, " M"] | None = None,
        centre: Float[Array, " M"] | float = 0.0,
        num_threads: int = 1,
        num_beside: int = 0,
    ) -> "PanelDensity":
        """Draws for `population.num_draws` tastes per person, in at most `num_blocks` blocks."""
        if not population.random:
            raise ConfigError(
                "no coefficient is random; expected at least one. Without any, fit a "
                "ConditionalLogit."
            )
        num_groups = choices.num_groups
        num_blocks = max(1, min(num_blocks, num_groups))
        size = choices.num_features + len(population.spread_pairs)
        return cls(
            choices=choices,
            population=population,
            base=_padded(population.base_draws(num_blocks)),
            block=np.arange(num_groups) * num_blocks // num_groups,
            precision=np.zeros(size) if precision is None else precision,
            centre=centre,
            num_threads=num_threads,
            num_beside=num_beside,
        )

    @property
    def num_draws(self) -> int:
        return self.population.num_draws

    @property
    def num_blocks(self) -> int:
        return len(self.base)

    @property
    def weight(self) -> Float[Array, " G"]:
        """How many such people there are."""
        return self.choices.weight

    @property
    def is_of_choices(self) -> bool:
        """Whether all answers are choices, or made of them."""
        return isinstance(self.choices, PanelChoices)

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
        recipe = self._recipe(theta, self.base[:8])
        if not recipe.is_kin.any():
            return self
        price = -1 if self.population.price is None else self.population.price
        before = None if self.proposals is None else self.proposals.centre
        if isinstance(self.choices, PanelAnswers):
            draws = self._tastes(theta, self.base[:1, :, :1])
            proposals = propose_to(
                self.choices, recipe, draws.varying, draws.fixed, draws.fixed_values, price, before
            )
            return replace(self, proposals=proposals)
        varying, fixed = self._loops.order
        features = self.choices.differences
        fixed_utility = features[:, fixed] @ theta[fixed]
        varying_x = np.ascontiguousarray(features[:, varying])
        proposals = propose(self.choices, varying_x, fixed_utility, recipe, price, before)
        return replace(self, proposals=proposals)

    def evaluate(self, theta: Float[Array, " M"]) -> SimulatedValue:
        """Value, gradient and people's scores."""
        num_groups = self.choices.num_groups
        log_likelihood, scores = np.zeros(num_groups), np.zeros((num_groups, len(theta)))
        for chunk in self._chunks(theta, self.choices.num_features):
            part = self._pass(chunk)
            log_likelihood[chunk.people], scores[chunk.people] = part.log_likelihood, part.scores
        weight = self.choices.weight
        total, apart = float(weight @ log_likelihood), theta - self.centre
        return SimulatedValue(
            value=total - 0.5 * float(self.precision @ apart**2),
            log_likelihood=total,
            gradient=weight @ scores - self.precision * apart,
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
        if self.proposals is not None and self._is_fused:
            chunks = partial(self._chunks, theta)
            return self.outer_product(here) - self._loops.curvature(theta, chunks)
        if self._is_fused and self._loops.has_few_rows:
            # Draws around nothing in particular: those of the population, person by person.
            own = Proposals.of_population(self.choices.num_groups, len(self.population.random))
            return replace(self, proposals=own).information(theta, here)
        hessian = np.zeros((len(theta), len(theta)))
        num_features = self.choices.num_features
        for chunk in self._chunks(theta, num_features * num_features):
            hessian += hessian_of_moments(*self._moments(chunk), self.num_draws)
        return self.outer_product(here) - hessian

    def oriented(self, theta: Float[Array, " M"]) -> Float[Array, " M"]:
        """The same population with every diagonal entry of its root zero or positive."""
        return self.population.oriented(theta)

    def information_at_zero(self) -> Float[Array, "M M"]:
        """About tastes if nobody had any; a spread is as well known there as its location."""
        assert isinstance(self.choices, PanelChoices)
        return at_zero_with_spreads(self.choices.information_at_zero(), self.population)

    def null_log_likelihood(self) -> float:
        """Of choices at random."""
        assert isinstance(self.choices, PanelChoices)
        return self.choices.null_log_likelihood()

    @property
    def _is_fused(self) -> bool:
        return self.is_of_choices and has_fused()

    @cached_property
    def _loops(self) -> PanelLoops:
        assert isinstance(self.choices, PanelChoices)
        return PanelLoops(
            choices=self.choices,
            population=self.population,
            base=self.base,
            is_single=self.is_single,
            num_threads=self.num_threads,
            proposals=self.proposals,
        )

    def _chunks(self, theta: Float[Array, " M"], width: int) -> Iterator[Chunk]:
        """A few blocks of draws at a time, with the people who use them."""
        num_blocks, _, length = self.base.shape
        step = max(1, _CHUNK_FLOATS // (length * max(width, 1)))
        for start in range(0, num_blocks, step):
            stop = min(start + step, num_blocks)
            first, last = np.searchsorted(self.block, [start, stop])
            if first < last:
                yield Chunk(
                    theta=theta,
                    base=self.base[start:stop],
                    blocks=slice(start, stop),
                    people=slice(int(first), int(last)),
                    block=self.block[first:last] - start,
                )

    def _pass(self, chunk: Chunk) -> PanelPass:
        if self._is_fused:
            return self._loops.run(chunk)
        draws, block, log_weight = self._twin_draws(chunk)
        return panel_pass(self._people(chunk), draws, block, self.num_draws, log_weight)

    def _moments(self, chunk: Chunk) -> tuple[TasteDraws, PanelMoments]:
        draws, block, log_weight = self._twin_draws(chunk)
        if self._is_fused:
            return draws, self._loops.moments(chunk, draws)
        people = self._people(chunk)
        return draws, panel_moments(people, draws, block, self.num_draws, log_weight)

    def _twin_draws(self, chunk: Chunk) -> tuple[TasteDraws, Array, Array]:
        """Tastes as arrays: those of the blocks, or of each person with their log-weights."""
        base, block, log_weight = chunk.base, chunk.block, None
        if self.proposals is not None:
            own = self.proposals.take(chunk.people)
            is_kin = self._recipe(chunk.theta, base[:1]).is_kin
            base, log_weight = own.deviates(base[block], is_kin, self.num_draws)
            block = np.arange(len(block))
        return self._tastes(chunk.theta, base), block, log_weight

    def _tastes(self, theta: Float[Array, " M"], base: Float[Array, "C R S"]) -> TasteDraws:
        return self.population.taste_draws(theta, base, num_beside=self.num_beside)

    def _recipe(self, theta: Float[Array, " M"], base: Float[Array, "C R S"]) -> TasteRecipe:
        stop = self.choices.num_features
        own = np.delete(theta, np.arange(stop - self.num_beside, stop))
        return self.population.taste_recipe(own, base)

    def _people(self, chunk: Chunk) -> PanelPeople:
        return self.choices.take_groups(np.arange(chunk.people.start, chunk.people.stop))


def at_zero_with_spreads(
    pooled: Float[Array, "D D"], population: Normal, num_own: int = 0
) -> Float[Array, "M M"]:
    """The information about one taste for all, and on the diagonal that about each spread, which
    is its location's; own parameters of likelihoods stand last in both."""
    pairs, cut = population.spread_pairs, len(pooled) - num_own
    place = np.concatenate([np.arange(cut), len(pairs) + np.arange(cut, len(pooled))])
    total = np.zeros((len(pooled) + len(pairs),) * 2)
    total[np.ix_(place, place)] = pooled
    for spread, (row, _) in enumerate(pairs, start=cut):
        feature = population.random[row]
        total[spread, spread] = pooled[feature, feature]
    return total


def _padded(base: Float[Array, "C R S"]) -> Float[Array, "C R S2"]:
    """Draws repeated up to whole registers; the copies get no weight."""
    length = -(-base.shape[2] // _PADDING) * _PADDING
    return np.take(base, np.arange(length) % base.shape[2], axis=2)
