"""Profile intervals of Plackett-Luce strengths: every stage of a ranking is a meeting.

At each stage of a ranking one item is chosen from those left. For an item that is left this is a
comparison with an opponent of strength log(sum of exp) of the others left, which it wins if it is
chosen. By its own meetings its likelihood is a curve in one number, as in pairs (`item_profile`).

Legend: R rankings, E entries over all menus, N items, A items asked about, M meetings.
"""

import numpy as np
from jaxtyping import Float, Int

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
from penchant.fitting.ranked import RankedFit, StrictPart
from penchant.fitting.ranked_errors import sums_behind
from penchant.numerics.arrays import Array

# Meetings of all items: 2 GB with what is made of them.
_MOST_MEETINGS = 20_000_000


def has_profile(fit: RankedFit) -> bool:
    """Whether each stage is a choice of one item, and stages are few enough to be held: a tie above
    others is a sum over orders, which no curve of single meetings is."""
    return not fit.rankings.has_ties.any() and int(_stages_seen(fit).sum()) <= _MOST_MEETINGS


def check_profile(fit: RankedFit) -> None:
    """Raises DataError for rankings that have no profile."""
    if fit.rankings.has_ties.any():
        raise DataError(
            f"{int(fit.rankings.has_ties.sum())} of {len(fit.rankings)} rankings have ties above "
            "other items, for which there are no profile intervals; expected none. Use interval "
            '"sandwich" or "bootstrap".'
        )
    if not has_profile(fit):
        raise DataError(
            f"these rankings have {int(_stages_seen(fit).sum()):,} stages that items took part in, "
            f"too many for profile intervals; expected at most {_MOST_MEETINGS:,}. Use interval "
            '"wald" or "sandwich".'
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
    return variance_of_opponents(se[items], _gauge(fit)[items], by_votes, by_votes + prior)


def _in_gauge(fit: RankedFit, items: Int[Array, " A"], ends: Ends) -> Ends:
    return ends_in_gauge(ends, fit.strengths[items], _gauge(fit)[items])


def _gauge(fit: RankedFit) -> Float[Array, " N"]:
    """Each item's part in the mean that is 0 on its island."""
    if fit.prior is not None and fit.prior.is_weak:
        return fit.prior.anchor
    island = fit.connectivity.island
    return 1.0 / np.bincount(island)[island]


def _stages_seen(fit: RankedFit) -> Int[Array, " E"]:
    """In how many stages each entry was there to be chosen."""
    rankings = fit.rankings
    stages = StrictPart.of(rankings).stages[rankings.ranking]
    return np.minimum(_place(fit) + 1, stages)


def _place(fit: RankedFit) -> Int[Array, " E"]:
    rankings = fit.rankings
    return np.arange(len(rankings.item)) - rankings.start[:-1][rankings.ranking]


def _meetings(fit: RankedFit, items: Int[Array, " A"]) -> Meetings:
    """A meeting for each stage that an entry of these items saw."""
    check_profile(fit)
    rankings, place = fit.rankings, _place(fit)
    among = np.full(rankings.num_items, -1)
    among[items] = np.arange(len(items))
    seen = np.where(among[rankings.item] >= 0, _stages_seen(fit), 0)
    entry = np.repeat(np.arange(len(seen)), seen)
    stage = np.arange(len(entry)) - np.repeat(np.cumsum(seen) - seen, seen)
    row = rankings.ranking[entry]
    utility = fit.strengths[rankings.item]
    top = np.maximum.reduceat(utility, rankings.start[:-1])
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
    )  # fmt: skip
