"""Hierarchical Bayes for random coefficients: draws of the population and of everybody's taste.

Legend: N options over all menus, B observations, G groups (people), D tastes, R random ones,
P parameters of spread, M = D + P, C chains, T draws kept of each. z are random tastes in standard
units: the tastes of person g are mean + root z[g].
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief, Encoder
from penchant.beliefs.personal import (
    TastePrior,
    personal_modes,
    posterior_draws,
    quasi_normal,
)
from penchant.beliefs.report import FitReport
from penchant.data.batch import Batch
from penchant.fitting.chains import ChainDiagnostics, diagnose
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.hierarchical_sweep import HierarchicalConfig, HierarchicalModel
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread
from penchant.utilities.linear import Linear

OnSweep = Callable[[int, int], None]
# Above this the chains are said not to have met (Vehtari et al. 2021).
R_HAT_LIMIT = 1.01


@dataclass(frozen=True, kw_only=True, eq=False)
class HierarchicalFit:
    """The belief (theta the posterior mean, `draws` all chains one after the other) and whether the
    chains have met, parameter by parameter. acceptance: mean over people and sweeps."""

    belief: Belief
    diagnostics: ChainDiagnostics
    chains: Float[Array, "C T M"]
    acceptance: float


@one_blas_thread
def fit_hierarchical(
    batch: Batch,
    random: tuple[int, ...],
    *,
    is_correlated: bool = True,
    seed: int = 0,
    config: HierarchicalConfig | None = None,
    encoder: Encoder | None = None,
    on_sweep: OnSweep | None = None,
    checkpoint: Checkpoint | None = None,
) -> HierarchicalFit:
    """Draw from the posterior of means, spreads and everybody's taste given the choices.

    Each sweep (Gibbs, as in Allenby and Rossi 1999, Train 2009 chapter 12, but without random
    walks): everybody's taste by a Metropolis step whose proposal is the widened Laplace
    approximation at their own mode; means and root of the covariance given everybody's standard
    units, by a Metropolis step proposed around its mode; random means and covariance once more
    given everybody's tastes, in closed form under the prior of Huang and Wand (2013). Of the two
    the one moves where the other barely does (interweaving, Yu and Meng 2011).

    random: places of the tastes that differ. on_sweep(chain, sweep) hears of every sweep.
    checkpoint keeps every finished chain.
    Raises `DataError` for a batch without choices, `ConfigError` for features that are not there.
    """
    began = time.perf_counter()
    config = config or HierarchicalConfig()
    model = HierarchicalModel.build(batch, random, is_correlated, seed, config)
    checkpoint = checkpoint or Checkpoint()
    chains = []
    for chain in range(config.num_chains):

        def run(chain: int = chain) -> dict[str, Array]:
            rng = np.random.default_rng((seed, chain))
            draws, accepted = _run_chain(model, rng, config, chain, on_sweep)
            return {"draws": draws, "accepted": np.array(accepted)}

        chains.append(checkpoint.once(f"chain {chain + 1} of {config.num_chains}", run))
    stacked = np.stack([kept["draws"] for kept in chains])
    belief = _belief(batch, model, stacked, encoder, began)
    return HierarchicalFit(
        belief=belief,
        diagnostics=diagnose(stacked),
        chains=stacked,
        acceptance=float(np.mean([kept["accepted"] for kept in chains])),
    )


def _run_chain(
    model: HierarchicalModel,
    rng: np.random.Generator,
    config: HierarchicalConfig,
    chain: int,
    on_sweep: OnSweep | None,
) -> tuple[Float[Array, "T M"], float]:
    state = model.start(rng)
    kept = np.empty((config.num_draws, len(model.precision)))
    accepted = 0.0
    for sweep in range(config.num_warmup + config.num_draws):
        state, taken = model.draw_people(state, rng)
        state = model.draw_shape(state, rng)
        state = model.draw_population(state, rng)
        if sweep >= config.num_warmup:
            spreads = state.root[model.rows, model.columns]
            kept[sweep - config.num_warmup] = np.concatenate([state.mean, spreads])
            accepted += float(taken.mean())
        if on_sweep is not None:
            on_sweep(chain, sweep)
    return kept, accepted / config.num_draws


def _belief(
    batch: Batch,
    model: HierarchicalModel,
    chains: Float[Array, "C T M"],
    encoder: Encoder | None,
    began: float,
) -> Belief:
    draws = chains.reshape(-1, chains.shape[2])
    theta, judged = draws.mean(axis=0), diagnose(chains)
    names = model.population.parameter_names(batch.feature_names, batch.group_feature_names)
    worst = float(np.max(judged.r_hat))
    notes: tuple[str, ...] = ()
    if worst > R_HAT_LIMIT:
        astray = [name for name, r_hat in zip(names, judged.r_hat) if r_hat > R_HAT_LIMIT]
        notes = (
            f"The chains have not met: R-hat is {worst:.3f} at worst and above {R_HAT_LIMIT} for "
            f"{', '.join(f'`{name}`' for name in astray[:6])}"
            f"{f' and {len(astray) - 6} more' if len(astray) > 6 else ''}. Raise num_draws "
            "and num_warmup (--draws raises both), or give fewer random tastes.",
        )
    mean, root = model.population.split(theta)
    prior = TastePrior(mean=mean, random=model.places, root=root)
    modes = personal_modes(model.flat, prior)
    noise = quasi_normal(512, len(model.places), 0)
    evidence = posterior_draws(model.flat, prior, modes, noise).log_evidence
    sizes = np.diff(model.flat.menu_start)
    return Belief(
        theta=theta,
        parameter_names=names,
        utility=Linear(),
        population=model.population,
        encoder=encoder,
        covariance=np.atleast_2d(np.cov(draws.T)),
        draws=draws,
        posterior="laplace",
        fingerprint=batch.fingerprint,
        report=FitReport(
            log_likelihood=float(evidence.sum()),
            null_log_likelihood=-float(model.flat.weight @ np.log(sizes)),
            rows=batch.num_observations,
            people=int(np.count_nonzero(np.diff(model.flat.group_start))),
            parameters=len(theta),
            converged=worst <= R_HAT_LIMIT,
            iterations=chains.shape[1],
            seconds=time.perf_counter() - began,
            method=(
                f"hierarchical Bayes, {chains.shape[0]} chains of {chains.shape[1]} draws, "
                f"R-hat {worst:.3f} at most, effective draws {judged.bulk_ess.min():.0f} at least"
            ),
            prior="normal means, half-t spreads, uniform correlations",
            warnings=batch.notes + notes,
        ),
    )
