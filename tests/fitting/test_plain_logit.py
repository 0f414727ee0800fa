"""The plain conditional logit by a start on parts of the data, and by loops of either kind."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.feedback import choice_flat, choice_fused
from penchant.fitting import plain_logit
from penchant.fitting.newton import NewtonConfig, maximise
from penchant.fitting.plain_logit import PlainLogit
from penchant.fitting.pooled import fit_pooled
from penchant.simulation.choices import SimulationConfig, simulate_choices
from penchant.utilities.linear import Linear


def choices(seed=0, num_people=300):
    config = SimulationConfig.pooled((1.0, -0.5, 0.3), num_people=num_people, num_tasks=5)
    return simulate_choices(config, np.random.default_rng(seed)).batch


def counted(logit, start):
    """The climb from a start and how many passes over all choices it took."""
    seen = []
    optimum = maximise(lambda beta: seen.append(1) or logit.evaluate(beta), start)
    return optimum, len(seen)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([choice_flat, choice_fused]))
def test_a_climb_begun_on_parts_ends_where_the_one_from_zero_ends(seed, loops):
    logit = replace(PlainLogit.of(choices(seed)), loops=loops)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_logit, "MANY_CHOICES", 1000)
        start = logit.warm_start(np.zeros(3), np.full(3, 0.04))
    warm, warm_passes = counted(logit, start)
    cold, cold_passes = counted(logit, np.zeros(3))
    assert np.any(start != 0)
    assert warm_passes < cold_passes
    assert warm.value == pytest.approx(cold.value, rel=1e-12)
    np.testing.assert_allclose(warm.theta, cold.theta, atol=1e-7)


@pytest.mark.parametrize("num_steps", [0, 1, 2])
def test_scores_left_out_on_the_way_are_there_where_a_climb_ends(num_steps, monkeypatch):
    monkeypatch.setattr(plain_logit, "MANY_CHOICES", 1000)
    logit, plain = PlainLogit.of(choices()), PlainLogit.of(choices())
    start = logit.warm_start(np.zeros(3), np.full(3, 0.04))
    end = maximise(logit.evaluate, start, NewtonConfig(max_steps=num_steps))
    np.testing.assert_allclose(end.gradient, plain.evaluate(end.theta).gradient, rtol=1e-9)
    scores = plain.group_scores(end.theta)
    np.testing.assert_allclose(logit.group_scores(end.theta), scores, rtol=1e-9, atol=1e-12)


def test_little_data_is_climbed_from_zero_without_compiled_loops():
    logit = PlainLogit.of(choices())
    assert logit.loops is choice_flat
    np.testing.assert_array_equal(logit.warm_start(np.zeros(3), np.ones(3)), np.zeros(3))


def test_much_data_is_given_to_compiled_loops_and_both_agree(monkeypatch):
    batch = choices(num_people=40)
    few = fit_pooled(batch)
    monkeypatch.setattr(plain_logit, "FEW_NUMBERS", 100)
    assert PlainLogit.of(batch).loops is choice_fused
    many = fit_pooled(batch)
    np.testing.assert_allclose(many.theta, few.theta, atol=1e-9)
    np.testing.assert_allclose(many.robust_covariance, few.robust_covariance, rtol=1e-8)
    assert many.report.null_log_likelihood == pytest.approx(-200 * np.log(4))


def test_an_option_that_a_part_never_chose_does_not_mislead_the_climb(monkeypatch):
    # The third feature decides every one of the few choices in which it varies at all.
    monkeypatch.setattr(plain_logit, "MANY_CHOICES", 1000)
    batch = choices(3)
    block = batch.blocks[0]
    features = block.features.copy()
    features[:, :, 2] = 0.0
    rare = np.arange(0, len(block), 100)
    features[rare, block.answer["chosen"][rare], 2] = 1.0
    belief = fit_pooled(replace(batch, blocks=(replace(block, features=features),)))
    assert belief.report.converged
    assert any("perfectly predicted" in warning for warning in belief.report.warnings)
    monkeypatch.setattr(plain_logit, "MANY_CHOICES", 10**9)
    from_zero = fit_pooled(replace(batch, blocks=(replace(block, features=features),)))
    np.testing.assert_allclose(belief.theta, from_zero.theta, atol=1e-6)


@pytest.mark.parametrize("loops", [choice_flat, choice_fused])
def test_its_scales_and_scores_are_those_of_the_general_fit(loops):
    batch = choices(4)
    logit = replace(PlainLogit.of(batch), loops=loops)
    np.testing.assert_allclose(logit.scales(), Linear().scales(batch), rtol=1e-12)
    beta = np.array([0.3, -0.2, 0.1])
    here = logit.evaluate(beta)
    np.testing.assert_allclose(logit.group_scores(beta).sum(axis=0), here.gradient, rtol=1e-9)
    # Scores are remembered for the last point only.
    logit.evaluate(beta + 1.0)
    np.testing.assert_allclose(logit.group_scores(beta).sum(axis=0), here.gradient, rtol=1e-9)
