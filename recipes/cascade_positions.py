"""Links in a generated text, read from the top: Balseiro, Bhawalkar, Deng, Feng, Mao, Mehta,
Mirrokni, Paes Leme, Wang, Zuo (2025), Position auctions in AI-generated content, cascade model.

Theirs: readers take the first link that attracts them; there is a mechanism that is within a
constant of the best and under which nobody gains by a lie. No figure of theirs is known to us, and
the constant is not either. Ours: the best placement itself, by a recursion over sets of advertisers
(up to sixteen), with Clarke's payments: 6 advertisers, 4 places, at most 3, values uniform, chances
to attract sigmoid of normals with standard deviation 1.5 for each pair; lies on a grid of bids; and
the share of the best of the matching by value times chance, as if each stood alone. For many
advertisers: `place_many`, worth at least half of the best, beside the best of 12 and beside a
bound on the best of 300 with 20 places; and `truthful_payments`, where links are shown at times.
Tiny: 2 instances. 20 s on one core.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from penchant.evaluation.claims import Claim, as_printed, no_worse
from penchant.evaluation.recipes import over_seeds, results, run_recipe
from penchant.policies.oneshot.cascade_auction import (
    cascade_clicks,
    cascade_payments,
    place_in_cascade,
    place_many,
    truthful_payments,
    worth_at_most,
)

Auction = Callable[[np.ndarray, np.ndarray, int], tuple[Any, np.ndarray]]
PAPER, OURS = "theorem", "theorem of ours"


@dataclass(frozen=True, kw_only=True)
class Config:
    """most: advertisers shown. spread: of utilities of links. levels: bids on the grid."""

    num_instances: int = 100
    num_truthful: int = 10
    num_advertisers: int = 6
    num_places: int = 4
    most: int = 3
    spread: float = 1.5
    levels: int = 11
    num_of_many: int = 20
    few: int = 12
    many: int = 300
    num_places_of_many: int = 20
    most_of_many: int = 10
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_instances=2, num_truthful=1, levels=4, num_of_many=2, few=6, many=40)


def main(config: Config) -> dict[str, Any]:
    rng = np.random.default_rng(config.seed)
    share = np.array([share_alone(config, rng) for _ in range(config.num_instances)])
    lies = max(gain_by_lies(config, rng, cascade_payments) for _ in range(config.num_truthful))
    sly = max(gain_by_lies(config, rng, truthful_payments) for _ in range(config.num_truthful))
    few = np.array([share_of_many(config, rng, config.few) for _ in range(config.num_of_many)])
    many = np.array([share_of_many(config, rng, config.many) for _ in range(config.num_of_many)])
    claims: list[Claim] = [
        as_printed("most gained by a lie", 0.0, lies, decimals=9, source=PAPER),
        as_printed("most gained by a lie, many", 0.0, sly, decimals=9, source=PAPER),
        *(no_worse(f"least share of the {of}, {name}", 0.5, float(found[:, at].min()), source=OURS)
          for of, found in ((f"best of {config.few}", few), (f"bound of {config.many}", many))
          for at, name in enumerate(("placed", "shown at times"))),
    ]  # fmt: skip
    return results(
        claims, share_as_if_alone=over_seeds(share), least=float(share.min()),
        mean_of_few=few.mean(axis=0).tolist(), mean_of_many=many.mean(axis=0).tolist(),
    )  # fmt: skip


def instance(config: Config, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Values, and the chance of each link to attract at each place."""
    worth = config.spread * rng.normal(size=(config.num_advertisers, config.num_places))
    return rng.random(config.num_advertisers), 1.0 / (1.0 + np.exp(-worth))


def share_alone(config: Config, rng: np.random.Generator) -> float:
    """Of the best welfare, by the matching of value times chance."""
    value, chance = instance(config, rng)
    gain = value[:, None] * chance
    row, column = linear_sum_assignment(gain, maximize=True)
    kept = np.argsort(-gain[row, column])[: config.most]
    place = np.full(len(value), -1)
    place[row[kept]] = column[kept]
    welfare = float(value @ cascade_clicks(chance, place))
    return welfare / place_in_cascade(value, chance, config.most).total


def share_of_many(config: Config, rng: np.random.Generator, num: int) -> tuple[float, float]:
    """Of the best welfare, or of a bound on it where that is too much to look for: of what is
    placed, and of what is shown at times so that nobody gains by a lie."""
    worth = config.spread * rng.normal(size=(num, config.num_places_of_many)) - 3.0
    value, chance, most = rng.random(num), 1.0 / (1.0 + np.exp(-worth)), config.most_of_many
    if num <= config.few:
        best = place_in_cascade(value, chance, most).total
    else:
        best = worth_at_most(value, chance, most)
    placed, thinned = place_many(value, chance, most), truthful_payments(value, chance, most)[0]
    return placed.total / best, thinned.total / best


def gain_by_lies(config: Config, rng: np.random.Generator, auction: Auction) -> float:
    """The most that anybody gains by another bid of the grid."""
    value, chance = instance(config, rng)

    def payoffs(bids: np.ndarray) -> np.ndarray:
        found, pays = auction(bids, chance, config.most)
        return value * found.click - pays

    honest, most = payoffs(value), -np.inf
    for i in range(len(value)):
        for told in np.linspace(0.0, 1.0, config.levels):
            bids = value.copy()
            bids[i] = told
            most = max(most, float(payoffs(bids)[i] - honest[i]))
    return most


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
