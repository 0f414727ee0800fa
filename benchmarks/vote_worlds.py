"""Simulated votes whose truth is known: what intervals of scores and ranks are tried on.

Legend: N items, B votes, V voters.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from penchant.data.votes import Votes


@dataclass(frozen=True)
class VoteWorld:
    """Votes, how they are to be fitted, and the strengths that endless votes would give.

    Where voters differ, that is what Bradley-Terry makes of the mean of all voters' odds, which is
    flatter than the mean of their strengths."""

    votes: Votes
    ties: str
    truth: np.ndarray
    focus: np.ndarray  # the items that the world is about


def even(rng: np.random.Generator) -> VoteWorld:
    """20 items, 2,000 votes, all pairs alike."""
    return _independent(rng, np.linspace(-1.5, 1.5, 20), 2_000)


def ties(rng: np.random.Generator) -> VoteWorld:
    """15 items, 1,500 votes, a third of them ties after Davidson, fitted so."""
    return _independent(rng, np.linspace(-1, 1, 15), 1_500, tie=0.0, fitted="davidson")


def half_wins(rng: np.random.Generator) -> VoteWorld:
    """The same votes with ties as half-wins, which is not how they came about."""
    return _independent(rng, np.linspace(-1, 1, 15), 1_500, tie=0.0, fitted="half")


def rare(rng: np.random.Generator) -> VoteWorld:
    """20 items, 2,000 votes; five items are met in a dozen votes each."""
    odds = np.ones(20)
    odds[[2, 7, 12, 17, 19]] = 0.05
    return _independent(rng, np.linspace(-1.5, 1.5, 20), 2_000, odds=odds, focus=odds < 1)


def unbeaten(rng: np.random.Generator) -> VoteWorld:
    """15 items, 1,000 votes; the best item wins nearly always and the worst hardly ever.

    Each is in about twenty votes: often the best never loses and the worst never wins.
    """
    truth = np.concatenate([[-3.5], np.linspace(-1, 1, 13), [3.5]])
    odds = np.ones(15)
    odds[[0, 14]] = 0.1
    return _independent(rng, truth, 1_000, odds=odds, focus=odds < 1)


def tasteful_voters(rng: np.random.Generator) -> VoteWorld:
    """12 items, 80 voters of 30 votes each, each with tastes of their own (sd 0.8)."""
    return _by_voters(rng, np.full(80, 30))


def uneven_voters(rng: np.random.Generator) -> VoteWorld:
    """12 items, 2,400 votes of 61 voters with tastes of their own; one casts half of the votes."""
    return _by_voters(rng, np.append(np.full(60, 20), 1_200))


def few_voters(rng: np.random.Generator) -> VoteWorld:
    """12 items, 6 voters of 300 votes each, with tastes of their own."""
    return _by_voters(rng, np.full(6, 300))


def rarely_judged(rng: np.random.Generator) -> VoteWorld:
    """As tasteful_voters, and the best and the worst item are seen by four voters only."""
    return _by_voters(rng, np.full(80, 30), rare=(0, 11))


def copied_votes(rng: np.random.Generator) -> VoteWorld:
    """12 items, 150 voters whose every vote is recorded eight times over."""
    truth = np.linspace(-1, 1, 12)
    one = _independent(rng, truth, 600)
    rows = np.repeat(np.arange(600), 8)
    votes = one.votes.take(rows)
    return VoteWorld(
        _with_voters(votes, rng.integers(0, 150, 600)[rows]), "half", one.truth, one.focus
    )


WORLDS: dict[str, Callable[[np.random.Generator], VoteWorld]] = {
    "even": even,
    "ties": ties,
    "half_wins": half_wins,
    "rare": rare,
    "unbeaten": unbeaten,
    "tasteful_voters": tasteful_voters,
    "uneven_voters": uneven_voters,
    "few_voters": few_voters,
    "rarely_judged": rarely_judged,
    "copied_votes": copied_votes,
}

_TASTE = 0.8


def _independent(rng, truth, num_votes, *, tie=-np.inf, fitted="half", odds=None, focus=None):
    N = len(truth)
    odds = np.ones(N) if odds is None else odds
    low, high = np.triu_indices(N, 1)
    share = odds[low] * odds[high] / (odds[low] * odds[high]).sum()
    first, second = _shown(rng, low, high, rng.choice(len(low), num_votes, p=share))
    outcome = _outcomes(rng, truth[first] - truth[second], tie)
    votes = Votes.from_outcomes(_names(N), first, second, outcome)
    goal = truth - truth.mean()
    if fitted == "half" and np.isfinite(tie):
        wins = _win_share(goal[low] - goal[high], tie)
        goal = _pseudo_truth(N, low, high, share, wins)
    return VoteWorld(votes, fitted, goal, np.ones(N, dtype=bool) if focus is None else focus)


_POPULATION: dict[str, np.ndarray] = {}


def _by_voters(rng, votes_of_voter, rare=()):
    truth = np.linspace(-1, 1, 12)
    N, V = len(truth), len(votes_of_voter)
    taste = truth + _TASTE * rng.standard_normal((V, N))
    voter = np.repeat(np.arange(V), votes_of_voter)
    low, high = np.triu_indices(N, 1)
    first, second = _shown(rng, low, high, rng.integers(0, len(low), len(voter)))
    # Voters from the fifth on never see the rare items: their votes on these are not cast.
    seen = (voter < 4) | ~(np.isin(first, rare) | np.isin(second, rare))
    voter, first, second = voter[seen], first[seen], second[seen]
    outcome = _outcomes(rng, taste[voter, first] - taste[voter, second], -np.inf)
    votes = Votes.from_outcomes(_names(N), first, second, outcome)
    if "goal" not in _POPULATION:
        # Differences of two tastes are normal: the mean of the odds is a one-dimensional integral.
        nodes, weight = np.polynomial.hermite_e.hermegauss(60)
        gap = (truth[low] - truth[high])[:, None] + np.sqrt(2) * _TASTE * nodes
        wins = (1 / (1 + np.exp(-gap))) @ (weight / weight.sum())
        even_share = np.full(len(low), 1 / len(low))
        _POPULATION["goal"] = _pseudo_truth(N, low, high, even_share, wins)
    focus = np.isin(np.arange(N), rare) if rare else np.ones(N, dtype=bool)
    return VoteWorld(_with_voters(votes, voter), "half", _POPULATION["goal"], focus)


def _with_voters(votes: Votes, voter: np.ndarray) -> Votes:
    from dataclasses import replace

    return replace(votes, voter=voter, voters=tuple(f"v{v}" for v in range(voter.max() + 1)))


def _names(num_items: int) -> tuple[str, ...]:
    return tuple(f"item{n:02d}" for n in range(num_items))


def _shown(rng, low, high, pair):
    swap = rng.random(len(pair)) < 0.5
    return np.where(swap, high[pair], low[pair]), np.where(swap, low[pair], high[pair])


def _probabilities(gap: np.ndarray, tie: float) -> np.ndarray:
    worth = np.stack([0.5 * gap, -0.5 * gap, np.full(len(gap), tie)], axis=1)
    weight = np.exp(worth - worth.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def _outcomes(rng, gap, tie):
    chance = rng.random(len(gap))[:, None]
    return (chance > _probabilities(gap, tie).cumsum(axis=1)[:, :2]).sum(axis=1)


def _win_share(gap: np.ndarray, tie: float) -> np.ndarray:
    p = _probabilities(gap, tie)
    return p[:, 0] + 0.5 * p[:, 2]


def _pseudo_truth(N, low, high, share, wins):
    """The strengths that Bradley-Terry gives to expected votes, by plain Newton steps."""
    s = np.zeros(N)
    incidence = np.zeros((len(low), N))
    incidence[np.arange(len(low)), low], incidence[np.arange(len(low)), high] = 1, -1
    for _ in range(50):
        p = 1 / (1 + np.exp(s[high] - s[low]))
        information = incidence.T @ ((share * p * (1 - p))[:, None] * incidence)
        s = s + np.linalg.pinv(information) @ (incidence.T @ (share * (wins - p)))
    return s - s.mean()
