"""One taste for all, from any mix of feedback: maximum likelihood or posterior mode.

By Newton with the exact curvature, or, beyond `MOST_DENSE` parameters, by L-BFGS.

Legend: B observations, K options, D tastes, M parameters (tastes, then each channel's own),
G groups (people).
"""

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Literal

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief, Encoder
from penchant.data.batch import Batch
from penchant.errors import ConfigError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.fitting.checkpoint import Ascent, Checkpoint
from penchant.fitting.inference import (
    invert_information,
)
from penchant.fitting.lbfgs import LbfgsConfig, MatrixFreeOptimum, Slope, maximise_lbfgs
from penchant.fitting.newton import Evaluation, NewtonConfig, Optimum, maximise, with_prior
from penchant.fitting.pooled_task import (
    MOST_DENSE,
    Ending,
    Method,
    OnStep,
    PooledTask,
    belief_of,
    prepare,
    weak_precision,
    with_weak_prior,
    without_covariance,
)
from penchant.fitting.separation import (
    describe,
    far_parameters,
    runaway_directions,
)
from penchant.fitting.shrinkage import Learned, Mode, Shrinkage, learn_spreads
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread
from penchant.utilities.linear import Linear
from penchant.utilities.utility import Utility

# A climb that is interrupted loses at most one leg of L-BFGS, or one step of Newton.
LBFGS = LbfgsConfig(leg=200)


@one_blas_thread
def fit_pooled(
    batch: Batch,
    *,
    utility: Utility | None = None,
    channels: tuple[Channel, ...] = (Choice(),),
    prior_scale: float | None = None,
    shrinkage: Shrinkage | None = None,
    anchors: Mapping[int, tuple[float, float]] | None = None,
    start: Float[Array, " M"] | None = None,
    config: NewtonConfig | None = None,
    encoder: Encoder | None = None,
    on_step: OnStep | None = None,
    method: Method = "auto",
    checkpoint: Checkpoint | None = None,
) -> Belief:
    """Fit one taste to all feedback of a batch.

    prior_scale: standard deviation of each taste before any data, in utility per standard
    deviation of its feature within menus. None fits without a prior unless the data push a
    parameter to infinity (or do not identify it); then a weak prior on the parameters concerned
    is turned on and `report.warnings` says so. shrinkage: families of parameters shrunk to zero by
    an amount that the data tell. anchors: of tastes by their places, mean and standard deviation
    of a normal prior, in their own unit. method: "newton"; "lbfgs", to the same optimum without a
    matrix on the way; "auto" takes L-BFGS beyond `MOST_DENSE` parameters. Up to so many parameters
    either ends with a covariance; beyond, there is none, and the belief says so when asked for
    doubt. checkpoint keeps the points of the climb, or the rounds in which shrinkage is learned.

    Raises `DataError` for a batch without observations or with a kind that no channel serves,
    `ConfigError` for shrinkage of more than `MOST_DENSE` parameters.
    """
    began, checkpoint = time.perf_counter(), checkpoint or Checkpoint()
    task = prepare(
        batch,
        utility or Linear(),
        channels,
        prior_scale=prior_scale,
        anchors=anchors,
        start=start,
        on_step=on_step,
        has_matrix=True if method == "newton" else None,
    )
    num_parameters = len(task.initial)
    is_lbfgs = method == "lbfgs" or (method == "auto" and num_parameters > MOST_DENSE)
    if not is_lbfgs:
        climb = _climb_with_matrix(task, "newton", shrinkage, config, checkpoint)
    elif num_parameters <= MOST_DENSE:
        climb = _climb_with_matrix(task, "lbfgs", shrinkage, config, checkpoint)
    elif shrinkage is None:
        climb = _climb_without_matrix(task, checkpoint)
    else:
        raise ConfigError(
            f"the model has {num_parameters} parameters; expected at most {MOST_DENSE} where "
            "families are shrunk by what the data tell, which needs their covariance. Give "
            "`prior_scale` instead, or fewer terms."
        )
    return belief_of(task, climb, encoder, time.perf_counter() - began)


