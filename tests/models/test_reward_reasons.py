"""Reasons as evidence of a reward model: worth comparisons where they are about the reward, and
nothing where they are not."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records, concat
from penchant.errors import ConfigError, DataError
from penchant.models.reward_head import Lessons
from penchant.models.reward_model import HABITS, RewardModel
from penchant.models.reward_reasons import MOST_THEMES, find_themes
from penchant.models.reward_scorer import RewardScorer

PHRASES = 3


class World:
    """Texts whose worth is the sum of attributes, embedded in other axes; people say in one of
    three phrases which attribute decided, one in five anything."""

    def __init__(self, seed, size=24):
        self.rng, self.size = np.random.default_rng(seed), size
        self.axes = np.linalg.qr(self.rng.normal(size=(size, size)))[0]
        self.truth = self.rng.normal(size=size)
        self.phrases = self.rng.normal(size=(size, PHRASES, size)) * 0.1

    def judged(self, count, informative=True, told=1.0):
        rng = self.rng
        texts = rng.normal(size=(count, 2, self.size))
        won = rng.random(count) > 1 / (1 + np.exp(-(texts[:, 0] - texts[:, 1]) @ self.truth))
        better = np.where(won[:, None], texts[:, 1] - texts[:, 0], texts[:, 0] - texts[:, 1])
        named = np.argmax(better * self.truth, axis=1)
        named = np.where(rng.random(count) < 0.2, rng.integers(0, self.size, count), named)
        named = named if informative else rng.permutation(named)
        phrase = rng.integers(0, PHRASES, count)
        why = [f"theme {n} in words {p}" for n, p in zip(named, phrase)]
        numbers = (np.eye(self.size)[named] + self.phrases[named, phrase]) @ self.axes.T
        is_told = rng.random(count) < told
        return self.records(
            texts.reshape(-1, self.size),
            {"outcome": won.astype(int), "person": [f"p{k % 10}" for k in range(count)],
             "why": pa.array([w if t else "" for w, t in zip(why, is_told)]),
             "why_embedding": pa.array([n if t else None
                                        for n, t in zip(numbers.tolist(), is_told)])},
        )  # fmt: skip

    def records(self, texts, rows, kind="pair", size=2, options=None):
        self.rng.random()
        words = [f"text {self.rng.integers(1 << 40)}" for _ in texts]
        return Records.from_arrays(
            options={"text": words, "embedding": pa.array((texts @ self.axes.T).tolist()),
                     **(options or {})},
            menu_sizes=np.full(len(texts) // size, size), kind=kind, rows=rows,
            extras=("embedding", "why", "why_embedding"),
        )  # fmt: skip

    def right(self, model):
        """How often its head prefers what is better, of new pairs."""
        gaps = np.random.default_rng(0).normal(size=(4000, self.size))
        weights = self.axes.T @ model.belief_.encoder.weights
        return np.mean((gaps @ weights > 0) == (gaps @ self.truth > 0))


def fitted(records, **more):
    settings = {"personal": False, "attributes": (), "has_own_worth": False, **more}
    return RewardModel(**settings).fit(records)


def heard(model):
    return model.belief_.encoder.reasons


def test_reasons_make_fewer_errors_of_equal_comparisons():
    gains = []
    for seed in range(6):
        world = World(seed)
        records = world.judged(80)
        gains.append(world.right(fitted(records, reasons="why")) - world.right(fitted(records)))
    assert np.mean(gains) > 0.012
    assert np.mean(np.array(gains) > 0) > 0.7


def test_reasons_that_are_not_about_the_reward_are_shut_off_to_the_last_bit():
    for seed in range(6):
        records = World(seed).judged(80, informative=False)
        plain, beside = fitted(records), fitted(records, reasons="why")
        told = heard(beside)
        assert told.sharpness == 0
        np.testing.assert_array_equal(beside.belief_.encoder.weights, plain.belief_.encoder.weights)
        np.testing.assert_array_equal(beside.belief_.theta, plain.belief_.theta)
        assert "Reasons did not help here, and are not used" in told.sentence()
        assert told.sentence() in beside.belief_.report.warnings


def test_a_missing_reason_is_missing():
    """As if the other judgements had never been asked why; not a theme of its own."""
    world = World(3)
    records = world.judged(160, told=0.5)
    told = heard(fitted(records, reasons="why"))
    there = sum(bool(each) for each in records.rows["why"].to_pylist())
    assert (told.reasons, told.judgements, told.observations) == (there, there, 160)
    assert all(theme.label.strip() for theme in told.themes)
    assert sum(theme.share for theme in told.themes) == pytest.approx(1.0)
    # Null or empty is the same.
    nulls = records.with_columns(
        rows={"why": pa.array([each or None for each in records.rows["why"].to_pylist()])}
    )
    np.testing.assert_array_equal(
        fitted(nulls, reasons="why").belief_.encoder.weights,
        fitted(records, reasons="why").belief_.encoder.weights,
    )


def test_reasons_of_ties_say_nothing_and_are_counted():
    records = World(4).judged(120)
    outcome = np.asarray(records.rows["outcome"]).copy()
    outcome[:30] = 2
    told = heard(fitted(records.with_columns(rows={"outcome": outcome}), reasons="why"))
    assert (told.reasons, told.unheard) == (90, 30)
    assert "30 more stand beside answers that prefer nothing" in told.sentence()


def test_several_columns_of_reasons_are_heard_together():
    records = World(5).judged(120)
    both = records.with_columns(
        rows={"also": records.rows["why"], "also_embedding": records.rows["why_embedding"]}
    )
    told = heard(fitted(both, reasons=("why", "also")))
    assert (told.reasons, told.judgements, told.columns) == (240, 120, ("why", "also"))


def test_a_word_that_names_an_attribute_is_that_attribute():
    """Long texts win, and people say so: the attribute is heard, without an embedding that says
    what length is."""
    rng = np.random.default_rng(6)
    num = 150
    words = rng.integers(1, 60, (num, 2))
    shown = [" ".join(["so"] * n) + f" {k}" for k, n in enumerate(words.ravel())]
    gap = 1.5 * (np.log1p(words[:, 0] + 1) - np.log1p(words[:, 1] + 1))
    second = rng.random(num) > 1 / (1 + np.exp(-gap))
    longer = (words[:, 1] > words[:, 0]) == second
    why = np.where(longer & (rng.random(num) < 0.9), "Length", "tone")
    records = Records.from_arrays(
        options={"text": shown, "embedding": pa.array(rng.normal(size=(2 * num, 4)).tolist())},
        menu_sizes=np.full(num, 2), kind="pair", extras=("embedding", "why", "why_embedding"),
        rows={"outcome": second.astype(int), "why": why,
              "why_embedding": pa.array([[1.0, 0.0, 0.0, 0.0]] * num)},
    )  # fmt: skip
    model = fitted(records, reasons="why", attributes=("length",))
    told = {theme.label: theme.worth for theme in heard(model).themes}
    assert told["Length"] > 0.5
    assert abs(told["tone"]) < 0.3
    assert heard(model).foretold_low > 0


def test_free_texts_become_themes_and_no_theme_is_empty():
    rng = np.random.default_rng(7)
    centre = np.linalg.qr(rng.normal(size=(40, 40)))[0][:5]
    of = np.repeat(np.arange(5), 60)
    vectors = centre[of] + 0.05 * rng.normal(size=(300, 40))
    found = find_themes([f"reason {k}" for k in range(300)], vectors, (), 0)
    assert 5 <= len(found.themes) <= MOST_THEMES
    assert set(found.of_text) == set(range(len(found.themes)))
    for theme in range(len(found.themes)):
        assert len(np.unique(of[found.of_text == theme])) == 1
    np.testing.assert_allclose(np.linalg.norm(found.themes.directions, axis=1), 1.0)
    # Each is called by one of its own reasons.
    for theme, label in enumerate(found.themes.labels):
        assert found.of_text[int(label.split()[1])] == theme


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (["same"] * 60, "all name one theme"),
        (["one", "two", *[None] * 58], "of fewer than 10 nothing can be told"),
    ],
)
def test_too_little_to_tell_apart_is_said_and_changes_nothing(said, why):
    records = World(8).judged(60).with_columns(
        rows={"why": pa.array(said, pa.string()),
              "why_embedding": pa.array([[1.0 + (each == "two"), *[0.5] * 23]
                                         for each in said])}
    )  # fmt: skip
    model = fitted(records, reasons="why")
    assert why in heard(model).sentence()
    np.testing.assert_array_equal(
        model.belief_.encoder.weights, fitted(records).belief_.encoder.weights
    )


def test_reasons_go_with_judges_margins_and_kinds_and_not_with_soft_labels(tmp_path):
    world = World(9)
    records = world.judged(120).with_columns(
        rows={"strength": np.full(120, 0.2), "share": np.full(120, 0.5)}
    )
    for more in (
        {"personal": HABITS, "num_draws": 20}, {"margin": "strength"},
        {"personal": True, "kinds": 2, "people": "classes"},
    ):  # fmt: skip
        model = fitted(records, reasons="why", **more)
        assert heard(model).sharpness > 0, more
        assert model.belief_.report.converged
    with pytest.raises(ConfigError, match="got reasons='why' with soft_label='share'"):
        fitted(records, reasons="why", soft_label="share")


def test_a_column_that_is_not_there_is_told_before_anything_is_fitted(monkeypatch):
    records = World(9).judged(20)
    monkeypatch.setattr(Lessons, "fit", lambda *_: pytest.fail("fitted already"))
    with pytest.raises(DataError, match="no column 'because' of reasons"):
        fitted(records, reasons="because")


def test_a_saved_model_keeps_what_reasons_told_and_scores_texts_alone(tmp_path):
    world = World(10)
    model = fitted(world.judged(120), reasons=("why",))
    model.save(tmp_path / "m")
    scorer = RewardScorer.load(tmp_path / "m")
    assert scorer.encoder.reasons == heard(model)
    new = world.judged(5)
    texts = Records(
        rows=new.rows.drop_columns(["why", "why_embedding"]), options=new.options,
        offsets=new.offsets, roles={k: v for k, v in new.roles.items() if not k.startswith("why")},
    )  # fmt: skip
    np.testing.assert_array_equal(model.judge(texts).gap, model.judge(new).gap)


def test_reasons_are_heard_beside_rankings_ratings_and_edits_of_one_file():
    world = World(0, size=5)
    records = concat([world.judged(60), mixed(world, "edit", 2), mixed(world, "ranking", 3),
                      mixed(world, "rating", 1)])  # fmt: skip
    model = fitted(records, reasons="why")
    told = heard(model)
    assert (told.reasons, told.unheard, told.observations) == (240, 0, 240)
    assert told.foretold_low > 0
    assert world.right(model) > 0.93


def test_reasons_of_ratings_alone_are_held_to_the_pairs_that_these_imply():
    world = World(1, size=5)
    told = heard(fitted(mixed(world, "rating", 1, count=120), reasons="why"))
    assert told.reasons == 120
    assert told.foretold_low > 0


def mixed(world, kind, size, count=60):
    """Feedback of another kind, with the attribute that decided named beside it."""
    rng = world.rng
    texts = rng.normal(size=(count, size, world.size))
    felt = texts @ world.truth + rng.gumbel(size=(count, size))
    best = np.argmax(felt, axis=1)
    rows = {"person": [f"p{k % 10}" for k in range(count)]}
    options, at = {}, np.arange(count)
    if kind == "rating":
        options["level"] = np.digitize(felt[:, 0], [-2.0, 0.0, 2.0])
        apart = texts[:, 0] * np.where(felt[:, 0] > 0, 1.0, -1.0)[:, None]
    else:
        rest = (texts.sum(axis=1) - texts[at, best]) / (size - 1)
        apart = texts[at, best] - rest
        if kind == "edit":
            rows["chosen"] = best
        else:
            options["rank"] = (1 + np.argsort(np.argsort(-felt, axis=1), axis=1)).ravel()
    named = np.argmax(apart * world.truth, axis=1)
    rows["why"] = [f"theme {n} in words 0" for n in named]
    numbers = (np.eye(world.size)[named] + world.phrases[named, 0]) @ world.axes.T
    rows["why_embedding"] = pa.array(numbers.tolist())
    return world.records(texts.reshape(-1, world.size), rows, kind, size, options)
