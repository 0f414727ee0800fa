"""Slates: what another policy would have earned where each round shows several items at once.

Every estimator returns one term a round, as in `metrics/off_policy.py`; the slate's value is the
sum of the rewards of its places. They differ in what a place's reward may depend on: the less, the
smaller the weights, and the more is assumed.

Legend: B rounds, L places from the top. `weight[b, l]` is pi / mu of the item at place l given
those above it, so that its product over places is the weight of the whole slate; with policies
that fill places independently it is the weight of the place alone.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array

# Probabilities are often logged in single precision.
_RANGE_TOLERANCE = 1e-5


def slate_ips(weight: Float[Array, "B L"], reward: Float[Array, "B L"]) -> Float[Array, " B"]:
    """prod_l w_l sum_l r_l: a place's reward may depend on the whole slate."""
    return weight.prod(axis=1) * reward.sum(axis=1)


def independent_ips(weight: Float[Array, "B L"], reward: Float[Array, "B L"]) -> Float[Array, " B"]:
    """sum_l w_l r_l, `weight` of each place alone: an item is taken or left whatever stands around
    it, the position-based and item-position models (Li et al. 2018)."""
    return (weight * reward).sum(axis=1)


def cascade_ips(weight: Float[Array, "B L"], reward: Float[Array, "B L"]) -> Float[Array, " B"]:
    """sum_l (prod_{m <= l} w_m) r_l: people read from the top, so that a place's reward depends on
    it and those above. Reward-interaction IPS (McInerney et al. 2020)."""
    return (np.cumprod(weight, axis=1) * reward).sum(axis=1)


def cascade_doubly_robust(
    weight: Float[Array, "B L"],
    reward: Float[Array, "B L"],
    predicted: Float[Array, "B L"],
    value: Float[Array, "B L"],
) -> Float[Array, " B"]:
    """sum_l [W_l (r_l - Q_l) + W_{l-1} V_l], W_l = prod_{m <= l} w_m (Kiyohara et al. 2022).

    predicted: Q_l, the reward expected from place l on, given the slate down to l; value: V_l, the
    target's mean of Q_l over the item at l, given the slate above. Q_l takes in what follows, so
    the residual at l is that of r_l + V_{l+1}, which the sum telescopes to.
    """
    down_to = np.cumprod(weight, axis=1)
    above = np.column_stack([np.ones(len(weight)), down_to[:, :-1]])
    return (down_to * (reward - predicted) + above * value).sum(axis=1)


def pseudo_inverse(
    target: Float[Array, "B L K"],
    shown: Float[Array, "B L K"],
    second_moment: Float[Array, "B LK LK"],
    reward: Float[Array, " B"],
) -> Float[Array, " B"]:
    """r q' Gamma^+ 1_s: a slate's reward is a sum of unknown parts, one an item and place.

    target: the target's probability of item k at place l; shown: 1 where the logged slate has it;
    second_moment: Gamma = E_mu[1_s 1_s'] over places and items, row by row; reward: of the whole
    slate, parts need not be seen (Swaminathan et al. 2017, equation 5). Weights grow with the
    number of places times items, not with its power.

    Raises DataError where q is no combination of what the log shows, that is outside the range of
    Gamma: an item at a place where it never stands, or slates whose parts the log never takes
    apart.
    """
    weight = pseudo_inverse_weights(target, second_moment)
    return reward * (weight * shown).sum(axis=(1, 2))


def pseudo_inverse_weights(
    target: Float[Array, "B L K"], second_moment: Float[Array, "B LK LK"]
) -> Float[Array, "B L K"]:
    """q' Gamma^+: what each item at each place adds to the weight of a slate that has it. Arguments
    and errors as of `pseudo_inverse`."""
    wanted = target.reshape(len(target), -1)
    solved = np.linalg.pinv(second_moment, hermitian=True) @ wanted[:, :, None]
    # Outside the range the pseudo-inverse answers for the nearest policy within, without a word.
    apart = np.abs((second_moment @ solved)[:, :, 0] - wanted).max(axis=1)
    never = apart > _RANGE_TOLERANCE
    if never.any():
        row = int(np.argmax(never))
        raise DataError(
            f"in round {row} the target shows an item at a place where the logging policy never "
            "does, or items together whose parts it never takes apart "
            f"({int(never.sum())} rounds are like this); expected slates that combine those of the "
            "log. Leave these rounds out, or use a reward model."
        )
    return np.asarray(solved[:, :, 0].reshape(target.shape))


