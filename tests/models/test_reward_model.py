"""The reward model on simulated judges whose tastes are known, and on the bundled arguments."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.beliefs.belief import Belief
from penchant.data.records import Records
from penchant.data.samples import convincing_arguments
from penchant.errors import ConfigError, DataError
from penchant.fitting.linear_head import HeadConfig
from penchant.models import reward_head
from penchant.models.reward_model import HABITS, RewardModel

WORDS = ["so"] * 40


def simulate(num_people=150, per_person=20, seed=0, spread=1.0, num_texts=80):
    """Judges who agree on content and differ by `spread` in their taste for length."""
    rng = np.random.default_rng(seed)
    texts = [
        " ".join([f"t{i}", *WORDS[: int(n)]]) for i, n in enumerate(rng.integers(0, 40, num_texts))
    ]
    vectors = rng.standard_normal((num_texts, 6)).astype(np.float32)
    content = vectors @ np.array([0.8, -0.5, 0.3, 0.0, 0.0, 0.0])
    length = np.log1p([len(text.split()) for text in texts])
    person = np.repeat(np.arange(num_people), per_person)
    first = rng.integers(0, num_texts, len(person))
    second = (first + rng.integers(1, num_texts, len(person))) % num_texts
    likes = spread * rng.standard_normal(num_people)
    gap = content[first] - content[second] + likes[person] * (length[first] - length[second])
    weights = np.exp(np.stack([0.5 * gap, -0.5 * gap, np.full(len(gap), -0.7)]))
    chance = (weights / weights.sum(axis=0)).T
    outcome = (rng.random(len(gap))[:, None] > np.cumsum(chance, axis=1)).sum(axis=1)
    shown = np.column_stack([first, second]).ravel()
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 6)
    records = Records.from_arrays(
        options={
            "text": pa.DictionaryArray.from_arrays(shown.astype(np.int32), pa.array(texts)),
            "embedding": pa.DictionaryArray.from_arrays(shown.astype(np.int32), lists),
        },
        menu_sizes=np.full(len(person), 2),
        kind="pair",
        rows={"person": [f"p{p}" for p in person], "outcome": outcome},
        extras=("embedding",),
    )
    return records, likes, chance, per_person


@pytest.fixture(scope="module")
def world():
    return simulate()


@pytest.fixture(scope="module")
def fitted(world):
    return RewardModel().fit(world[0])


def nll(model, records, rows, history):
    said = model.judge(records.take(rows), history=history)
    outcome = np.asarray(records.rows["outcome"])[rows]
    return -np.log(said.probabilities[np.arange(len(rows)), outcome]).mean()


def test_the_spread_of_a_taste_is_recovered(fitted):
    belief = fitted.belief_
    named = dict(zip(belief.parameter_names, belief.theta))
    # In units of the attribute's spread within pairs.
    size = float(belief.encoder.spread[0])
    error = np.sqrt(belief.covariance[(belief.parameter_names.index("chol(length, length)"),) * 2])
    assert abs(abs(named["chol(length, length)"]) - 1.0 * size) < 4 * error
    assert named["reward"] == pytest.approx(1.0, abs=0.25)
    assert belief.report.converged


def test_known_judges_are_foretold_better_by_their_own_taste(world):
    records, _, _, per_person = world
    place = np.arange(len(records)) % per_person
    known, later = np.flatnonzero(place < 14), np.flatnonzero(place >= 14)
    history = records.take(known)
    losses = {
        name: nll(RewardModel(personal=personal).fit(history), records, later, history)
        for name, personal in (("average", False), ("habits", HABITS), ("taste", True))
    }
    assert losses["taste"] < losses["habits"] - 0.02
    assert losses["taste"] < losses["average"] - 0.02


def test_log_odds_of_new_pairs_are_not_overstated():
    slopes = []
    for seed in range(4):
        records, truth = many_dimensions(seed)
        known, new = records.take(np.arange(600)), records.take(np.arange(600, len(records)))
        said = (
            RewardModel(personal=False, attributes=(), ties=None)
            .fit(known)
            .judge(new)
            .probabilities
        )
        odds = np.log(said[:, 0] / said[:, 1])
        slopes.append(np.polyfit(odds, truth[600:], 1)[0])
    # By a head that has seen the pairs it is judged by, 0.6 to 0.8.
    assert np.mean(slopes) == pytest.approx(1.0, abs=0.15)


def many_dimensions(seed, dimensions=60, num_pairs=2600):
    """Few pairs for many dimensions: a head learns as much chance as truth."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((2 * num_pairs, dimensions)).astype(np.float32)
    gap = (vectors[0::2] - vectors[1::2]) @ (rng.standard_normal(dimensions) * 0.15)
    outcome = (rng.random(num_pairs) > 1 / (1 + np.exp(-gap))).astype(int)
    records = Records.from_arrays(
        options={
            "text": pa.array([f"t{i}" for i in range(2 * num_pairs)]),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimensions),
        },
        menu_sizes=np.full(num_pairs, 2),
        kind="pair",
        rows={"person": [f"p{i % 50}" for i in range(num_pairs)], "outcome": outcome},
        extras=("embedding",),
    )
    return records, gap


