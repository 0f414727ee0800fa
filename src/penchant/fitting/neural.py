"""Small networks from any feedback: layers by mini-batches in torch, the last one by Newton.

Legend: B observations, K options, D features, H outputs of the last layer, C examples of one step,
M parameters, N networks, R draws, G groups (people).
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.belief import Belief, Encoder
from penchant.data.batch import Batch
from penchant.errors import ConfigError, MissingExtraError
from penchant.feedback.channel_contract import Channel
from penchant.fitting.adam import AdamConfig, AdamMemory, adam_step
from penchant.fitting.examples import Examples
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.pooled_density import serving_channel
from penchant.fitting.pooled_task import prepare
from penchant.fitting.sgd import Look, State, TrainConfig, Training, hold_out, train
from penchant.fitting.sgd_checkpoint import fingerprint_of
from penchant.fitting.shrinkage import Shrinkage
from penchant.numerics.arrays import Array, constant
from penchant.utilities.linear import Linear
from penchant.utilities.neural import Activation, Network, Neural, hidden

# Rows that an evaluation looks at together; draws of each network's last layer.
_CHUNK, _DRAWS = 4096, 100


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

        self.channels, self.network, self.linear = channels, network, list(linear)
        sizes = [channel.num_parameters(batch) for channel in channels]
        self.own_start = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        as_torch = batch.to_torch(torch.float64)
        # Whose an answer is picks places in a vector: numbers of NumPy, on either side.
        blocks = zip(as_torch.blocks, batch.blocks)
        as_torch = replace(
            as_torch, blocks=tuple(replace(one, group=two.group) for one, two in blocks)
        )
        self.examples = Examples.of(as_torch)
        self.total = sum(float(block.weight.sum()) for block in batch.blocks)
        own_precision = [channel.prior_precision(batch) for channel in channels]
        self.own_precision = torch.from_numpy(np.concatenate([np.zeros(0), *own_precision]))
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
        log_prob = self._log_prob(self.examples.take(examples), leaves)
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
                batch = self.examples.take(examples[start : start + _CHUNK])
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
        total, weight = 0.0, 0.0
        for block in batch.blocks:
            utilities = hidden(network, block.features, block.offered) @ parameters["head"]
            if self.linear:
                utilities = utilities + block.features[:, :, self.linear] @ parameters["linear"]
            index = serving_channel(self.channels, block.kind)
            own = parameters["own"][self.own_start[index] : self.own_start[index + 1]]
            total = total + block.weight @ self.channels[index].log_prob(utilities, block, own)
            weight = weight + float(block.weight.sum())
        return total / max(weight, 1e-300)


def fit_neural(
    batch: Batch,
    channels: tuple[Channel, ...],
    *,
    network: NetworkConfig | None = None,
    training: TrainConfig | None = None,
    linear: tuple[int, ...] | None = None,
    encoder: Encoder | None = None,
    checkpoint: Path | None = None,
    on_look: Callable[[int, Look], None] | None = None,
) -> Belief:
    """Train the layers until held-out people gain nothing, then fit the last layer to everybody.

    The layers start at random beside the best linear worths, so that training begins where the
    linear model ends. With the layers fixed, worths are linear in the tastes: Newton finds their
    posterior mode, the evidence says how much to shrink the head (MacKay 1992), and the curvature
    is the doubt: a Laplace approximation on the last layer (Daxberger et al. 2021).

    That alone is far too sure, since the layers were learnt from the same answers: 40 to 70 % of
    its 90 % intervals hold. So `num_networks` are trained from different starts, each on people
    with random exponential weights (the weighted likelihood bootstrap of Newton and Raftery 1994).
    The belief is their equal mixture: worths are averaged, and a draw of our doubt is one network
    with one draw of its last layer.

    linear: which features enter linearly too (all; none without `has_linear`). checkpoint: a
    folder from which an interrupted fit goes on, bit for bit. on_look(network, look) sees the
    training.
    Raises `MissingExtraError` without torch, `DataError` for unusable data, `ConfigError` for a
    checkpoint of another training, `FitError` for a training that runs into NaN.
    """
    _need_torch()
    began = time.perf_counter()
    network, training = network or NetworkConfig(), training or TrainConfig()
    if linear is None or not network.has_linear:
        linear = tuple(range(batch.num_features)) if network.has_linear else ()
    members = []
    for number in range(network.num_networks):
        folder = None if checkpoint is None else checkpoint / f"network_{number}"
        watch = None if on_look is None else partial(on_look, number)
        weighted = batch if network.num_networks == 1 else reweighted(batch, training.seed, number)
        members.append(
            _member(weighted, channels, network, _seeded(training, number), linear, folder, watch)
        )
    utility = Neural(
        networks=tuple(member.network for member in members),
        feature_names=batch.feature_names,
        linear=linear,
    )
    belief = _mixture(members, utility, len(linear), training.seed)
    rate = training.learning_rate
    return _told(replace(belief, encoder=encoder), members, batch, channels, rate, began)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Member:
    """One trained network, the belief about its last layer, and how the training went."""

    network: Network
    head: Belief
    training: Training


def _member(
    batch: Batch,
    channels: tuple[Channel, ...],
    config: NetworkConfig,
    training: TrainConfig,
    linear: tuple[int, ...],
    checkpoint: Path | None,
    on_look: Callable[[Look], None] | None,
) -> _Member:
    examples = Examples.of(batch)
    mine, held = hold_out(examples.group, config.held_out_share, training.seed)
    start = _linear_start(examples.take(mine), channels, linear)
    learner = NetworkLearner(
        batch, channels, random_network(batch, config, training.seed), linear, start,
        config.weight_decay,
    )  # fmt: skip
    done = train(
        learner, mine, held, training,
        checkpoint=checkpoint, on_look=on_look,
        fingerprint="" if checkpoint is None else fingerprint_of(batch, channels, config, linear),
    )  # fmt: skip
    made = learner.trained()
    utility = Neural(networks=(made,), feature_names=batch.feature_names, linear=linear)
    own = sum(channel.num_parameters(batch) for channel in channels)
    families = (-1,) * len(linear) + (0,) * made.width + (-1,) * own
    head = fit_pooled(
        utility.lift(batch),
        utility=Linear(),
        channels=channels,
        shrinkage=Shrinkage(families=families, names=("hidden",)),
    )
    return _Member(network=made, head=head, training=done)


def reweighted(batch: Batch, seed: int, number: int) -> Batch:
    """The batch with an exponential weight of mean one for each group (Newton and Raftery 1994)."""
    drawn = np.random.default_rng([seed, number]).exponential(size=batch.num_groups)
    blocks = (replace(b, weight=b.weight * drawn[b.group]) for b in batch.blocks)
    return replace(batch, blocks=tuple(blocks))


def _seeded(training: TrainConfig, number: int) -> TrainConfig:
    # 1,000,003 is prime: seeds of users, small numbers most often, do not run into each other.
    return replace(training, seed=training.seed + 1_000_003 * number)


def _mixture(members: list[_Member], utility: Neural, num_linear: int, seed: int) -> Belief:
    """The members' beliefs as one: each fills its own place among the heads, the others are zero.

    Worths are linear in theta, so that the mean of theta is the mean of worths.
    """
    first = members[0].head
    num_heads, num_own = utility.width, len(first.theta) - num_linear - members[0].network.width
    size = num_linear + num_heads + num_own
    thetas, spreads, draws, start = [], np.zeros((size, size)), [], num_linear
    rng = np.random.default_rng([seed, len(members)])
    for member in members:
        width = member.network.width
        place = np.concatenate(
            [np.arange(num_linear), start + np.arange(width), num_linear + num_heads +
             np.arange(num_own)]
        )  # fmt: skip
        start += width
        assert member.head.covariance is not None
        thetas.append(_placed(member.head.theta, place, size))
        spreads[np.ix_(place, place)] += member.head.covariance / len(members)
        draws += [_placed(one.theta, place, size) for one in member.head.sample(_DRAWS, rng)]
    mean = np.mean(thetas, axis=0)
    apart = np.stack(thetas) - mean
    covariance = spreads + apart.T @ apart / len(members)
    names = first.parameter_names
    hidden_names = tuple(f"hidden[{h}]" for h in range(num_heads))
    return replace(
        first,
        theta=mean,
        parameter_names=(
            *names[:num_linear], *hidden_names, *names[num_linear + members[0].network.width :]
        ),
        utility=utility,
        covariance=covariance,
        robust_covariance=covariance if len(members) > 1 else first.robust_covariance,
        draws=np.stack(draws) if len(members) > 1 else None,
    )  # fmt: skip


def _placed(theta: Float[Array, " A"], place: Int[Array, " A"], size: int) -> Float[Array, " M"]:
    wide = np.zeros(size)
    wide[place] = theta
    return wide


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


def _linear_start(
    batch: Batch, channels: tuple[Channel, ...], linear: tuple[int, ...]
) -> Float[Array, " M"]:
    """The best linear worths and the channels' own parameters beside them."""
    if not linear:
        return np.concatenate([np.zeros(0), *(channel.initial(batch) for channel in channels)])
    blocks = tuple(replace(b, features=b.features[:, :, list(linear)]) for b in batch.blocks)
    names = tuple(batch.feature_names[place] for place in linear)
    return fit_pooled(
        replace(batch, blocks=blocks, feature_names=names), utility=Linear(), channels=channels
    ).theta


