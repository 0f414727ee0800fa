"""Games longer than the context: what was read makes room for a note of the policy's own.

A game is then several rows. Each begins with the question and the last note, is read up to its end
and trained where the policy wrote just there: every token that was drawn is trained in one row.

Legend: B rows, R games.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.lm.language_model import LanguageModel
from penchant.lm.sample import SampleConfig, sample
from penchant.numerics.arrays import Array
from penchant.policies.language.episodes import Line, rollouts_of_lines
from penchant.policies.language.rollouts import Rollouts, check_support, prompt_ids
from penchant.simulation.tasks.task import TextWorld


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextConfig:
    """cap: tokens of context at most, the next turn's among them; what a note is asked with and
    the note itself come on top. most_notes: in a game. asked_by: what asks for a note where the cap
    is reached (SUPO, 2025). taken_by: how an action begins that is a note at any time (MemAct,
    2025); None where the policy may not."""

    cap: int
    most_notes: int = 3
    asked_by: str | None = "note:"
    taken_by: str | None = None

    def __post_init__(self) -> None:
        if self.cap < 1 or self.most_notes < 0:
            raise ConfigError(
                f"got cap={self.cap} and most_notes={self.most_notes}; expected a token or more, "
                "and 0 notes or more."
            )
        if self.taken_by == "":
            raise ConfigError("got taken_by='', with which every action begins; expected a word.")


@dataclass(frozen=True, kw_only=True, eq=False)
class ManagedEpisodes:
    """rollouts: rows, in the order of their games. game_of: of each row. reward: of each game.
    is_limited: whether it was broken off for want of room or notes; is_solved: whether its last
    turn earned 1 or more."""

    rollouts: Rollouts
    game_of: Int[Array, " B"]
    reward: Float[Array, " R"]
    is_limited: Bool[Array, " R"]
    is_solved: Bool[Array, " R"]


@dataclass
class _Game:
    world: TextWorld
    begun: list[int]
    line: Line
    rows: list[tuple[Line, int]]
    notes: int = 0
    is_asked: bool = False
    is_limited: bool = False
    is_solved: bool = False
    reward: float = 0.0


def play_managed(
    model: LanguageModel,
    worlds: Sequence[TextWorld],
    world_of: Int[Array, " R"],
    config: SampleConfig,
    context: ContextConfig,
    generator: Any,
    *,
    version: int = 0,
) -> ManagedEpisodes:
    """Play each world once; `generator` is torch's. world_of: which are copies of one another;
    their first rows share `prompt_of`, later rows have their own.

    Raises `ConfigError` where the window holds no cap with a note on top, or the cap no turn.
    """
    check_support(config)
    ask = [] if context.asked_by is None else model.tokenizer.encode(context.asked_by)
    window, most = model.network.window, config.most_tokens
    if window and context.cap + len(ask) + most > window:
        raise ConfigError(
            f"got a cap of {context.cap} tokens for a window of {window}; expected room for "
            f"{len(ask) + most} more, a note and what asks for it."
        )
    games = [_opened(world, prompt_ids(model.tokenizer, world.prompt)) for world in worlds]
    longest = max(len(game.begun) for game in games)
    if longest + most > context.cap:
        raise ConfigError(
            f"got a cap of {context.cap} tokens where a world begins with {longest} and a turn may "
            f"have {most}; expected {longest + most} or more."
        )
    while going := [game for game in games if game.line.is_open]:
        drawn = sample(model, [game.line.ids for game in going], config, generator)
        for row, game in enumerate(going):
            real = drawn.is_text[row]
            said = drawn.ids[row][real].tolist()
            if game.line.version is None:
                game.line.version = version if drawn.version is None else int(drawn.version[row])
            game.line.grow(said, len(game.line.said), drawn.log_prob[row][real].tolist(),
                           drawn.entropy[row][real].tolist())  # fmt: skip
            text = model.tokenizer.decode(said)
            game.line.said.append(text)
            takes = context.taken_by is not None and text.startswith(context.taken_by)
            if game.is_asked or takes:
                note = [token for token in said if token != model.tokenizer.end]
                _noted(game, note, context, most)
            else:
                _answered(game, text, model, context, ask, most)
    return _episodes(model, games, world_of)


def _opened(world: TextWorld, begun: list[int]) -> _Game:
    line = _fresh(world, begun)
    return _Game(world=world, begun=begun, line=line, rows=[(line, len(begun))])


def _fresh(world: TextWorld, ids: list[int]) -> Line:
    none = [0.0] * len(ids)
    return Line(world, list(ids), [-1] * len(ids), list(none), none, [])


def _noted(game: _Game, note: list[int], context: ContextConfig, most: int) -> None:
    """A new row behind the question and the note; the old one is done."""
    game.line.is_open, game.is_asked, game.notes = False, False, game.notes + 1
    begun = [*game.begun, *note]
    if game.notes > context.most_notes or len(begun) + most > context.cap:
        game.is_limited = True
        return
    game.line = _fresh(game.world, begun)
    game.rows.append((game.line, len(begun)))


def _answered(
    game: _Game, text: str, model: LanguageModel, context: ContextConfig, ask: list[int], most: int
) -> None:
    turn = game.world.step(text)
    game.reward += turn.reward
    if turn.is_over:
        game.line.is_open, game.line.is_over = False, True
        game.is_solved = turn.reward >= 1.0
        return
    heard = model.tokenizer.encode(turn.text)
    if len(game.line.ids) + len(heard) + most > context.cap:
        if context.asked_by is None or game.notes >= context.most_notes:
            game.line.is_open, game.is_limited = False, True
            return
        # What the turn told is in the note's sight, as far as the cap goes.
        heard = [*heard[: max(context.cap - len(game.line.ids), 0)], *ask]
        game.is_asked = True
    game.line.grow(heard, -1, [0.0] * len(heard), [0.0] * len(heard))


def _episodes(
    model: LanguageModel, games: Sequence[_Game], world_of: Int[Array, " R"]
) -> ManagedEpisodes:
    rows = [(number, at, line, start) for number, game in enumerate(games)
            for at, (line, start) in enumerate(game.rows)]  # fmt: skip
    later, size = 0, int(np.max(world_of)) + 1
    prompt_of = []
    for number, at, _, _ in rows:
        prompt_of.append(int(world_of[number]) if at == 0 else size + later)
        later += at > 0
    return ManagedEpisodes(
        rollouts=rollouts_of_lines(
            model, [line for _, _, line, _ in rows], np.array([start for *_, start in rows]),
            np.array(prompt_of),
        ),
        game_of=np.array([number for number, *_ in rows]),
        reward=np.array([game.reward for game in games]),
        is_limited=np.array([game.is_limited for game in games]),
        is_solved=np.array([game.is_solved for game in games]),
    )  # fmt: skip
