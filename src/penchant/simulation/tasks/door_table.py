"""DOOR as tables: where each action leads and what is seen there, for policies that act on what
they see now. Their chance to open the door is known exactly.

Legend: W worlds, Z states (2 room + whether the key is held), A actions, O things seen, B games,
T steps.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array
from penchant.simulation.tasks.door import DoorWorld, OpenDoor

ACTIONS = "lrto"


@dataclass(frozen=True, kw_only=True, eq=False)
class Doors:
    """to: the state after each action. opens: whether it opens the door. seen: of `texts`, in each
    state. start: of each world. horizon: steps of a game."""

    to: Int[Array, "W Z A"]
    opens: Bool[Array, "W Z A"]
    seen: Int[Array, "W Z"]
    start: Int[Array, " W"]
    texts: tuple[str, ...]
    horizon: int

    @classmethod
    def drawn(cls, task: OpenDoor, num: int, generator: np.random.Generator) -> "Doors":
        """So many worlds of the task."""
        worlds = [task.draw_world(generator) for _ in range(num)]
        texts = all_seen(task.colours)
        states = range(2 * task.rooms)
        steps = [[[_stepped(w, z, action) for action in ACTIONS] for z in states] for w in worlds]
        told = np.array(steps).reshape(num, len(states), len(ACTIONS), 2)
        seen = [[texts.index(_placed(w, z).seen) for z in states] for w in worlds]
        return cls(
            to=told[..., 0], opens=told[..., 1] == 1, seen=np.array(seen), texts=texts,
            start=np.array([2 * world.start for world in worlds]), horizon=task.horizon,
        )  # fmt: skip

    def chance(self, policy: Float[Array, "O A"]) -> Float[Array, " W"]:
        """To open the door within the horizon, exactly; policy: chances of each action."""
        worth, world = np.zeros(self.seen.shape), np.arange(len(self.seen))
        for _ in range(self.horizon):
            after = np.where(self.opens, 1.0, worth[world[:, None, None], self.to])
            worth = (policy[self.seen] * after).sum(axis=2)
        return worth[world, self.start]

    def played(
        self, policy: Float[Array, "O A"], games: int, generator: np.random.Generator
    ) -> tuple[Int[Array, "B T"], Int[Array, "B T"], Bool[Array, " B"]]:
        """`games` of each world side by side: what was seen and done at each step, -1 after the
        last, and which were won."""
        world = np.repeat(np.arange(len(self.seen)), games)
        state, won = self.start[world], np.zeros(len(world), dtype=bool)
        seen, did = (np.full((len(world), self.horizon), -1) for _ in range(2))
        cumulated = policy.cumsum(axis=1)
        for step in range(self.horizon):
            here = self.seen[world, state]
            action = (generator.random(len(world))[:, None] > cumulated[here]).sum(axis=1)
            action = action.clip(max=len(ACTIONS) - 1)
            seen[~won, step], did[~won, step] = here[~won], action[~won]
            opens = self.opens[world, state, action]
            state = self.to[world, state, action]
            won = won | opens
        return seen, did, won


def all_seen(colours: int) -> tuple[str, ...]:
    """All that may be seen: colour, whether the key is held, whether key and door are here."""
    letters = "abcdefghijklmnopqrstuvwxyz"[:colours]
    return tuple(f"{letter}{held}{lies}{door}" for letter in letters for held in "01"
                 for lies in ("", "k") for door in ("", "d"))  # fmt: skip


def _placed(world: DoorWorld, state: int) -> DoorWorld:
    there = replace(world, start=state // 2)
    there._has_key = bool(state % 2)
    return there


def _stepped(world: DoorWorld, state: int, action: str) -> tuple[int, int]:
    """The state after an action, and whether it opened the door."""
    there = _placed(world, state)
    opens = there.step(action).reward == 1.0
    return 2 * there._room + there._has_key, int(opens)
