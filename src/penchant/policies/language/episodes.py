"""Rollouts of several turns: the policy writes a line, a world answers, until it is over.

A row is the prompt, what the policy wrote, what the world said, and so on; nothing is made into
text and back. Only what the policy wrote is trained, observations are read.

Legend: B rows (one a world), N turns, T1 tokens after those before them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import DataError
from penchant.lm.language_model import LanguageModel
from penchant.lm.precision import at_least_single
from penchant.lm.sample import SampleConfig, sample
from penchant.lm.tokens import padded
from penchant.numerics.arrays import Array
from penchant.policies.language.rollouts import Rollouts, check_support, prompt_ids
from penchant.simulation.tasks.task import TextWorld


@dataclass(frozen=True, kw_only=True, eq=False)
class Episodes:
    """rollouts: with the policy's turns in `turn_of`. turn_reward: 0 after the last turn. observed:
    what the policy read before each turn, the empty text after the last. said: what it wrote in
    each of its turns. is_solved: whether the last turn earned 1 or more."""

    rollouts: Rollouts
    turn_reward: Float[Array, "B N"]
    observed: tuple[tuple[str, ...], ...]
    said: tuple[tuple[str, ...], ...]
    is_solved: Bool[Array, " B"]


@dataclass
class Line:
    """One row while it grows."""

    world: TextWorld
    ids: list[int]
    turn_of: list[int]
    log_prob: list[float]
    entropy: list[float]
    observed: list[str]
    rewards: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    is_open: bool = True
    is_over: bool = False
    version: int | None = None

    def grow(self, ids: list[int], turn: int, log_prob: list[float], entropy: list[float]) -> None:
        self.ids += ids
        self.turn_of += [turn] * len(ids)
        self.log_prob += log_prob
        self.entropy += entropy


@dataclass(frozen=True, kw_only=True, eq=False)
class Act:
    """What the policy wrote in a turn: tokens, each with the log-probability it was drawn with and
    the entropy it was drawn from. version: of the weights that drew it."""

    ids: list[int]
    log_prob: list[float]
    entropy: list[float]
    version: int = 0


@runtime_checkable
class Chooser(Protocol):
    """Which of `num` actions is done after each row."""

    @property
    def num(self) -> int: ...

    def __call__(
        self, rows: Sequence[Sequence[int]], candidates: Sequence[Sequence[Sequence[int]]]
    ) -> Int[Array, " B"]: ...


def play(
    model: LanguageModel,
    worlds: Sequence[TextWorld],
    world_of: Int[Array, " B"],
    config: SampleConfig,
    generator: Any,
    *,
    version: int = 0,
    choose: Chooser | None = None,
) -> Episodes:
    """Play each world once, with at most `config.most_tokens` a turn; `generator` is torch's.

    world_of: which worlds are copies of one another. choose: draws several actions at each turn, of
    which one is done; what the others took is not in the rows, and `log_prob` is of the draw, not
    of the choice. A row ends where the world is over or the window has no room for a turn. Raises
    `DataError` for a prompt that leaves room for none.
    """
    check_support(config)
    lines = opened_lines(model, worlds, config.most_tokens)
    starts = np.array([len(line.ids) for line in lines])
    play_on(model, lines, config, generator, version=version, choose=choose)
    return episodes_of_lines(model, lines, starts, world_of)


def opened_lines(model: LanguageModel, worlds: Sequence[TextWorld], most_tokens: int) -> list[Line]:
    """A row for each world, which holds its prompt. Raises `DataError` for one that leaves no room
    for a turn of so many tokens."""
    window, lines = model.network.window, []
    for world in worlds:
        begun = prompt_ids(model.tokenizer, world.prompt)
        if window and len(begun) + most_tokens > window:
            raise DataError(
                f"a world begins with {len(begun)} tokens and a turn may have "
                f"{most_tokens}; expected {window} in all, the model's window. Lower "
                "`most_tokens`, or use a model with a larger window."
            )
        none = [0.0] * len(begun)
        lines.append(Line(world, begun, [-1] * len(begun), list(none), none, [world.prompt]))
    return lines


def play_on(
    model: LanguageModel,
    lines: Sequence[Line],
    config: SampleConfig,
    generator: Any,
    *,
    version: int = 0,
    choose: Chooser | None = None,
) -> None:
    """Play these rows from where they stand to their ends."""
    num = 1 if choose is None else choose.num
    while going := [line for line in lines if line.is_open]:
        acts = draw_acts(model, [line.ids for line in going], num, config, generator, version)
        chosen = np.zeros(len(going), dtype=int)
        if choose is not None:
            candidates = [[act.ids for act in mine] for mine in acts]
            chosen = choose([line.ids for line in going], candidates)
        for line, mine, k in zip(going, acts, chosen):
            take_turn(line, mine[k], model, config.most_tokens)


def draw_acts(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    num: int,
    config: SampleConfig,
    generator: Any,
    version: int = 0,
) -> list[list[Act]]:
    """So many actions after each row."""
    drawn = sample(model, rows, config, generator, copies=num)
    acts = [
        Act(
            ids=drawn.ids[k][real].tolist(), log_prob=drawn.log_prob[k][real].tolist(),
            entropy=drawn.entropy[k][real].tolist(),
            version=version if drawn.version is None else int(drawn.version[k]),
        )
        for k, real in enumerate(drawn.is_text)
    ]  # fmt: skip
    return [acts[first : first + num] for first in range(0, len(acts), num)]


def take_turn(line: Line, act: Act, model: LanguageModel, most_tokens: int) -> None:
    """The action is done in the row's world, whose answer is read; a row without room for a turn of
    so many tokens is at its end."""
    if line.version is None:
        # The first turn's are the oldest: weights are only ever replaced by later ones.
        line.version = act.version
    line.grow(act.ids, len(line.rewards), act.log_prob, act.entropy)
    tokenizer, window = model.tokenizer, model.network.window
    action = tokenizer.decode(act.ids)
    turn = line.world.step(action)
    line.said.append(action)
    line.rewards.append(turn.reward)
    line.is_open, line.is_over = not turn.is_over, turn.is_over
    if line.is_open:
        heard = tokenizer.encode(turn.text)
        if window and len(line.ids) + len(heard) + most_tokens > window:
            line.is_open = False
            return
        line.grow(heard, -1, [0.0] * len(heard), [0.0] * len(heard))
        line.observed.append(turn.text)


def episodes_of_lines(
    model: LanguageModel,
    lines: Sequence[Line],
    starts: Int[Array, " B"],
    world_of: Int[Array, " B"],
) -> Episodes:
    """What was played, row by row; starts: where each row's first turn begins."""
    most = max(len(line.rewards) for line in lines)
    rewards = np.zeros((len(lines), most))
    for row, line in enumerate(lines):
        rewards[row, : len(line.rewards)] = line.rewards
    return Episodes(
        rollouts=rollouts_of_lines(model, lines, starts, world_of),
        turn_reward=rewards,
        observed=tuple((*line.observed, *[""] * (most - len(line.observed))) for line in lines),
        said=tuple(tuple(line.said) for line in lines),
        is_solved=np.array([line.rewards[-1] >= 1.0 for line in lines]),
    )


