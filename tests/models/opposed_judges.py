"""Judges of two tastes that agree in one dimension and are opposed in another."""

import numpy as np
import pyarrow as pa

from penchant.data.records import Records

# Two tastes that agree on the first dimension and part on the second.
TASTES = np.array([[0.7, 1.5, 0, 0, 0, 0], [0.7, -1.5, 0, 0, 0, 0]])
NUM_PEOPLE, EACH, KNOWN, TEXTS = 80, 20, 14, 80
VECTORS = np.random.default_rng(0).standard_normal((TEXTS, 6)).astype(np.float32)


def judged_by(tastes, seed=0, favour=0.0):
    """Pairs with ties of judges who each have one of these tastes; whose, the truth, and kinds."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, len(tastes), NUM_PEOPLE)
    person = np.repeat(np.arange(NUM_PEOPLE), EACH)
    first = rng.integers(0, TEXTS, len(person))
    second = (first + rng.integers(1, TEXTS, len(person))) % TEXTS
    gap = ((VECTORS[first] - VECTORS[second]) * tastes[kind[person]]).sum(axis=1) + favour
    worth = np.exp(np.stack([0.5 * gap, -0.5 * gap, np.full(len(gap), -0.7)], axis=1))
    chance = worth / worth.sum(axis=1, keepdims=True)
    outcome = (rng.random(len(gap))[:, None] > np.cumsum(chance, axis=1)).sum(axis=1)
    shown = np.column_stack([first, second]).ravel().astype(np.int32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 6)
    words = pa.array([f"text {place}" for place in range(TEXTS)])
    records = Records.from_arrays(
        options={"text": pa.DictionaryArray.from_arrays(shown, words),
                 "embedding": pa.DictionaryArray.from_arrays(shown, lists)},
        menu_sizes=np.full(len(person), 2), kind="pair",
        rows={"person": [f"p{p}" for p in person], "outcome": outcome}, extras=("embedding",),
    )  # fmt: skip
    return records, chance, kind


def first_answers(records):
    return records.take(np.flatnonzero(np.arange(len(records)) % EACH < KNOWN))
