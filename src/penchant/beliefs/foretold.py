"""What a belief expects of answers of every kind, before anybody has given them.

Legend: B observations, C rows of a chunk, K options, L levels of a scale, S kinds of people.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief
from penchant.data.batch import Batch, Block
from penchant.errors import DataError
from penchant.feedback.channel_contract import Channel
from penchant.feedback.channel_option import Outcome, Rating
from penchant.feedback.channel_pair import GradedPair
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Foretold:
    """The answers of one block, averaged over kinds of people.

    answers: the probability of every possible answer, laid out as the channel says: options of a
    choice [B, K], who wins and a tie [B, 2 or 3], grades [B, L], who comes first [B, K], best and
    worst [B, K, K], levels [B, K, L], taken [B, K]; of an outcome, which is a real number, nothing
    [B, 0]. preferred: that each option is chosen, wins, comes first, is best or is taken; NaN of
    ratings and outcomes. expected: the mean rating (in the numbers of the scale; of a scale in
    words, its levels counted from 1) or the mean outcome; NaN of everything else. levels: what
    those of ratings or grades are called, lowest first.
    """

    kind: str
    answers: Float[Array, "B ..."]
    preferred: Float[Array, "B K"]
    expected: Float[Array, "B K"]
    levels: tuple[str, ...] = ()

    @property
    def tie(self) -> Float[Array, " B"]:
        """The probability of a tie: the third answer to a pair, or the middle of an odd number of
        grades; NaN where there can be none."""
        if self.kind == "pair" and self.answers.shape[1] == 3:
            return self.answers[:, 2]
        if self.kind == "graded" and self.answers.shape[1] % 2:
            return self.answers[:, self.answers.shape[1] // 2]
        return np.full(len(self.answers), np.nan)

    @property
    def worst(self) -> Float[Array, "B K"]:
        """The probability that each option is worst; NaN where nobody is asked for it."""
        if self.kind != "best_worst":
            return np.full(self.preferred.shape, np.nan)
        return self.answers.sum(axis=1)


def foretell(belief: Belief, batch: Batch, history: Batch | None = None) -> tuple[Foretold, ...]:
    """What is expected of each block, `history` being earlier answers of the same people.

    p(y) = sum_s w[g, s] p(y | u_s): averaged outside the likelihood, over kinds of people. A belief
    that was fitted on choices alone foretells the first of a ranking and the best of a menu too.
    Raises `DataError` for other kinds that the belief has no likelihood for.
    """
    made = tuple(_nothing_yet(belief, batch, block) for block in batch.blocks)
    for worths in belief.utilities(batch, history):
        here, rows = made[worths.block], worths.rows
        block = batch.blocks[worths.block].take(rows)
        weights_CS = np.exp(worths.log_weights)
        channel = _serving(belief, block.kind)
        if channel is None:
            chosen = belief._chosen(block, worths.utilities)
            here.preferred[rows] = np.einsum("cks,cs->ck", chosen, weights_CS)
            continue
        own = channel.transfer(
            belief.channel_theta(belief.channels.index(channel)), belief.group_names, batch
        )
        if isinstance(channel, Outcome):
            mean = np.einsum("cks,cs->ck", worths.utilities, weights_CS)
            here.expected[rows] = mean + (own[1] if channel.has_intercept else 0.0)
            continue
        found = channel.probabilities(worths.utilities, block, own[:, None])
        answers = np.einsum("c...s,cs->c...", found, weights_CS)
        here.answers[rows] = answers
        if block.kind == "rating":
            here.expected[rows] = answers @ values_of(here.levels)
        else:
            here.preferred[rows] = _preferred(block, answers)
    return made


def mean_of(draws: Sequence[tuple[Foretold, ...]]) -> tuple[Foretold, ...]:
    """The mean over draws of our doubt."""
    return tuple(
        Foretold(
            kind=each[0].kind,
            answers=np.mean([one.answers for one in each], axis=0),
            preferred=np.mean([one.preferred for one in each], axis=0),
            expected=np.mean([one.expected for one in each], axis=0),
            levels=each[0].levels,
        )
        for each in zip(*draws, strict=True)
    )


def values_of(levels: tuple[str, ...]) -> Float[Array, " L"]:
    """The levels as numbers: their own where all are numbers, else counted from 1."""
    try:
        return np.array([float(level) for level in levels])
    except ValueError:
        return np.arange(1.0, len(levels) + 1.0)


def check_answers(belief: Belief, batch: Batch) -> None:
    """Raise `DataError` for an answer that the belief holds impossible, such as a tie where none
    was seen, or a level above all that were."""
    for kind in dict.fromkeys(block.kind for block in batch.blocks):
        channel = _serving(belief, kind)
        if channel is not None:
            channel.validate(batch)


def _nothing_yet(belief: Belief, batch: Batch, block: Block) -> Foretold:
    shape = block.offered.shape
    channel = _serving(belief, block.kind)
    levels = _levels(channel)
    answers: tuple[int, ...] = {
        "pair": (len(block), 2 if getattr(channel, "ties", None) is None else 3),
        "graded": (len(block), len(levels)),
        "best_worst": (*shape, shape[1]),
        "rating": (*shape, len(levels)),
        "outcome": (len(block), 0),
    }.get(block.kind, shape)
    if channel is None:
        answers = (len(block), 0)
        if block.kind not in ("choice", "pair", "ranking", "best_worst"):
            kinds = sorted({channel.kind for channel in belief.channels})
            raise DataError(
                f"the belief has no likelihood for feedback of kind {block.kind!r}; it was fitted "
                f"on {kinds}. Keep only rows of these kinds, or fit on data that has this kind too."
            )
    return Foretold(
        kind=block.kind,
        answers=np.zeros(answers),
        preferred=np.full(shape, np.nan),
        expected=np.full(shape, np.nan),
        levels=levels,
    )


def _preferred(block: Block, answers: Float[Array, "C ..."]) -> Float[Array, "C K"]:
    """The probability that each option is preferred, from those of all answers."""
    if block.kind == "best_worst":
        return answers.sum(axis=2)
    if block.kind == "graded":
        half = answers.shape[1] // 2
        return np.stack([answers[:, -half:].sum(axis=1), answers[:, :half].sum(axis=1)], axis=1)
    return answers[:, : block.offered.shape[1]]


def _serving(belief: Belief, kind: str) -> Channel | None:
    return next((channel for channel in belief.channels if channel.kind == kind), None)


def _levels(channel: Channel | None) -> tuple[str, ...]:
    if not isinstance(channel, Rating | GradedPair):
        return ()
    return channel.labels or tuple(str(level) for level in range(channel.levels))
