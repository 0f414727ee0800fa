"""The panel logit in registers equals plain NumPy, its own differences, and brute force."""

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from penchant.data.batch import FlatChoices
from penchant.errors import DataError
from penchant.fitting.panel_logit import PanelChoices
from penchant.fitting.panel_logit_density import PanelDensity
from penchant.populations.normal import Normal
from penchant.simulation.choices import SimulationConfig, simulate_choices

CASES = {
    "two normals": {"random": (0, 2), "distributions": ("normal",) * 2},
    "all correlated": {"random": (0, 1, 2, 3, 4), "distributions": ("normal",) * 5,
                       "correlated": True},
    "kin": {"random": (0, 2, 3), "distributions": ("normal", "lognormal", "-censored"),
            "correlated": True},
    "bounded": {"random": (4, 1, 3), "distributions": ("triangular", "uniform", "truncated")},
    "random price": {"random": (0, 1, 2), "distributions": ("normal", "lognormal", "normal"),
                     "correlated": True, "price": 1},
    "fixed price": {"random": (0, 3), "distributions": ("normal", "-truncated"), "price": 1},
}  # fmt: skip

ADAPTED = pytest.mark.parametrize("is_adapted", [False, True], ids=["shared", "adapted"])


def choices(num_people=23, menu_sizes=(3, 4, 2, 1, 5), num_tasks=5):
    spread = tuple(tuple(0.6 * (i == j) for j in range(5)) for i in range(5))
    config = SimulationConfig(
        part_worths=((1.0, -0.5, 0.3, 0.8, -0.2),), spread=spread, num_people=num_people,
        num_tasks=num_tasks, menu_sizes=menu_sizes,
    )  # fmt: skip
    return PanelChoices.from_flat(simulate_choices(config, np.random.default_rng(1)).flat())


def density(case, num_blocks=4, num_draws=100, is_adapted=False, **changes):
    population = Normal(num_draws=num_draws, seed=3, **CASES[case])
    built = PanelDensity.build(choices(**changes), population, num_blocks=num_blocks).in_double()
    return built.adapted(point(built) * 0.9) if is_adapted else built


def point(of):
    size = len(of.precision)
    theta = np.random.default_rng(0).normal(size=size) * 0.4
    theta[5:] = np.abs(theta[5:]) + 0.2
    return theta


