"""One sweep of hierarchical Bayes: everybody's taste, the means and root, the population.

Legend: G groups (people), D tastes, R random ones, P parameters of spread, Q own parameters of
likelihoods, M = D + P + Q. z are random tastes in standard units: the tastes of person g are
mean + root z[g].
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.beliefs.taste_posterior import TastePrior
from penchant.data.batch import Batch
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.fitting.hierarchical_answers import SweepAnswers, sweep_answers
from penchant.fitting.newton import NewtonConfig, maximise, with_prior
from penchant.numerics.arrays import Array
from penchant.populations.normal import Normal
from penchant.utilities.linear import Linear


@dataclass(frozen=True, kw_only=True, slots=True)
class HierarchicalConfig:
    """num_chains, num_warmup, num_draws: chains, sweeps thrown away and kept in each.
    mean_scale: prior standard deviation of the means; spread_scale: scale of the half-t prior,
    with two degrees of freedom, of each standard deviation between people; both in utility per
    standard deviation of the feature within menus. own_scale: prior standard deviation of a
    likelihood's own parameters (thresholds and their log steps, log strength of ties, bars)."""

    num_chains: int = 4
    num_warmup: int = 300
    num_draws: int = 700
    mean_scale: float = 10.0
    spread_scale: float = 5.0
    own_scale: float = 10.0

    def __post_init__(self) -> None:
        if min(self.num_chains, self.num_draws // 4) < 1 or self.num_warmup < 0:
            raise ConfigError(
                f"{self.num_chains} chains, {self.num_warmup} sweeps of warm-up and "
                f"{self.num_draws} draws were asked for; expected at least 1, 0 and 4."
            )
        if min(self.mean_scale, self.spread_scale, self.own_scale) <= 0:
            raise ConfigError(
                f"the prior scales are {self.mean_scale}, {self.spread_scale} and "
                f"{self.own_scale}; expected all above zero."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    mean: Float[Array, " D"]
    root: Float[Array, "R R"]
    own: Float[Array, " Q"]
    z: Float[Array, "G R"]
    modes: Float[Array, "G R"]
    mixing: Float[Array, " R"]  # auxiliary scales of Huang and Wand


@dataclass(frozen=True, kw_only=True, eq=False)
class HierarchicalModel:
    """Data and priors of all chains, and one method for each step of a sweep."""

    answers: SweepAnswers
    population: Normal
    places: Int[Array, " R"]
    unit: Float[Array, " D"]
    # Of the priors of means and own parameters; of a ridge that steadies the root's step.
    precision: Float[Array, " M"]
    spread_scale: Float[Array, " R"]
    rows: Int[Array, " P"]  # of the root's entries
    columns: Int[Array, " P"]

    @classmethod
    def build(
        cls,
        batch: Batch,
        random: tuple[int, ...],
        is_correlated: bool,
        seed: int,
        config: HierarchicalConfig,
        channels: tuple[Channel, ...] = (Choice(),),
    ) -> "HierarchicalModel":
        if batch.num_observations == 0:
            raise DataError(
                "the batch holds no observations; expected at least one answer. Check the filters, "
                "or the quarantine, that came before."
            )
        if not random or min(random) < 0 or max(random) >= batch.num_features:
            raise ConfigError(
                f"random tastes are at places {random}; expected at least one of 0 .. "
                f"{batch.num_features - 1}: {batch.feature_names[:8]}."
            )
        population = Normal(
            random=tuple(random),
            distributions=("normal",) * len(random),
            correlated=is_correlated,
            seed=seed,
        )
        scales = Linear().scales(batch)
        unit = 1.0 / np.where(scales > 0, scales, 1.0)
        answers = sweep_answers(batch, channels)
        places = np.array(random, dtype=np.int64)
        pairs = np.array(population.spread_pairs, dtype=np.int64).reshape(-1, 2)
        root_unit = config.spread_scale * unit[places[pairs[:, 0]]]
        own_scale = np.full(len(answers.initial), config.own_scale)
        return cls(
            answers=answers,
            population=population,
            places=places,
            unit=unit,
            precision=1.0 / np.concatenate([config.mean_scale * unit, root_unit, own_scale]) ** 2,
            spread_scale=config.spread_scale * unit[places],
            rows=pairs[:, 0].copy(),
            columns=pairs[:, 1].copy(),
        )

    def start(self, rng: np.random.Generator) -> State:
        """The pooled optimum moved at random, spreads of a third to one: chains start apart."""
        num_groups, num_tastes, size = len(self.answers.answered), len(self.unit), len(self.places)
        none = np.zeros(0, dtype=np.int64)
        shape = self.answers.shape(np.zeros((num_groups, size)), none, none)
        kept = np.r_[0:num_tastes, len(self.precision) - len(self.answers.initial):
                     len(self.precision)]  # fmt: skip
        pooled = maximise(
            with_prior(shape.evaluate, self.precision[kept]),
            np.concatenate([np.zeros(num_tastes), self.answers.initial]),
        )
        spread = rng.uniform(0.3, 1.0, size=size) * self.unit[self.places]
        noise = 0.3 * rng.standard_normal(num_tastes) * self.unit
        return State(
            mean=pooled.theta[:num_tastes] + noise,
            root=np.diag(spread),
            own=pooled.theta[num_tastes:],
            z=rng.standard_normal((num_groups, size)),
            modes=np.zeros((num_groups, size)),
            mixing=self.spread_scale**-2.0,  # as large as its prior, IG(1/2, 1/A^2), has it
        )

    def draw_people(
        self, state: State, rng: np.random.Generator
    ) -> tuple[State, Bool[Array, " G"]]:
        """Everybody's z: proposed from around their mode whatever it was before, so that a step
        taken is an independent draw; the weights of new and old decide (Tierney 1994)."""
        prior = TastePrior(mean=state.mean, random=self.places, root=state.root)
        people = self.answers.of_people(prior, state.own)
        modes = people.modes(state.modes, tolerance=1e-10)
        lower = modes.widened()
        fresh = rng.standard_normal(state.z.shape)
        # The present taste in the units of the proposal, to be weighed beside the fresh one.
        present = np.einsum("gqr,gq->gr", lower, state.z - modes.mode)
        drawn = people.draws(modes, np.stack([fresh, present], axis=1))
        gain = drawn.log_ratio[:, 0] - drawn.log_ratio[:, 1]
        taken = np.log(rng.random(len(gain))) < gain
        z = np.where(taken[:, None], drawn.z[:, 0], state.z)
        return replace(state, z=z, modes=modes.mode), taken

    def draw_shape(
        self, state: State, rng: np.random.Generator, *, is_settling: bool = False
    ) -> State:
        """All means, the root and the likelihoods' own parameters, everybody's z held: one taste
        for all whose features are the options' own and, for entry (r, q) of the root, feature r
        times the person's z_q.

        is_settling: take the proposal where there are own parameters. These start where all people
        are alike, which may be far out in a tail (the noise of outcomes then holds all that people
        differ in), and a proposal from around the mode would hardly ever be taken there.
        """
        shape = self.answers.shape(state.z, self.places[self.rows], self.columns)
        evaluate = with_prior(shape.evaluate, self.precision)
        present = np.concatenate([state.mean, state.root[self.rows, self.columns], state.own])
        top = maximise(evaluate, present, NewtonConfig(tolerance=1e-9))
        lower = np.linalg.cholesky(top.information)
        fresh = rng.standard_normal(len(present))
        proposal = top.theta + np.linalg.solve(lower.T, fresh)
        there = self._with(state, proposal)
        before = lower.T @ (present - top.theta)
        gain = (
            evaluate(proposal).value
            + self._log_prior(there)
            - evaluate(present).value
            - self._log_prior(state)
            + 0.5 * float(fresh @ fresh - before @ before)
        )
        is_taken = np.log(rng.random()) < gain
        if is_settling and len(state.own):
            is_taken = np.isfinite(self._log_prior(there))
        return there if is_taken else state

    def _with(self, state: State, theta: Float[Array, " M"]) -> State:
        root = np.zeros_like(state.root)
        cut = len(theta) - len(state.own)
        root[self.rows, self.columns] = theta[len(state.mean) : cut]
        return replace(state, mean=theta[: len(state.mean)], root=root, own=theta[cut:])

    def _log_prior(self, state: State) -> float:
        """Of means and root beyond the priors that the step holds: the covariance's own prior, and
        the Jacobian of its root, less its ridge. The root's diagonal is positive."""
        diagonal, size = np.diag(state.root), len(state.root)
        if diagonal.min() <= 0:
            return -np.inf
        log_sizes = np.log(diagonal)
        inverse = np.linalg.inv(state.root)
        pull = 2.0 * float(((inverse**2).sum(axis=0) / state.mixing).sum())
        if self.population.correlated:
            log_prior = -(2.0 * size + 2.0) * log_sizes.sum() - pull
            log_prior += float(np.arange(size, 0, -1) @ log_sizes)
        else:
            log_prior = -3.0 * log_sizes.sum() - pull
        entries = state.root[self.rows, self.columns]
        ridge = self.precision[len(state.mean) : len(state.mean) + len(entries)]
        return float(log_prior + 0.5 * ridge @ entries**2)

    def draw_population(self, state: State, rng: np.random.Generator) -> State:
        """Random means, then the covariance, given people's tastes; z follows."""
        tastes = state.mean[self.places] + state.z @ state.root.T
        num_groups, size = tastes.shape
        inverse = np.linalg.inv(state.root)
        precision = num_groups * inverse.T @ inverse + np.diag(self.precision[self.places])
        lower = np.linalg.cholesky(precision)
        centre = np.linalg.solve(precision, inverse.T @ (inverse @ tastes.sum(axis=0)))
        mean = state.mean.copy()
        mean[self.places] = centre + np.linalg.solve(lower.T, rng.standard_normal(size))
        apart = tastes - mean[self.places]
        root, mixing = self._draw_covariance(apart, state, rng)
        z = np.linalg.solve(root, apart.T).T
        return replace(state, mean=mean, root=root, z=np.ascontiguousarray(z), mixing=mixing)

    def _draw_covariance(
        self, apart: Float[Array, "G R"], state: State, rng: np.random.Generator
    ) -> tuple[Float[Array, "R R"], Float[Array, " R"]]:
        """Sigma | mixing ~ inverse Wishart(nu + R - 1, 2 nu diag(1 / mixing)) with nu = 2, mixing_r
        ~ inverse gamma(1/2, 1/A_r^2): half-t(2, A_r) standard deviations, uniform correlations."""
        num_groups, size = apart.shape
        square = apart.T @ apart
        if self.population.correlated:
            scatter = square + np.diag(4.0 / state.mixing)
            root = _inverse_wishart_root(scatter, num_groups + size + 1, rng)
            information = np.diag(np.linalg.inv(root @ root.T))
            freedom = 2.0 + size
        else:
            variance = (np.diag(square) + 4.0 / state.mixing) / rng.chisquare(
                num_groups + 2, size=size
            )
            root, information, freedom = np.diag(np.sqrt(variance)), 1.0 / variance, 3.0
        rate = 2.0 * information + 1.0 / self.spread_scale**2
        return root, rate / rng.gamma(0.5 * freedom, size=size)


def _inverse_wishart_root(
    scatter: Float[Array, "R R"], freedom: int, rng: np.random.Generator
) -> Float[Array, "R R"]:
    """Lower root of a draw of the inverse Wishart, by Bartlett's decomposition (1933)."""
    size = len(scatter)
    bartlett = np.tril(rng.standard_normal((size, size)), -1)
    bartlett[np.diag_indices(size)] = np.sqrt(rng.chisquare(freedom - np.arange(size)))
    # Sigma^-1 = F A A' F' with F F' = scatter^-1.
    factor = np.linalg.cholesky(np.linalg.inv(scatter)) @ bartlett
    inverse = np.linalg.inv(factor)
    return np.linalg.cholesky(inverse.T @ inverse)
