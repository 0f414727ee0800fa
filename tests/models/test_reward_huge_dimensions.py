"""States of language models have a few numbers far larger than the rest: they change nothing."""

import numpy as np
import pyarrow as pa
import pytest

from models import opposed_judges
from penchant.encoders.dimension_sizes import dimension_sizes
from penchant.models.reward_model import HABITS, RewardModel
from penchant.models.reward_scorer import RewardScorer, Texts
from penchant.serving.json_weights import json_weights

WIDE = np.r_[800.0, 1.0, 250.0, np.ones(3)].astype(np.float32)


def stretched(records):
    """The same records whose embeddings have two huge numbers, far from zero."""
    texts = records.options["text"].to_pylist()
    place = np.array([int(text.split()[1]) for text in texts])
    vectors = (opposed_judges.VECTORS[place] * WIDE + np.where(WIDE > 1, 3 * WIDE, 0.0)).astype(
        np.float32
    )
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    return records.with_columns(options={"embedding": lists}), vectors


@pytest.fixture(scope="module")
def world():
    records = opposed_judges.first_answers(opposed_judges.judged_by(opposed_judges.TASTES)[0])
    return records, *stretched(records)


def fitted(records, **more):
    given = {"personal": HABITS, "num_draws": 30, **more}
    return RewardModel(attributes=(), **given).fit(records)


def test_a_few_huge_numbers_change_neither_rewards_nor_what_is_known_of_them(world):
    plain, wide, _ = world
    one, other = fitted(plain), fitted(wide)
    said, again = one.judge(plain), other.judge(wide)
    np.testing.assert_allclose(again.gap, said.gap, atol=0.05)
    np.testing.assert_allclose(again.high - again.low, said.high - said.low, rtol=0.05)
    np.testing.assert_allclose(again.ignorance, said.ignorance, atol=0.02)
    np.testing.assert_allclose(again.probabilities, said.probabilities, atol=0.01)
    notes = " ".join(other.belief_.report.warnings)
    assert "2 of the 6 numbers of an embedding differ" in notes
    assert "numbers of an embedding" not in " ".join(one.belief_.report.warnings)


def test_new_texts_lie_as_near_and_are_as_unknown(world):
    plain, wide, _ = world
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((40, 6)).astype(np.float32)
    texts = [f"new {k}" for k in range(40)]
    told = []
    for records, unit, shift in ((plain, 1.0, 0.0), (wide, WIDE, np.where(WIDE > 1, 3 * WIDE, 0))):
        scorer = RewardScorer.of(fitted(records).belief_)
        asked = Texts(texts=texts, vectors=(vectors * unit + shift).astype(np.float32))
        told.append(scorer.score(asked))
    # What is shared by all texts is no nearness of two of them; by it all would be near.
    np.testing.assert_allclose(told[0].ignorance, told[1].ignorance, atol=0.03)
    assert np.corrcoef(told[0].high - told[0].low, told[1].high - told[1].low)[0, 1] > 0.95


def test_json_weights_and_saved_models_are_of_the_embedding_as_it_is(world, tmp_path):
    _, wide, vectors = world
    for more in ({}, {"kinds": 2, "personal": True, "num_draws": 200, "people": "classes"}):
        model = fitted(wide, **more)
        scorer = RewardScorer.of(model.belief_)
        weights = json_weights(scorer)
        told = vectors[:20] @ np.array(weights["weights"]) + weights["bias"]
        asked = Texts(texts=[f"unmet {k}" for k in range(20)], vectors=vectors[:20])
        reward = scorer.score(asked).reward
        np.testing.assert_allclose(told - told[0], reward - reward[0], atol=2e-3)
        model.save(tmp_path / str(len(more)))
        again = RewardScorer.load(tmp_path / str(len(more))).score(asked)
        np.testing.assert_array_equal(again.reward, reward)


def test_tastes_are_found_beside_huge_numbers(world):
    plain, wide, _ = world
    rows = np.arange(200)
    gaps = [
        np.abs(fitted(r, kinds=2, personal=True, num_draws=200, people="classes").judge(
            r.take(rows), history=r
        ).probabilities[:, 0] - 0.5).mean()
        for r in (plain, wide)
    ]  # fmt: skip
    assert gaps[1] == pytest.approx(gaps[0], abs=0.02)


def test_ordinary_embeddings_are_left_as_they_are():
    rng = np.random.default_rng(0)
    falling = rng.standard_normal((500, 384)) / np.sqrt(1 + np.arange(384))
    assert dimension_sizes(falling) is None
    assert dimension_sizes(np.zeros((0, 4))) is None
    assert dimension_sizes(np.ones((5, 4))) is None
    falling[:, 7] *= 4000
    sizes = dimension_sizes(falling)
    assert (sizes > 1).sum() == 1
    assert (falling / sizes)[:, 7].std() == pytest.approx(np.median(falling.std(axis=0)), rel=1e-3)
