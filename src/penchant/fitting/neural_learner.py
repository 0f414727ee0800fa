"""The layers of a small network, trained by mini-batches in torch. `neural.py` makes the belief.

Legend: B observations, K options, D features, H outputs of the last layer, C examples of one step,
M parameters.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError
from penchant.feedback.channel_contract import Channel
from penchant.fitting.adam import AdamConfig, AdamMemory, adam_step
from penchant.fitting.channel_examples import ChannelExamples
from penchant.fitting.sgd import State
from penchant.numerics.arrays import Array, constant
from penchant.utilities.neural import Activation, Network, hidden

# Rows that an evaluation looks at together.
_CHUNK = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkConfig:
    """hidden: outputs of each layer; the last number is how many tastes the head has.
    sees_menu: whether a worth may depend on what else is offered. has_linear: whether features
    also enter linearly, beside the network. weight_decay: of the layers' weights, per step and
    unit of learning rate. held_out_share: of people, to stop early by. num_networks: how many are
    trained, each on people weighted anew, to learn how sure the layers are; 1 takes them as given.
    """

    hidden: tuple[int, ...] = (32, 16)
    activation: Activation = "silu"
    sees_menu: bool = False
    has_linear: bool = True
    weight_decay: float = 0.01
    held_out_share: float = 0.15
    num_networks: int = 8

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ConfigError(
                f"hidden is {self.hidden}; expected the size of one layer or more, each 1 or "
                "above, such as (32, 16)."
            )
        if self.num_networks < 1:
            raise ConfigError(f"num_networks is {self.num_networks}; expected 1 or more.")
        if self.activation not in ("tanh", "silu", "relu"):
            raise ConfigError(
                f"activation is {self.activation!r}; expected 'tanh', 'silu' or 'relu'."
            )


def random_network(batch: Batch, config: NetworkConfig, seed: int) -> Network:
    """Layers of uniform weights of variance 2 / (I + H) (Glorot and Bengio 2010), biases zero."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def layer(inputs: int, outputs: int) -> Array:
        bound = math.sqrt(6.0 / (inputs + outputs))
        uniform = torch.rand(inputs, outputs, generator=generator, dtype=torch.float64)
        return (bound * (2.0 * uniform - 1.0)).numpy()

    shown = np.concatenate(
        [np.zeros((0, batch.num_features)), *(b.features[b.offered] for b in batch.blocks)]
    )
    deviation = shown.std(axis=0)
    sizes = [batch.num_features, *config.hidden]
    pairs = list(pairwise(sizes))
    return Network(
        centre=shown.mean(axis=0),
        scale=np.where(deviation > 0, deviation, 1.0),
        weights=tuple(layer(*pair) for pair in pairs),
        biases=tuple(np.zeros(outputs) for _, outputs in pairs),
        menu_weights=tuple(layer(*pair) for pair in pairs) if config.sees_menu else (),
        activation=config.activation,
    )


