"""The peers' side of `decide.py`: Vowpal Wabbit's Python binding and MABWiser, each as its own
documentation shows it, decide and learn round by round."""

from collections.abc import Callable

import numpy as np

import decide_worlds as worlds
from decide_worlds import World

Fit = Callable[[], dict]


def vowpal_wabbit(world: World, *, explore: str) -> Fit:
    """`--cb_explore`: arms with weights of their own on the context; costs are 1 - reward.

    Examples are text, the form that its documentation shows; features are named by numbers, which
    are hashed to themselves.
    """
    import vowpalwabbit

    num_arms = world.paid.shape[1]

    def fit() -> dict:
        learner = vowpalwabbit.Workspace(
            f"--cb_explore {num_arms} {explore} --quiet --random_seed 1"
        )
        rng = np.random.default_rng(1)
        played = np.zeros(len(world.contexts), dtype=np.int64)
        for t, context in enumerate(world.contexts):
            features = " ".join([f"{d}:{x:.6f}" for d, x in enumerate(context)])
            probabilities = np.array(learner.predict("| " + features))
            arm = int(np.searchsorted(np.cumsum(probabilities / probabilities.sum()), rng.random()))
            arm = min(arm, num_arms - 1)
            cost = 1.0 - world.paid[t, arm]
            learner.learn(f"{arm + 1}:{cost:.6f}:{probabilities[arm]:.6f} | {features}")
            played[t] = arm
        learner.finish()
        return world.judged(played)

    return fit


def mabwiser(world: World, *, width: float) -> Fit:
    """LinUCB; partial_fit after every round."""
    from mabwiser.mab import MAB, LearningPolicy

    num_arms = world.paid.shape[1]

    def fit() -> dict:
        learner = MAB([*range(num_arms)], LearningPolicy.LinUCB(alpha=width), seed=1)
        played = np.zeros(len(world.contexts), dtype=np.int64)
        first = min(num_arms, len(world.contexts))
        learner.fit(
            [*range(first)], [world.paid[t, t] for t in range(first)], world.contexts[:first]
        )
        for t in range(len(world.contexts)):
            arm = learner.predict(world.contexts[t : t + 1])
            learner.partial_fit([arm], [world.paid[t, arm]], world.contexts[t : t + 1])
            played[t] = arm
        return world.judged(played)

    return fit


__all__ = ["mabwiser", "vowpal_wabbit", "worlds"]
