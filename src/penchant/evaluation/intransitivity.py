"""Is taste cyclic, how strongly, and what to choose if it is: one test, one split, one winner.

Legend: Q pairs that met, N items, R bootstrap draws.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from penchant.data.pair_counts import PairCounts
from penchant.errors import ConfigError, DataError
from penchant.fitting.skew import SkewConfig, SkewFit, fit_skew
from penchant.fitting.strengths import fit_strengths
from penchant.metrics.cyclicity import bootstrap_p_value, deviance, largest_plane
from penchant.numerics.arrays import Array, sigmoid
from penchant.policies.oneshot.minimax_winner import MinimaxWinner, minimax_winner
from penchant.utilities.intransitive import Cycle, HodgeSplit, hodge_split, strongest_cycles

Statistic = Literal["deviance", "plane"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CyclicityTest:
    """statistic: which, and its value on the votes. p_value: how often votes from the fitted
    Bradley-Terry model look at least as cyclic. reference: the statistic of those draws.
    pairs, votes: what was tested; ties are left out."""

    kind: Statistic
    statistic: float
    p_value: float
    reference: Float[Array, " R"]
    pairs: int
    votes: int


def cyclicity_test(
    counts: PairCounts,
    generator: np.random.Generator,
    *,
    kind: Statistic = "deviance",
    num_draws: int = 499,
) -> CyclicityTest:
    """Whether one line of strengths explains the votes, by the parametric bootstrap.

    The likelihood ratio of free pairs against Bradley-Terry ("deviance"), or the largest plane of
    standardised surprises ("plane"; more power where a cycle runs through many items), against its
    values in votes drawn from the fitted model, each fitted anew. No chi-squared table is used:
    with few votes a pair it does not hold. Every draw takes its own strengths from their posterior,
    the prior's scale learnt from the votes: votes drawn at the maximum likelihood, which spreads
    items too far where votes are few, rejected 22 % of transitive worlds at the 5 % level (20
    items, two votes a pair), these 0 to 5 %.

    Ties are left out. Under Davidson's ties this loses nothing but their votes: given a decision,
    the odds are Bradley-Terry's still. Votes are taken as independent; a voter who repeats the same
    vote makes any order look cyclic, so count one vote of a voter and pair.

    Raises `DataError` where votes are no whole numbers, or no pair leaves anything to test.
    """
    if kind not in ("deviance", "plane") or num_draws < 19:
        raise ConfigError(
            f"kind = {kind!r} and num_draws = {num_draws}; expected 'deviance' or 'plane', and at "
            "least 19 draws, without which no p-value can be as low as 0.05."
        )
    decided = _decided(counts)
    votes = decided.first_wins + decided.second_wins
    fitted = fit_strengths(decided)
    observed = _statistic(decided, fitted.mean, kind)
    reference = np.empty(num_draws)
    for index, strengths in enumerate(fitted.draw(num_draws, generator)):
        p = sigmoid(strengths[decided.first] - strengths[decided.second])
        wins = generator.binomial(votes.astype(np.int64), p).astype(np.float64)
        drawn = replace(decided, first_wins=wins, second_wins=votes - wins)
        again = fit_strengths(drawn, prior_scale=fitted.prior_scale, start=fitted.mean)
        reference[index] = _statistic(drawn, again.mean, kind)
    return CyclicityTest(
        kind=kind,
        statistic=observed,
        p_value=bootstrap_p_value(observed, reference),
        reference=reference,
        pairs=decided.num_pairs,
        votes=int(votes.sum()),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Intransitivity:
    """tests: both statistics. fit: strengths and planes. split: of the fitted log-odds, with its
    share of cycles. cycles: the strongest triples of the fit. winner: beside `best`, the item that
    Bradley-Terry puts first, and the best item's worst win rate against any other."""

    items: tuple[str, ...]
    tests: tuple[CyclicityTest, ...]
    fit: SkewFit
    split: HodgeSplit
    cycles: tuple[Cycle, ...]
    winner: MinimaxWinner
    best: int
    best_worst: float


def intransitivity(
    counts: PairCounts,
    generator: np.random.Generator,
    *,
    config: SkewConfig | None = None,
    num_draws: int = 499,
) -> Intransitivity:
    """Everything about cycles in one call: test, fit, split, cycles, winner.

    Preferences of all pairs, met or not, come from the fit of strengths plus planes; where it finds
    no plane they are Bradley-Terry's, and the winner is the strongest item.
    """
    fit = fit_skew(counts, config)
    comparison = fit.comparison()
    preference = sigmoid(comparison)
    strengths = fit_strengths(counts).mean
    best = int(strengths.argmax())
    everyone = ~np.eye(counts.num_items, dtype=bool)
    return Intransitivity(
        items=counts.items,
        tests=tuple(
            cyclicity_test(counts, generator, kind=kind, num_draws=num_draws)
            for kind in ("deviance", "plane")
        ),
        fit=fit,
        split=hodge_split(comparison),
        cycles=strongest_cycles(comparison, everyone),
        winner=minimax_winner(preference),
        best=best,
        best_worst=float(preference[best][everyone[best]].min(initial=1.0)),
    )


def _statistic(counts: PairCounts, strengths: Float[Array, " N"], kind: Statistic) -> float:
    votes = counts.first_wins + counts.second_wins
    log_odds = strengths[counts.first] - strengths[counts.second]
    if kind == "deviance":
        return deviance(counts.first_wins, votes, log_odds)
    return largest_plane(
        counts.num_items, counts.first, counts.second, counts.first_wins, votes, log_odds
    )


def _decided(counts: PairCounts) -> PairCounts:
    """The counts without their ties, checked."""
    votes = counts.first_wins + counts.second_wins
    kept = votes > 0
    decided = PairCounts(
        items=counts.items,
        first=counts.first[kept],
        second=counts.second[kept],
        first_wins=counts.first_wins[kept],
        second_wins=counts.second_wins[kept],
        ties=np.zeros(int(kept.sum())),
    )
    whole = np.round(decided.first_wins), np.round(decided.second_wins)
    if not (
        np.allclose(decided.first_wins, whole[0]) and np.allclose(decided.second_wins, whole[1])
    ):
        raise DataError(
            "some pairs have fractions of votes; expected whole numbers, because the test draws "
            "votes one by one. Leave weights and probabilities out: count every vote once."
        )
    met = len(np.unique(np.concatenate([decided.first, decided.second])))
    if decided.num_pairs < max(met, 1):
        raise DataError(
            f"{decided.num_pairs} pairs between {met} items met and were decided; expected at "
            "least as many pairs as items, since a tree of comparisons fits any votes and cannot "
            "go round. Compare more pairs."
        )
    return decided
