"""Strengths fitted again and again to votes drawn anew: by vote, or whole voters at a time.

Legend: N items, Q pairs that met, B votes, V voters, R resamples.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from penchant.data.pair_counts import PairCounts
from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.fitting.paired import PairedConfig, PairedFit, fit_paired
from penchant.fitting.paired_errors import voter_codes
from penchant.fitting.paired_prior import in_gauge
from penchant.numerics.arrays import Array

# A resample's noise is one standard error: a thousandth of a nat of it need not be fitted away.
_ROUGH = 1e-5

OnResample = Callable[[int, int], None]


def bootstrap_votes(
    fit: PairedFit,
    num_resamples: int,
    generator: np.random.Generator,
    *,
    on_resample: OnResample | None = None,
) -> Float[Array, "R N"]:
    """Strengths of resamples of single votes (Efron 1979): as many votes, drawn with replacement.

    Votes of a pair and outcome are alike, so a resample is one multinomial draw of the counts; each
    fit starts at the whole one. Counts that are no integers (soft or weighted votes) are drawn by
    their shares. Blind to what a voter's votes have in common.
    """
    return _refitted(fit, _vote_resamples(fit.counts, generator), num_resamples, on_resample)


def bootstrap_voters(
    fit: PairedFit,
    votes: Votes,
    num_resamples: int,
    generator: np.random.Generator,
    *,
    on_resample: OnResample | None = None,
) -> Float[Array, "R N"]:
    """Strengths of resamples of voters: as many voters, drawn with replacement, all their votes.

    Right whatever ties a voter's votes together; votes without a voter are drawn one by one. With
    few voters, or one who casts many of the votes, resamples cannot show what other voters would
    have done, and intervals come out too narrow.

    Raises `DataError` for votes without voters, or of a single one.
    """
    if votes.voter is None:
        raise DataError(
            "voters cannot be drawn anew: these votes name none. Name the voters' column, or draw "
            'votes ("bootstrap").'
        )
    code, num_voters = voter_codes(votes.voter)
    if num_voters < 2:
        raise DataError(
            f"{num_voters} voter cast all {len(votes)} votes; expected at least two to draw from. "
            'Draw votes instead ("bootstrap").'
        )
    return _refitted(fit, _voter_resamples(votes, code, generator), num_resamples, on_resample)


def _refitted(
    fit: PairedFit,
    resamples: Iterator[PairCounts],
    num_resamples: int,
    on_resample: OnResample | None,
) -> Float[Array, "R N"]:
    config = PairedConfig(
        link=fit.model.link, ties=fit.model.ties, prior_scale=_scale_for_all(fit), tolerance=_ROUGH
    )
    draws = np.empty((num_resamples, fit.counts.num_items))
    for r in range(num_resamples):
        again = fit_paired(next(resamples), config, start=fit)
        draws[r] = again.strengths
        if any(one.prior is not None and one.prior.is_weak for one in (fit, again)):
            # A resample may hold other items than the fit: all are shown in the fit's gauge.
            draws[r] = in_gauge(draws[r], fit.connectivity.island, fit.prior)
        if on_resample is not None:
            on_resample(r + 1, num_resamples)
    return draws


def _scale_for_all(fit: PairedFit) -> float | None:
    """The scale of a prior that the user asked for; a weak one comes and goes by itself."""
    return fit.prior.scale if fit.prior is not None and not fit.prior.is_weak else None


def _vote_resamples(counts: PairCounts, generator: np.random.Generator) -> Iterator[PairCounts]:
    whole = np.concatenate([counts.first_wins, counts.second_wins, counts.ties])
    cells = np.flatnonzero(whole > 0)
    share = whole[cells] / whole[cells].sum()
    num_votes = max(round(counts.votes), 1)
    while True:
        drawn = np.zeros(len(whole))
        drawn[cells] = generator.multinomial(num_votes, share)
        wins, losses, ties = np.split(drawn, 3)
        yield replace(counts, first_wins=wins, second_wins=losses, ties=ties)


def _voter_resamples(
    votes: Votes, code: Array, generator: np.random.Generator
) -> Iterator[PairCounts]:
    """Each vote has its cell of pair and outcome; a resample weighs votes by how often their voter
    was drawn and adds them up."""
    num_voters, counts = int(code.max()) + 1, votes.counts()
    N, turned = votes.num_items, votes.first > votes.second
    low, high = np.minimum(votes.first, votes.second), np.maximum(votes.first, votes.second)
    key = counts.first.astype(np.int64) * N + counts.second
    pair = np.searchsorted(key, low.astype(np.int64) * N + high)
    share = np.where(turned, 1.0 - votes.share, votes.share)
    # Votes of weight 0 met in no pair that was counted, and may point past the end.
    pair = np.minimum(pair, max(len(key) - 1, 0))
    parts = [
        np.where(votes.tie, 0.0, share) * votes.weight,
        np.where(votes.tie, 0.0, 1.0 - share) * votes.weight,
        votes.tie * votes.weight,
    ]
    odds = np.full(num_voters, 1.0 / num_voters)
    while True:
        times = generator.multinomial(num_voters, odds)[code]
        wins, losses, ties = (np.bincount(pair, times * part, len(key)) for part in parts)
        yield replace(counts, first_wins=wins, second_wins=losses, ties=ties)
