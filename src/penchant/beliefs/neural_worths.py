"""What answers, one at a time, told about worths that are linear in what a small network makes of
options.

Legend: K options, D features, H outputs of the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from penchant.beliefs.online_worths import OnlineWorths
from penchant.beliefs.storage import save_value
from penchant.errors import ConfigError
from penchant.feedback.channel_contract import Channel
from penchant.numerics.arrays import Array
from penchant.utilities.neural import Network, hidden


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptAnswer:
    """One answer as it was learnt: see `OnlineAnswers.learn`."""

    features: Float[Array, "K D"]
    kind: str
    answer: Mapping[str, Array]
    person: str | None = None
    weight: float = 1.0
    time: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NeuralConfig:
    """width: outputs of the network, one hidden layer. first: answers after which it is trained
    first; then whenever there are twice as many, or `memory` more. memory: the latest answers,
    which it is trained on and the belief is learnt from anew."""

    width: int = 16
    first: int = 100
    memory: int = 2000

    def __post_init__(self) -> None:
        if min(self.width, self.first) < 1 or self.memory < self.first:
            raise ConfigError(
                f"the network has width {self.width}, is trained first after {self.first} answers "
                f"and remembers {self.memory}; expected 1 or more of each, and to remember as many "
                "as it is trained on."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuralWorths:
    """A person p values option k at x_k' (w + b_p) + h(x_k)' v: neural-linear (Snoek et al. 2015;
    Riquelme, Tucker and Snoek 2018).

    worths: of w and v given the network h; of w alone as long as there is none. nothing: before any
    answer, of w. kept: the latest answers. num_answers: learnt so far; due: with so many the
    network is trained anew.
    """

    worths: OnlineWorths
    nothing: OnlineWorths
    config: NeuralConfig
    network: Network | None = None
    kept: tuple[KeptAnswer, ...] = ()
    num_answers: int = 0
    due: int = 0

    @property
    def num_features(self) -> int:
        """Of options."""
        return self.nothing.num_features

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Of the answers that can be learnt from."""
        return self.worths.channels

    @property
    def bar(self) -> float | None:
        """See `OnlineWorths.bar`."""
        return self.worths.bar

    def lifted(self, features: Float[Array, "K D"]) -> Float[Array, "K L"]:
        """The features, and behind them what the network makes of them."""
        return lifted(self.network, features)

    def moments(
        self, features: Float[Array, "K D"], person: str | None = None
    ) -> tuple[Float[Array, " K"], Float[Array, "K K"]]:
        """See `OnlineWorths.moments`; the network is taken as given."""
        return self.worths.moments(self.lifted(features), person)

    def save(self, folder: str | Path) -> None:
        """As JSON and safetensors in a folder."""
        save_value(self, Path(folder))


def lifted(network: Network | None, features: Float[Array, "K D"]) -> Float[Array, "K L"]:
    """The features, and behind them what a network makes of them."""
    if network is None:
        return features
    made = hidden(network, features[None], np.ones((1, len(features)), dtype=bool))[0]
    return np.concatenate([features, made], axis=1)
