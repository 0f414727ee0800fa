"""The mean of the others off, a ratio of each token, one copy of the model (LOOP, 2025), beside
GRPO, imitation of games that were won, and one ratio a game, from one start and at equal games.

Theirs: 9 points above o1 on AppWorld. Ours: DOOR of eight rooms in three colours
and 20 actions at most, played by a table that knows what it did last, whether that changed what is
seen, and what is seen; 1 for an open door, 16 worlds of six games a step, 20 steps; each at the
best rate of five from 100 to 1,000 on four other seeds, in 1,000 held-out worlds. Paired by seed,
95 % intervals of 20 seeds. LOOP goes from 16 to 76 %. It is 14 points above imitation (6 to 22)
and, with four optimiser steps a batch, a ratio of each token as good as one of the game (+0.7, -7.1
to 8.4). Not met: as good as GRPO without its deviation, 7 points behind it (2 to 12): not for its
credit, which is 6/5 of that, but likely since its one mean over all tokens hears long games, which
fail, the most. Tiny: two seeds, few games.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse
from penchant.evaluation.recipes import low_over_seeds, over_seeds, results, run_recipe
from penchant.evaluation.table_methods import TableDraws, TablePolicy
from penchant.numerics.arrays import softmax
from penchant.policies.language.loss import Surrogate
from penchant.policies.language.methods.group_relative import GroupRelative, grpo
from penchant.policies.language.methods.method import Heard, Seen, rows_as_units
from penchant.policies.language.trainer import need_torch
from penchant.simulation.tasks.door import DoorWorld, OpenDoor

TASK, WORLDS, GAMES = OpenDoor(rooms=8, colours=3, horizon=20), 16, 6
ACTIONS, CELLS = "lrto", 5 * 2 * 24
SOURCE, NOTES = "LOOP, AppWorld", "our notes on LOOP"


@dataclass(frozen=True, kw_only=True)
class Imitated(GroupRelative):
    """Rejection sampling: games that were won are shown, one mean over their actions."""

    def heard(self, seen: Seen) -> Heard:
        won = seen.reward[:, None] >= 1.0
        unit_of = np.where(won, rows_as_units(seen), -1)
        return Heard(unit_of=unit_of, advantage=(unit_of >= 0).astype(float))


# Method, optimiser steps on a batch, and rate.
RUNS: dict[str, tuple[GroupRelative, int, float]] = {
    "LOOP": (GroupRelative(), 1, 500.0),
    "GRPO, no std": (replace(grpo(), scale="none"), 1, 1_000.0),
    "GRPO": (grpo(), 1, 1_000.0),
    "imitation": (Imitated(), 1, 300.0),
    "LOOP, four": (GroupRelative(), 4, 300.0),
    "LOOP, four, games": (GroupRelative(surrogate=Surrogate(level="unit")), 4, 500.0),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """games: played by each method. held_out: worlds at the end, a game in each."""

    num_seeds: int = 20
    games: int = 1_920
    held_out: int = 1_000
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=2, games=192, held_out=20)


def main(config: Config) -> dict[str, Any]:
    need_torch()
    rows = [one_seed(config, config.seed + s) for s in range(config.num_seeds)]
    each = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    others = ("GRPO, no std", "GRPO", "imitation", "start")
    beside = {f"LOOP beside {name}": each["LOOP"] - each[name] for name in others}
    beside["a ratio a token"] = each["LOOP, four"] - each["LOOP, four, games"]
    points = {name: over_seeds(found, 2) for name, found in beside.items()}
    (alike, reach), (tokens, wide) = points["LOOP beside GRPO, no std"], points["a ratio a token"]
    claims = [
        no_worse("points beside imitation of games that were won, low end", 0.0,
                 low_over_seeds(beside["LOOP beside imitation"]), source=NOTES),
        no_worse("four steps a batch: points of a ratio a token beside one a game", 0.0, tokens,
                 slack=wide, source=SOURCE),
    ]  # fmt: skip
    short = [no_worse("points beside GRPO without its deviation", 0.0, alike, slack=reach,
                      source=NOTES)]  # fmt: skip
    told = {name: over_seeds(found, 2) for name, found in each.items()}
    return results(claims, not_met=short, points=points, each=told)


def one_seed(config: Config, seed: int) -> dict[str, float]:
    generator = np.random.default_rng(seed)
    start = TablePolicy(logits=begun(generator))
    trial = [TASK.draw_world(np.random.default_rng((seed, 2, n))) for n in range(config.held_out)]
    found = {"start": won(start, trial, seed)}
    for name, (method, updates, rate) in RUNS.items():
        generator, policy = np.random.default_rng((seed, 1)), start
        for _ in range(config.games // (WORLDS * GAMES)):
            worlds = [w for _ in range(WORLDS) for w in [TASK.draw_world(generator)] * GAMES]
            draws = played(policy, worlds, generator)
            policy = policy.climbed(method, draws, rate, updates, generator)
        found[name] = won(policy, trial, seed)
    return found


def won(policy: TablePolicy, worlds: list[DoorWorld], seed: int) -> float:
    """In 100."""
    return 100.0 * float(played(policy, worlds, np.random.default_rng((seed, 3))).reward.mean())


def begun(generator: np.random.Generator) -> np.ndarray:
    """Tends to take a key, to open a door with the key, and to walk on where it walked."""
    logits = 0.5 * generator.standard_normal((5, 2, 3, 2, 2, 2, 4))
    logits[:, :, :, 0, 1, :, 2] += 2.0
    logits[:, :, :, 1, :, 1, 3] += 2.0
    for action in range(2):
        logits[1 + action, 1, ..., action] += 1.0
    return logits.reshape(CELLS, 4)


def played(
    policy: TablePolicy, worlds: list[DoorWorld], generator: np.random.Generator
) -> TableDraws:
    """A game in a fresh copy of each; a cell is what was done last, whether that changed what is
    seen, and what is seen now. GAMES neighbours are of one world."""
    bounds = softmax(policy.logits, axis=1).cumsum(axis=1)
    at, said = (np.full((len(worlds), TASK.horizon), -1) for _ in range(2))
    reward = np.zeros(len(worlds))
    for row, world in enumerate(worlds):
        world = replace(world, invalid=0.0)
        last, moved, sight, is_over, turn = 0, 1, world.prompt, False, 0
        chance = generator.random(TASK.horizon)
        while not is_over:
            cell = ((2 * last + moved) * 3 + "abc".index(sight[0])) * 8
            cell += 4 * int(sight[1]) + 2 * ("k" in sight) + ("d" in sight[2:])
            action = min(int(np.searchsorted(bounds[cell], chance[turn])), 3)
            at[row, turn], said[row, turn] = cell, action
            told = world.step(ACTIONS[action])
            last, moved, sight = action + 1, int(told.text != sight), told.text
            reward[row], turn, is_over = reward[row] + told.reward, turn + 1, told.is_over
    group = np.arange(len(worlds)) // GAMES
    return TableDraws(at=at, said=said, group=group, reward=reward, is_turn=True)


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
