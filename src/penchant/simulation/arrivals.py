"""People who come one by one, each with some menus: real ones, or some whose tastes we know.

Legend: T rounds, K options, D features.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch import Batch
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array, softmax


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrivals:
    """Rounds in the order of arrival. person: whose round it is. chosen: what they took, by place.
    share: how often they would take each option; None where nobody knows, as of real people."""

    features: Float[Array, "T K D"]
    offered: Bool[Array, "T K"]
    person: Int[Array, " T"]
    chosen: Int[Array, " T"]
    share: Float[Array, "T K"] | None = None

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def num_people(self) -> int:
        return len(np.unique(self.person))

    def take(self, rounds: Int[Array, " R"]) -> "Arrivals":
        """These rounds, in that order."""
        return Arrivals(
            features=self.features[rounds], offered=self.offered[rounds],
            person=self.person[rounds], chosen=self.chosen[rounds],
            share=None if self.share is None else self.share[rounds],
        )  # fmt: skip

    def in_another_order(
        self, rng: np.random.Generator, num_people: int | None = None
    ) -> "Arrivals":
        """People shuffled, `num_people` of them; each one's rounds stay together and in order."""
        people = rng.permutation(np.unique(self.person))[:num_people]
        return self.take(np.concatenate([np.flatnonzero(self.person == p) for p in people]))


def arrivals_of(batch: Batch) -> Arrivals:
    """The choices of real people, features with mean 0 and standard deviation 1.

    Raises `DataError` for a batch without any.
    """
    blocks = [block for block in batch.blocks if block.kind == "choice"]
    if not blocks:
        raise DataError(
            f"the data hold feedback of kind {sorted({b.kind for b in batch.blocks})}; expected "
            "choices, of which it is known what would have been taken."
        )
    num, width = sum(map(len, blocks)), max(block.offered.shape[1] for block in blocks)
    features = np.zeros((num, width, batch.num_features))
    offered, row = np.zeros((num, width), dtype=bool), np.concatenate([b.row for b in blocks])
    start = 0
    for block in blocks:
        here = slice(start, start + len(block))
        features[here, : block.offered.shape[1]] = block.features
        offered[here, : block.offered.shape[1]] = block.offered
        start += len(block)
    shown = features[offered]
    features[offered] = (shown - shown.mean(axis=0)) / np.where(
        shown.std(axis=0) > 0, shown.std(axis=0), 1.0
    )
    order = np.argsort(row, kind="stable")
    return Arrivals(
        features=features, offered=offered, person=np.concatenate([b.group for b in blocks]),
        chosen=np.concatenate([b.answer["chosen"] for b in blocks]),
    ).take(order)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrivalsConfig:
    """num_tasks: menus of each person. taste_scale: standard deviation of the part-worths of all
    people (utility per standard deviation of a feature); person_scale: of what sets one apart."""

    num_people: int = 60
    num_tasks: int = 10
    num_options: int = 5
    num_features: int = 6
    taste_scale: float = 1.0
    person_scale: float = 0.5

    def __post_init__(self) -> None:
        counts = (self.num_people, self.num_tasks, self.num_options - 1, self.num_features)
        if min(counts) < 1 or min(self.taste_scale, self.person_scale) < 0:
            raise ConfigError(
                f"{self} has numbers out of range; expected one or more of people, tasks and "
                "features, two or more options, and scales not below 0."
            )


def simulated_arrivals(config: ArrivalsConfig, rng: np.random.Generator) -> Arrivals:
    """A world of its own: normal tastes of all, normal deviations of each, choices by logit."""
    tastes = config.taste_scale * rng.normal(size=config.num_features)
    own = config.person_scale * rng.normal(size=(config.num_people, config.num_features))
    person = np.repeat(np.arange(config.num_people), config.num_tasks)
    features = rng.normal(size=(len(person), config.num_options, config.num_features))
    worth = np.einsum("tkd,td->tk", features, (tastes + own)[person])
    return Arrivals(
        features=features, offered=np.ones(worth.shape, dtype=bool), person=person,
        chosen=np.argmax(worth + rng.gumbel(size=worth.shape), axis=1),
        share=softmax(worth, axis=1),
    )  # fmt: skip
