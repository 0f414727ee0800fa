"""Rank intervals hold as often as they say; relabelling, certainty and ignorance come out right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.metrics.rank_intervals import (
    difference_errors,
    normal_draws,
    rank_probabilities,
    ranks,
    ranks_from_intervals,
    sidak_level,
    simultaneous_ranks,
    top_probabilities,
)


def covariance_of(generator, num_items):
    """Uneven errors that vary together, in the gauge of mean zero."""
    root = generator.normal(size=(num_items, num_items)) * generator.uniform(0.1, 0.6, num_items)
    centre = np.eye(num_items) - 1 / num_items
    return centre @ (root @ root.T / num_items) @ centre


@pytest.mark.parametrize("how", ["simultaneous", "intervals"])
def test_rank_intervals_hold_as_often_as_they_say(how):
    generator = np.random.default_rng(3)
    truth = np.array([1.0, 0.8, 0.6, 0.5, 0.5, 0.1, 0.0, -0.7])
    covariance = covariance_of(generator, len(truth))
    true_best, true_worst = ranks(truth), len(truth) + 1 - ranks(-truth)
    held, worlds = [], 300
    for _ in range(worlds):
        found_at = truth + normal_draws(covariance, generator, 1)[0]
        if how == "intervals":
            z = 3.0  # above Sidak's 2.73 for eight
            reach = z * np.sqrt(np.diag(covariance))
            found = ranks_from_intervals(found_at, found_at - reach, found_at + reach)
        else:
            found = simultaneous_ranks(found_at, covariance, generator, num_draws=400)
        held.append((found.low <= true_best) & (true_worst <= found.high))
    held = np.array(held)
    share = held.all(axis=1).mean()
    assert share > 0.95 - 3 * np.sqrt(0.95 * 0.05 / worlds)


def test_narrow_rank_intervals_would_not_hold():
    generator = np.random.default_rng(3)
    truth = np.linspace(0, 1, 8)
    covariance = covariance_of(generator, 8)
    held = 0
    for _ in range(200):
        found_at = truth + normal_draws(covariance, generator, 1)[0]
        found = simultaneous_ranks(found_at, covariance, generator, level=0.4, num_draws=200)
        held += ((found.low <= ranks(truth)) & (ranks(truth) <= found.high)).all()
    assert held / 200 < 0.8


@given(st.integers(0, 2**32 - 1), st.permutations(range(6)))
def test_labels_mean_nothing(seed, order):
    generator = np.random.default_rng(seed)
    order, strengths = np.array(order), generator.normal(size=6)
    low, high = strengths - generator.random(6), strengths + generator.random(6)
    found = ranks_from_intervals(strengths, low, high)
    moved = ranks_from_intervals(strengths[order], low[order], high[order])
    for name in ("rank", "low", "high"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(found, name)[order])
    assert (found.low <= found.rank).all()
    assert (found.rank <= found.high).all()


@given(st.integers(0, 2**32 - 1))
def test_interval_ranks_count_who_lies_wholly_above_and_below(seed):
    generator = np.random.default_rng(seed)
    strengths = np.round(generator.normal(size=7), 1)
    low, high = strengths - 0.3, strengths + 0.3
    island = generator.integers(0, 2, 7)
    found = ranks_from_intervals(strengths, low, high, island=island)
    same = island[:, None] == island
    np.testing.assert_array_equal(found.low, 1 + ((low > high[:, None]) & same).sum(axis=1))
    np.testing.assert_array_equal(found.high, 7 - ((high < low[:, None]) & same).sum(axis=1))


def test_certainty_gives_the_ranks_and_ignorance_all_of_them():
    strengths = np.array([0.3, 2.0, -1.0])
    generator = np.random.default_rng(0)
    for degrees in (None, np.full(3, 3.0)):
        more = {"degrees_of_freedom": degrees, "num_draws": 99}
        sure = simultaneous_ranks(strengths, 1e-9 * np.eye(3), generator, **more)
        np.testing.assert_array_equal(sure.low, [2, 1, 3])
        np.testing.assert_array_equal(sure.high, [2, 1, 3])
        unsure = simultaneous_ranks(strengths, 1e6 * np.eye(3), generator, **more)
        np.testing.assert_array_equal(unsure.low, [1, 1, 1])
        np.testing.assert_array_equal(unsure.high, [3, 3, 3])


def test_items_of_different_islands_are_never_told_apart():
    strengths, island = np.array([5.0, -5.0, 9.0, -9.0]), np.array([0, 0, 1, 1])
    found = simultaneous_ranks(strengths, 0.01 * np.eye(4), np.random.default_rng(0), island=island)
    np.testing.assert_array_equal(found.low, [1, 2, 1, 2])
    np.testing.assert_array_equal(found.high, [3, 4, 3, 4])


def test_an_item_of_unknown_strength_may_stand_anywhere_and_harms_nobody():
    covariance = np.diag([0.01, 0.01, np.inf])
    found = simultaneous_ranks(np.array([1.0, -1.0, 0.0]), covariance, np.random.default_rng(0))
    np.testing.assert_array_equal(found.low, [1, 2, 1])
    np.testing.assert_array_equal(found.high, [2, 3, 3])


def test_stepping_down_is_never_wider_and_sometimes_sharper(monkeypatch):
    generator = np.random.default_rng(8)
    covariance = 0.04 * np.eye(12)
    sharper = 0
    for seed in range(30):
        strengths = np.repeat(np.linspace(0, 4, 4), 3) + 0.2 * generator.normal(size=12)
        stepped = simultaneous_ranks(strengths, covariance, np.random.default_rng(seed))
        monkeypatch.setattr("penchant.metrics.rank_intervals._MOST_STEPPED", 0)
        single = simultaneous_ranks(strengths, covariance, np.random.default_rng(seed))
        monkeypatch.undo()
        assert (stepped.low >= single.low).all()
        assert (stepped.high <= single.high).all()
        sharper += (stepped.low > single.low).any()
    assert sharper > 0


def test_of_two_items_the_test_is_students_with_the_fewer_degrees_of_freedom():
    from scipy.special import stdtrit

    for degrees in ([4.0, 9.0], [4.0, np.inf], [30.0, 90.0]):
        # One hypothesis each way: half of the level's rest on either side.
        edge = stdtrit(min(degrees), 0.975) * np.sqrt(2.0)
        for apart, is_above in ((0.97 * edge, False), (1.03 * edge, True)):
            found = simultaneous_ranks(
                np.array([apart, 0.0]), np.eye(2), np.random.default_rng(0),
                degrees_of_freedom=np.array(degrees), num_draws=20_000,
            )  # fmt: skip
            assert found.above[0, 1] == is_above


def test_the_shape_of_draws_counts_and_not_their_size():
    # Errors that guess one direction only would call everything above 1.96 different.
    line = np.linspace(-1, 1, 12)
    guess, strengths = np.outer(line, line), 1.15 * np.linspace(-2, 2, 12)
    of_guess, of_shape, of_larger = (
        simultaneous_ranks(strengths, guess, np.random.default_rng(0), shape=shape)
        for shape in (None, np.eye(12), 9.0 * np.eye(12))
    )
    assert of_guess.critical < 2.1
    assert of_shape.critical > 3.0
    np.testing.assert_allclose(of_shape.critical, of_larger.critical, rtol=1e-5)


def test_whoever_is_above_somebody_is_above_all_whom_that_one_is_above():
    # Of the first little is known but that it beats the second: five errors, of four degrees.
    covariance = np.diag([0.005, 0.005, 4.0])
    strengths = np.array([6.1, 5.6, 0.0])
    found = simultaneous_ranks(
        strengths, covariance, np.random.default_rng(0),
        degrees_of_freedom=np.array([4.0, np.inf, np.inf]), num_draws=4000,
    )  # fmt: skip
    # Its own gap to the third is 3.05 errors, which of four degrees of freedom is not enough.
    np.testing.assert_array_equal(found.above, np.triu(np.ones((3, 3), dtype=bool), 1))
    np.testing.assert_array_equal(found.low, [1, 2, 3])
    np.testing.assert_array_equal(found.high, [1, 2, 3])


def test_rank_odds_are_doubly_stochastic_and_top_is_their_sum():
    generator = np.random.default_rng(1)
    draws = normal_draws(np.diag([0.1, 0.5, 1.0, 0.2]), generator, 500) + np.array(
        [1.0, 0.5, 0.0, -1.0]
    )
    odds = rank_probabilities(draws)
    np.testing.assert_allclose(odds.sum(axis=0), 1.0)
    np.testing.assert_allclose(odds.sum(axis=1), 1.0)
    by_hand = [(draws[:, 2] > draws[:, k]).mean() for k in (0, 1, 3)]
    assert odds[2, 0] <= min(by_hand)
    for top in (1, 2, 4):
        np.testing.assert_allclose(top_probabilities(draws, top), odds[:, :top].sum(axis=1))
    with pytest.raises(ConfigError, match="best 5 of 4"):
        top_probabilities(draws, 5)


def test_two_items_have_the_normal_probability_of_their_order():
    from scipy.special import ndtr

    covariance = np.array([[0.3, 0.1], [0.1, 0.5]])
    draws = normal_draws(covariance, np.random.default_rng(4), 40_000) + np.array([0.5, 0.0])
    expected = ndtr(0.5 / np.sqrt(0.3 + 0.5 - 0.2))
    assert rank_probabilities(draws)[0, 0] == pytest.approx(expected, abs=0.01)
    np.testing.assert_allclose(difference_errors(covariance)[0, 1], np.sqrt(0.6))


def test_sidaks_level_multiplies_back():
    assert sidak_level(0.95, 40) ** 40 == pytest.approx(0.95)


def test_equal_strengths_share_the_better_rank():
    np.testing.assert_array_equal(ranks(np.array([1.0, 3.0, 1.0, 0.0])), [2, 1, 2, 4])


def test_below_twenty_degrees_of_freedom_the_level_is_shared_out_among_all_differences():
    from scipy.special import ndtri, stdtrit

    line = np.linspace(-1, 1, 12)
    for degrees, is_shared in ((19.0, True), (21.0, False)):
        # The ends' difference, the only one that matters, stands between both critical values.
        edge = stdtrit(degrees, 1 - 0.05 / 132) if is_shared else stdtrit(degrees, 0.975)
        assert stdtrit(degrees, 1 - 0.05 / 132) > 3.0 > -ndtri(0.025)
        for factor in (0.97, 1.03):
            found = simultaneous_ranks(
                factor * edge * line, np.outer(line, line), np.random.default_rng(0),
                degrees_of_freedom=np.full(12, degrees), num_draws=20_000,
            )  # fmt: skip
            assert found.above.any() == (factor > 1.0)
