"""Places in one generated text whose readers go from the top and take the first link they like.

The cascade model (Craswell et al. 2008; Kempe and Mahdian 2008) for the position auctions of
Balseiro et al. (2025). Legend: N advertisers, L places from the top, E sets of advertisers.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array
from penchant.policies.oneshot.auction import Placement, clarke

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
    if not np.isfinite(value).all() or not ((chance >= 0) & (chance <= 1)).all() or num > _MOST:
        raise DataError(
            f"{num} advertisers have values {value} and chances from {chance.min():g} to "
            f"{chance.max():g}; expected up to {_MOST} of them, finite values and chances from 0 "
            "to 1. Of more advertisers keep those with the largest value times chance."
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
