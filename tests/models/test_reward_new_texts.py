"""Texts that a reward model has not met: what its word counts for, and when to flag them."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.models.reward_model import RewardModel
from penchant.models.reward_scorer import RewardScorer, Texts

DIMENSIONS = 40


def quirky(seed, num_texts=300, num_pairs=8000):
    """Texts with a worth of their own beside what their embeddings say."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((num_texts, DIMENSIONS)).astype(np.float32)
    content = vectors @ (rng.standard_normal(DIMENSIONS) * 0.12)
    worth = content + 1.2 * rng.standard_normal(num_texts)
    first = rng.integers(0, num_texts, num_pairs)
    second = (first + rng.integers(1, num_texts, num_pairs)) % num_texts
    outcome = (rng.random(num_pairs) > 1 / (1 + np.exp(worth[second] - worth[first]))).astype(int)
    return vectors, np.column_stack([first, second]), outcome


def records_of(vectors, pairs, outcome):
    shown = pairs.ravel()
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors[shown].ravel()), vectors.shape[1])
    return Records.from_arrays(
        options={"text": pa.array([f"t{i}" for i in shown]), "embedding": lists},
        menu_sizes=np.full(len(pairs), 2),
        kind="pair",
        rows={"person": [f"p{i % 40}" for i in range(len(pairs))], "outcome": outcome},
        extras=("embedding",),
    )


def slope(odds, outcome):
    """Of a logistic regression of the answers on the log-odds foretold."""
    value = 1.0
    for _ in range(30):
        said = 1 / (1 + np.exp(-value * odds))
        value += (odds @ ((outcome == 0) - said)) / (odds**2 @ (said * (1 - said)))
    return value


@pytest.fixture(scope="module")
def worlds():
    """Models fitted on the pairs of two thirds of the texts, and the pairs of the others."""
    made = []
    for seed in range(3):
        vectors, pairs, outcome = quirky(seed)
        is_new = np.arange(len(vectors)) >= 200
        met = is_new[pairs].sum(axis=1)
        model = RewardModel(personal=False, attributes=(), ties=None)
        model.fit(records_of(vectors, pairs[met == 0], outcome[met == 0]))
        made.append((model, vectors, pairs[met == 2], outcome[met == 2]))
    return made


def test_probabilities_of_new_texts_mean_what_they_say(worlds):
    odds, outcomes, sure = [], [], []
    for model, vectors, pairs, outcome in worlds:
        said = model.judge(records_of(vectors, pairs, outcome)).probabilities
        odds.append(np.log(said[:, 0] / said[:, 1]))
        outcomes.append(outcome)
        encoder = model.belief_.encoder
        assert encoder.new_text_share < 0.7
        assert any("it has not met" in w for w in model.belief_.report.warnings)
        # As if the texts had been met: what they were said to be worth before.
        naive = RewardModel()
        naive.belief_ = replace(model.belief_, encoder=replace(encoder, new_text_share=1.0))
        said = naive.judge(records_of(vectors, pairs, outcome)).probabilities
        sure.append(np.log(said[:, 0] / said[:, 1]))
    outcome = np.concatenate(outcomes)
    assert slope(np.concatenate(odds), outcome) == pytest.approx(1.0, abs=0.3)
    assert slope(np.concatenate(sure), outcome) < 0.65


def test_new_texts_of_a_known_kind_are_not_flagged_and_others_are(worlds):
    for model, vectors, pairs, outcome in worlds:
        said = model.judge(records_of(vectors, pairs, outcome))
        assert said.is_unfamiliar.mean() < 0.1
        assert RewardScorer.of(model.belief_).encoder.usual_text_ignorance < 0.95


def test_a_model_of_six_pairs_flags_whatever_it_is_asked():
    vectors, *_ = quirky(0, num_texts=12, num_pairs=6)
    pairs = np.arange(12).reshape(6, 2)
    model = RewardModel(personal=False, attributes=())
    model.fit(records_of(vectors, pairs, np.zeros(6, dtype=int)))
    far = np.random.default_rng(1).standard_normal((20, DIMENSIONS)).astype(np.float32)
    said = RewardScorer.of(model.belief_).score(
        Texts(texts=[f"far {i}" for i in range(20)], vectors=far)
    )
    assert said.is_unfamiliar[said.ignorance > 0.95].all()
    assert (said.ignorance > 0.95).any()


def test_pairs_of_texts_that_occur_once_are_new_texts_already():
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((1200, DIMENSIONS)).astype(np.float32)
    gap = (vectors[0::2] - vectors[1::2]) @ (rng.standard_normal(DIMENSIONS) * 0.2)
    outcome = (rng.random(600) > 1 / (1 + np.exp(-gap))).astype(int)
    model = RewardModel(personal=False, attributes=())
    model.fit(records_of(vectors, np.arange(1200).reshape(-1, 2), outcome))
    assert model.belief_.encoder.new_text_share > 0.85


def test_a_saved_model_knows_the_texts_that_it_has_met(worlds, tmp_path):
    model, vectors, *_ = worlds[0]
    model.save(tmp_path)
    before, after = RewardScorer.of(model.belief_), RewardScorer.load(tmp_path)
    asked = Texts(texts=["t0", "t299"], vectors=vectors[[0, 299]])
    np.testing.assert_array_equal(before.score(asked).reward, after.score(asked).reward)
    stranger = Texts(texts=["who", "else"], vectors=vectors[[0, 299]])
    ratio = before.score(stranger).reward / before.score(asked).reward
    np.testing.assert_allclose(ratio, [before.encoder.new_text_share, 1.0])
