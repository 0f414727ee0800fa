"""Trees of games: at each history some actions, tried by search, and how games went on from each.

A history is what was read and written before a turn of the policy's; actions tried at one are
siblings. A game is worth 1 where its last turn earned 1 or more, 0 otherwise.

Legend: H histories, U actions, B worlds.
"""

import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.lm.language_model import LanguageModel
from penchant.lm.sample import SampleConfig
from penchant.numerics.arrays import Array
from penchant.policies.language.episodes import (
    Act,
    Episodes,
    Line,
    draw_acts,
    episodes_of_lines,
    opened_lines,
    play_on,
    take_turn,
)
from penchant.policies.language.rollouts import check_support
from penchant.simulation.tasks.task import TextWorld


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchConfig:
    """simulations: games played from the beginning of each world. width: actions drawn at a
    history, of which those that are the same token for token are one. explore: c, how much what was
    seldom tried is tried. own_rank: 0 to 1, the share in Q of where the model itself ranks an
    action among its siblings (1 the first, 0 the last), by how likely it finds them."""

    simulations: int = 32
    width: int = 4
    explore: float = 1.0
    own_rank: float = 0.0

    def __post_init__(self) -> None:
        if self.simulations < 1 or self.width < 2:
            raise ConfigError(
                f"got simulations={self.simulations} and width={self.width}; expected a game or "
                "more, and two actions or more: one alone has nothing to be compared with."
            )
        if self.explore < 0.0 or not 0.0 <= self.own_rank <= 1.0:
            raise ConfigError(
                f"got explore={self.explore} and own_rank={self.own_rank}; expected 0 or more, and "
                "a share from 0 to 1."
            )


@dataclass(eq=False)
class Step:
    """An action tried at a history. rank: among its siblings by likelihood, 1 the first, 0 the
    last. won: of the games through it, `visits` in all. after: where it led, None before."""

    act: Act
    rank: float
    visits: int = 0
    won: float = 0.0
    after: "History | None" = None

    def value(self, own_rank: float) -> float:
        """Q(h, a): the mean of games through it (0 before the first) and the model's own rank."""
        return (1.0 - own_rank) * self.won / max(self.visits, 1) + own_rank * self.rank


@dataclass(eq=False)
class History:
    """line: as it stands before the turn, or at the end. steps: tried from here. visits: games
    through it."""

    line: Line
    steps: list[Step] = field(default_factory=list)
    visits: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Searched:
    """roots: one a world. num_drawn: tokens that the search took, those of actions that were never
    done and of games beyond the tree among them."""

    roots: tuple[History, ...]
    config: SearchConfig
    num_drawn: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """All actions that were done in some trees. rows: tokens of each history. history_of, ids,
    log_prob: of each action, the last as they were drawn. visits: games through it. value: Q."""

    rows: list[list[int]]
    history_of: Int[Array, " U"]
    ids: list[list[int]]
    log_prob: list[list[float]]
    visits: Int[Array, " U"]
    value: Float[Array, " U"]


def search(
    model: LanguageModel,
    worlds: Sequence[TextWorld],
    config: SearchConfig,
    sampling: SampleConfig,
    generator: Any,
    *,
    version: int = 0,
) -> Searched:
    """A tree for each world, grown by the policy's games (Agent Q, Putta et al. 2024).

    At a history h the action of the largest Q(h, a) + c sqrt(log N(h) / (1 + N(h, a))) is done, up
    to a history that no game met: there `width` actions are drawn for later games, and the policy
    plays on to the end by itself; whether it won counts for every action on the way. `generator` is
    torch's; worlds are copied, never stepped in. Raises as `episodes.play` does.
    """
    check_support(sampling)
    # Of copies: a step in one game must not be one in another.
    lines = opened_lines(model, [deepcopy(world) for world in worlds], sampling.most_tokens)
    roots = tuple(History(line) for line in lines)
    num_drawn = 0
    for _ in range(config.simulations):
        ways = [_way(root, config, model, sampling.most_tokens) for root in roots]
        ends = [end for _, end in ways]
        num_drawn += _widen(model, ends, config, sampling, generator, version)
        games = [deepcopy(end.line) for end in ends]
        play_on(model, games, sampling, generator, version=version)
        for (steps, end), game in zip(ways, games, strict=True):
            end.visits += 1
            num_drawn += _num_written(game) - _num_written(end.line)
            for history, step in steps:
                history.visits += 1
                step.visits += 1
                step.won += float(game.rewards[-1] >= 1.0)
    return Searched(roots=roots, config=config, num_drawn=num_drawn)


