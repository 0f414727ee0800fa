"""Utilities hundreds of units apart: finite everywhere, and right to the last digits."""

import mpmath
import numpy as np
import pytest

from penchant.feedback import (
    accept,
    best_worst,
    choice,
    davidson_luce,
    nested,
    pairwise,
    probit,
    ranking,
    rating,
)
from penchant.feedback.thresholds import Ordered

FAR = np.array([[700.0, -700.0, 0.0], [-700.0, 700.0, -1.0], [0.0, 1e-9, 40.0]])
ALL = np.ones((3, 3), dtype=bool)
TAU = np.array([[-1.0, 0.3, 0.2]])


def every_likelihood():
    some = np.array([1, 0, 0])
    level = np.array([[0, 3, 2], [3, 0, 1], [1, 2, 0]])
    rank = np.array([[2, 1, 1], [0, 2, 1], [1, 1, 2]])
    nest = np.array([[0, 0, -1]] * 3)
    tie, both, won = np.array([[0.3]]), FAR[:, :2], np.array([0, 1, 2])
    link = {"thresholds": Ordered(4)}
    deltas = {"tie_sizes": (2, 3)}
    two = np.array([[0.1, -0.2]])
    return {
        "choice": (choice, "", (FAR, ALL, some), {}),
        "nested": (nested, "", (FAR, ALL, some, nest, np.array([[-1.0]])), {}),
        "davidson": (pairwise, "davidson_", (both, won, tie), {}),
        "rao-kupper": (pairwise, "rao_kupper_", (both, won, tie), {}),
        "ranking": (ranking, "", (FAR, ALL, rank), {}),
        "davidson-luce": (davidson_luce, "", (FAR, ALL, rank, two), deltas),
        "sequence": (best_worst, "sequential_", (FAR, ALL, some, np.array([0, 1, 2])), {}),
        "at once": (best_worst, "max_diff_", (FAR, ALL, some, np.array([0, 1, 2])), {}),
        "rating": (rating, "", (FAR, ALL, level, TAU), link),
        "ordinal probit": (rating, "", (FAR, ALL, level, TAU), {"link": "probit", **link}),
        "approval": (accept, "", (FAR, ALL, level % 2, tie), {}),
        "approval probit": (accept, "", (FAR, ALL, level % 2, tie), {"link": "probit"}),
        "probit": (probit, "", (FAR, ALL, some), {}),
        "probit pair": (probit, "pair_", (both, won % 2), {}),
    }


@pytest.mark.parametrize("name", every_likelihood())
def test_nothing_overflows_or_turns_into_nan(name):
    module, prefix, arguments, options = every_likelihood()[name]
    log_p = getattr(module, prefix + "log_prob")(*arguments, **options)
    score = getattr(module, prefix + "score")(*arguments, **options)
    curvature = getattr(module, prefix + "curvature")(*arguments, **options)
    assert np.all(log_p <= 1e-12)
    for value in (log_p, score.utilities, score.parameters):
        assert np.isfinite(value).all()
    for value in (curvature.utilities, curvature.cross, curvature.parameters):
        assert np.isfinite(value).all()


def exact(formula, digits=700):
    with mpmath.workdps(digits):
        return float(formula())


def close(got, expected, rtol=1e-13):
    np.testing.assert_allclose(got, expected, rtol=rtol)


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_choices_almost_sure_and_almost_impossible_keep_their_digits(chosen):
    u = [[90.0, 0.0, -300.0]]
    worth = [mpmath.mpf(value) for value in u[0]]
    expected = exact(lambda: worth[chosen] - mpmath.log(mpmath.fsum(mpmath.exp(w) for w in worth)))
    close(choice.log_prob(np.array(u), ALL[:1], np.array([chosen]))[0], expected)


