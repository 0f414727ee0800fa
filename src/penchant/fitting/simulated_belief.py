"""What the climb to a simulated likelihood's top leaves: a belief, and what is to be said of it.

Legend: G groups (people), M parameters.
"""

import time

import numpy as np

from penchant.beliefs.belief import Belief, Encoder
from penchant.beliefs.report import FitReport
from penchant.data.batch import Batch
from penchant.feedback.channel_contract import Channel
from penchant.fitting.answer_density import SimulatedDensity
from penchant.fitting.inference import (
    covariances,
    effective_parameters,
    remarks_on_robust_errors,
)
from penchant.fitting.simulated_climb import SimulatedOptimum
from penchant.utilities.linear import Linear

# With fewer draws a fit says so. Of 60 people with spreads of 2 and of 150 with spreads of 0.8, the
# log-likelihood was 30 to 95 nats short with one draw, 0.7 to 1.4 with ten, 0.4 to 0.9 with twenty.
TOO_FEW_DRAWS = 20


def belief_of(
    batch: Batch,
    channels: tuple[Channel, ...],
    density: SimulatedDensity,
    optimum: SimulatedOptimum,
    names: tuple[str, ...],
    encoder: Encoder | None,
    prior: str | None,
    notes: tuple[str, ...],
    began: float,
) -> Belief:
    """The end of a climb as a belief, with errors and with whatever is to be said of it."""
    population, weight = density.population, density.weight
    covariance = covariances(
        optimum.information, weight[:, None] * optimum.here.scores, density.precision
    )
    theta = optimum.theta.copy()
    theta[list(population.centred)] = 0.0
    people = int(np.count_nonzero(weight))
    num_blocks = density.num_blocks
    warnings = batch.notes + notes
    if not optimum.converged:
        warnings += (
            f"The fit did not converge: after {optimum.iterations} steps one more would still gain "
            f"{optimum.decrement:.2g} nats. Rescale features of very different size, give fewer "
            "random coefficients, or raise max_steps.",
        )
    if population.num_draws < TOO_FEW_DRAWS:
        warnings += (
            f"num_draws is {population.num_draws}, which is too few to average a person's tastes "
            "over: estimates are off by more than their errors say. Take at the very least "
            f"{TOO_FEW_DRAWS}, better some hundreds.",
        )
    parameters = len(theta) - len(population.centred)
    effective = effective_parameters(covariance.classical, density.precision)
    warnings += remarks_on_robust_errors(people, parameters if effective is None else effective)
    return Belief(
        theta=theta,
        parameter_names=names,
        utility=Linear(),
        population=population,
        encoder=encoder,
        channels=channels,
        channel_sizes=tuple(channel.num_parameters(batch) for channel in channels),
        posterior="laplace" if population.is_plain else "reweight",
        covariance=covariance.classical,
        robust_covariance=covariance.robust,
        fingerprint=batch.fingerprint,
        report=FitReport(
            log_likelihood=optimum.here.log_likelihood,
            null_log_likelihood=density.null_log_likelihood(),
            rows=batch.num_observations,
            people=people,
            parameters=parameters,
            effective_parameters=effective,
            converged=optimum.converged,
            iterations=optimum.iterations,
            seconds=time.perf_counter() - began,
            method=(
                f"maximum simulated likelihood, {population.num_draws} {population.draw_kind} "
                f"draws, {num_blocks} block{'s' if num_blocks > 1 else ''}"
            ),
            prior=prior,
            warnings=warnings,
        ),
    )