def _with_layers(network: Network, parameters: Mapping[str, Any]) -> Network:
    return replace(
        network,
        weights=tuple(parameters[f"weights.{i}"] for i in range(len(network.weights))),
        biases=tuple(parameters[f"biases.{i}"] for i in range(len(network.biases))),
        menu_weights=tuple(parameters[f"menu.{i}"] for i in range(len(network.menu_weights))),
    )


def _told(
    belief: Belief,
    members: list[_Member],
    batch: Batch,
    channels: tuple[Channel, ...],
    rate: float,
    began: float,
) -> Belief:
    """The belief with a report of all its networks."""
    assert isinstance(belief.utility, Neural)
    settled = sum(member.training.has_settled for member in members)
    stuck = sum(not member.training.best and len(member.training.looks) > 1 for member in members)
    fitted = [member.head.report for member in members if member.head.report is not None]
    layers = sum(network.num_parameters for network in belief.utility.networks)
    looks = [member.training.looks[member.training.best] for member in members]
    epochs, held = (np.mean([getattr(look, n) for look in looks]) for n in ("epoch", "held_out"))
    warnings: tuple[str, ...] = batch.notes
    if len(members) == 1:
        warnings += (
            "Standard errors, intervals and draws take the network's layers as given (Laplace on "
            "the last layer) and are far too narrow; num_networks=8 asks how sure the layers are.",
        )
    if stuck:
        warnings += (
            f"{stuck} of {len(members)} networks never foretold held-out people better than they "
            "did before training, and were left as they began. Lower the learning rate "
            f"({rate:g}); if that changes nothing, the linear worths say all that these data can.",
        )
    unsettled = len(members) - settled - stuck
    if unsettled:
        warnings += (
            f"{unsettled} of {len(members)} networks did not settle: when the epochs "
            "ran out, people held out had still been gaining (or nobody was held out). Raise "
            "max_epochs.",
        )
    log_prob = belief.log_prob(batch)
    report = replace(
        fitted[0],
        log_likelihood=sum(float(b.weight @ lp) for b, lp in zip(batch.blocks, log_prob)),
        null_log_likelihood=_null(batch, channels),
        parameters=len(belief.theta) + layers,
        effective_parameters=None,
        converged=settled == len(members) and all(one.converged for one in fitted),
        iterations=sum(member.training.steps for member in members),
        seconds=time.perf_counter() - began,
        method=(
            f"{len(members)} network(s): layers by Adam, {epochs:.1f} epochs (held-out people: "
            f"{held:.4f} nats an answer), last layers by Newton"
        ),
        warnings=warnings,
    )
    return replace(belief, report=report)


def _null(batch: Batch, channels: tuple[Channel, ...]) -> float:
    """The log-likelihood of worths of zero."""
    blocks = tuple(replace(b, features=0.0 * b.features[:, :, :1]) for b in batch.blocks)
    bare = replace(batch, blocks=blocks, feature_names=batch.feature_names[:1])
    task = prepare(bare, Linear(), channels, has_matrix=False)
    return task.density.slope(task.initial).value


def _need_torch() -> None:
    try:
        import torch  # noqa: F401  # asked for, not used here
    except ImportError as error:
        raise MissingExtraError(
            "training a network needs the package torch, which is not installed (using a trained "
            "one does not). Install the extra: pip install 'penchant[torch]'."
        ) from error


def _no_gradients() -> Any:
    import torch

    return torch.no_grad()