def _climb_with_matrix(
    task: PooledTask,
    method: Literal["newton", "lbfgs"],
    shrinkage: Shrinkage | None,
    config: NewtonConfig | None,
    checkpoint: Checkpoint,
) -> Ending:
    density, plain, scales, prior = task.density, task.plain, task.scales, task.prior
    pass_over_data = density.evaluate if plain is None else plain.evaluate
    precision = density.prior_precision
    start = task.initial if task.start is None else task.start
    if plain is not None and task.start is None:
        start = plain.warm_start(start, precision + weak_precision(scales))

    def climb(precision: Float[Array, " M"], ascent: Ascent) -> Optimum:
        evaluate = with_prior(pass_over_data, precision, task.centre)
        if method == "newton":
            return _by_newton(task, evaluate, ascent, config or NewtonConfig())
        summit = _by_lbfgs(task, precision, ascent)
        return Optimum(information=evaluate(summit.theta).information, **vars(summit))

    at_zero = functools.cache(lambda: pass_over_data(task.initial))
    if shrinkage is not None:
        learned = _learn(climb, shrinkage, scales, precision, start, checkpoint)
        precision, optimum = learned.precision, learned.fit
        prior = learned.sentence(shrinkage)
    else:
        optimum = climb(precision, Ascent(checkpoint, "climb", start))
    runaway = runaway_directions(optimum.information, lambda: at_zero().information, scales)
    warnings: tuple[str, ...] = ()
    if runaway.parameters.any():
        precision, prior = with_weak_prior(precision, prior, runaway, scales)
        optimum = climb(precision, Ascent(checkpoint, "bounded climb", task.initial))
        warnings = describe(runaway, task.names)
    return Ending(
        optimum=optimum,
        null=at_zero().value if plain is None else plain.value_at_zero(),
        precision=precision,
        unbounded=runaway.parameters,
        prior=prior,
        warnings=warnings,
        method="Newton" if method == "newton" else "L-BFGS",
    )


def _climb_without_matrix(task: PooledTask, checkpoint: Checkpoint) -> Ending:
    density, scales, prior = task.density, task.scales, task.prior
    precision = density.prior_precision
    start = task.initial if task.start is None else task.start
    summit = _by_lbfgs(task, precision, Ascent(checkpoint, "climb", start))
    runaway = far_parameters(
        summit.theta, lambda v: density.information_times(summit.theta, v) + precision * v, scales
    )
    warnings: tuple[str, ...] = ()
    if runaway.parameters.any():
        precision, prior = with_weak_prior(precision, prior, runaway, scales)
        summit = _by_lbfgs(task, precision, Ascent(checkpoint, "bounded climb", task.initial))
        warnings = describe(runaway, task.names)
    return Ending(
        optimum=summit,
        null=density.slope(task.initial).value,
        precision=precision,
        unbounded=runaway.parameters,
        prior=prior,
        warnings=(
            *warnings,
            without_covariance(len(task.names)),
        ),
        method="L-BFGS",
    )


def _by_newton(
    task: PooledTask,
    evaluate: Callable[[Float[Array, " M"]], Evaluation],
    ascent: Ascent,
    config: NewtonConfig,
) -> Optimum:
    def report(step: int, theta: Float[Array, " M"], value: float) -> None:
        ascent.reached(step, theta)
        if task.on_step is not None:
            task.on_step(ascent.steps + step, theta, value)

    left = replace(config, max_steps=config.max_steps - ascent.steps)
    found = maximise(evaluate, ascent.start, left, on_step=report)
    return replace(found, iterations=found.iterations + ascent.steps)


def _by_lbfgs(task: PooledTask, precision: Float[Array, " M"], ascent: Ascent) -> MatrixFreeOptimum:
    density = task.density

    def slope(theta: Float[Array, " M"]) -> Slope:
        data, apart = density.slope(theta), theta - task.centre
        return Slope(
            value=data.value - 0.5 * float(precision @ apart**2),
            gradient=data.gradient - precision * apart,
        )

    def information_times(theta: Float[Array, " M"], v: Float[Array, " M"]) -> Float[Array, " M"]:
        return density.information_times(theta, v) + precision * v

    left = replace(LBFGS, max_steps=LBFGS.max_steps - ascent.steps)
    found = maximise_lbfgs(
        slope, information_times, ascent.start, task.scales, left,
        on_step=task.on_step, on_leg=ascent.reached,
    )  # fmt: skip
    return replace(found, iterations=found.iterations + ascent.steps)


def _learn(
    climb: Callable[[Float[Array, " M"], Ascent], Optimum],
    shrinkage: Shrinkage,
    scales: Float[Array, " M"],
    precision: Float[Array, " M"],
    start: Float[Array, " M"],
    checkpoint: Checkpoint,
) -> Learned[Optimum]:
    rounds = count(1)

    def mode(precision: Float[Array, " M"], start: Float[Array, " M"] | None) -> Mode[Optimum]:
        assert start is not None

        def run() -> dict[str, Array]:
            # A round is kept whole; its own points are not.
            found = climb(precision, Ascent(Checkpoint(), "round", start))
            return {name: np.asarray(value) for name, value in vars(found).items()}

        kept = checkpoint.once(f"how much is shrunk, round {next(rounds)}", run)
        optimum = Optimum(
            theta=kept["theta"],
            value=float(kept["value"]),
            gradient=kept["gradient"],
            information=kept["information"],
            converged=bool(kept["converged"]),
            iterations=int(kept["iterations"]),
            decrement=float(kept["decrement"]),
        )
        inverse, _ = invert_information(optimum.information)
        return Mode(theta=optimum.theta, covariance=inverse, fit=optimum)

    return learn_spreads(mode, shrinkage, scales, precision, start=start)
