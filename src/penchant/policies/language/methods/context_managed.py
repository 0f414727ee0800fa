"""Games of several rows: notes are trained with what they led to, and a game counts once.

Legend: B rows, T1 tokens after those before them.
"""

import copy
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.credit import advantage
from penchant.policies.language.gathering import Ask, Gathered
from penchant.policies.language.grading import Grades
from penchant.policies.language.loss import to_tokens
from penchant.policies.language.managed_episodes import ContextConfig, play_managed
from penchant.policies.language.methods.anchor import check_in_loss
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups, grpo
from penchant.policies.language.methods.method import Heard, Seen
from penchant.policies.language.returns import first_of_rollout
from penchant.policies.language.scheduling import rows_of_budget
from penchant.simulation.tasks.task import Problem, TextTask


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextManaged(OnGroups):
    """SUPO (2025; notes asked for) and MemAct (2025; notes taken): a game's credit, among the games
    of its world, to all of its rows; mean and scale over games, each counted once.

    masks_limited: games broken off for want of room or notes are neither trained nor counted.
    rows_a_world: exactly so many rows of each world are trained, games alike (MemAct's budget, not
    the gradient of games), None all. With a cap that is never reached it is `base` on whole games.
    """

    context: ContextConfig
    masks_limited: bool = True
    rows_a_world: int | None = None
    base: GroupRelative = field(default_factory=grpo)

    def __post_init__(self) -> None:
        check_in_loss(self.base.anchor)
        if self.rows_a_world is not None and self.rows_a_world < 1:
            raise ConfigError(f"got rows_a_world={self.rows_a_world}; expected a row or more.")

    def gathered(self, ask: Ask) -> Gathered:
        """Copies of each world, played with notes."""
        if isinstance(ask.task, TextTask):
            raise ConfigError(
                "notes make room in games of several turns and got a task of single answers; "
                "expected a world such as LOOK."
            )
        first = [ask.task.draw_world(ask.draws) for _ in range(ask.num_problems)]
        worlds = [copy.deepcopy(world) for world in first for _ in range(ask.group_size)]
        world_of = np.repeat(np.arange(len(first)), ask.group_size)
        played = play_managed(
            ask.model, worlds, world_of, ask.sampling, self.context, ask.generator,
            version=ask.version,
        )  # fmt: skip
        rows = self._rows(world_of[played.game_of], played.game_of, ask.draws)
        game = played.game_of[rows]
        rollouts, reward = played.rollouts.take(rows), played.reward[game]
        spent = int(played.rollouts.lengths.sum() - rollouts.lengths.sum())
        problems = [
            Problem(prompt=world.prompt, demonstration="", difficulty=world.difficulty)
            for world in first
        ]
        solved = played.is_solved[game].astype(float)
        return Gathered(
            rollouts=rollouts, problems=tuple(problems[w] for w in world_of[game]),
            grades=Grades(components={"correct": solved}, reward=reward, failed=0),
            turn_reward=reward[:, None], group=world_of[game], spent=spent,
            is_plain=first_of_rollout(game, np.arange(len(game))),
            told={"game": game, "group": world_of[game], "limited": played.is_limited[game]},
        )  # fmt: skip

    def _rows(
        self, world: Int[Array, " B"], game: Int[Array, " B"], draws: np.random.Generator
    ) -> Int[Array, " _"]:
        if self.rows_a_world is None:
            return np.arange(len(game))
        found = []
        for each in np.unique(world):
            mine = np.flatnonzero(world == each)
            found.append(mine[rows_of_budget(game[mine], self.rows_a_world, draws)])
        return np.concatenate(found)

    def heard(self, seen: Seen) -> Heard:
        game, group = seen.told["game"], seen.told["group"]
        is_counted = seen.is_scored & ~(seen.told["limited"] & self.masks_limited)
        first = first_of_rollout(game, np.arange(len(game)))
        credit = advantage(
            np.where(is_counted, seen.reward, 0.0), np.where(is_counted, group, -1), game,
            first & is_counted, leave_one_out=self.base.leave_one_out, scale=self.base.scale,
        ).advantage  # fmt: skip
        own = np.arange(len(game))[:, None]
        unit_of = np.where(seen.rollouts.is_drawn & is_counted[:, None], own, -1)
        return Heard(unit_of=unit_of, advantage=to_tokens(credit, unit_of))
