"""Intervals of strengths where the likelihood is lopsided: items that hardly ever lose, or never.

Legend: N items, A items asked about, E meetings of an item asked about with an opponent, H grid.

An item's likelihood by its own votes, opponents where they are, is a curve in one number u. What
its opponents' doubt adds to it is known from the errors: a variance v. The profile likelihood then
lets the opponents move together, at a price,

    l(t) = max_u l_own(u) - (t - u)^2 / (2 v),

which has the curvature of the full profile likelihood at the estimate and its shape away from it,
for all items in a few passes over their votes. `exact_profile` refits everybody instead.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.fitting.paired_draws import SolveConfig, solve
from penchant.fitting.paired_information import PairedInformation, PairedPoint, per_item
from penchant.fitting.paired_terms import outcome_terms
from penchant.numerics.arrays import Array

# Beyond this many units from every opponent nothing changes any more: exp(-40) is below rounding.
_FAR = 40.0
_MOST_STEPS = 60
_GRID = 400
_MEETINGS_AT_ONCE = 1 << 15  # their terms stay in the cache


@dataclass(frozen=True, kw_only=True, eq=False)
class Ends:
    """Ends of intervals. An end at infinity is one that the votes do not bound."""

    low: Float[Array, " A"]
    high: Float[Array, " A"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Own:
    """The votes of the items asked about, each item's seen from its own side."""

    point: PairedPoint
    items: Int[Array, " A"]
    item: Int[Array, " E"]  # place in items
    opponent: Int[Array, " E"]  # place among all
    votes: Float[Array, "3 E"]

    @cached_property
    def widest(self) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
        """Where each item is as good as infinitely weak, and infinitely strong."""
        theirs = self.point.strengths[self.opponent]
        low, high = np.full(len(self.items), np.inf), np.full(len(self.items), -np.inf)
        np.minimum.at(low, self.item, theirs)
        np.maximum.at(high, self.item, theirs)
        seen = np.isfinite(low)
        return np.where(seen, low, 0.0) - _FAR, np.where(seen, high, 0.0) + _FAR

    def curve(self, u: Float[Array, " A"]) -> "_Curve":
        """The items' own log-likelihoods with the items at u."""
        told = np.empty((3, len(self.item)))
        for start in range(0, len(self.item), _MEETINGS_AT_ONCE):
            rows = slice(start, start + _MEETINGS_AT_ONCE)
            told[:, rows] = self._told(u, rows)
        # Of no votes at all NumPy counts in integers.
        value, slope, bend = (np.bincount(self.item, part, len(self.items)) + 0.0 for part in told)
        prior = self.point.prior
        if prior is None or prior.is_weak:
            return _Curve(value=value, slope=slope, bend=bend)
        precision = 1.0 / prior.scale**2
        return _Curve(
            value=value - 0.5 * precision * u**2,
            slope=slope - precision * u,
            bend=bend + precision,
        )

    def _told(self, u: Float[Array, " A"], rows: slice) -> Float[Array, "3 H"]:
        """Value, slope and bend of each meeting's votes."""
        point, votes = self.point, self.votes[:, rows]
        gap = u[self.item[rows]] - point.strengths[self.opponent[rows]]
        terms = outcome_terms(gap, point.tie_parameter, ties=point.ties, link=point.link)
        # An outcome that never happened says nothing, however unlikely it was.
        return np.stack([
            np.where(votes > 0.0, votes * one, 0.0).sum(axis=0)
            for one in (terms.log_prob, terms.score, terms.curvature)
        ])  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Curve:
    """l_own at a place: its value, its first derivative, and minus its second."""

    value: Float[Array, " A"]
    slope: Float[Array, " A"]
    bend: Float[Array, " A"]


def lopsidedness(point: PairedPoint) -> Float[Array, " N"]:
    """Skewness of each item's likelihood: the change of its bend over one standard error.

    d bend / d u / bend^(3/2). The ends of a profile interval lie about z^2 / 6 of it, in standard
    errors, beside those of a symmetric one (Sprott 1973). Infinite where one side is unbounded by
    the item's own votes.
    """
    own = _own_votes(point, np.arange(point.counts.num_items))
    step = 1e-3
    here, up, down = (own.curve(point.strengths + by).bend for by in (0.0, step, -step))
    skew = (up - down) / (2 * step) / np.maximum(here, 1e-200) ** 1.5
    one_sided = ~(_may_lose(own) & _may_win(own))
    return np.where(one_sided, np.inf, np.abs(skew))