def test_the_slope_of_an_almost_sure_choice_is_the_small_chance_of_the_rest():
    u = np.array([[60.0, 0.0, 1.0]])
    score = choice.score(u, ALL[:1], np.array([0])).utilities[0, 0]
    rest = exact(lambda: (1 + mpmath.e) / (1 + mpmath.e + mpmath.exp(60)))
    close(score, rest)


@pytest.mark.parametrize("u", [-300.0, -3.0, 0.0, 3.0, 300.0])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_rating_levels_keep_their_digits(u, level):
    tau = [mpmath.mpf("-0.5"), mpmath.mpf("0.5")]

    def formula():
        def F(x):
            return 1 / (1 + mpmath.exp(-x))

        low = F(tau[level - 1] - u) if level > 0 else mpmath.mpf(0)
        high = F(tau[level] - u) if level < 2 else mpmath.mpf(1)
        return mpmath.log(high - low)

    got = rating.log_prob(
        np.array([[u]]),
        ALL[:1, :1],
        np.array([[level]]),
        np.array([[-0.5, 0.0]]),
        thresholds=Ordered(3),
    )
    close(got[0], exact(formula))


@pytest.mark.parametrize("u", [-30.0, -3.0, 0.0, 3.0, 30.0])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_probit_rating_levels_keep_their_digits(u, level):
    tau = [mpmath.mpf("-0.5"), mpmath.mpf("0.5")]

    def formula():
        low = mpmath.ncdf(tau[level - 1] - u) if level > 0 else mpmath.mpf(0)
        high = mpmath.ncdf(tau[level] - u) if level < 2 else mpmath.mpf(1)
        return mpmath.log(high - low)

    got = rating.log_prob(
        np.array([[u]]),
        ALL[:1, :1],
        np.array([[level]]),
        np.array([[-0.5, 0.0]]),
        thresholds=Ordered(3),
        link="probit",
    )
    close(got[0], exact(formula), rtol=1e-12)


@pytest.mark.parametrize("gap", [-40.0, -10.0, 0.0, 10.0])
def test_multinomial_probit_keeps_its_digits_where_the_choice_was_unlikely(gap):
    others = [0.0, 1.0, -2.0]

    def formula():
        def integrand(x):
            return mpmath.npdf(x) * mpmath.fprod(mpmath.ncdf(x + gap - v) for v in others)

        return mpmath.log(mpmath.quad(integrand, mpmath.linspace(-14, 50, 65)))

    got = probit.log_prob(np.array([[gap, *others]]), np.ones((1, 4), bool), np.array([0]))
    np.testing.assert_allclose(got[0], exact(formula, digits=40), rtol=1e-10, atol=1e-14)


def test_rao_kupper_ties_of_a_hair_keep_their_digits():
    # A threshold of 1e-12 at a gap of 200: the tie is the slope of the logistic times 2e-12.
    log_eta = float(np.log(1e-12))
    got = pairwise.rao_kupper_log_prob(
        np.array([[200.0, 0.0]]), np.array([2]), np.array([[log_eta]])
    )

    def formula():
        eta = mpmath.exp(mpmath.mpf(log_eta))
        low, high = (1 / (1 + mpmath.exp(200 + side * eta)) for side in (1, -1))
        return mpmath.log(high - low)

    # 0.5 gap thresholds are rounded to 200 + 1e-12: three digits of the width survive.
    np.testing.assert_allclose(got[0], exact(formula), rtol=1e-3)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_middle_levels_of_a_probit_rating_are_right_where_the_normal_itself_underflows(side):
    def formula():
        return mpmath.log(mpmath.ncdf(mpmath.mpf("-99.5")) - mpmath.ncdf(mpmath.mpf("-100.5")))

    got = rating.log_prob(
        np.array([[100.0 * side]]),
        ALL[:1, :1],
        np.array([[1]]),
        np.array([[-0.5, 0.0]]),
        thresholds=Ordered(3),
        link="probit",
    )
    close(got[0], exact(formula, digits=60), rtol=1e-12)
