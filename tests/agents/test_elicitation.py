"""What to ask next and when to stop: gains by simulation, fewer votes, calibrated forecasts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.agents.elicitation.comparisons import (
    ask_next,
    expected_gain,
    top_items,
    vote_information,
)
from penchant.agents.elicitation.edges import EdgeConfig, next_edges, regular_graph
from penchant.agents.elicitation.settled import top_doubt, votes_to_settle
from penchant.beliefs.strengths import Strengths
from penchant.data.pair_counts import PairCounts
from penchant.errors import ConfigError, DataError
from penchant.fitting.strengths import fit_strengths
from penchant.numerics.arrays import ndtr

seeds = st.integers(0, 10**6)


def belief(seed, size=6, scale=1.0):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size)) * scale
    return Strengths(
        items=tuple(f"i{k}" for k in range(size)), mean=rng.normal(size=size),
        covariance=root @ root.T / size + 0.05 * np.eye(size), prior_scale=1.0,
    )  # fmt: skip


def pairs(size):
    return np.triu_indices(size, 1)


def order_entropy(one):
    p = one.above(*pairs(len(one.items)))
    p = np.clip(p, 1e-300, 1)
    return float(-(p * np.log(p) + (1 - p) * np.log1p(-np.minimum(p, 1 - 1e-16))).sum())


@given(seeds)
def test_the_gain_is_the_fall_of_entropy_that_simulation_finds(seed):
    # A small amount of information about one gap, its answer drawn a few thousand times.
    one, information = belief(seed), 0.02
    a, b = 1, 4
    column = one.covariance[:, a] - one.covariance[:, b]
    gap_variance = column[a] - column[b]
    covariance = one.after(a, b, information)
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    # The answer shifts the mean along `column`; nodes and weights average over answers.
    shift = np.sqrt(information / (1 + information * gap_variance))
    after = sum(
        w * order_entropy(replace(one, mean=one.mean + shift * x * column, covariance=covariance))
        for x, w in zip(nodes, weights / weights.sum())
    )
    told = vote_information(*one.gaps(np.array([a]), np.array([b])))[0]
    gain = expected_gain(one, np.array([a]), np.array([b]))[0]
    # Per unit of information, since a whole vote is no small amount.
    per_vote = told / (1 + told * gap_variance)
    per_bit = information / (1 + information * gap_variance)
    assert gain * per_bit / per_vote == pytest.approx(order_entropy(one) - after, rel=0.15)


@given(seeds)
def test_relabelling_items_relabels_the_gains(seed):
    one = belief(seed)
    first, second = pairs(6)
    order = np.random.default_rng(seed).permutation(6)
    moved = replace(one, mean=one.mean[order], covariance=one.covariance[np.ix_(order, order)])
    place = np.argsort(order)
    for top in (None, 2):
        np.testing.assert_allclose(
            expected_gain(moved, place[first], place[second], top=top),
            expected_gain(one, first, second, top=top), rtol=1e-8,
        )  # fmt: skip
        np.testing.assert_allclose(
            expected_gain(one, second, first, top=top),
            expected_gain(one, first, second, top=top), rtol=1e-8,
        )  # fmt: skip


def test_what_is_known_is_not_asked():
    sure = Strengths(items=("a", "b", "c", "d"), mean=np.array([3.0, 0.1, 0.0, -3.0]),
                     covariance=0.05 * np.eye(4), prior_scale=1.0)  # fmt: skip
    first, second = pairs(4)
    asked = ask_next(sure, first, second, 1)
    assert (asked.first[0], asked.second[0]) == (1, 2)
    # For the first three, the only doubt there is does not matter.
    gain = expected_gain(sure, first, second, top=3)
    assert gain.max() < 1e-6 * expected_gain(sure, first, second).max()


def test_a_batch_spreads_and_its_gains_fall():
    flat = Strengths(items=tuple("abcdef"), mean=np.zeros(6), covariance=np.eye(6), prior_scale=1.0)
    asked = ask_next(flat, *pairs(6), 9)
    assert len(set(zip(asked.first.tolist(), asked.second.tolist()))) >= 8
    # Three disjoint pairs come first: nothing is told twice while something is untold.
    assert len({*asked.first[:3], *asked.second[:3]}) == 6
    assert asked.gain[0] >= asked.gain[-1]


def test_a_dear_pair_is_asked_only_if_it_is_worth_it():
    one = belief(3)
    first, second = pairs(6)
    free = ask_next(one, first, second, 1)
    dearest = (first == free.first[0]) & (second == free.second[0])
    dear = ask_next(one, first, second, 1, cost=np.where(dearest, 1e6, 1.0))
    assert (dear.first[0], dear.second[0]) != (free.first[0], free.second[0])
    gain = expected_gain(one, first, second)
    cost = np.random.default_rng(0).uniform(0.5, 2, len(first))
    picked = ask_next(one, first, second, 1, cost=cost)
    best = int(np.argmax(gain / cost))
    assert (picked.first[0], picked.second[0]) == (first[best], second[best])


class World:
    def __init__(self, size, scale, seed):
        self.rng = np.random.default_rng(seed)
        self.strengths = scale * self.rng.normal(size=size)
        self.first, self.second = (index.astype(np.int32) for index in pairs(size))
        self.p = 1 / (1 + np.exp(self.strengths[self.second] - self.strengths[self.first]))
        self.wins = np.zeros((2, len(self.p)))

    def vote(self, times):
        won = self.rng.binomial(times, self.p)
        self.wins += np.stack([won, times - won])

    def counts(self):
        return PairCounts(
            items=tuple(f"i{k}" for k in range(len(self.strengths))), first=self.first,
            second=self.second, first_wins=self.wins[0], second_wins=self.wins[1],
            ties=np.zeros(len(self.p)),
        )  # fmt: skip


def top_overlap(votes, active, seed, top=3):
    world = World(14, 2.0, seed)
    size = len(world.p)
    place = {(a, b): q for q, (a, b) in enumerate(zip(world.first, world.second))}
    for bought in range(0, votes, 20):
        if active and bought:
            asked = ask_next(fit_strengths(world.counts()), world.first, world.second, 20, top=top)
            picks = [place[pair] for pair in zip(asked.first, asked.second)]
        else:
            picks = world.rng.integers(0, size, 20)
        world.vote(np.bincount(picks, minlength=size))
    found = top_items(fit_strengths(world.counts()), top)
    return len({*found} & {*np.argsort(-world.strengths)[:top]}) / top


def test_half_the_votes_find_the_top_as_well():
    uniform = np.mean([top_overlap(320, False, seed) for seed in range(8)])
    active = np.mean([top_overlap(160, True, seed) for seed in range(8)])
    assert active >= uniform - 0.02


def test_votes_to_settle_says_how_many():
    """80 % intervals hold about 80 % of what it then takes, and the median is in the middle."""
    inside, early = [], []
    for seed in range(16):
        world = World(7, 1.5, seed)
        world.vote(np.full(len(world.p), 3))
        now = fit_strengths(world.counts(), prior_scale=1.5)
        said = votes_to_settle(now, world.first, world.second, 2, world.rng, horizon=3_000,
                               num_paths=80)  # fmt: skip
        votes = 0.0
        while votes < 3_000 and top_doubt(now, 2) > 0.05:
            step = max(3, int(0.25 * votes))
            world.vote(world.rng.multinomial(step, np.full(len(world.p), 1 / len(world.p))))
            now = fit_strengths(world.counts(), prior_scale=1.5, start=now.mean)
            votes += step
        votes = np.inf if votes >= 3_000 else votes
        inside.append(said.low <= votes <= said.high)
        early.append(votes <= said.median)
    assert np.mean(inside) >= 0.6
    assert 0.2 <= np.mean(early) <= 0.85


@given(seeds)
def test_only_gaps_count_for_what_is_to_come(seed):
    """A leaderboard has no doubt on the mean of its scores, another belief much: the same gaps."""
    one = belief(seed, size=4)
    centre = np.eye(4) - 0.25
    gauged = replace(one, covariance=centre @ one.covariance @ centre)
    lifted = replace(one, covariance=gauged.covariance + 3.0)
    first, second = pairs(4)
    said = [
        votes_to_settle(each, first, second, 2, np.random.default_rng(0), num_paths=80)
        for each in (gauged, lifted)
    ]
    assert np.isclose(said[0].doubt, said[1].doubt)
    # Other draws of the same futures: their medians agree as well as those of 80 paths can.
    if np.isfinite([said[0].high, said[1].high]).all() and said[0].median > 0:
        assert abs(np.log(said[0].median / said[1].median)) < 1.5


def test_a_settled_top_needs_no_more_votes_and_more_doubt_needs_more():
    sure = Strengths(items=tuple("abc"), mean=np.array([9.0, 0.0, -9.0]), covariance=np.eye(3),
                     prior_scale=5.0)  # fmt: skip
    rng = np.random.default_rng(0)
    first, second = pairs(3)
    assert votes_to_settle(sure, first, second, 1, rng).median == 0.0
    loose, close = (
        votes_to_settle(replace(sure, mean=np.array([gap, 0.0, -9.0])), first, second, 1, rng)
        for gap in (2.0, 0.2)
    )
    assert 0 < loose.median < close.median
    assert close.doubt > loose.doubt > 0.05
    # Votes that never touch the pair in doubt settle nothing.
    useless = votes_to_settle(replace(sure, mean=np.array([0.1, 0.0, -9.0])), np.array([1]),
                              np.array([2]), 1, rng, num_paths=20)  # fmt: skip
    assert useless.chance < 0.6


def test_top_doubt_is_a_bound_on_being_wrong():
    one = belief(5, scale=1.5)
    draws = one.draw(20_000, np.random.default_rng(0))
    top = set(top_items(one, 2))
    wrong = np.mean([set(np.argsort(-draw)[:2]) != top for draw in draws])
    assert wrong <= top_doubt(one, 2) + 0.01
    two = replace(one, covariance=0.01 * np.eye(6))
    first, second = top_items(two, 6)[:2]
    mean, spread = two.gaps(np.array([second]), np.array([first]))
    assert top_doubt(two, 1) == pytest.approx(float(ndtr(mean / spread)[0]), abs=0.02)


@given(seeds, st.integers(4, 12), st.integers(2, 5))
def test_every_item_of_a_regular_graph_has_its_degree(seed, size, degree):
    if degree >= size or (degree % 2 and size % 2):
        return
    first, second = regular_graph(size, degree, np.random.default_rng(seed))
    assert np.all(np.bincount([*first, *second], minlength=size) == degree)
    reached = {int(first[0])}
    for _ in range(size):
        reached |= {int(b) for a, b in zip(first, second) if a in reached}
        reached |= {int(a) for a, b in zip(first, second) if b in reached}
    assert len(reached) == size


def test_next_edges_are_close_and_rare():
    rng = np.random.default_rng(0)
    mean = rng.normal(size=40)
    asked = np.eye(40, dtype=bool)
    asked[tuple(np.array(regular_graph(40, 4, rng)))] = True
    asked |= asked.T
    first, second = next_edges(mean, asked, 15, rng)
    assert not asked[first, second].any()
    assert len(set(zip(first, second))) == 15
    every = np.abs(mean[:, None] - mean)[np.triu_indices(40, 1)]
    assert np.abs(mean[first] - mean[second]).max() <= np.quantile(every, 0.25)


def test_where_candidates_run_out_any_pair_will_do():
    asked = np.ones((5, 5), dtype=bool)
    asked[0, 4] = asked[4, 0] = asked[1, 3] = asked[3, 1] = False
    first, second = next_edges(np.arange(5.0), asked, 9, np.random.default_rng(0),
                               EdgeConfig(max_growths=0))  # fmt: skip
    assert sorted(zip(first.tolist(), second.tolist())) == [(0, 4), (1, 3)]


def test_what_cannot_be_asked_is_refused():
    one, rng = belief(0), np.random.default_rng(0)
    with pytest.raises(DataError, match="two different places"):
        ask_next(one, np.array([0]), np.array([0]), 1)
    with pytest.raises(ConfigError, match="top = 6"):
        ask_next(one, *pairs(6), 1, top=6)
    with pytest.raises(ConfigError, match="positive number a pair"):
        ask_next(one, *pairs(6), 1, cost=np.zeros(15))
    with pytest.raises(ConfigError, match="risk = 0"):
        votes_to_settle(one, *pairs(6), 2, rng, risk=0.0)
    with pytest.raises(ConfigError, match="some positive"):
        votes_to_settle(one, *pairs(6), 2, rng, allocation=np.zeros(15))
    with pytest.raises(DataError, match="all pairs were compared"):
        next_edges(np.zeros(3), np.ones((3, 3), dtype=bool), 1, rng)
    with pytest.raises(ConfigError, match="even degree"):
        regular_graph(5, 3, rng)
