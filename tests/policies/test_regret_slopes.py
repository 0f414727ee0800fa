"""How regret grows with rounds: Slivkins (2019); at length in recipes/textbook_bandits.py."""

import numpy as np
import pytest

from penchant.evaluation.play import play, play_advised, play_combinations, play_continuum
from penchant.policies.bandits.advice import AdviceBandit, AdviceConfig
from penchant.policies.bandits.combinations import SemiBandit, largest
from penchant.policies.bandits.linear import LinearBandit
from penchant.policies.bandits.rules import (
    Elimination,
    EpsilonGreedy,
    ExploreFirst,
    InverseGap,
    Thompson,
    UpperConfidence,
)
from penchant.policies.bandits.zooming import ZoomingBandit, ZoomingConfig
from penchant.simulation.arms import bernoulli_arms

ROUNDS = (80, 480)


def slope(rule, num_seeds=5):
    """Of log regret on log rounds: three arms, one of which pays in 0.3 more of all rounds."""
    regret = np.zeros(2)
    for place, num_rounds in enumerate(ROUNDS):
        for seed in range(num_seeds):
            probability = np.full(3, 0.35)
            probability[seed % 3] += 0.3
            rng = np.random.default_rng((seed, num_rounds))
            world = bernoulli_arms(probability, num_rounds, rng)
            made = rule(num_rounds) if callable(rule) else rule
            bandit = LinearBandit(
                "abc", 1, rule=made, noise=0.5, prior_precision=0.25, random_state=rng
            )
            regret[place] += play(bandit, world).regret.sum()
    return float(np.diff(np.log(regret))[0] / np.diff(np.log(ROUNDS))[0])


@pytest.mark.parametrize(
    ("rule", "low", "high"),
    [
        # The logarithm of rounds, no power of them; of five seeds, which may fare better later.
        (UpperConfidence(width=1.5), -2.0, 0.5),
        (Thompson(), -2.0, 0.5),
        (InverseGap(gamma=7.0), 0.1, 0.75),
        (Elimination(width=2.0), -2.0, 0.6),
        (EpsilonGreedy(epsilon=2.0, decay=1 / 3), 0.45, 0.88),
        # As many turns of each arm as T^(2/3) of the two numbers of rounds has it.
        (lambda T: ExploreFirst(num_each=round(T ** (2 / 3))), 0.55, 0.8),
        (EpsilonGreedy(epsilon=1.0), 0.95, 1.05),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, float) else "",
)
def test_regret_grows_as_the_rule_has_it(rule, low, high):
    assert low < slope(rule) < high


def structured(regret, rounds=(400, 4000), num_seeds=3):
    """The exponent of what is lost in all, where a world is drawn for each number of rounds."""
    found = [
        np.mean([regret(T, np.random.default_rng((seed, T))).sum() for seed in range(num_seeds)])
        for T in rounds
    ]
    return float(np.diff(np.log(found))[0] / np.diff(np.log(rounds))[0])


def on_a_peak(num_rounds, rng):
    top = rng.uniform(0.2, 0.8)
    config = ZoomingConfig(num_rounds=num_rounds, lipschitz=0.8, width=0.35)
    worth = lambda x: float(0.9 - 0.8 * abs(x[0] - top))  # noqa: E731
    return play_continuum(ZoomingBandit(config, random_state=rng), worth, 0.9, num_rounds, rng)


def advised(num_rounds, rng):
    """Six experts who each name one of three arms, one of which pays more."""
    probability = np.full(3, 0.35)
    probability[rng.integers(3)] += 0.3
    paid = bernoulli_arms(probability, num_rounds, rng).paid
    advice = np.broadcast_to(np.eye(3)[[0, 1, 2, 0, 1, 2]], (num_rounds, 6, 3))
    config = AdviceConfig(num_experts=6, num_arms=3, num_rounds=num_rounds)
    return play_advised(AdviceBandit(config, random_state=rng), advice, paid)


def combined(num_rounds, rng):
    best = np.isin(np.arange(5), rng.choice(5, 2, replace=False))
    world = bernoulli_arms(0.35 + 0.3 * best, num_rounds, rng)
    bandit = SemiBandit("01234", 1, largest(2), rule=UpperConfidence(width=2.5), noise=0.5,
                        prior_precision=0.25)  # fmt: skip
    return play_combinations(bandit, world, np.broadcast_to(best, (num_rounds, 5)))


@pytest.mark.parametrize(
    ("regret", "low", "high"),
    # Of a fixed gap combinations cost the logarithm of rounds, no power of them.
    [(on_a_peak, 0.3, 0.75), (advised, 0.3, 0.65), (combined, -2.0, 0.6)],
    ids=["zooming", "advice", "combinations"],
)
def test_regret_of_structures_grows_as_the_textbook_has_it(regret, low, high):
    assert low < structured(regret) < high
