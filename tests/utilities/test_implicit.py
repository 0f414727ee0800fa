"""What a language model implicitly thinks a response is worth."""

import numpy as np
import pytest

from penchant.feedback import choice, pairwise, ranking
from penchant.utilities.implicit import log_odds_utility, log_ratio_utility, mean_log_utility

RNG = np.random.default_rng(0)
LOGP = -RNG.exponential(size=(3, 2, 5))
REFERENCE = -RNG.exponential(size=(3, 2, 5))
SCORED = RNG.random((3, 2, 5)) < 0.7


def test_worth_is_the_summed_log_ratio_of_what_is_scored():
    worth = log_ratio_utility(LOGP, REFERENCE, SCORED, strength=0.3)
    for b, k in np.ndindex(3, 2):
        mine = SCORED[b, k]
        wanted = 0.3 * (LOGP[b, k, mine] - REFERENCE[b, k, mine]).sum()
        assert worth[b, k] == pytest.approx(wanted)
    per_token = log_ratio_utility(LOGP, REFERENCE, SCORED, strength=0.3, mean=True)
    np.testing.assert_allclose(per_token * SCORED.sum(axis=2), worth)


def test_what_is_not_scored_may_be_not_a_number():
    holed = np.where(SCORED, LOGP, np.nan)
    np.testing.assert_allclose(
        log_ratio_utility(holed, REFERENCE, SCORED), log_ratio_utility(LOGP, REFERENCE, SCORED)
    )
    assert np.isfinite(mean_log_utility(holed, SCORED)).all()


def test_a_constant_of_the_prompt_is_seen_by_no_comparison_within_it():
    # A reference that gives every response of a prompt the same total leaves all choices alone.
    shift = np.zeros((3, 2, 5))
    everything = np.ones((3, 2, 5), dtype=bool)
    shift[:, :, 0] = np.array([[4.0], [-2.0], [0.5]])
    one = log_ratio_utility(LOGP, REFERENCE, everything)
    other = log_ratio_utility(LOGP, REFERENCE + shift, everything)
    wins = np.zeros(3, dtype=int)
    np.testing.assert_allclose(
        pairwise.bradley_terry_log_prob(other, wins), pairwise.bradley_terry_log_prob(one, wins)
    )


def test_rankings_of_two_choices_and_pairs_are_the_same_likelihood_of_it():
    worth = log_ratio_utility(LOGP, REFERENCE, SCORED)
    offered, first = np.ones((3, 2), dtype=bool), np.zeros(3, dtype=int)
    pair = pairwise.bradley_terry_log_prob(worth, first)
    np.testing.assert_allclose(choice.log_prob(worth, offered, first), pair)
    placed = np.tile([1, 2], (3, 1))
    np.testing.assert_allclose(ranking.log_prob(worth, offered, placed), pair)


def test_kinds_of_people_are_adapters_on_one_reference():
    adapters = np.stack([LOGP, LOGP - 0.1, LOGP + 0.2], axis=3)
    worth = log_ratio_utility(adapters, REFERENCE[..., None], SCORED)
    assert worth.shape == (3, 2, 3)
    np.testing.assert_allclose(worth[..., 1], log_ratio_utility(LOGP - 0.1, REFERENCE, SCORED))
    assert log_odds_utility(adapters - 1.0, SCORED).shape == (3, 2, 3)


def test_log_odds_are_those_of_the_mean_probability_of_a_token():
    p = np.exp(mean_log_utility(LOGP, SCORED, strength=1.0))
    np.testing.assert_allclose(log_odds_utility(LOGP, SCORED), np.log(p / (1 - p)))
