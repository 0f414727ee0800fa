"""Bids for the rest of a campaign: how much an impression is worth while money is left.

Money is counted in whole units, such as cents. Legend: N auctions to come, U units of money
(both from 0), M market prices, R click rates, Q nodes, E campaigns side by side.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array

# Nodes of the expected gain over the law of click rates, which is convex in what is given up.
_NODES = 257


@runtime_checkable
class Bidder(Protocol):
    """What to bid, in whole units: one campaign a line."""

    def __call__(
        self, rate: Float[Array, " E"], auctions_left: int, budget_left: Int[Array, " E"]
    ) -> Int[Array, " E"]:
        """rate: click rate of this impression. auctions_left: this one counted."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class PlannedBid:
    """The largest price whose click is worth what the money would earn later (Cai et al. 2017).

    value[n, b]: clicks expected of n auctions with b units left; of what wins, the market price is
    paid (a second-price auction). a(n, b, x) = max{p : rate(x) + V(n-1, b-p) - V(n-1, b) >= 0}.
    """

    value: Float[Array, "N U"]
    num_prices: int

    def __call__(
        self, rate: Float[Array, " E"], auctions_left: int, budget_left: Int[Array, " E"]
    ) -> Int[Array, " E"]:
        """Raises `DataError` for more auctions or money than was planned for."""
        num, most = self.value.shape[0] - 1, self.value.shape[1] - 1
        if not 1 <= auctions_left <= num or budget_left.max(initial=0) > most:
            raise DataError(
                f"{auctions_left} auctions are left with up to {budget_left.max(initial=0)} units; "
                f"the plan is for at most {num} with {most}. Plan for more with `plan_bids`."
            )
        later = self.value[auctions_left - 1]
        price = np.arange(self.num_prices)
        after = later[np.maximum(budget_left[:, None] - price, 0)]
        gain = rate[:, None] + after - later[budget_left][:, None]
        # What is left later falls with the price, so that the last gain not below 0 is the bid.
        allowed = (gain >= 0) & (price <= budget_left[:, None])
        return np.maximum(allowed.sum(axis=1) - 1, 0)


@dataclass(frozen=True, kw_only=True)
class LinearBid:
    """base x rate / mean_rate, whatever is left (Perlich et al. 2012). base: units of money."""

    base: float
    mean_rate: float

    def __call__(
        self, rate: Float[Array, " E"], auctions_left: int, budget_left: Int[Array, " E"]
    ) -> Int[Array, " E"]:
        """See `Bidder`."""
        bid = np.floor(self.base * rate / self.mean_rate).astype(np.int64)
        return np.minimum(bid, budget_left)


def plan_bids(
    price_law: Float[Array, " M"],
    rates: Float[Array, " R"],
    *,
    num_auctions: int,
    budget: int,
) -> PlannedBid:
    """What each amount of money is worth with so many auctions to come, by dynamic programming.

    V(n, b) = V(n-1, b) + E sum_{p <= b} m(p) max(rate + V(n-1, b-p) - V(n-1, b), 0), V(0, .) = 0.
    price_law: m(p), the probability that the highest bid of others is p units, from 0. rates: of
    impressions to come, each as likely; with their mean alone it is the plan of Cai et al. (2017),
    with their law it also counts on picking the better half. Takes N x M x U operations.

    Raises `ConfigError` for laws that are none, or no auctions.
    """
    if not (price_law >= 0).all() or not np.isclose(price_law.sum(), 1.0):
        raise ConfigError(
            f"prices have probabilities that add up to {price_law.sum():.6g}; expected numbers not "
            "below 0 that add up to 1, one for each price from 0."
        )
    if not len(rates) or not (np.isfinite(rates) & (rates >= 0)).all():
        raise ConfigError("click rates are missing or below 0; expected one or more, 0 to 1 each.")
    if num_auctions < 1 or budget < 0:
        raise ConfigError(
            f"{num_auctions} auctions with {budget} units; expected one or more, and no debt."
        )
    given_up, gain = _gain(rates)
    value = np.zeros((num_auctions + 1, budget + 1))
    for n in range(1, num_auctions + 1):
        value[n] = value[n - 1]
        for price in np.flatnonzero(price_law[: budget + 1]):
            lost = value[n - 1, price:] - value[n - 1, : budget + 1 - price]
            value[n, price:] += price_law[price] * np.interp(lost, given_up, gain, right=0.0)
    return PlannedBid(value=value, num_prices=len(price_law))


def _gain(rates: Float[Array, " R"]) -> tuple[Float[Array, " Q"], Float[Array, " Q"]]:
    """E max(rate - d, 0) at points d between which it is linear (of many rates: nearly)."""
    levels = np.unique(np.concatenate([[0.0], rates]))
    if len(levels) > _NODES:
        levels = np.unique(np.quantile(levels, np.linspace(0.0, 1.0, _NODES)))
    gain = np.maximum(rates[None, :] - levels[:, None], 0.0).mean(axis=1)
    return levels, gain
