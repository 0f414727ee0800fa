"""Latent classes as an estimator: records in, classes named, context in the shares."""

import numpy as np
import pytest

from fitting.answers_of_kinds import answered_by
from penchant.beliefs.belief import Belief
from penchant.data.samples import swissmetro
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.latent_class_logit import LatentClassLogit
from penchant.simulation.choices import SimulationConfig, simulate_choices

FORMULA = "option + time/100 + cost/100"


@pytest.fixture(scope="module")
def records():
    everyone = swissmetro()
    return everyone.take(np.arange(9 * 150))


@pytest.fixture(scope="module")
def fitted(records):
    return LatentClassLogit(FORMULA, group_formula="luggage", num_classes=2).fit(records)


def test_classes_fit_better_than_one_taste_and_use_the_context(records, fitted):
    pooled = ConditionalLogit(FORMULA).fit(records)
    gain = fitted.belief_.report.log_likelihood - pooled.belief_.report.log_likelihood
    assert gain > 100
    names = fitted.belief_.parameter_names
    assert names[4:9] == (
        "option[swissmetro] [class 2]", "option[train] [class 2]", "time/100 [class 2]",
        "cost/100 [class 2]", "class 2: intercept",
    )  # fmt: skip
    assert all(name.startswith("class 2: luggage[") for name in names[9:])
    assert fitted.belief_.report.people == 150
    assert fitted.score(records) > pooled.score(records)


def test_probabilities_are_probabilities_and_history_sharpens_them(records, fitted):
    probabilities = fitted.predict_proba(records)
    sums = np.add.reduceat(probabilities, records.offsets[:-1])
    np.testing.assert_allclose(sums, 1.0, rtol=1e-10)
    assert fitted.score(records, history=records) > fitted.score(records) + 0.03


def test_the_summary_names_the_classes(fitted):
    text = str(fitted.summary())
    assert "cost/100 [class 2]" in text
    assert "class 2: luggage[" in text


def test_a_saved_fit_predicts_the_same(records, fitted, tmp_path):
    fitted.save(tmp_path / "classes")
    loaded = Belief.load(tmp_path / "classes")
    batch = loaded.encode(records)
    before = fitted.belief_.predict_proba(batch, batch)
    for mine, theirs in zip(before, loaded.predict_proba(batch, batch)):
        np.testing.assert_array_equal(mine, theirs)


def test_a_ready_batch_can_be_asked_after_fitting_on_records(records, fitted):
    batch = fitted.belief_.encode(records)
    np.testing.assert_array_equal(fitted.predict_proba(batch), fitted.predict_proba(records))


def test_the_number_of_classes_can_be_left_to_the_data():
    config = SimulationConfig(part_worths=((1.5, -1.0), (-1.0, 1.0)), num_people=200)
    batch = simulate_choices(config, np.random.default_rng(0)).batch
    assert LatentClassLogit(most_classes=4).fit(batch).belief_.population.num_classes == 2
    one = SimulationConfig.pooled((1.0, -1.0), num_people=200)
    batch = simulate_choices(one, np.random.default_rng(0)).batch
    assert LatentClassLogit(most_classes=4).fit(batch).belief_.population.num_classes == 1


def test_a_saved_fit_of_ratings_has_its_thresholds(tmp_path):
    config = SimulationConfig(part_worths=((1.5, -1.0), (-1.0, 1.0)), num_people=60)
    batch = answered_by("rating", config, np.random.default_rng(0)).batch
    fitted = LatentClassLogit(num_starts=4).fit(batch)
    assert fitted.belief_.channel_sizes == (3,)
    fitted.save(tmp_path / "stars")
    loaded = Belief.load(tmp_path / "stars")
    for mine, theirs in zip(fitted.belief_.log_prob(batch, batch), loaded.log_prob(batch, batch)):
        np.testing.assert_array_equal(mine, theirs)
    pooled = ConditionalLogit().fit(batch)
    assert fitted.score(batch, history=batch) > pooled.score(batch) + 0.3
    assert "threshold 0|1" in fitted.summary().text()


def test_sample_weights_of_two_are_rows_met_twice():
    config = SimulationConfig(part_worths=((1.5, -1.0), (-1.0, 1.0)), num_people=60)
    batch = simulate_choices(config, np.random.default_rng(0)).batch
    once = LatentClassLogit().fit(batch).belief_
    twice = LatentClassLogit().fit(batch, sample_weight=np.full(batch.num_rows, 2.0)).belief_
    np.testing.assert_allclose(once.theta, twice.theta, atol=1e-6)
    assert twice.report.log_likelihood == pytest.approx(2 * once.report.log_likelihood)
