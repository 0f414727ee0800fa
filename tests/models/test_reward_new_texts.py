"""Texts that a reward model has not met: what its word counts for, and when to flag them."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from penchant.beliefs.codec import from_plain, to_plain
from penchant.data.records import Records
from penchant.encoders.embedding import Embedded
from penchant.encoders.known_texts import known_texts, text_keys
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
        known = np.zeros(0, dtype=np.uint64)
        naive.belief_ = replace(model.belief_, encoder=replace(encoder, known_texts=known))
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


def honest(model, vectors, pairs, outcome):
    said = model.judge(records_of(vectors, pairs, outcome)).probabilities
    return np.log(said[:, 0] / said[:, 1])


def test_what_a_new_text_is_worth_of_its_own_is_found_and_counted_where_one_of_two_is_new():
    odds, plain, outcomes, found = [], [], [], []
    for seed in range(3):
        vectors, pairs, outcome = quirky(seed)
        num_new = (pairs >= 200).sum(axis=1)
        model = RewardModel(personal=False, attributes=(), ties=None)
        model.fit(records_of(vectors, pairs[num_new == 0], outcome[num_new == 0]))
        encoder = model.belief_.encoder
        found.append(encoder.new_text_variance + encoder.strange_text_variance)
        one = num_new == 1
        odds.append(honest(model, vectors, pairs[one], outcome[one]))
        known = replace(encoder, new_text_variance=0.0, strange_text_variance=0.0)
        model.belief_ = replace(model.belief_, encoder=known)
        plain.append(honest(model, vectors, pairs[one], outcome[one]))
        outcomes.append(outcome[one])
    outcome = np.concatenate(outcomes)
    assert slope(np.concatenate(odds), outcome) == pytest.approx(1.0, abs=0.1)
    assert slope(np.concatenate(plain), outcome) < 0.93
    # Simulated with a standard deviation of 1.2 beside the content, of which the weight of the
    # reward holds the part that is open of known texts, too.
    assert 0.4 < np.mean(found) ** 0.5 < 1.3


def test_intervals_of_new_texts_are_wider(worlds):
    model, vectors, pairs, _ = worlds[0]
    known = np.array([[0, 1], [2, 3], [4, 5]])
    width = [(lambda said: (said.high - said.low).mean())(
        model.judge(records_of(vectors, each, np.zeros(len(each), dtype=int)))
    ) for each in (known, pairs[:50])]  # fmt: skip
    assert width[1] > 2 * width[0]


def test_texts_unlike_all_that_were_met_are_flagged():
    """Texts lie along a few directions; new ones along others."""
    rng = np.random.default_rng(5)
    basis = np.linalg.qr(rng.standard_normal((DIMENSIONS, 20)))[0]
    known, other = basis[:, :10], basis[:, 10:]
    near = rng.standard_normal((300, 10)) @ known.T
    far = rng.standard_normal((40, 10)) @ other.T
    noise = 0.1 * rng.standard_normal((340, DIMENSIONS))
    vectors = (np.concatenate([near, far]) + noise).astype(np.float32)
    pairs = rng.permuted(np.tile(np.arange(240), (3000, 1)), axis=1)[:, :2]
    gap = (vectors[pairs[:, 0]] - vectors[pairs[:, 1]]) @ known @ np.ones(10) * 0.5
    outcome = (rng.random(3000) > 1 / (1 + np.exp(-gap))).astype(int)
    model = RewardModel(personal=False, attributes=(), ties=None)
    model.fit(records_of(vectors, pairs, outcome))
    alike, unlike = (np.arange(a, b).reshape(-1, 2) for a, b in ((240, 300), (300, 340)))
    flagged = [model.judge(records_of(vectors, each, np.zeros(len(each), dtype=int))).is_unfamiliar
               for each in (alike, unlike)]  # fmt: skip
    assert flagged[0].mean() < 0.35
    assert flagged[1].all()
    assert not model.judge(records_of(vectors, pairs[:50], outcome[:50])).is_unfamiliar.any()


def test_a_text_is_known_at_its_own_prompt_only():
    keys = text_keys(["yes"], ["is it good?"])
    at = [Embedded(texts=("yes",), vectors=np.zeros((1, 2), np.float32), of_option=np.zeros(1, int),
                   prompts=(prompt,)) for prompt in ("is it good?", "is it bad?")]  # fmt: skip
    assert [bool(known_texts(each, keys)[0]) for each in at] == [True, False]
    # Keys that were made without prompts know the text wherever it stands.
    assert all(known_texts(each, text_keys(["yes"]))[0] for each in at)
    # The end of a prompt is not taken for the beginning of a text.
    assert text_keys(["b c"], ["a"]) != text_keys(["c"], ["ab "])


def test_new_texts_have_a_worth_of_their_own_unless_that_is_switched_off():
    vectors, pairs, outcome = quirky(7)
    met = (np.arange(len(vectors)) >= 200)[pairs].sum(axis=1)
    told, asked = (records_of(vectors, pairs[met == k], outcome[met == k]) for k in (0, 2))
    with_own, without = (
        RewardModel(personal=False, attributes=(), ties=None, has_own_worth=own).fit(told)
        for own in (True, False)
    )
    assert without.belief_.encoder.new_text_variance == 0.0
    assert without.belief_.encoder.strange_text_variance == 0.0
    said, bold = with_own.judge(asked), without.judge(asked)
    assert np.median(said.own_variance) > 0.6
    assert (bold.own_variance == 0.0).all()
    assert (said.high - said.low > 1.5 * (bold.high - bold.low)).mean() > 0.95
    # Of texts that were met neither has a variance of their own.
    assert (with_own.judge(told).own_variance == 0.0).all()


def test_what_all_embeddings_share_brings_no_text_nearer():
    """States of language models have a large mean, by which all would point one way."""
    vectors, pairs, outcome = quirky(3, num_texts=100, num_pairs=2000)
    is_met = (pairs < 80).all(axis=1)
    found = []
    for mean in (0.0, 20.0):
        shown = vectors + np.float32(mean)
        model = RewardModel(personal=False, attributes=(), ties=None)
        encoder = model.fit(records_of(shown, pairs[is_met], outcome[is_met])).belief_.encoder
        asked = Embedded(texts=tuple(f"t{i}" for i in range(100)), vectors=shown,
                         of_option=np.zeros(1, int))  # fmt: skip
        found.append((encoder.look(asked).nearness, encoder.usual_nearness))
    (near, usual), (again, usual_again) = found
    np.testing.assert_allclose(again, near, atol=1e-3)
    assert usual_again == pytest.approx(usual, abs=1e-3)
    assert (near[:80] == 1.0).all()
    assert near[80:].max() < 0.9


def test_a_model_saved_before_nearness_was_beside_the_mean_is_read_as_it_was_made():
    """Its folder does not say where its anchors stand: they are of embeddings as they are."""
    vectors = np.random.default_rng(4).standard_normal((60, DIMENSIONS)).astype(np.float32) + 3.0
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = np.arange(60).reshape(-1, 2)
    model = RewardModel(personal=False, attributes=(), ties=None)
    new = model.fit(records_of(vectors, pairs, pairs[:, 0] % 4 // 2)).belief_.encoder
    assert new.are_anchors_centred
    arrays = {}
    plain = to_plain(replace(new, anchors=unit[:40].astype(np.float16)), arrays)
    del plain["fields"]["are_anchors_centred"]
    asked = Embedded(texts=tuple(f"new {i}" for i in range(60)), vectors=vectors,
                     of_option=np.zeros(1, int))  # fmt: skip
    near = from_plain(plain, arrays).look(asked).nearness
    np.testing.assert_allclose(near, (unit @ unit[:40].T).max(axis=1), atol=1e-3)
    # One that is fitted today is read beside the mean.
    apart = vectors - new.mean
    apart /= np.linalg.norm(apart, axis=1, keepdims=True)
    arrays = {}
    near = from_plain(to_plain(new, arrays), arrays).look(asked).nearness
    np.testing.assert_allclose(near, (apart @ new.anchors.T).max(axis=1).clip(0), atol=1e-3)
