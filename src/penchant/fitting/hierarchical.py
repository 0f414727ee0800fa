"""Hierarchical Bayes for random coefficients: draws of the population and of everybody's taste.

Legend: G groups (people), D tastes, R random ones, P parameters of spread, Q own parameters of
likelihoods, M = D + P + Q, C chains, T draws kept of each. z are random tastes in standard units:
the tastes of person g are mean + root z[g].
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief, Encoder
from penchant.beliefs.personal import quasi_normal
from penchant.beliefs.report import FitReport
from penchant.beliefs.taste_posterior import TastePrior
from penchant.data.batch import Batch
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.fitting.chains import ChainDiagnostics, diagnose
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.hierarchical_sweep import HierarchicalConfig, HierarchicalModel
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread
from penchant.utilities.linear import Linear

OnSweep = Callable[[int, int], None]
# Above this the chains are said not to have met (Vehtari et al. 2021).
R_HAT_LIMIT = 1.01
_PRIOR = "normal means, half-t spreads, uniform correlations"


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
    channels: tuple[Channel, ...] = (Choice(),),
    encoder: Encoder | None = None,
    on_sweep: OnSweep | None = None,
    checkpoint: Checkpoint | None = None,
) -> HierarchicalFit:
    """Draw from the posterior of means, spreads and everybody's taste given the answers.

    Each sweep (Gibbs, as in Allenby and Rossi 1999, Train 2009 chapter 12, but without random
    walks): everybody's taste by a Metropolis step whose proposal is the widened Laplace
    approximation at their own mode; means and root of the covariance given everybody's standard
    units, by a Metropolis step proposed around its mode; random means and covariance once more
    given everybody's tastes, in closed form under the prior of Huang and Wand (2013). Of the two
    the one moves where the other barely does (interweaving, Yu and Meng 2011).

    random: places of the tastes that differ. channels: a likelihood for each kind of answer, its
    own parameters common to all people. on_sweep(chain, sweep) hears of every sweep.
    checkpoint keeps every finished chain.
    Raises `DataError` for a batch without answers or with a kind that no channel serves,
    `ConfigError` for features that are not there or channels with parameters of single people.
    """
    began = time.perf_counter()
    config = config or HierarchicalConfig()
    model = HierarchicalModel.build(batch, random, is_correlated, seed, config, channels)
    checkpoint = checkpoint or Checkpoint()
    chains = []
    for chain in range(config.num_chains):

        def run(chain: int = chain) -> dict[str, Array]:
            rng = np.random.default_rng((seed, chain))
            draws, accepted = _run_chain(model, rng, config, chain, on_sweep)
            return {"draws": draws, "accepted": np.array(accepted)}

        chains.append(checkpoint.once(f"chain {chain + 1} of {config.num_chains}", run))
    stacked = np.stack([kept["draws"] for kept in chains])
    belief = _belief(batch, model, channels, stacked, encoder, began)
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
        state = model.draw_shape(state, rng, is_settling=sweep < config.num_warmup // 3)
        state = model.draw_population(state, rng)
        if sweep >= config.num_warmup:
            spreads = state.root[model.rows, model.columns]
            kept[sweep - config.num_warmup] = np.concatenate([state.mean, spreads, state.own])
            accepted += float(taken.mean())
        if on_sweep is not None:
            on_sweep(chain, sweep)
    return kept, accepted / config.num_draws


def _belief(
    batch: Batch,
    model: HierarchicalModel,
    channels: tuple[Channel, ...],
    chains: Float[Array, "C T M"],
    encoder: Encoder | None,
    began: float,
) -> Belief:
    draws = chains.reshape(-1, chains.shape[2])
    theta, judged = draws.mean(axis=0), diagnose(chains)
    names = model.population.parameter_names(batch.feature_names, batch.group_feature_names)
    names += tuple(name for channel in channels for name in channel.parameter_names(batch))
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
    cut = len(theta) - len(model.answers.initial)
    mean, root = model.population.split(theta[:cut])
    prior = TastePrior(mean=mean, random=model.places, root=root)
    people = model.answers.of_people(prior, theta[cut:])
    noise = quasi_normal(512, len(model.places), 0)
    evidence = people.draws(people.modes(), noise).log_evidence
    return Belief(
        theta=theta,
        parameter_names=names,
        utility=Linear(),
        population=model.population,
        channels=channels,
        channel_sizes=tuple(channel.num_parameters(batch) for channel in channels),
        encoder=encoder,
        covariance=np.atleast_2d(np.cov(draws.T)),
        draws=draws,
        posterior="laplace",
        fingerprint=batch.fingerprint,
        report=FitReport(
            log_likelihood=float(evidence.sum()),
            null_log_likelihood=model.answers.log_likelihood_alike(),
            rows=batch.num_observations,
            people=int(np.count_nonzero(model.answers.answered)),
            parameters=len(theta),
            converged=worst <= R_HAT_LIMIT,
            iterations=chains.shape[1],
            seconds=time.perf_counter() - began,
            method=(
                f"hierarchical Bayes, {chains.shape[0]} chains of {chains.shape[1]} draws, "
                f"R-hat {worst:.3f} at most, effective draws {judged.bulk_ess.min():.0f} at least"
            ),
            prior=_PRIOR + ("" if cut == len(theta) else ", normal thresholds and other own terms"),
            warnings=batch.notes + notes,
        ),
    )
