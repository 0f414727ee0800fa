"""Places in a generated text, sold: Balseiro, Bhawalkar, Deng, Feng, Mao, Mehta, Mirrokni, Paes
Leme, Wang, Zuo (2025), Position auctions in AI-generated content.

Theirs: with clicks by a multinomial logit the best placement is a linear program whose solutions
are whole, and there are payments under which nobody gains by a lie; a small simulation, not in the
paper (100 instances of 6 advertisers, 4 places, at most 3 of them) found 100 whole, and that
placing each by what it would get alone reaches 0.86 of the best on average, 0.41 at worst. Ours:
values uniform, utilities of links normal with standard deviation 1.5 (theirs are not recorded); our
row of matchings beside that program; lies on a grid of eleven bids, for welfare with Clarke's and
for revenue with Myerson's payments. The least of a hundred is itself chance: it is compared by the
ends of twenty hundreds. (Cascades: `cascade_positions.py`.) Tiny: 5 instances. 4 s on one core.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment, linprog

from penchant.evaluation.claims import Claim, as_printed
from penchant.evaluation.recipes import over_seeds, results, run_recipe
from penchant.metrics.intervals import reach_of_mean
from penchant.policies.oneshot.auction import (
    clarke_payments,
    click_rates,
    place_best,
    revenue_best,
)

PAPER, SIMULATION = "theorem", "simulation of the setting, not the paper's"


@dataclass(frozen=True, kw_only=True)
class Config:
    """most: advertisers shown. spread: of utilities of links. levels: bids on the grid."""

    num_instances: int = 100
    num_advertisers: int = 6
    num_places: int = 4
    most: int = 3
    spread: float = 1.5
    levels: int = 11
    num_truthful: int = 20
    num_hundreds: int = 20
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_instances=5, num_truthful=1, num_hundreds=2, levels=4)


def main(config: Config) -> dict[str, Any]:
    rng = np.random.default_rng(config.seed)
    share, whole, same = [], 0, 0.0
    for _ in range(config.num_instances):
        value, attraction = instance(config, rng)
        best = place_best(value, attraction, config.most)
        z, found = program(value, attraction, config.most)
        whole += bool(np.abs(z - np.rint(z)).max() < 1e-7)
        same = max(same, abs(found - best.total))
        share.append(alone(value, attraction, config.most) / best.total)
    gains = [gain_by_lies(config, rng) for _ in range(config.num_truthful)]
    shares = np.array(share)
    mean, reach = float(shares.mean()), 0.02 + reach_of_mean(shares)
    claims = [
        as_printed("share of instances with whole solutions", 1.0, whole / config.num_instances,
                   decimals=2, source=PAPER),
        as_printed("most gained by a lie, welfare", 0.0, max(g[0] for g in gains), decimals=9,
                   source=PAPER),
        as_printed("most gained by a lie, revenue", 0.0, max(g[1] for g in gains), decimals=9,
                   source=PAPER),
        Claim(what="share of the best, each by itself", theirs=0.86, ours=mean, low=mean - reach,
              high=mean + reach, source=SIMULATION),
    ]  # fmt: skip
    least = np.array([
        min(share_alone(config, rng) for _ in range(config.num_instances))
        for rng in (np.random.default_rng((config.seed, k)) for k in range(config.num_hundreds))
    ])  # fmt: skip
    claims.append(
        Claim(what="least share of the best of a hundred", theirs=0.41, ours=float(least.mean()),
              low=float(least.min()), high=float(least.max()), source=SIMULATION)
    )  # fmt: skip
    return results(claims, apart_from_program=same, share=over_seeds(shares),
                   least=np.sort(least).round(3).tolist())  # fmt: skip


def share_alone(config: Config, rng: np.random.Generator) -> float:
    """Of the best welfare, by placing each as if it stood alone."""
    value, attraction = instance(config, rng)
    return alone(value, attraction, config.most) / place_best(value, attraction, config.most).total


def instance(config: Config, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    shape = (config.num_advertisers, config.num_places)
    return rng.random(shape[0]), np.exp(config.spread * rng.normal(size=shape))


def alone(value: np.ndarray, attraction: np.ndarray, most: int) -> float:
    """Welfare of the matching by value times the clicks that a link would get alone."""
    gain = value[:, None] * attraction / (1.0 + attraction)
    row, column = linear_sum_assignment(gain, maximize=True)
    kept = np.argsort(-gain[row, column])[:most]
    place = np.full(len(value), -1)
    place[row[kept]] = column[kept]
    return float(value @ click_rates(attraction, place))


def program(value: np.ndarray, attraction: np.ndarray, most: int) -> tuple[np.ndarray, float]:
    """max sum v w z with sum w z + z0 = 1, rows and columns of z at most z0 and its sum most z0:
    the solution as z / z0, and its value."""
    num, places = attraction.shape
    size = num * places
    rows = np.zeros((num + places + 1, size + 1))
    for i in range(num):
        rows[i, i * places : (i + 1) * places] = 1.0
    for j in range(places):
        rows[num + j, j:size:places] = 1.0
    rows[-1, :size] = 1.0
    rows[:, -1] = [-1.0] * (num + places) + [-most]
    found = linprog(
        -np.append((value[:, None] * attraction).ravel(), 0.0), A_ub=rows, b_ub=np.zeros(len(rows)),
        A_eq=np.append(attraction.ravel(), 1.0)[None], b_eq=[1.0], method="highs",
    )  # fmt: skip
    return found.x[:-1] / found.x[-1], -float(found.fun)


def gain_by_lies(config: Config, rng: np.random.Generator) -> tuple[float, float]:
    """The most that anybody gains by another bid of the grid, under both mechanisms."""
    level = np.linspace(0.0, 1.0, config.levels)
    law = rng.dirichlet(np.full(config.levels, 2.0))
    true = rng.integers(config.levels, size=config.num_advertisers)
    attraction = instance(config, rng)[1]

    def payoffs(told: np.ndarray) -> np.ndarray:
        welfare, pays = clarke_payments(level[told], attraction, config.most)
        revenue, asked = revenue_best(level, law, told, attraction, config.most)
        return np.stack([level[true] * welfare.click - pays, level[true] * revenue.click - asked])

    honest, most = payoffs(true), np.full(2, -np.inf)
    for i in range(config.num_advertisers):
        for m in range(config.levels):
            told = true.copy()
            told[i] = m
            most = np.maximum(most, payoffs(told)[:, i] - honest[:, i])
    return float(most[0]), float(most[1])


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