def test_judges_of_one_taste_are_not_found_to_differ():
    records, *_ = simulate(spread=0.0, seed=3)
    belief = RewardModel(personal=("length",)).fit(records).belief_
    place = belief.parameter_names.index("sd(length)")
    assert abs(belief.theta[place]) < 2.5 * np.sqrt(belief.covariance[place, place]) + 0.05


def test_a_stranger_is_foretold_as_everybody_and_said_to_be_one(world, fitted):
    records = world[0]
    few = records.take(np.arange(40))
    strangers = fitted.judge(few)
    assert not strangers.knows_person.any()
    some = fitted.judge(few, history=records.take(np.arange(20)))
    np.testing.assert_array_equal(some.knows_person, np.arange(40) < 20)
    np.testing.assert_allclose(some.probabilities[20:], strangers.probabilities[20:], atol=0.02)
    np.testing.assert_allclose(strangers.probabilities.sum(axis=1), 1.0)


def test_doubt_is_wider_where_nothing_was_learned(world):
    records = world[0]
    lists = records.options["embedding"].combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    model = RewardModel(personal=False).fit(records)
    # Learn from texts that differ in their first three dimensions only.
    vectors = np.asarray(lists.dictionary.flatten()).reshape(-1, 6).copy()
    vectors[:, 3:] = 0.0
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 6)
    blind = records.with_columns(
        options={"embedding": pa.DictionaryArray.from_arrays(lists.indices, flat)}
    )
    narrow = RewardModel(personal=False).fit(blind)
    few = records.take(np.arange(100))
    informed, ignorant = model.judge(few), narrow.judge(few)
    assert ignorant.ignorance.mean() > 5 * informed.ignorance.mean()
    width = lambda said: (said.high - said.low).mean()  # noqa: E731
    assert width(ignorant) > 2 * width(informed)
    assert ((ignorant.ignorance >= 0) & (ignorant.ignorance <= 1)).all()


def test_a_saved_model_says_the_same(world, fitted, tmp_path):
    fitted.save(tmp_path)
    again = RewardModel()
    again.belief_ = Belief.load(tmp_path)
    few = world[0].take(np.arange(30))
    one, other = fitted.judge(few, history=few), again.judge(few, history=few)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    np.testing.assert_array_equal(one.ignorance, other.ignorance)


