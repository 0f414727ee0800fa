"""What answers, one at a time, told about kinds of people: of all, of each kind, of each person.

Legend: K options, D features, S kinds, L = D (1 + S).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from penchant.beliefs.online_worths import OnlineWorths
from penchant.beliefs.storage import save_value
from penchant.feedback.channel_contract import Channel
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class KindsOfWorths:
    """A person p of kind s values option k at x_k' (w + c_s + b_p): shrunk to their kind, which is
    shrunk to all people.

    worths: of w and behind it c_1 .. c_S, as part-worths of features that each kind has by itself;
    its `people` are b_p of each person as one of each kind (`as_one_of`). weights: of each person
    who answered, the probability of each kind. crowd: their sum over people, and before anybody the
    prior: so many people are of each kind. num_answers: learnt so far.
    """

    worths: OnlineWorths
    crowd: Float[Array, " S"]
    weights: Mapping[str, Array] = field(default_factory=dict)
    num_answers: int = 0

    @property
    def num_kinds(self) -> int:
        """S."""
        return len(self.crowd)

    @property
    def num_features(self) -> int:
        """Of options."""
        return self.worths.num_features // (1 + self.num_kinds)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Of the answers that can be learnt from."""
        return self.worths.channels

    @property
    def bar(self) -> float | None:
        """See `OnlineWorths.bar`."""
        return self.worths.bar

    @property
    def shares(self) -> Float[Array, " S"]:
        """How many people are of each kind."""
        return self.crowd / self.crowd.sum()

    def weights_of(self, person: str | None) -> Float[Array, " S"]:
        """The probability that somebody is of each kind; of a stranger the shares of all."""
        return self.shares if person is None else self.weights.get(person, self.shares)

    def part_worths(self, kind: int) -> Float[Array, " D"]:
        """Of a kind of people, w + c_s."""
        return np.asarray(self.features_of(np.eye(self.num_features), kind)
                          @ self.worths.part_worths)  # fmt: skip

    def features_of(self, features: Float[Array, "K D"], kind: int) -> Float[Array, "K L"]:
        """Options as a kind of people sees them."""
        num, width = features.shape
        found = np.zeros((num, width * (1 + self.num_kinds)))
        found[:, :width] = features
        found[:, width * (1 + kind) : width * (2 + kind)] = features
        return found

    def moments(
        self, features: Float[Array, "K D"], person: str | None = None
    ) -> tuple[Float[Array, " K"], Float[Array, "K K"]]:
        """Mean and covariance of the worths of a menu, over kinds and our doubt together: what kind
        somebody is of is doubt as any other."""
        weights = self.weights_of(person)
        means, total = np.empty((self.num_kinds, len(features))), np.zeros((len(features),) * 2)
        for kind, weight in enumerate(weights):
            seen = self.features_of(features, kind)
            means[kind], covariance = self.worths.moments(seen, as_one_of(person, kind))
            total += weight * covariance
        mean = weights @ means
        apart = means - mean
        return mean, total + (weights[:, None] * apart).T @ apart

    def save(self, folder: str | Path) -> None:
        """As JSON and safetensors in a folder."""
        save_value(self, Path(folder))


def as_one_of(person: str | None, kind: int) -> str | None:
    """The name under which what sets somebody apart from a kind is kept."""
    return None if person is None else f"{kind}\0{person}"
