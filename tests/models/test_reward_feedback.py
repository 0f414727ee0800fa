"""A reward model taught by pairs, rankings, ratings, edits and soft labels, alone and together."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records, concat
from penchant.errors import ConfigError, DataError
from penchant.models.reward_model import HABITS, RewardModel

DIMENSIONS, TEXTS = 5, 60
WEIGHTS = np.array([1.2, -0.8, 0.5, 0.0, 0.0])


class World:
    """Texts with embeddings whose worth is known, and people who speak of them in every way."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.vectors = self.rng.standard_normal((TEXTS, DIMENSIONS)).astype(np.float32)
        self.texts = [f"text {'so ' * (t % 7)}{t}" for t in range(TEXTS)]
        self.worth = self.vectors @ WEIGHTS

    def shown(self, count, size):
        return np.argsort(self.rng.random((count, TEXTS)), axis=1)[:, :size]

    def records(self, kind, shown, rows=None, options=None):
        codes = pa.array(shown.ravel().astype(np.int32))
        lists = pa.FixedSizeListArray.from_arrays(pa.array(self.vectors.ravel()), DIMENSIONS)
        people = self.rng.integers(0, 30, len(shown))
        return Records.from_arrays(
            options={
                "text": pa.DictionaryArray.from_arrays(codes, pa.array(self.texts)),
                "embedding": pa.DictionaryArray.from_arrays(codes, lists),
                **(options or {}),
            },
            menu_sizes=np.full(len(shown), shown.shape[1]),
            kind=kind,
            rows={"person": [f"p{p}" for p in people], **(rows or {})},
            extras=("embedding",),
        )

    def pairs(self, count=800, kind="pair"):
        shown = self.shown(count, 2)
        gap = self.worth[shown[:, 0]] - self.worth[shown[:, 1]]
        second = (self.rng.random(count) > 1 / (1 + np.exp(-gap))).astype(int)
        return self.records(kind, shown, {"outcome" if kind == "pair" else "chosen": second})

    def rankings(self, count=400, size=4):
        shown = self.shown(count, size)
        noisy = self.worth[shown] + self.rng.gumbel(size=shown.shape)
        rank = 1 + np.argsort(np.argsort(-noisy, axis=1), axis=1)
        return self.records("ranking", shown, options={"rank": rank.ravel()})

    def ratings(self, count=1200):
        shown = self.shown(count, 1)
        heard = 0.7 * self.worth[shown[:, 0]] + self.rng.logistic(size=count)
        return self.records(
            "rating", shown, options={"level": np.searchsorted([-1.5, 0.0, 1.5], heard)}
        )

    def graded(self, count=800):
        shown = self.shown(count, 2)
        gap = self.worth[shown[:, 0]] - self.worth[shown[:, 1]]
        grade = np.searchsorted([-1.5, -0.5, 0.5, 1.5], gap + self.rng.logistic(size=count))
        return self.records("graded", shown, {"grade": grade})


def agreement(model, world):
    """Correlation of the rewards with the true worths."""
    encoder = model.belief_.encoder
    said = (world.vectors - encoder.mean) @ encoder.weights
    return np.corrcoef(said, world.worth)[0, 1]


@pytest.mark.parametrize("kind", ["rankings", "ratings", "graded", "edits"])
def test_feedback_of_any_one_kind_teaches_what_texts_are_worth(kind):
    world = World(1)
    records = world.pairs(kind="edit") if kind == "edits" else getattr(world, kind)()
    model = RewardModel(personal=False).fit(records)
    assert model.belief_.report.converged
    assert agreement(model, world) > 0.96
    said = model.judge(world.pairs(50))
    assert np.isfinite(said.probabilities).all()
    np.testing.assert_allclose(said.probabilities.sum(axis=1), 1.0)
    assert (said.low < said.gap).all()


def test_kinds_together_teach_more_than_the_pairs_alone():
    gains = []
    for seed in range(4):
        world = World(seed)
        pairs = world.pairs(150)
        rest = [world.rankings(120), world.ratings(300), world.graded(120)]
        alone = RewardModel(personal=False).fit(pairs)
        joint = RewardModel(personal=False).fit(concat([pairs, *rest]))
        gains.append(agreement(joint, world) - agreement(alone, world))
        test = world.pairs(2000)
        outcome = np.asarray(test.rows["outcome"])
        nll = [
            -np.log(m.judge(test).probabilities[np.arange(2000), outcome]).mean()
            for m in (alone, joint)
        ]
        assert nll[1] < nll[0]
    assert min(gains) > 0


def test_judges_are_told_apart_by_their_pairs_beside_other_feedback():
    world = World(2)
    mixed = concat([world.pairs(600), world.ratings(400)])
    model = RewardModel(personal=HABITS, num_draws=50).fit(mixed)
    differing = model.belief_.parameter_names[len(model.belief_.encoder.feature_names) :]
    assert "chol(reward, reward)" in differing
    assert model.belief_.report.rows == 600


