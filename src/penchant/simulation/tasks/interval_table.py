"""A policy for intervals in a stream of symbols that is a table: where one begins, where it ends.

Half of the symbols are frequent inside, the others outside. An answer is two places, its worth how
much of the interval it shares: small enough that the chance of every answer is known exactly.

Legend: P streams, G answers to each, T places, F features of a place.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array, softmax

SIZE, SYMBOLS, REACH = 128, 6, 8
FEATURES = (2 * REACH + 1) * (SYMBOLS + 1)


@dataclass(frozen=True, kw_only=True)
class Streams:
    """looks: of each place the symbols around it, one-hot. true: first and last place of the
    interval."""

    looks: Float[Array, "P T F"]
    true: Int[Array, "P 2"]

    @classmethod
    def drawn(cls, num: int, generator: np.random.Generator, often: float = 0.8) -> "Streams":
        """Intervals of 12 to 48 places; a symbol is of the frequent ones with chance `often`."""
        length = generator.integers(12, 49, num)
        first = generator.integers(0, SIZE - length + 1)
        true, place = np.column_stack([first, first + length - 1]), np.arange(SIZE)
        inside = (place >= true[:, :1]) & (place <= true[:, 1:])
        is_event = inside == (generator.random((num, SIZE)) < often)
        half = generator.integers(0, SYMBOLS // 2, (num, SIZE))
        said = np.pad(half + np.where(is_event, 0, SYMBOLS // 2), ((0, 0), (REACH, REACH)),
                      constant_values=SYMBOLS)  # fmt: skip
        near = np.lib.stride_tricks.sliding_window_view(said, 2 * REACH + 1, axis=1)
        looks = np.eye(SYMBOLS + 1)[near].reshape(num, SIZE, -1)
        return cls(looks=looks, true=true)

    def overlap(self, said: Int[Array, "P G 2"]) -> Float[Array, "P G"]:
        """Of interval and answer, over what either covers."""
        low, high = (pick(said[..., k], self.true[:, None, k])
                     for k, pick in enumerate((np.maximum, np.minimum)))  # fmt: skip
        both = np.maximum(high - low + 1, 0)
        sizes = np.maximum(said[..., 1] - said[..., 0], 0) + 2
        return both / (sizes + (self.true[:, 1] - self.true[:, 0])[:, None] - both)


@dataclass(frozen=True, kw_only=True)
class Finder:
    """Says where an interval begins, then where it ends: scores of a place by the symbols around
    it (first, last) and of a length (long)."""

    first: Float[Array, " F"]
    last: Float[Array, " F"]
    long: Float[Array, " T"]

    @classmethod
    def blank(cls) -> "Finder":
        """All places alike."""
        return cls(first=np.zeros(FEATURES), last=np.zeros(FEATURES), long=np.zeros(SIZE))

    def chances(
        self, streams: Streams, begin: Int[Array, "P G"]
    ) -> tuple[Float[Array, "P T"], Float[Array, "P G T"]]:
        """Of each first place, and of each last place after these first ones."""
        apart = np.arange(SIZE) - begin[..., None]
        after = (streams.looks @ self.last)[:, None, :] + self.long[np.abs(apart)]
        return softmax(streams.looks @ self.first, axis=-1), softmax(
            np.where(apart >= 0, after, -np.inf), axis=-1
        )

    def climbed(
        self, streams: Streams, said: Int[Array, "P G 2"], weight: Float[Array, "P G"], rate: float
    ) -> "Finder":
        """After rate x sum of weight x grad log pi."""
        begin, end = said[..., 0], said[..., 1]
        first, last = self.chances(streams, begin)
        chosen = (begin[..., None] == np.arange(SIZE)) - first[:, None]
        at_first = (weight[..., None] * chosen).sum(axis=1)
        told = weight[..., None] * ((end[..., None] == np.arange(SIZE)) - last)
        apart = np.abs(np.arange(SIZE) - begin[..., None])
        return Finder(
            first=self.first + rate * np.tensordot(at_first, streams.looks, 2),
            last=self.last + rate * np.tensordot(told.sum(axis=1), streams.looks, 2),
            long=self.long + rate * np.bincount(apart.ravel(), told.ravel(), SIZE),
        )

    def drawn(
        self, streams: Streams, num: int, generator: np.random.Generator
    ) -> Int[Array, "P G 2"]:
        """So many answers to each."""
        first = softmax(streams.looks @ self.first, axis=-1)
        begin = _drawn(first[:, None].repeat(num, axis=1), generator)
        return np.stack([begin, _drawn(self.chances(streams, begin)[1], generator)], axis=2)

    def recall(self, streams: Streams, least: float = 0.7) -> float:
        """R@0.7 exactly: the chance of an answer that overlaps by as much."""
        num = len(streams.true)
        first, last = self.chances(streams, np.tile(np.arange(SIZE), (num, 1)))
        every = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij"), axis=2)
        good = streams.overlap(np.broadcast_to(every.reshape(1, -1, 2), (num, SIZE**2, 2)))
        chance = (first[:, :, None] * last).reshape(num, -1)
        return float((chance * (good >= least)).sum(axis=1).mean())


def _drawn(chance: Float[Array, "*B T"], generator: np.random.Generator) -> Int[Array, "*B"]:
    level = generator.random(chance.shape[:-1])[..., None]
    return (level > chance.cumsum(axis=-1)).sum(axis=-1).clip(max=SIZE - 1)
