"""Adam: steps along averaged gradients, in units of their own size; NumPy and torch alike."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from penchant.numerics.arrays import Array

Parameters = Mapping[str, Array]


@dataclass(frozen=True, kw_only=True, slots=True)
class AdamConfig:
    """mean_decay, square_decay: how slowly the averages forget, per step, in 0 to 1.
    weight_decay: share of each decayed parameter that a step of learning rate 1 takes away.
    floor: added to the root of the mean square, in units of the gradient."""

    mean_decay: float = 0.9
    square_decay: float = 0.999
    weight_decay: float = 0.0
    floor: float = 1e-8


@dataclass(frozen=True, kw_only=True, eq=False)
class AdamMemory:
    """Running means of the gradients and of their squares, and how many there were."""

    mean: Parameters
    square: Parameters
    steps: int = 0

    @classmethod
    def fresh(cls, parameters: Parameters) -> "AdamMemory":
        """Before the first step."""
        zeros = {name: 0.0 * value for name, value in parameters.items()}
        return cls(mean=zeros, square=zeros)


def adam_step(
    parameters: Parameters,
    gradients: Parameters,
    memory: AdamMemory,
    learning_rate: float,
    config: AdamConfig,
    decayed: frozenset[str] = frozenset(),
) -> tuple[dict[str, Array], AdamMemory]:
    """The parameters one step downhill, and the memory of it.

    Kingma and Ba (2015), with the weight decay apart from the gradient for the parameters named in
    `decayed` (Loshchilov and Hutter 2019). Nothing is changed in place.
    """
    steps = memory.steps + 1
    keep, forget = config.mean_decay, 1.0 - config.mean_decay
    keep_square, forget_square = config.square_decay, 1.0 - config.square_decay
    mean = {n: keep * memory.mean[n] + forget * g for n, g in gradients.items()}
    square = {n: keep_square * memory.square[n] + forget_square * g * g
              for n, g in gradients.items()}  # fmt: skip
    # Both averages start at zero; dividing by what they have seen so far takes that out.
    seen, seen_square = 1.0 - keep**steps, 1.0 - keep_square**steps
    moved = {}
    for name, value in parameters.items():
        size = square[name] ** 0.5 / math.sqrt(seen_square) + config.floor
        shrink = 1.0 - learning_rate * config.weight_decay * (name in decayed)
        moved[name] = shrink * value - learning_rate * (mean[name] / seen) / size
    return moved, AdamMemory(mean=mean, square=square, steps=steps)