def test_weights_and_unanswered_pairs_count_as_they_should(world):
    records = world[0].take(np.arange(600))
    double = records.take(np.concatenate([np.arange(600), np.arange(200)]))
    weight = np.where(np.arange(600) < 200, 2.0, 1.0)
    one = RewardModel(personal=False, prior_scale=0.5).fit(records, sample_weight=weight).belief_
    two = RewardModel(personal=False, prior_scale=0.5).fit(double).belief_
    np.testing.assert_allclose(one.theta, two.theta, atol=2e-3)
    blank = double.with_columns(
        rows={
            "outcome": pa.array(
                [None] * 200 + np.asarray(double.rows["outcome"])[200:].tolist(), pa.int64()
            )
        }
    )
    left = RewardModel(personal=False, prior_scale=0.5).fit(blank).belief_
    assert left.report.rows == 600
    with pytest.raises(DataError, match="sample_weight has shape"):
        RewardModel().fit(records, sample_weight=np.ones(3))


def test_unknown_wishes_are_refused(world):
    records = world[0].take(np.arange(100))
    with pytest.raises(ConfigError, match="cannot differ in 'lenght'"):
        RewardModel(personal=("lenght",)).fit(records)
    with pytest.raises(ConfigError, match="ties='coin'"):
        RewardModel(ties="coin").fit(records)


def test_the_bundled_arguments_are_whole():
    records = convincing_arguments()
    assert len(records) == 68_081
    assert records.num_people == 3_128
    outcome = np.asarray(records.rows["outcome"])
    np.testing.assert_array_equal(np.bincount(outcome), [26_206, 26_070, 15_805])
    assert len(set(records.rows["debate"].to_pylist())) == 32


def pairs_that_hardly_differ_in_length(num_odd, num=400):
    """Texts of one length each, but for some pairs whose winner is two words longer."""
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((2 * num, 8)).astype(np.float32)
    gap = (vectors[::2] - vectors[1::2]) @ (rng.standard_normal(8) / 3)
    outcome = (rng.random(num) > 1 / (1 + np.exp(-gap))).astype(int)
    words = [f"text number {place}" for place in range(2 * num)]
    for row in range(num_odd):
        words[2 * row + outcome[row]] += " and more"
    shown = np.arange(2 * num, dtype=np.int32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 8)
    return Records.from_arrays(
        options={"text": pa.DictionaryArray.from_arrays(shown, pa.array(words)),
                 "embedding": pa.DictionaryArray.from_arrays(shown, lists)},
        menu_sizes=np.full(num, 2), kind="pair", extras=("embedding",),
        rows={"person": [f"p{row % 40}" for row in range(num)], "outcome": outcome},
    )  # fmt: skip


@pytest.mark.parametrize("num_odd", [1, 3, 10])
@pytest.mark.parametrize("personal", [False, True])
def test_a_few_pairs_that_differ_in_length_make_no_mountain_of_it(num_odd, personal):
    records = pairs_that_hardly_differ_in_length(num_odd)
    said = RewardModel(personal=personal).fit(records).judge(records)
    odd = said.gap[:num_odd] * np.where(np.asarray(records.rows["outcome"])[:num_odd] == 0, 1, -1)
    # All say the longer is better, so that it is foretold to be; but of how much so little says
    # nothing, and what lies behind it are a few logits, not ten of them or a hundred.
    assert (odd > 0.5).all()
    assert (odd < 7.0).all()
    assert (said.high - said.low)[:num_odd].max() < 25.0
    # The others, alike in length, are judged as if nobody had heard of it.
    blind = RewardModel(personal=personal, attributes=()).fit(records).judge(records)
    np.testing.assert_allclose(said.gap[num_odd:], blind.gap[num_odd:], atol=0.3)


@pytest.mark.parametrize("personal", [HABITS, False])
def test_a_head_that_stopped_early_is_no_convergence(monkeypatch, personal):
    records, *_ = simulate(num_people=20, per_person=10)
    model = RewardModel(personal=personal, num_draws=20)
    assert not any("head" in w for w in model.fit(records).belief_.report.warnings)
    monkeypatch.setattr(reward_head, "HeadConfig", lambda: HeadConfig(max_steps=1, tolerance=0))
    report = model.fit(records).belief_.report
    assert not report.converged
    assert any("reward head did not converge: after 1 steps" in w for w in report.warnings)
    assert any("5 of the 5 heads that judge what they have not seen" in w for w in report.warnings)
