"""Simulated votes whose truth is known: what intervals of scores and ranks are tried on.

Legend: N items, B votes, V voters.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from penchant.data.rankings import Rankings
from penchant.data.votes import Votes


@dataclass(frozen=True)
class VoteWorld:
    """Votes, how they are to be fitted, and the strengths that endless votes would give.

    Where voters differ, that is what Bradley-Terry makes of the mean of all voters' odds, which is
    flatter than the mean of their strengths."""

    votes: Votes | Rankings
    ties: str
    truth: np.ndarray
    focus: np.ndarray  # the items that the world is about
    asked: dict = field(default_factory=dict)  # of a Leaderboard, beyond counts


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


def far_above(rng: np.random.Generator) -> VoteWorld:
    """15 items, 1,000 votes; one more stands 15 logits above all and is in some 25 votes."""
    truth = np.append(np.linspace(-1, 1, 15), 15.0)
    odds = np.append(np.ones(15), 0.2)
    return _independent(rng, truth, 1_000, odds=odds)


def four_voters(rng: np.random.Generator) -> VoteWorld:
    """60 items, 4 voters of 3,000 votes each, with tastes of their own (sd 0.3)."""
    truth = np.linspace(-1, 1, 60)
    taste = truth + 0.3 * rng.standard_normal((4, 60))
    voter = np.repeat(np.arange(4), 3_000)
    low, high = np.triu_indices(60, 1)
    first, second = _shown(rng, low, high, rng.integers(0, len(low), len(voter)))
    outcome = _outcomes(rng, taste[voter, first] - taste[voter, second], -np.inf)
    votes = Votes.from_outcomes(_names(60), first, second, outcome)
    # Tastes so alike flatten the mean odds by less than 2 %.
    return VoteWorld(_with_voters(votes, voter), "half", truth, np.ones(60, dtype=bool))


def covariates(rng: np.random.Generator) -> VoteWorld:
    """12 items, 150 voters of 6 votes each recorded four times over; length is worth 0.5 a unit."""
    return _echoed(rng, asked={"covariates": ("length",)})


def contexts(rng: np.random.Generator) -> VoteWorld:
    """The same without length, in 8 contexts that each add to every score (sd 0.4)."""
    return _echoed(rng, asked={"context": "topic"}, spread=0.4)


def covariates_unbeaten(rng: np.random.Generator) -> VoteWorld:
    """As covariates, each vote recorded once, with an item 6 logits above all in a tenth as many
    votes as others."""
    return _echoed(rng, asked={"covariates": ("length",)}, copies=1, best=6.0)


def reliability(rng: np.random.Generator) -> VoteWorld:
    """12 items, 80 voters of 30 votes whose log reliability varies (sd 0.5), modelled so."""
    truth = np.linspace(-1, 1, 12)
    voter = np.repeat(np.arange(80), 30)
    low, high = np.triu_indices(12, 1)
    first, second = _shown(rng, low, high, rng.integers(0, len(low), len(voter)))
    heard = np.exp(0.5 * rng.standard_normal(80))[voter] * (truth[first] - truth[second])
    votes = Votes.from_outcomes(_names(12), first, second, _outcomes(rng, heard, -np.inf))
    return VoteWorld(_with_voters(votes, voter), "half", truth, np.ones(12, dtype=bool),
                     {"voters": "reliability"})  # fmt: skip


def drift(rng: np.random.Generator) -> VoteWorld:
    """8 items, 1,600 votes over 8 times between which scores walk (sd 0.2); those at the end."""
    path = np.linspace(-1, 1, 8) + np.cumsum(0.2 * rng.standard_normal((8, 8)), axis=0)
    time = np.repeat(np.arange(8), 200)
    low, high = np.triu_indices(8, 1)
    first, second = _shown(rng, low, high, rng.integers(0, len(low), len(time)))
    outcome = _outcomes(rng, path[time, first] - path[time, second], -np.inf)
    votes = Votes.from_outcomes(_names(8), first, second, outcome, time=time.astype(float))
    return VoteWorld(votes, "half", path[-1], np.ones(8, dtype=bool), {"has_drift": True})


def rankings(rng: np.random.Generator) -> VoteWorld:
    """10 items, 150 rankings of menus of four, all alike."""
    return _ranked(rng, np.linspace(-1.5, 1.5, 10), 150)


def rankings_of_voters(rng: np.random.Generator) -> VoteWorld:
    """10 items, 40 people with 150 rankings of menus of four, each recorded eight times over."""
    return _ranked(rng, np.linspace(-1, 1, 10), 150, copies=8)


def rankings_unbeaten(rng: np.random.Generator) -> VoteWorld:
    """10 items, 120 rankings of menus of four; the best is in some eight and nearly always first,
    the worst in as many and nearly always last."""
    truth = np.concatenate([[-3.5], np.linspace(-1, 1, 8), [3.5]])
    odds = np.ones(10)
    odds[[0, 9]] = 0.15
    return _ranked(rng, truth, 120, odds=odds, focus=odds < 1)


def rankings_tied(rng: np.random.Generator) -> VoteWorld:
    """As rankings_unbeaten, and in two of three rankings the first or the middle two are tied."""
    world = rankings_unbeaten(rng)
    tier = np.tile(np.arange(4), (120, 1))
    tied = rng.integers(0, 3, 120)
    tier[tied == 0] = [0, 0, 1, 2]
    tier[tied == 1] = [0, 1, 1, 2]
    return replace(world, votes=replace(world.votes, tier=tier.ravel()))


def rankings_of_unlike_care(rng: np.random.Generator) -> VoteWorld:
    """10 items, 60 people of 5 rankings each whose log reliability varies (sd 0.7), modelled so."""
    truth, voter = np.linspace(-1.5, 1.5, 10), np.repeat(np.arange(60), 5)
    heard = np.exp(0.7 * rng.standard_normal(60))[voter, None] * truth
    world = _ranked(rng, truth, len(voter), heard=heard)
    votes = replace(world.votes, voter=voter, voters=tuple(f"v{v}" for v in range(60)))
    return replace(world, votes=votes, asked={"voters": "reliability"})


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
    "far_above": far_above,
    "four_voters": four_voters,
    "covariates": covariates,
    "contexts": contexts,
    "covariates_unbeaten": covariates_unbeaten,
    "reliability": reliability,
    "drift": drift,
    "rankings": rankings,
    "rankings_of_voters": rankings_of_voters,
    "rankings_unbeaten": rankings_unbeaten,
    "rankings_tied": rankings_tied,
    "rankings_of_unlike_care": rankings_of_unlike_care,
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


def _echoed(rng, *, asked, spread=0.0, copies=4, best=0.0):
    N, V, X = 12, 150, 8
    truth, odds = np.linspace(-1, 1, N), np.ones(N)
    if best:
        truth[-1], odds[-1] = best, 0.1
    low, high = np.triu_indices(N, 1)
    share = odds[low] * odds[high] / (odds[low] * odds[high]).sum()
    voter, topic = np.repeat(np.arange(V), 6), rng.integers(0, X, 6 * V)
    first, second = _shown(rng, low, high, rng.choice(len(low), len(voter), p=share))
    length = rng.normal(size=(len(voter), 1))
    own = truth + spread * rng.standard_normal((X, N))
    gap = own[topic, first] - own[topic, second]
    if "covariates" in asked:
        gap = gap + 0.5 * length[:, 0]
    votes = Votes.from_outcomes(
        _names(N), first, second, _outcomes(rng, gap, -np.inf), covariates=length,
        covariate_names=("length",), context=topic, contexts=tuple(f"t{x}" for x in range(X)),
    )  # fmt: skip
    rows = np.repeat(np.arange(len(voter)), copies)
    votes = _with_voters(votes.take(rows), voter[rows])
    return VoteWorld(votes, "half", truth, np.ones(N, dtype=bool), asked)


def _ranked(rng, truth, num, *, copies=1, odds=None, focus=None, size=4, heard=None):
    N = len(truth)
    odds = np.ones(N) if odds is None else odds
    # Who is on a menu, and in which order, by the largest of noisy values (Gumbel's trick).
    menu = np.argsort(-(np.log(odds) + rng.gumbel(size=(num, N))), axis=1)[:, :size]
    felt = truth[menu] if heard is None else np.take_along_axis(heard, menu, axis=1)
    order = np.argsort(-(felt + rng.gumbel(size=menu.shape)), axis=1)
    item = np.take_along_axis(menu, order, axis=1)
    single = Rankings(
        items=_names(N), item=item.ravel().astype(np.int32), tier=np.tile(np.arange(size), num),
        start=np.arange(num + 1) * size, weight=np.ones(num),
    )  # fmt: skip
    rows = np.repeat(np.arange(num), copies)
    votes = single.take(rows)
    if copies > 1:
        voter = rng.integers(0, 40, num)[rows]
        votes = replace(votes, voter=voter, voters=tuple(f"v{v}" for v in range(40)))
    everyone = np.ones(N, dtype=bool)
    return VoteWorld(votes, "half", truth - truth.mean(), everyone if focus is None else focus)


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