def profile_ends(
    point: PairedPoint,
    se: Float[Array, " N"],
    items: Int[Array, " A"],
    cutoff: Float[Array, " A"],
) -> Ends:
    """Where twice the profile log-likelihood has fallen by cutoff^2 from its top (Wilks 1938).

    Written in u, the strength at which l_own is seen, the fall is
    l_max - l_own(u) + v l_own'(u)^2 / 2, monotone on either side, at t = u - v l_own'(u).
    `se` are errors by curvature; `cutoff` is normal, 1.96 for 95 %, times the ratio of robust
    errors to these where votes are dependent (after Chandler and Bate 2007). An item that never
    lost has no top: the fall counts from the limit, the low end is finite and the high end is not.
    Weak priors count only for the opponents; a normal prior for all items is part of the
    likelihood.
    """
    own = _own_votes(point, items)
    doubt = opponents_variance(point, se)[items]
    far_low, far_high = own.widest
    top = _top(own)
    best = own.curve(top).value
    ends = []
    for side in (-1.0, 1.0):
        limit = far_low if side < 0 else far_high
        u, reached = _fall_to(own, top, best, doubt, 0.5 * cutoff**2, limit, side)
        t = u - doubt * own.curve(u).slope
        ends.append(np.where(reached, t, side * np.inf))
    return _in_gauge(point, items, ends[0], ends[1])


def posterior_ends(
    point: PairedPoint,
    se: Float[Array, " N"],
    items: Int[Array, " A"],
    level: float,
    prior_scale: float,
) -> Ends:
    """Equal-tailed intervals of the posterior under a normal prior, by integration on a grid.

    p(t) = integral of exp(l_own(u)) N(u; 0, prior_scale^2) N(t - u; 0, v) du: both ends finite, the
    one that the votes do not bound being the prior's word. The prior is centred on the mean of the
    item's island.
    """
    own = _own_votes(point, items)
    doubt = opponents_variance(point, se)[items]
    low, high = _reach_of_posterior(own, prior_scale)
    place = np.linspace(0.0, 1.0, _GRID)
    grid = low[:, None] + place * (high - low)[:, None]
    log_density = np.stack([own.curve(column).value for column in grid.T], axis=1)
    log_density -= 0.5 * (grid / prior_scale) ** 2
    weight = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    ends = [
        _mixture_quantile(grid, weight, np.sqrt(doubt), probability)
        for probability in ((1 - level) / 2, (1 + level) / 2)
    ]
    return _in_gauge(point, items, ends[0], ends[1])


def opponents_variance(point: PairedPoint, se: Float[Array, " N"]) -> Float[Array, " N"]:
    """What the doubt of its opponents adds to an item's variance, in units of the item alone.

    The variance of s_i against the mean of the others, less 1 / bend of the item's own votes; a
    prior's share of the item is taken off first.
    """
    information = point.information
    gauge = information.gauge
    to_others = np.where(gauge < 1.0, 1.0 / np.where(gauge < 1.0, 1.0 - gauge, 1.0), 1.0)
    by_votes = per_item(
        information.weight, information.weight, information.first, information.second, len(se)
    )
    diagonal = np.maximum(information.diagonal, 1e-300)
    rest = np.maximum((np.where(np.isfinite(se), se, 0.0) * to_others) ** 2 - 1.0 / diagonal, 0.0)
    share = np.maximum(by_votes / diagonal, 1e-6)
    return np.where(by_votes > 0.0, rest / share**2, 0.0)


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


def _own_votes(point: PairedPoint, items: Int[Array, " A"]) -> _Own:
    counts = point.counts
    place = np.full(counts.num_items, -1)
    place[items] = np.arange(len(items))
    here, there = place[counts.first] >= 0, place[counts.second] >= 0
    won = np.concatenate([counts.first_wins[here], counts.second_wins[there]])
    lost = np.concatenate([counts.second_wins[here], counts.first_wins[there]])
    return _Own(
        point=point, items=items,
        item=np.concatenate([place[counts.first[here]], place[counts.second[there]]]),
        opponent=np.concatenate([counts.second[here], counts.first[there]]),
        votes=np.stack([won, lost, np.concatenate([counts.ties[here], counts.ties[there]])]),
    )  # fmt: skip


def _may_win(own: _Own) -> Bool[Array, " A"]:
    return np.bincount(own.item, own.votes[0] + own.votes[2], len(own.items)) > 0


def _may_lose(own: _Own) -> Bool[Array, " A"]:
    return np.bincount(own.item, own.votes[1] + own.votes[2], len(own.items)) > 0


def _top(own: _Own) -> Float[Array, " A"]:
    """Where l_own is highest: `_FAR` out where it rises for ever."""
    low, high = own.widest

    def slope(u: Float[Array, " A"]) -> tuple[Array, Array]:
        found = own.curve(u)
        return found.slope, -found.bend

    return _falling_root(slope, low, high, own.point.strengths[own.items])