class NetworkLearner:
    """The network, its head and the channels' own parameters, trained together by autograd.

    parameters: "weights.0", "biases.0", ..., "menu.0", ... of the layers; "linear" and "head", the
    tastes; "own", the channels' parameters one after the other.
    """

    def __init__(
        self,
        batch: Batch,
        channels: tuple[Channel, ...],
        network: Network,
        linear: tuple[int, ...],
        start: Float[Array, " M"],
        weight_decay: float,
    ) -> None:
        import torch

        self.network, self.linear = network, list(linear)
        self.answers = ChannelExamples.of(batch, channels, torch.float64)
        self.total = float(self.answers.weight.sum())
        self.own_precision = self.answers.precision
        layers = {
            **{f"weights.{i}": layer for i, layer in enumerate(network.weights)},
            **{f"biases.{i}": layer for i, layer in enumerate(network.biases)},
            **{f"menu.{i}": layer for i, layer in enumerate(network.menu_weights)},
            "linear": start[: len(linear)],
            "head": np.zeros(network.width),
            "own": start[len(linear) :],
        }
        self.parameters: dict[str, Any] = {
            name: torch.from_numpy(np.array(layer, dtype=np.float64))
            for name, layer in layers.items()
        }
        self.memory = AdamMemory.fresh(self.parameters)
        self.adam = AdamConfig(weight_decay=weight_decay)
        self.decayed = frozenset(n for n in layers if n.startswith(("weights", "menu", "head")))

    def step(self, examples: Int[Array, " C"], learning_rate: float) -> float:
        leaves = {name: value.requires_grad_() for name, value in self.parameters.items()}
        log_prob = self._log_prob(self.answers.examples.take(examples), leaves)
        own = leaves["own"]
        (0.5 * (self.own_precision * own * own).sum() / self.total - log_prob).backward()
        with _no_gradients():
            gradients = {
                name: 0.0 * leaf if leaf.grad is None else leaf.grad
                for name, leaf in leaves.items()
            }
            self.parameters, self.memory = adam_step(
                {name: leaf.detach() for name, leaf in leaves.items()},
                gradients, self.memory, learning_rate, self.adam, self.decayed,
            )  # fmt: skip
        return float(log_prob.detach())

    def evaluate(self, examples: Int[Array, " C"]) -> float:
        total = weight = 0.0
        with _no_gradients():
            for start in range(0, len(examples), _CHUNK):
                batch = self.answers.examples.take(examples[start : start + _CHUNK])
                mine = sum(float(block.weight.sum()) for block in batch.blocks)
                total += mine * float(self._log_prob(batch, self.parameters))
                weight += mine
        return total / max(weight, 1e-300)

    def state(self) -> State:
        return {
            **{f"value.{name}": value.detach().numpy().copy()
               for name, value in self.parameters.items()},
            **{f"mean.{name}": value.numpy().copy() for name, value in self.memory.mean.items()},
            **{f"square.{name}": value.numpy().copy()
               for name, value in self.memory.square.items()},
            "steps": np.array(self.memory.steps),
        }  # fmt: skip

    def restore(self, state: State) -> None:
        import torch

        def part(prefix: str) -> dict[str, Any]:
            return {name: torch.from_numpy(state[f"{prefix}.{name}"].copy())
                    for name in self.parameters}  # fmt: skip

        self.parameters = part("value")
        self.memory = AdamMemory(
            mean=part("mean"), square=part("square"), steps=int(state["steps"])
        )

    def trained(self) -> Network:
        """The layers as they are, in NumPy."""
        with _no_gradients():
            return _with_layers(
                self.network, {n: value.numpy().copy() for n, value in self.parameters.items()}
            )

    def _log_prob(self, batch: Batch, parameters: Mapping[str, Any]) -> Any:
        """The weighted mean log-probability of the answers, as one number of torch."""
        network = _with_layers(self.network, parameters)
        network = replace(
            network,
            centre=constant(network.centre, parameters["head"]),
            scale=constant(network.scale, parameters["head"]),
        )

        def worths(block: Block) -> Any:
            utilities = hidden(network, block.features, block.offered) @ parameters["head"]
            if self.linear:
                utilities = utilities + block.features[:, :, self.linear] @ parameters["linear"]
            return utilities

        weight = sum(float(block.weight.sum()) for block in batch.blocks)
        said = self.answers.log_prob(batch.blocks, worths, parameters["own"])
        return said / max(weight, 1e-300)


def _with_layers(network: Network, parameters: Mapping[str, Any]) -> Network:
    return replace(
        network,
        weights=tuple(parameters[f"weights.{i}"] for i in range(len(network.weights))),
        biases=tuple(parameters[f"biases.{i}"] for i in range(len(network.biases))),
        menu_weights=tuple(parameters[f"menu.{i}"] for i in range(len(network.menu_weights))),
    )


def _no_gradients() -> Any:
    import torch

    return torch.no_grad()
