"""The rules of `rules.py` for one decision at a time, in compiled loops.

Each fills `out` with the probability of every arm and returns the arm that the uniform number
`chance` falls on. The two parameters are what the rule's `in_loops` says.

Legend: K arms.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from penchant.fitting.online_linear_fused import means, spread_of
from penchant.numerics.arrays import Array
from penchant.policies.bandits.rules import REACH, STRIDE

# In the order in which `decide` numbers them.
RULES = ("upper_confidence", "inverse_gap", "inverse_gap_loss", "softmax", "thompson")
PLACE = {name: place for place, name in enumerate(RULES)}


def _compiled(function: Callable[..., Any]) -> Any:
    """Division by zero is excluded where it could arise, not looked for at each step."""
    return njit(cache=True, nogil=True, error_model="numpy")(inspect.unwrap(function))


@_compiled
def upper_confidence(
    mean: Array, spread: Array, offered: Array, width: float, floor: float,
    chance: float, out: Array,
) -> int:  # fmt: skip
    """Greedy on mean + width x spread, with a floor shared by all; epsilon-greedy at width 0."""
    K, num, top = len(mean), 0, -math.inf
    for k in range(K):
        if offered[k]:
            num += 1
            top = max(top, mean[k] + width * spread[k])
    least, equal = top - 1e-12 * abs(top), 0
    for k in range(K):
        if offered[k] and mean[k] + width * spread[k] >= least:
            equal += 1
    for k in range(K):
        out[k] = 0.0
        if offered[k]:
            out[k] = floor / num
            if mean[k] + width * spread[k] >= least:
                out[k] += (1.0 - floor) / equal
    return _pick(out, chance)


@_compiled
def softmax(
    mean: Array, spread: Array, offered: Array, temperature: float, unused: float,
    chance: float, out: Array,
) -> int:  # fmt: skip
    """In proportion to exp(mean / temperature)."""
    K, top, total = len(mean), -math.inf, 0.0
    for k in range(K):
        if offered[k]:
            top = max(top, mean[k])
    for k in range(K):
        out[k] = math.exp((mean[k] - top) / temperature) if offered[k] else 0.0
        total += out[k]
    for k in range(K):
        out[k] /= total
    return _pick(out, chance)


@_compiled
def inverse_gap(
    mean: Array, spread: Array, offered: Array, gamma: float, unused: float,
    chance: float, out: Array,
) -> int:  # fmt: skip
    """1 / (K + gamma gap), the rest to the best."""
    K, num, top, rest = len(mean), 0, -1, 1.0
    for k in range(K):
        if offered[k]:
            num += 1
            if top < 0 or mean[k] > mean[top]:
                top = k
    for k in range(K):
        out[k] = 0.0
        if offered[k] and k != top:
            out[k] = 1.0 / (num + gamma * (mean[top] - mean[k]))
            rest -= out[k]
    out[top] = rest
    return _pick(out, chance)


@_compiled
def inverse_gap_loss(
    mean: Array, spread: Array, offered: Array, gamma: float, unused: float,
    chance: float, out: Array,
) -> int:  # fmt: skip
    """l_b / (K l_b + gamma (l_k - l_b)) with losses 1 - mean cut to 0 to 1, the rest to b."""
    K, num, top, least, rest = len(mean), 0, -1, 0.0, 1.0
    for k in range(K):
        if offered[k]:
            num += 1
            loss = min(max(1.0 - mean[k], 0.0), 1.0)
            if top < 0 or loss < least:
                top, least = k, loss
    for k in range(K):
        out[k] = 0.0
        if offered[k] and k != top:
            below = num * least + gamma * (min(max(1.0 - mean[k], 0.0), 1.0) - least)
            out[k] = least / below if below > 0.0 else 1.0 / num
            rest -= out[k]
    out[top] = rest
    return _pick(out, chance)


@_compiled
def thompson(
    mean: Array, spread: Array, offered: Array, width: float, unused: float,
    chance: float, out: Array,
) -> int:  # fmt: skip
    """The probability of each arm to be best, as `rules.best_probability` takes it."""
    K, size, begin = len(mean), 1.0, -math.inf
    for k in range(K):
        out[k] = 0.0
        if offered[k]:
            size = max(size, abs(mean[k]))
    for k in range(K):
        if offered[k]:
            begin = max(begin, mean[k] - REACH * max(width * spread[k], 1e-12 * size))
    place, m, s, num = np.empty(K, dtype=np.int64), np.empty(K), np.empty(K), 0
    end = begin
    for k in range(K):
        if offered[k]:
            s[num] = max(width * spread[k], 1e-12 * size)
            if mean[k] + REACH * s[num] > begin:
                place[num], m[num] = k, mean[k]
                end = max(end, m[num] + REACH * s[num])
                num += 1
    below, others = np.zeros((2, num)), np.zeros((2, num))
    if num == 1:
        others[0, 0] = 1.0
    t, total, now, share = begin, 0.0, 0, np.zeros(num)
    while t < end:
        after, step = end, math.inf
        for i in range(num):
            if m[i] - REACH * s[i] > t:
                after = min(after, m[i] - REACH * s[i])
            elif t < m[i] + REACH * s[i]:
                step = min(step, STRIDE * s[i])
        t = min(t + step, after)
        now, before, product = 1 - now, now, 1.0
        for i in range(num):
            below[now, i] = _below((t - m[i]) / s[i])
            others[now, i] = product
            product *= below[now, i]
        product = 1.0
        for i in range(num - 1, -1, -1):
            others[now, i] *= product
            product *= below[now, i]
            added = 0.5 * (others[now, i] + others[before, i])
            added *= below[now, i] - below[before, i]
            share[i] += added
            total += added
    for i in range(num):
        out[place[i]] = share[i] / total
    return _pick(out, chance)


@_compiled
def decide(
    root: Array, weights: Array, size: Array, x: Array, noise: float, is_share: bool,
    offered: Array, rule: int, first: float, second: float, chance: float, out: Array,
) -> int:  # fmt: skip
    """What is believed of each arm in a context, then the rule: `rule` counts in `RULES`.

    is_share: turn log-odds into expected shares first, for rules that count in units of reward.
    All probabilities are NaN for a context with bad numbers.
    """
    mean, spread = np.empty(len(out)), np.zeros(len(out))
    means(weights, x, mean)
    length, total = 0.0, 0.0
    for d in range(len(x)):
        length += x[d] * x[d]
    for k in range(len(out)):
        total += mean[k]
    if not (math.isfinite(length) and math.isfinite(total)):
        out[:] = math.nan
        return 0
    # How far beyond its mean an arm must reach to matter, in standard deviations; 0: not at all.
    reach = first if rule == 0 else REACH * first if rule == 4 else 0.0
    if is_share:
        for k in range(len(out)):
            s = noise * spread_of(root, k, x)
            mean[k] = 1.0 / (1.0 + math.exp(-mean[k] / math.sqrt(1.0 + math.pi / 8.0 * s * s)))
    elif reach > 0.0:
        _spreads(root, size, x, noise, offered, reach, reach if rule == 0 else -reach,
                 math.sqrt(length), mean, spread)  # fmt: skip
    if rule == 0:
        return upper_confidence(mean, spread, offered, first, second, chance, out)
    if rule == 1:
        return inverse_gap(mean, spread, offered, first, second, chance, out)
    if rule == 2:
        return inverse_gap_loss(mean, spread, offered, first, second, chance, out)
    if rule == 3:
        return softmax(mean, spread, offered, first, second, chance, out)
    return thompson(mean, spread, offered, first, second, chance, out)


@_compiled
def _spreads(
    root: Array, size: Array, x: Array, noise: float, offered: Array, reach: float, least: float,
    length: float, mean: Array, spread: Array,
) -> None:  # fmt: skip
    """Fills spread, with an upper bound for arms that cannot matter.

    |root x| is at most |x| times the root of the covariance's trace. An arm whose mean plus reach
    of that stays below mean plus `least` spreads of the arm with the largest mean is not best under
    optimism, nor possibly best for Thompson; nor would it be with its own, smaller spread.
    """
    top = -1
    for k in range(len(mean)):
        if offered[k] and (top < 0 or mean[k] > mean[top]):
            top = k
    spread[top] = noise * spread_of(root, top, x)
    bar = mean[top] + least * spread[top]
    for k in range(len(mean)):
        if k != top and offered[k]:
            # A little more than the bound, for rounding.
            spread[k] = 1.000001 * noise * length * math.sqrt(size[k])
            if mean[k] + reach * spread[k] >= bar - 1e-9 * abs(bar):
                spread[k] = noise * spread_of(root, k, x)


@_compiled
def _below(z: float) -> float:
    """The standard normal distribution; 0 or 1 where a double cannot tell it from them."""
    if z > 8.3:
        return 1.0
    return 0.5 * math.erfc(-z * 0.7071067811865476) if z > -38.0 else 0.0


@_compiled
def _pick(probability: Array, chance: float) -> int:
    """The arm on which chance falls, laid end to end; rounding goes to the last possible one."""
    reached, last = 0.0, 0
    for k in range(len(probability)):
        if probability[k] > 0.0:
            reached += probability[k]
            last = k
            if chance < reached:
                return k
    return last
