"""L-BFGS: Newton's optimum without Newton's matrix, and honest where there is no covariance."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.small_batches import CHANNELS, mixed_feedback, small
from penchant.errors import BeliefError, ConfigError
from penchant.fitting import pooled
from penchant.fitting.lbfgs import LbfgsConfig, Slope, maximise_lbfgs
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.pooled_density import PooledDensity
from penchant.fitting.separation import far_parameters
from penchant.fitting.shrinkage import Shrinkage
from penchant.utilities.items import Items
from penchant.utilities.linear import Linear


@pytest.fixture
def no_matrix(monkeypatch):
    """Any number of parameters counts as too many for a matrix."""
    monkeypatch.setattr(pooled, "MOST_DENSE", 0)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_both_climbs_end_at_the_same_optimum(seed):
    batch = small(seed)
    newton, lbfgs = fit_pooled(batch), fit_pooled(batch, method="lbfgs")
    assert lbfgs.report.method == "L-BFGS"
    assert lbfgs.report.converged
    se = np.sqrt(np.diag(newton.covariance))
    assert np.all(np.abs(newton.theta - lbfgs.theta) < 2e-3 * se)
    np.testing.assert_allclose(lbfgs.covariance, newton.covariance, rtol=1e-3)


@pytest.mark.parametrize("utility", [Linear(), Items()])
def test_both_climbs_agree_on_mixed_feedback_with_parameters_of_its_own(utility):
    batch = mixed_feedback(np.random.default_rng(3), num_people=60)
    newton = fit_pooled(batch, utility=utility, channels=CHANNELS)
    lbfgs = fit_pooled(batch, utility=utility, channels=CHANNELS, method="lbfgs")
    se = np.sqrt(np.diag(newton.covariance))
    assert np.all(np.abs(newton.theta - lbfgs.theta) < 5e-3 * se)


def test_both_climbs_agree_under_a_prior_without_a_matrix(no_matrix):
    batch = small(2)
    newton = fit_pooled(batch, prior_scale=0.5, method="newton")
    lbfgs = fit_pooled(batch, prior_scale=0.5)
    np.testing.assert_allclose(lbfgs.theta, newton.theta, atol=2e-3 * 0.05)
    assert lbfgs.report.log_likelihood == pytest.approx(newton.report.log_likelihood, abs=1e-4)
    assert lbfgs.report.null_log_likelihood == pytest.approx(newton.report.null_log_likelihood)


@pytest.mark.parametrize("utility", [Linear(), Items()])
def test_products_with_the_information_equal_the_matrix(utility):
    rng = np.random.default_rng(0)
    batch = mixed_feedback(rng)
    sizes = tuple(channel.num_parameters(batch) for channel in CHANNELS)
    num = len(utility.taste_names(batch)) + sum(sizes)
    density = PooledDensity(
        batch=batch, utility=utility, channels=CHANNELS, sizes=sizes,
        prior_precision=np.zeros(num),
    )  # fmt: skip
    theta, direction = rng.normal(size=(2, num)) * 0.3
    dense, slope = density.evaluate(theta), density.slope(theta)
    np.testing.assert_allclose(
        density.information_times(theta, direction), dense.information @ direction, atol=1e-9
    )
    np.testing.assert_allclose(slope.gradient, dense.gradient, atol=1e-12)
    assert slope.value == pytest.approx(dense.value)


def test_size_decides_unless_the_user_does(monkeypatch):
    batch = small(1)
    monkeypatch.setattr(pooled, "MOST_DENSE", 2)
    assert fit_pooled(batch).report.method == "L-BFGS"
    assert fit_pooled(batch, method="newton").report.method == "Newton"
    monkeypatch.setattr(pooled, "MOST_DENSE", 3)
    assert fit_pooled(batch).report.method == "Newton"


def test_a_fit_without_a_covariance_says_so_and_gives_no_draws(no_matrix, tmp_path):
    belief = fit_pooled(small(6))
    assert belief.covariance is None
    assert any("no covariance" in warning for warning in belief.report.warnings)
    belief.save(tmp_path)
    for one in (belief, type(belief).load(tmp_path)):
        with pytest.raises(BeliefError, match="nobody knows how sure"):
            one.sample(3, np.random.default_rng(0))
        with pytest.raises(BeliefError, match="no covariance"):
            one.moments(small(6))
    assert np.all(np.isfinite(belief.predict_proba(small(6))[0]))


def test_a_never_chosen_option_is_bounded_and_told_without_a_matrix(no_matrix):
    batch = small(3)
    block = batch.blocks[0]
    never = np.zeros((*block.offered.shape, 1))
    never[:, 0] = 1.0
    kept = np.flatnonzero(block.answer["chosen"] != 0)
    lonely = replace(
        batch,
        blocks=(
            replace(block, features=np.concatenate([block.features, never], axis=2)).take(kept),
        ),
        feature_names=(*batch.feature_names, "option[never]"),
    )
    belief = fit_pooled(lonely)
    with_matrix = fit_pooled(lonely, method="newton")
    assert belief.report.converged
    assert any("`option[never]`" in warning for warning in belief.report.warnings)
    np.testing.assert_allclose(belief.theta, with_matrix.theta, atol=0.01)


def test_an_honest_fit_without_a_matrix_has_no_prior(no_matrix):
    assert fit_pooled(small(5)).report.prior is None


def test_learned_shrinkage_of_too_many_parameters_is_refused(no_matrix):
    with pytest.raises(ConfigError, match="prior_scale"):
        fit_pooled(small(0), shrinkage=Shrinkage(families=(0, 0, 0), names=("x",)))


def test_a_climb_cut_short_does_not_call_itself_converged():
    scales = np.ones(30)
    curvature = np.logspace(-3, 3, 30)

    def slope(theta):
        apart = theta - 1.0
        return Slope(value=-0.5 * float(curvature @ apart**2), gradient=-curvature * apart)

    def times(theta, v):
        return curvature * v

    short = LbfgsConfig(max_steps=2, solver_steps=2)
    assert not maximise_lbfgs(slope, times, np.zeros(30), scales, short).converged
    full = maximise_lbfgs(slope, times, np.zeros(30), scales)
    assert full.converged
    assert full.decrement <= 1e-6
    # 1e-6 nats: within 0.0015 of a standard error, here curvature^-1/2.
    assert np.all(np.abs(full.theta - 1.0) * np.sqrt(curvature) < 2e-3)


def test_a_far_parameter_that_the_data_hold_is_not_called_separated():
    curvature = np.array([1e-8, 1.0, 1.0])
    found = far_parameters(np.array([12.0, 11.0, 0.5]), lambda v: curvature * v, np.ones(3))
    assert found.parameters.tolist() == [True, False, False]
