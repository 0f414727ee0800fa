"""What each segment changed in the chance to be right (SPO-chain, Guo et al. 2025), beside one
credit for the whole response, from one start.

Theirs: GSM8K 56.7 % beside GRPO's 44.6. Ours: CHAIN of two to eight operations, answered step by
step by a table (`simulation/tasks/step_table.py`), whose steps are the segments; 16 prompts of 8
responses, nine fresh endings at each cut; each at the best rate of 30, 100, 300 and 1,000 on
another seed. At equal updates segments are 10 points ahead of one credit (reward less the others'
mean; 6 to 15), at 23 times the tokens. Then a fork: right responses of which one digit is changed,
the trained table going on from there; in 72 % the changed digit has the largest |A| of all. Paired
by seed, 95 % intervals of ten seeds, exact chances on 2,000 problems. Not met: at equal sampled
tokens one credit, which then takes more updates, is 32 points ahead. Every step is cut, not every
fifth token with a choice. Tiny: two seeds, few steps.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse
from penchant.evaluation.recipes import low_over_seeds, over_seeds, results, run_recipe
from penchant.policies.language.credit import others_mean
from penchant.policies.language.methods.segments import segment_advantage
from penchant.simulation.tasks.chain import Chain
from penchant.simulation.tasks.step_table import StepTable, Sums, Written

PROMPTS, GROUP, ENDINGS = 16, 8, 9
TASK = Chain(fewest=2, most=8)
RATES = {True: 300.0, False: 100.0}
SOURCE = "GSM8K: 56.7 beside 44.6"


@dataclass(frozen=True, kw_only=True)
class Config:
    """updates: with segments. forks: responses with a changed digit."""

    num_seeds: int = 10
    updates: int = 40
    forks: int = 300
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=2, updates=4, forks=20)


def main(config: Config) -> dict[str, Any]:
    names = ("start", "segments", "one credit, updates", "one credit, tokens")
    right: dict[str, list[float]] = {name: [] for name in names}
    found, spent = [], []
    for index in range(config.num_seeds):
        generator = np.random.default_rng(config.seed + index)
        start, trial = StepTable.taught(generator), Sums.read(TASK.draw(2_000, generator))
        pieces, tokens, _ = climbed(start, config, index, True, updates=config.updates)
        same, told, _ = climbed(start, config, index, False, updates=config.updates)
        more, _, _ = climbed(start, config, index, False, tokens=tokens)
        for name, table in zip(names, (start, pieces, same, more), strict=True):
            right[name].append(100.0 * float(table.chance_right(trial).mean()))
        found.append(100.0 * forks_found(pieces, config.forks, generator))
        spent.append(tokens / told)
    beside = {name: np.subtract(right["segments"], right[name]) for name in names[2:]}
    claims = [
        no_worse("points beside one credit at equal updates, low end", 0.0,
                 low_over_seeds(beside["one credit, updates"]), source=SOURCE),
        no_worse("% of forks that have the largest |A|", 70.0, float(np.mean(found)),
                 source="our notes on SPO"),
    ]  # fmt: skip
    short = [
        no_worse("points beside one credit at equal tokens, low end", 0.0,
                 low_over_seeds(beside["one credit, tokens"]), source=SOURCE),
    ]  # fmt: skip
    return results(
        claims,
        not_met=short,
        points_beside={name: over_seeds(apart, digits=2) for name, apart in beside.items()},
        forks_found=over_seeds(np.array(found), digits=1),
        tokens_at_equal_updates=over_seeds(np.array(spent), digits=2),
        right={name: np.round(shares, 1).tolist() for name, shares in right.items()},
    )


def climbed(
    table: StepTable, config: Config, seed: int, has_segments: bool, *, updates: int | None = None,
    tokens: int | None = None,
) -> tuple[StepTable, int, int]:  # fmt: skip
    """The table after so many updates or tokens; how many of each there were."""
    generator = np.random.default_rng((config.seed + seed, 1))
    group, spent, done = np.repeat(np.arange(PROMPTS), GROUP), 0, 0
    rows = np.arange(len(group))
    while done < (updates or np.inf) and spent < (tokens or np.inf):
        sums = Sums.read(TASK.draw(PROMPTS, generator)).take(group)
        written = table.written(sums, generator)
        reward = written.is_right.astype(float)
        others = others_mean(reward, group, rows, np.ones(len(rows), dtype=bool))
        spent, done = spent + written.tokens, done + 1
        if has_segments:
            worth, more = valued(table, sums, written, others, generator)
            spent += more
            credit = segment_advantage(worth)
        else:
            credit = np.repeat((reward - others)[:, None], written.at.shape[1], axis=1)
        table = table.climbed(written, credit / len(rows), RATES[has_segments])
    return table, spent, done


def valued(
    table: StepTable, sums: Sums, written: Written, first: np.ndarray,
    generator: np.random.Generator,
) -> tuple[np.ndarray, int]:  # fmt: skip
    """The worth before each step and behind the last, NaN beyond, and the digits it took."""
    worth = np.full((len(sums), sums.cell.shape[1] + 1), np.nan)
    worth[:, 0], spent = first, 0
    for t in range(1, sums.cell.shape[1]):
        rows = np.flatnonzero(sums.length > t)
        again = np.repeat(rows, ENDINGS)
        ends = table.written(sums.take(again), generator, written.said[again, :t])
        worth[rows, t] = ends.is_right.reshape(-1, ENDINGS).mean(axis=1)
        spent += ends.tokens
    worth[np.arange(len(sums)), sums.length] = written.is_right
    return worth, spent


def forks_found(table: StepTable, num: int, generator: np.random.Generator) -> float:
    """The share of responses with one changed digit in which that digit matters most."""
    sums = Sums.read(TASK.draw(num, generator))
    # What a table that makes no mistakes writes is right.
    true = StepTable.taught(generator, skill=1e3, spread=1e-3).written(sums, generator)
    at = generator.integers(0, sums.length)
    begun = np.where(np.arange(sums.cell.shape[1]) <= at[:, None], true.said, -1)
    rows = np.arange(num)
    begun[rows, at] = (begun[rows, at] + generator.integers(1, 10, num)) % 10
    forked = table.written(sums, generator, begun)
    first = table.written(sums.take(np.repeat(rows, ENDINGS)), generator).is_right
    worth, _ = valued(table, sums, forked, first.reshape(num, ENDINGS).mean(axis=1), generator)
    return float(np.mean(np.abs(segment_advantage(worth)).argmax(axis=1) == at))


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
