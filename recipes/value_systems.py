"""Shared values, personal weights: Holgado-Sanchez et al. (2025), learning the value systems of
agents with preference-based and inverse reinforcement learning.

Theirs: what each value means is grounded by quantified preferences over paths, one value at a time,
then each agent's weights are identified by maximum entropy from what it does; demonstrated on route
choice and firefighters, simulators that could not be had. The claim at small scale: on a grid with
two values and five agents, weights within 0.1 (L1) from 50 trajectories each, learned values
correlated 0.95 or more with the truth. Ours: a 5 x 5 board, 12 steps, 600 graded comparisons a
value, 5 seeds (means; the worst agent too). One utility, two channels: weights from demonstrations,
from 50 preferences between the agent's own pairs of paths, and from both, which are to be nearest.
Tiny: 1 seed, 2 agents, 200 comparisons. 10 s on one core. No data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse
from penchant.evaluation.recipes import results, run_recipe
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.linear_head import fit_linear_head
from penchant.fitting.value_system import Paths, fit_value_system, value_totals
from penchant.numerics.arrays import sigmoid
from penchant.numerics.planning_horizon import soft_plan
from penchant.simulation.grids import grid_moves, walk

SOURCE = "claim of the method card"
HORIZON, SIDE = 12, 5


@dataclass(frozen=True, kw_only=True)
class Config:
    """decided: logits per unit of worth with which agents act and answer."""

    num_comparisons: int = 600
    num_paths: int = 50
    num_agents: int = 5
    decided: float = 3.0
    num_seeds: int = 5
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_comparisons=200, num_agents=2, num_seeds=1)


def main(config: Config) -> dict[str, Any]:
    runs = [
        one_run(config, np.random.default_rng((config.seed, k))) for k in range(config.num_seeds)
    ]
    grounded = np.array([run[0] for run in runs])
    apart = {name: np.array([run[1][name] for run in runs]) for name in runs[0][1]}
    mean = {name: float(values.mean()) for name, values in apart.items()}
    claims = [
        no_worse("least correlation of a value", 0.95, float(grounded.min()), source=SOURCE),
        no_worse("L1 of weights from demonstrations, below 0.1 by", 0.0,
                 0.1 - mean["demonstrations"], source=SOURCE),
        no_worse("nearer by preferences too", 0.0, mean["demonstrations"] - mean["both"],
                 source="ours"),
        no_worse("nearer than preferences alone", 0.0, mean["preferences"] - mean["both"],
                 source="ours"),
    ]  # fmt: skip
    worst = {f"worst, {name}": round(float(values.max()), 4) for name, values in apart.items()}
    return results(claims, correlation=round(float(grounded.mean()), 4), **worst,
                   **{f"L1, {name}": round(value, 4) for name, value in mean.items()})  # fmt: skip


def one_run(config: Config, rng: np.random.Generator) -> tuple[list[float], dict[str, list[float]]]:
    states, moves = SIDE * SIDE, grid_moves(SIDE, SIDE)
    truth = rng.normal(size=(states, 2))
    aimless = np.full((HORIZON, states, 5), -np.log(5.0))

    def wander(num: int) -> Paths:
        return walk(aimless, moves, rng.integers(states, size=num), rng)

    learned = np.stack([ground(truth[:, v], config, wander) for v in range(2)], axis=1)
    correlation = [float(np.corrcoef(learned[:, v], truth[:, v])[0, 1]) for v in range(2)]
    grounding = np.repeat(learned[:, None], 5, axis=1)
    errors: dict[str, list[float]] = {"demonstrations": [], "preferences": [], "both": []}
    for share in np.linspace(0.1, 0.9, config.num_agents):
        weights = np.array([share, 1.0 - share])
        worth = config.decided * np.repeat((truth @ weights)[:, None], 5, axis=1)
        plan = soft_plan(worth, moves, HORIZON)
        done = walk(plan.log_policy, moves, rng.integers(states, size=config.num_paths), rng)
        one, two = wander(config.num_paths), wander(config.num_paths)
        gap = config.decided * (paths_of(truth, one) - paths_of(truth, two)) @ weights
        sign = np.where(rng.random(len(gap)) < sigmoid(gap), 1.0, -1.0)[:, None]
        said = (value_totals(grounding, one) - value_totals(grounding, two)) * sign
        kinds: dict[str, Any] = {
            "demonstrations": {"demonstrations": done}, "preferences": {"apart": said},
            "both": {"demonstrations": done, "apart": said},
        }  # fmt: skip
        for name, known in kinds.items():
            found = fit_value_system(grounding, moves, **known)
            errors[name].append(float(np.abs(found.shares - weights).sum()))
    return correlation, errors


def paths_of(reward: np.ndarray, paths: Paths) -> np.ndarray:
    return reward[paths.state].sum(axis=1)


def ground(truth: np.ndarray, config: Config, wander: Any) -> np.ndarray:
    """One value of each state, from how much better of two paths is (soft labels)."""
    one, two = wander(config.num_comparisons), wander(config.num_comparisons)
    better = sigmoid(paths_of(truth, one) - paths_of(truth, two))
    counts = np.stack([np.stack([(paths.state == s).sum(axis=1) for s in range(len(truth))], axis=1)
                       for paths in (one, two)])  # fmt: skip
    apart, rows = (counts[0] - counts[1]).astype(np.float32), np.arange(len(better))
    # A soft label is two answers, weighed by how much it leans to each.
    pairs = HeadPairs(
        features=np.concatenate([apart, apart]), first=np.arange(2 * len(rows)), second=None,
        answer=np.repeat([0, 1], len(rows)), weight=np.concatenate([better, 1.0 - better]),
    )  # fmt: skip
    return fit_linear_head(pairs, GapModel(), has_covariance=False).weights


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
