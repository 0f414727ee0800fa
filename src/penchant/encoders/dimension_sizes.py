"""What the dimensions of an embedding are measured in, where a few are far larger than the rest.

Some numbers of a language model's states are hundreds of times as large as the others (Dettmers et
al. 2022; Sun et al. 2024, massive activations). One prior for all weights then says next to nothing
of these few and, beside them, that the rest is worth nothing.

Legend: T texts, E dimensions.
"""

import numpy as np
from jaxtyping import Float, Float32

from penchant.numerics.arrays import Array

# Beyond so many times the median standard deviation a dimension is measured in its own. Seen: up to
# 100 times the head is the same, from 150 on it learns nothing (a prior of the gaps' size).
HUGE = 30.0
# Texts that tell it: more would cost a pass over all.
_MOST_TEXTS = 4096


def dimension_sizes(vectors: Float[Array, "T E"]) -> Float32[Array, " E"] | None:
    """The standard deviation of dimensions that have more than 30 medians of it, in medians; 1 of
    all others. None where there are no such dimensions."""
    some = vectors[:: max(len(vectors) // _MOST_TEXTS, 1)].astype(np.float64)
    spread = some.std(axis=0) if len(some) else np.zeros(vectors.shape[1])
    usual = np.median(spread[spread > 0]) if (spread > 0).any() else 1.0
    is_huge = spread > HUGE * usual
    if not is_huge.any():
        return None
    return np.where(is_huge, spread / usual, 1.0).astype(np.float32)


def told_of_sizes(sizes: Float32[Array, " E"] | None) -> tuple[str, ...]:
    """What a reader should know of them, in a sentence."""
    if sizes is None:
        return ()
    huge = sizes[sizes > 1.0]
    return (
        f"{len(huge)} of the {len(sizes)} numbers of an embedding differ {huge.min():.0f} to "
        f"{huge.max():.0f} times as much from text to text as half of the others do: they were "
        "measured in what they differ by, so that one prior suits all.",
    )
