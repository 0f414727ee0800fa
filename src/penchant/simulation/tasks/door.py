"""DOOR: a row of rooms, a key in one, a door in another; rooms are told by what is seen."""

from dataclasses import dataclass, field

import numpy as np

from penchant.errors import ConfigError
from penchant.simulation.tasks.task import Turn

# As they are seen, one a letter.
COLOURS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(kw_only=True)
class DoorWorld:
    """Walk with "l" and "r", "t" takes the key where it lies, "o" opens the door where it stands.

    What is seen is the colour of the room and whether the key is held ("b0"). Rooms share colours
    (`colours` of them): a room may be taken for another, until one knows where one came from.
    Reward 1 for the open door, `invalid` for an action that does nothing here; `horizon` steps.
    """

    rooms: int = 6
    colours: int = 3
    horizon: int = 20
    invalid: float = -0.1
    start: int = 0
    key_at: int = 2
    door_at: int = 5
    prompt: str = field(init=False)
    _room: int = field(init=False)
    _has_key: bool = field(default=False, init=False)
    _steps: int = field(default=0, init=False)
    _is_over: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not all(0 <= at < self.rooms for at in (self.start, self.key_at, self.door_at)):
            raise ConfigError(
                f"got start={self.start}, key_at={self.key_at}, door_at={self.door_at}; expected "
                f"rooms from 0 to {self.rooms - 1}."
            )
        self._room = self.start
        self.prompt = self.seen

    @classmethod
    def drawn(
        cls, generator: np.random.Generator, *, rooms: int = 6, colours: int = 3, horizon: int = 20
    ) -> "DoorWorld":
        """Key and door in two different rooms, the start anywhere."""
        key_at, door_at = (int(at) for at in generator.permutation(rooms)[:2])
        start = int(generator.integers(rooms))
        return cls(
            rooms=rooms, colours=colours, horizon=horizon,
            start=start, key_at=key_at, door_at=door_at,
        )  # fmt: skip

    @property
    def difficulty(self) -> int:
        """Steps that one needs who knows the map."""
        return abs(self.start - self.key_at) + abs(self.key_at - self.door_at) + 2

    @property
    def seen(self) -> str:
        """The colour of the room and whether the key is held; what lies here."""
        colour = COLOURS[self._room % self.colours]
        lies = "k" if self._room == self.key_at and not self._has_key else ""
        return f"{colour}{int(self._has_key)}{lies}{'d' if self._room == self.door_at else ''}"

    def step(self, action: str) -> Turn:
        if self._is_over:
            raise ConfigError("this world is over; expected a new one for every rollout.")
        self._steps += 1
        did = action.strip()[:1]
        is_open, is_valid = False, True
        if did in ("l", "r") and 0 <= self._room + (1 if did == "r" else -1) < self.rooms:
            self._room += 1 if did == "r" else -1
        elif did == "t" and self._room == self.key_at and not self._has_key:
            self._has_key = True
        elif did == "o" and self._room == self.door_at and self._has_key:
            is_open = True
        else:
            is_valid = False
        self._is_over = is_open or self._steps >= self.horizon
        reward = 1.0 if is_open else 0.0 if is_valid else self.invalid
        return Turn(text=self.seen, reward=reward, is_over=self._is_over)

    def best_action(self) -> str:
        """What one who knows the map would do: to the key, to the door, open it."""
        goal = self.door_at if self._has_key else self.key_at
        if self._room != goal:
            return "r" if goal > self._room else "l"
        return "o" if self._has_key else "t"


@dataclass(frozen=True, kw_only=True)
class OpenDoor:
    """The task: worlds of this many rooms, colours and steps."""

    rooms: int = 6
    colours: int = 3
    horizon: int = 20

    def __post_init__(self) -> None:
        if self.rooms < 2 or not 1 <= self.colours <= len(COLOURS) or self.horizon < 1:
            raise ConfigError(
                f"got rooms={self.rooms}, colours={self.colours}, horizon={self.horizon}; expected "
                f"two rooms for key and door, a colour (of {len(COLOURS)}) and a step, or more."
            )

    def draw_world(self, generator: np.random.Generator) -> DoorWorld:
        return DoorWorld.drawn(
            generator, rooms=self.rooms, colours=self.colours, horizon=self.horizon
        )
