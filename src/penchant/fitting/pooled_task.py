"""What every fit of one taste has in common: the start, and the belief that comes of the end.

Legend: B observations, M parameters (tastes, then each channel's own), G groups (people).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from penchant.beliefs.belief import Belief, Encoder
from penchant.beliefs.report import FitReport
from penchant.data.batch import Batch
from penchant.errors import DataError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.fitting.inference import (
    covariances,
    effective_parameters,
    remarks_on_robust_errors,
    widened,
)
from penchant.fitting.lbfgs import MatrixFreeOptimum
from penchant.fitting.newton import Optimum
from penchant.fitting.plain_logit import PlainLogit
from penchant.fitting.pooled_density import PooledDensity, is_personal, serving_channel
from penchant.fitting.separation import (
    WEAK_SCALE,
    Runaway,
)
from penchant.numerics.arrays import Array
from penchant.populations.pooled import Pooled
from penchant.utilities.linear import Linear
from penchant.utilities.utility import Utility

# Beyond so many parameters a dense curvature costs more than the fit: 8 M^2 bytes, and some 10 M^3
# operations for each of three decompositions.
MOST_DENSE = 2000

Method = Literal["auto", "newton", "lbfgs"]
OnStep = Callable[[int, Float[Array, " M"], float], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class PooledTask:
    """What is to be fitted, from where. initial: worths of zero, where nothing is known yet;
    start: where the caller knows a better one; plain: the same density, faster, where it is one;
    centre: of the normal prior."""

    density: PooledDensity
    plain: PlainLogit | None
    start: Float[Array, " M"] | None
    initial: Float[Array, " M"]
    scales: Float[Array, " M"]
    names: tuple[str, ...]
    prior: str | None
    on_step: OnStep | None
    centre: Float[Array, " M"] | float = 0.0


def prepare(
    batch: Batch,
    utility: Utility,
    channels: tuple[Channel, ...],
    *,
    prior_scale: float | None = None,
    anchors: Mapping[int, tuple[float, float]] | None = None,
    start: Float[Array, " M"] | None = None,
    on_step: OnStep | None = None,
    has_matrix: bool | None = None,
) -> PooledTask:
    """The density, its start, scales, names and prior.

    has_matrix: whether the fit makes a matrix of all parameters, and so may pass over a plain logit
    by the fused loops; None: where there are no more than `MOST_DENSE` parameters.
    Raises `DataError` for a batch without observations or with a kind that no channel serves.
    """
    if batch.num_observations == 0:
        raise DataError(
            "the batch holds no observations; expected at least one. Check the filters, or the "
            "quarantine, that came before."
        )
    for block in batch.blocks:
        serving_channel(channels, block.kind)
    for channel in channels:
        channel.validate(batch)
    own_names = tuple(channel.parameter_names(batch) for channel in channels)
    sizes = tuple(len(names) for names in own_names)
    taste_names = utility.taste_names(batch)
    names = taste_names + tuple(name for own in own_names for name in own)
    initial = np.concatenate(
        [np.zeros(len(taste_names)), *(channel.initial(batch) for channel in channels)]
    )
    if has_matrix is None:
        has_matrix = len(initial) <= MOST_DENSE
    is_plain = has_matrix and _is_plain(batch, utility, channels)
    plain = PlainLogit.of(batch) if is_plain else None
    spread = utility.scales(batch) if plain is None else plain.scales()
    scales = np.concatenate([spread, np.ones(sum(sizes))])
    precision = np.concatenate(
        [np.zeros(len(taste_names)), *(channel.prior_precision(batch) for channel in channels)]
    )
    prior = None
    if prior_scale is not None:
        precision[: len(taste_names)] = (scales[: len(taste_names)] / prior_scale) ** 2
        prior = f"normal, standard deviation {prior_scale:g} per standard deviation of the feature"
    centre = np.zeros(len(initial))
    for place, (mean, sd) in (anchors or {}).items():
        centre[place], precision[place] = mean, sd**-2.0
        said = f"normal around {mean:g}, standard deviation {sd:g}, on {taste_names[place]}"
        prior = said if prior is None else f"{prior}; {said}"
    density = PooledDensity(
        batch=batch,
        utility=utility,
        channels=channels,
        sizes=sizes,
        prior_precision=precision,
    )
    return PooledTask(
        density=density,
        plain=plain,
        start=start,
        initial=initial,
        scales=scales,
        names=names,
        prior=prior,
        on_step=on_step,
        centre=centre,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Ending:
    """Where the fit ended and what is to be said of it. null: the log-likelihood at the start;
    precision: of the normal prior that was used; advice: for a climb that did not converge."""

    optimum: Optimum | MatrixFreeOptimum
    null: float
    precision: Float[Array, " M"]
    unbounded: Bool[Array, " M"]
    prior: str | None
    warnings: tuple[str, ...]
    method: str
    advice: str = "Rescale features of very different size, or raise max_steps."


def with_weak_prior(
    precision: Float[Array, " M"], prior: str | None, runaway: Runaway, scales: Float[Array, " M"]
) -> tuple[Float[Array, " M"], str]:
    """The precision and the sentence, with a weak prior on the parameters that run away."""
    weak = f"weak, standard deviation {WEAK_SCALE:g}, where the data do not bound a parameter"
    return (
        precision + runaway.parameters * weak_precision(scales),
        weak if prior is None else f"{prior}; {weak}",
    )


def weak_precision(scales: Float[Array, " M"]) -> Float[Array, " M"]:
    """Of the prior that bounds what the data do not."""
    return (np.where(scales > 0, scales, 1.0) / WEAK_SCALE) ** 2


def without_covariance(num_parameters: int) -> str:
    """What to say of a fit with too many parameters for a matrix."""
    return (
        f"There are {num_parameters:,} parameters: no covariance was made, so there are no "
        "standard errors, intervals or draws of our doubt, and features that others add up "
        "to were not looked for. method='newton' makes a covariance, if memory and patience "
        "allow."
    )


def belief_of(task: PooledTask, climb: Ending, encoder: Encoder | None, seconds: float) -> Belief:
    """The end of a climb as a belief, with errors where there is an information to invert."""
    density, optimum, names = task.density, climb.optimum, task.names
    batch = density.batch
    warnings = (*batch.notes, *climb.warnings)
    covariance = effective = None
    if isinstance(optimum, Optimum):
        scores = (density if task.plain is None else task.plain).group_scores(optimum.theta)
        covariance = covariances(optimum.information, scores, climb.precision)
    if not optimum.converged:
        warnings += (
            f"The fit did not converge: after {optimum.iterations} steps one more would still "
            f"gain {optimum.decrement:.2g} nats. {climb.advice}",
        )
    num_people = int(np.count_nonzero(rows_of_groups(batch)))
    if covariance is not None:
        effective = effective_parameters(covariance.classical, climb.precision)
        determined = len(names) if effective is None else effective
        # A person's own thresholds ask nothing of the other people's scores.
        warnings += remarks_on_robust_errors(num_people, 0 if _is_personal(density) else determined)
    return Belief(
        theta=optimum.theta,
        parameter_names=names,
        utility=density.utility,
        population=Pooled(),
        channels=density.channels,
        channel_sizes=density.sizes,
        group_names=batch.group_names if _is_personal(density) else (),
        encoder=encoder,
        covariance=None if covariance is None else covariance.classical,
        robust_covariance=None if covariance is None else widened(covariance, climb.unbounded),
        has_unknown_doubt=covariance is None,
        fingerprint=batch.fingerprint,
        report=FitReport(
            log_likelihood=optimum.value
            + 0.5 * float(climb.precision @ (optimum.theta - task.centre) ** 2),
            null_log_likelihood=climb.null,
            rows=batch.num_observations,
            people=num_people,
            parameters=len(names),
            effective_parameters=effective,
            converged=optimum.converged,
            iterations=optimum.iterations,
            seconds=seconds,
            method=climb.method,
            prior=climb.prior,
            warnings=warnings,
        ),
    )


def _is_plain(batch: Batch, utility: Utility, channels: tuple[Channel, ...]) -> bool:
    """Whether the plain conditional logit says it all."""
    plain = utility == Linear() and channels == (Choice(),)
    return plain and all(block.kind == "choice" for block in batch.blocks)


def _is_personal(density: PooledDensity) -> bool:
    """Whether a channel has parameters of single people, which must be found again by name."""
    return any(is_personal(channel, density.batch) for channel in density.channels)


def rows_of_groups(batch: Batch) -> Float[Array, " G"]:
    """How many observations each group has."""
    counts = np.zeros(batch.num_groups)
    for block in batch.blocks:
        counts += np.bincount(block.group, minlength=batch.num_groups)
    return counts
