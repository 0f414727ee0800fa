"""Bids that know what is left: the plan is the best there is, and spends what it should."""

import itertools

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.evaluation.campaigns import run_campaigns
from penchant.policies.sequential.bidding import LinearBid, plan_bids
from penchant.simulation.auctions import AuctionWorld, drawn_auctions

LAW = np.array([0.1, 0.4, 0.3, 0.2])


def slow_value(law, rates, num, budget):
    """What the best bids earn, every bid of every round tried: no plan, just a recursion."""
    if num == 0:
        return 0.0
    total = 0.0
    for rate in rates:
        best = -np.inf
        for bid in range(-1, min(budget, len(law) - 1) + 1):
            earned = 0.0
            for price, chance in enumerate(law):
                wins = price <= bid
                after = slow_value(law, rates, num - 1, budget - price * wins)
                earned += chance * (rate * wins + after)
            best = max(best, earned)
        total += best / len(rates)
    return total


@pytest.mark.parametrize("rates", [np.array([0.3]), np.array([0.1, 0.7])])
def test_the_plan_earns_what_the_best_bids_of_every_round_do(rates):
    plan = plan_bids(LAW, rates, num_auctions=3, budget=4)
    for num, budget in itertools.product(range(4), range(5)):
        slow = slow_value(LAW, rates, num, budget)
        assert plan.value[num, budget] == pytest.approx(slow, abs=1e-12)


def test_bids_of_the_plan_earn_its_value():
    """Followed in ten thousand campaigns, the plan earns what it says that it will."""
    rng, rates = np.random.default_rng(0), np.array([0.1, 0.5, 0.9])
    plan = plan_bids(LAW, rates, num_auctions=12, budget=10)
    world = drawn_auctions(10_000, 12, rng)
    made = AuctionWorld(
        rate=rng.choice(rates, size=world.rate.shape),
        price=rng.choice(4, p=LAW, size=world.price.shape),
    )
    found = run_campaigns(plan, made, 10)
    error = found.clicks.std() / np.sqrt(len(found.clicks))
    assert abs(found.clicks.mean() - plan.value[12, 10]) < 4 * error
    assert found.spent.max() <= 10


def test_what_is_worth_more_or_can_be_paid_better_is_bid_more_for():
    plan = plan_bids(LAW, np.array([0.2, 0.6]), num_auctions=8, budget=12)
    rate, budget = np.linspace(0, 1, 9), np.full(9, 6)
    assert (np.diff(plan(rate, 5, budget)) >= 0).all()
    rich = plan(np.full(13, 0.3), 5, np.arange(13))
    assert (np.diff(rich) >= 0).all()
    assert (rich <= np.arange(13)).all()
    # With one auction to come money is worth nothing later.
    assert plan(np.array([1e-6]), 1, np.array([12]))[0] == len(LAW) - 1


def test_a_plan_that_knows_how_rates_spread_waits_for_the_better_ones():
    """Of impressions that are clicked on hardly or surely, a plan that takes all for alike buys too
    many of the poor."""
    rng, rates = np.random.default_rng(1), np.array([0.05, 0.05, 0.05, 0.9])
    sizes = {"num_auctions": 15, "budget": 8}
    world = AuctionWorld(
        rate=rng.choice(rates, size=(3000, 15)), price=rng.choice(4, p=LAW, size=(3000, 15))
    )
    by_law = run_campaigns(plan_bids(LAW, rates, **sizes), world, 8).clicks
    by_mean = run_campaigns(plan_bids(LAW, rates.mean(keepdims=True), **sizes), world, 8).clicks
    gain = by_law - by_mean
    assert gain.mean() > 4 * gain.std() / np.sqrt(len(gain))
    fixed = run_campaigns(LinearBid(base=3.0, mean_rate=0.2625), world, 8).clicks
    assert by_law.mean() > fixed.mean()


def test_no_campaign_spends_more_than_it_has_and_the_price_paid_is_that_of_others():
    world = drawn_auctions(30, 40, np.random.default_rng(2))
    rich = run_campaigns(LinearBid(base=1e6, mean_rate=0.01), world, 10**6)
    np.testing.assert_array_equal(rich.spent, world.price.sum(axis=1))
    np.testing.assert_allclose(rich.clicks, world.rate.sum(axis=1))
    poor = run_campaigns(LinearBid(base=1e6, mean_rate=0.01), world, 50)
    assert poor.spent.max() <= 50
    assert (poor.won < rich.won).all()


def test_what_is_no_law_of_prices_or_not_planned_for_is_refused():
    with pytest.raises(ConfigError, match=r"add up to 0\.5"):
        plan_bids(np.array([0.5]), np.array([0.1]), num_auctions=2, budget=3)
    with pytest.raises(ConfigError, match="click rates"):
        plan_bids(LAW, np.array([]), num_auctions=2, budget=3)
    with pytest.raises(ConfigError, match="one or more"):
        plan_bids(LAW, np.array([0.1]), num_auctions=0, budget=3)
    plan = plan_bids(LAW, np.array([0.1]), num_auctions=2, budget=3)
    with pytest.raises(DataError, match="at most 2 with 3"):
        plan(np.array([0.1]), 2, np.array([4]))
