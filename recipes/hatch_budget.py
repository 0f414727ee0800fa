"""Whom to spend on: Yang et al. (2020), Hierarchical adaptive contextual bandits for resource
constraint based recommendation (HATCH).

Theirs: a linear program over classes of users decides whom a unit of budget is spent on, a bandit
what they are shown; a small simulation of it, not in the paper (20,000 rounds, budget for 15 % of
them, 5 arms, 6 classes) earned 0.84 a unit, LinUCB that plays until the budget is gone 0.63, and
LinUCB that skips rounds at random 0.63. Ours: what its classes paid is not recorded; here the best
arms pay 0.45 to 0.89 over six classes, evenly, so that the two that do not choose whom earn what
theirs did by the making of the world, and what HATCH makes of it is measured: budget for less than
a sixth of all rounds allows 0.89 at most. Classes are clusters of 2,000 earlier contexts. Hope of
one standard deviation; with a half (`narrow`) it settles on a class too soon in some worlds. Tiny:
2,000 rounds, 2 seeds. 30 s on one core.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from penchant.evaluation.claims import Claim, no_worse, within_doubt
from penchant.evaluation.play import play, spend
from penchant.evaluation.recipes import over_seeds, results, run_recipe
from penchant.metrics.intervals import reach_of_mean
from penchant.policies.bandits.budgeted import BudgetedBandit, ContextClasses
from penchant.policies.bandits.linear import LinearBandit
from penchant.policies.bandits.rules import UpperConfidence
from penchant.simulation.arms import ArmsWorld, class_arms

SOURCE = "simulation of the method, not the paper's"
THEIRS = {"hatch": 0.84, "until it is gone": 0.63, "thinned": 0.63}


@dataclass(frozen=True, kw_only=True)
class Config:
    """budget_ratio: units of budget a round. num_earlier: contexts that classes are learnt from."""

    num_rounds: int = 20_000
    num_seeds: int = 10
    num_arms: int = 5
    num_classes: int = 6
    budget_ratio: float = 0.15
    width: float = 1.0
    num_earlier: int = 2_000
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_rounds=2_000, num_seeds=2, num_earlier=500)


def main(config: Config) -> dict[str, Any]:
    runs = [one_world(config, index) for index in range(config.num_seeds)]
    found = {name: np.array([run[name] for run in runs]) for name in THEIRS}
    gain = found["hatch"] - found["until it is gone"]
    claims = [
        same("until it is gone", found["until it is gone"]),
        same("thinned", found["thinned"]),
        no_worse("reward a unit of budget, hatch", THEIRS["hatch"], float(found["hatch"].mean()),
                 slack=reach_of_mean(found["hatch"]), source=SOURCE),
        no_worse("what choosing whom adds", 0.21, float(gain.mean()), slack=reach_of_mean(gain),
                 source=SOURCE),
    ]  # fmt: skip
    narrow = [one_world(replace(config, width=0.5), index) for index in range(config.num_seeds)]
    found["narrow"] = np.array([run["hatch"] for run in narrow])
    return results(
        claims,
        reward_per_unit={name: over_seeds(values) for name, values in found.items()},
        share_of_budget_used=over_seeds(np.array([run["used"] for run in runs])),
    )


def same(name: str, values: np.ndarray) -> Claim:
    """Level with theirs within our doubt."""
    return within_doubt(f"reward a unit of budget, {name}", THEIRS[name], float(values.mean()),
                        se=reach_of_mean(values) / 1.96, source=SOURCE)  # fmt: skip


def one_world(config: Config, index: int) -> dict[str, float]:
    """Reward a unit of budget of each way to spend it, and the share of it that hatch used."""
    rng = np.random.default_rng((config.seed, index))
    table = classes_table(config, rng)
    earlier = class_arms(table, config.num_earlier, rng).contexts
    world = class_arms(table, config.num_rounds, rng)
    budget = round(config.budget_ratio * config.num_rounds)
    several = ContextClasses.learnt(earlier, config.num_classes, rng)
    one = ContextClasses.learnt(earlier, 1, rng)
    chosen = spend(budgeted(config, several, budget, index), world)
    thinned = spend(budgeted(config, one, budget, index), world)
    head = ArmsWorld(contexts=world.contexts[:budget], expected=world.expected[:budget],
                     paid=world.paid[:budget])  # fmt: skip
    return {
        "hatch": chosen.reward_per_unit,
        "thinned": thinned.reward_per_unit,
        "until it is gone": float(play(linear(config, index), head).reward.mean()),
        "used": float(chosen.is_played.sum() / budget),
    }


def classes_table(config: Config, rng: np.random.Generator) -> np.ndarray:
    """What each arm pays in each class: one best, the others 0.1 to 0.4 less."""
    table = np.tile(np.linspace(0.45, 0.89, config.num_classes)[:, None], config.num_arms)
    table -= rng.uniform(0.1, 0.4, size=table.shape)
    best = rng.integers(config.num_arms, size=config.num_classes)
    table[np.arange(config.num_classes), best] = np.linspace(0.45, 0.89, config.num_classes)
    return table


def linear(config: Config, index: int) -> LinearBandit:
    names = [str(arm) for arm in range(config.num_arms)]
    return LinearBandit(names, config.num_classes, rule=UpperConfidence(width=config.width),
                        random_state=index)  # fmt: skip


def budgeted(config: Config, classes: ContextClasses, budget: float, index: int) -> BudgetedBandit:
    return BudgetedBandit(
        linear(config, index), classes, budget=budget, num_rounds=config.num_rounds,
        width=config.width, random_state=(index + 1) * 7919,
    )  # fmt: skip


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
