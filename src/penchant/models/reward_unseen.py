"""What judges of pairs are told apart by: the answers as heads say them that have not seen them.

By the head that has seen a pair, rewards would look surer than they are of pairs to come, so the
answers are cross-fitted (Stone 1974): in five parts, each read by a head fitted on the others.

Legend: B observations.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from penchant.data.batch import Batch
from penchant.encoders.reward import RewardEncoder
from penchant.errors import DataError
from penchant.models.estimator import answered
from penchant.models.reward_head import Lessons, RewardHead
from penchant.models.reward_kinds import TasteDirections, unseen_tastes, with_tastes
from penchant.numerics.arrays import Array

# Parts of the pairs for heads that have not seen a part.
_FOLDS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class UnseenAnswers:
    """batch: the answers as the second stage learns from them. parts: the heads that say them.
    heard: the lessons they come from: those of the heads, or the pairs that these imply where
    nobody compared."""

    batch: Batch
    parts: tuple[RewardHead, ...]
    heard: Lessons


def unseen_answers(
    lessons: Lessons, whole: RewardHead, tastes: TasteDirections | None, seed: int
) -> UnseenAnswers:
    """Each answer by a head that has not seen it; `whole`: the head that has seen all.

    Raises `DataError` where nobody answered.
    """
    shared = unseen_parts(lessons, whole, seed)
    batch, fold, is_told = shared.batch, shared.fold, shared.fold >= 0
    has_choices = bool(choices_of(batch).blocks)
    num_folds = int(fold.max()) + 1
    if num_folds < 2:
        return UnseenAnswers(batch=batch, parts=(), heard=lessons)
    parts = [_part(lessons, is_told & (fold != k), whole, tastes, k) for k in range(num_folds)]
    heard = lessons
    if not has_choices:
        pairs, row = lessons.in_pairs(fold, seed)
        if len(row):
            heard, fold = pairs, fold[row]
            batch = encode_lessons(heard, whole.encoder)
    return UnseenAnswers(
        batch=_said_by(parts, fold, heard, batch, whole), parts=tuple(parts), heard=heard
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class UnseenParts:
    """batch: the answers by the head of all. fold: the part in which each observation is left out,
    -1 without an answer."""

    batch: Batch
    fold: Int[Array, " B"]


def unseen_parts(lessons: Lessons, whole: RewardHead, seed: int) -> UnseenParts:
    """The parts that are left out in turn, at most five: whoever judged the same texts is in one.

    Raises `DataError` where nobody answered.
    """
    batch = encode_lessons(lessons, whole.encoder)
    is_told = told_rows(lessons, batch)
    if not is_told.any():
        raise DataError(
            f"none of the {len(lessons.weight)} pairs has an answer; expected at least one. Fill "
            "in who won, or name the column that says it."
        )
    menu = lessons.menus() if choices_of(batch).blocks else lessons.asked()
    return UnseenParts(batch=batch, fold=_shared_out(menu, is_told, seed))


def choices_of(batch: Batch) -> Batch:
    """The choices of the batch alone."""
    return replace(batch, blocks=tuple(b for b in batch.blocks if b.kind == "choice"))


def encode_lessons(lessons: Lessons, encoder: RewardEncoder) -> Batch:
    """The answered observations, weighed as the lessons are."""
    if lessons.is_pair.all():
        batch = encoder.encode_pairs(lessons.records, lessons.pairs(np.arange(len(lessons.weight))))
    else:
        batch = encoder.encode_mixed(lessons.records, lessons.is_pair, lessons.embedded)
        blocks = tuple(replace(b, weight=lessons.weight[b.row]) for b in batch.blocks)
        batch = replace(batch, blocks=blocks)
    return answered(batch)


def told_rows(lessons: Lessons, batch: Batch) -> Bool[Array, " B"]:
    """Which observations of the lessons the batch holds an answer of."""
    told = np.zeros(len(lessons.weight), dtype=bool)
    for block in batch.blocks:
        told[block.row] = True
    return told


def _shared_out(menu: Int[Array, " B"], told: Bool[Array, " B"], seed: int) -> Int[Array, " B"]:
    """The part of each answer, -1 without one. Whoever judges the same texts belongs to the same
    part."""
    met, place = np.unique(menu[told], return_inverse=True)
    part = np.random.default_rng(seed).permutation(len(met)) % min(_FOLDS, len(met))
    fold = np.full(len(told), -1)
    fold[told] = part[place.reshape(-1)]
    return fold


def _part(
    lessons: Lessons, kept: Bool[Array, " B"], whole: RewardHead, tastes: TasteDirections | None,
    seed: int,
) -> RewardHead:  # fmt: skip
    """The head that has seen these alone, as much shrunk as the whole one."""
    head = lessons.fit(kept, whole.encoder.prior_scale)
    return head if tastes is None else with_tastes(head, unseen_tastes(lessons, kept, tastes, seed))


def _said_by(
    parts: list[RewardHead], fold: Int[Array, " B"], heard: Lessons, batch: Batch, whole: RewardHead
) -> Batch:
    """The batch with what the head of each part says of its answers: the reward, and places along
    the directions of taste."""
    features = [block.features.copy() for block in batch.blocks]
    names = ("reward", *whole.encoder.taste_names)
    by_heads = np.array([name in names for name in batch.feature_names])
    for k, part in enumerate(parts):
        said = encode_lessons(heard, part.encoder)
        for own, block, other in zip(features, batch.blocks, said.blocks):
            there = np.ix_(fold[block.row] == k, np.ones(own.shape[1], bool), by_heads)
            own[there] = other.features[there]
    blocks = tuple(replace(b, features=f) for b, f in zip(batch.blocks, features))
    return replace(batch, blocks=blocks)
