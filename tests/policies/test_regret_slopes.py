"""How regret grows with rounds: Slivkins (2019); at length in recipes/textbook_bandits.py."""

import numpy as np
import pytest

from penchant.evaluation.play import play
from penchant.policies.bandits.linear import LinearBandit
from penchant.policies.bandits.rules import (
    EpsilonGreedy,
    InverseGap,
    Thompson,
    UpperConfidence,
)
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
            bandit = LinearBandit(
                "abc", 1, rule=rule, noise=0.5, prior_precision=0.25, random_state=rng
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
        (EpsilonGreedy(epsilon=2.0, decay=1 / 3), 0.45, 0.88),
        (EpsilonGreedy(epsilon=1.0), 0.95, 1.05),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, float) else "",
)
def test_regret_grows_as_the_rule_has_it(rule, low, high):
    assert low < slope(rule) < high
