"""What the answers of a batch say before any fit: their range, their shares, where to start.

Legend: N answers, L levels, M own parameters.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError, DataError
from penchant.feedback.cumulative import Link
from penchant.numerics.arrays import Array


def blocks_of(batch: Batch, kind: str) -> Iterator[Block]:
    """The blocks of one kind."""
    return (block for block in batch.blocks if block.kind == kind)


def answers_of(batch: Batch, kind: str, name: str) -> Array:
    """All answers of one kind in one flat array, of offered options where there is one for each.

    Raises DataError where the batch has none.
    """
    found = []
    for block in blocks_of(batch, kind):
        values = block.answer[name]
        found.append(values[block.offered] if values.ndim == 2 else values)
    if not found:
        raise DataError(
            f"the batch holds no feedback of kind {kind!r}, only "
            f"{sorted({block.kind for block in batch.blocks})}; expected at least one. Drop the "
            "channel for this kind, or check the filters that came before."
        )
    return np.concatenate(found)


def check_levels(levels: int) -> None:
    """Raises ConfigError for fewer than two levels."""
    if levels < 2:
        raise ConfigError(f"levels is {levels}; expected at least 2. Count the possible answers.")


def check_labels(labels: tuple[str, ...], levels: int) -> None:
    """Raises ConfigError where some levels have a name and others none."""
    if labels and len(labels) != levels:
        raise ConfigError(
            f"there are {len(labels)} labels {labels} for {levels} levels; "
            "expected one each, lowest first, or none."
        )


def validate_levels(answers: Int[Array, " N"], levels: int, lowest: int) -> None:
    """Raises DataError for an answer outside lowest .. levels - 1."""
    low, high = int(answers.min()), int(answers.max())
    if low < lowest or high >= levels:
        raise DataError(
            f"answers run from {low} to {high}; expected {lowest} to {levels - 1}, since `levels` "
            f"is {levels}. Set `levels` to {high + 1}, or recode the answers to start at 0."
        )


def ordered_names(levels: int, labels: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Of the parameters of `Ordered` thresholds; levels are numbered where they have no labels."""
    called = labels or tuple(str(level) for level in range(levels))
    steps = tuple(f"log threshold step {below}|{above}" for below, above in pairwise(called[1:]))
    return (f"threshold {called[0]}|{called[1]}", *steps)


def answer_shares(answers: Int[Array, " N"], size: int) -> Float[Array, " L"]:
    """The share of each answer, with half a count more each, so that no share is 0 or 1."""
    counts = np.bincount(answers[answers >= 0], minlength=size) + 0.5
    return counts / counts.sum()


def ordered_start(shares: Float[Array, " L"], link: Link) -> Float[Array, " M"]:
    """Parameters of `Ordered` thresholds that give these shares at utility zero."""
    tau = quantiles(np.cumsum(shares)[:-1], link)
    return np.concatenate([tau[:1], np.log(np.diff(tau))])


def quantiles(p: Float[Array, " L"], link: Link) -> Float[Array, " L"]:
    """The inverse of the link: where its distribution function is p."""
    if link == "logit":
        return np.log(p) - np.log1p(-p)
    from scipy.special import ndtri

    return ndtri(p)


def sizes_of_ties(batch: Batch) -> tuple[tuple[int, ...], int]:
    """All sizes from two on in which ranked options tie, and the largest tie that needs a sum.

    A tie at the end of a full ranking counts for the first but not for the second: any order of
    it will do.
    """
    sizes: set[int] = set()
    largest = 1
    for block in blocks_of(batch, "ranking"):
        rank = np.where(block.offered, block.answer["rank"], 0)
        is_last = (rank == rank.max(axis=1, keepdims=True)) & ~(block.offered & (rank == 0)).any(
            axis=1, keepdims=True
        )
        tied = ((rank[:, :, None] == rank[:, None]) & (rank > 0)[:, None]).sum(axis=2)
        sizes |= set(np.unique(tied[(rank > 0) & (tied > 1)]).tolist())
        largest = max(largest, int(tied[(rank > 0) & ~is_last].max(initial=1)))
    return tuple(sorted(sizes)), largest
