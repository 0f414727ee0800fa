"""A bidder spends the budgets of campaigns in second-price auctions.

Legend: E campaigns, N auctions.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array
from penchant.policies.sequential.bidding import Bidder
from penchant.simulation.auctions import AuctionWorld


@dataclass(frozen=True, kw_only=True, eq=False)
class Campaigns:
    """clicks: expected of what each campaign won; spent: what it paid; won: of its auctions."""

    clicks: Float[Array, " E"]
    spent: Int[Array, " E"]
    won: Int[Array, " E"]


def run_campaigns(bidder: Bidder, world: AuctionWorld, budget: int) -> Campaigns:
    """All campaigns side by side, each with the same budget; no bid is above what is left."""
    num_campaigns, num_auctions = world.rate.shape
    left = np.full(num_campaigns, budget, dtype=np.int64)
    clicks, won = np.zeros(num_campaigns), np.zeros(num_campaigns, dtype=np.int64)
    for n in range(num_auctions):
        bid = bidder(world.rate[:, n], num_auctions - n, left)
        is_won = np.minimum(bid, left) >= world.price[:, n]
        clicks += np.where(is_won, world.rate[:, n], 0.0)
        left -= np.where(is_won, world.price[:, n], 0)
        won += is_won
    return Campaigns(clicks=clicks, spent=budget - left, won=won)