def steps_of(searched: Searched) -> Steps:
    """The actions that one game or more went through, with their histories."""
    kept = [
        (history, [step for step in history.steps if step.visits])
        for root in searched.roots
        for history in _histories(root)
    ]
    kept = [(history, steps) for history, steps in kept if steps]
    flat = [step for _, steps in kept for step in steps]
    return Steps(
        rows=[history.line.ids for history, _ in kept],
        history_of=np.repeat(np.arange(len(kept)), [len(steps) for _, steps in kept]),
        ids=[step.act.ids for step in flat],
        log_prob=[step.act.log_prob for step in flat],
        visits=np.array([step.visits for step in flat], dtype=int),
        value=np.array([step.value(searched.config.own_rank) for step in flat], dtype=float),
    )  # fmt: skip


def play_searched(
    model: LanguageModel,
    searched: Searched,
    sampling: SampleConfig,
    generator: Any,
) -> Episodes:
    """A game in each world that was searched: at each history the action that most games went
    through (of those the one of the highest Q), beyond the tree the policy by itself."""
    own_rank, ends = searched.config.own_rank, []
    for root in searched.roots:
        end = root
        while met := [step for step in end.steps if step.after is not None]:
            best = max(met, key=lambda step: (step.visits, step.value(own_rank)))
            assert best.after is not None
            end = best.after
        ends.append(deepcopy(end.line))
    starts = np.array([len(root.line.ids) for root in searched.roots])
    play_on(model, ends, sampling, generator)
    return episodes_of_lines(model, ends, starts, np.arange(len(ends)))


def _way(
    root: History, config: SearchConfig, model: LanguageModel, most_tokens: int
) -> tuple[list[tuple[History, Step]], History]:
    """Histories and the actions done there, and where that ends: a history that is new, or an end
    of the game."""
    steps: list[tuple[History, Step]] = []
    here = root
    while here.steps:
        step = max(here.steps, key=_hope(here, config))
        steps.append((here, step))
        if step.after is None:
            line = deepcopy(here.line)
            take_turn(line, step.act, model, most_tokens)
            step.after = History(line)
        here = step.after
    return steps, here


def _hope(history: History, config: SearchConfig) -> Any:
    tried = math.log(max(history.visits, 1))
    return lambda step: (
        step.value(config.own_rank) + config.explore * math.sqrt(tried / (1 + step.visits))
    )


def _widen(
    model: LanguageModel,
    ends: Sequence[History],
    config: SearchConfig,
    sampling: SampleConfig,
    generator: Any,
    version: int,
) -> int:
    """Actions for the histories that go on and have none; how many tokens that took."""
    new = [end for end in ends if end.line.is_open]
    if not new:
        return 0
    rows = [end.line.ids for end in new]
    drawn = draw_acts(model, rows, config.width, sampling, generator, version)
    for history, acts in zip(new, drawn, strict=True):
        apart = list({tuple(act.ids): act for act in acts}.values())
        order = np.argsort([-sum(act.log_prob) for act in apart], kind="stable")
        place = np.empty(len(apart))
        place[order] = np.arange(len(apart))
        rank = 1.0 - place / max(len(apart) - 1, 1)
        history.steps = [Step(act=act, rank=float(r)) for act, r in zip(apart, rank)]
    return sum(len(act.ids) for acts in drawn for act in acts)


def _histories(root: History) -> Iterator[History]:
    open_ = [root]
    while open_:
        here = open_.pop()
        yield here
        open_ += [step.after for step in here.steps if step.after is not None]


def _num_written(line: Line) -> int:
    return sum(turn >= 0 for turn in line.turn_of)
