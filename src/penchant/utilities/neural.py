"""Small networks: worth is linear in what hidden layers make of the features, and in the features.

The layers are plain arrays. Fits train them in torch; afterwards they are NumPy, so that whoever
loads, predicts or samples needs no torch.

Legend: B observations, K options, D features, I inputs and H outputs of a layer, S kinds of people,
T tastes (linear part-worths, then the head's), M own parameters of a likelihood, G1 groups (1
where all share).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from penchant.data.batch import Batch, Block
from penchant.errors import DataError
from penchant.numerics.arrays import Array, namespace, sigmoid
from penchant.utilities.linear import Linear

Activation = Literal["tanh", "silu", "relu"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """Hidden layers on standardised features.

    centre, scale: of each feature; weights [I, H], biases [H]: one pair per layer. menu_weights
    [I, H]: what the mean of the menu adds, one per layer, or none for a network that looks at
    each option by itself.
    """

    centre: Float[Array, " D"]
    scale: Float[Array, " D"]
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    menu_weights: tuple[Array, ...] = ()
    activation: Activation = "silu"

    @property
    def width(self) -> int:
        """Outputs of the last layer."""
        return int(self.biases[-1].shape[0])

    @property
    def num_parameters(self) -> int:
        """Weights and biases of all layers."""
        layers = (*self.weights, *self.biases, *self.menu_weights)
        return sum(int(np.prod(layer.shape)) for layer in layers)


def hidden(
    network: Network, features: Float[Array, "B K D"], offered: Bool[Array, "B K"]
) -> Float[Array, "B K H"]:
    """h_l = activation(h_(l-1) W_l + mean_menu(h_(l-1)) V_l + b_l), in NumPy or torch.

    With V it is the permutation-equivariant layer of Zaheer et al. (2017, "Deep Sets"): the worth
    of an option may depend on what else is offered, but not on the order in which it is shown.
    """
    xp = namespace(features)
    x = (features - network.centre) / network.scale
    shown = xp.astype(offered, x.dtype)[:, :, None]
    count = xp.sum(shown, axis=1, keepdims=True)
    for place, (weight, bias) in enumerate(zip(network.weights, network.biases)):
        moved = x @ weight + bias
        if network.menu_weights:
            mean = xp.sum(x * shown, axis=1, keepdims=True) / count
            moved = moved + mean @ network.menu_weights[place]
        x = _activate(moved, network.activation)
    return x


def _activate(x: Float[Array, "..."], activation: Activation) -> Float[Array, "..."]:
    xp = namespace(x)
    if activation == "tanh":
        return xp.tanh(x)
    if activation == "silu":
        return x * sigmoid(x)
    return xp.where(x > 0, x, 0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Neural:
    """u[b, k, s] = sum_j x[b, k, linear_j] beta[s, j] + sum_n hidden_n(x)[b, k] v[s, n].

    The networks are fixed here; beta and v are the tastes, in which worths are linear. So whatever
    holds of linear part-worths (curvature, doubt, draws, kinds of people) holds of the last layer.
    A wide and deep model (Cheng et al. 2016); with `linear` empty, a plain network. With several
    networks v holds the weights of each one's outputs, one network after the other. feature_names:
    the columns that they were trained on, in their order.
    """

    networks: tuple[Network, ...]
    feature_names: tuple[str, ...]
    linear: tuple[int, ...] = ()

    def taste_names(self, batch: Batch) -> tuple[str, ...]:
        """The linear features, then `hidden[0]`, ... over all networks.

        Raises `DataError` where the batch has other features than the network was trained on.
        """
        if batch.feature_names != self.feature_names:
            raise DataError(
                f"the batch has {batch.num_features} features {batch.feature_names[:6]}; the "
                f"network was trained on {len(self.feature_names)}, {self.feature_names[:6]}. Give "
                "the same features in the same order; of records, `belief.encode(records)` does."
            )
        names = tuple(self.feature_names[place] for place in self.linear)
        return names + tuple(f"hidden[{h}]" for h in range(self.width))

    @property
    def width(self) -> int:
        """Outputs of all networks together."""
        return sum(network.width for network in self.networks)

    def lift(self, batch: Batch) -> Batch:
        """The batch whose features are what multiplies each taste."""
        return replace(
            batch,
            blocks=tuple(self._lift(block) for block in batch.blocks),
            feature_names=self.taste_names(batch),
        )

    def worths(self, block: Block, values: Float[Array, "G1 S T"]) -> Float[Array, "B K S"]:
        """The utility of each option to each kind of people."""
        return Linear().worths(self._lift(block), values)

    def row_scores(
        self, block: Block, score: Float[Array, "B K"], num_tastes: int
    ) -> Float[Array, "B T"]:
        """d log p_b / d tastes from d log p_b / d u."""
        return Linear().row_scores(self._lift(block), score, num_tastes)

    def gradient(
        self,
        block: Block,
        score: Float[Array, "B K"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, " T"]:
        """sum_b w_b d log p_b / d tastes."""
        return Linear().gradient(self._lift(block), score, weight, num_tastes)

    def information(
        self,
        block: Block,
        curvature: Float[Array, "B K K"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, "T T"]:
        """The observed information about the tastes."""
        return Linear().information(self._lift(block), curvature, weight, num_tastes)

    def cross_information(
        self,
        block: Block,
        cross: Float[Array, "B K M"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, "T M"]:
        """The curvature between tastes and a likelihood's own parameters."""
        return Linear().cross_information(self._lift(block), cross, weight, num_tastes)

    def scales(self, batch: Batch) -> Float[Array, " T"]:
        """Standard deviation within menus of what multiplies each taste."""
        return Linear().scales(self.lift(batch))

    def _lift(self, block: Block) -> Block:
        parts = [block.features[:, :, list(self.linear)]]
        for network in self.networks:
            made = hidden(network, block.features, block.offered)
            # Padding must stay zero: a bias would turn it into a worth.
            parts.append(made * block.offered[:, :, None])
        return replace(block, features=np.concatenate(parts, axis=2))
