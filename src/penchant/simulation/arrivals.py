"""People who come one by one, each with some menus: real ones, or some whose tastes we know.

Legend: T rounds, K options, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array, softmax
from penchant.simulation.arms import labelled_arms


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrivals:
    """Rounds in the order of arrival. person: whose round it is. chosen: what they took, by place.
    share: how often they would take each option; None where nobody knows, as of real people. cost:
    of showing each option; None where nothing is paid."""

    features: Float[Array, "T K D"]
    offered: Bool[Array, "T K"]
    person: Int[Array, " T"]
    chosen: Int[Array, " T"]
    share: Float[Array, "T K"] | None = None
    cost: Float[Array, "T K"] | None = None

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
            cost=None if self.cost is None else self.cost[rounds],
        )  # fmt: skip

    def in_another_order(
        self, rng: np.random.Generator, num_people: int | None = None
    ) -> "Arrivals":
        """People shuffled, `num_people` of them; each one's rounds stay together and in order."""
        people = rng.permutation(np.unique(self.person))[:num_people]
        return self.take(np.concatenate([np.flatnonzero(self.person == p) for p in people]))


def arrivals_of(batch: Batch, costs: Batch | None = None) -> Arrivals:
    """The choices of real people, features with mean 0 and standard deviation 1.

    costs: of the same records, with what it costs to show an option as its one feature. Raises
    `DataError` for a batch without choices, or costs that are no numbers of 0 or more.
    """
    blocks = [block for block in batch.blocks if block.kind == "choice"]
    if not blocks:
        raise DataError(
            f"the data hold feedback of kind {sorted({b.kind for b in batch.blocks})}; expected "
            "choices, of which it is known what would have been taken."
        )
    features, offered = _in_one(blocks)
    shown = features[offered]
    features[offered] = (shown - shown.mean(axis=0)) / np.where(
        shown.std(axis=0) > 0, shown.std(axis=0), 1.0
    )
    order = np.argsort(np.concatenate([b.row for b in blocks]), kind="stable")
    return Arrivals(
        features=features, offered=offered, person=np.concatenate([b.group for b in blocks]),
        chosen=np.concatenate([b.answer["chosen"] for b in blocks]),
        cost=None if costs is None else _costs(costs),
    ).take(order)  # fmt: skip


def _costs(batch: Batch) -> Float[Array, "T K"]:
    found = _in_one([block for block in batch.blocks if block.kind == "choice"])[0]
    if batch.num_features != 1 or not (np.isfinite(found) & (found >= 0)).all():
        raise DataError(
            f"costs are {', '.join(batch.feature_names)} from {found.min():g} to {found.max():g}; "
            "expected one column of options with numbers of 0 or more."
        )
    return found[:, :, 0]


def _in_one(blocks: Sequence[Block]) -> tuple[Float[Array, "T K D"], Bool[Array, "T K"]]:
    """Features and menus of blocks of unlike width."""
    num, width = sum(map(len, blocks)), max(block.offered.shape[1] for block in blocks)
    features = np.zeros((num, width, blocks[0].features.shape[2]))
    offered, start = np.zeros((num, width), dtype=bool), 0
    for block in blocks:
        here = slice(start, start + len(block))
        features[here, : block.offered.shape[1]] = block.features
        offered[here, : block.offered.shape[1]] = block.offered
        start += len(block)
    return features, offered


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrivalsConfig:
    """num_tasks: menus of each person. taste_scale: standard deviation of the part-worths of all
    people (utility per standard deviation of a feature), of each of `num_kinds` kinds by itself;
    person_scale: of what sets one apart. curve_scale: of part-worths of squares, the same for all.
    has_costs: to show the first option costs nothing, any other a number from 0 to 1. is_labelled:
    classification as a bandit: who comes is of one class, and takes the option that is named like
    it; the attributes lie around the class's centre (normal with taste_scale), with person_scale.
    """

    num_people: int = 60
    num_tasks: int = 10
    num_options: int = 5
    num_features: int = 6
    taste_scale: float = 1.0
    person_scale: float = 0.5
    num_kinds: int = 1
    curve_scale: float = 0.0
    has_costs: bool = False
    is_labelled: bool = False

    def __post_init__(self) -> None:
        counts = (
            self.num_people, self.num_tasks, self.num_options - 1, self.num_features, self.num_kinds
        )  # fmt: skip
        if min(counts) < 1 or min(self.taste_scale, self.person_scale, self.curve_scale) < 0:
            raise ConfigError(
                f"{self} has numbers out of range; expected one or more of people, kinds of "
                "them, tasks and features, two or more options, and scales not below 0."
            )


def simulated_arrivals(config: ArrivalsConfig, rng: np.random.Generator) -> Arrivals:
    """A world of its own: normal tastes of all or of each kind, normal deviations of each person,
    choices by logit."""
    if config.is_labelled:
        return _labelled(config, rng)
    D, P = config.num_features, config.num_people
    tastes = config.taste_scale * rng.normal(size=(config.num_kinds, D))
    own = config.person_scale * rng.normal(size=(P, D))
    if config.num_kinds > 1:
        own += tastes[rng.integers(config.num_kinds, size=P)]
    else:
        own += tastes[0]
    person = np.repeat(np.arange(P), config.num_tasks)
    features = rng.normal(size=(len(person), config.num_options, D))
    worth = np.einsum("tkd,td->tk", features, own[person])
    if config.curve_scale > 0:
        # Squares of mean 0 and standard deviation 1.
        squares = (features**2 - 1.0) / np.sqrt(2.0)
        worth += squares @ (config.curve_scale * rng.normal(size=D))
    cost = None
    if config.has_costs:
        cost = rng.random(worth.shape)
        cost[:, 0] = 0.0
    return Arrivals(
        features=features, offered=np.ones(worth.shape, dtype=bool), person=person,
        chosen=np.argmax(worth + rng.gumbel(size=worth.shape), axis=1),
        share=softmax(worth, axis=1), cost=cost,
    )  # fmt: skip


def _labelled(config: ArrivalsConfig, rng: np.random.Generator) -> Arrivals:
    """Weights of each class's own on the attributes and a 1: K (D + 1) features."""
    K, D, num = config.num_options, config.num_features, config.num_people * config.num_tasks
    world = labelled_arms(
        K, D + 1, num, rng, spread=config.person_scale, centre_scale=config.taste_scale
    )
    own = np.eye(K)[None, :, :, None] * world.contexts[:, None, None, :]
    return Arrivals(
        features=own.reshape(num, K, K * (D + 1)), offered=np.ones((num, K), dtype=bool),
        person=np.arange(num), chosen=world.expected.argmax(axis=1), share=world.expected,
    )  # fmt: skip
