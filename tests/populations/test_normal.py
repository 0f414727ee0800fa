"""Random coefficients: the tastes drawn, their derivatives, and what people are like on average."""

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.numerics.draws import DRAW_KINDS, draw_uniforms
from penchant.populations.normal import Normal
from penchant.populations.taste_shapes import DISTRIBUTIONS

SIGNED = [*DISTRIBUTIONS, "-lognormal", "-censored", "-truncated"]
THETA = {"normal": (-0.4, 0.9), "lognormal": (-0.2, 0.5), "censored": (0.3, 0.8),
         "truncated": (-0.5, 0.9), "triangular": (0.2, 1.1), "uniform": (0.3, 0.7)}  # fmt: skip


def theta_of(name):
    location, spread = THETA[name.removeprefix("-")]
    return np.array([location, 1.5, spread])


def population_of(name, **changes):
    return Normal(random=(0,), distributions=(name,), **{"num_draws": 4000, **changes})


@pytest.mark.parametrize("kind", DRAW_KINDS)
def test_draws_fill_the_cube_evenly_in_every_block(kind):
    points = draw_uniforms(kind, 3, 6, 1000, np.random.default_rng(0))
    assert points.shape == (3, 6, 1000)
    assert points.min() > 0
    assert points.max() < 1
    bound = 0.06 if kind == "random" else 0.01
    for block in points:
        counts = np.stack([np.histogram(row, bins=10, range=(0, 1))[0] for row in block])
        assert np.abs(counts / 1000 - 0.1).max() < bound
        assert np.abs(np.corrcoef(block) - np.eye(6)).max() < 0.15
    assert np.abs(points[0] - points[1]).max() > 0.1


@pytest.mark.parametrize("kind", ["halton", "sobol", "mlhs"])
def test_quasi_random_draws_integrate_better_than_chance(kind):
    def error(name):
        errors = []
        for seed in range(20):
            points = draw_uniforms(name, 1, 4, 512, np.random.default_rng(seed))[0]
            errors.append(np.exp(points.sum(axis=0)).mean() - (np.e - 1) ** 4)
        return np.sqrt(np.mean(np.square(errors)))

    assert error(kind) < 0.5 * error("random")


def test_the_same_seed_gives_the_same_draws_and_another_seed_others():
    one, two = population_of("normal"), population_of("normal")
    np.testing.assert_array_equal(one.base_draws(3), two.base_draws(3))
    other = population_of("normal", seed=1)
    assert np.abs(one.base_draws(3) - other.base_draws(3)).max() > 0.1


@pytest.mark.parametrize("name", SIGNED)
def test_tastes_have_the_moments_that_are_reported(name):
    population, theta = population_of(name, draw_kind="sobol", num_draws=2**14), theta_of(name)
    values = population.tastes(theta, np.zeros((2, 0))).values[0]
    moments = population.coefficient_moments(theta)
    np.testing.assert_allclose(values.mean(axis=0), moments.mean, atol=2e-3)
    np.testing.assert_allclose(values.std(axis=0), moments.sd, atol=4e-3)
    np.testing.assert_allclose((values > 0).mean(axis=0), moments.share_positive, atol=2e-3)


@pytest.mark.parametrize("name", SIGNED)
def test_slopes_and_bends_are_derivatives_of_the_tastes(name):
    population, theta = population_of(name, num_draws=200), theta_of(name)
    base, step = population.base_draws(), 1e-4

    def at(location, spread):
        moved = theta + np.array([location, 0.0, spread]) * step
        return population.taste_draws(moved, base)

    here = at(0, 0)
    basis = here.basis[here.draw] if here.basis.ndim == 2 else here.basis
    by_location = (at(1, 0).values - at(-1, 0).values) / (2 * step)
    by_spread = (at(0, 1).values - at(0, -1).values) / (2 * step)
    smooth = np.abs(at(1, 1).slopes - at(-1, -1).slopes) < 0.5  # not at the kink of "censored"
    np.testing.assert_allclose(by_location[smooth], here.slopes[smooth], atol=1e-6)
    np.testing.assert_allclose(by_spread[smooth], (here.slopes * basis)[smooth], atol=1e-6)
    twice = (at(1, 0).values - 2 * here.values + at(-1, 0).values) / step**2
    np.testing.assert_allclose(twice[smooth], here.bends[smooth], atol=1e-5)
    both = (at(1, 1).values - at(1, -1).values - at(-1, 1).values + at(-1, -1).values) / 4
    np.testing.assert_allclose(
        both[smooth] / step**2, (here.bends * here.bend_basis)[smooth], atol=1e-5
    )


