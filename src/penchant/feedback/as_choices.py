"""Answers under logit noise taken apart into plain choices, exactly.

Whatever is learnt from choices (fused loops, posteriors, chains) is then learnt from rankings,
best and worst, ties, ratings and approvals as well, at the cost of a few choices each:

- a ranking is the choice of the best, then of the best of the rest, .. (Luce 1959; the exploded
  logit of Chapman and Staelin 1982);
- the best and the worst are a choice and a choice among utilities turned round, or one choice of
  a pair;
- a tie of Davidson's (1970) is a third option, half of each of the two, and worth the log tie
  strength besides;
- something taken or left is a choice between it and nothing, which is worth the bar;
- an ordered answer l under the logistic is two such choices and a factor that no utility moves:
  F(tau_l - u) - F(tau_{l-1} - u) = F(tau_l - u) F(u - tau_{l-1}) (1 - exp(tau_{l-1} - tau_l)).

Bars, thresholds and tie strengths are the coefficients of columns beside the features. Without
such a form: real outcomes, normal noise, nests, Davidson-Luce's ties, and ties in a ranking that
others come behind, whose probability is a sum over orders.

Legend: B observations, K options, D features, T columns, P own parameters, G groups (people),
J pairs of thresholds next to each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch import Batch, Block
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.feedback.channel_option import Binary, Rating
from penchant.feedback.channel_order import BestWorst, Ranking
from penchant.feedback.channel_pair import GradedPair, Pair
from penchant.feedback.own_columns import OwnColumns
from penchant.feedback.thresholds import Ordered, Symmetric, Thresholds
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class AnswersAsChoices:
    """`choices`: the same answers as choices, whose features are those of the batch and T columns
    for own parameters; a choice's `row` is that of its answer. `columns`: what multiplies the
    columns, and the factor that no utility moves."""

    choices: Batch
    columns: OwnColumns


def as_choices(batch: Batch, channels: tuple[Channel, ...]) -> AnswersAsChoices | None:
    """All answers of a batch as choices; None where one of them has no such form.

    The own parameters are those of the channels, one after the other; each kind of answer is that
    of the one channel that serves it.
    """
    widths = [_num_columns(channel) for channel in channels]
    starts = np.concatenate([[0], np.cumsum(widths)]).astype(int)
    blocks: list[Block] = []
    counts = [np.zeros((batch.num_groups, max(width - 1, 0))) for width in widths]
    for block in batch.blocks:
        place = next(c for c, channel in enumerate(channels) if channel.kind == block.kind)
        channel = channels[place]
        if not _has_form(channel, block):
            return None
        for part in _parts(channel, block):
            if len(part.rows):
                blocks.append(part.block(block, int(starts[place]), int(starts[-1])))
        if (ordered := _ordered_answers(channel, block)) is not None:
            counts[place] += ordered.counts(block, batch.num_groups)
    lower = [starts[c] + np.arange(count.shape[1]) for c, count in enumerate(counts)]
    used = [bool(_thresholds(channel)) for channel in channels]
    return AnswersAsChoices(
        choices=replace(
            batch,
            blocks=tuple(blocks),
            feature_names=batch.feature_names + tuple(f"own column {t}" for t in range(starts[-1])),
        ),
        columns=OwnColumns(
            parts=tuple(_thresholds(channel) for channel in channels),
            sizes=tuple(channel.num_parameters(batch) for channel in channels),
            lower=np.concatenate([np.zeros(0, int), *(x for x, u in zip(lower, used) if u)]),
            counts=np.concatenate(
                [np.zeros((batch.num_groups, 0)), *(x for x, u in zip(counts, used) if u)], axis=1
            ),
        ),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """One choice of each of some rows; columns: of the channel's own, from its first on."""

    rows: Int[Array, " C"]
    features: Float[Array, "C K D"]
    columns: Float[Array, "C K T"]
    offered: Bool[Array, "C K"]
    chosen: Int[Array, " C"]

    def block(self, source: Block, start: int, num_columns: int) -> Block:
        wide = np.zeros((*self.offered.shape, num_columns))
        wide[:, :, start : start + self.columns.shape[2]] = self.columns
        return replace(
            source.take(self.rows),
            kind="choice",
            features=np.concatenate([self.features, wide], axis=2),
            offered=self.offered,
            option=np.where(self.offered, 0, -1),
            answer={"chosen": self.chosen},
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ordered:
    """Answers in levels, one for each of `rows`, which may repeat."""

    rows: Int[Array, " C"]
    features: Float[Array, "C D"]
    level: Int[Array, " C"]
    num_thresholds: int

    def parts(self) -> Iterator[_Part]:
        """Above the threshold below, and below the one above."""
        for is_above, kept in (
            (True, np.flatnonzero(self.level > 0)),
            (False, np.flatnonzero(self.level < self.num_thresholds)),
        ):
            threshold = self.level[kept] - 1 if is_above else self.level[kept]
            yield _against_bar(
                self.rows[kept], self.features[kept],
                np.eye(self.num_thresholds)[threshold], np.full(len(kept), is_above),
            )  # fmt: skip

    def counts(self, block: Block, num_groups: int) -> Float[Array, "G J"]:
        """The weight of each person's answers that fell between each two thresholds."""
        found = np.zeros((num_groups, self.num_thresholds - 1))
        inner = (self.level > 0) & (self.level < self.num_thresholds)
        rows = self.rows[inner]
        np.add.at(found, (block.group[rows], self.level[inner] - 1), block.weight[rows])
        return found


def _against_bar(
    rows: Int[Array, " C"],
    features: Float[Array, "C D"],
    bar: Float[Array, "C T"],
    is_taken: Bool[Array, " C"],
) -> _Part:
    """Something that is worth its features less the bar, or nothing."""
    return _Part(
        rows=rows,
        features=np.stack([features, np.zeros_like(features)], axis=1),
        columns=np.stack([-bar, np.zeros_like(bar)], axis=1),
        offered=np.ones((len(rows), 2), dtype=bool),
        chosen=np.where(is_taken, 0, 1),
    )


def _thresholds(channel: Channel) -> Thresholds | None:
    """Those between ordered answers; None where own parameters are coefficients themselves."""
    if isinstance(channel, Rating):
        return Ordered(channel.levels)
    if isinstance(channel, GradedPair):
        return channel.thresholds()
    if isinstance(channel, Pair) and channel.ties == "rao_kupper":
        return Symmetric(3)
    return None


def _num_columns(channel: Channel) -> int:
    thresholds = _thresholds(channel)
    if thresholds is not None:
        return thresholds.num_thresholds
    is_single = isinstance(channel, Binary) or (isinstance(channel, Pair) and bool(channel.ties))
    return int(is_single)


def _has_form(channel: Channel, block: Block) -> bool:
    if isinstance(channel, Rating):
        return channel.link == "logit" and not channel.by_person
    if isinstance(channel, Pair | GradedPair | Binary):
        return channel.link == "logit"
    if isinstance(channel, Ranking):
        return channel.ties == "exact" and not _has_inner_tie(block)
    return isinstance(channel, Choice | BestWorst)


def _has_inner_tie(block: Block) -> bool:
    rank = np.where(block.offered, block.answer["rank"], 0)
    key = np.where(rank > 0, rank, rank.max(initial=0) + 1)
    behind = (key[:, None, :] > key[:, :, None]) & block.offered[:, None]
    shared = (rank[:, :, None] == rank[:, None]).sum(axis=2) > 1
    return bool((behind.any(axis=2) & shared & (rank > 0)).any())


def _ordered_answers(channel: Channel, block: Block) -> _Ordered | None:
    thresholds = _thresholds(channel)
    if thresholds is None:
        return None
    if isinstance(channel, Rating):
        given = block.offered & (block.answer["level"] >= 0)
        rows, places = np.nonzero(given)
        features, level = block.features[rows, places], block.answer["level"][rows, places]
    else:
        rows = np.arange(len(block))
        features = block.features[:, 0] - block.features[:, 1]
        # Of votes: the second won, a tie, the first won.
        level = (
            block.answer["grade"]
            if block.kind == "graded"
            else np.array([2, 0, 1])[block.answer["outcome"]]
        )
    return _Ordered(
        rows=rows, features=features, level=level, num_thresholds=thresholds.num_thresholds
    )


def _parts(channel: Channel, block: Block) -> Iterator[_Part]:
    """The choices that the answers of a block are made of."""
    ordered = _ordered_answers(channel, block)
    if ordered is not None:
        yield from ordered.parts()
    elif isinstance(channel, Pair) and channel.ties == "davidson":
        yield _davidson(block)
    elif isinstance(channel, Binary):
        answer = block.answer[channel.answer_name].astype(np.int64)
        rows, places = np.nonzero(block.offered & (answer >= 0))
        bar = np.ones((len(rows), 1))
        taken = answer[rows, places] == 1
        yield _against_bar(rows, block.features[rows, places], bar, taken)
    elif isinstance(channel, Ranking):
        yield from _stages(block)
    elif isinstance(channel, BestWorst):
        yield from _best_and_worst(channel, block)
    else:
        chosen = block.answer["outcome" if block.kind == "pair" else "chosen"]
        yield _choice_of(np.arange(len(block)), block.features, block.offered, chosen)


def _choice_of(
    rows: Int[Array, " C"],
    features: Float[Array, "C K D"],
    offered: Bool[Array, "C K"],
    chosen: Int[Array, " C"],
) -> _Part:
    return _Part(
        rows=rows,
        features=features,
        columns=np.zeros((*offered.shape, 0)),
        offered=offered,
        chosen=chosen,
    )


def _davidson(block: Block) -> _Part:
    tie = 0.5 * block.features.sum(axis=1, keepdims=True)
    columns = np.zeros((len(block), 3, 1))
    columns[:, 2] = 1.0
    return _Part(
        rows=np.arange(len(block)),
        features=np.concatenate([block.features, tie], axis=1),
        columns=columns,
        offered=np.ones((len(block), 3), dtype=bool),
        chosen=block.answer["outcome"],
    )


def _stages(block: Block) -> Iterator[_Part]:
    """Each option that stands alone at its rank, chosen from itself and all behind it."""
    rank = np.where(block.offered, block.answer["rank"], 0)
    key = np.where(rank > 0, rank, rank.max(initial=0) + 1)
    for k in range(rank.shape[1]):
        behind = (key > key[:, k : k + 1]) & block.offered
        is_alone = (rank == rank[:, k : k + 1]).sum(axis=1) == 1
        rows = np.flatnonzero((rank[:, k] > 0) & is_alone & behind.any(axis=1))
        offered = behind[rows]
        offered[:, k] = True
        yield _choice_of(rows, block.features[rows], offered, np.full(len(rows), k))


def _best_and_worst(channel: BestWorst, block: Block) -> Iterator[_Part]:
    rows, offered = np.arange(len(block)), block.offered
    best, worst = block.answer["best"], block.answer["worst"]
    if channel.model == "sequential":
        yield _choice_of(rows, block.features, offered, best)
        others = offered.copy()
        others[rows, best] = False
        yield _choice_of(rows, -block.features, others, worst)
        return
    size = offered.shape[1]
    first, second = np.nonzero(~np.eye(size, dtype=bool))
    place = np.full((size, size), -1)
    place[first, second] = np.arange(len(first))
    yield _choice_of(
        rows,
        block.features[:, first] - block.features[:, second],
        offered[:, first] & offered[:, second],
        place[best, worst],
    )
