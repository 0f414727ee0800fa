"""The mini-batch loop: order, schedule, early stopping, checkpoints. What is trained is a learner.

The loop knows nothing of models or of torch. Linear utilities (`sgd_pooled.py`) and networks
(`neural.py`) are learners; reward models and policies bring their own.

Legend: N examples, C examples of one step.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from penchant.errors import ConfigError, FitError
from penchant.numerics.arrays import Array

State = Mapping[str, np.ndarray]


@runtime_checkable
class Learner(Protocol):
    """Something with parameters that examples improve. Examples are numbers from 0 on."""

    def step(self, examples: Int[Array, " C"], learning_rate: float) -> float:
        """One update on these examples; their mean log-probability before it, in nats."""
        ...

    def evaluate(self, examples: Int[Array, " C"]) -> float:
        """Mean log-probability of these examples, in nats; nothing changes."""
        ...

    def state(self) -> State:
        """Everything that the next step depends on, as NumPy arrays."""
        ...

    def restore(self, state: State) -> None:
        """Go back to a state."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """batch_size: examples of one step. max_epochs: passes over the training examples, at most.
    learning_rate: of the first step after `warmup_share` of all steps, in which it rises from 0.
    schedule: "constant", or "cosine" down to zero at the last epoch. evaluations: how often an
    epoch the held-out examples are looked at (and a checkpoint is written). patience: stop after
    so many looks without a gain of `min_gain` nats; None trains to the last epoch. seed: of the
    order of the examples."""

    batch_size: int = 256
    max_epochs: int = 100
    learning_rate: float = 0.01
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_share: float = 0.0
    evaluations: int = 1
    patience: int | None = 10
    min_gain: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_epochs", "evaluations"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 1 or more.")
        if not self.learning_rate > 0 or not 0 <= self.warmup_share < 1:
            raise ConfigError(
                f"learning_rate is {self.learning_rate} and warmup_share {self.warmup_share}; "
                "expected a rate above 0 and a share from 0 to below 1."
            )
        if self.patience is not None and self.patience < 1:
            raise ConfigError(
                f"patience is {self.patience}; expected 1 or more looks at the held-out "
                "examples, or None to train to the last epoch."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one look at the training saw: mean log-probabilities in nats per example. `train` is
    averaged over the steps since the last look; held_out is NaN where nothing is held out."""

    step: int
    epoch: float
    learning_rate: float
    train: float
    held_out: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """How a training went. The learner is left in the best state (by the held-out examples; the
    last one without them). has_settled: it stopped because nothing was gained any more; False
    where the epochs ran out first, nothing was held out to tell, or nothing was ever gained: the
    best look is then the start, and the learner is left there."""

    looks: tuple[Look, ...]
    best: int
    steps: int
    has_settled: bool
    seconds: float


