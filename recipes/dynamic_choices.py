"""Choices of people who look ahead, and planning that knows what they never showed: Li, Yang and
Wang (2023), RLHF: Learning Dynamic Choices via Pessimism, DCPPO.

Theirs: action values by likelihood, rewards from Bellman's equation, pessimistic value iteration;
the first guarantee where data cover a single good policy; no figures. Compared is the claim of our
method notes for 10 states, 3 actions and 5 steps: the error of rewards falls as n^-1/2, where the
truth obeys the anchor (the first action's value is 0); where people show little but the best
policy, pessimistic planning beats the plain one in 80 % of worlds. Ours: tabular features, 300 to
30,000 paths, 20 worlds (it falls faster at first, by 0.58, and the more so the weaker the prior of
action values: where a cell has few answers, likelihood alone is far off); then 50 paths of decided
people (values of sd 4) from two of the states, 40 worlds, ridge 0.1, bonus 2. `lost` is the value
below the best, of the people and of imitation too, the action that they value most: pessimism beats
that in 55 % of worlds only, so that what it brings here is mostly to stay with what people do.
Tiny: 3 worlds each. 5 s on one core. No data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse, within_reach
from penchant.evaluation.recipes import over_seeds, reach_over_seeds, results, run_recipe
from penchant.fitting.dynamic_choice import fit_dynamic_choice
from penchant.numerics.arrays import log_sum_exp
from penchant.numerics.planning_horizon import best_plan
from penchant.simulation.grids import walk

SOURCE = "claim of the method card"
STATES, ACTIONS, STEPS = 10, 3, 5
TABLE = np.eye(STATES * ACTIONS).reshape(STATES, ACTIONS, STATES * ACTIONS)


@dataclass(frozen=True, kw_only=True)
class Config:
    """decided: standard deviation of action values of those who show little but the best. bonus,
    ridge: of pessimism."""

    paths: tuple[int, ...] = (300, 1000, 3000, 10_000, 30_000)
    num_worlds: int = 20
    num_decided: int = 40
    num_few: int = 50
    decided: float = 4.0
    bonus: float = 2.0
    ridge: float = 0.1
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_worlds=3, num_decided=3, paths=(100, 1000))


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """moves, action values, rewards and log-policy of people; where they start."""

    moves: np.ndarray
    quality: np.ndarray
    reward: np.ndarray
    log_policy: np.ndarray
    start: np.ndarray


def main(config: Config) -> dict[str, Any]:
    errors = np.array([[error(config, num, k) for num in config.paths]
                       for k in range(config.num_worlds)])  # fmt: skip
    # Between one size and the next: the law is of many paths.
    slopes = np.diff(np.log(errors), axis=1) / np.diff(np.log(config.paths))
    last = slopes[:, -1]
    runs = [decided(config, k) for k in range(config.num_decided)]
    lost = {name: np.array([run[name] for run in runs]) for name in runs[0]}
    beats = {name: float(np.mean(lost["pessimistic"] < lost[name]))
             for name in ("plain", "imitation")}  # fmt: skip
    claims = [
        within_reach("slope of log error on log paths, at the most", -0.5,
                     float(last.mean()), reach=reach_over_seeds(last), source=SOURCE),
        no_worse("worlds where pessimism beats plain planning", 0.8, beats["plain"], source=SOURCE),
    ]  # fmt: skip
    return results(
        claims, slopes=slopes.mean(axis=0).round(4).tolist(), beats=beats,
        error=dict(zip(map(str, config.paths), errors.mean(axis=0).round(4).tolist())),
        lost={name: over_seeds(v, 3) for name, v in lost.items()},
    )  # fmt: skip


def world(rng: np.random.Generator, size: float, num_starts: int) -> World:
    """Action values drawn, the anchor's 0; rewards are what makes them so."""
    moves = rng.dirichlet(np.full(STATES, 0.3), size=(STATES, ACTIONS))
    quality = size * rng.normal(size=(STEPS, STATES, ACTIONS))
    quality[:, :, 0] = 0.0
    values = np.concatenate([log_sum_exp(quality, axis=2), np.zeros((1, STATES))])
    reward = np.array([quality[t] - moves @ values[t + 1] for t in range(STEPS)])
    start = np.zeros(STATES)
    start[:num_starts] = 1.0 / num_starts
    return World(moves=moves, quality=quality, reward=reward, start=start,
                 log_policy=quality - values[:STEPS, :, None])  # fmt: skip


def error(config: Config, num: int, index: int) -> float:
    made = world(np.random.default_rng((config.seed, index)), 1.0, STATES)
    rng = np.random.default_rng((config.seed, index, num))
    shown = walk(made.log_policy, made.moves, rng.integers(STATES, size=num), rng)
    found = fit_dynamic_choice(TABLE, made.moves, shown)
    return float(np.sqrt(((found.reward - made.reward) ** 2).mean()))


def decided(config: Config, index: int) -> dict[str, float]:
    rng = np.random.default_rng((config.seed, 1, index))
    made = world(rng, config.decided, 2)
    shown = walk(made.log_policy, made.moves, rng.integers(2, size=config.num_few), rng)
    found = fit_dynamic_choice(TABLE, made.moves, shown, ridge=config.ridge)
    best = best_plan(made.reward, made.moves)
    liked = np.log(np.maximum(np.eye(ACTIONS)[found.quality.argmax(axis=2)], 1e-300))
    plans = {
        "plain": best_plan(found.reward, made.moves).log_policy,
        "pessimistic": best_plan(found.pessimistic(config.bonus), made.moves).log_policy,
        "imitation": liked,
        "people": made.log_policy,
    }
    top = float(made.start @ best.values[0])
    return {name: top - earned(made, log_policy) for name, log_policy in plans.items()}


def earned(made: World, log_policy: np.ndarray) -> float:
    here, total = made.start, 0.0
    for of_step, reward in zip(np.exp(log_policy), made.reward):
        taken = here[:, None] * of_step
        total += float((taken * reward).sum())
        here = np.einsum("sa,sat->t", taken, made.moves)
    return total


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