def _fall_to(
    own: _Own,
    top: Float[Array, " A"],
    best: Float[Array, " A"],
    doubt: Float[Array, " A"],
    fall: Float[Array, " A"],
    limit: Float[Array, " A"],
    side: float,
) -> tuple[Float[Array, " A"], Bool[Array, " A"]]:
    """Where, on one side of the top, the profile has fallen by `fall`, and whether it ever does."""

    def missing(u: Float[Array, " A"]) -> tuple[Array, Array]:
        c = own.curve(u)
        gone = best - c.value + 0.5 * doubt * c.slope**2
        # Falling as u goes up: on the low side what is gone shrinks towards the top.
        return -side * (gone - fall), side * c.slope * (1.0 + doubt * c.bend)

    reached = side * missing(limit)[0] <= 0.0
    # On a parabola the fall is (u - top)^2 (bend + doubt bend^2) / 2.
    bend = np.maximum(own.curve(top).bend, 1e-12)
    guess = top + side * np.sqrt(2.0 * fall / (bend * (1.0 + doubt * bend)))
    low, high = (limit, top) if side < 0 else (top, limit)
    return _falling_root(missing, low, high, np.clip(guess, low, high)), reached


def _falling_root(
    function: Callable[[Array], tuple[Array, Array]],
    low: Float[Array, " A"],
    high: Float[Array, " A"],
    start: Float[Array, " A"],
) -> Float[Array, " A"]:
    """Where functions that fall from low to high cross zero: Newton, halving where it leaves."""
    low, high, u = low.copy(), high.copy(), np.clip(start, low, high)
    for _ in range(_MOST_STEPS):
        value, slope = function(u)
        low, high = np.where(value > 0.0, u, low), np.where(value <= 0.0, u, high)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = u - value / slope
        inside = (newton > low) & (newton < high)
        # What is found stays: a hair beside the root, the middle of the bracket would be far off.
        found = np.abs(newton - u) < 1e-8
        renewed = np.where(found, u, np.where(inside, newton, 0.5 * (low + high)))
        if np.abs(renewed - u).max(initial=0.0) < 1e-8:
            break
        u = renewed
    return u


def _reach_of_posterior(
    own: _Own, prior_scale: float
) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
    """A range outside of which the posterior has nothing: the fall from its mode exceeds 20."""
    precision = 1.0 / prior_scale**2
    far = np.full(len(own.items), 20.0 * prior_scale)

    def slope(u: Float[Array, " A"]) -> tuple[Array, Array]:
        c = own.curve(u)
        return c.slope - precision * u, -c.bend - precision

    mode = _falling_root(slope, -far, far, np.zeros(len(far)))
    top = own.curve(mode).value - 0.5 * precision * mode**2
    ends = []
    for side in (-1.0, 1.0):

        def missing(u: Float[Array, " A"], side: float = side) -> tuple[Array, Array]:
            c = own.curve(u)
            gone = top - c.value + 0.5 * precision * u**2
            return -side * (gone - 20.0), side * (c.slope - precision * u)

        low, high = (-far, mode) if side < 0 else (mode, far)
        ends.append(_falling_root(missing, low, high, mode + side * 0.1 * prior_scale))
    return ends[0], ends[1]


def _mixture_quantile(
    grid: Float[Array, "A H"], weight: Float[Array, "A H"], spread: Float[Array, " A"], p: float
) -> Float[Array, " A"]:
    """The quantile of grid points, each blurred by a normal of the spread and of half a step."""
    from scipy.special import ndtr

    step = (grid[:, -1] - grid[:, 0]) / (grid.shape[1] - 1)
    width = np.sqrt(spread**2 + step**2 / 12.0)[:, None]
    reach = 10.0 * width[:, 0]

    def missing(t: Float[Array, " A"]) -> tuple[Array, Array]:
        below = (weight * ndtr((t[:, None] - grid) / width)).sum(axis=1)
        return p - below, np.zeros(len(t))

    return _falling_root(missing, grid[:, 0] - reach, grid[:, -1] + reach, grid.mean(axis=1))


def _in_gauge(
    point: PairedPoint, items: Int[Array, " A"], low: Float[Array, " A"], high: Float[Array, " A"]
) -> Ends:
    """From a strength moved by itself to one against the mean of its island, itself included."""
    gauge = point.information.gauge[items]
    # An item alone in its gauge is at 0; its ends are at infinity all the same.
    share, here = np.where(gauge < 1.0, 1.0 - gauge, 1.0), point.strengths[items]
    return Ends(low=here + share * (low - here), high=here + share * (high - here))


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
