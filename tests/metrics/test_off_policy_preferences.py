"""Values of policies from picks, rankings and comparisons: truth found, by sums and by draws."""

import numpy as np
import pytest
from scipy.special import expit

from penchant.metrics import off_policy_preferences as preferences
from penchant.metrics.intervals import clustered_mean
from penchant.metrics.rank_intervals import ranks

WORTH = np.array([1.0, 0.2, -0.3, -0.8, 0.5])


def test_shares_are_those_of_rivals_beaten():
    shown = np.array([[True, True, True, False], [True, True, False, False]])
    rank = np.array([[1, 3, 2, 0], [1, 1, 0, 0]])
    share = preferences.win_shares(rank, shown)
    assert share[0].tolist() == [1.0, 0.0, 0.5, 0.0]
    assert share[1].tolist() == [0.5, 0.5, 0.0, 0.0]
    picked = preferences.win_shares(np.array([[0, 1, 0]]), np.ones((1, 3), dtype=bool))
    # Those that were not picked are not told apart.
    assert picked[0].tolist() == [0.25, 1.0, 0.25]
    alone = preferences.win_shares(np.array([[1, 0]]), np.array([[True, False]]))
    assert np.isnan(alone[0, 0])


def test_every_ranking_hands_out_half_of_the_wins():
    rng = np.random.default_rng(0)
    rank = np.array([ranks(rng.integers(4, size=5).astype(float)) for _ in range(50)])
    share = preferences.win_shares(rank, np.ones((50, 5), dtype=bool))
    np.testing.assert_allclose(share.mean(axis=1), 0.5)


def drawn(num, rng, places=3):
    """Independent places filled by `logged`; people rank by worth plus Gumbel noise."""
    logged, target = np.array([0.1, 0.2, 0.3, 0.2, 0.2]), np.array([0.5, 0.1, 0.1, 0.1, 0.2])
    items = rng.choice(5, size=(num, places), p=logged)
    felt = WORTH[items] + rng.gumbel(size=items.shape)
    rank = (-felt).argsort(axis=1).argsort(axis=1) + 1
    return items, rank, logged, target


def beats(first, second):
    """P(an option of the first is preferred to one of the second), Bradley-Terry."""
    return float(first @ expit(WORTH[:, None] - WORTH) @ second)


@pytest.mark.parametrize("places", [2, 3])
def test_rankings_tell_how_often_a_policy_is_preferred_to_what_was_shown(places):
    rng, hits = np.random.default_rng(1), 0
    shown = np.ones((800, places), dtype=bool)
    for _ in range(60):
        items, rank, logged, target = drawn(800, rng, places)
        share = preferences.win_shares(rank, shown)
        weight = (target / logged)[items]
        terms = preferences.preferred_to_shown(weight, share, shown)
        found = clustered_mean(terms, np.arange(800))
        hits += found.low <= beats(target, logged) <= found.high
    assert hits >= 53


def test_a_model_of_wins_narrows_the_interval_and_wrong_weights_are_mended_by_it():
    rng = np.random.default_rng(2)
    items, rank, logged, target = drawn(4000, rng)
    shown = np.ones(items.shape, dtype=bool)
    share, weight = preferences.win_shares(rank, shown), (target / logged)[items]
    expected = expit(WORTH[:, None] - WORTH) @ logged
    value = np.full(items.shape, target @ expected)
    plain = preferences.preferred_to_shown(weight, share, shown)
    robust = preferences.preferred_to_shown_doubly_robust(
        weight, share, shown, expected[items], value
    )
    truth = beats(target, logged)
    assert robust.std() < 0.8 * plain.std()
    wrong = preferences.preferred_to_shown_doubly_robust(
        0.5 * weight, share, shown, expected[items], value
    )
    for terms in (robust, wrong):
        assert abs(terms.mean() - truth) < 4 * terms.std() / np.sqrt(4000)
    off = preferences.preferred_to_shown(0.5 * weight, share, shown)
    assert abs(off.mean() - truth) > 8 * off.std() / np.sqrt(4000)


def test_compared_pairs_tell_how_often_one_policy_beats_another_exactly():
    rng = np.random.default_rng(3)
    first, second, pi, rho = rng.dirichlet(np.ones(5), size=4)
    wins = expit(WORTH[:, None] - WORTH)
    wrong = rng.random((5, 5))
    a, b = np.divmod(np.arange(25), 5)
    mass = first[a] * second[b]
    truth = beats(pi, rho)
    weights = ((pi / first)[a], (rho / second)[b])
    plain = preferences.preferred_to_policy(*weights, wins[a, b])
    robust = preferences.preferred_to_policy(
        *weights, wins[a, b], wrong[a, b], np.full(25, pi @ wrong @ rho)
    )
    assert mass @ plain == pytest.approx(truth)
    assert mass @ robust == pytest.approx(truth)
    same = preferences.preferred_to_policy((pi / first)[a], (pi / second)[b], wins[a, b])
    assert mass @ same == pytest.approx(0.5)


def test_the_worth_of_what_is_picked_is_that_of_the_targets_slates():
    rng = np.random.default_rng(4)
    margin = np.array([0.1, 0.9, 0.4, 1.5, 0.3])
    logged, target = rng.dirichlet(np.full(5, 3.0), size=2)
    first, second = np.divmod(np.arange(25), 5)
    slate = np.column_stack([first, second])
    # Nobody need pick: an outside option of worth 0 stands beside the two.
    power = np.exp(WORTH[slate])
    chance = power / (1.0 + power.sum(axis=1, keepdims=True))
    earned = (chance * margin[slate]).sum(axis=1)
    truth = (target[first] * target[second]) @ earned
    weight = (target / logged)[first] * (target / logged)[second]
    found = 0.0
    for picked in (-1, 0, 1):
        share = 1.0 - chance.sum(axis=1) if picked < 0 else chance[:, picked]
        terms = preferences.worth_of_pick(weight, margin[slate], np.full(25, picked))
        found += (logged[first] * logged[second] * share) @ terms
    assert found == pytest.approx(truth)
