"""Every likelihood once on numbers that can be checked with paper and pencil."""

import numpy as np
import pytest

from penchant.feedback import (
    accept,
    best_worst,
    choice,
    davidson_luce,
    nested,
    outcome,
    pairwise,
    probit,
    probit_correlated,
    ranking,
    rating,
)
from penchant.feedback.thresholds import Ordered, Personal, Symmetric

# Worths of 1, 2 and 4: utilities are their logarithms.
U = np.log([[1.0, 2.0, 4.0]])
ALL = np.ones((1, 3), dtype=bool)
PAIR = np.log([[3.0, 1.0]])


def at(*values):
    return np.array([values])


def probability(log_p):
    return float(np.exp(log_p[0]))


def test_choice_shares_are_proportional_to_worth():
    assert [probability(choice.log_prob(U, ALL, np.array([k]))) for k in range(3)] == (
        pytest.approx([1 / 7, 2 / 7, 4 / 7])
    )
    np.testing.assert_allclose(
        choice.score(U, ALL, np.array([2])).utilities, [[-1 / 7, -2 / 7, 3 / 7]]
    )
    np.testing.assert_allclose(
        49 * choice.curvature(U, ALL, np.array([2])).utilities[0],
        [[6, -2, -4], [-2, 10, -8], [-4, -8, 12]],
    )


def test_without_the_last_option_the_first_two_share_one_to_two():
    offered = at(True, True, False)
    np.testing.assert_allclose(choice.probabilities(U, offered), [[1 / 3, 2 / 3, 0]])


def test_a_red_bus_takes_its_share_from_the_blue_bus():
    # Train alone; two buses alike, in a nest of scale 1/2: inclusive worth (1 + 1)^(1/2).
    nest, scale = np.array([[-1, 0, 0]]), at(np.log(0.5))
    p = nested.probabilities(np.zeros((1, 3)), ALL, nest, scale)
    nest_worth = np.sqrt(2.0)
    bus = nest_worth / (1 + nest_worth)
    np.testing.assert_allclose(p, [[1 - bus, bus / 2, bus / 2]])


def test_a_nest_with_scale_near_zero_counts_once():
    nest, scale = np.array([[-1, 0, 0]]), at(np.log(1e-3))
    p = nested.probabilities(np.zeros((1, 3)), ALL, nest, scale)
    np.testing.assert_allclose(p, [[0.5, 0.25, 0.25]], atol=1e-3)


def test_three_to_one_wins_three_of_four():
    assert probability(pairwise.bradley_terry_log_prob(PAIR, np.array([0]))) == pytest.approx(0.75)


def test_davidson_ties_are_worth_the_geometric_mean():
    # Worths 4 and 1, tie strength 1/2: a tie is worth 1/2 * sqrt(4) = 1; the answers 4 : 1 : 1.
    p = pairwise.davidson_probabilities(np.log([[4.0, 1.0]]), at(np.log(0.5)))
    np.testing.assert_allclose(p, [[4 / 6, 1 / 6, 1 / 6]])


def test_rao_kupper_winners_must_beat_theta_times_the_loser():
    # Worths 3 and 1, theta = 2: 3 / (3 + 2) and 1 / (1 + 6), the rest are ties.
    p = pairwise.rao_kupper_probabilities(PAIR, at(np.log(np.log(2.0))))
    np.testing.assert_allclose(p, [[3 / 5, 1 / 7, 1 - 3 / 5 - 1 / 7]])


def test_graded_pairs_cut_the_logistic_at_their_thresholds():
    # Five grades with thresholds -2, -1, 1, 2 (steps of one) around a gap of zero.
    p = pairwise.graded_probabilities(np.zeros((1, 2)), at(0.0, 0.0), thresholds=Symmetric(5))
    F = 1 / (1 + np.exp([2.0, 1.0]))
    np.testing.assert_allclose(p, [[F[0], F[1] - F[0], 1 - 2 * F[1], F[1] - F[0], F[0]]])


def test_plackett_luce_takes_the_best_of_what_is_left():
    rank = np.array([[3, 2, 1]])
    assert probability(ranking.log_prob(U, ALL, rank)) == pytest.approx(4 / 7 * 2 / 3)
    top_one = np.array([[0, 0, 1]])
    assert probability(ranking.log_prob(U, ALL, top_one)) == pytest.approx(4 / 7)


