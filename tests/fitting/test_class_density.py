"""The class density: the fused pass equals its plain twin, derivatives equal differences."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.fitting.class_choices import class_pass
from penchant.fitting.class_density import ClassDensity
from penchant.populations.classes import router_log_weights
from penchant.simulation.choices import SimulationConfig, simulate_choices


def small_case(seed, num_classes=3, num_group_features=2, size=1.0):
    rng = np.random.default_rng(seed)
    config = SimulationConfig(
        part_worths=tuple(map(tuple, rng.normal(size=(num_classes, 4)))),
        num_people=12,
        num_tasks=5,
        menu_sizes=(3, 2, 6),
        num_group_features=num_group_features,
    )
    batch = simulate_choices(config, rng).batch
    weighted = tuple(
        replace(block, weight=rng.uniform(0.5, 2.0, size=len(block))) for block in batch.blocks
    )
    density = ClassDensity.from_batch(replace(batch, blocks=weighted), num_classes)
    return density, size * rng.normal(size=len(density.precision))


@settings(max_examples=30, deadline=None)  # the first call compiles
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0.1, 30.0))
def test_the_fused_pass_equals_the_plain_one(seed, num_classes, size):
    density, theta = small_case(seed, num_classes, size=size)
    values, router = density.classes.split(theta, 2)
    log_prior = router_log_weights(router, density.group_features)
    fused = density.run(log_prior, values, np.zeros(0))
    plain = class_pass(density.panel.flat, density.group_weight, log_prior, values)
    for name in ("log_density", "responsibility", "scores", "information"):
        np.testing.assert_allclose(
            getattr(fused, name), getattr(plain, name), rtol=1e-9, atol=1e-10, err_msg=name
        )


def test_the_log_likelihood_of_one_person_worked_by_hand():
    density, theta = small_case(4)
    values, router = density.classes.split(theta, 2)
    flat, total = density.panel.flat, 0.0
    for g in range(12):
        odds = np.exp(np.r_[0.0, router[:, 0] + router[:, 1:] @ density.group_features[g]])
        likelihood = odds / odds.sum()
        for b in range(flat.group_start[g], flat.group_start[g + 1]):
            menu = slice(flat.menu_start[b], flat.menu_start[b + 1])
            for s in range(3):
                expo = np.exp(flat.features[menu] @ values[s])
                chosen = expo[flat.chosen[b] - flat.menu_start[b]]
                likelihood[s] *= (chosen / expo.sum()) ** flat.weight[b]
        total += density.group_weight[g] * np.log(likelihood.sum())
    assert density.evaluate(theta).log_likelihood == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("num_classes", [1, 2, 3])
@pytest.mark.parametrize("precision", [0.0, 0.7])
def test_gradient_and_information_equal_central_differences(num_classes, precision):
    density, theta = small_case(11, num_classes)
    density = replace(density, precision=np.full(len(theta), precision))
    here = density.evaluate(theta, has_observed=True)
    gradient, information = np.zeros_like(theta), np.zeros((len(theta),) * 2)
    for m in range(len(theta)):
        step = np.zeros_like(theta)
        step[m] = 1e-5
        above, below = density.evaluate(theta + step), density.evaluate(theta - step)
        gradient[m] = (above.value - below.value) / 2e-5
        information[m] = -(above.gradient - below.gradient) / 2e-5
    np.testing.assert_allclose(here.gradient, gradient, atol=1e-6)
    np.testing.assert_allclose(here.observed, information, atol=1e-5)
    weighted = density.group_weight @ here.group_scores - precision * theta
    np.testing.assert_allclose(weighted, here.gradient, atol=1e-10)


def test_missing_information_is_never_negative():
    density, theta = small_case(7)
    here = density.evaluate(theta, has_observed=True)
    assert np.linalg.eigvalsh(here.complete - here.observed).min() > -1e-9


def test_responsibilities_sum_to_one_in_the_tails():
    density, theta = small_case(5, size=200.0)
    here = density.evaluate(theta)
    np.testing.assert_allclose(here.responsibility.sum(axis=1), 1.0, rtol=1e-12)
    assert np.isfinite(here.value)


def test_doubling_the_weights_is_meeting_everybody_twice():
    density, theta = small_case(6)
    once = density.evaluate(theta, has_observed=True)
    twice = replace(density, group_weight=2 * density.group_weight).evaluate(
        theta, has_observed=True
    )
    assert twice.value == pytest.approx(2 * once.value, rel=1e-12)
    np.testing.assert_allclose(twice.observed, 2 * once.observed, rtol=1e-10, atol=1e-10)


def test_people_without_answers_change_nothing():
    rng = np.random.default_rng(8)
    config = SimulationConfig(
        part_worths=((1.0, 0.0), (0.0, 1.0)), num_people=10, num_group_features=1
    )
    batch = simulate_choices(config, rng).batch
    silent = batch.take_rows(np.arange(8, 80))  # the first person's eight rows are gone
    density = ClassDensity.from_batch(silent, 2)
    theta = rng.normal(size=6)
    others = ClassDensity.from_batch(batch.take_groups(np.arange(1, 10)), 2)
    mine, theirs = (d.evaluate(theta, has_observed=True) for d in (density, others))
    assert mine.value == pytest.approx(theirs.value, rel=1e-12)
    np.testing.assert_allclose(mine.observed, theirs.observed, atol=1e-10)
    np.testing.assert_allclose(mine.gradient, theirs.gradient, atol=1e-10)
