"""Reward models on what they have not seen, and the page that tells of it."""

import re

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.evaluation.reward_page import reward_page, write_reward_page
from penchant.evaluation.reward_trial import (
    judge_parts,
    judged_pairs,
    parts_by_column,
    parts_by_person,
)
from penchant.models.reward_model import HABITS, RewardModel

DIMENSIONS, TEXTS, TOPICS = 12, 120, 4
WEIGHTS = np.r_[1.5, -1.0, 0.5, np.zeros(DIMENSIONS - 3)]


def world(seed=0, people=60, per_person=20):
    """Four topics, each in three dimensions of its own beside the common three; a tenth of the
    judges toss coins."""
    rng = np.random.default_rng(seed)
    topic = np.repeat(np.arange(TOPICS), TEXTS // TOPICS)
    vectors = np.zeros((TEXTS, 3 + 3 * TOPICS), dtype=np.float32)
    vectors[:, :3] = rng.standard_normal((TEXTS, 3))
    for t in range(TOPICS):
        vectors[topic == t, 3 + 3 * t : 6 + 3 * t] = rng.standard_normal((TEXTS // TOPICS, 3))
    person = np.repeat(np.arange(people), per_person)
    size = TEXTS // TOPICS
    which = rng.integers(0, TOPICS, len(person))
    first = rng.integers(0, size, len(person))
    second = (first + rng.integers(1, size, len(person))) % size
    first, second = first + size * which, second + size * which
    gap = (vectors[first, :3] - vectors[second, :3]) @ WEIGHTS[:3]
    gap = np.where(person < people // 10, 0.0, gap)
    outcome = (rng.random(len(gap)) > 1 / (1 + np.exp(-gap))).astype(int)
    codes = pa.array(np.column_stack([first, second]).ravel().astype(np.int32))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    words = [f"text {t} {'so ' * (t % 6)}" for t in range(TEXTS)]
    return Records.from_arrays(
        options={
            "text": pa.DictionaryArray.from_arrays(codes, pa.array(words)),
            "embedding": pa.DictionaryArray.from_arrays(codes, lists),
        },
        menu_sizes=np.full(len(person), 2),
        kind="pair",
        rows={
            "person": [f"p{p}" for p in person],
            "outcome": outcome,
            "topic": [f"topic {t}" for t in which],
        },
        extras=("embedding",),
    )


RECORDS = world()


def make():
    return RewardModel(personal=HABITS, num_draws=30)


@pytest.fixture(scope="module")
def trials():
    people = parts_by_person(RECORDS, 3, 0)
    (strangers,) = judge_parts(make, RECORDS, people)
    shots = judge_parts(make, RECORDS, people, shots=(0, 4, 12))
    (topics,) = judge_parts(make, RECORDS, parts_by_column(RECORDS, "topic", 4, 0))
    return strangers, shots, topics


def test_a_part_is_judged_by_a_model_that_never_saw_it(monkeypatch):
    seen, asked = [], []

    class Spy(RewardModel):
        def fit(self, data, **more):
            seen.append(set(data.rows["person"].to_pylist()))
            return super().fit(data, **more)

        def judge(self, data, history=None):
            asked.append((set(data.rows["person"].to_pylist()), history))
            return super().judge(data, history)

    parts = parts_by_person(RECORDS, 3, 0)
    (trial,) = judge_parts(lambda: Spy(personal=False), RECORDS, parts)
    assert len(seen) == 3
    for known, (people, history) in zip(seen, asked):
        assert not known & people
        assert history is None
    np.testing.assert_array_equal(trial.row, np.arange(len(RECORDS)))
    np.testing.assert_array_equal(trial.outcome, np.asarray(RECORDS.rows["outcome"]))


def test_answers_given_are_not_among_those_foretold(trials):
    _, shots, _ = trials
    assert len(shots) == 3
    for trial in shots:
        np.testing.assert_array_equal(trial.row, shots[0].row)
    # Twenty answers each, twelve at most revealed: the last eight are judged.
    place = np.arange(len(RECORDS)) % 20
    np.testing.assert_array_equal(shots[0].row, np.flatnonzero(place >= 12))


def test_a_history_is_the_first_answers_and_no_others():
    numbered = RECORDS.with_columns(rows={"line": np.arange(len(RECORDS))})
    histories = []

    class Spy(RewardModel):
        def judge(self, data, history=None):
            asked = set(data.rows["line"].to_pylist())
            told = [] if history is None else history.rows["line"].to_pylist()
            assert not asked & set(told)
            histories.append(sorted(told))
            return super().judge(data, history)

    parts = parts_by_person(numbered, 2, 0)
    judge_parts(lambda: Spy(personal=False), numbered, parts, shots=(0, 3))
    # Twenty answers each, in order: of each judge of the part, the first three.
    for k in range(2):
        first_three = np.flatnonzero((np.arange(len(RECORDS)) % 20 < 3) & (parts == k))
        assert histories[2 * k : 2 * k + 2] == [[], first_three.tolist()]


def test_answers_of_a_judge_tell_who_tosses_coins(trials):
    _, shots, _ = trials
    nll = [trial.predictions().nll().estimate for trial in shots]
    assert nll[2] < nll[0] - 0.005


def test_new_topics_are_flagged_and_doubted_more_than_new_judges(trials):
    strangers, _, topics = trials
    assert strangers.is_unfamiliar.mean() < 0.03
    # More ignorant than of 99 in 100 pairs of left-out texts of the topics that were met.
    assert topics.is_unfamiliar.mean() > 0.8
    width = [(trial.high - trial.low).mean() for trial in (strangers, topics)]
    assert width[1] > 1.5 * width[0]
    assert topics.ignorance.mean() > 2 * strangers.ignorance.mean()


def test_figures_of_a_trial_are_those_worked_by_hand(trials):
    strangers, _, _ = trials
    right = (strangers.first_wins > 0.5) == (strangers.outcome == 0)
    assert strangers.accuracy().estimate == pytest.approx(right.mean())
    told = strangers.probabilities[np.arange(len(strangers)), strangers.outcome]
    assert strangers.predictions().nll().estimate == pytest.approx(-np.log(told).mean())


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(DataError, match="more than 50 answered pairs"):
        judge_parts(make, RECORDS, parts_by_person(RECORDS, 3, 0), shots=(0, 50))
    one = RECORDS.with_columns(rows={"topic": ["cats"] * len(RECORDS)})
    with pytest.raises(DataError, match="one value only"):
        parts_by_column(one, "topic", 3, 0)


@pytest.fixture(scope="module")
def page(trials):
    strangers, shots, topics = trials
    model = make().fit(RECORDS)
    return reward_page(
        model, RECORDS, strangers, shots=tuple(zip((0, 4, 12), shots)), topics=topics,
        by=("topic",), title="Texts & <judges>",
    )  # fmt: skip


def test_the_page_holds_what_a_reader_must_know(page):
    assert [bias.name for bias in page.biases] == ["the longer text", "the text shown first"]
    assert page.few_shot is not None
    assert [point.answers for point in page.few_shot.points] == [0, 4, 12]
    assert len(page.worst_subgroups.groups) == TOPICS
    values = [group.value for group in page.worst_subgroups.groups]
    assert values == sorted(values, reverse=True)
    assert [topic.name for topic in page.topics] == ["topics it has met", "new topics"]
    surest = [estimate.value for estimate in page.selective]
    assert surest[-1] > surest[0] + 5
    assert len(page.by_length) >= 2
    assert 0 < page.chance < 0.5
    assert 0 < page.doubt < page.chance


def test_pairs_that_divide_people_are_near_even_and_those_unknown_have_wide_ends(page):
    for example in page.disagreed:
        assert abs(example.said - 0.5) < 0.1
    # Their ends are wide as probabilities: a pair foretold for sure is not unknown.
    wide, others = (
        [e.high - e.low for e in some] for some in (page.ignorant, page.disagreed)
    )  # fmt: skip
    assert min(wide) > max(np.median(others), 0.1)
    shown = [frozenset((e.first, e.second)) for e in page.disagreed]
    assert len(set(shown)) == len(shown)


def test_the_page_is_one_file_that_loads_nothing(page, tmp_path):
    html = write_reward_page(page, tmp_path / "report.html").read_text()
    assert "Texts &amp; &lt;judges&gt;" in html
    headings = (
        "How far to trust it", "When it may keep silent", "Whom it understands least",
        "Chance, people, ignorance", "Length and position", "Long contexts",
    )  # fmt: skip
    assert all(heading in html for heading in headings)
    assert not re.search(r"(src|href)=|https?://", html)
    assert "nan" not in re.sub(r"<style>.*?</style>", "", html, flags=re.S).lower().split()
    with pytest.raises(ConfigError, match="which is a folder"):
        write_reward_page(page, tmp_path)


def test_judges_without_names_and_topics_leave_a_shorter_page(tmp_path):
    nobody = RECORDS.with_columns(
        rows={"person": pa.nulls(len(RECORDS), pa.string())}
    ).with_columns(rows={"topic": ["all"] * len(RECORDS)})
    model = RewardModel(personal=False).fit(nobody)
    (trial,) = judge_parts(
        lambda: RewardModel(personal=False), nobody, parts_by_person(nobody, 2, 0)
    )
    page = reward_page(model, nobody, trial)
    assert page.few_shot is None
    assert page.worst_subgroups is None
    html = write_reward_page(page, tmp_path / "report.html").read_text()
    assert "Whom it understands least" not in html


def rated(seed=3):
    """The texts of the world, each judge's own stars for a few of them."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((80, 5)).astype(np.float32)
    person = np.repeat(np.arange(30), 20)
    text = np.concatenate([rng.permutation(80)[:20] for _ in range(30)])
    lenient = np.repeat(rng.normal(0, 2, 30), 20)
    heard = 1.5 * vectors[text, 0] + lenient + 0.5 * rng.logistic(size=600)
    codes = pa.array(text.astype(np.int32))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 5)
    words = pa.array([f"text {t} {'so ' * (t % 6)}" for t in range(80)])
    return Records.from_arrays(
        options={
            "text": pa.DictionaryArray.from_arrays(codes, words),
            "embedding": pa.DictionaryArray.from_arrays(codes, lists),
            "level": np.searchsorted([-2.0, 0.0, 2.0], heard),
        },
        menu_sizes=np.ones(600, dtype=int), kind="rating", extras=("embedding",),
        rows={"person": [f"p{p}" for p in person], "topic": [f"topic {t % 3}" for t in text]},
    )  # fmt: skip


def test_ratings_are_judged_by_the_pairs_they_imply_and_have_a_page(tmp_path):
    records = rated()
    part = parts_by_person(records, 3, 0)
    (trial,) = judge_parts(make, records, part)
    assert trial.accuracy().low > 0.75
    judged = judged_pairs(records, part, make().embedding).records
    assert len(np.unique(trial.row)) == len(trial)
    model = make().fit(records)
    page = reward_page(model, judged, trial, by=("topic",))
    assert page.by_length, "accuracy by words to read stands in every report"
    html = write_reward_page(page, tmp_path / "page.html").read_text()
    assert "Long contexts" in html


def test_what_can_be_judged_by_no_pair_is_told_so():
    records = rated().take(np.arange(0, 600, 20))
    with pytest.raises(DataError, match=r"nobody rated or ranked two texts"):
        judged_pairs(records, np.zeros(30, dtype=int), make().embedding)
