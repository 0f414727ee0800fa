"""One taste for all, from any mix of feedback: maximum likelihood or posterior mode.

By Newton with the exact curvature, or, beyond `MOST_DENSE` parameters, by L-BFGS.

Legend: B observations, K options, D tastes, M parameters (tastes, then each channel's own),
G groups (people).
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from penchant.beliefs.belief import Belief, Encoder
from penchant.beliefs.report import FitReport
from penchant.data.batch import Batch
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.fitting.inference import (
    covariances,
    effective_parameters,
    invert_information,
    widened,
)
from penchant.fitting.lbfgs import Slope, Summit, maximise_lbfgs
from penchant.fitting.newton import Evaluation, NewtonConfig, Optimum, maximise
from penchant.fitting.plain_logit import PlainLogit
from penchant.fitting.pooled_density import PooledDensity, serving_channel
from penchant.fitting.separation import (
    WEAK_SCALE,
    Runaway,
    describe,
    far_parameters,
    runaway_directions,
)
from penchant.fitting.shrinkage import Learned, Mode, Shrinkage, learn_spreads
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread
from penchant.populations.pooled import Pooled
from penchant.utilities.linear import Linear
from penchant.utilities.utility import Utility

# Beyond so many parameters a dense curvature costs more than the fit: 8 M^2 bytes, and some 10 M^3
# operations for each of three decompositions.
MOST_DENSE = 2000

Method = Literal["auto", "newton", "lbfgs"]
OnStep = Callable[[int, Float[Array, " M"], float], None]


@one_blas_thread
def fit_pooled(
    batch: Batch,
    *,
    utility: Utility | None = None,
    channels: tuple[Channel, ...] = (Choice(),),
    prior_scale: float | None = None,
    shrinkage: Shrinkage | None = None,
    start: Float[Array, " M"] | None = None,
    config: NewtonConfig | None = None,
    encoder: Encoder | None = None,
    on_step: OnStep | None = None,
    method: Method = "auto",
) -> Belief:
    """Fit one taste to all feedback of a batch.

    prior_scale: standard deviation of each taste before any data, in utility per standard
    deviation of its feature within menus. None fits without a prior unless the data push a
    parameter to infinity (or do not identify it); then a weak prior on the parameters concerned
    is turned on and `report.warnings` says so. shrinkage: families of parameters shrunk to zero by
    an amount that the data tell. method: "newton"; "lbfgs", to the same optimum without a matrix
    on the way; "auto" takes L-BFGS beyond `MOST_DENSE` parameters. Up to so many parameters either
    ends with a covariance; beyond, there is none, and the belief says so when asked for doubt.

    Raises `DataError` for a batch without observations or with a kind that no channel serves,
    `ConfigError` for shrinkage of more than `MOST_DENSE` parameters.
    """
    began = time.perf_counter()
    if batch.num_observations == 0:
        raise DataError(
            "the batch holds no observations; expected at least one. Check the filters, or the "
            "quarantine, that came before."
        )
    utility = utility or Linear()
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
    is_lbfgs = method == "lbfgs" or (method == "auto" and len(initial) > MOST_DENSE)
    has_matrix = not is_lbfgs or len(initial) <= MOST_DENSE
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
    density = PooledDensity(
        batch=batch,
        utility=utility,
        channels=channels,
        sizes=sizes,
        prior_precision=precision,
    )
    task = _Task(
        density=density,
        plain=plain,
        start=start,
        initial=initial,
        scales=scales,
        names=names,
        prior=prior,
        on_step=on_step,
    )
    if not is_lbfgs:
        climb = _climb_with_matrix(task, "newton", shrinkage, config)
    elif len(initial) <= MOST_DENSE:
        climb = _climb_with_matrix(task, "lbfgs", shrinkage, config)
    elif shrinkage is None:
        climb = _climb_without_matrix(task)
    else:
        raise ConfigError(
            f"the model has {len(initial)} parameters; expected at most {MOST_DENSE} where "
            "families are shrunk by what the data tell, which needs their covariance. Give "
            "`prior_scale` instead, or fewer terms."
        )
    return _belief(task, climb, encoder, time.perf_counter() - began)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Task:
    """What is to be fitted, from where. initial: worths of zero, where nothing is known yet;
    start: where the caller knows a better one; plain: the same density, faster, where it is one."""

    density: PooledDensity
    plain: PlainLogit | None
    start: Float[Array, " M"] | None
    initial: Float[Array, " M"]
    scales: Float[Array, " M"]
    names: tuple[str, ...]
    prior: str | None
    on_step: OnStep | None


def _climb_with_matrix(
    task: _Task,
    method: Literal["newton", "lbfgs"],
    shrinkage: Shrinkage | None,
    config: NewtonConfig | None,
) -> "_Climb":
    density, plain, scales, prior = task.density, task.plain, task.scales, task.prior
    pass_over_data = density.evaluate if plain is None else plain.evaluate
    precision = density.prior_precision
    start = task.initial if task.start is None else task.start
    if plain is not None and task.start is None:
        start = plain.warm_start(start, precision + _weak_precision(scales))

    def climb(precision: Float[Array, " M"], theta: Float[Array, " M"]) -> Optimum:
        evaluate = _with_prior(pass_over_data, precision)
        if method == "newton":
            return maximise(evaluate, theta, config, on_step=task.on_step)
        summit = _by_lbfgs(task, precision, theta)
        return Optimum(information=evaluate(summit.theta).information, **vars(summit))

    at_zero = functools.cache(lambda: pass_over_data(task.initial))
    if shrinkage is not None:
        learned = _learn(climb, shrinkage, scales, precision, start)
        precision, optimum = learned.precision, learned.fit
        prior = learned.sentence(shrinkage)
    else:
        optimum = climb(precision, start)
    runaway = runaway_directions(optimum.information, lambda: at_zero().information, scales)
    warnings: tuple[str, ...] = ()
    if runaway.parameters.any():
        precision, prior = _with_weak_prior(precision, prior, runaway, scales)
        optimum = climb(precision, task.initial)
        warnings = describe(runaway, task.names)
    return _Climb(
        optimum=optimum,
        null=at_zero().value if plain is None else plain.value_at_zero(),
        precision=precision,
        unbounded=runaway.parameters,
        prior=prior,
        warnings=warnings,
        method="Newton" if method == "newton" else "L-BFGS",
    )


def _climb_without_matrix(task: _Task) -> "_Climb":
    density, scales, prior = task.density, task.scales, task.prior
    precision = density.prior_precision
    summit = _by_lbfgs(task, precision, task.initial if task.start is None else task.start)
    runaway = far_parameters(
        summit.theta, lambda v: density.information_times(summit.theta, v) + precision * v, scales
    )
    warnings: tuple[str, ...] = ()
    if runaway.parameters.any():
        precision, prior = _with_weak_prior(precision, prior, runaway, scales)
        summit = _by_lbfgs(task, precision, task.initial)
        warnings = describe(runaway, task.names)
    return _Climb(
        optimum=summit,
        null=density.slope(task.initial).value,
        precision=precision,
        unbounded=runaway.parameters,
        prior=prior,
        warnings=(
            *warnings,
            f"There are {len(task.names):,} parameters: no covariance was made, so there are no "
            "standard errors, intervals or draws of our doubt, and features that others add up "
            "to were not looked for. method='newton' makes a covariance, if memory and patience "
            "allow.",
        ),
        method="L-BFGS",
    )


def _by_lbfgs(task: _Task, precision: Float[Array, " M"], start: Float[Array, " M"]) -> Summit:
    density = task.density

    def slope(theta: Float[Array, " M"]) -> Slope:
        data = density.slope(theta)
        return Slope(
            value=data.value - 0.5 * float(precision @ theta**2),
            gradient=data.gradient - precision * theta,
        )

    def information_times(theta: Float[Array, " M"], v: Float[Array, " M"]) -> Float[Array, " M"]:
        return density.information_times(theta, v) + precision * v

    return maximise_lbfgs(slope, information_times, start, task.scales, on_step=task.on_step)


def _with_weak_prior(
    precision: Float[Array, " M"], prior: str | None, runaway: Runaway, scales: Float[Array, " M"]
) -> tuple[Float[Array, " M"], str]:
    weak = f"weak, standard deviation {WEAK_SCALE:g}, where the data do not bound a parameter"
    return (
        precision + runaway.parameters * _weak_precision(scales),
        weak if prior is None else f"{prior}; {weak}",
    )


def _weak_precision(scales: Float[Array, " M"]) -> Float[Array, " M"]:
    return (np.where(scales > 0, scales, 1.0) / WEAK_SCALE) ** 2


@dataclass(frozen=True, kw_only=True, eq=False)
class _Climb:
    """Where the fit ended and what is to be said of it. null: the log-likelihood at the start;
    precision: of the normal prior that was used."""

    optimum: Optimum | Summit
    null: float
    precision: Float[Array, " M"]
    unbounded: Bool[Array, " M"]
    prior: str | None
    warnings: tuple[str, ...]
    method: str


Evaluate = Callable[[Float[Array, " M"]], Evaluation]


def _learn(
    climb: Callable[[Float[Array, " M"], Float[Array, " M"]], Optimum],
    shrinkage: Shrinkage,
    scales: Float[Array, " M"],
    precision: Float[Array, " M"],
    start: Float[Array, " M"],
) -> Learned[Optimum]:
    def mode(precision: Float[Array, " M"], start: Float[Array, " M"] | None) -> Mode[Optimum]:
        assert start is not None
        optimum = climb(precision, start)
        inverse, _ = invert_information(optimum.information)
        return Mode(theta=optimum.theta, covariance=inverse, fit=optimum)

    return learn_spreads(mode, shrinkage, scales, precision, start=start)


def _with_prior(pass_over_data: Evaluate, precision: Float[Array, " M"]) -> Evaluate:
    """The log-density with a normal prior around zero added to a pass over the data."""

    def evaluate(theta: Float[Array, " M"]) -> Evaluation:
        data = pass_over_data(theta)
        return Evaluation(
            value=data.value - 0.5 * float(precision @ theta**2),
            gradient=data.gradient - precision * theta,
            information=data.information + np.diag(precision),
        )

    return evaluate


def _is_plain(batch: Batch, utility: Utility, channels: tuple[Channel, ...]) -> bool:
    """Whether the plain conditional logit says it all."""
    plain = utility == Linear() and channels == (Choice(),)
    return plain and all(block.kind == "choice" for block in batch.blocks)


def _belief(task: _Task, climb: _Climb, encoder: Encoder | None, seconds: float) -> Belief:
    density, optimum, names = task.density, climb.optimum, task.names
    batch = density.batch
    warnings = (*batch.notes, *climb.warnings)
    covariance = None
    if isinstance(optimum, Optimum):
        scores = (density if task.plain is None else task.plain).group_scores(optimum.theta)
        covariance = covariances(optimum.information, scores, climb.precision)
    if not optimum.converged:
        warnings += (
            f"The fit did not converge: after {optimum.iterations} steps one more would still "
            f"gain {optimum.decrement:.2g} nats. Rescale features of very different size, or "
            "raise max_steps.",
        )
    num_people = int(np.count_nonzero(_rows_of_groups(batch)))
    if covariance is not None and num_people < 30:
        warnings += (
            f"Robust errors rest on {num_people} people; below some 30 they are too narrow.",
        )
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
            log_likelihood=optimum.value + 0.5 * float(climb.precision @ optimum.theta**2),
            null_log_likelihood=climb.null,
            rows=batch.num_observations,
            people=num_people,
            parameters=len(names),
            effective_parameters=None
            if covariance is None
            else effective_parameters(covariance.classical, climb.precision),
            converged=optimum.converged,
            iterations=optimum.iterations,
            seconds=seconds,
            method=climb.method,
            prior=climb.prior,
            warnings=warnings,
        ),
    )


def _is_personal(density: PooledDensity) -> bool:
    """Whether a channel has parameters of single people, which must be found again by name."""
    return any(np.any(c.prior_precision(density.batch)) for c in density.channels)


def _rows_of_groups(batch: Batch) -> Float[Array, " G"]:
    counts = np.zeros(batch.num_groups)
    for block in batch.blocks:
        counts += np.bincount(block.group, minlength=batch.num_groups)
    return counts
