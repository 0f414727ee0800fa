"""Profile intervals of Plackett-Luce strengths: every stage of a ranking is a meeting.

At each stage of a ranking one item is chosen from those left. For an item that is left this is a
comparison with an opponent of strength log(sum of exp) of the others left, which it wins if it is
chosen. By its own meetings its likelihood is a curve in one number, as in pairs (`item_profile`);
rankings with ties above other items add theirs (`ranked_ties_profile`).

Legend: R rankings, E entries over all menus, N items, A items asked about, M meetings.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.data.rankings import Rankings
from penchant.errors import DataError
from penchant.fitting.item_profile import (
    Ends,
    Meetings,
    ends_in_gauge,
    posterior_of,
    profile_of,
    skewness,
    variance_of_opponents,
)
from penchant.fitting.paired_prior import WEAK_SCALE
from penchant.fitting.ranked import RankedFit, StrictPart, gauge_weights
from penchant.fitting.ranked_errors import sums_behind
from penchant.fitting.ranked_ties_profile import MOST_LOOKED_AT, looked_at, tied_curves
from penchant.numerics.arrays import Array

# Meetings of all items: 2 GB with what is made of them.
_MOST_MEETINGS = 20_000_000


def has_profile(fit: RankedFit) -> bool:
    """Whether stages, and rankings with ties above others, are few enough to be held."""
    strict, tied = _apart(fit.rankings)
    return int(_stages_seen(strict).sum()) <= _MOST_MEETINGS and looked_at(tied) <= MOST_LOOKED_AT


def check_profile(fit: RankedFit) -> None:
    """Raises DataError for rankings that have no profile."""
    if has_profile(fit):
        return
    strict, tied = _apart(fit.rankings)
    raise DataError(
        f"these {len(fit.rankings):,} rankings, {len(tied):,} of them with ties above other items, "
        "are too many or too long for profile intervals; expected at most "
        f"{_MOST_MEETINGS:,} stages that items took part in (there are "
        f"{int(_stages_seen(strict).sum()):,}) and {MOST_LOOKED_AT:,} numbers of ties (there are "
        f'{looked_at(tied):,}). Use interval "wald" or "sandwich".'
    )


def ranked_skewness(fit: RankedFit) -> Float[Array, " N"]:
    """Skewness of each item's likelihood; infinite where its own stages bound it on one side only.

    Raises DataError as `check_profile` does.
    """
    return skewness(_meetings(fit, np.arange(len(fit.strengths))))


def ranked_profile_ends(
    fit: RankedFit, se: Float[Array, " N"], items: Int[Array, " A"], cutoff: Float[Array, " A"]
) -> Ends:
    """Where twice the profile log-likelihood of each item has fallen by cutoff^2 from its top, in
    the gauge of the strengths; `se` are errors by curvature. Raises DataError as `check_profile`.
    """
    met = _meetings(fit, items)
    return _in_gauge(fit, items, profile_of(met, _doubt(fit, met, se, items), cutoff))


def ranked_posterior_ends(
    fit: RankedFit, se: Float[Array, " N"], items: Int[Array, " A"], level: float
) -> Ends:
    """Equal-tailed intervals under the weak prior: both ends finite. Raises as `check_profile`."""
    met = _meetings(fit, items)
    found = posterior_of(met, _doubt(fit, met, se, items), level, WEAK_SCALE["logit"])
    return _in_gauge(fit, items, found)


def _doubt(
    fit: RankedFit, met: Meetings, se: Float[Array, " N"], items: Int[Array, " A"]
) -> Float[Array, " A"]:
    by_votes = met.curve(met.estimate).bend - met.precision
    prior = 0.0 if fit.prior is None else fit.prior.diagonal()[items]
    return variance_of_opponents(se[items], gauge_weights(fit)[items], by_votes, by_votes + prior)


def _in_gauge(fit: RankedFit, items: Int[Array, " A"], ends: Ends) -> Ends:
    return ends_in_gauge(ends, fit.strengths[items], gauge_weights(fit)[items])


def _apart(rankings: Rankings) -> tuple[Rankings, Rankings]:
    """Rankings without ties above other items, and those with some."""
    tied = rankings.has_ties
    if not tied.any():
        return rankings, rankings.take(np.flatnonzero(tied))
    return rankings.take(np.flatnonzero(~tied)), rankings.take(np.flatnonzero(tied))


def _stages_seen(rankings: Rankings) -> Int[Array, " E"]:
    """In how many stages each entry was there to be chosen."""
    stages = StrictPart.of(rankings).stages[rankings.ranking]
    return np.minimum(_place(rankings) + 1, stages)


def _place(rankings: Rankings) -> Int[Array, " E"]:
    return np.arange(len(rankings.item)) - rankings.start[:-1][rankings.ranking]


def _meetings(fit: RankedFit, items: Int[Array, " A"]) -> Meetings:
    """A meeting for each stage that an entry of these items saw, and the ties above others."""
    check_profile(fit)
    rankings, tied = _apart(fit.rankings)
    place = _place(rankings)
    among = np.full(rankings.num_items, -1)
    among[items] = np.arange(len(items))
    seen = np.where(among[rankings.item] >= 0, _stages_seen(rankings), 0)
    entry = np.repeat(np.arange(len(seen)), seen)
    stage = np.arange(len(entry)) - np.repeat(np.cumsum(seen) - seen, seen)
    row = rankings.ranking[entry]
    utility = fit.strengths[rankings.item]
    top = _best_of_menu(utility, rankings)
    worth = np.exp(utility - top[rankings.ranking])
    is_chosen = place[entry] == stage
    left = sums_behind(worth, rankings.start)[rankings.start[:-1][row] + stage]
    # Rounding leaves nothing of others who are next to nothing beside the item.
    others = np.maximum(left - worth[entry], 1e-15 * left)
    weight = rankings.weight[row]
    votes = np.stack([weight * is_chosen, weight * ~is_chosen, np.zeros(len(entry))])
    prior = fit.prior
    return Meetings(
        estimate=fit.strengths[items], item=among[rankings.item[entry]],
        opponent=np.log(others) + top[row], votes=votes,
        precision=0.0 if prior is None or prior.is_weak else 1.0 / prior.scale**2,
        further=tied_curves(tied, fit.strengths, items) if len(tied) else None,
    )  # fmt: skip


def _best_of_menu(utility: Float[Array, " E"], rankings: Rankings) -> Float[Array, " R"]:
    if not len(rankings):
        return np.zeros(0)
    return np.maximum.reduceat(utility, rankings.start[:-1])
