"""The likelihood of one item by what it met itself, opponents where they are: ends of intervals.

A vote, or a choice from what is left of a menu, is for the item a comparison with an opponent: the
other item, or all that is left together, of strength log(sum of exp). Its likelihood is then a
curve in one number u. What the opponents' doubt adds to it is known from the errors: a variance v.
The profile likelihood lets the opponents move together, at a price,

    l(t) = max_u l_own(u) - (t - u)^2 / (2 v),

which has the curvature of the full profile likelihood at the estimate and its shape away from it,
for all items in a few passes over their meetings.

Legend: A items asked about, E meetings of an item asked about with an opponent, H grid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.fitting.paired_terms import Link, Ties, outcome_terms
from penchant.numerics.arrays import Array

# Beyond this many units from every opponent nothing changes any more: exp(-40) is below rounding.
_FAR = 40.0
_MOST_STEPS = 60
_GRID = 400
_MEETINGS_AT_ONCE = 1 << 15  # their terms stay in the cache


@dataclass(frozen=True, kw_only=True, eq=False)
class Ends:
    """Ends of intervals. An end at infinity is one that nothing bounds."""

    low: Float[Array, " A"]
    high: Float[Array, " A"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """l_own at a place: its value, its first derivative, and minus its second."""

    value: Float[Array, " A"]
    slope: Float[Array, " A"]
    bend: Float[Array, " A"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Further:
    """What items were asked beyond single meetings, as ties of several are. curve: its part of
    their log-likelihoods with the items at u; low, high: the weakest and the strongest of those
    beside an item; won, lost: how often the item stood before and behind somebody."""

    curve: Callable[[Float[Array, " A"]], Curve]
    low: Float[Array, " A"]
    high: Float[Array, " A"]
    won: Float[Array, " A"]
    lost: Float[Array, " A"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Meetings:
    """What the items asked about met, each seen from its own side.

    estimate: their strengths. item: the place of each meeting's item among those asked about;
    opponent: the strength it met; votes: how often it won, lost and tied. precision: of a normal
    prior around 0 that is part of the likelihood, 0 for none.
    """

    estimate: Float[Array, " A"]
    item: Int[Array, " E"]
    opponent: Float[Array, " E"]
    votes: Float[Array, "3 E"]
    ties: Ties = "half"
    link: Link = "logit"
    tie_parameter: float = -np.inf
    precision: float = 0.0
    further: Further | None = None

    @cached_property
    def widest(self) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
        """Where each item is as good as infinitely weak, and infinitely strong."""
        size = len(self.estimate)
        low, high = np.full(size, np.inf), np.full(size, -np.inf)
        np.minimum.at(low, self.item, self.opponent)
        np.maximum.at(high, self.item, self.opponent)
        if self.further is not None:
            low, high = np.minimum(low, self.further.low), np.maximum(high, self.further.high)
        seen = np.isfinite(low)
        return np.where(seen, low, 0.0) - _FAR, np.where(seen, high, 0.0) + _FAR

    @property
    def may_win(self) -> Bool[Array, " A"]:
        """Whether the item won or tied at all, so that nothing sends it to minus infinity."""
        won = np.bincount(self.item, self.votes[0] + self.votes[2], len(self.estimate))
        return won + (0.0 if self.further is None else self.further.won) > 0

    @property
    def may_lose(self) -> Bool[Array, " A"]:
        """Whether the item lost or tied at all."""
        lost = np.bincount(self.item, self.votes[1] + self.votes[2], len(self.estimate))
        return lost + (0.0 if self.further is None else self.further.lost) > 0

    def curve(self, u: Float[Array, " A"]) -> Curve:
        """The items' own log-likelihoods with the items at u."""
        told = np.empty((3, len(self.item)))
        for start in range(0, len(self.item), _MEETINGS_AT_ONCE):
            rows = slice(start, start + _MEETINGS_AT_ONCE)
            told[:, rows] = self._told(u, rows)
        # Of no votes at all NumPy counts in integers.
        value, slope, bend = (np.bincount(self.item, part, len(u)) + 0.0 for part in told)
        if self.further is not None:
            beyond = self.further.curve(u)
            value, slope, bend = (
                value + beyond.value, slope + beyond.slope, bend + beyond.bend
            )  # fmt: skip
        return Curve(
            value=value - 0.5 * self.precision * u**2,
            slope=slope - self.precision * u,
            bend=bend + self.precision,
        )

    def _told(self, u: Float[Array, " A"], rows: slice) -> Float[Array, "3 H"]:
        """Value, slope and bend of each meeting's votes."""
        votes = self.votes[:, rows]
        gap = u[self.item[rows]] - self.opponent[rows]
        terms = outcome_terms(gap, self.tie_parameter, ties=self.ties, link=self.link)
        # An outcome that never happened says nothing, however unlikely it was.
        return np.stack([
            np.where(votes > 0.0, votes * one, 0.0).sum(axis=0)
            for one in (terms.log_prob, terms.score, terms.curvature)
        ])  # fmt: skip


def skewness(met: Meetings) -> Float[Array, " A"]:
    """Of each item's likelihood: the change of its bend over one standard error.

    d bend / d u / bend^(3/2). The ends of a profile interval lie about z^2 / 6 of it, in standard
    errors, beside those of a symmetric one (Sprott 1973). Infinite where one side is unbounded by
    what the item met itself.
    """
    step = 1e-3
    here, up, down = (met.curve(met.estimate + by).bend for by in (0.0, step, -step))
    skew = (up - down) / (2 * step) / np.maximum(here, 1e-200) ** 1.5
    return np.where(met.may_win & met.may_lose, np.abs(skew), np.inf)


