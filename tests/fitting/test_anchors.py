"""Normal priors that stand elsewhere than at zero, in both fits that take them."""

import numpy as np
import pytest

from penchant.fitting.pooled import fit_pooled
from penchant.fitting.simulated import SimulatedConfig, fit_simulated
from penchant.populations.normal import Normal
from penchant.simulation.choices import SimulationConfig, simulate_choices

POPULATION = Normal(random=(0,), distributions=("normal",), num_draws=50)


@pytest.fixture(scope="module")
def batch():
    config = SimulationConfig(
        part_worths=((0.8, -0.5, 0.6),),
        spread=((0.5, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        num_people=80, num_tasks=4, menu_sizes=(3,),
    )  # fmt: skip
    return simulate_choices(config, np.random.default_rng(0)).batch


def pooled(batch, anchors, **how):
    return fit_pooled(batch, anchors=anchors, **how)


def simulated(batch, anchors):
    config = SimulatedConfig(num_blocks=4, is_adapted=False)
    return fit_simulated(batch, POPULATION, anchors=anchors, config=config)


@pytest.mark.parametrize("fit", [pooled, simulated])
def test_an_anchor_pulls_as_its_precision_says(batch, fit):
    free = fit(batch, None)
    held = fit(batch, {1: (2.0, 1e-5)})
    assert held.theta[1] == pytest.approx(2.0, abs=1e-4)
    assert held.report.log_likelihood < free.report.log_likelihood
    loose = fit(batch, {1: (2.0, 1e5)})
    np.testing.assert_allclose(loose.theta, free.theta, atol=1e-4)
    # At the mode the likelihood's slope along the profile meets the prior's: to second order the
    # free estimate and the anchor meet at their precisions.
    error = np.sqrt(free.covariance[1, 1])
    between = fit(batch, {1: (free.theta[1] + error, error)})
    assert between.theta[1] == pytest.approx(free.theta[1] + error / 2, abs=0.05 * error)
    assert between.covariance[1, 1] == pytest.approx(error**2 / 2, rel=0.1)
    assert "standard deviation" in between.report.prior


def test_an_anchor_means_the_same_without_a_matrix(batch):
    anchors = {0: (1.5, 0.2)}
    one, other = pooled(batch, anchors), pooled(batch, anchors, method="lbfgs")
    np.testing.assert_allclose(one.theta, other.theta, atol=1e-4)
    assert one.report.log_likelihood == pytest.approx(other.report.log_likelihood, abs=1e-4)
