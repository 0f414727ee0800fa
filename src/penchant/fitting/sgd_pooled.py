"""One taste for all by mini-batches: for more rows than whole passes are worth.

Legend: C examples of one step, M parameters.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.belief import Belief, Encoder
from penchant.data.batch import Batch
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.fitting.adam import AdamConfig, AdamMemory, adam_step
from penchant.fitting.examples import Examples
from penchant.fitting.lbfgs import MatrixFreeOptimum, newton_step_by_products
from penchant.fitting.newton import Optimum
from penchant.fitting.pooled_task import (
    MOST_DENSE,
    Ending,
    PooledTask,
    belief_of,
    prepare,
    with_weak_prior,
    without_covariance,
)
from penchant.fitting.separation import Runaway, describe, far_parameters, runaway_directions
from penchant.fitting.sgd import Look, State, TrainConfig, train
from penchant.fitting.sgd_checkpoint import fingerprint_of
from penchant.numerics.arrays import Array
from penchant.utilities.linear import Linear
from penchant.utilities.utility import Utility

# Nats that one Newton step may still bring: every estimate within 0.0015 of its standard error.
ENOUGH = 1e-6
# Newton steps at the end: one or two from near the mode, more where a parameter runs away.
MOST_STEPS = 25


class PooledLearner:
    """Adam on the mean log-posterior of one taste, in units of each feature's spread.

    What counts is the mean of all points after `average_after` steps (Polyak and Juditsky 1992):
    the single point keeps trembling with the last few answers it has seen.
    """

    def __init__(self, task: PooledTask, precision: Float[Array, " M"], average_after: int) -> None:
        self.density = task.density
        self.precision = precision
        self.examples = Examples.of(task.density.batch)
        self.size = np.where(task.scales > 0, task.scales, 1.0)
        self.total = sum(float(block.weight.sum()) for block in task.density.batch.blocks)
        self.parameters = {"scaled": task.initial * self.size}
        self.memory = AdamMemory.fresh(self.parameters)
        self.average_after = average_after
        self.average = self.parameters["scaled"]

    @property
    def theta(self) -> Float[Array, " M"]:
        """The averaged parameters in their own units."""
        return self.average / self.size

    def step(self, examples: Int[Array, " C"], learning_rate: float) -> float:
        batch = self.examples.take(examples)
        weight = max(sum(float(block.weight.sum()) for block in batch.blocks), 1e-300)
        theta = self.parameters["scaled"] / self.size
        slope = replace(self.density, batch=batch).slope(theta)
        uphill = slope.gradient / weight - self.precision * theta / self.total
        self.parameters, self.memory = adam_step(
            self.parameters, {"scaled": -uphill / self.size}, self.memory, learning_rate,
            AdamConfig(),
        )  # fmt: skip
        share = 1.0 / max(self.memory.steps - self.average_after, 1)
        self.average = self.average + share * (self.parameters["scaled"] - self.average)
        return slope.value / weight

    def evaluate(self, examples: Int[Array, " C"]) -> float:
        batch = self.examples.take(examples)
        weight = sum(float(block.weight.sum()) for block in batch.blocks)
        return replace(self.density, batch=batch).slope(self.theta).value / max(weight, 1e-300)

    def state(self) -> State:
        return {
            "scaled": self.parameters["scaled"],
            "average": self.average,
            "mean": self.memory.mean["scaled"],
            "square": self.memory.square["scaled"],
            "steps": np.array(self.memory.steps),
        }

    def restore(self, state: State) -> None:
        self.parameters, self.average = {"scaled": state["scaled"]}, state["average"]
        self.memory = AdamMemory(
            mean={"scaled": state["mean"]},
            square={"scaled": state["square"]},
            steps=int(state["steps"]),
        )


def fit_pooled_sgd(
    batch: Batch,
    *,
    utility: Utility | None = None,
    channels: tuple[Channel, ...] = (Choice(),),
    prior_scale: float | None = None,
    config: TrainConfig | None = None,
    encoder: Encoder | None = None,
    checkpoint: Path | None = None,
    on_look: Callable[[Look], None] | None = None,
) -> Belief:
    """The optimum of `fit_pooled`, approached by mini-batches (Robbins and Monro 1951).

    Without a config: 5 epochs (or 2,000 steps, where that is more) down a cosine, nobody held out,
    since the goal is the posterior mode and not a model stopped early. What remains is measured,
    not assumed: Newton steps by conjugate gradients follow, and the fit counts as converged where
    one more would gain less than `ENOUGH` nats. `checkpoint` is a folder from
    which an interrupted fit goes on.

    Raises `DataError` for unusable data, `ConfigError` for a checkpoint of another fit.
    """
    began = time.perf_counter()
    config = config or _default(batch.num_observations)
    task = prepare(batch, utility or Linear(), channels, prior_scale=prior_scale, has_matrix=False)
    precision, prior = task.density.prior_precision, task.prior

    def climb(precision: Float[Array, " M"], folder: Path | None) -> Optimum | MatrixFreeOptimum:
        per_epoch = -(-batch.num_observations // config.batch_size)
        learner = PooledLearner(task, precision, config.max_epochs * per_epoch // 2)
        everybody = np.arange(len(learner.examples))
        settings = (task.density.utility, channels, task.names[:10], precision, task.initial)
        mark = "" if folder is None else fingerprint_of(task.density.batch, *settings)
        training = train(
            learner, everybody, everybody[:0], config,
            checkpoint=folder, fingerprint=mark, on_look=on_look,
        )  # fmt: skip
        return _end(task, precision, learner.theta, training.steps)

    optimum = climb(precision, checkpoint)
    runaway = _runaway(task, optimum, precision)
    warnings: tuple[str, ...] = ()
    if runaway.parameters.any():
        precision, prior = with_weak_prior(precision, prior, runaway, task.scales)
        optimum = climb(precision, None if checkpoint is None else checkpoint / "with_prior")
        warnings = describe(runaway, task.names)
    if isinstance(optimum, MatrixFreeOptimum):
        warnings += (without_covariance(len(task.names)),)
    found = Ending(
        optimum=optimum,
        null=task.density.slope(task.initial).value,
        precision=precision,
        unbounded=runaway.parameters,
        prior=prior,
        warnings=warnings,
        method="mini-batches, then Newton",
        advice="Train for more epochs, or with larger batches or a smaller learning rate.",
    )
    return belief_of(task, found, encoder, time.perf_counter() - began)


def _default(num_observations: int) -> TrainConfig:
    size = 512
    per_epoch = -(-num_observations // size)
    return TrainConfig(
        batch_size=size,
        max_epochs=max(5, -(-2000 // per_epoch)),
        learning_rate=0.05,
        schedule="cosine",
        patience=None,
    )


def _end(
    task: PooledTask, precision: Float[Array, " M"], theta: Float[Array, " M"], steps: int
) -> Optimum | MatrixFreeOptimum:
    """Where the training ended, after the Newton steps that its own test asks for.

    Averaged or not, mini-batches end a tenth to half a standard error from the mode (measured with
    40,000 and 160,000 rows, batches of 512 and 2,048). The step that measures what is left also
    takes it.
    """
    density, size = task.density, np.where(task.scales > 0, task.scales, 1.0)

    def times(v: Float[Array, " M"]) -> Float[Array, " M"]:
        return density.information_times(theta, v) + precision * v

    for remaining in range(MOST_STEPS, -1, -1):
        slope = density.slope(theta)
        value = slope.value - 0.5 * float(precision @ theta**2)
        gradient = slope.gradient - precision * theta
        step = newton_step_by_products(times, gradient, size, 500)
        decrement = 0.5 * float(step @ gradient)
        if decrement <= ENOUGH or not remaining:
            break
        moved = density.slope(theta + step).value - 0.5 * float(precision @ (theta + step) ** 2)
        if not moved > value:
            break
        theta = theta + step
    summit = MatrixFreeOptimum(
        theta=theta, value=value, gradient=gradient,
        converged=0 <= decrement <= ENOUGH, iterations=steps, decrement=decrement,
    )  # fmt: skip
    if len(theta) > MOST_DENSE:
        return summit
    information = density.evaluate(theta).information + np.diag(precision)
    return Optimum(information=information, **vars(summit))


def _runaway(
    task: PooledTask, optimum: Optimum | MatrixFreeOptimum, precision: Float[Array, " M"]
) -> Runaway:
    density = task.density
    if isinstance(optimum, Optimum):
        return runaway_directions(
            optimum.information, lambda: density.evaluate(task.initial).information, task.scales
        )
    return far_parameters(
        optimum.theta,
        lambda v: density.information_times(optimum.theta, v) + precision * v,
        task.scales,
    )
