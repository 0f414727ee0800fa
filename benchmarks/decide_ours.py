"""penchant's side of `decide.py`: decide, be paid, learn, round by round."""

from collections.abc import Callable

import numpy as np

import decide_worlds as worlds
from decide_worlds import World

Fit = Callable[[], dict]


def linear(world: World, *, rule: str, settings: dict | None = None) -> Fit:
    """LinearBandit with a rule of `penchant.policies.bandits.rules`."""
    from penchant.policies.bandits import rules
    from penchant.policies.bandits.linear import LinearBandit

    num_arms = world.paid.shape[1]
    # A 1 beside the features: rewards have a level.
    contexts = np.concatenate([world.contexts, np.ones((len(world.contexts), 1))], axis=1)

    def fit() -> dict:
        bandit = LinearBandit(
            [str(a) for a in range(num_arms)],
            contexts.shape[1],
            rule=getattr(rules, rule)(**(settings or {})),
            noise=0.1 / 8.0,
            # The level of rewards is some 40 noises away from 0.
            prior_precision=0.001,
        )
        played = np.zeros(len(contexts), dtype=np.int64)
        for t in range(len(contexts)):
            decision = bandit.decide(contexts[t])
            played[t] = decision.place
            bandit.update(decision, world.paid[t, decision.place])
        return world.judged(played)

    return fit


__all__ = ["linear", "worlds"]
