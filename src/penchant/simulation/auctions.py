"""Campaigns of impressions to bid for: what each is worth, and what others bid.

Legend: E campaigns, N auctions, M market prices.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class AuctionWorld:
    """rate: the probability of a click on each impression. price: the highest bid of others, in
    whole units; whoever bids at least that much wins and pays it."""

    rate: Float[Array, "E N"]
    price: Int[Array, "E N"]

    def price_law(self) -> Float[Array, " M"]:
        """How often each price from 0 on was the highest bid of others."""
        return np.bincount(self.price.ravel()) / self.price.size


def drawn_auctions(
    num_campaigns: int,
    num_auctions: int,
    rng: np.random.Generator,
    *,
    mean_price: float = 20.0,
    highest_price: int = 100,
    mean_rate: float = 0.01,
    spread: float = 1.0,
    alike: float = 0.4,
) -> AuctionWorld:
    """Log-normal prices and click rates; others bid more for what is clicked on more.

    spread: standard deviation of the logarithms. alike: correlation of the two logarithms.
    """
    z = rng.normal(size=(2, num_campaigns, num_auctions))
    of_price = alike * z[0] + np.sqrt(1.0 - alike**2) * z[1]
    level = np.exp(-(spread**2) / 2.0)
    price = np.rint(mean_price * level * np.exp(spread * of_price))
    rate = np.minimum(mean_rate * level * np.exp(spread * z[0]), 1.0)
    return AuctionWorld(rate=rate, price=np.clip(price, 1, highest_price).astype(np.int64))
