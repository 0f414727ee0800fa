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
from penchant.policies.bandits.probability_of_best import REACH, STRIDE

# In the order in which `decide` numbers them.
RULES = ("upper_confidence", "inverse_gap", "inverse_gap_loss", "softmax", "thompson")
PLACE = {name: place for place, name in enumerate(RULES)}
# The normal distribution and its density on a grid, for `_shares`: eight times as fast as erfc.
_PER_UNIT, _TABLE_END = 128.0, 8.4
_MIDDLE = int(_TABLE_END * _PER_UNIT) + 1
_GRID = np.arange(-_MIDDLE, _MIDDLE + 1) / _PER_UNIT
_PHI = np.array([0.5 * math.erfc(-z / math.sqrt(2.0)) for z in _GRID])
_DENSITY = np.exp(-0.5 * _GRID**2) / math.sqrt(2.0 * math.pi)


def _compiled(function: Callable[..., Any]) -> Any:
    """Division by zero is excluded where it could arise, not looked for at each step; sums may be
    reordered, and NaN stays NaN."""
    return njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})(
        inspect.unwrap(function)
    )


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
    """The probability of each arm to be best, as `best_probability` takes it; NaN of all
    where a mean or a spread is no number."""
    K, size, top, begin, total = len(mean), 1.0, -1, -math.inf, 0.0
    for k in range(K):
        out[k] = 0.0
        if offered[k]:
            size = max(size, abs(mean[k]))
            total += mean[k] + spread[k]
            if top < 0 or mean[k] > mean[top]:
                top = k
    if not math.isfinite(total):
        out[:] = math.nan
        return 0
    least = 1e-12 * size
    for k in range(K):
        if offered[k]:
            begin = max(begin, mean[k] - REACH * max(width * spread[k], least))
    num, other, wide = 0, top, max(width * spread[top], least)
    for k in range(K):
        if offered[k]:
            s = max(width * spread[k], least)
            if mean[k] + REACH * s > begin and _may_win(mean[top] - mean[k], wide, s):
                out[k] = 1.0
                num += 1
                if k != top:
                    other = k
    if num == 1:
        return top
    if num == 2:
        apart = math.hypot(wide, max(width * spread[other], least))
        out[top] = _below((mean[top] - mean[other]) / apart)
        out[other] = _below((mean[other] - mean[top]) / apart)
        return _pick(out, chance)
    place, m, s = np.empty(num, dtype=np.int64), np.empty(num), np.empty(num)
    i = 0
    for k in range(K):
        if out[k] > 0.0:
            place[i], m[i], s[i] = k, mean[k], max(width * spread[k], least)
            i += 1
    share = _shares(m, s, begin)
    total = share.sum()
    for i in range(num):
        out[place[i]] = share[i] / total
    return _pick(out, chance)


@_compiled
def _may_win(gap: float, wide: float, s: float) -> bool:
    """gap < REACH hypot(wide, s); the root is taken where it matters alone."""
    if gap < REACH * max(wide, s):
        return True
    return gap < REACH * (wide + s) and gap < REACH * math.hypot(wide, s)


@_compiled
def _shares(m: Array, s: Array, begin: float) -> Array:
    """The integral over arms that may all be best, their sum not yet 1."""
    num, narrow, end, t = len(m), 0, begin, begin
    share, before, others = np.zeros(num), np.zeros(num), np.zeros(num)
    for i in range(num):
        end = max(end, m[i] + REACH * s[i])
    now, unit = np.empty(num), 1.0 / s
    is_passed = True
    while t < end:
        if is_passed:
            narrow = -1
            for i in range(num):
                if t < m[i] + REACH * s[i] and (narrow < 0 or s[i] < s[narrow]):
                    narrow = i
        t = min(t + STRIDE * s[narrow], end)
        is_passed = t >= m[narrow] + REACH * s[narrow]
        product = 1.0
        for i in range(num):
            # The normal distribution by Taylor's series around the nearest point of a table.
            z = min(max((t - m[i]) * unit[i], -_TABLE_END), _TABLE_END)
            at = int(z * _PER_UNIT + (_MIDDLE + 0.5))
            z0 = (at - _MIDDLE) / _PER_UNIT
            d, square = z - z0, z0 * z0
            series = z0 * (3.0 - square) * d / 24.0 + (square - 1.0) / 6.0
            now[i] = _PHI[at] + _DENSITY[at] * d * (1.0 + d * (series * d - 0.5 * z0))
            product *= now[i]
        for i in range(num):
            # No arm begins after `begin`: nothing here is below Phi(-REACH), and dividing is safe.
            beside = product / now[i]
            share[i] += 0.5 * (beside + others[i]) * (now[i] - before[i])
            others[i], before[i] = beside, now[i]
    return share


@_compiled
def decide(
    root: Array, rows: Array, x: Array, noise: float, is_share: bool,
    offered: Array, rule: int, first: float, second: float, chance: float, out: Array,
) -> int:  # fmt: skip
    """What is believed of each arm in a context, then the rule: `rule` counts in `RULES`.

    is_share: turn log-odds into expected shares first, for rules that count in units of reward.
    All probabilities are NaN for a context with bad numbers.
    """
    mean, spread = np.empty(len(out)), np.zeros(len(out))
    means(rows, x, mean)
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
        _spreads(root, rows, x, noise, offered, reach, rule == 4, math.sqrt(length), mean, spread)
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
    root: Array, rows: Array, x: Array, noise: float, offered: Array, reach: float,
    is_drawn: bool, length: float, mean: Array, spread: Array,
) -> None:  # fmt: skip
    """Fills spread, but for arms that cannot matter: theirs is left as it was, 0.

    |root x| is at most |x| times the root of the covariance's largest eigenvalue, which `rows` tell
    a bound of. An arm that with this spread
    does not come up to the one with the largest mean is not best under optimism (by reach times
    both spreads), nor possibly best for Thompson (by reach times the spread of their difference);
    nor would it be with its own, smaller spread, or with none.
    """
    top = -1
    for k in range(len(mean)):
        if offered[k] and (top < 0 or mean[k] > mean[top]):
            top = k
    spread[top] = noise * spread_of(root, top, x)
    # All in units of reach and squared, a little wider for rounding.
    unit, wide = 1.0 / reach, spread[top]
    bound, least = (1.000001 * noise * length) ** 2, -1e-9 * abs(mean[top])
    for k in range(len(mean)):
        if k != top and offered[k]:
            gap = max(unit * (mean[top] - mean[k] + least), 0.0)
            apart = gap * gap - wide * wide if is_drawn else (gap + wide) * (gap + wide)
            if apart <= bound * rows[k, len(x)]:
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