def test_correlated_tastes_have_the_covariance_of_their_root():
    population = Normal(
        random=(0, 2), distributions=("normal",) * 2, correlated=True,
        num_draws=2**14, draw_kind="sobol",
    )  # fmt: skip
    theta = np.array([0.1, -0.7, 0.4, 0.8, -0.5, 0.6])
    assert population.parameter_names(("a", "b", "c"), ()) == (
        "a", "b", "c", "chol(a, a)", "chol(c, a)", "chol(c, c)",
    )  # fmt: skip
    values = population.tastes(theta, np.zeros((1, 0))).values[0]
    exact = population.taste_covariance(theta)
    np.testing.assert_allclose(exact[np.ix_([0, 2], [0, 2])], [[0.64, -0.4], [-0.4, 0.61]])
    np.testing.assert_allclose(np.cov(values, rowvar=False, bias=True), exact, atol=5e-3)


def test_the_sign_of_a_column_of_the_root_carries_no_meaning():
    population = Normal(random=(0, 1), distributions=("normal",) * 2, correlated=True)
    theta = np.array([0.1, 0.2, -0.8, 0.5, 0.6])
    turned = population.oriented(theta)
    np.testing.assert_array_equal(turned, [0.1, 0.2, 0.8, -0.5, 0.6])
    np.testing.assert_allclose(
        population.taste_covariance(turned), population.taste_covariance(theta)
    )


def test_only_the_normal_kin_is_correlated():
    population = Normal(
        random=(0, 1, 2), distributions=("normal", "uniform", "lognormal"), correlated=True
    )
    assert population.spread_pairs == ((0, 0), (1, 1), (2, 0), (2, 2))
    assert population.parameter_names(("a", "b", "c"), ())[3:] == (
        "chol(a, a)", "sd(b)", "chol(c, a)", "chol(c, c)",
    )  # fmt: skip


def test_in_willingness_to_pay_space_every_taste_is_a_price_times_the_prices_own():
    theta = np.array([2.0, -0.3, 0.7, 0.5, 0.4])
    priced = Normal(random=(0, 1), distributions=("normal", "lognormal"), price=1, num_draws=64)
    values = priced.tastes(theta, np.zeros((1, 0))).values[0]
    base = priced.base_draws()[0]
    scale = np.exp(-0.3 + 0.4 * base[1])
    np.testing.assert_allclose(values[:, 1], -scale)
    np.testing.assert_allclose(values[:, 0], scale * (2.0 + 0.5 * base[0]))
    np.testing.assert_allclose(values[:, 2], scale * 0.7)


@pytest.mark.parametrize(
    "wrong",
    [
        {"random": (0, 0), "distributions": ("normal", "normal")},
        {"random": (0,), "distributions": ()},
        {"random": (0,), "distributions": ("gamma",)},
        {"random": (0,), "distributions": ("-normal",)},
        {"random": (0,), "distributions": ("normal",), "num_draws": 0},
        {"random": (0,), "distributions": ("normal",), "draw_kind": "dice"},
        {"random": (0,), "distributions": ("normal",), "price": 0},
        {"random": (0,), "distributions": ("normal",), "centred": (1,)},
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"expected|Leave"):
        Normal(**wrong)
