"""NeuralLogit: an estimator like the others, with context, slopes and any feedback."""

import numpy as np
import pytest

import penchant
from penchant.beliefs.belief import Belief
from penchant.data.records import Records
from penchant.encoders.context import ContextEncoder
from penchant.encoders.table import TableEncoder
from penchant.errors import ConfigError
from penchant.models.neural_logit import NeuralLogit
from penchant.policies.oneshot.what_if import Change, what_if

pytest.importorskip("torch")

SHORT = {"hidden": (8, 4), "num_networks": 2, "max_epochs": 30, "patience": 4, "batch_size": 64}


def trips(rng, num_people=120, num_tasks=8):
    """Purpose decides what a minute is worth: commuters hate them, tourists hardly mind."""
    num_rows = num_people * num_tasks
    time, cost = rng.uniform(10, 60, (num_rows, 3)), rng.uniform(1, 9, (num_rows, 3))
    purpose = np.repeat(rng.permutation(num_people) % 2, num_tasks)
    minute = np.where(purpose == 1, -0.15, -0.01)
    utilities = minute[:, None] * time - 0.4 * cost + rng.gumbel(size=(num_rows, 3))
    return Records.from_arrays(
        options={"option": np.array(["bus", "car", "train"]), "time": time, "cost": cost},
        rows={
            "chosen": utilities.argmax(axis=1),
            "person": np.repeat([f"p{p}" for p in range(num_people)], num_tasks),
            "purpose": np.where(purpose == 1, "work", "sights"),
        },
    )


@pytest.fixture(scope="module")
def fitted():
    return NeuralLogit(formula="option + time + cost", context="purpose", **SHORT).fit(
        trips(np.random.default_rng(0))
    )


def test_context_changes_the_worth_of_a_minute_without_being_told_how(fitted):
    test = trips(np.random.default_rng(1))
    line = penchant.ConditionalLogit(formula="option + time + cost").fit(
        trips(np.random.default_rng(0))
    )
    told = penchant.ConditionalLogit(formula="option + time + cost + time:purpose").fit(
        trips(np.random.default_rng(0))
    )
    assert fitted.score(test) > line.score(test) + 0.05
    assert fitted.score(test) > told.score(test) - 0.03


def test_it_predicts_saves_and_answers_what_if_like_any_other(fitted, tmp_path):
    records = trips(np.random.default_rng(2), num_people=20)
    probabilities = fitted.predict_proba(records)
    np.testing.assert_allclose(probabilities.reshape(-1, 3).sum(axis=1), 1.0)
    fitted.save(tmp_path)
    again = Belief.load(tmp_path)
    rng = np.random.default_rng(0)
    change = Change(feature="cost", option="car", add=3.0)
    result = what_if(again, records, [change], rng=rng, price="cost", num_draws=20)
    car = next(share for share in result.shares if share.option == "car")
    assert car.change_high < 0
    assert result.welfare[0].mean < 0
    assert set(fitted.get_params()) >= {"formula", "context", "num_networks"}
    doubtful = NeuralLogit(**(fitted.get_params() | {"doubt_draws": 10}))
    doubtful.belief_ = fitted.belief_
    averaged = doubtful.predict_proba(records)
    np.testing.assert_allclose(averaged.reshape(-1, 3).sum(axis=1), 1.0)
    # Averaged over doubt, nobody is surer than at the mean.
    assert np.mean(np.log(averaged)) > np.mean(np.log(probabilities))


def test_slopes_stand_where_part_worths_would(fitted):
    slopes = {slope.feature: slope for slope in fitted.average_slopes(
        trips(np.random.default_rng(0)))}  # fmt: skip
    assert set(slopes) == {"time", "cost"}
    assert slopes["cost"].value == pytest.approx(-0.4, abs=0.12)
    assert slopes["time"].low < slopes["time"].value < slopes["time"].high < 0


def test_its_summary_shows_the_fit_and_no_weights(fitted):
    text = fitted.summary().text()
    assert "held-out people" in text
    assert "hidden[" not in text
    assert fitted.belief_.report.parameters > 100


def test_ratings_need_nothing_but_the_data():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(600, 1))
    worth = 2 * np.cos(2 * x) + rng.logistic(size=x.shape)
    records = Records.from_arrays(
        options={"option": np.array(["it"]), "x": x, "level": np.digitize(worth, [-1.0, 1.0])},
        rows={"person": [f"p{i // 6}" for i in range(600)]},
        kind="rating",
    )
    network = NeuralLogit(formula="x", **SHORT).fit(records)
    line = penchant.OrdinalRatings(levels=3, formula="x").fit(records)
    assert network.score(records) > line.score(records) + 0.1
    assert "threshold 0|1" in network.summary().text()


def test_records_without_a_formula_are_refused():
    with pytest.raises(ConfigError, match="purpose \\+ age"):
        NeuralLogit().fit(trips(np.random.default_rng(0), num_people=5))


def test_the_context_stands_beside_the_options_features():
    records = trips(np.random.default_rng(3), num_people=4)
    encoder = ContextEncoder.of("option + time", "purpose").fit(records)
    batch = encoder.encode(records)
    assert batch.feature_names == ("option[car]", "option[train]", "time", "purpose[work]")
    assert encoder.num_option_features == 3
    block = batch.blocks[0]
    is_work = np.array(records.rows["purpose"].to_pylist())[block.row] == "work"
    np.testing.assert_array_equal(block.features[:, :, 3], np.repeat(is_work[:, None], 3, axis=1))
    with pytest.raises(ConfigError, match="expected 'row'"):
        ContextEncoder(TableEncoder("time"), TableEncoder("", group_formula="purpose"))
