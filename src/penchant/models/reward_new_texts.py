"""What a head's word is worth of texts that it has not met, and how ignorant it is of them.

Heads that have seen other pairs of the same texts know more than they will of texts to come:
whoever leaves pairs out leaves too little out. Here whole texts are.

Legend: B observations, T distinct texts.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from penchant.beliefs.belief import Belief
from penchant.data.batch import Batch
from penchant.encoders.reward import RewardEncoder, text_keys
from penchant.metrics.intervals import Z95
from penchant.models.reward_head import Lessons, RewardHead
from penchant.numerics.arrays import Array

_PARTS = 5
# So many groups of connected texts are shared out whole; fewer (debates, a list of items) would
# leave a part too much like no other, and their texts are shared out one by one.
_MANY_GROUPS = 50
# A text is as good as unknown, whatever else is, where the data left this share of the variance.
_UNKNOWN = 0.95


@dataclass(frozen=True, kw_only=True, eq=False)
class LeftOut:
    """A head and what it has not seen a text of: rows of pairs with all their texts left out, and
    the texts."""

    head: RewardHead
    rows: Int[Array, " _"]
    texts: Int[Array, " _"]


def left_out_texts(
    lessons: Lessons, told: Bool[Array, " B"], prior_scale: float, seed: int
) -> tuple[LeftOut, ...]:
    """Heads that have not met a part of the texts: groups of texts that comparisons connect where
    there are many, else single texts. Empty where a part would leave nothing to learn from."""
    part = _parts(lessons, told, seed)
    lowest, highest = _span(lessons, part)
    made = []
    for k in range(int(part.max(initial=-1)) + 1):
        judged = told & (lowest == k) & (highest == k)
        kept = told & ~lessons.touches(part == k)
        if judged.any() and kept.any():
            made.append(
                LeftOut(
                    head=lessons.fit(kept, prior_scale),
                    rows=np.flatnonzero(judged),
                    texts=np.flatnonzero(part == k),
                )
            )
    return tuple(made)


def with_new_texts(
    encoder: RewardEncoder,
    lessons: Lessons,
    parts: tuple[LeftOut, ...],
    seen: Batch,
    encode: Callable[[RewardEncoder], Batch],
    fit: Callable[[Batch], Belief],
) -> tuple[RewardEncoder, tuple[str, ...]]:
    """The encoder with what it needs to know of texts that it has not met, and what to say of it.

    The share that a new text's content counts for is the weight of rewards by heads that had met
    neither text over that by heads that had not met the pair (`seen`), each by `fit`, at most 1.
    usual_ignorance: what 99 in 100 of such pairs (or texts) left at most.
    """
    pairs, texts = _usual(lessons, parts)
    encoder = replace(encoder, usual_ignorance=pairs, usual_text_ignorance=texts)
    if not parts or not seen.blocks:
        return encoder, ()
    rows = np.sort(np.concatenate([part.rows for part in parts]))
    if len(np.unique(lessons.menus()[rows])) < 2:
        return encoder, ()
    unseen = _judged(seen, parts, encode)
    new, known = fit(unseen), fit(seen)
    assert new.covariance is not None
    weight, error, full = float(new.theta[0]), float(new.covariance[0, 0] ** 0.5), known.theta[0]
    if full <= 0.0:
        return encoder, ()
    share = min(weight / float(full), 1.0)
    encoder = replace(encoder, new_text_share=share, known_texts=text_keys(lessons.embedded.texts))
    if share > 0.9:
        return encoder, ()
    low, high = (max(weight + z * error, 0.0) / float(full) for z in (-Z95, Z95))
    return encoder, (
        f"Of texts that it has not met, the head's word counts for {share:.2f} ({low:.2f} to "
        f"{high:.2f}) of what it counts for of those that it has: their rewards are drawn in by as "
        "much." + ("" if low > 0.0 else " Nothing is known to have been learnt of new texts."),
    )


def _judged(seen: Batch, parts: tuple[LeftOut, ...], encode: Callable) -> Batch:
    """The rows left out, each with the reward by the head that met none of its texts."""
    blocks = []
    features = [block.features.copy() for block in seen.blocks]
    there = [np.zeros(len(block), dtype=bool) for block in seen.blocks]
    for part in parts:
        said = encode(part.head.encoder)
        for own, met, block, other in zip(features, there, seen.blocks, said.blocks):
            mine = np.isin(block.row, part.rows)
            own[mine, :, 0] = other.features[mine, :, 0]
            met |= mine
    for own, met, block in zip(features, there, seen.blocks):
        if met.any():
            blocks.append(replace(block, features=own).take(np.flatnonzero(met)))
    return replace(seen, blocks=tuple(blocks))


def _usual(lessons: Lessons, parts: tuple[LeftOut, ...]) -> tuple[float, float]:
    """Of pairs, and of texts beside the mean text."""
    of_pairs, of_texts = [np.zeros(0)], [np.zeros(0)]
    for part in parts:
        encoder = part.head.encoder
        now, before = (v[part.texts] for v in encoder.text_variances(lessons.embedded))
        of_texts.append(now[before > 0] / before[before > 0])
        rows = part.rows[lessons.is_pair[part.rows]]
        if len(rows):
            now, before = encoder.gap_variances(lessons.pairs(rows))
            of_pairs.append(now[before > 0] / before[before > 0])
    texts = _most(np.concatenate(of_texts), _UNKNOWN)
    return _most(np.concatenate(of_pairs), texts), texts


def _most(ignorance: Array, otherwise: float) -> float:
    if not len(ignorance):
        return otherwise
    return min(float(np.quantile(ignorance, 0.99)), _UNKNOWN)


def _parts(lessons: Lessons, told: Bool[Array, " B"], seed: int) -> Int[Array, " T"]:
    """A part for each text; -1 for texts that nobody answered about."""
    group = lessons.connected(told)
    met = np.unique(group[group >= 0])
    if len(met) < _MANY_GROUPS:
        group = np.where(group >= 0, np.arange(len(group)), -1)
        met = np.flatnonzero(group >= 0)
    part = np.full(len(group), -1)
    shuffled = np.random.default_rng(seed).permutation(len(met)) % min(_PARTS, max(len(met), 1))
    part[group >= 0] = shuffled[np.searchsorted(met, group[group >= 0])]
    return part


def _span(lessons: Lessons, part: Int[Array, " T"]) -> tuple[Array, Array]:
    """The lowest and the highest part of each observation's texts."""
    of_option, start = part[lessons.embedded.of_option], lessons.records.offsets[:-1]
    return np.minimum.reduceat(of_option, start), np.maximum.reduceat(of_option, start)
