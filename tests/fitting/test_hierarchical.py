"""Hierarchical Bayes: the prior where data are silent, simulated likelihood where they speak."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.fitting.hierarchical import fit_hierarchical
from penchant.fitting.hierarchical_sweep import HierarchicalConfig
from penchant.fitting.simulated import fit_simulated
from penchant.simulation.choices import SimulationConfig, simulate_choices

CORRELATED = ((1.0, 0.0, 0.0), (0.5, 0.8, 0.0), (0.0, 0.0, 0.0))
SHORT = HierarchicalConfig(num_chains=2, num_warmup=100, num_draws=300)


@pytest.fixture(scope="module")
def simulated():
    config = SimulationConfig(
        part_worths=((1.0, -0.5, 0.7),),
        spread=CORRELATED,
        num_people=300,
        num_tasks=8,
        menu_sizes=(3,),
    )
    return simulate_choices(config, np.random.default_rng(0))


@pytest.fixture(scope="module")
def fit(simulated):
    return fit_hierarchical(simulated.batch, (0, 1), seed=1, config=SHORT)


def test_posterior_means_equal_simulated_likelihood_within_error(simulated, fit):
    likelihood = fit_simulated(simulated.batch, fit.belief.population)
    sd = np.sqrt(np.diag(fit.belief.covariance))
    assert np.abs((fit.belief.theta - likelihood.theta) / sd).max() < 0.5
    ratio = sd / np.sqrt(np.diag(likelihood.covariance))
    assert ratio.min() > 0.8
    assert ratio.max() < 1.3
    gap = likelihood.report.log_likelihood - fit.belief.report.log_likelihood
    assert -1.0 < gap < 2.0


def test_the_truth_lies_within_the_posterior(simulated, fit):
    truth = np.array([1.0, -0.5, 0.7, 1.0, 0.5, 0.8])
    z = (fit.belief.theta - truth) / np.sqrt(np.diag(fit.belief.covariance))
    assert np.abs(z).max() < 3.5


def test_chains_that_start_apart_meet_and_mix(fit):
    assert fit.diagnostics.r_hat.max() < 1.06
    assert fit.diagnostics.bulk_ess.min() > 80
    assert 0.5 < fit.acceptance < 1.0
    assert fit.chains.shape == (2, 300, 6)
    np.testing.assert_array_equal(fit.belief.draws, fit.chains.reshape(600, 6))


@pytest.mark.slow
@pytest.mark.parametrize("is_correlated", [True, False])
def test_silent_data_leave_the_prior(is_correlated):
    # Menus of one option say nothing: every step of a sweep must then leave the prior as it is.
    config = SimulationConfig.pooled((0.0, 0.0), num_people=4, num_tasks=1)
    batch = simulate_choices(replace(config, menu_sizes=(1,)), np.random.default_rng(0)).batch
    fit = fit_hierarchical(
        batch,
        (0, 1),
        is_correlated=is_correlated,
        seed=2,
        config=HierarchicalConfig(
            num_chains=2, num_warmup=100, num_draws=4000, mean_scale=2.0, spread_scale=1.0
        ),
    )
    draws = fit.belief.draws
    assert np.quantile(draws[:, :2], [0.16, 0.5, 0.84]) == pytest.approx([-2, 0, 2], abs=0.25)
    first = draws[:, 2]
    second = np.hypot(draws[:, 3], draws[:, 4]) if is_correlated else draws[:, 3]
    # |t| with two degrees of freedom: P(|t| < x) = x / sqrt(2 + x^2).
    for sd in (first, second):
        for quantile in (0.25, 0.5, 0.75):
            expected = np.sqrt(2) * quantile / np.sqrt(1 - quantile**2)
            assert np.mean(sd < expected) == pytest.approx(quantile, abs=0.06)
    if is_correlated:
        correlation = draws[:, 3] / second
        assert np.mean(np.abs(correlation) < 0.5) == pytest.approx(0.5, abs=0.06)


def test_the_same_seed_gives_the_same_bits(simulated, fit):
    few = simulated.batch.take_groups(np.arange(40))
    config = HierarchicalConfig(num_chains=1, num_warmup=5, num_draws=10)
    one, two, other = (
        fit_hierarchical(few, (0,), seed=seed, config=config).belief.draws for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("is_correlated", [True, False])
@pytest.mark.parametrize("divisor", [128.0, 1e-3])
def test_the_units_of_a_feature_change_the_chain_by_that_unit_alone(
    simulated, is_correlated, divisor
):
    few = simulated.batch.take_groups(np.arange(60))
    factor = np.array([1.0 / divisor, 1.0, 1.0])
    other = replace(
        few, blocks=tuple(replace(block, features=block.features * factor) for block in few.blocks)
    )
    config = HierarchicalConfig(num_chains=1, num_warmup=0, num_draws=40)
    one, two = (
        fit_hierarchical(batch, (0, 1), is_correlated=is_correlated, seed=2, config=config)
        for batch in (few, other)
    )
    first, second = factor[:2]
    spreads = [first, second, second] if is_correlated else [first, second]
    back = np.array([*factor, *spreads])
    np.testing.assert_allclose(two.chains * back, one.chains, rtol=1e-4, atol=1e-6)


def test_chains_that_have_not_met_are_said_not_to(simulated):
    config = HierarchicalConfig(num_chains=3, num_warmup=0, num_draws=8)
    belief = fit_hierarchical(simulated.batch, (0, 1), config=config).belief
    assert not belief.report.converged
    assert any("The chains have not met" in sentence for sentence in belief.report.warnings)


def test_predictions_use_a_persons_history(simulated, fit):
    task = simulated.batch.blocks[0].row % 8
    history = simulated.batch.take_rows(np.flatnonzero(task < 6))
    future = simulated.batch.take_rows(np.flatnonzero(task >= 6))
    known = np.concatenate(fit.belief.log_prob(future, history)).mean()
    unknown = np.concatenate(fit.belief.log_prob(future)).mean()
    assert known > unknown + 0.05


def test_sweeps_are_told(simulated):
    seen = []
    fit_hierarchical(
        simulated.batch.take_groups(np.arange(5)),
        (0,),
        config=HierarchicalConfig(num_chains=2, num_warmup=1, num_draws=4),
        on_sweep=lambda chain, sweep: seen.append((chain, sweep)),
    )
    assert seen == [(chain, sweep) for chain in range(2) for sweep in range(5)]


def test_what_cannot_be_fitted_is_refused(simulated):
    with pytest.raises(DataError, match="no observations"):
        fit_hierarchical(replace(simulated.batch, blocks=()), (0,))
    with pytest.raises(ConfigError, match="random tastes are at places"):
        fit_hierarchical(simulated.batch, (7,))
    with pytest.raises(ConfigError, match="expected at least 1, 0 and 4"):
        HierarchicalConfig(num_draws=2)
    with pytest.raises(ConfigError, match="above zero"):
        HierarchicalConfig(spread_scale=0.0)
