"""Voters in plain words: who votes at random, who favours a place, who ties, who outweighs all."""

import numpy as np
from jaxtyping import Bool, Float

from penchant.fitting.ranked_reliability import RankersFit
from penchant.fitting.votes_reliability import VotersFit
from penchant.numerics.arrays import Array, sigmoid
from penchant.numerics.names import excerpt
from penchant.populations.voters import Voters

# A voter is named where intervals that hold for all voters at once, 95 % of the time, leave no
# doubt.
_LEVEL = 0.95
# Half as reliable as typical, at the upper end of the interval, is close to random.
_HALF = np.log(0.5)
# A larger part of all votes, and half as much again as an equal share, is worth a sentence.
_MUCH_OF_ALL = 0.3


def describe_voters(found: VotersFit, most: int = 5) -> tuple[str, ...]:
    """One sentence a finding, the voters with most votes first; at most `most` named in each."""
    population = found.population
    sentences = list(_spread_sentences(population))
    spread = dict(zip(population.effects, population.spreads))
    if "bias" in spread:
        share = 100 * sigmoid(np.array(population.bias_mean))
        least, highest = (
            100 * sigmoid(np.array(population.bias_mean + side * spread["bias"]))
            for side in (-1.0, 1.0)
        )
        sentences.append(
            f"Of two equals the typical voter picks the one shown first in {share:.1f} % of votes "
            f"that are no ties; two thirds of voters do so in {least:.0f} to {highest:.0f} %."
        )
    sentences += heavy_voters(found.voters, found.votes, float(found.votes.sum()))
    sentences += _at_random(found, found.mean[:, 0], found.sd[:, 0], most)
    reach = _reach(int((found.votes > 0).sum()))
    pull = found.mean[:, 1]
    for is_first, place in ((True, "first"), (False, "second")):
        sign = 1.0 if is_first else -1.0
        sure = (sign * pull - reach * found.sd[:, 1] > 0) & (found.sd[:, 1] > 0)
        sentences += _named(
            found,
            sure,
            most,
            f"favours what is shown {place}, and picks it of two equals in",
            sigmoid(sign * pull),
        )
    eager = (found.mean[:, 2] - reach * found.sd[:, 2] > 0) & (found.sd[:, 2] > 0)
    if len(found.fit.own):
        share = _tie_share(found)
        usual = float(found.fit.model.probabilities(np.zeros(1), found.fit.own[None])[0, 2])
        sentences += _named(
            found,
            eager,
            most,
            f"calls ties more readily than most; between two equals (typically {usual:.0%}) in",
            share,
        )
    return tuple(sentences)


def describe_rankers(found: RankersFit, most: int = 5) -> tuple[str, ...]:
    """The same of voters who rank."""
    return (
        *_spread_sentences(found.population),
        *heavy_voters(found.voters, found.votes, float(found.votes.sum()), "rankings"),
        *_at_random(found, found.mean, found.sd, most, "rankings"),
    )


def _spread_sentences(population: Voters) -> tuple[str, ...]:
    if "reliability" not in population.effects:
        return ()
    low = np.exp(-population.spreads[population.effects.index("reliability")])
    return (
        f"One voter in six feels gaps at less than {low:.2f} of their size for the typical voter.",
    )


def _at_random(
    found: VotersFit | RankersFit,
    mean: Float[Array, " V"],
    sd: Float[Array, " V"],
    most: int,
    what: str = "votes",
) -> list[str]:
    """Whose log reliability is surely far below what is typical."""
    typical = np.nanmean(found.agreement)
    doubtful = mean + _reach(int((found.votes > 0).sum())) * sd < _HALF
    told = (
        "close to random: sides with the better of two less often than voters do on the whole "
        f"({typical:.0%}), namely in"
    )
    return _named(found, doubtful, most, told, found.agreement, what)


def _reach(num_voters: int) -> float:
    """Standard errors to either side at which the intervals of all voters hold (Sidak 1967)."""
    from scipy.special import ndtri

    return float(ndtri(0.5 * (1.0 + _LEVEL ** (1.0 / max(num_voters, 1)))))


def heavy_voters(
    voters: tuple[str, ...], cast: Float[Array, " V"], total: float, what: str = "votes"
) -> tuple[str, ...]:
    """A sentence for whoever cast a large part of all votes or rankings, `total` by weight."""
    made = "made" if what == "rankings" else "cast"
    voted = int((cast > 0).sum())
    if voted == 1 and cast.sum() >= total:
        return (
            f"Voter `{excerpt(voters[int(np.argmax(cast))])}` {made} all {what}: the order is "
            "theirs.",
        )
    most = max(_MUCH_OF_ALL, 1.5 / max(voted, 1))
    return tuple(
        f"Voter `{excerpt(voters[v])}` {made} {cast[v] / total:.0%} of all {what}: the order is "
        "theirs as much as everybody's."
        for v in np.flatnonzero(cast > most * total)
    )


def _tie_share(found: VotersFit) -> Float[Array, " V"]:
    """How often each voter calls a tie between two equals."""
    own = found.fit.own[None] + found.mean[:, 2:]
    return found.fit.model.probabilities(found.mean[:, 1], own)[:, 2]


def _named(
    found: VotersFit | RankersFit,
    which: Bool[Array, " V"],
    most: int,
    told: str,
    share: Float[Array, " V"],
    what: str = "votes",
) -> list[str]:
    voters = np.flatnonzero(which)
    voters = voters[np.argsort(-found.votes[voters], kind="stable")]
    sentences = [
        f"`{excerpt(found.voters[v])}` ({found.votes[v]:g} {what}) {told} {share[v]:.0%}."
        for v in voters[:most]
    ]
    if len(voters) > most:
        sentences.append(f"So do {len(voters) - most} more voters.")
    return sentences
