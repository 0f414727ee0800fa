"""Intervals of strengths where the likelihood is lopsided: items that hardly ever lose, or never.

`item_profile` has the method, for all items in a few passes over their votes; `exact_profile`
refits everybody instead.

Legend: N items, A items asked about.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from penchant.fitting.item_profile import (
    Ends,
    Meetings,
    ends_in_gauge,
    posterior_of,
    profile_of,
    skewness,
    variance_of_opponents,
)
from penchant.fitting.paired_draws import SolveConfig, solve
from penchant.fitting.paired_information import PairedInformation, PairedPoint, per_item
from penchant.numerics.arrays import Array

_MOST_STEPS = 60


def lopsidedness(point: PairedPoint) -> Float[Array, " N"]:
    """Skewness of each item's likelihood by its own votes; infinite where these bound it on one
    side only."""
    return skewness(_meetings(point, np.arange(point.counts.num_items)))


def profile_ends(
    point: PairedPoint,
    se: Float[Array, " N"],
    items: Int[Array, " A"],
    cutoff: Float[Array, " A"],
) -> Ends:
    """Ends of profile intervals in the gauge of the strengths.

    `se` are errors by curvature; `cutoff` is normal, 1.96 for 95 %, times the ratio of robust
    errors to these where votes are dependent (after Chandler and Bate 2007).
    Weak priors count only for the opponents; a normal prior for all items is part of the
    likelihood.
    """
    doubt = opponents_variance(point, se)[items]
    return _in_gauge(point, items, profile_of(_meetings(point, items), doubt, cutoff))


def posterior_ends(
    point: PairedPoint,
    se: Float[Array, " N"],
    items: Int[Array, " A"],
    level: float,
    prior_scale: float,
) -> Ends:
    """Equal-tailed intervals of the posterior under a normal prior, centred on the mean of the
    item's island: both ends finite, the one that the votes do not bound being the prior's word."""
    doubt = opponents_variance(point, se)[items]
    found = posterior_of(_meetings(point, items), doubt, level, prior_scale)
    return _in_gauge(point, items, found)


def opponents_variance(point: PairedPoint, se: Float[Array, " N"]) -> Float[Array, " N"]:
    """What the doubt of its opponents adds to an item's variance, in units of the item alone."""
    information = point.information
    by_votes = per_item(
        information.weight, information.weight, information.first, information.second, len(se)
    )
    return variance_of_opponents(se, information.gauge, by_votes, information.diagonal)


def exact_profile(point: PairedPoint, item: int, cutoff: float) -> tuple[float, float]:
    """Both ends of one item's profile interval with all others fitted anew at every place.

    The profile's slope is the multiplier of the constraint; ends are found by Newton steps on the
    signed root of the fall. For items with finite estimates; a prior counts for all. Slow: some
    hundred passes over all pairs.
    """
    ends = []
    step = np.sqrt(max(_contrast_variance(point, item), 1e-12))
    for side in (-1.0, 1.0):
        here, psi = point, float(point.strengths[item])
        top = _log_posterior(point)
        target = psi + side * cutoff * step
        for _ in range(_MOST_STEPS):
            here, multiplier = _constrained(here, item, target)
            fall = 2.0 * (top - _log_posterior(here))
            root = np.sqrt(max(fall, 1e-300))
            move = side * (cutoff - root) * root / max(-side * multiplier, 1e-300)
            # A profile that flattens out would send a full step away.
            move = float(np.clip(move, -2 * cutoff * step, 2 * cutoff * step))
            target += move
            if abs(move) < 1e-7 * cutoff * step:
                break
        ends.append(target)
    return ends[0], ends[1]


def _meetings(point: PairedPoint, items: Int[Array, " A"]) -> Meetings:
    counts, prior = point.counts, point.prior
    place = np.full(counts.num_items, -1)
    place[items] = np.arange(len(items))
    here, there = place[counts.first] >= 0, place[counts.second] >= 0
    won = np.concatenate([counts.first_wins[here], counts.second_wins[there]])
    lost = np.concatenate([counts.second_wins[here], counts.first_wins[there]])
    opponent = np.concatenate([counts.second[here], counts.first[there]])
    return Meetings(
        estimate=point.strengths[items],
        item=np.concatenate([place[counts.first[here]], place[counts.second[there]]]),
        opponent=point.strengths[opponent],
        votes=np.stack([won, lost, np.concatenate([counts.ties[here], counts.ties[there]])]),
        ties=point.ties, link=point.link, tie_parameter=point.tie_parameter,
        precision=0.0 if prior is None or prior.is_weak else 1.0 / prior.scale**2,
    )  # fmt: skip


def _in_gauge(point: PairedPoint, items: Int[Array, " A"], ends: Ends) -> Ends:
    return ends_in_gauge(ends, point.strengths[items], point.information.gauge[items])


def _contrast_variance(point: PairedPoint, item: int) -> float:
    contrast = _contrast(point.information, item)
    found = solve(point.information, contrast[:, None], SolveConfig(tolerance=1e-8))
    return float(contrast @ found.vectors[:, 0])


def _contrast(information: PairedInformation, item: int) -> Float[Array, " N"]:
    one = np.zeros(information.num_items)
    one[item] = 1.0
    inside = information.island == information.island[item]
    return one - information.gauge * inside


def _constrained(point: PairedPoint, item: int, target: float) -> tuple[PairedPoint, float]:
    """The best point with the item's strength at the target, and the multiplier there."""
    here, multiplier = point, 0.0
    for _ in range(_MOST_STEPS):
        information = here.information
        gradient, tie_gradient = _gradient(here)
        contrast = _contrast(information, item)
        right = gradient - information.tie_response * tie_gradient
        both = solve(
            information,
            information.centred(np.stack([right, contrast], axis=1)),
            SolveConfig(tolerance=1e-9, max_steps=5000),
        ).vectors
        missing = target - float(here.strengths[item])
        multiplier = (missing - both[item, 0]) / both[item, 1]
        step = both[:, 0] + multiplier * both[:, 1]
        tie_step = 0.0
        if information.tie_curvature > 0.0:
            tie_step = (tie_gradient - information.border @ step) / information.tie_curvature
        # Long steps on a curve that flattens overshoot: never more than three units at once.
        size = min(1.0, 3.0 / max(float(np.abs(step).max()), 1e-300))
        here = replace(
            here,
            strengths=here.strengths + size * step,
            tie_parameter=here.tie_parameter + size * tie_step,
        )
        if size == 1.0 and np.abs(step).max() < 1e-8:
            break
    # The multiplier pushes the item to the target: minus the profile's slope.
    return here, -multiplier


def _gradient(point: PairedPoint) -> tuple[Float[Array, " N"], float]:
    push, tie = point.summed(lambda terms: (terms.score, terms.tie_score))
    counts = point.counts
    gradient = per_item(push, -push, counts.first, counts.second, counts.num_items)
    if point.prior is not None:
        gradient = gradient + point.prior.gradient(point.strengths)
    return gradient, float(tie.sum())


def _log_posterior(point: PairedPoint) -> float:
    value = float(point.summed(lambda terms: (terms.log_prob,))[0].sum())
    return value if point.prior is None else value + point.prior.value(point.strengths)
