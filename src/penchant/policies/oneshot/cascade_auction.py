"""Places in one generated text whose readers go from the top and take the first link they like.

The cascade model (Craswell et al. 2008; Kempe and Mahdian 2008) for the position auctions of
Balseiro et al. (2025). Legend: N advertisers, L places from the top, E sets of advertisers.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array
from penchant.policies.oneshot.auction import Placement, best_ratio, clarke, matching

# 2^N sets of advertisers are looked at for each place: 16 take a second.
_MOST = 16


def cascade_clicks(chance: Float[Array, "N L"], place: Int[Array, " N"]) -> Float[Array, " N"]:
    """p_il prod over those above (1 - p): a link is taken if it attracts and none above did.

    chance: that a link attracts, at each place. place: of each advertiser, -1 where not shown.
    """
    shown = np.flatnonzero(place >= 0)
    order = shown[np.argsort(place[shown])]
    own = chance[order, place[order]]
    found = np.zeros(len(place))
    found[order] = own * np.concatenate([[1.0], np.cumprod(1.0 - own)[:-1]])
    return found


def place_in_cascade(
    value: Float[Array, " N"], chance: Float[Array, "N L"], most: int | None = None
) -> Placement:
    """The placement with the largest sum_i v_i pi_i, at most `most` advertisers; exact.

    From the last place up: with the advertisers in S already above, what a place and those below
    are worth is W_l(S) = max(W_{l+1}(S), max_{i not in S} v_i p_il + (1 - p_il) W_{l+1}(S + i)).
    A link below one of less value never pays, but where chances depend on the place no order is
    best for all, so that all sets are looked at.

    Raises `DataError` for values that are not finite, chances outside 0 to 1, or more than sixteen
    advertisers.
    """
    num, places = chance.shape
    _check(value, chance)
    if num > _MOST:
        raise DataError(
            f"there are {num} advertisers; expected up to {_MOST}, since all sets of them are "
            "looked at. Take `place_many`, which is worth at least half of the best."
        )
    sets = np.arange(1 << num)
    inside = (sets[:, None] >> np.arange(num)) & 1
    room = inside.sum(axis=1) < (num if most is None else most)
    below, taken = np.zeros(len(sets)), np.empty((places, len(sets)), dtype=np.int64)
    for place in range(places - 1, -1, -1):
        best, who = below.copy(), np.full(len(sets), -1)
        for i in range(num):
            can = room & (inside[:, i] == 0)
            worth = np.full(len(sets), -np.inf)
            p = chance[i, place]
            worth[can] = value[i] * p + (1.0 - p) * below[sets[can] | (1 << i)]
            is_better = worth > best + 1e-15
            best, who = np.where(is_better, worth, best), np.where(is_better, i, who)
        below, taken[place] = best, who
    found, above = np.full(num, -1), 0
    for place in range(places):
        i = int(taken[place, above])
        if i >= 0:
            found[i], above = place, above | (1 << i)
    click = cascade_clicks(chance, found)
    return Placement(place=found, click=click, total=float(value @ click))


def cascade_payments(
    value: Float[Array, " N"], chance: Float[Array, "N L"], most: int | None = None
) -> tuple[Placement, Float[Array, " N"]]:
    """The best placement, and what each pays a reader under which the truth is best (`clarke`)."""
    return clarke(value, chance, lambda v, p: place_in_cascade(v, p, most))


def place_many(
    value: Float[Array, " N"], chance: Float[Array, "N L"], most: int | None = None
) -> Placement:
    """A placement of hundreds of advertisers that is worth at least half of the best, by matchings.

    For a price t of a reader, G(t) is the most that a matching gains by sum_i (v_i - t) p_il. Who
    is shown in it has v_i >= t, so that with r the share of readers who take nothing its welfare is
    at least t (1 - r) + r G(t), whatever the order; and no placement is worth more than t + G(t)
    (`worth_at_most`). Where t = G(t), which `best_ratio` finds, that is t and 2 t: prices as in
    prophet inequalities (Samuel-Cahn 1984). Given is the best of this matching and those that
    `worth_at_most` meets. Balseiro et al. have a constant too, which is not known to us.

    Raises `DataError` for values that are not finite, or chances outside 0 to 1.
    """
    _check(value, chance)
    sides = [best_ratio(value, chance, most).place, *_matchings(value, chance, most)[1]]
    clicks = [cascade_clicks(chance, place) for place in sides]
    best = int(np.argmax([value @ click for click in clicks]))
    return Placement(place=sides[best], click=clicks[best], total=float(value @ clicks[best]))


def worth_at_most(
    value: Float[Array, " N"], chance: Float[Array, "N L"], most: int | None = None
) -> float:
    """min_t t + G(t) of `place_many`: no placement is worth more, in whatever order it is read.

    Clicks of a placement are p_il times the share of readers who come so far, at most 1, and at
    most 1 in all: sum v p y = sum (v - t) p y + t sum p y <= G(t) + t. Raises as `place_many`.
    """
    _check(value, chance)
    return _matchings(value, chance, most)[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class ThinnedPlacement:
    """As `Placement`, where each of those shown is drawn for each reader. shown: with that
    probability, for a reader who took none of those above."""

    place: Int[Array, " N"]
    click: Float[Array, " N"]
    total: float
    shown: Float[Array, " N"]


def truthful_payments(
    value: Float[Array, " N"], chance: Float[Array, "N L"], most: int | None = None
) -> tuple[ThinnedPlacement, Float[Array, " N"]]:
    """A placement of hundreds of advertisers that is worth at least half of the best, and what each
    pays a reader, under which to bid one's value is best.

    Each of a matching is shown just often enough that it is taken with probability p_il / (1 +
    sum p) wherever it stands, which readers who leave make room for. Welfare is then sum v p /
    (1 + sum p), whose largest value over all matchings is found exactly (`best_ratio`), and is half
    of the best at least (`place_many`); what is exact over what may be shown (maximal in range:
    Dobzinski and Dughmi 2009) leaves nobody a gain by a lie with Clarke's payments. `place_many`
    is worth more, and leaves some.

    Raises `DataError` as `place_many`.
    """
    _check(value, chance)
    found, pays = clarke(value, chance, lambda v, p: best_ratio(v, p, most))
    in_place = np.flatnonzero(found.place >= 0)
    order = in_place[np.argsort(found.place[in_place])]
    own = chance[order, found.place[order]]
    share = 1.0 / (1.0 + own.sum())
    shown = np.zeros(len(value))
    shown[order] = share / (1.0 - share * (np.cumsum(own) - own))
    return ThinnedPlacement(
        place=found.place, click=found.click, total=found.total, shown=shown
    ), pays


def _matchings(
    value: Float[Array, " N"], chance: Float[Array, "N L"], most: int | None
) -> tuple[float, list[Int[Array, " N"]]]:
    """The least t + G(t), and the matchings that were met on the way to it.

    A largest sum over matchings is convex in t, one line for each: the two lines known on both
    sides of the lowest point cross at the next t, until no line lies above their crossing.
    """
    met = list[Array]()

    def line(t: float) -> tuple[float, float]:
        place = matching((value - t)[:, None] * chance, most)
        met.append(place)
        own = np.where(place >= 0, chance[np.arange(len(value)), np.maximum(place, 0)], 0.0)
        return float(value @ own), 1.0 - float(own.sum())

    left, right = line(0.0), (0.0, 1.0)
    if left[1] >= 0.0:
        return left[0], met
    while True:
        t = (left[0] - right[0]) / (right[1] - left[1])
        lowest, found = left[0] + left[1] * t, line(t)
        if found[0] + found[1] * t <= lowest * (1.0 + 1e-12):
            return lowest, met
        if found[1] < 0.0:
            left = found
        else:
            right = found


def _check(value: Float[Array, " N"], chance: Float[Array, "N L"]) -> None:
    is_chance: Bool[Array, "N L"] = (chance >= 0) & (chance <= 1)
    if not np.isfinite(value).all() or not is_chance.all():
        raise DataError(
            f"{len(value)} advertisers have values {value} and chances from {chance.min():g} to "
            f"{chance.max():g}; expected finite values and chances from 0 to 1."
        )
