"""Which texts a model has met, and how near a new one lies to those.

Legend: T texts, N of them to be placed, H that were met, A of those kept as anchors, E dimensions
of the embedding.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from jaxtyping import Bool, Float, UInt64

from penchant.encoders.embedding import Embedded
from penchant.numerics.arrays import Array


def text_keys(
    texts: Sequence[str], prompts: Sequence[str | None] | None = None
) -> UInt64[Array, " T"]:
    """A number by which a text, after its prompt where it has one, is known again, the same on
    every machine."""
    before = [None] * len(texts) if prompts is None else prompts
    # Lengths tell a prompt's end from the text's beginning; without a prompt the text stands alone.
    whole = (f"{len(p)}\0{p}{t}" if p else t for p, t in zip(before, texts, strict=True))
    digests = b"".join(
        blake2b(each.encode("utf-8", "surrogatepass"), digest_size=8).digest() for each in whole
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def known_texts(embedded: Embedded, keys: UInt64[Array, " H"]) -> Bool[Array, " T"]:
    """Which texts are among the keys: after their prompts, or by themselves where the keys were
    made without any."""
    known = np.isin(text_keys(embedded.texts), keys)
    if embedded.prompts is not None:
        known |= np.isin(text_keys(embedded.texts, embedded.prompts), keys)
    return known


def nearness(
    vectors: Float[Array, "N E"], anchors: Float[Array, "A E"], chunk: int = 4096
) -> Float[Array, " N"]:
    """The cosine between each embedding and the nearest anchor, which have length one."""
    across = np.asarray(anchors, dtype=np.float32).T
    length = np.linalg.norm(vectors, axis=1)
    found = np.concatenate([np.zeros(0, dtype=np.float32)] + [
        (vectors[at : at + chunk].astype(np.float32) @ across).max(axis=1)
        for at in range(0, len(vectors), chunk)
    ])  # fmt: skip
    return np.clip(found / np.where(length > 0, length, 1.0), 0.0, 1.0).astype(np.float64)
