"""RETRY: an actor that never learns tries again and again; between trials a policy reflects.

The actor is frozen and scripted. What a policy writes after a failed trial is all that changes from
one trial to the next, and it earns what the next trial earns more.
"""

import copy
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from penchant.errors import ConfigError, DataError
from penchant.simulation.tasks.door import COLOURS, DoorWorld
from penchant.simulation.tasks.task import TextWorld, Turn

# From all reflections so far (the latest last), what was read in this trial and what was done, the
# next action; None gives up.
Actor = Callable[[Sequence[str], Sequence[str], Sequence[str]], str | None]
# From the transcripts of all trials and the reflections between them, what to reflect.
Reflector = Callable[[Sequence[str], Sequence[str]], str]

_MOST_DRAWS = 1_000


@dataclass(kw_only=True)
class RetryWorld:
    """Trials of one world, each begun anew; a turn is the reflection after one that failed
    (Retroformer, Yao et al. 2024). Implements `TextWorld`.

    What is read is the transcript of the trial before, what was read and done in turn; a turn's
    reward is the next trial's return less the last one's. Over when a trial succeeds (its last step
    earned 1 or more) or all were used. Raises `ConfigError` for a world in which the first trial
    succeeds: there is nothing to reflect on.
    """

    world: TextWorld
    actor: Actor
    reflector: Reflector
    trials: int = 3
    prompt: str = field(init=False)
    _reflections: list[str] = field(default_factory=list, init=False)
    _transcripts: list[str] = field(default_factory=list, init=False)
    _earned: float = field(default=0.0, init=False)
    _is_over: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.trials < 2:
            raise ConfigError(f"got trials={self.trials}; expected two or more, one to learn from.")
        if self._tried():
            raise ConfigError(
                "the first trial succeeded; expected a world in which it fails, for a reflection."
            )
        self.prompt = self._transcripts[-1]

    @property
    def difficulty(self) -> int:
        return self.world.difficulty

    def step(self, action: str) -> Turn:
        if self._is_over:
            raise ConfigError("this world is over; expected a new one for every rollout.")
        self._reflections.append(action)
        before = self._earned
        self._is_over = self._tried() or len(self._transcripts) >= self.trials
        return Turn(text=self._transcripts[-1], reward=self._earned - before, is_over=self._is_over)

    def best_action(self) -> str:
        """What the reflector makes of all that was seen."""
        return self.reflector(self._transcripts, self._reflections)

    def _tried(self) -> bool:
        """Play the world from its beginning; whether it was solved."""
        world = copy.deepcopy(self.world)
        read, done, total, is_over, last = [world.prompt], list[str](), 0.0, False, 0.0
        while not is_over and (action := self.actor(self._reflections, read, done)) is not None:
            turn = world.step(action)
            read, done, last = [*read, turn.text], [*done, action], turn.reward
            total, is_over = total + last, turn.is_over
        seen = "".join(itertools.chain(*itertools.zip_longest(read, done, fillvalue="")))
        self._transcripts.append(f"{seen}?")
        self._earned = total
        return is_over and last >= 1.0


@dataclass(frozen=True, kw_only=True)
class RetryDoor:
    """The task: rows of rooms in which an actor that walks as it is told finds no way at first.

    The actor (`walk`) goes where the first letter of the last reflection says ("l" or "r"; right
    without one) until it holds the key, then where the second says, and gives up at a wall. A trial
    that failed tells which rooms it saw; from that a reflection follows, or half of it.
    """

    rooms: int = 6
    colours: int = 3
    trials: int = 3

    def __post_init__(self) -> None:
        if self.rooms < 3 or not 2 <= self.colours <= len(COLOURS) or self.trials < 2:
            raise ConfigError(
                f"got rooms={self.rooms}, colours={self.colours}, trials={self.trials}; expected "
                "three rooms, two colours (a wall is known by the colour that stays; there are "
                f"{len(COLOURS)}) and two trials, or more."
            )

    def draw_world(self, generator: np.random.Generator) -> RetryWorld:
        """One in which the first trial fails."""
        for _ in range(_MOST_DRAWS):
            # No trial is cut short by its horizon: there and back takes fewer steps.
            door = DoorWorld.drawn(
                generator, rooms=self.rooms, colours=self.colours, horizon=2 * self.rooms + 4
            )
            try:
                return RetryWorld(world=door, actor=walk, reflector=told_by, trials=self.trials)
            except ConfigError:
                continue
        raise DataError(
            f"in {_MOST_DRAWS} worlds the first trial succeeded; expected one in which it fails. "
            "Take more rooms."
        )


def walk(reflections: Sequence[str], read: Sequence[str], done: Sequence[str]) -> str | None:
    """What the actor of `RetryDoor` does: takes the key and opens the door where they are, else
    walks; None at a wall, which is where the colour stays the same."""
    seen = read[-1]
    has_key = seen[1] == "1"
    if not has_key and "k" in seen[2:]:
        return "t"
    if has_key and "d" in seen[2:]:
        return "o"
    at_wall = bool(done) and done[-1] in ("l", "r") and read[-2][0] == seen[0]
    said = reflections[-1][int(has_key) :][:1] if reflections else ""
    return None if at_wall else said if said in ("l", "r") else "r"


def told_by(transcripts: Sequence[str], reflections: Sequence[str]) -> str:
    """The reflection that follows from what all trials saw: where the key is from the start, and
    the door from the key; what nobody saw is where nobody was, left of it where nobody knows."""
    seen = [_walked(transcript) for transcript in transcripts]
    key, door = (next((at[name] for at in seen if name in at), None) for name in ("k", "d"))
    # What was not met lies beyond the end that was not reached; the first trial goes right.
    is_left = not any(at["left wall"] for at in seen)
    unseen = min(at["low"] for at in seen) - 1 if is_left else max(at["high"] for at in seen) + 1
    key_at = unseen if key is None else key
    door_at = unseen if door is None else door
    return ("r" if key_at > 0 else "l") + ("r" if door_at > key_at else "l")


def _walked(transcript: str) -> dict[str, int]:
    """Places from the start (0) of what a trial saw, the ends of its walk, and whether it met the
    left wall."""
    at, found = 0, {"low": 0, "high": 0, "left wall": 0}
    places = _steps(transcript)
    for (seen, did), (after, _) in itertools.pairwise([*places, ("", "")]):
        for mark in "kd":
            if mark in seen[2:]:
                found.setdefault(mark, at)
        moved = did in ("l", "r") and bool(after) and after[0] != seen[0]
        found["left wall"] |= int(did == "l" and bool(after) and not moved)
        at += (1 if did == "r" else -1) if moved else 0
        found["low"], found["high"] = min(found["low"], at), max(found["high"], at)
    return found


def _steps(transcript: str) -> list[tuple[str, str]]:
    """What was seen, and what was done about it."""
    return re.findall(r"([a-z][01]k?d?)([lrto?])", transcript)