@ADAPTED
@pytest.mark.parametrize("case", CASES)
def test_the_fused_pass_equals_plain_numpy(case, is_adapted, monkeypatch):
    fast = density(case, is_adapted=is_adapted)
    theta = point(fast)
    here = fast.evaluate(theta)
    information = fast.information(theta, here)
    monkeypatch.setattr("penchant.fitting.panel_logit_density.has_fused", lambda: False)
    slow = fast.evaluate(theta)
    assert here.value == pytest.approx(slow.value, rel=1e-12)
    np.testing.assert_allclose(here.scores, slow.scores, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(information, fast.information(theta, slow), rtol=1e-8, atol=1e-9)


@ADAPTED
@pytest.mark.parametrize("case", CASES)
def test_gradient_and_information_are_derivatives_of_the_value(case, is_adapted):
    of = density(case, is_adapted=is_adapted)
    theta, step = point(of), 1e-5
    here = of.evaluate(theta)
    ahead = [of.evaluate(theta + e) for e in step * np.eye(len(theta))]
    behind = [of.evaluate(theta - e) for e in step * np.eye(len(theta))]
    slope = [(a.value - b.value) / (2 * step) for a, b in zip(ahead, behind)]
    np.testing.assert_allclose(here.gradient, slope, atol=1e-6)
    bend = [(a.gradient - b.gradient) / (2 * step) for a, b in zip(ahead, behind)]
    np.testing.assert_allclose(of.information(theta, here), -np.array(bend), atol=1e-5)


@ADAPTED
@pytest.mark.parametrize("case", CASES)
def test_single_precision_loses_nothing_that_matters(case, is_adapted):
    of = density(case, is_adapted=is_adapted)
    theta = point(of)
    double, single = of.evaluate(theta), replace(of, is_single=True).evaluate(theta)
    assert single.value == pytest.approx(double.value, rel=1e-7)
    np.testing.assert_allclose(single.scores, double.scores, atol=2e-5)


@pytest.mark.parametrize("case", ["two normals", "all correlated", "random price", "fixed price"])
def test_proposals_stand_on_the_mode_of_each_persons_posterior(case, monkeypatch):
    of = density(case)
    theta = point(of)
    fused = of.adapted(theta).proposals
    monkeypatch.setitem(sys.modules, "penchant.fitting.proposals_fused", None)
    plain = of.adapted(theta).proposals
    np.testing.assert_allclose(fused.centre, plain.centre, atol=1e-9)
    np.testing.assert_allclose(fused.root, plain.root, atol=1e-9)
    assert np.abs(fused.centre).max() > 0.3


def test_draws_around_peoples_own_tastes_give_the_same_likelihood_with_less_noise():
    """With 2**15 draws both agree; with 128 the proposals' error is a third or less."""
    truth = density("all correlated", num_draws=2**15, num_blocks=23)
    theta = point(truth) * 1.5
    exact = truth.evaluate(theta).value
    assert truth.adapted(theta).evaluate(theta).value == pytest.approx(exact, abs=0.05)
    few = density("all correlated", num_draws=128, num_blocks=23)
    shared_error = abs(few.evaluate(theta).value - exact)
    assert abs(few.adapted(theta).evaluate(theta).value - exact) < max(shared_error / 3, 0.05)


def test_coefficients_without_a_normal_deviate_keep_their_shared_draws():
    population = Normal(random=(0, 1), distributions=("uniform", "triangular"), num_draws=64)
    of = PanelDensity.build(choices(), population, num_blocks=2)
    assert of.adapted(point(of)) is of


def test_a_spread_of_zero_gives_the_conditional_logit():
    of = density("all correlated")
    theta = point(of)
    theta[5:] = 0.0
    utility = of.choices.differences @ theta[:5]
    menu = np.repeat(np.arange(len(of.choices.menu_start) - 1), np.diff(of.choices.menu_start))
    size = len(of.choices.menu_start) - 1
    expected = -np.log1p(np.bincount(menu, weights=np.exp(utility), minlength=size)).sum()
    assert of.evaluate(theta).value == pytest.approx(expected, rel=1e-12)


def test_two_people_who_share_draws_may_trade_places():
    of = density("kin", num_blocks=1)
    theta = point(of)
    order = np.random.default_rng(0).permutation(of.choices.num_groups)
    turned = replace(of, choices=of.choices.take_groups(order))
    here, there = of.evaluate(theta), turned.evaluate(theta)
    np.testing.assert_allclose(there.scores, here.scores[order], rtol=1e-12)
    np.testing.assert_allclose(
        turned.information(theta, there), of.information(theta, here), rtol=1e-9, atol=1e-10
    )


def test_a_person_of_weight_two_is_two_such_people():
    of = density("kin", num_blocks=1)
    theta = point(of)
    twice = replace(of, choices=of.choices.take_groups(np.array([0, 0, 1, 2])),
                    block=np.zeros(4, dtype=np.int64))  # fmt: skip
    one = of.choices.take_groups(np.array([0, 1, 2]))
    weighted = replace(of, choices=replace(one, weight=np.array([2.0, 1.0, 1.0])),
                       block=np.zeros(3, dtype=np.int64))  # fmt: skip
    here, there = twice.evaluate(theta), weighted.evaluate(theta)
    assert there.value == pytest.approx(here.value, rel=1e-12)
    np.testing.assert_allclose(there.gradient, here.gradient, rtol=1e-10)
    np.testing.assert_allclose(
        weighted.information(theta, there), twice.information(theta, here), rtol=1e-9, atol=1e-9
    )


def test_threads_change_no_bit():
    of = density("kin", num_people=40, num_blocks=8)
    theta = point(of)
    one, three = of.evaluate(theta), replace(of, num_threads=3).evaluate(theta)
    np.testing.assert_array_equal(one.scores, three.scores)
    np.testing.assert_array_equal(
        of.information(theta, one), replace(of, num_threads=3).information(theta, one)
    )


def test_every_second_person_of_twins_weighs_half_of_all_and_so_does_the_prior():
    """Both twins see one block of draws: a coarser density is then the whole one, to scale."""
    once = choices()
    twins = once.take_groups(np.repeat(np.arange(once.num_groups), 2))
    population = Normal(num_draws=128, seed=3, **CASES["all correlated"])
    built = PanelDensity.build(twins, population, num_blocks=1).in_double()
    whole = replace(built, precision=np.linspace(0.1, 2.0, len(built.precision)))
    coarse, theta = whole.coarser(2, 128), point(whole)
    here, there = whole.evaluate(theta), coarse.evaluate(theta)
    assert coarse.choices.num_groups == once.num_groups
    assert 2.0 * there.value == pytest.approx(here.value, rel=1e-12)
    np.testing.assert_allclose(2.0 * there.gradient, here.gradient, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(
        2.0 * coarse.information(theta, there), whole.information(theta, here), rtol=1e-9, atol=1e-9
    )


def test_many_blocks_worked_on_a_few_at_a_time_change_nothing(monkeypatch):
    of = density("kin", num_blocks=23)
    theta = point(of)
    here = of.evaluate(theta)
    whole = of.information(theta, here)
    monkeypatch.setattr("penchant.fitting.panel_logit_density._CHUNK_FLOATS", 3000)
    np.testing.assert_array_equal(of.evaluate(theta).scores, here.scores)
    np.testing.assert_allclose(of.information(theta, here), whole, rtol=1e-10, atol=1e-10)


def test_one_person_equals_quadrature():
    """Two random coefficients by a 60 x 60 Gauss-Hermite rule; 2**16 draws come within 1e-4."""
    population = Normal(
        random=(0, 3), distributions=("normal", "normal"), correlated=True,
        num_draws=2**16, draw_kind="sobol",
    )  # fmt: skip
    person = choices(num_people=1)
    theta = np.array([1.0, -0.5, 0.3, 0.8, -0.2, 0.7, 0.4, 0.5])
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    z0, z1 = (axis.ravel() for axis in np.meshgrid(nodes, nodes))
    taste = np.tile(theta[:5, None], (1, 3600))
    taste[0] += 0.7 * z0
    taste[3] += 0.4 * z0 + 0.5 * z1
    utility = person.differences @ taste
    likelihood = np.ones(3600)
    for start, stop in zip(person.menu_start[:-1], person.menu_start[1:]):
        likelihood /= 1.0 + np.exp(utility[start:stop]).sum(axis=0)
    exact = np.log(likelihood @ np.outer(weights, weights).ravel() / weights.sum() ** 2)
    of = PanelDensity.build(person, population, num_blocks=1).in_double()
    assert of.evaluate(theta).value == pytest.approx(exact, abs=1e-4)


def test_utilities_of_any_size_neither_overflow_nor_vanish():
    for is_single in (True, False):
        of = replace(density("two normals"), is_single=is_single)
        here = of.evaluate(point(of) * 1000.0)
        assert np.isfinite(here.value)
        assert np.all(np.isfinite(here.scores))


def test_rows_of_weight_zero_are_left_out_and_uneven_weights_refused():
    flat = FlatChoices(
        features=np.arange(12.0).reshape(6, 2) ** 2, menu_start=np.array([0, 2, 4, 6]),
        chosen=np.array([1, 2, 5]), weight=np.array([2.0, 0.0, 2.0]),
        group_start=np.array([0, 2, 3]), row=np.array([7, 8, 9]),
    )  # fmt: skip
    panel = PanelChoices.from_flat(flat)
    np.testing.assert_array_equal(panel.differences, [[-4.0, -8.0], [-36.0, -40.0]])
    np.testing.assert_array_equal(panel.group_start, [0, 1, 2])
    np.testing.assert_array_equal(panel.weight, [2.0, 2.0])
    with pytest.raises(DataError, match="row 7 has weight 2"):
        PanelChoices.from_flat(replace(flat, weight=np.array([2.0, 1.0, 2.0])))


@pytest.mark.parametrize("case", CASES)
def test_the_curvature_taken_by_options_equals_that_taken_by_features(case):
    of = density(case, is_adapted=True)
    theta = point(of)
    loops, chunks = of._loops, partial(of._chunks, theta)
    by_rows = loops._curvature_by_rows(theta, chunks)
    by_features = loops._curvature_by_features(theta, chunks)
    np.testing.assert_allclose(by_rows, by_features, rtol=1e-9, atol=1e-9)