def profile_of(met: Meetings, doubt: Float[Array, " A"], cutoff: Float[Array, " A"]) -> Ends:
    """Where twice the profile log-likelihood has fallen by cutoff^2 from its top (Wilks 1938).

    Written in u, the strength at which l_own is seen, the fall is
    l_max - l_own(u) + v l_own'(u)^2 / 2, monotone on either side, at t = u - v l_own'(u); `doubt`
    is v. An item that never lost has no top: the fall counts from the limit, the low end is finite
    and the high end is not.
    """
    far_low, far_high = met.widest
    top = _top(met)
    best = met.curve(top).value
    ends = []
    for side in (-1.0, 1.0):
        limit = far_low if side < 0 else far_high
        u, reached = _fall_to(met, top, best, doubt, 0.5 * cutoff**2, limit, side)
        t = u - doubt * met.curve(u).slope
        ends.append(np.where(reached, t, side * np.inf))
    return Ends(low=ends[0], high=ends[1])


def posterior_of(
    met: Meetings, doubt: Float[Array, " A"], level: float, prior_scale: float
) -> Ends:
    """Equal-tailed intervals of the posterior under a normal prior, by integration on a grid.

    p(t) = integral of exp(l_own(u)) N(u; 0, prior_scale^2) N(t - u; 0, v) du: both ends finite, the
    one that the votes do not bound being the prior's word.
    """
    low, high = _reach_of_posterior(met, prior_scale)
    place = np.linspace(0.0, 1.0, _GRID)
    grid = low[:, None] + place * (high - low)[:, None]
    log_density = np.stack([met.curve(column).value for column in grid.T], axis=1)
    log_density -= 0.5 * (grid / prior_scale) ** 2
    weight = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    ends = [
        _mixture_quantile(grid, weight, np.sqrt(doubt), probability)
        for probability in ((1 - level) / 2, (1 + level) / 2)
    ]
    return Ends(low=ends[0], high=ends[1])


def variance_of_opponents(
    se: Float[Array, " A"],
    gauge: Float[Array, " A"],
    by_votes: Float[Array, " A"],
    diagonal: Float[Array, " A"],
) -> Float[Array, " A"]:
    """What the doubt of its opponents adds to an item's variance, in units of the item alone.

    The variance of s_i against the mean of the others, less 1 / bend of its own meetings; a prior's
    share of the item is taken off first. se: errors by curvature; gauge: the weight of the item in
    the mean that is 0; by_votes: bend of its meetings; diagonal: the same with the prior's.
    """
    to_others = np.where(gauge < 1.0, 1.0 / np.where(gauge < 1.0, 1.0 - gauge, 1.0), 1.0)
    known = np.maximum(diagonal, 1e-300)
    rest = np.maximum((np.where(np.isfinite(se), se, 0.0) * to_others) ** 2 - 1.0 / known, 0.0)
    share = np.maximum(by_votes / known, 1e-6)
    return np.where(by_votes > 0.0, rest / share**2, 0.0)


def ends_in_gauge(ends: Ends, strengths: Float[Array, " A"], gauge: Float[Array, " A"]) -> Ends:
    """From a strength moved by itself to one against the mean of its island, itself included."""
    # An item alone in its gauge is at 0; its ends are at infinity all the same.
    share = np.where(gauge < 1.0, 1.0 - gauge, 1.0)
    return Ends(
        low=strengths + share * (ends.low - strengths),
        high=strengths + share * (ends.high - strengths),
    )


def _top(met: Meetings) -> Float[Array, " A"]:
    """Where l_own is highest: `_FAR` out where it rises for ever."""
    low, high = met.widest

    def slope(u: Float[Array, " A"]) -> tuple[Array, Array]:
        found = met.curve(u)
        return found.slope, -found.bend

    return _falling_root(slope, low, high, met.estimate)


def _fall_to(
    met: Meetings,
    top: Float[Array, " A"],
    best: Float[Array, " A"],
    doubt: Float[Array, " A"],
    fall: Float[Array, " A"],
    limit: Float[Array, " A"],
    side: float,
) -> tuple[Float[Array, " A"], Bool[Array, " A"]]:
    """Where, on one side of the top, the profile has fallen by `fall`, and whether it ever does."""

    def missing(u: Float[Array, " A"]) -> tuple[Array, Array]:
        c = met.curve(u)
        gone = best - c.value + 0.5 * doubt * c.slope**2
        # Falling as u goes up: on the low side what is gone shrinks towards the top.
        return -side * (gone - fall), side * c.slope * (1.0 + doubt * c.bend)

    reached = side * missing(limit)[0] <= 0.0
    # On a parabola the fall is (u - top)^2 (bend + doubt bend^2) / 2.
    bend = np.maximum(met.curve(top).bend, 1e-12)
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
    met: Meetings, prior_scale: float
) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
    """A range outside of which the posterior has nothing: the fall from its mode exceeds 20."""
    precision = 1.0 / prior_scale**2
    far = np.full(len(met.estimate), 20.0 * prior_scale)

    def slope(u: Float[Array, " A"]) -> tuple[Array, Array]:
        c = met.curve(u)
        return c.slope - precision * u, -c.bend - precision

    mode = _falling_root(slope, -far, far, np.zeros(len(far)))
    top = met.curve(mode).value - 0.5 * precision * mode**2
    ends = []
    for side in (-1.0, 1.0):

        def missing(u: Float[Array, " A"], side: float = side) -> tuple[Array, Array]:
            c = met.curve(u)
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
