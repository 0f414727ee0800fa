"""People who apply, whose answer shows only if they are accepted, and a panel that watches.

Legend: T rounds, K applicants of a round, H rules, J auditors, F features.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from penchant.numerics.arrays import Array, sigmoid


@dataclass(frozen=True, kw_only=True, eq=False)
class Applicants:
    """features: of each. chance: that it would turn out well; is_good: whether it would."""

    features: Float[Array, "T K F"]
    chance: Float[Array, "T K"]
    is_good: Bool[Array, "T K"]


def drawn_applicants(
    num_rounds: int, num_each: int, rng: np.random.Generator, *, steepness: float = 4.0
) -> Applicants:
    """Two features, uniform on -1 to 1; the log-odds of turning out well are `steepness` times
    their mean, plus a quarter of that."""
    features = rng.uniform(-1.0, 1.0, size=(num_rounds, num_each, 2))
    chance = sigmoid(steepness * (features.mean(axis=2) + 0.25))
    return Applicants(features=features, chance=chance, is_good=rng.random(chance.shape) < chance)


@dataclass(frozen=True, kw_only=True, eq=False)
class ThresholdRules:
    """Rule h accepts where direction_h' x is at least offset_h."""

    direction: Float[Array, "H F"]
    offset: Float[Array, " H"]

    @classmethod
    def grid(cls, num_directions: int, num_offsets: int) -> "ThresholdRules":
        """Directions over a half circle around the diagonal, offsets from -1.2 to 1.2."""
        angle = np.linspace(-np.pi / 4, 3 * np.pi / 4, num_directions)
        unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        offset = np.linspace(-1.2, 1.2, num_offsets)
        return cls(
            direction=np.repeat(unit, num_offsets, axis=0), offset=np.tile(offset, num_directions)
        )

    def accept(self, features: Float[Array, "*T K F"]) -> Bool[Array, "*T H K"]:
        """Whom each rule would accept."""
        worth = np.einsum("hf,...kf->...hk", self.direction, features)
        return np.asarray(worth >= self.offset[:, None])


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """Auditors, each with a weight of every feature: people are alike who are near in those. A pair
    is reported if a share `quorum` of them find that the first is accepted more often than the
    second by more than their distance and `slack`."""

    weight: Float[Array, "J F"]
    slack: float = 0.1
    quorum: float = 0.5

    def report(
        self, features: Float[Array, "K F"], share: Float[Array, " K"]
    ) -> tuple[int, int] | None:
        """The pair that they find treated most differently, the one favoured first."""
        apart = np.abs(features[:, None] - features[None, :])
        distance = np.einsum("abf,jf->jab", apart, self.weight)
        excess = share[:, None] - share[None, :] - distance - self.slack
        # What a quorum of the panel finds at least.
        found = np.sort(excess, axis=0)[::-1][int(np.ceil(self.quorum * len(self.weight))) - 1]
        first, second = np.unravel_index(int(found.argmax()), found.shape)
        return (int(first), int(second)) if found[first, second] > 0 else None