def rollouts_of_lines(
    model: LanguageModel,
    lines: Sequence[Line],
    starts: Int[Array, " B"],
    prompt_of: Int[Array, " B"],
) -> Rollouts:
    """Rows of what was read and written."""
    device = next(iter(model.parameters.values())).device
    tokens = padded([line.ids for line in lines], model.tokenizer.pad).to(device)
    shape = (len(lines), tokens.ids.shape[1])
    turn_of = np.full(shape, -1)
    log_prob, entropy = np.zeros(shape), np.zeros(shape)
    for row, line in enumerate(lines):
        size = len(line.ids)
        turn_of[row, :size] = line.turn_of
        log_prob[row, :size], entropy[row, :size] = line.log_prob, line.entropy
    like = at_least_single(next(iter(model.parameters.values())).new_zeros(0))
    return Rollouts(
        tokens=tokens,
        is_drawn=turn_of[:, 1:] >= 0,
        log_prob=like.new_tensor(log_prob[:, 1:]),
        entropy=like.new_tensor(entropy[:, 1:]),
        start=starts,
        turn_of=turn_of[:, 1:],
        prompt_of=np.asarray(prompt_of),
        responses=tuple(" / ".join(line.said) for line in lines),
        has_ended=np.array([line.is_over for line in lines]),
        version=np.array([line.version for line in lines]),
    )
