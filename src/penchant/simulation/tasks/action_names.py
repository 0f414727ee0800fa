"""A policy for a door and its key that is a table, whose actions have a short name and a long one.

Going on, taking or opening, going back: each may be said in two ways, which do the same and cost
other numbers of tokens. The first token says which, the second whether the name is the short one;
the rest of a long name leaves no choice. What a policy earns is known exactly.

Legend: R rooms (place, and as many more with the key), U actions of all episodes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array, softmax

PLACES, KEY, BEGIN, HORIZON = 6, 0, 2, 30
ROOMS = 2 * PLACES
# Of going on, taking or opening, going back: tokens of the short name and of the long one.
LENGTHS = np.array([[2, 5], [2, 4], [2, 3]])


@dataclass(frozen=True, kw_only=True)
class Told:
    """Actions one after another, all episodes' at a time. row: which episode; step: when; size: 0
    where the name is the short one; reward: 1 where the door opens."""

    row: Int[Array, " U"]
    step: Int[Array, " U"]
    room: Int[Array, " U"]
    move: Int[Array, " U"]
    size: Int[Array, " U"]
    reward: Bool[Array, " U"]

    @property
    def length(self) -> Int[Array, " U"]:
        """Tokens of each."""
        return LENGTHS[self.move, self.size]


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """What a name begins with (move), and whether it is the short or the long one (size), by room
    (place, and 6 more with the key)."""

    move: Float[Array, "R 3"]
    size: Float[Array, "R 3 2"]

    @classmethod
    def blank(cls) -> "Speaker":
        """All names alike."""
        return cls(move=np.zeros((ROOMS, 3)), size=np.zeros((ROOMS, 3, 2)))

    @property
    def names(self) -> Float[Array, "R 3 2"]:
        """The chance of each."""
        return softmax(self.move, axis=-1)[:, :, None] * softmax(self.size, axis=-1)

    def played(self, num: int, generator: np.random.Generator) -> Told:
        """So many episodes of 30 actions at most."""
        room, told = np.full(num, BEGIN), []
        level = self.names.reshape(ROOMS, 6).cumsum(axis=1)
        for step in range(HORIZON):
            row = np.flatnonzero(room < ROOMS)
            at = room[row]
            name = (generator.random(len(row))[:, None] > level[at]).sum(axis=1).clip(max=5)
            move, size = np.divmod(name, 2)
            room[row] = after(at, move)
            told.append((row, np.full(len(row), step), at, move, size, room[row] == ROOMS))
        row, when, at, move, size, reward = map(np.concatenate, zip(*told, strict=True))
        return Told(row=row, step=when, room=at, move=move, size=size, reward=reward)

    def worth(self, discount: float = 1.0) -> tuple[float, float]:
        """Exactly: the reward, discounted by actions, and the share of short names among all."""
        names, here, worth, short, said = self.names, np.eye(ROOMS)[BEGIN], 0.0, 0.0, 0.0
        goes = np.stack([after(np.arange(ROOMS), np.full(ROOMS, move)) for move in range(3)])
        for step in range(HORIZON):
            short, said = short + here @ names[:, :, 0].sum(axis=1), said + here.sum()
            flow = np.bincount(goes.ravel(), (here * names.sum(axis=2).T).ravel(), ROOMS + 1)
            here, worth = flow[:ROOMS], worth + discount**step * flow[ROOMS]
        return float(worth), float(short / said)

    def climbed(
        self, told: Told, of_move: Float[Array, " U"], of_size: Float[Array, " U"], rate: float
    ) -> "Speaker":
        """After rate x sum of weight x grad log pi, of first and of second tokens."""
        return Speaker(
            move=_climbed(self.move, (told.room,), told.move, rate * of_move),
            size=_climbed(self.size, (told.room, told.move), told.size, rate * of_size),
        )


def after(room: Int[Array, "*B"], move: Int[Array, "*B"]) -> Int[Array, "*B"]:
    """The next room; a door that opens is no room (12)."""
    key, place = np.divmod(room, PLACES)
    place = np.clip(place + np.choose(move, [1, 0, -1]), 0, PLACES - 1)
    key = np.where((move == 1) & (place == KEY), 1, key)
    is_open = (move == 1) & (room == ROOMS - 1)
    return np.where(is_open, ROOMS, PLACES * key + place)


def _climbed(
    logits: Float[Array, "*R K"], at: tuple[Array, ...], said: Int[Array, " U"],
    weight: Float[Array, " U"],
) -> Float[Array, "*R K"]:  # fmt: skip
    found = logits.copy()
    np.add.at(found, (*at, said), weight)
    np.add.at(found, at, -weight[:, None] * softmax(logits, axis=-1)[at])
    return found
