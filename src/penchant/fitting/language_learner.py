"""Mini-batches for language models: any objective that is a sum over examples, on any parameters.

One process or several, in one go or in parts: the normaliser of a step is its examples' whole
weight, known before they are divided, so that division changes nothing.

Legend: C examples of one step.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from penchant.errors import ConfigError
from penchant.fitting.adam import AdamConfig, AdamMemory, adam_step
from penchant.fitting.processes import number, share, summed
from penchant.fitting.sgd import State
from penchant.numerics.arrays import Array

Parameters = Mapping[str, Array]


@runtime_checkable
class Objective(Protocol):
    """What examples say of parameters. Examples are numbers from 0 on."""

    def weight(self, examples: Int[Array, " C"]) -> float:
        """How much these count for."""
        ...

    def log_prob(self, parameters: Parameters, examples: Int[Array, " C"]) -> Any:
        """The weighted sum of their log-probabilities, one number of torch."""
        ...

    def penalty(self, parameters: Parameters) -> Any:
        """What is taken off per unit of weight, whatever the examples; one number of torch or 0."""
        ...


@runtime_checkable
class Divided(Protocol):
    """An objective that says itself which examples are read together."""

    def parts(self, examples: Int[Array, " C"]) -> list[Int[Array, " _"]] | None:
        """All of them, each once; None for so many at a time, as the learner says."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class LearnerConfig:
    """adam: weight_decay acts on matrices. at_once: examples whose states are held together; fewer
    take less memory and give the same step. most_norm: length to which a step's gradient is cut;
    None leaves it."""

    adam: AdamConfig = field(default_factory=AdamConfig)
    at_once: int = 32
    most_norm: float | None = 1.0

    def __post_init__(self) -> None:
        if self.at_once < 1 or not (self.most_norm is None or self.most_norm > 0):
            raise ConfigError(
                f"got at_once={self.at_once} and most_norm={self.most_norm}; expected one example "
                "or more, and a length above 0 or None."
            )


class LanguageLearner:
    """Implements `sgd.Learner`: Adam on the trained parameters, autograd through the objective.

    Takes the numbers of the parameters over, not the tensors.
    """

    def __init__(
        self, trained: Parameters, objective: Objective, config: LearnerConfig | None = None
    ) -> None:
        self.objective, self.config = objective, config or LearnerConfig()
        self.parameters: dict[str, Any] = {n: v.detach().clone() for n, v in trained.items()}
        self.memory = AdamMemory.fresh(self.parameters)
        self.decayed = frozenset(n for n, value in self.parameters.items() if value.ndim > 1)

    def step(self, examples: Int[Array, " C"], learning_rate: float) -> float:
        import torch

        total = max(self.objective.weight(examples), 1e-300)
        leaves = {n: value.requires_grad_() for n, value in self.parameters.items()}
        said = next(iter(leaves.values())).new_zeros(1)
        for part in self._parts(share(examples)):
            log_prob = self.objective.log_prob(leaves, part) / total
            (-log_prob).backward()
            said += log_prob.detach()
        penalty = self.objective.penalty(leaves) if number() == 0 else 0.0
        if isinstance(penalty, torch.Tensor) and penalty.requires_grad:
            penalty.backward()
        blank = {n: torch.zeros_like(v) if v.grad is None else v.grad for n, v in leaves.items()}
        *gradients, said = summed([*blank.values(), said])
        with torch.no_grad():
            self.parameters, self.memory = adam_step(
                {n: leaf.detach() for n, leaf in leaves.items()},
                self._cut(dict(zip(leaves, gradients))),
                self.memory, learning_rate, self.config.adam, self.decayed,
            )  # fmt: skip
        return float(said)

    def evaluate(self, examples: Int[Array, " C"]) -> float:
        import torch

        said = next(iter(self.parameters.values())).new_zeros(1, dtype=torch.float64)
        with torch.no_grad():
            for part in self._parts(share(examples)):
                said += self.objective.log_prob(self.parameters, part)
        return float(summed([said])[0]) / max(self.objective.weight(examples), 1e-300)

    def state(self) -> State:
        kept = {
            "value": self.parameters, "mean": self.memory.mean, "square": self.memory.square
        }  # fmt: skip
        arrays = {
            f"{part}.{name}": value.detach().cpu().numpy().copy()
            for part, values in kept.items()
            for name, value in values.items()
        }
        return arrays | {"steps": np.array(self.memory.steps)}

    def restore(self, state: State) -> None:
        import torch

        def part(prefix: str) -> dict[str, Any]:
            return {
                name: torch.from_numpy(np.array(state[f"{prefix}.{name}"])).to(value.device)
                for name, value in self.parameters.items()
            }

        self.memory = AdamMemory(
            mean=part("mean"), square=part("square"), steps=int(state["steps"])
        )
        self.parameters = part("value")

    def _parts(self, examples: Int[Array, " C"]) -> Iterator[Int[Array, " _"]]:
        own = self.objective.parts(examples) if isinstance(self.objective, Divided) else None
        if own is not None:
            yield from own
            return
        for start in range(0, len(examples), self.config.at_once):
            yield examples[start : start + self.config.at_once]

    def _cut(self, gradients: dict[str, Any]) -> dict[str, Any]:
        """The gradients, together no longer than the config says (Pascanu et al. 2013)."""
        import torch

        if self.config.most_norm is None:
            return gradients
        norm = torch.stack([value.norm() for value in gradients.values()]).norm()
        share_kept = (self.config.most_norm / (norm + 1e-12)).clamp(max=1.0)
        return {name: share_kept * value for name, value in gradients.items()}
