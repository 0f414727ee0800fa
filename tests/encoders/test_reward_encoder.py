"""Texts with their embeddings, and judgements of them as choices of (first, second, tie)."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.encoders.embedding import EmbeddingColumn
from penchant.encoders.reward import RewardEncoder
from penchant.encoders.reward_pairs import read_pairs
from penchant.encoders.text_attributes import text_attributes
from penchant.errors import DataError
from penchant.feedback import pairwise

TEXTS = ["short", "a rather longer text", "SHOUTING!"]
VECTORS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 2.0]], dtype=np.float32)


def judged(shown=((0, 1), (1, 2), (2, 0)), outcome=(0, 2, 1), people=("ann", "bob", "ann"), **more):
    places = np.array(shown)
    lists = pa.array([VECTORS[place].tolist() for place in places.ravel()])
    return Records.from_arrays(
        options={
            "text": pa.array([TEXTS[place] for place in places.ravel()]),
            "embedding": more.get("embedding", lists),
        },
        menu_sizes=np.full(len(places), 2),
        kind="pair",
        rows={"person": list(people), "outcome": np.array(outcome)},
        extras=("embedding",),
    )


def encoder(**changes):
    known = {
        "embedding": EmbeddingColumn(), "mean": np.array([0.5, 0.5], dtype=np.float32),
        "weights": np.array([0.3, -0.2]), "attributes": ("length",), "spread": np.array([2.0]),
        "coefficients": np.array([0.7]), "doubt": np.eye(2, dtype=np.float32) * 0.1,
        "prior_scale": 0.5, "has_ties": True,
    }  # fmt: skip
    return RewardEncoder(**{**known, **changes})


def test_a_text_shown_twice_is_embedded_once():
    found = EmbeddingColumn().embed(judged())
    assert found.texts == tuple(TEXTS)
    np.testing.assert_array_equal(found.vectors, VECTORS)
    np.testing.assert_array_equal(found.of_option, [0, 1, 1, 2, 2, 0])


def test_half_precision_lists_behind_a_dictionary_read_alike():
    flat = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.astype(np.float16).ravel()), 2)
    shown = pa.DictionaryArray.from_arrays(pa.array([0, 1, 1, 2, 2, 0], pa.int32()), flat)
    found = EmbeddingColumn().embed(judged(embedding=shown))
    np.testing.assert_array_equal(found.vectors, VECTORS)


def test_a_judgement_is_davidsons_in_the_rewards():
    records = judged()
    batch = encoder().encode(records)
    assert batch.feature_names == ("reward", "length", "shown_first", "tie")
    pairs = read_pairs(records, EmbeddingColumn())
    rewards = encoder().rewards(pairs.embedded)
    length = text_attributes(TEXTS, ["length"])[:, 0]
    np.testing.assert_allclose(rewards, (VECTORS - 0.5) @ [0.3, -0.2] + 0.35 * length)
    block = batch.blocks[0]
    # Reward at weight 1, and a tie worth log nu: what is left are Davidson's probabilities.
    worths = block.features @ np.array([1.0, 0.0, 0.0, -0.4])
    made = np.exp(worths) / np.exp(worths).sum(axis=1, keepdims=True)
    both = np.stack([rewards[pairs.first], rewards[pairs.second]], axis=1)
    expected = pairwise.davidson_probabilities(both, np.full((1, 1), -0.4))
    np.testing.assert_allclose(made, expected[block.row], rtol=1e-12)
    np.testing.assert_array_equal(block.answer["chosen"], pairs.outcome[block.row])


def test_rows_of_a_person_stand_together():
    batch = encoder().encode(judged())
    assert batch.group_names == ("ann", "bob")
    np.testing.assert_array_equal(batch.blocks[0].row, [0, 2, 1])
    np.testing.assert_array_equal(batch.blocks[0].group, [0, 0, 1])


def test_doubt_about_a_gap_is_that_of_the_weights():
    pairs = read_pairs(judged(), EmbeddingColumn())
    root = np.array([[0.2, 0.0], [0.1, 0.3]], dtype=np.float32)
    now, before = encoder(doubt=root).gap_variances(pairs)
    gap = VECTORS[pairs.first] - VECTORS[pairs.second]
    np.testing.assert_allclose(now, np.einsum("bi,ij,bj->b", gap, root @ root.T, gap), rtol=1e-5)
    np.testing.assert_allclose(before, 0.25 * (gap**2).sum(axis=1), rtol=1e-6)


def test_what_cannot_be_read_is_refused_in_words():
    with pytest.raises(DataError, match="no column 'numbers' of embeddings"):
        EmbeddingColumn(column="numbers").embed(judged())
    uneven = pa.array([[1.0, 2.0], [1.0], [1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 2.0]])
    with pytest.raises(DataError, match="'a rather longer text' has 1 numbers where others have 2"):
        EmbeddingColumn().embed(judged(embedding=uneven))
    with pytest.raises(DataError, match="observation 1 is a tie"):
        encoder(has_ties=False).encode(judged())
    three = Records.from_arrays(
        options={"text": TEXTS}, menu_sizes=np.array([3]), kind="choice",
        rows={"chosen": np.array([0])},
    )  # fmt: skip
    with pytest.raises(DataError, match="observation 0 is of kind 'choice' with 3 texts"):
        read_pairs(three, EmbeddingColumn())
