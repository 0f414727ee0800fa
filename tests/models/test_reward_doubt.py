"""What a reward model's intervals and soft labels count in, and whom a saved one knows."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.models.reward_model import RewardModel
from penchant.models.reward_scorer import RewardScorer, Texts

NUM_TEXTS, PER_PERSON = 60, 16
RNG = np.random.default_rng(5)
VECTORS = RNG.standard_normal((NUM_TEXTS, 4)).astype(np.float32)
TEXTS = [
    " ".join([f"t{i}", *["so"] * int(n)]) for i, n in enumerate(RNG.integers(0, 40, NUM_TEXTS))
]
LENGTH = np.log1p([len(text.split()) for text in TEXTS])
TRUTH = VECTORS @ np.array([0.8, -0.5, 0.3, 0.0])


def judged(num_people, seed=0, spread=1.5, likes=0.0, anonymous=0):
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(num_people), PER_PERSON)
    first = rng.integers(0, NUM_TEXTS, len(person))
    second = (first + rng.integers(1, NUM_TEXTS, len(person))) % NUM_TEXTS
    taste = likes + spread * rng.standard_normal(num_people)
    gap = TRUTH[first] - TRUTH[second] + taste[person] * (LENGTH[first] - LENGTH[second])
    outcome = (rng.random(len(gap)) > 1 / (1 + np.exp(-gap))).astype(int)
    names = [None if p < anonymous else f"p{p}" for p in person]
    records = records_of(np.column_stack([first, second]), outcome, names)
    return records, taste


def records_of(pairs, outcome, people):
    shown = pairs.ravel()
    lists = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS[shown].ravel()), 4)
    return Records.from_arrays(
        options={"text": pa.array([TEXTS[i] for i in shown]), "embedding": lists},
        menu_sizes=np.full(len(pairs), 2),
        kind="pair",
        rows={"person": people, "outcome": outcome},
        extras=("embedding",),
    )


def texts(places, people=None):
    return Texts(texts=[TEXTS[i] for i in places], vectors=VECTORS[places], people=people)


@pytest.fixture(scope="module")
def fitted():
    records, taste = judged(120, anonymous=3)
    return RewardModel(num_draws=100).fit(records), records, taste


def test_a_soft_label_is_the_share_that_the_model_itself_foretells(fitted):
    model, _, _ = fitted
    rng = np.random.default_rng(1)
    first = rng.integers(0, NUM_TEXTS, 200)
    second = (first + 1 + rng.integers(0, NUM_TEXTS - 1, 200)) % NUM_TEXTS
    pairs = np.column_stack([first, second])
    asked = records_of(pairs, np.zeros(200, dtype=int), [f"new{i}" for i in range(200)])
    # The order shown is no part of a soft label.
    turned = records_of(pairs[:, ::-1].copy(), np.zeros(200, dtype=int), ["new"] * 200)
    one, other = model.judge(asked).probabilities[:, 0], model.judge(turned).probabilities[:, 1]
    scorer = RewardScorer.of(model.belief_)
    soft = scorer.compare(texts(first), texts(second)).soft_label
    assert np.abs(soft - (one + other) / 2).mean() < 0.015
    sure = replace(scorer, differing=None).compare(texts(first), texts(second)).soft_label
    assert np.abs(sure - 0.5).mean() > np.abs(soft - 0.5).mean() + 0.03


def test_the_gap_is_the_average_judges(fitted):
    model, records, _ = fitted
    said = model.judge(records.take(np.arange(100)))
    scorer = RewardScorer.of(model.belief_)
    of_pair = np.array([TEXTS.index(t) for t in records.options["text"].to_pylist()[:200]])
    margins = scorer.compare(texts(of_pair[0::2]), texts(of_pair[1::2]))
    np.testing.assert_allclose(said.gap, margins.margin)
    np.testing.assert_allclose(said.high, margins.high)


def test_intervals_cover_what_few_answers_leave_open_of_an_attribute():
    """A taste for length alone: without the attribute's doubt intervals would have no width."""
    inside, narrow, count = 0, 0, 0
    for seed in range(12):
        records, _ = judged(25, seed=seed, spread=0.0, likes=0.7)
        belief = RewardModel(personal=False, prior_scale=1.0, ties=None).fit(records).belief_
        scorer = RewardScorer.of(belief)
        first, second = np.arange(0, NUM_TEXTS, 2), np.arange(1, NUM_TEXTS, 2)
        truth = (TRUTH + 0.7 * LENGTH)[first] - (TRUTH + 0.7 * LENGTH)[second]
        said = scorer.compare(texts(first), texts(second))
        inside += int(((said.low <= truth) & (truth <= said.high)).sum())
        now, _ = belief.encoder.gap_variances(_pairs_of(belief.encoder, first, second))
        reach = 1.96 * abs(scorer.average[0]) * np.sqrt(now)
        narrow += int((np.abs(said.margin - truth) <= reach).sum())
        count += len(truth)
    assert inside / count > 0.92
    assert narrow / count < inside / count - 0.03


def _pairs_of(encoder, first, second):
    from penchant.encoders.reward_pairs import read_pairs

    pairs = np.column_stack([first, second])
    asked = records_of(pairs, np.zeros(len(pairs), dtype=int), ["x"] * len(pairs))
    return read_pairs(asked, encoder.embedding)


def test_a_saved_model_knows_whoever_it_was_fitted_on(fitted, tmp_path):
    model, _, taste = fitted
    model.save(tmp_path)
    scorer = RewardScorer.load(tmp_path)
    lover, hater = int(np.argmax(taste[3:])) + 3, int(np.argmin(taste[3:])) + 3
    long, short = int(np.argmax(LENGTH)), int(np.argmin(LENGTH))
    said = scorer.compare(
        texts([long] * 3, people=[f"p{lover}", f"p{hater}", "nobody"]), texts([short] * 3)
    )
    np.testing.assert_array_equal(said.knows_person, [True, True, False])
    assert said.margin[0] > said.margin[2] > said.margin[1]
    # Answers without a name are nobody's.
    assert set(scorer.people) == {f"p{p}" for p in range(3, 120)}


def test_attributes_far_beyond_those_of_the_fit_are_flagged(fitted):
    scorer = RewardScorer.of(fitted[0].belief_)
    endless = Texts(texts=["so " * 5000, TEXTS[0]], vectors=VECTORS[[0, 0]])
    np.testing.assert_array_equal(scorer.score(endless).is_unfamiliar, [True, False])
    again = scorer.compare(endless, texts([1, 1]))
    np.testing.assert_array_equal(again.is_unfamiliar, [True, False])
