"""What comes before any reward: demonstrations as rows of tokens, and a decoder taught by them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int

from penchant.fitting.next_token import fit_next_token
from penchant.fitting.sgd import TrainConfig, Training
from penchant.lm.byte_tokenizer import ByteTokenizer
from penchant.lm.decoder import Decoder, DecoderConfig, fresh_parameters
from penchant.lm.language_model import LanguageModel
from penchant.lm.tokens import Tokenizer
from penchant.numerics.arrays import Array
from penchant.policies.language.rollouts import demonstration_ids
from penchant.policies.language.unpaired import Judged
from penchant.simulation.tasks.task import TextTask, WorldTask, demonstrated

# From one decoder to the next, and from one round of its lessons to the next: seeds of other runs,
# which are small numbers in a row, are not met on the way.
_DECODERS, _ROUNDS = 1_000, 1_000_003


# What one does after all that was read, and after what one has done before it.
Player = Callable[[Sequence[str], Sequence[str]], str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lessons:
    """Rows of tokens, and of each the place from which on it is learnt."""

    rows: Sequence[Sequence[int]]
    from_place: Int[Array, " N"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Teaching:
    """num: demonstrations. training: passes over them."""

    num: int = 1_500
    training: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            batch_size=64, max_epochs=4, learning_rate=3e-3, patience=None
        )
    )
    seed: int = 0


def fresh_decoder(shape: DecoderConfig, seed: int = 0) -> LanguageModel:
    """A decoder of bytes that knows nothing."""
    import torch

    return LanguageModel(
        network=Decoder(config=shape),
        parameters=fresh_parameters(shape, torch.Generator().manual_seed(seed)),
        tokenizer=ByteTokenizer(), name=f"decoder of {shape.layers} layers of {shape.width}",
    )  # fmt: skip


def lessons_of(
    task: TextTask | WorldTask, num: int, generator: np.random.Generator, tokenizer: Tokenizer
) -> Lessons:
    """So many problems with their right answers; of worlds, games played as shown, in which what
    the world says is learnt too."""
    if isinstance(task, WorldTask):
        told = [_shown(task, generator, tokenizer) for _ in range(num)]
    else:
        told = [
            demonstration_ids(tokenizer, problem.prompt, problem.demonstration)
            for problem in task.draw(num, generator)
        ]
    rows, places = zip(*told, strict=True)
    return Lessons(rows=rows, from_place=np.array(places))


def lessons_by(
    task: WorldTask, player: Player, num: int, generator: np.random.Generator, tokenizer: Tokenizer
) -> Lessons:
    """So many games of a player who need not know the world nor play well; what the world says is
    learnt too."""
    told = []
    for _ in range(num):
        world = task.draw_world(generator)
        read, is_over = [world.prompt], False
        did: list[str] = []
        while not is_over:
            did.append(player(read, did))
            turn = world.step(did[-1])
            read.append(turn.text)
            is_over = turn.is_over
        told.append(_as_row([*zip(read, did)], tokenizer))
    rows, places = zip(*told, strict=True)
    return Lessons(rows=rows, from_place=np.array(places))


def taught(
    model: LanguageModel, task: TextTask | WorldTask, teaching: Teaching
) -> tuple[LanguageModel, Training]:
    """The model after demonstrations of the task."""
    lessons = lessons_of(
        task, teaching.num, np.random.default_rng((teaching.seed, 1)), model.tokenizer
    )
    return fit_next_token(model, lessons.rows, teaching.training, from_place=lessons.from_place)


def taught_further(
    model: LanguageModel, task: TextTask | WorldTask, teaching: Teaching, rounds: int
) -> Iterator[LanguageModel]:
    """The model after a round of demonstrations, after two, and so on: each round draws its own,
    the first those of `taught`."""
    for turn in range(rounds):
        own = replace(teaching, seed=teaching.seed + turn * _ROUNDS)
        model = taught(model, task, own)[0]
        yield model


def decoders_taught(
    task: TextTask | WorldTask,
    shape: DecoderConfig,
    teaching: Teaching,
    *,
    rounds: int,
    decoders: int = 3,
) -> Iterator[LanguageModel]:
    """A fresh decoder after one round, two and so on, then another: from where a start is taken
    (`evaluation.policy_start.screened`), some seeds learning late and some never."""
    for other in range(decoders):
        own = replace(teaching, seed=teaching.seed + other * _DECODERS)
        yield from taught_further(fresh_decoder(shape, own.seed), task, own, rounds)


def taught_by_own(
    model: LanguageModel, judged: Judged, training: TrainConfig
) -> tuple[LanguageModel, Training]:
    """The model after the desired ones of its own answers, of games after what it wrote in them:
    rejection sampling (RAFT, Dong et al. 2023)."""
    kept = np.flatnonzero(judged.is_desired).tolist()
    return fit_next_token(
        model, [judged.rows[b] for b in kept], training,
        from_place=np.maximum(judged.place[kept], 1),
        own=None if judged.own is None else [judged.own[b] for b in kept],
    )  # fmt: skip


def taught_from_scratch(
    task: TextTask | WorldTask, shape: DecoderConfig, num: int, epochs: int, seed: int
) -> LanguageModel:
    """A fresh decoder that has gone through so many demonstrations so often."""
    training = TrainConfig(
        batch_size=64, max_epochs=epochs, learning_rate=3e-3, patience=None, seed=seed
    )
    teaching = Teaching(num=num, training=training, seed=seed)
    return taught(fresh_decoder(shape, seed), task, teaching)[0]


def _shown(
    task: WorldTask, generator: np.random.Generator, tokenizer: Tokenizer
) -> tuple[list[int], int]:
    return _as_row(demonstrated(task.draw_world(generator)), tokenizer)


def _as_row(turns: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> tuple[list[int], int]:
    """What was read before each turn and what was done, as tokens; where the first turn begins."""
    row, place = demonstration_ids(tokenizer, *turns[0])
    end = [] if tokenizer.end is None else [tokenizer.end]
    for read, action in turns[1:]:
        row += [*tokenizer.encode(read), *tokenizer.encode(action), *end]
    return row, place
