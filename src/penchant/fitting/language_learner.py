"""Mini-batches for language models: any objective that is a sum over examples, on any parameters.

One process or several, in one go or in parts: the normaliser of a step is its examples' whole
weight, known before they are divided, so that division changes nothing.

Legend: C examples of one step.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from penchant.errors import ConfigError
from penchant.fitting.adam import AdamConfig, AdamMemory, adam_step
from penchant.fitting.processes import most, num_processes, share, summed
from penchant.fitting.sgd import State
from penchant.lm.pieces import Pieces, divided, heights, whole
from penchant.lm.precision import Precision, check_precision, in_precision
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
    None leaves it. precision: in which products are taken, "bfloat16" on hardware that has it.
    is_divided: whether parameters, their gradients and Adam's memory lie in pieces over the
    processes (`lm.pieces`); one process has them whole. A state is whole in either case."""

    adam: AdamConfig = field(default_factory=AdamConfig)
    at_once: int = 32
    most_norm: float | None = 1.0
    precision: Precision = "full"
    is_divided: bool = False

    def __post_init__(self) -> None:
        if self.at_once < 1 or not (self.most_norm is None or self.most_norm > 0):
            raise ConfigError(
                f"got at_once={self.at_once} and most_norm={self.most_norm}; expected one example "
                "or more, and a length above 0 or None."
            )
        check_precision(self.precision)


class LanguageLearner:
    """Implements `sgd.Learner`: Adam on the trained parameters, autograd through the objective.

    Takes the numbers of the parameters over, not the tensors.
    """

    def __init__(
        self, trained: Parameters, objective: Objective, config: LearnerConfig | None = None
    ) -> None:
        self.objective, self.config = objective, config or LearnerConfig()
        self._is_divided = self.config.is_divided and num_processes() > 1
        self.parameters = {n: v.detach().clone() for n, v in trained.items()}
        self.forget()
        self.decayed = frozenset(n for n, value in trained.items() if value.ndim > 1)

    @property
    def parameters(self) -> dict[str, Any]:
        """All of each; where they lie in pieces every process has to ask."""
        return self._whole(self._held)

    @parameters.setter
    def parameters(self, values: dict[str, Any]) -> None:
        self._num_rows = heights(values)
        self._held = self._mine(values)

    def forget(self) -> None:
        """Let Adam begin anew from the parameters as they are."""
        self.memory = AdamMemory.fresh(self._held)

    def step(self, examples: Int[Array, " C"], learning_rate: float) -> float:
        import torch

        total = max(self.objective.weight(examples), 1e-300)
        leaves = {n: value.requires_grad_() for n, value in self._held.items()}
        said = next(iter(self.memory.mean.values())).new_zeros(1)
        for part, weight in self._even_parts(examples):
            with self.in_precision():
                log_prob = weight * self.objective.log_prob(self._read(leaves), part) / total
            (-log_prob).backward()
            said += log_prob.detach()
        penalty = self.objective.penalty(self._read(leaves))
        if isinstance(penalty, torch.Tensor) and penalty.requires_grad:
            (penalty / num_processes()).backward()
        gradients, said = self._summed(leaves, said)
        with torch.no_grad():
            before = {n: leaf.detach() for n, leaf in leaves.items()}
            self._held, self.memory = adam_step(
                before, self._cut(gradients), self.memory, learning_rate, self.config.adam,
                self.decayed,
            )  # fmt: skip
        return float(said)

    def evaluate(self, examples: Int[Array, " C"]) -> float:
        import torch

        # Gathered once: another process may have more parts to read.
        parameters = self.parameters
        said = next(iter(parameters.values())).new_zeros(1, dtype=torch.float64)
        with torch.no_grad(), self.in_precision():
            for part in self._parts(share(examples)):
                said += self.objective.log_prob(parameters, part)
        return float(summed([said])[0]) / max(self.objective.weight(examples), 1e-300)

    def in_precision(self) -> AbstractContextManager[Any]:
        """Within it products are taken as the config says."""
        device = next(iter(self._held.values())).device
        return in_precision(self.config.precision, device)

    def state(self) -> State:
        kept = {"value": self._held, "mean": self.memory.mean, "square": self.memory.square}
        arrays = {
            f"{part}.{name}": value.detach().cpu().numpy().copy()
            for part, rows in kept.items()
            for name, value in self._whole(rows).items()
        }
        return arrays | {"steps": np.array(self.memory.steps)}

    def restore(self, state: State) -> None:
        import torch

        def part(prefix: str) -> dict[str, Any]:
            return {
                name: torch.from_numpy(np.array(state[f"{prefix}.{name}"])).to(value.device)
                for name, value in self._held.items()
            }

        self.memory = AdamMemory(
            mean=self._mine(part("mean")), square=self._mine(part("square")),
            steps=int(state["steps"]),
        )  # fmt: skip
        self.parameters = part("value")

    def _read(self, leaves: dict[str, Any]) -> Parameters:
        return Pieces(leaves, self._num_rows) if self._is_divided else leaves

    def _mine(self, values: dict[str, Any]) -> dict[str, Any]:
        return divided(values) if self._is_divided else values

    def _whole(self, held: Mapping[str, Any]) -> dict[str, Any]:
        return whole(held, self._num_rows) if self._is_divided else dict(held)

    def _even_parts(self, examples: Int[Array, " C"]) -> list[tuple[Int[Array, " _"], float]]:
        """This process's parts, each counting once."""
        parts = [(part, 1.0) for part in self._parts(share(examples))]
        if self._is_divided:
            # Whoever has fewer reads some for nothing: each read gathers from all.
            parts += [(examples[:1], 0.0)] * (most(len(parts)) - len(parts))
        return parts

    def _summed(self, leaves: dict[str, Any], said: Any) -> tuple[dict[str, Any], Any]:
        """Gradients over all processes, or of those this one's rows; and what examples said."""
        import torch

        slopes = {n: torch.zeros_like(v) if v.grad is None else v.grad for n, v in leaves.items()}
        if self._is_divided:
            return slopes, summed([said])[0]
        *gradients, said = summed([*slopes.values(), said])
        return dict(zip(leaves, gradients)), said

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
        if self._is_divided:
            norm = summed([norm.square()[None]])[0].sqrt()
        share_kept = (self.config.most_norm / (norm + 1e-12)).clamp(max=1.0)
        return {name: share_kept * value for name, value in gradients.items()}
