"""What people really send: one annotator, none, liars, coin tossers, poison, empty texts."""

import re

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.models.reward_model import HABITS, RewardModel

DIMENSIONS, TEXTS = 5, 80
WEIGHTS = np.array([1.5, -1.0, 0.5, 0.0, 0.0])


def world(seed=0, count=1500, people=30, texts=None):
    """Records, the true gap of each pair, and each pair's judge."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((TEXTS, DIMENSIONS)).astype(np.float32)
    first = rng.integers(0, TEXTS, count)
    second = (first + rng.integers(1, TEXTS, count)) % TEXTS
    gap = (vectors[first] - vectors[second]) @ WEIGHTS
    outcome = (rng.random(count) > 1 / (1 + np.exp(-gap))).astype(int)
    person = np.arange(count) % people
    return build(vectors, first, second, outcome, person, texts), gap, person, vectors


def build(vectors, first, second, outcome, person, texts=None):
    codes = pa.array(np.column_stack([first, second]).ravel().astype(np.int32))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSIONS)
    words = texts or [f"text {'so ' * (t % 5)}{t}" for t in range(TEXTS)]
    rows = {"outcome": outcome}
    if person is not None:
        rows["person"] = [f"p{p}" for p in person]
    return Records.from_arrays(
        options={
            "text": pa.DictionaryArray.from_arrays(codes, pa.array(words)),
            "embedding": pa.DictionaryArray.from_arrays(codes, lists),
        },
        menu_sizes=np.full(len(first), 2),
        kind="pair",
        rows=rows,
        extras=("embedding",),
    )


def outcomes(records):
    return np.asarray(records.rows["outcome"])


def agreement(model, vectors):
    encoder = model.belief_.encoder
    return np.corrcoef(vectors @ encoder.weights, vectors @ WEIGHTS)[0, 1]


def said(model):
    return " ".join(model.belief_.report.warnings)


def contradictions(model):
    found = re.search(r"(\d+) of \d+ times that a judge saw the same two texts", said(model))
    return int(found[1]) if found else 0


def test_one_annotator_only_is_one_average_judge_and_said():
    records, _, _, vectors = world(people=1)
    model = RewardModel(num_draws=30).fit(records)
    assert "There is one judge only" in said(model)
    assert agreement(model, vectors) > 0.97
    assert not any("chol" in name for name in model.belief_.parameter_names)


def test_absent_annotators_are_one_average_judge_and_said():
    records, _, _, vectors = world()
    nobody = records.with_columns(rows={"person": pa.nulls(len(records), pa.string())})
    model = RewardModel(num_draws=30).fit(nobody)
    assert "nobody known to have answered twice" in said(model)
    assert agreement(model, vectors) > 0.97
    assert not model.judge(nobody.take(np.arange(5)), history=nobody).knows_person.any()


def test_some_annotators_absent_are_strangers_among_the_others():
    records, _, _, vectors = world()
    names = [
        None if b % 3 == 0 else name for b, name in enumerate(records.rows["person"].to_pylist())
    ]
    model = RewardModel(personal=HABITS, num_draws=30).fit(
        records.with_columns(rows={"person": pa.array(names)})
    )
    assert agreement(model, vectors) > 0.97


def test_labels_that_contradict_themselves_are_counted_and_both_used():
    records, _, _, _ = world(count=200, people=4)
    twice = records.take(np.concatenate([np.arange(200), np.arange(20)]))
    flipped = outcomes(twice).copy()
    flipped[200:] = 1 - flipped[200:]
    model = RewardModel(personal=False).fit(twice.with_columns(rows={"outcome": flipped}))
    # A few of the pairs had been judged twice by chance.
    assert 20 <= contradictions(model) <= 23
    assert contradictions(RewardModel(personal=False).fit(records)) <= 3


def test_contradictions_are_seen_whichever_text_stands_first():
    records, _, _, _vectors = world(count=100, people=2)
    swapped = records.take(np.arange(10))
    lines = np.arange(20).reshape(10, 2)[:, ::-1].ravel()
    swapped = Records(
        rows=swapped.rows, options=swapped.options.take(pa.array(lines)), offsets=swapped.offsets,
        roles=swapped.roles,
    )  # fmt: skip
    from penchant.data.records import concat

    # Shown the other way round, the same side wins: that is the other text.
    model = RewardModel(personal=False).fit(concat([records, swapped]))
    assert 10 <= contradictions(model) <= 11


def test_a_judge_who_tosses_a_coin_half_of_the_time_counts_less():
    records, _gap, person, vectors = world(count=4000, people=20)
    rng = np.random.default_rng(1)
    outcome = outcomes(records).copy()
    careless = np.flatnonzero((person < 5) & (rng.random(4000) < 0.5))
    outcome[careless] = rng.integers(0, 2, len(careless))
    failing = records.with_columns(rows={"outcome": outcome})
    model = RewardModel(personal=HABITS, num_draws=60).fit(failing)
    tastes = model.belief_.mean_tastes(model.belief_.encode(failing), model.belief_.encode(failing))
    batch = model.belief_.encode(failing)
    order = [int(name[1:]) for name in batch.group_names]
    counts = tastes[np.argsort(order), 0]
    assert counts[:5].mean() < 0.75 * counts[5:].mean()
    assert agreement(model, vectors) > 0.97


def test_a_fifth_of_poisoned_labels_shrinks_rewards_and_leaves_their_order():
    records, _gap, _, vectors = world(count=3000)
    rng = np.random.default_rng(2)
    outcome = outcomes(records).copy()
    poisoned = rng.random(3000) < 0.2
    outcome[poisoned] = 1 - outcome[poisoned]
    clean = RewardModel(personal=False).fit(records)
    model = RewardModel(personal=False).fit(records.with_columns(rows={"outcome": outcome}))
    assert model.belief_.report.converged
    assert agreement(model, vectors) > 0.95
    sizes = [np.abs(m.judge(records).gap).mean() for m in (model, clean)]
    # Probabilities stay honest about labels that are wrong a fifth of the time.
    assert sizes[0] < 0.75 * sizes[1]


def test_poison_from_a_few_judges_is_theirs_alone():
    """Judges who always prefer the worse text have a negative weight on the reward."""
    records, _, person, vectors = world(count=4000, people=20)
    outcome = np.where(person < 4, 1 - outcomes(records), outcomes(records))
    model = RewardModel(personal=HABITS, num_draws=60).fit(
        records.with_columns(rows={"outcome": outcome})
    )
    batch = model.belief_.encode(records.with_columns(rows={"outcome": outcome}))
    tastes = model.belief_.mean_tastes(batch, batch)[:, 0]
    liars = np.array([int(name[1:]) < 4 for name in batch.group_names])
    assert tastes[liars].max() < 0 < tastes[~liars].min()
    assert agreement(model, vectors) > 0.97


def test_empty_and_identical_texts_are_counted_and_harm_nothing():
    texts = [f"text {t}" for t in range(TEXTS)]
    texts[3] = ""
    records, _, _, vectors = world(texts=texts)
    rng = np.random.default_rng(0)
    same = np.full(5, 7)
    extra = build(vectors, same, same, rng.integers(0, 2, 5), np.zeros(5, int), texts)
    from penchant.data.records import concat

    model = RewardModel(personal=False).fit(concat([records, extra]))
    assert "5 of 1505 observations compare a text with itself" in said(model)
    assert "texts shown are empty" in said(model)
    assert agreement(model, vectors) > 0.97
    judged = model.judge(extra)
    np.testing.assert_allclose(judged.gap, 0.0, atol=1e-6)
    np.testing.assert_array_equal(judged.ignorance, 0.0)
    np.testing.assert_allclose(judged.probabilities.sum(axis=1), 1.0)


def test_a_context_that_was_never_seen_is_no_obstacle():
    records, _, _, _ = world()
    known = records.with_columns(rows={"topic": ["cats"] * len(records)})
    model = RewardModel(personal=False).fit(known)
    new = records.take(np.arange(10)).with_columns(rows={"topic": ["dogs"] * 10})
    np.testing.assert_array_equal(
        model.judge(new).probabilities, model.judge(known.take(np.arange(10))).probabilities
    )


def test_texts_of_a_kind_never_seen_are_said_to_be_unfamiliar():
    """All that was learned of lies in three dimensions; texts that leave them are new."""
    records, _, person, vectors = world()
    flat = vectors.copy()
    flat[:, 3:] *= 0.01
    first, second = (
        np.asarray(records.options["text"].combine_chunks().chunk(0).indices)[side::2]
        if isinstance(records.options["text"].combine_chunks(), pa.ChunkedArray)
        else np.asarray(records.options["text"].combine_chunks().indices)[side::2]
        for side in (0, 1)
    )
    known = build(flat, first, second, outcomes(records), person)
    model = RewardModel(personal=False).fit(known)
    usual = model.judge(known)
    assert usual.is_unfamiliar.mean() < 0.03
    new = build(vectors, first[:200], second[:200], outcomes(records)[:200], person[:200])
    strange = model.judge(new)
    assert strange.is_unfamiliar.mean() > 0.9
    assert (strange.high - strange.low).mean() > 2 * (usual.high - usual.low).mean()


@pytest.mark.parametrize("seed", range(3))
def test_new_pairs_of_known_kinds_are_rarely_called_unfamiliar(seed):
    """Pairs of texts never met, from the same source: about one in a hundred is far out."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((2000, 30)).astype(np.float32)
    outcome = rng.integers(0, 2, 1000)
    table = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 30)
    records = Records.from_arrays(
        options={"text": pa.array([f"t{t}" for t in range(2000)]), "embedding": table},
        menu_sizes=np.full(1000, 2), kind="pair", rows={"outcome": outcome},
        extras=("embedding",),
    )  # fmt: skip
    model = RewardModel(personal=False, prior_scale=0.2).fit(records.take(np.arange(500)))
    judged = model.judge(records.take(np.arange(500, 1000)))
    assert 0.0 <= judged.is_unfamiliar.mean() < 0.04
