"""Hierarchical Bayes from every kind of answer: choices as before, the others as they were made."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.answers_of_kinds import answered_by
from fitting.small_batches import mixed_feedback
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel import default_channels
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Rating
from penchant.feedback.channel_order import BestWorst, Ranking
from penchant.feedback.channel_pair import Pair
from penchant.fitting import hierarchical_sweep
from penchant.fitting.hierarchical import fit_hierarchical
from penchant.fitting.hierarchical_answers import KindAnswers, PlainAnswers, sweep_answers
from penchant.fitting.hierarchical_sweep import HierarchicalConfig
from penchant.fitting.simulated import fit_simulated
from penchant.models.hierarchical_logit import HierarchicalLogit
from penchant.simulation.choices import SimulationConfig, simulate_choices

CONFIG = SimulationConfig(
    part_worths=((1.0, -0.5),), spread=((0.9, 0.0), (0.4, 0.6)), num_people=60, num_tasks=6,
    menu_sizes=(3,),
)  # fmt: skip
SHORT = HierarchicalConfig(num_chains=2, num_warmup=40, num_draws=100)
# Numbers have no fused loops: a sweep takes ten times as long, and one starts nearer.
SHORTER = HierarchicalConfig(num_chains=2, num_warmup=25, num_draws=50)
COMMON = (Choice(), Pair(ties="davidson"), Ranking(), Rating(levels=4), BestWorst())
NONE = np.zeros(0, dtype=np.int64)
OWN = {
    "ranking": (),
    "rating": (-1.0, np.log(1.2), np.log(1.2)),
    "outcome": (0.0,),
}


def simulated_by(kind, seed=0):
    return answered_by(kind, CONFIG, np.random.default_rng(seed))


def test_from_choices_the_general_path_draws_what_the_plain_one_draws(monkeypatch):
    batch = simulate_choices(replace(CONFIG, num_people=25), np.random.default_rng(1)).batch
    config = HierarchicalConfig(num_chains=1, num_warmup=2, num_draws=6)
    plain = fit_hierarchical(batch, (0, 1), seed=3, config=config)
    assert isinstance(sweep_answers(batch, (Choice(),)), PlainAnswers)
    for has_choices in (True, False):
        monkeypatch.setattr(
            hierarchical_sweep,
            "sweep_answers",
            lambda b, c, made=has_choices: KindAnswers.of(b, c, has_choices=made),
        )
        general = fit_hierarchical(batch, (0, 1), seed=3, config=config)
        np.testing.assert_allclose(general.chains, plain.chains, rtol=1e-4, atol=1e-5)
        for name in ("log_likelihood", "null_log_likelihood", "people", "rows"):
            mine, theirs = (getattr(f.belief.report, name) for f in (general, plain))
            assert mine == pytest.approx(theirs, rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_answers_made_of_choices_have_the_shape_of_their_own_likelihoods(seed):
    rng = np.random.default_rng(seed)
    batch = mixed_feedback(rng)
    made, general = (KindAnswers.of(batch, COMMON, has_choices=h) for h in (True, False))
    assert made.made is not None
    z = rng.normal(size=(batch.num_groups, 2))
    places = (np.array([0, 1, 1]), np.array([0, 0, 1]))
    theta = np.concatenate([rng.normal(size=5), made.initial + 0.3 * rng.normal(size=4)])
    one, other = (each.shape(z, *places).evaluate(theta) for each in (made, general))
    assert one.value == pytest.approx(other.value, rel=1e-10)
    np.testing.assert_allclose(one.gradient, other.gradient, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(one.information, other.information, rtol=1e-7, atol=1e-7)


def test_slopes_of_the_shape_equal_central_differences():
    rng = np.random.default_rng(4)
    batch = mixed_feedback(rng)
    answers = KindAnswers.of(batch, COMMON)
    z = rng.normal(size=(batch.num_groups, 2))
    shape = answers.shape(z, np.array([0, 1]), np.array([0, 1]))
    theta = np.concatenate([rng.normal(size=4), answers.initial])
    here = shape.evaluate(theta)
    for m, step in enumerate(1e-5 * np.eye(len(theta))):
        above, below = shape.evaluate(theta + step), shape.evaluate(theta - step)
        assert here.gradient[m] == pytest.approx((above.value - below.value) / 2e-5, abs=1e-5)
        np.testing.assert_allclose(
            here.information[m], -(above.gradient - below.gradient) / 2e-5, atol=1e-5
        )


@pytest.mark.parametrize("kind", OWN)
def test_draws_hold_the_truth_and_agree_with_simulated_likelihood(kind):
    simulated = simulated_by(kind)
    channels = default_channels(simulated.batch)
    config = SHORTER if kind == "outcome" else SHORT
    fit = fit_hierarchical(simulated.batch, (0, 1), seed=1, config=config, channels=channels)
    belief, sd = fit.belief, np.sqrt(np.diag(fit.belief.covariance))
    truth = np.concatenate([simulated.theta, OWN[kind]])
    assert np.abs((belief.theta - truth) / sd).max() < 3.5
    assert fit.diagnostics.r_hat.max() < 1.1
    if kind == "outcome":  # whose simulated likelihood takes a minute
        # The chains begin where all are alike and the noise holds all that people differ in: far
        # out in the tail of what they end in.
        assert sweep_answers(simulated.batch, channels).initial[0] > 0.25
        assert belief.theta[-1] == pytest.approx(0.0, abs=0.1)
        assert 0.005 < np.std(belief.draws[:, -1]) < 0.05
        return
    likelihood = fit_simulated(simulated.batch, belief.population)
    assert belief.parameter_names == likelihood.parameter_names
    assert np.abs((belief.theta - likelihood.theta) / sd).max() < 0.7
    ratio = sd / np.sqrt(np.diag(likelihood.covariance))
    assert ratio.min() > 0.7
    assert ratio.max() < 1.4
    gap = likelihood.report.log_likelihood - belief.report.log_likelihood
    assert -1.5 < gap < 3.0
    assert belief.report.null_log_likelihood == pytest.approx(
        likelihood.report.null_log_likelihood, rel=1e-9
    )


def test_what_cannot_be_drawn_is_refused():
    batch = mixed_feedback(np.random.default_rng(0))
    by_person = (*COMMON[:3], Rating(levels=4, by_person=True), BestWorst())
    with pytest.raises(ConfigError, match="cannot tell from their tastes"):
        fit_hierarchical(batch, (0,), channels=by_person)
    with pytest.raises(DataError, match="no likelihood for"):
        fit_hierarchical(batch, (0,), channels=COMMON[:2])
    with pytest.raises(ConfigError, match="all above zero"):
        HierarchicalConfig(own_scale=0.0)


def test_the_estimator_takes_mixed_answers_and_knows_people_by_them():
    rating, order = simulated_by("rating"), simulated_by("ranking")
    blocks = (
        *rating.batch.blocks,
        replace(order.batch.blocks[0], row=order.batch.blocks[0].row + 900),
    )
    batch = replace(rating.batch, blocks=blocks, num_rows=1800)
    model = HierarchicalLogit(num_chains=1, num_warmup=25, num_draws=50).fit(batch)
    assert model.belief_.parameter_names[-3:] == (
        "threshold 0|1", "log threshold step 1|2", "log threshold step 2|3",
    )  # fmt: skip
    tastes = model.belief_.mean_tastes(batch, batch)
    for d in range(2):
        assert np.corrcoef(tastes[:, d], rating.tastes[:, d])[0, 1] > 0.8
    assert model.score(batch, history=batch) > model.score(batch) + 0.1
    assert len(model.foretell(batch)) == 2
