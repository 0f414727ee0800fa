"""The lottery that nothing beats: laws, the exact answer of a cycle, and bad input."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import linprog

from penchant.errors import DataError
from penchant.policies.oneshot.minimax_winner import minimax_order, minimax_winner


def preferences(seed, size, levels=None):
    """Random probabilities with P + P' = 1; with few levels, ties and several optima abound."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((size, size)) if levels is None
                    else rng.integers(0, levels, (size, size)) / (levels - 1), 1)  # fmt: skip
    return upper + np.tril(1 - upper.T, -1) + 0.5 * np.eye(size)


seeds, sizes = st.integers(0, 10**6), st.integers(1, 9)
levels = st.sampled_from([None, 2, 3, 5])


@given(seeds, sizes, levels)
def test_no_option_beats_the_winner_in_expectation(seed, size, levels):
    found = minimax_winner(preferences(seed, size, levels))
    assert found.probability.min() >= 0
    assert found.probability.sum() == pytest.approx(1.0)
    assert found.win_rate.min() >= 0.5 - 1e-7


@given(seeds, st.integers(2, 7), levels)
def test_relabelling_options_relabels_the_winner(seed, size, levels):
    preference = preferences(seed, size, levels)
    order = np.random.default_rng(seed).permutation(size)
    mine = minimax_winner(preference)
    theirs = minimax_winner(preference[np.ix_(order, order)])
    assert theirs.is_unique == mine.is_unique
    np.testing.assert_allclose(theirs.probability, mine.probability[order], atol=1e-5)


@given(seeds, st.integers(2, 6))
@example(seed=314727, size=6)
def test_a_clone_takes_nothing_from_the_others(seed, size):
    preference = preferences(seed, size)
    cloned = np.pad(preference, (0, 1), mode="edge")
    cloned[-1, -1] = 0.5
    before, after = minimax_winner(preference), minimax_winner(cloned)
    np.testing.assert_allclose(after.probability[: size - 1], before.probability[:-1], atol=1e-5)
    # The pair of clones shares what the one had, evenly since they are alike.
    np.testing.assert_allclose(after.probability[-2:], before.probability[-1] / 2, atol=1e-5)


@given(seeds, st.integers(2, 7), levels)
def test_unique_means_that_no_option_could_be_more_or_less_likely(seed, size, levels):
    preference = preferences(seed, size, levels)
    found = minimax_winner(preference)
    game = preference - 0.5
    corners = np.array([
        linprog(
            sign * np.eye(size)[k], A_ub=-game.T, b_ub=np.full(size, 1e-12),
            A_eq=np.ones((1, size)), b_eq=[1.0], bounds=(0, 1),
        ).x for sign in (1, -1) for k in range(size)
    ])  # fmt: skip
    assert found.is_unique == bool(np.ptp(corners, axis=0).max() < 1e-6)
    # The most even of them: its plane of equal evenness has every other optimum on its far side.
    lean = (corners - found.probability) @ found.probability
    assert lean.min() >= -1e-5


@given(seeds, st.integers(2, 6))
def test_what_beats_all_others_is_chosen_for_sure(seed, size):
    preference = preferences(seed, size)
    preference[0, 1:] = np.clip(preference[0, 1:], 0.51, 1)
    preference[1:, 0] = 1 - preference[0, 1:]
    found = minimax_winner(preference)
    assert found.probability[0] == pytest.approx(1.0)
    assert found.is_unique
    assert minimax_order(preference)[0] == 1


def test_a_cycle_of_three_is_mixed_by_the_margin_that_each_is_not_part_of():
    # p is proportional to the margin between the other two (Fisher and Ryan 1992).
    preference = np.array([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]])
    found = minimax_winner(preference)
    np.testing.assert_allclose(found.probability, [0.3, 0.3, 0.4], atol=1e-9)
    assert found.worst == pytest.approx(0.5)
    # The option with the highest mean win rate is beaten four times in five.
    best = int(preference.mean(axis=1).argmax())
    assert preference[best].min() == pytest.approx(0.2)


def test_options_that_nobody_tells_apart_get_even_chances():
    found = minimax_winner(np.full((4, 4), 0.5))
    np.testing.assert_allclose(found.probability, 0.25, atol=1e-7)
    assert not found.is_unique
    assert np.all(minimax_order(np.full((4, 4), 0.5)) == 1)


def test_a_transitive_order_is_given_back():
    worth = np.array([0.3, 2.0, -1.0, 0.9, 0.0])
    order = minimax_order(1 / (1 + np.exp(worth - worth[:, None])))
    np.testing.assert_array_equal(order, 1 + (worth[None, :] > worth[:, None]).sum(axis=1))


@pytest.mark.parametrize(
    ("preference", "words"),
    [
        (np.array([[0.5, 0.7], [0.7, 0.5]]), "add up to 1"),
        (np.array([[0.5, 1.4], [-0.4, 0.5]]), "expected probabilities"),
        (np.array([[0.5, np.nan], [np.nan, 0.5]]), "never met"),
        (np.zeros((0, 0)), "at least one"),
    ],
)
def test_what_is_no_preference_is_refused(preference, words):
    with pytest.raises(DataError, match=words):
        minimax_winner(preference)
