"""Reward models whose judges part in what texts say: classes, mixes, latent tastes."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from models.opposed_judges import EACH, KNOWN, TASTES, VECTORS, first_answers, judged_by
from penchant.data.records import Records
from penchant.encoders.reward_pairs import read_pairs
from penchant.errors import ConfigError, DataError
from penchant.metrics.intervals import Z95
from penchant.models.reward_kinds import TasteDirections
from penchant.models.reward_model import RewardModel
from penchant.models.reward_scorer import RewardScorer, Texts
from penchant.serving.json_weights import json_weights
from penchant.simulation.judgements import judge_pairs, two_tastes


@pytest.fixture(scope="module")
def world():
    return judged_by(TASTES)


@pytest.fixture(scope="module")
def fits(world):
    history = first_answers(world[0])
    return {
        people: RewardModel(kinds=2, people=people, attributes=()).fit(history)
        for people in ("normal", "classes", "prototypes")
    }


def nats(model, records, rows, history):
    said = model.judge(records.take(rows), history=history).probabilities
    return -np.log(said[np.arange(len(rows)), np.asarray(records.rows["outcome"])[rows]]).mean()


def test_judges_of_opposed_tastes_are_foretold_by_their_kind(world, fits):
    records, chance, _ = world
    history = first_answers(records)
    later = np.flatnonzero(np.arange(len(records)) % EACH >= KNOWN)
    alike = nats(RewardModel(attributes=()).fit(history), records, later, history)
    truth = -np.log(chance[later, np.asarray(records.rows["outcome"])[later]]).mean()
    for people, most in (("classes", 0.02), ("prototypes", 0.04), ("normal", 0.05)):
        found = nats(fits[people], records, later, history)
        assert found < alike - 0.1, people
        # Told by fourteen answers each: what is left to the truth is little.
        assert found < truth + most, people


def test_whoever_follows_a_class_is_found_and_named_by_it(world, fits):
    records, _, kind = world
    belief = fits["classes"].belief_
    assert belief.parameter_names[:2] == ("reward [class 1]", "taste 1 [class 1]")
    batch = belief.encode(first_answers(records))
    member = belief.tastes(batch, batch).log_weights.argmax(axis=1)
    whose = np.array([int(name[1:]) for name in batch.group_names])
    right = (member == kind[whose]).mean()
    assert max(right, 1 - right) > 0.95


@pytest.mark.parametrize("people", ["normal", "classes", "prototypes"])
def test_a_saved_model_scores_known_and_unknown_judges_as_before(world, fits, people, tmp_path):
    records, fitted = world[0], fits[people]
    fitted.save(tmp_path)
    loaded = RewardScorer.load(tmp_path)
    pairs = records.take(np.arange(30))
    texts = np.asarray(pairs.options["text"]).reshape(-1, 2)
    place = np.array([int(text.split()[1]) for text in texts.ravel()]).reshape(-1, 2)
    asked = [Texts(texts=list(texts[:, side]), vectors=VECTORS[place[:, side]]) for side in (0, 1)]
    told = loaded.compare(*asked)
    np.testing.assert_allclose(told.margin, fitted.judge(pairs).gap, atol=1e-6)
    assert not told.knows_person.any()
    person = np.asarray(pairs.rows["person"]).tolist()
    theirs = loaded.compare(Texts(texts=asked[0].texts, vectors=asked[0].vectors, people=person),
                            asked[1])  # fmt: skip
    assert theirs.knows_person.all()
    assert np.abs(theirs.margin - told.margin).max() > 0.5
    # And it is their own answers that move it: those of the first person's kind point its way.
    mine = fitted.judge(pairs, history=first_answers(records)).probabilities
    decided = np.abs(theirs.margin) > 1
    assert ((theirs.margin > 0) == (mine[:, 0] > mine[:, 1]))[decided].mean() > 0.9


def test_a_belief_of_mixes_gives_the_answers_the_likelihood_that_its_fit_found():
    """The favour for the first shown, strong here, is a column of the pair to the fit and a feature
    of an option, beside which a tie stands, to the belief."""
    records, _, _ = judged_by(TASTES, favour=1.5)
    fitted = RewardModel(kinds=2, people="prototypes", attributes=()).fit(records)
    belief, choices = fitted.belief_, fitted._heard.choices
    (block,) = choices.blocks
    tastes = belief.tastes(choices)
    values = np.broadcast_to(tastes.values, (choices.num_groups, *tastes.values.shape[1:]))
    worth = np.einsum("bkf,bsf->bks", block.features, values[block.group])
    told = worth - np.log(np.exp(worth).sum(axis=1, keepdims=True))
    of_row = told[np.arange(len(block)), block.answer["chosen"]]
    joint = np.zeros((choices.num_groups, of_row.shape[1]))
    np.add.at(joint, block.group, of_row)
    found = np.log(np.exp(joint + tastes.log_weights).sum(axis=1)).sum()
    assert found == pytest.approx(belief.report.log_likelihood, abs=0.05)
    assert belief.theta.reshape(2, -1)[0, choices.feature_names.index("shown_first")] > 0.5
    assert any("leave out our doubt" in note for note in belief.report.warnings)


def test_weights_for_other_languages_are_those_of_the_average_judge(fits):
    for people, fitted in fits.items():
        scorer = RewardScorer.of(fitted.belief_)
        weights = np.array(json_weights(scorer)["weights"])
        new = Texts(texts=["one", "two"], vectors=VECTORS[:2] + 0.5)
        said = scorer.compare(*(Texts(texts=[new.texts[k]], vectors=new.vectors[[k]])
                                for k in (0, 1)))  # fmt: skip
        apart = (new.vectors[0] - new.vectors[1]) @ weights
        assert said.margin[0] == pytest.approx(apart, abs=1e-5), people


def test_judges_of_one_taste_are_not_taken_for_two():
    records, _, _ = judged_by(TASTES[:1])
    history = first_answers(records)
    later = np.flatnonzero(np.arange(len(records)) % EACH >= KNOWN)
    one = nats(RewardModel(attributes=()).fit(history), records, later, history)
    two = nats(RewardModel(kinds=2, people="classes", attributes=()).fit(history), records, later,
               history)  # fmt: skip
    assert two < one + 0.02


@pytest.mark.parametrize("kinds", [2, 4])
def test_directions_hold_what_tells_the_heads_apart_and_nothing_of_their_mean(kinds):
    rng = np.random.default_rng(kinds)
    pairs = judge_pairs(two_tastes(2.0, 5), 60, 6, rng).pairs()
    heads, member = rng.normal(size=(kinds, 5)), rng.dirichlet(np.ones(kinds), size=60)
    tastes = TasteDirections.of(heads, member, pairs)
    apart = heads - tastes.shares @ heads
    assert tastes.places.shape == (kinds, kinds - 1)
    np.testing.assert_allclose(tastes.places @ tastes.loadings.T, apart, atol=1e-6)
    # Mean 0 and variance 1 over people; moving all heads alike moves no direction.
    np.testing.assert_allclose(tastes.shares @ tastes.places, 0.0, atol=1e-6)
    np.testing.assert_allclose(
        (tastes.places.T * tastes.shares) @ tastes.places, np.eye(kinds - 1), atol=1e-6
    )
    # Others number their heads as they like: who follows them tells which is which.
    order = rng.permutation(kinds)
    moved = tastes.as_by((heads + 1.0)[order], member[:, order])
    np.testing.assert_allclose(moved, tastes.loadings, atol=1e-6)


def test_kinds_that_cannot_be_are_refused(world):
    records = world[0]
    for wrong in ({"kinds": 0}, {"people": "classes"}, {"kinds": 2, "personal": False}):
        with pytest.raises(ConfigError, match="kinds="):
            RewardModel(**wrong).fit(records)
    with pytest.raises(ConfigError, match="'everybody'"):
        RewardModel(kinds=2).set_params(people="everybody").fit(records)
    once = records.take(np.flatnonzero(np.arange(len(records)) % EACH == 0))
    with pytest.raises(DataError, match="answered twice"):
        RewardModel(kinds=2, attributes=()).fit(once)


def test_kinds_are_found_by_pairs_alone():
    shown = np.arange(20, dtype=np.int32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS[:20].ravel()), 6)
    rated = Records.from_arrays(
        options={"text": pa.DictionaryArray.from_arrays(shown, [f"text {p}" for p in shown]),
                 "embedding": pa.DictionaryArray.from_arrays(shown, lists), "level": shown % 5},
        menu_sizes=np.ones(20, dtype=int), kind="rating",
        rows={"person": [f"p{p % 4}" for p in shown]}, extras=("embedding",),
    )  # fmt: skip
    with pytest.raises(DataError, match="pairs alone"):
        RewardModel(kinds=2, people="classes", attributes=()).fit(rated)


def test_a_soft_label_of_nobody_known_is_the_average_over_kinds(world, fits):
    """Of two opposed kinds the average is no sigmoid of an average: half of the judges are sure of
    one text, half of the other."""
    records = world[0].take(np.arange(200))
    texts = np.array([int(t.split()[1]) for t in records.options["text"].to_pylist()])
    asked = [Texts(texts=[f"text {t}" for t in texts[side::2]], vectors=VECTORS[texts[side::2]])
             for side in (0, 1)]  # fmt: skip
    for people in ("classes", "prototypes"):
        belief = fits[people].belief_
        scorer = RewardScorer.of(belief)
        everybody = belief.population.tastes(belief.population_theta, np.zeros((1, 0)))
        # Each kind by itself, as if it were known.
        weights, alone = np.exp(everybody.log_weights[0]), []
        for value in everybody.values[0]:
            kind = replace(scorer, average=value, kinds=None)
            alone.append(kind.compare(*asked).margin)
        told = scorer.compare(*asked)
        variance = ((told.high - told.low) / (2 * Z95)) ** 2
        drawn = np.sqrt(1 + np.pi * variance / 8)
        wanted = weights @ (1 / (1 + np.exp(-np.array(alone) / drawn)))
        np.testing.assert_allclose(told.soft_label, wanted, atol=1e-9)
        assert np.abs(told.soft_label - 1 / (1 + np.exp(-told.margin))).max() > 0.1


def test_a_soft_label_of_kinds_is_the_share_that_the_model_foretells(world, fits):
    records, _, _ = world
    rows = np.arange(300)
    for people in ("classes", "prototypes"):
        said = fits[people].judge(records.take(rows)).probabilities
        pairs = read_pairs(records.take(rows), fits[people].embedding)
        soft = RewardScorer.of(fits[people].belief_).margins(pairs).soft_label
        share = said[:, 0] / said[:, :2].sum(axis=1)
        assert np.abs(soft - share).mean() < 0.03, people


@pytest.mark.parametrize("people", ["classes", "prototypes"])
@pytest.mark.parametrize("option", [{"correlated": False}, {"num_draws": 50}])
def test_what_kinds_have_no_use_for_is_refused(world, people, option):
    model = RewardModel(kinds=2, people=people, **option)
    with pytest.raises(ConfigError, match="would change nothing"):
        model.fit(first_answers(world[0]))
