"""One sweep of hierarchical Bayes: everybody's taste, the means and root, the population.

Legend: N options over all menus, B observations, G groups (people), D tastes, R random ones,
P parameters of spread, M = D + P. z are random tastes in standard units: the tastes of person g
are mean + root z[g].
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.beliefs.personal import TastePrior, personal_modes, posterior_draws
from penchant.data.batch import Batch, FlatChoices
from penchant.errors import ConfigError, DataError
from penchant.fitting.newton import Evaluation, NewtonConfig, maximise
from penchant.numerics.arrays import Array
from penchant.populations.normal import Normal
from penchant.utilities.linear import Linear


@dataclass(frozen=True, kw_only=True, slots=True)
class HierarchicalConfig:
    """num_chains, num_warmup, num_draws: chains, sweeps thrown away and kept in each.
    mean_scale: prior standard deviation of the means; spread_scale: scale of the half-t prior,
    with two degrees of freedom, of each standard deviation between people; both in utility per
    standard deviation of the feature within menus."""

    num_chains: int = 4
    num_warmup: int = 300
    num_draws: int = 700
    mean_scale: float = 10.0
    spread_scale: float = 5.0

    def __post_init__(self) -> None:
        if min(self.num_chains, self.num_draws // 4) < 1 or self.num_warmup < 0:
            raise ConfigError(
                f"{self.num_chains} chains, {self.num_warmup} sweeps of warm-up and "
                f"{self.num_draws} draws were asked for; expected at least 1, 0 and 4."
            )
        if min(self.mean_scale, self.spread_scale) <= 0:
            raise ConfigError(
                f"the prior scales are {self.mean_scale} and {self.spread_scale}; expected both "
                "above zero."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    mean: Float[Array, " D"]
    root: Float[Array, "R R"]
    z: Float[Array, "G R"]
    modes: Float[Array, "G R"]
    mixing: Float[Array, " R"]  # auxiliary scales of Huang and Wand


@dataclass(frozen=True, kw_only=True, eq=False)
class HierarchicalModel:
    """Data and priors of all chains, and one method for each step of a sweep."""

    flat: FlatChoices
    population: Normal
    places: Int[Array, " R"]
    unit: Float[Array, " D"]
    precision: Float[Array, " M"]  # of the means' prior; of a ridge that steadies the root's step
    spread_scale: Float[Array, " R"]
    group: Int[Array, " N"]
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
    ) -> "HierarchicalModel":
        if batch.num_observations == 0:
            raise DataError(
                "the batch holds no observations; expected at least one choice. Check the filters, "
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
        flat = batch.flat_choices()
        rows = np.repeat(np.arange(batch.num_groups), np.diff(flat.group_start))
        places = np.array(random, dtype=np.int64)
        pairs = np.array(population.spread_pairs, dtype=np.int64).reshape(-1, 2)
        root_unit = config.spread_scale * unit[places[pairs[:, 0]]]
        return cls(
            flat=flat,
            population=population,
            places=places,
            unit=unit,
            precision=1.0 / np.concatenate([config.mean_scale * unit, root_unit]) ** 2,
            spread_scale=config.spread_scale * unit[places],
            group=np.repeat(rows, np.diff(flat.menu_start)),
            rows=pairs[:, 0].copy(),
            columns=pairs[:, 1].copy(),
        )

    def start(self, rng: np.random.Generator) -> State:
        """The pooled optimum moved at random, spreads of a third to one: chains start apart."""
        num_groups, size = len(self.flat.group_start) - 1, len(self.places)
        pooled = maximise(
            lambda mean: self._logit(mean, self.flat.features), np.zeros(len(self.unit))
        )
        spread = rng.uniform(0.3, 1.0, size=size) * self.unit[self.places]
        noise = 0.3 * rng.standard_normal(len(self.unit)) * self.unit
        return State(
            mean=pooled.theta + noise,
            root=np.diag(spread),
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
        modes = personal_modes(self.flat, prior, start=state.modes, tolerance=1e-10)
        lower = modes.widened()
        fresh = rng.standard_normal(state.z.shape)
        # The present taste in the units of the proposal, to be weighed beside the fresh one.
        present = np.einsum("gqr,gq->gr", lower, state.z - modes.mode)
        drawn = posterior_draws(self.flat, prior, modes, np.stack([fresh, present], axis=1))
        gain = drawn.log_ratio[:, 0] - drawn.log_ratio[:, 1]
        taken = np.log(rng.random(len(gain))) < gain
        z = np.where(taken[:, None], drawn.z[:, 0], state.z)
        return replace(state, z=z, modes=modes.mode), taken

    def draw_shape(self, state: State, rng: np.random.Generator) -> State:
        """All means and the root, everybody's z held: a conditional logit whose features are the
        options' own and, for entry (r, q) of the root, feature r times the person's z_q."""
        design = self._design(state.z)
        present = np.concatenate([state.mean, state.root[self.rows, self.columns]])
        top = maximise(
            lambda theta: self._logit(theta, design), present, NewtonConfig(tolerance=1e-9)
        )
        lower = np.linalg.cholesky(top.information)
        fresh = rng.standard_normal(len(present))
        proposal = top.theta + np.linalg.solve(lower.T, fresh)
        there = self._with(state, proposal)
        before = lower.T @ (present - top.theta)
        gain = (
            self._logit(proposal, design).value
            + self._log_prior(there)
            - self._logit(present, design).value
            - self._log_prior(state)
            + 0.5 * float(fresh @ fresh - before @ before)
        )
        return there if np.log(rng.random()) < gain else state

    def _design(self, z: Float[Array, "G R"]) -> Float[Array, "N M"]:
        of_root = self.flat.features[:, self.places[self.rows]] * z[:, self.columns][self.group]
        return np.concatenate([self.flat.features, of_root], axis=1)

    def _with(self, state: State, theta: Float[Array, " M"]) -> State:
        root = np.zeros_like(state.root)
        root[self.rows, self.columns] = theta[len(state.mean) :]
        return replace(state, mean=theta[: len(state.mean)], root=root)

    def _log_prior(self, state: State) -> float:
        """Of means and root beyond the ridge that `_logit` holds: the covariance's own prior, and
        the Jacobian of its root, less that ridge. The root's diagonal is positive."""
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
        own = state.root[self.rows, self.columns]
        return float(log_prior + 0.5 * self.precision[len(state.mean) :] @ own**2)

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

    def _logit(self, theta: Float[Array, " M1"], design: Float[Array, "N M1"]) -> Evaluation:
        """Log-likelihood and ridge of a conditional logit on these features."""
        flat, precision = self.flat, self.precision[: len(theta)]
        starts, sizes = flat.menu_start[:-1], np.diff(flat.menu_start)
        worth = design @ theta
        top = np.maximum.reduceat(worth, starts)
        expo = np.exp(worth - np.repeat(top, sizes))
        total = np.add.reduceat(expo, starts)
        probability = expo / np.repeat(total, sizes)
        average = np.add.reduceat(probability[:, None] * design, starts)
        weighted = design * (probability * np.repeat(flat.weight, sizes))[:, None]
        value = flat.weight @ (worth[flat.chosen] - top - np.log(total))
        return Evaluation(
            value=float(value) - 0.5 * float(precision @ theta**2),
            gradient=flat.weight @ (design[flat.chosen] - average) - precision * theta,
            information=weighted.T @ design
            - (average * flat.weight[:, None]).T @ average
            + np.diag(precision),
        )


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