def test_a_soft_label_is_both_answers_with_its_weight():
    world = World(3)
    pairs = world.pairs(400)
    share = world.rng.choice([0.25, 0.5, 1.0], 400)
    soft = RewardModel(personal=False, soft_label="share", prior_scale=0.5).fit(
        pairs.with_columns(rows={"share": share})
    )
    twice = pairs.take(np.repeat(np.arange(400), 4)).with_columns(
        rows={"outcome": (np.tile(np.arange(4), 400) >= np.repeat(4 * share, 4)).astype(int),
              "weight": np.full(1600, 0.25)}
    )  # fmt: skip
    hard = RewardModel(personal=False, prior_scale=0.5).fit(twice)
    for name in ("weights", "coefficients"):
        np.testing.assert_allclose(
            getattr(soft.belief_.encoder, name), getattr(hard.belief_.encoder, name), atol=2e-3
        )
    np.testing.assert_allclose(soft.belief_.theta, hard.belief_.theta, atol=0.02)


def test_soft_labels_that_are_none_are_refused():
    world = World(3)
    pairs = world.pairs(60).with_columns(rows={"share": np.full(60, 1.5)})
    with pytest.raises(DataError, match=r"observation 0 has the soft label 1.5 \(60 of 60"):
        RewardModel(personal=False, soft_label="share").fit(pairs)
    with pytest.raises(DataError, match="no column 'shares' of soft labels"):
        RewardModel(personal=False, soft_label="shares").fit(pairs)
    with pytest.raises(ConfigError, match="expected personal=False and pairs alone"):
        RewardModel(soft_label="share").fit(pairs)


def test_a_winner_that_always_stands_first_is_no_favour_for_the_first():
    """TRL's files put the chosen answer first: an intercept would explain everything."""
    world = World(4)
    pairs = world.pairs(800)
    outcome = np.asarray(pairs.rows["outcome"])
    lines = (2 * np.arange(800)[:, None] + np.stack([outcome, 1 - outcome], axis=1)).ravel()
    chosen_first = Records(
        rows=pairs.rows, options=pairs.options.take(pa.array(lines)), offsets=pairs.offsets,
        roles=pairs.roles,
    ).with_columns(rows={"outcome": np.zeros(800, dtype=int)})  # fmt: skip
    model = RewardModel(personal=False).fit(chosen_first)
    assert "shown_first" not in model.belief_.encoder.feature_names
    assert agreement(model, world) > 0.96
    plain = RewardModel(personal=False).fit(pairs)
    np.testing.assert_allclose(
        model.belief_.encoder.weights, plain.belief_.encoder.weights, atol=0.05
    )


def strange_raters(seed, people=20, each=30):
    """Ratings of shared worths: half of the people double them and add three, a quarter toss."""
    world = World(seed)
    shown = world.shown(people * each, 1)
    person = np.repeat(np.arange(people), each)
    worth = world.worth[shown[:, 0]]
    heard = np.where(person % 4 == 3, 0.0, worth) + 0.5 * world.rng.logistic(size=len(person))
    value = np.where(person % 2 == 0, 3.0 + 2.0 * heard, heard)
    return world, shown, person, value


@pytest.mark.parametrize("kind", ["outcome", "rating"])
def test_raters_are_told_apart_by_the_pairs_that_their_ratings_imply(kind):
    world, shown, person, value = strange_raters(5)
    told = {"value": value} if kind == "outcome" else {
        "level": np.searchsorted([-2.0, 0.0, 2.0, 4.0], value)
    }  # fmt: skip
    records = world.records(kind, shown, {"person": [f"p{p}" for p in person]}, told)
    model = RewardModel(personal=HABITS, num_draws=60).fit(records)
    assert model.belief_.encoder.people is not None
    known = model.belief_.encoder.people
    reliable = {name: mean[0] for name, mean in zip(known.names, known.mean)}
    tossing = [reliable[f"p{p}"] for p in range(20) if p % 4 == 3]
    others = [reliable[f"p{p}"] for p in range(20) if p % 4 != 3]
    assert np.mean(tossing) < 0.6 * np.mean(others)
    # Known by ratings, judged on pairs: what is foretold of the reliable is surer.
    asked = world.records("pair", world.shown(300, 2), {
        "outcome": np.zeros(300, dtype=int), "person": [f"p{p}" for p in np.tile([2, 3], 150)],
    })  # fmt: skip
    said = model.judge(asked, history=records).probabilities[:, 0]
    assert np.abs(said[::2] - 0.5).mean() > np.abs(said[1::2] - 0.5).mean() + 0.03


def test_a_history_of_the_fits_own_records_is_heard_by_heads_that_had_not_seen_it():
    """Many dimensions, few pairs: a head knows its own answers by heart."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((400, 60)).astype(np.float32)
    outcome = rng.integers(0, 2, 200)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 60)
    records = Records.from_arrays(
        options={"text": pa.array([f"t{t}" for t in range(400)]), "embedding": lists},
        menu_sizes=np.full(200, 2), kind="pair", extras=("embedding",),
        rows={"outcome": outcome, "person": [f"p{b % 10}" for b in range(200)]},
    )  # fmt: skip
    model = RewardModel(personal=HABITS, prior_scale=1.0, num_draws=40, attributes=())
    model.fit(records)
    same, copied = (model.judge(records, history=each) for each in (
        records, records.with_columns(rows={"note": ["x"] * 200}),
    ))  # fmt: skip
    right = [said.probabilities[np.arange(200), outcome].mean() for said in (same, copied)]
    assert same.knows_person.all()
    assert right[0] < right[1]