def train(
    learner: Learner,
    train_examples: Int[Array, " N"],
    held_out: Int[Array, " M"],
    config: TrainConfig,
    *,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    is_writer: bool = True,
    on_look: Callable[[Look], None] | None = None,
) -> Training:
    """Train a learner; interrupted and started again, it takes the very steps it would have taken.

    The order of epoch e depends on the seed and e alone. `checkpoint` is a folder written at every
    look and read at the start; `fingerprint` says on what data, and a folder of other data or of
    another configuration is refused with a `ConfigError`; of several processes that train together
    one `is_writer`, and all read. Ctrl-C loses at most what came after the
    last look. A log-probability that is not finite ends the training with a `FitError`.
    """
    from penchant.fitting.sgd_checkpoint import TrainingCheckpoint, load_training, save_training

    if len(train_examples) == 0:
        raise ConfigError("there are no training examples; expected at least one.")
    began = time.perf_counter()
    per_epoch = -(-len(train_examples) // config.batch_size)
    last, every = config.max_epochs * per_epoch, max(1, per_epoch // config.evaluations)
    found = None if checkpoint is None else load_training(checkpoint, config, fingerprint)
    if found is None:
        first = Look(
            step=0, epoch=0.0, learning_rate=0.0, train=math.nan,
            held_out=_evaluate(learner, held_out),
        )  # fmt: skip
        _check_finite(first, config, len(held_out))
        found = TrainingCheckpoint(
            step=0, looks=(first,), best=0, state=learner.state(), best_state=None
        )
    else:
        learner.restore(found.state)
    looks, best = list(found.looks), found.best
    best_state = found.state if found.best_state is None else found.best_state
    order, total, count = np.zeros(0, dtype=np.int64), 0.0, 0
    step, has_stopped = found.step, _gains_nothing(looks, best, config)
    while step < last and not has_stopped:
        epoch, place = divmod(step, per_epoch)
        if place == 0 or not len(order):
            order = np.random.default_rng([config.seed, epoch]).permutation(train_examples)
        mine = order[place * config.batch_size : (place + 1) * config.batch_size]
        rate = learning_rate(config, step, last)
        total, count = total + learner.step(mine, rate) * len(mine), count + len(mine)
        step += 1
        # The last look of an epoch stands at its end, so that epochs compare.
        if step % per_epoch and (step % per_epoch % every or per_epoch - step % per_epoch < every):
            continue
        look = Look(
            step=step, epoch=step / per_epoch, learning_rate=rate, train=total / count,
            held_out=_evaluate(learner, held_out),
        )  # fmt: skip
        _check_finite(look, config, len(held_out))
        looks, total, count = [*looks, look], 0.0, 0
        state = learner.state()
        if not len(held_out) or look.held_out > looks[best].held_out:
            best, best_state = len(looks) - 1, state
        has_stopped = _gains_nothing(looks, best, config)
        if checkpoint is not None and is_writer:
            save_training(
                TrainingCheckpoint(
                    step=step, looks=tuple(looks), best=best, state=state,
                    best_state=None if best == len(looks) - 1 else best_state,
                ),
                checkpoint, config, fingerprint,
            )  # fmt: skip
        if on_look is not None:
            on_look(look)
    learner.restore(best_state)
    return Training(
        looks=tuple(looks),
        best=best,
        steps=step,
        has_settled=has_stopped and best > 0,
        seconds=time.perf_counter() - began,
    )


def learning_rate(config: TrainConfig, step: int, last: int) -> float:
    """The rate of a step: a rise, then constant or half a cosine (Loshchilov and Hutter 2017)."""
    warm = int(config.warmup_share * last)
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - warm) / (last - warm)))


def hold_out(
    group: Int[Array, " N"], share: float, seed: int
) -> tuple[Int[Array, " A"], Int[Array, " B"]]:
    """Examples to train on and examples held out, no group on both sides.

    Raises `ConfigError` for a share outside 0 to 1, or one that leaves nobody on a side.
    """
    if not 0 <= share < 1:
        raise ConfigError(f"the held-out share is {share}; expected 0 or more, below 1.")
    if share == 0:
        return np.arange(len(group)), np.zeros(0, dtype=np.int64)
    present = np.unique(group)
    num_held = round(share * len(present))
    if not 0 < num_held < len(present):
        raise ConfigError(
            f"holding out {share:g} of {len(present)} groups leaves {num_held} to judge by; "
            "expected at least one on either side. Give more of them (people, say, or sets of "
            "texts), or hold out none (0)."
        )
    chosen = np.random.default_rng([seed, len(present)]).permutation(present)[:num_held]
    is_held = np.isin(group, chosen)
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def _evaluate(learner: Learner, held_out: Int[Array, " M"]) -> float:
    return learner.evaluate(held_out) if len(held_out) else math.nan


def _check_finite(look: Look, config: TrainConfig, num_held: int) -> None:
    """Raises `FitError`: a comparison with NaN is False, so the training would seem to settle."""
    seen = {"training": look.train} if look.step else {}
    seen |= {"held-out": look.held_out} if num_held else {}
    for whose, value in seen.items():
        if not math.isfinite(value):
            advice = (
                f"Lower the learning rate ({config.learning_rate:g})"
                if look.step
                else "No step was taken yet: look for answers that the start gives no chance"
            )
            raise FitError(
                f"after {look.step} steps the mean log-probability of the {whose} examples is "
                f"{value}; expected a finite number. {advice}, or look for features that are huge "
                "or not finite."
            )


def _gains_nothing(looks: list[Look], best: int, config: TrainConfig) -> bool:
    """Whether the last `patience` looks brought no gain worth the name."""
    if config.patience is None or len(looks) <= config.patience or math.isnan(looks[0].held_out):
        return False
    before = max(look.held_out for look in looks[: -config.patience])
    return looks[best].held_out < before + config.min_gain