def test_a_tie_for_the_first_two_places_sums_both_orders():
    rank = np.array([[2, 1, 1]])
    expected = 4 / 7 * 2 / 3 + 2 / 7 * 4 / 5
    assert probability(ranking.log_prob(U, ALL, rank)) == pytest.approx(expected)


def test_a_tie_of_all_says_nothing():
    rank = np.ones((1, 3), dtype=int)
    assert ranking.log_prob(U, ALL, rank)[0] == 0.0
    assert not ranking.score(U, ALL, rank).utilities.any()


def test_davidson_luce_weighs_a_tie_by_its_mean_utility():
    # Worths 1, 4, 4 and delta_2 = 1/2: pairs are worth 1/2 * (2 + 2 + 4) = 4, singles 9.
    u, rank = np.log([[1.0, 4.0, 4.0]]), np.array([[2, 1, 1]])
    p = davidson_luce.log_prob(u, ALL, rank, at(np.log(0.5)), tie_sizes=(2,))
    assert probability(p) == pytest.approx(2 / 13)


def test_best_then_worst_of_the_rest_with_inverse_worths():
    best, worst = np.array([2]), np.array([0])
    # 4/7 for the best; then 1/1 against 1/2 for the worst.
    p = best_worst.sequential_log_prob(U, ALL, best, worst)
    assert probability(p) == pytest.approx(4 / 7 * 2 / 3)
    # All ordered pairs: ratios 4, 2, 2 and their inverses 1/4, 1/2, 1/2.
    p = best_worst.max_diff_log_prob(U, ALL, best, worst)
    assert probability(p) == pytest.approx(4 / 9.25)


def test_ratings_fall_between_thresholds():
    # Thresholds -1, 0, e; worth 0.
    p = rating.probabilities(np.zeros((1, 1)), at(-1.0, 0.0, 1.0), thresholds=Ordered(4))
    F = 1 / (1 + np.exp([1.0, 0.0, -np.e]))
    np.testing.assert_allclose(p[0, 0], [F[0], F[1] - F[0], F[2] - F[1], 1 - F[2]])


def test_a_person_shifts_and_stretches_the_thresholds():
    tau = Personal(3).values(at(1.0, np.log(2.0), 0.5, np.log(3.0)))
    np.testing.assert_allclose(tau, [[0.5 + 3 * 1, 0.5 + 3 * 3]])


def test_ratings_not_given_count_for_nothing():
    level = np.array([[-1, -1, -1]])
    assert rating.log_prob(U, ALL, level, at(0.0), thresholds=Ordered(2))[0] == 0.0


def test_approval_is_each_option_against_the_bar():
    success = np.array([[0, 1, -1]])
    p = accept.log_prob(U, ALL, success, at(np.log(2.0)))
    # Odds 1/2 and 1: not approved 2/3, approved 1/2.
    assert probability(p) == pytest.approx(2 / 3 * 1 / 2)


def test_an_outcome_is_a_gaussian_around_the_utility():
    value = np.array([[1.0, np.nan, 2.0]])
    got = outcome.log_prob(np.array([[0.0, 9.0, 2.0]]), ALL, value, at(np.log(0.5)))
    each = -np.log(0.5 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(got, [2 * each - 0.5 * 2.0**2])


def test_probit_pair_is_the_normal_distribution_function():
    p = probit.pair_log_prob(np.array([[1.959963984540054, 0.0]]), np.array([0]))
    assert probability(p) == pytest.approx(0.975)


def test_three_equal_options_share_alike_under_every_noise():
    u = np.zeros((1, 3))
    for k in range(3):
        assert probability(probit.log_prob(u, ALL, np.array([k]))) == pytest.approx(1 / 3)


def test_ghk_of_two_alternatives_needs_no_simulation():
    u, both = np.array([[1.0, 0.0]]), np.ones((1, 2), dtype=bool)
    draws, none = np.full((1, 1), 0.3), np.zeros((1, 0))
    p = probit_correlated.log_prob(u, both, np.array([0]), draws, none)
    np.testing.assert_allclose(p, probit.pair_log_prob(u / np.sqrt(2), np.array([0])))
