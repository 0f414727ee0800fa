"""Inverse gaps on an online regression: Deb et al. (2024), Contextual bandits with online neural
regression (NeuSquareCB, NeuFastCB).

Theirs: exploring in inverse proportion to the predicted gap, with the gaps in units of the smallest
loss (the "fast" rule), loses least where some arm hardly ever fails, whatever its one parameter; a
small simulation of it (eight classes, the arm named like the class pays, 6,000 rounds, a logistic
model an arm) gave average losses 0.069 for epsilon-greedy, 0.038 for the square rule and 0.022 to
0.029 for the fast one with gamma from 50 to 1,000. Ours: classes around random centres of ten
coordinates, spread such that the best policy hardly fails; epsilon 0.05; the same rules on
`LinearBandit(is_binary=True)`. Classes differ from theirs and so do the levels; compared are the
shares of loss that one rule saves beside another, paired by seed. One of theirs is not met here:
with gamma 50 the fast rule saves nothing beside the square one (`losses` in the results), so it is
flat in gamma from some 200 on only. Their networks are not repeated. Tiny: 1,500 rounds, 3 seeds.
3 s on one core.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.evaluation.claims import Claim, no_worse
from penchant.evaluation.play import play
from penchant.evaluation.recipes import reach_over_seeds, results, run_recipe
from penchant.policies.bandits.linear import LinearBandit
from penchant.policies.bandits.rules import EpsilonGreedy, InverseGap, InverseGapLoss, Rule
from penchant.simulation.arms import labelled_arms

SOURCE = "simulation of the paper's rules"
RULES: dict[str, Rule] = {
    "epsilon-greedy": EpsilonGreedy(epsilon=0.05),
    "square": InverseGap(gamma=30.0, growth=0.5),
    **{f"fast, gamma {gamma}": InverseGapLoss(gamma=gamma) for gamma in (50, 200, 1000)},
}
# Of the fast rule the least that it reached with any gamma: which gamma gave 0.022 is not said.
THEIRS = {"epsilon-greedy": 0.069, "square": 0.038, "fast": 0.029}


@dataclass(frozen=True, kw_only=True)
class Config:
    """spread: of a class around its centre, whose coordinates are standard normal."""

    num_rounds: int = 6_000
    num_seeds: int = 20
    num_classes: int = 8
    num_features: int = 11
    spread: float = 0.5
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_rounds=1_500, num_seeds=3)


def main(config: Config) -> dict[str, Any]:
    loss = {name: losses(config, rule) for name, rule in RULES.items()}
    claims = [
        saved("epsilon-greedy", "square", loss),
        *(saved("square", f"fast, gamma {gamma}", loss) for gamma in (200, 1000)),
    ]
    return results(claims, losses={name: found.round(4).tolist() for name, found in loss.items()})


def saved(by: str, beside: str, loss: dict[str, np.ndarray]) -> Claim:
    """The share of the first rule's loss that the second saves, paired by seed; both must agree
    that it is at least as large as theirs, within our doubt."""
    share = 1.0 - loss[beside] / loss[by]
    theirs = 1.0 - THEIRS[beside.split(",")[0]] / THEIRS[by]
    return no_worse(f"share of loss saved, {beside} beside {by}", theirs, float(share.mean()),
                    slack=reach_over_seeds(share), source=SOURCE)  # fmt: skip


def losses(config: Config, rule: Rule) -> np.ndarray:
    """The average loss of each seed."""
    found = []
    for index in range(config.num_seeds):
        rng = np.random.default_rng((config.seed, index))
        world = labelled_arms(config.num_classes, config.num_features, config.num_rounds, rng,
                              spread=config.spread)  # fmt: skip
        names = [f"class {k}" for k in range(config.num_classes)]
        bandit = LinearBandit(names, config.num_features, rule=rule, is_binary=True,
                              random_state=rng)  # fmt: skip
        found.append(1.0 - play(bandit, world).reward.mean())
    return np.array(found)


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
