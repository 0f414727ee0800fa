"""The simulated log-density of random coefficients given answers of any kind.

Answers under logit noise are taken apart into plain choices, exactly, and go through the compiled
loops; of the others each person is asked in turn (`panel_answers`). Bars, thresholds, tie strengths
and spreads of outcomes are one set for all people, as for latent classes: they say how a worth
becomes an answer.

Legend: G groups (people), D features, T columns beside them, Q spreads, P own parameters of the
likelihoods; theta holds M = D + Q + P, the inner density's parameters are D + T + Q.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.feedback.as_choices import as_choices
from penchant.feedback.channel_contract import Channel
from penchant.feedback.own_columns import OwnColumns
from penchant.fitting.panel_answers import PanelAnswers
from penchant.fitting.panel_logit import PanelChoices
from penchant.fitting.panel_logit_density import (
    PanelDensity,
    SimulatedValue,
    at_zero_with_spreads,
)
from penchant.fitting.pooled_density import PooledDensity, check_common
from penchant.numerics.arrays import Array
from penchant.populations.normal import Normal
from penchant.utilities.linear import Linear


@dataclass(frozen=True, kw_only=True, eq=False)
class AnswerDensity:
    """log prod_g L_g(theta)^(weight_g) + log prior, for any mix of answers.

    inner: the density in which own parameters are coefficients of columns (`columns` says how);
    one_taste: of the same answers if all people were alike; precision, centre: of the normal prior.
    """

    inner: PanelDensity
    columns: OwnColumns
    one_taste: PooledDensity
    precision: Float[Array, " M"]
    centre: Float[Array, " M"] | float = 0.0

    @classmethod
    def build(
        cls,
        batch: Batch,
        channels: tuple[Channel, ...],
        population: Normal,
        *,
        num_blocks: int,
        precision: Float[Array, " M"] | None = None,
        centre: Float[Array, " M"] | float = 0.0,
        num_threads: int = 1,
        has_choices: bool = True,
    ) -> "AnswerDensity":
        """has_choices: take answers apart into choices where that is possible.

        Raises `DataError` where a person's rows have different weights or no channel serves an
        answer, `ConfigError` for channels with parameters of single people.
        """
        check_common(batch, channels, "random coefficients cannot tell from their tastes")
        sizes = tuple(channel.num_parameters(batch) for channel in channels)
        # A price multiplies tastes, and no threshold: the compiled loops know tastes only.
        is_plain = population.price is None or not sum(sizes)
        made = as_choices(batch, channels) if has_choices and is_plain else None
        people: PanelChoices | PanelAnswers
        if made is not None:
            people = PanelChoices.from_flat(made.choices.flat_choices())
            columns = made.columns.shared_out(people.weight)
        else:
            people = PanelAnswers.of(batch, channels)
            columns = OwnColumns.plain(sizes, batch.num_groups)
        size = batch.num_features + len(population.spread_pairs) + sum(sizes)
        return cls(
            inner=PanelDensity.build(
                people,
                population,
                num_blocks=num_blocks,
                num_threads=num_threads,
                num_beside=columns.num_columns,
            ),
            columns=columns,
            one_taste=PooledDensity(
                batch=batch,
                utility=Linear(),
                channels=channels,
                sizes=sizes,
                prior_precision=np.zeros(batch.num_features + sum(sizes)),
            ),
            precision=np.zeros(size) if precision is None else precision,
            centre=centre,
        )

    @property
    def population(self) -> Normal:
        return self.inner.population

    @property
    def is_single(self) -> bool:
        return self.inner.is_single

    @property
    def weight(self) -> Float[Array, " G"]:
        """How many such people there are."""
        return self.inner.weight

    @property
    def num_blocks(self) -> int:
        return self.inner.num_blocks

    def oriented(self, theta: Float[Array, " M"]) -> Float[Array, " M"]:
        """The same population with every diagonal entry of its root zero or positive."""
        cut = len(theta) - self.num_own
        return np.concatenate([self.population.oriented(theta[:cut]), theta[cut:]])

    @property
    def num_own(self) -> int:
        """P."""
        return self.columns.num_parameters

    @property
    def own_initial(self) -> Float[Array, " P"]:
        """Own parameters that give the answers' shares, as if all options were worth the same."""
        starts = (c.initial(self.one_taste.batch) for c in self.one_taste.channels)
        return np.concatenate([np.zeros(0), *starts])

    def coarser(self, every: int, num_draws: int) -> "AnswerDensity":
        """Every so many-th person with the first few draws, the prior thinned as they are."""
        groups = np.arange(0, len(self.weight), every)
        batch = self.one_taste.batch
        return replace(
            self,
            inner=self.inner.coarser(every, num_draws),
            columns=self.columns.take_groups(groups),
            one_taste=replace(self.one_taste, batch=batch.take_groups(groups)),
            precision=self.precision * len(groups) / len(self.weight),
        )

    def in_double(self) -> "AnswerDensity":
        """The same density in double precision throughout."""
        return replace(self, inner=self.inner.in_double())

    def adapted(self, theta: Float[Array, " M"]) -> "AnswerDensity":
        """The same density with each person's draws around their taste, as it looks from theta."""
        return replace(self, inner=self.inner.adapted(self._inside(theta)))

    # A step too far may overflow (thresholds and spreads are exponentials); its value is then not
    # finite, and the climb shortens it.
    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def evaluate(self, theta: Float[Array, " M"]) -> SimulatedValue:
        """Value, gradient and people's scores."""
        own = self._own(theta)
        here = self.inner.evaluate(self._inside(theta))
        gaps, weight, apart = self.columns.gap_term(own), self.weight, theta - self.centre
        scores = here.scores @ self._chain(own)
        scores[:, len(theta) - self.num_own :] += gaps.score
        total = here.log_likelihood + float(weight @ gaps.value)
        return SimulatedValue(
            value=total - 0.5 * float(self.precision @ apart**2),
            log_likelihood=total,
            gradient=weight @ scores - self.precision * apart,
            scores=scores,
        )

    def outer_product(self, here: SimulatedValue) -> Float[Array, "M M"]:
        """sum_g w s s', near the information where the model holds (Berndt et al. 1974)."""
        weighted = here.scores * self.weight[:, None]
        return weighted.T @ here.scores + np.diag(self.precision)

    def information(self, theta: Float[Array, " M"], here: SimulatedValue) -> Float[Array, "M M"]:
        """Minus the Hessian, exact: the inner one through the chain rule, and what columns and gaps
        bend by themselves."""
        inside, own = self._inside(theta), self._own(theta)
        inner, chain = self.inner.evaluate(inside), self._chain(own)
        total = chain.T @ self.inner.information(inside, inner) @ chain + np.diag(self.precision)
        mine = slice(len(theta) - self.num_own, len(theta))
        total[mine, mine] -= self.columns.bend(own, inner.gradient[self._beside])
        total[mine, mine] += self.columns.gap_information(own, self.weight)
        return total

    def information_at_zero(self) -> Float[Array, "M M"]:
        """About tastes and own parameters if nobody had any taste."""
        pooled = self.one_taste.information(self._nobody)
        return at_zero_with_spreads(pooled, self.population, self.num_own)

    def null_log_likelihood(self) -> float:
        """Of all answers if every option were worth the same, their shares as they are."""
        return self.one_taste.slope(self._nobody).value

    @property
    def _nobody(self) -> Float[Array, " M3"]:
        return np.concatenate([np.zeros(self.one_taste.num_tastes), self.own_initial])

    @cached_property
    def _beside(self) -> slice:
        """Where the columns' coefficients stand among the inner parameters."""
        num_tastes = self.one_taste.num_tastes
        return slice(num_tastes, num_tastes + self.columns.num_columns)

    def _own(self, theta: Float[Array, " M"]) -> Float[Array, " P"]:
        return theta[len(theta) - self.num_own :]

    def _inside(self, theta: Float[Array, " M"]) -> Float[Array, " M2"]:
        num_tastes, cut = self.one_taste.num_tastes, len(theta) - self.num_own
        return np.concatenate(
            [
                theta[:num_tastes],
                self.columns.coefficients(theta[cut:]),
                theta[num_tastes:cut],
            ]
        )

    def _chain(self, own: Float[Array, " P"]) -> Float[Array, "M2 M"]:
        """d inner parameters / d theta."""
        beside, cut = self._beside, len(self.precision) - self.num_own
        num_spreads = cut - beside.start
        chain = np.zeros((beside.stop + num_spreads, len(self.precision)))
        chain[: beside.start, : beside.start] = np.eye(beside.start)
        chain[beside.stop :, beside.start : cut] = np.eye(num_spreads)
        chain[beside, cut:] = self.columns.jacobian(own)
        return chain


# What `maximise_simulated` climbs: choices as they are, or whatever else people answered.
SimulatedDensity = PanelDensity | AnswerDensity
