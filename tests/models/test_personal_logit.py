"""A taste for each person: known people are foreseen better, new ones as the population."""

import numpy as np
import pytest

from penchant.beliefs.belief import Belief
from penchant.data.samples import swissmetro
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.hierarchical_logit import HierarchicalLogit
from penchant.models.mixed_logit import MixedLogit
from penchant.models.personal_logit import PersonalLogit, own_tastes
from penchant.simulation.choices import SimulationConfig, simulate_choices

FORMULA = "option + time/100 + cost/100 + time/100:luggage"


@pytest.fixture(scope="module")
def records():
    return swissmetro().take(np.arange(9 * 150))


@pytest.fixture(scope="module")
def fitted(records):
    return PersonalLogit(FORMULA).fit(records)


def parts(records):
    """First six and last three rows of each person."""
    task = np.arange(len(records.rows)) % 9
    return records.take(np.flatnonzero(task < 6)), records.take(np.flatnonzero(task >= 6))


def test_interactions_are_the_same_for_all_and_the_rest_differ(fitted):
    population, names = fitted.belief_.population, fitted.belief_.parameter_names
    assert [names[place] for place in population.random] == [
        "option[swissmetro]", "option[train]", "time/100", "cost/100",
    ]  # fmt: skip
    assert population.correlated
    assert fitted.belief_.posterior == "laplace"


def test_what_each_option_does_with_an_attribute_is_a_taste_of_its_own(records):
    fit = PersonalLogit("option:time/100 + option:luggage + cost/100", correlated=False).fit(
        records.take(np.arange(9 * 60))
    )
    population, names = fit.belief_.population, fit.belief_.parameter_names
    random = [names[place] for place in population.random]
    assert len(random) == 4
    assert all("time" in name or name == "cost/100" for name in random)


def test_known_people_are_foreseen_better_than_new_ones(records):
    # Split by person as well, so that the comparison is not with what was fitted.
    learned = PersonalLogit(FORMULA).fit(records.take(np.arange(9 * 100)))
    history, future = parts(records.take(np.arange(9 * 100, 9 * 150)))
    pooled = ConditionalLogit(FORMULA).fit(records.take(np.arange(9 * 100)))
    new, known = learned.score(future), learned.score(future, history)
    assert known > new + 0.1
    assert new > pooled.score(future) - 0.02


def test_without_history_it_is_the_population_it_was_fitted_as(records, fitted):
    mixed = MixedLogit(
        FORMULA, random=("option", "time/100", "cost/100"), correlated=True, num_draws=200
    ).fit(records)
    np.testing.assert_allclose(fitted.belief_.theta, mixed.belief_.theta, atol=0.15)
    np.testing.assert_allclose(
        fitted.predict_proba(records), mixed.predict_proba(records), atol=0.02
    )


def test_probabilities_with_history_are_probabilities(records, fitted):
    history, future = parts(records)
    probabilities = fitted.predict_proba(future, history)
    np.testing.assert_allclose(np.add.reduceat(probabilities, future.offsets[:-1]), 1.0)


def test_a_saved_fit_knows_people_as_before(records, fitted, tmp_path):
    history, future = (fitted.belief_.encode(part) for part in parts(records))
    fitted.save(tmp_path / "personal")
    loaded = Belief.load(tmp_path / "personal")
    for mine, theirs in zip(
        fitted.belief_.predict_proba(future, history), loaded.predict_proba(future, history)
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_other_distributions_are_reweighted_instead():
    config = SimulationConfig(
        part_worths=((1.0, -0.5),), spread=((0.5, 0.0), (0.0, 0.5)), num_people=100
    )
    batch = simulate_choices(config, np.random.default_rng(0)).batch
    fit = PersonalLogit(random={"x0": "lognormal"}, correlated=False, num_draws=100).fit(batch)
    assert fit.belief_.posterior == "reweight"
    assert np.isfinite(fit.score(batch, batch))


def test_people_of_one_taste_are_not_found_to_differ():
    batch = simulate_choices(
        SimulationConfig.pooled((1.0, -0.5), num_people=300), np.random.default_rng(4)
    ).batch
    fit = PersonalLogit(correlated=False).fit(batch)
    spread = np.sqrt(np.diag(fit.belief_.population.taste_covariance(fit.belief_.theta)))
    assert spread.max() < 0.25
    shift = fit.belief_.tastes(batch, batch)
    mean = np.einsum("gs,gsd->gd", np.exp(shift.log_weights), shift.values)
    assert mean.std(axis=0).max() < 0.1


def test_hierarchical_bayes_agrees_and_tells_how_its_chains_fared(records):
    few = records.take(np.arange(9 * 100))
    bayes = HierarchicalLogit(
        "option + time/100 + cost/100", random=["time/100"], num_chains=2, num_warmup=60,
        num_draws=150, random_state=1,
    ).fit(few)  # fmt: skip
    likelihood = PersonalLogit("option + time/100 + cost/100", random=["time/100"]).fit(few)
    sd = np.sqrt(np.diag(bayes.belief_.covariance))
    assert np.abs((bayes.belief_.theta - likelihood.belief_.theta) / sd).max() < 1.0
    assert bayes.diagnostics().r_hat.shape == (5,)
    assert bayes.diagnostics().r_hat.max() < 1.1
    assert "time/100" in str(bayes.summary())
    history, future = parts(few)
    assert bayes.score(future, history) > bayes.score(future)


def test_a_column_of_two_words_is_context_all_the_same(records):
    named = records.with_columns(rows={"trip kind": records.rows["luggage"].to_pylist()})
    names = ("time/100", "time/100:`trip kind`[several]", "option[train]:cost/100", "log(1+cost)")
    assert own_tastes(named, names) == ("time/100", "option[train]:cost/100", "log(1+cost)")
