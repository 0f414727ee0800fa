"""Places in one generated text, sold to advertisers: who stands where, and what each pays.

Readers take one link or none, by a conditional logit over what is shown (Balseiro et al. 2025,
Position auctions in AI-generated content). Legend: N advertisers, L places, M levels of value.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Placement:
    """place: of each advertiser, -1 where not shown. click: the probability that readers take it.
    total: sum of value times click, the welfare if values are true."""

    place: Int[Array, " N"]
    click: Float[Array, " N"]
    total: float


def click_rates(attraction: Float[Array, "N L"], place: Int[Array, " N"]) -> Float[Array, " N"]:
    """w_i / (1 + sum_j w_j) over those shown, w = exp(utility) there; 1 is the link not taken."""
    shown = place >= 0
    own = np.where(shown, attraction[np.arange(len(place)), np.maximum(place, 0)], 0.0)
    return own / (1.0 + own.sum())


def place_best(
    value: Float[Array, " N"],
    attraction: Float[Array, "N L"],
    most: int | None = None,
) -> Placement:
    """The placement with the largest sum_i v_i pi_i, at most `most` advertisers (`best_ratio`).

    attraction: exp(utility) of advertiser i at place l, above 0. Raises `DataError` for values that
    are not finite or attractions that are not positive.
    """
    if not np.isfinite(value).all() or not (np.isfinite(attraction) & (attraction > 0)).all():
        raise DataError(
            f"values are {value} and attractions {attraction.min()} to {attraction.max()}; "
            "expected finite values, and attractions above 0 (exponentials of utilities)."
        )
    return best_ratio(value, attraction, most)


def best_ratio(
    value: Float[Array, " N"], attraction: Float[Array, "N L"], most: int | None = None
) -> Placement:
    """max sum_i v_i w_i / (1 + sum_i w_i) over placements of at most `most` advertisers.

    A ratio of two sums over a matching, solved as a row of matchings (Dinkelbach 1967): for a level
    t, match with gains (v_i - t) w_il; the t at which the best gain is t itself is the largest
    ratio. What is worth less than that is not shown: it would take readers from the others.
    """
    level = 0.0
    # Each step solves the matching exactly and levels only rise: there are no more than matchings,
    # and in practice four or five.
    while True:
        place = matching((value - level)[:, None] * attraction, most)
        click = click_rates(attraction, place)
        found = float(value @ click)
        if not found > level * (1.0 + 1e-12) + 1e-300:
            return Placement(place=place, click=click, total=max(found, 0.0))
        level = found


def clarke_payments(
    value: Float[Array, " N"], attraction: Float[Array, "N L"], most: int | None = None
) -> tuple[Placement, Float[Array, " N"]]:
    """The best placement, and what each pays a reader: what the others lose by him (Clarke 1971).

    p_i = W_{-i} - (W - v_i pi_i). To bid one's value is then best, whatever others bid.
    """
    return clarke(value, attraction, lambda v, w: place_best(v, w, most))


def clarke(
    value: Float[Array, " N"],
    links: Float[Array, "N L"],
    best_of: Callable[[Array, Array], Placement],
) -> tuple[Placement, Float[Array, " N"]]:
    """The same of any way in which readers take links, as `best_of` solves it exactly."""
    best = best_of(value, links)
    pays = np.zeros(len(value))
    for i in np.flatnonzero(best.place >= 0):
        without = np.delete(np.arange(len(value)), i)
        other = best_of(value[without], links[without]).total
        pays[i] = max(other - (best.total - value[i] * best.click[i]), 0.0)
    return best, pays


def virtual_values(
    level: Float[Array, " M"], probability: Float[Array, " M"]
) -> Float[Array, " M"]:
    """Ironed virtual values of a law on increasing levels of value (Myerson 1981).

    Slopes of the least concave curve above revenue R(q) = q v(q), q the probability of a value at
    least v; what a seller gains by selling a little more to that level. Never falling in the level.

    Raises `DataError` for levels that do not rise, or probabilities that are not above 0 and 1 in
    all.
    """
    from scipy.optimize import isotonic_regression

    if not (np.diff(level) > 0).all() or not (
        (probability > 0).all() and np.isclose(probability.sum(), 1.0)
    ):
        raise DataError(
            f"levels of value are {level} with probabilities {probability}; expected levels that "
            "rise, each with a probability above 0, 1 in all. Leave out levels that nobody has."
        )

    at_least = np.cumsum(probability[::-1])[::-1]
    revenue = np.concatenate([at_least * level, [0.0]])
    slope = (revenue[:-1] - revenue[1:]) / probability
    # Slopes of the least concave majorant are the slopes pooled until they rise with the level.
    return np.asarray(isotonic_regression(slope, weights=probability).x)


def threshold_payments(
    level: Float[Array, " M"],
    reported: Int[Array, " N"],
    click_at: Callable[[int, int], float],
) -> Float[Array, " N"]:
    """What each pays so that the truth is best, values being among `level` (Myerson 1981).

    p_i = v_i pi_i(v_i) - sum_{m < v_i} (v_{m+1} - v_m) pi_i(v_m). reported: each one's place in
    `level`. click_at(i, m): the clicks of i if he alone reported level m; it may not fall in m.
    """
    pays = np.zeros(len(reported))
    for i, told in enumerate(reported):
        clicks = np.array([click_at(i, m) for m in range(int(told) + 1)])
        pays[i] = level[told] * clicks[-1] - np.diff(level[: told + 1]) @ clicks[:-1]
    return pays


def revenue_best(
    level: Float[Array, " M"],
    probability: Float[Array, " M"],
    reported: Int[Array, " N"],
    attraction: Float[Array, "N L"],
    most: int | None = None,
) -> tuple[Placement, Float[Array, " N"]]:
    """The placement with the largest virtual welfare, and payments under which the truth is best.

    Advertisers draw their values independently from one law. `total` is the virtual welfare, which
    on average is what is paid.
    """
    virtual = virtual_values(level, probability)

    def click_at(i: int, m: int) -> float:
        told = np.array(reported)
        told[i] = m
        return float(place_best(virtual[told], attraction, most).click[i])

    best = place_best(virtual[reported], attraction, most)
    return best, threshold_payments(level, reported, click_at)


def matching(gain: Float[Array, "N L"], most: int | None) -> Int[Array, " N"]:
    """The matching of most gain with at most so many pairs; pairs of no gain are left out."""
    from scipy.optimize import linear_sum_assignment

    num, places = gain.shape
    kept = np.maximum(gain, 0.0)
    blocked = places - min(places, num if most is None else most)
    # Places that must stay empty are taken by nobodies, to whom any place is worth more than all.
    wall = np.full((blocked, places), kept.sum() + 1.0)
    row, column = linear_sum_assignment(np.concatenate([kept, wall]), maximize=True)
    place = np.full(num, -1)
    row, column = row[row < num], column[row < num]
    is_gain = gain[row, column] > 0
    place[row[is_gain]] = column[is_gain]
    return place
