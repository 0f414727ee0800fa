"""Links in a generated text, read from the top: Balseiro, Bhawalkar, Deng, Feng, Mao, Mehta,
Mirrokni, Paes Leme, Wang, Zuo (2025), Position auctions in AI-generated content, cascade model.

Theirs: readers take the first link that attracts them; there is a mechanism that is within a
constant of the best and under which nobody gains by a lie. No figure of theirs is known to us, and
the constant is not either. Ours: the best placement itself, by a recursion over sets of advertisers
(up to sixteen), with Clarke's payments: 6 advertisers, 4 places, at most 3, values uniform, chances
to attract sigmoid of normals with standard deviation 1.5 for each pair; lies on a grid of bids; and
the share of the best of the matching by value times chance, as if each stood alone. Tiny: 2
instances. 1 s on one core.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from penchant.evaluation.claims import Claim, as_printed
from penchant.evaluation.recipes import over_seeds, results, run_recipe
from penchant.policies.oneshot.cascade_auction import (
    cascade_clicks,
    cascade_payments,
    place_in_cascade,
)

PAPER = "theorem"


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
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_instances=2, num_truthful=1, levels=4)


def main(config: Config) -> dict[str, Any]:
    rng = np.random.default_rng(config.seed)
    share = np.array([share_alone(config, rng) for _ in range(config.num_instances)])
    lies = max(gain_by_lies(config, rng) for _ in range(config.num_truthful))
    claims: list[Claim] = [
        as_printed("most gained by a lie", 0.0, lies, decimals=9, source=PAPER)
    ]  # fmt: skip
    return results(claims, share_as_if_alone=over_seeds(share), least=float(share.min()))


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


def gain_by_lies(config: Config, rng: np.random.Generator) -> float:
    """The most that anybody gains by another bid of the grid."""
    value, chance = instance(config, rng)

    def payoffs(bids: np.ndarray) -> np.ndarray:
        found, pays = cascade_payments(bids, chance, config.most)
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
