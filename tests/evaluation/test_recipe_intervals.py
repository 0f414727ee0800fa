"""Intervals that recipes print over their seeds."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from penchant.evaluation.claims import within_reach
from penchant.evaluation.recipes import low_over_seeds, over_seeds, reach_over_seeds


@pytest.mark.parametrize("num", [2, 5, 40])
def test_seeds_reach_as_far_as_students_t_says(num):
    values = np.random.default_rng(num).normal(3.0, 2.0, num)
    interval = ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert reach_over_seeds(values) == pytest.approx((interval.high - interval.low) / 2)
    assert low_over_seeds(values) == pytest.approx(interval.low)
    assert over_seeds(values)[1] == pytest.approx(reach_over_seeds(values), abs=1e-4)


def test_a_least_reach_serves_a_single_run_and_runs_that_agree():
    assert reach_over_seeds(np.array([0.5]), least=0.1) == 0.1
    assert reach_over_seeds(np.array([0.5, 0.5, 0.5]), least=0.1) == 0.1
    apart = np.array([0.0, 1.0])
    assert reach_over_seeds(apart, least=0.1) == reach_over_seeds(apart) > 1.0


def test_within_reach_holds_to_its_ends_and_no_further():
    assert within_reach("x", 1.0, 0.0, reach=1.0).holds
    assert within_reach("x", -1.0, 0.0, reach=1.0).holds
    assert not within_reach("x", 1.01, 0.0, reach=1.0).holds