def independent_second_moment(logged: Float[Array, "B L K"]) -> Float[Array, "B LK LK"]:
    """Gamma of a policy that fills places one by one, item k at place l with `logged[b, l, k]`."""
    num, places, items = logged.shape
    flat = logged.reshape(num, places * items)
    gamma = flat[:, :, None] * flat[:, None, :]
    place = np.repeat(np.arange(places), items)
    same = place[:, None] == place
    # Of one place exactly one item is shown.
    gamma = np.where(same, 0.0, gamma)
    diagonal = np.arange(places * items)
    gamma[:, diagonal, diagonal] = flat
    return gamma


def second_moment_in_turn(law: Float[Array, "B K"], num_places: int) -> Float[Array, "B LK LK"]:
    """Gamma of places drawn one by one from what is left of `law`, as in `in_turn`.

    Sums over all slates, K^L of them a round: for few places and items.
    """
    slates, (num, items) = _slates(law, num_places), law.shape
    gamma = np.zeros((num, num_places, items, num_places, items))
    every = np.arange(items)
    for first in range(num_places):
        for second in range(first, num_places):
            others = tuple(1 + at for at in range(num_places) if at not in (first, second))
            both = slates.sum(axis=others)
            if first == second:
                gamma[:, first, every, first, every] = both
            else:
                gamma[:, first, :, second, :] = both
                gamma[:, second, :, first, :] = both.swapaxes(1, 2)
    return gamma.reshape(num, num_places * items, num_places * items)


def _slates(law: Float[Array, "B K"], num_places: int) -> Float[Array, "..."]:
    """The probability of every slate, one axis a place."""
    items = law.shape[1]
    found, left, same = law, 1.0 - law, np.eye(items, dtype=bool)
    for place in range(1, num_places):
        coming = law.reshape(len(law), *(1,) * place, items)
        with np.errstate(invalid="ignore", divide="ignore"):
            chance = np.where(
                left[..., None] > 1e-12, found[..., None] * coming / left[..., None], 0
            )
        for above in range(place):
            axes = [items if at in (above, place) else 1 for at in range(place + 1)]
            chance = np.where(same.reshape(1, *axes), 0.0, chance)
        found, left = chance, left[..., None] - coming
    return found


def uniform_second_moment(places: int, items: int) -> Float[Array, "LK LK"]:
    """Gamma of a ranking drawn at random: every order of `places` out of `items` alike."""
    place, item = np.repeat(np.arange(places), items), np.tile(np.arange(items), places)
    other = (place[:, None] != place) & (item[:, None] != item)
    gamma = np.where(other, 1.0 / max(items * (items - 1), 1), 0.0)
    return gamma + np.eye(places * items) / items


def in_turn(law: Float[Array, "B K"], item: Int[Array, "B L"]) -> Float[Array, "B L"]:
    """P(the item at each place, given those above), where places are drawn one by one from what is
    left of `law`: p_l / (1 - sum_{m<l} p_m), Plackett 1975. item: -1 beyond the last place, whose
    chance is 1. NaN where nothing was left to draw from."""
    p = np.where(item >= 0, np.take_along_axis(law, np.maximum(item, 0), axis=1), 0.0)
    left = 1.0 - np.cumsum(p, axis=1) + p
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = np.where(left > 1e-12, p / left, np.nan)
    return np.where(item >= 0, chance, 1.0)


def of_place(law: Float[Array, "B K"], num_places: int) -> Float[Array, "B L K"]:
    """P(item k stands at place l), whoever stands above it, drawn one by one as in `in_turn`.

    Sums over all that may stand above, for up to three places. Raises DataError for more.
    """
    if num_places > 3:
        raise DataError(
            f"slates have {num_places} places; expected at most 3, as the chances of a place alone "
            "are sums over everything that may stand above it. Judge by cascade or slate weights."
        )
    found = [law]
    with np.errstate(invalid="ignore", divide="ignore"):
        odds = law / (1.0 - law)
        if num_places > 1:
            found.append(law * (odds.sum(axis=1, keepdims=True) - odds))
        if num_places > 2:
            left = 1.0 - law[:, :, None] - law[:, None, :]
            # Two items that are all there is leave no third; rounding must not make one up.
            both = np.where(left > 1e-12, odds[:, :, None] * law[:, None, :] / left, np.nan)
            both = np.where(np.eye(law.shape[1], dtype=bool) | (law[:, None, :] == 0), 0.0, both)
            both = np.where(law[:, :, None] == 0, 0.0, both)
            whole = both.sum(axis=(1, 2))[:, None]
            found.append(law * (whole - both.sum(axis=1) - both.sum(axis=2)))
    return np.stack(found[:num_places], axis=1)
