"""The panel mixed logit with one person at a time in the cache, all arithmetic in registers.

A person's utilities for all draws (24 rows x 512 draws in single precision: 48 KB) are made,
exponentiated, weighted and folded into the scores before the next person is looked at; people x
draws x features is never held. Measured on one Zen 5 core in single precision, 5,000 people x 8
choices x 4 options x 10 random coefficients x 512 draws: 23 ms, of which the two matrix products
take 11, at 80 % of the peak of the arithmetic units; a hundred times less than a pass over arrays.

Tastes come in units of log2(e), so that exp is 2**x. Probabilities of a draw's answers are
multiplied as mantissas with exponents apart: no logarithm per draw, no underflow. Utility
differences beyond 69 (single) or 690 (double) count as that much.

Legend: N rows of differences, B choices, G people, V varying and F fixed features, D all,
P spreads, C blocks, S draws (padded to whole registers), K pairs of features.
"""

import numpy as np

from penchant.numerics.arrays import Array
from penchant.numerics.lanes import (
    add,
    compiled,
    divide,
    exp2,
    exponent,
    load,
    mantissa,
    matmul,
    multiply,
    multiply_add,
    spread,
    store,
    subtract,
    total,
)

# Columns of draws are padded to a multiple of this.
PADDING = 64


@compiled
def _answer_probabilities(
    menu_start: Array, first: int, last: int, share: Array, weight: Array, limit: float
) -> None:
    """Utilities in `share` become choice probabilities; `weight` gets prod p as mantissa, exponent.

    Two registers at once: one alone would wait for its own chain of operations.
    """
    origin = menu_start[first]
    unit, nothing = spread(limit / limit), spread(limit - limit)
    lanes = 64 // share.itemsize
    for s in range(0, weight.shape[1], 2 * lanes):
        t = s + lanes
        product_s, product_t = unit, unit
        power_s, power_t = nothing, nothing
        for b in range(first, last):
            norm_s, norm_t = unit, unit
            for n in range(menu_start[b] - origin, menu_start[b + 1] - origin):
                odds_s = exp2(load(share, n, s), limit)
                odds_t = exp2(load(share, n, t), limit)
                store(share, n, s, odds_s)
                store(share, n, t, odds_t)
                norm_s, norm_t = add(norm_s, odds_s), add(norm_t, odds_t)
            chosen_s, chosen_t = divide(unit, norm_s), divide(unit, norm_t)
            for n in range(menu_start[b] - origin, menu_start[b + 1] - origin):
                store(share, n, s, multiply(load(share, n, s), chosen_s))
                store(share, n, t, multiply(load(share, n, t), chosen_t))
            product_s, product_t = multiply(product_s, chosen_s), multiply(product_t, chosen_t)
            power_s = add(power_s, exponent(product_s))
            power_t = add(power_t, exponent(product_t))
            product_s, product_t = mantissa(product_s), mantissa(product_t)
        store(weight, 0, s, product_s)
        store(weight, 0, t, product_t)
        store(weight, 1, s, power_s)
        store(weight, 1, t, power_t)


@compiled
def _draw_weights(weight: Array, num_draws: int, limit: float) -> tuple[float, float]:
    """Likelihood of each draw relative to the largest power of two; its sum, and that power."""
    lanes = 64 // weight.itemsize
    top = weight[1, 0]
    for s in range(1, num_draws):
        top = max(top, weight[1, s])
    for s in range(num_draws, weight.shape[1]):
        weight[0, s] = 0
    sums = spread(limit - limit)
    tops = spread(top)
    for s in range(0, weight.shape[1], lanes):
        scaled = multiply(load(weight, 0, s), exp2(subtract(load(weight, 1, s), tops), limit))
        store(weight, 0, s, scaled)
        sums = add(sums, scaled)
    return total(sums), float(top)


@compiled
def _dot(a: Array, row: int, b: Array, other: int) -> float:
    lanes = 64 // b.itemsize
    first = multiply(load(a, row, 0), load(b, other, 0))
    second = multiply(load(a, row, lanes), load(b, other, lanes))
    third = multiply(load(a, row, 2 * lanes), load(b, other, 2 * lanes))
    fourth = multiply(load(a, row, 3 * lanes), load(b, other, 3 * lanes))
    for s in range(4 * lanes, b.shape[1], 4 * lanes):
        first = multiply_add(load(a, row, s), load(b, other, s), first)
        t = s + lanes
        second = multiply_add(load(a, row, t), load(b, other, t), second)
        t += lanes
        third = multiply_add(load(a, row, t), load(b, other, t), third)
        t += lanes
        fourth = multiply_add(load(a, row, t), load(b, other, t), fourth)
    return total(add(add(first, second), add(third, fourth)))


@compiled
def _scale_rows(a: Array, b: Array, shared: bool) -> None:
    """a *= b row by row, or a *= b[0] in every row."""
    lanes = 64 // b.itemsize
    for d in range(a.shape[0]):
        row = 0 if shared else d
        for s in range(0, b.shape[1], lanes):
            store(a, d, s, multiply(load(a, d, s), load(b, row, s)))


@compiled
def _price_slope(slope: Array, tastes: Array, price: int, unit: float) -> None:
    """slope[price] = sum_v taste_v slope_v: the price's coefficient multiplies every taste."""
    lanes = 64 // tastes.itemsize
    factor = spread(unit)
    for s in range(0, tastes.shape[1], lanes):
        result = multiply(load(tastes, 0, s), load(slope, 0, s))
        for d in range(1, tastes.shape[0]):
            result = multiply_add(load(tastes, d, s), load(slope, d, s), result)
        store(slope, price, s, multiply(result, factor))


@compiled
def _most_rows(menu_start: Array, group_start: Array, begin: int, end: int) -> int:
    most = 1
    for g in range(begin, end):
        most = max(most, menu_start[group_start[g + 1]] - menu_start[group_start[g]])
    return most


@compiled
def panel_pass(
    varying_x: Array,
    fixed_x: Array,
    fixed_utility: Array,
    menu_start: Array,
    group_start: Array,
    block: Array,
    tastes: Array,
    slopes: Array,
    basis: Array,
    coefficient: Array,
    draw: Array,
    price: int,
    num_draws: int,
    limit: float,
    unit: float,
    begin: int,
    end: int,
    log_likelihood: Array,
    scores: Array,
) -> None:
    """People begin:end into log_likelihood [G] and scores [G, V + F + P].

    slopes [C, V, S], or [0, 0, 0] where all are one. unit is log(2) in the working precision.
    """
    num_varying, num_fixed, length = varying_x.shape[1], fixed_x.shape[1], tastes.shape[2]
    lanes = 64 // tastes.itemsize
    # One register more than a power of two, or all rows would compete for the same cache lines.
    share = np.empty(
        (_most_rows(menu_start, group_start, begin, end), length + lanes), tastes.dtype
    )
    slope = np.empty((num_varying, length + lanes), tastes.dtype)
    weight = np.empty((2, length), tastes.dtype)
    nothing = np.zeros(num_varying, tastes.dtype)
    for g in range(begin, end):
        first, last = group_start[g], group_start[g + 1]
        n, taste = menu_start[first], tastes[block[g]]
        rows = menu_start[last] - n
        matmul(
            fixed_utility[n:], varying_x, n, 0, num_varying, 1, rows, num_varying,
            taste, 0, length, share, 0,
        )  # fmt: skip
        _answer_probabilities(menu_start, first, last, share, weight, limit)
        likelihood, power = _draw_weights(weight, num_draws, limit)
        log_likelihood[g] = np.log(likelihood / num_draws) + power * np.log(2.0)
        matmul(
            nothing, varying_x, n, 0, 1, num_varying, num_varying, rows,
            share, 0, length, slope, 0,
        )  # fmt: skip
        _scale_rows(slope, weight[:1], True)
        if price >= 0:
            _price_slope(slope, taste, price, unit)
        if slopes.shape[0] > 0:
            _scale_rows(slope, slopes[block[g]], False)
        for v in range(num_varying):
            sums = load(slope, v, 0)
            for s in range(lanes, length, lanes):
                sums = add(sums, load(slope, v, s))
            scores[g, v] = -total(sums) / likelihood
        for p in range(len(draw)):
            result = _dot(slope, coefficient[p], basis[block[g]], draw[p])
            scores[g, num_varying + num_fixed + p] = -result / likelihood
        for d in range(num_fixed):
            scores[g, num_varying + d] = 0.0
        if num_fixed > 0:
            for r in range(rows):
                mean = _dot(share, r, weight, 0) / likelihood
                for d in range(num_fixed):
                    scores[g, num_varying + d] -= mean * fixed_x[n + r, d]


@compiled
def panel_moments(
    varying_x: Array,
    all_x: Array,
    fixed_utility: Array,
    menu_start: Array,
    group_start: Array,
    group_weight: Array,
    block: Array,
    tastes: Array,
    num_draws: int,
    limit: float,
    begin: int,
    end: int,
    first_moment: Array,
    second_moment: Array,
) -> None:
    """Adds people begin:end to first_moment [C, D, S] and second_moment [C, K, S]."""
    num_varying, num_features, length = varying_x.shape[1], all_x.shape[1], tastes.shape[2]
    num_pairs = num_features * (num_features + 1) // 2
    lanes = 64 // tastes.itemsize
    most = _most_rows(menu_start, group_start, begin, end)
    share = np.empty((most, length + lanes), tastes.dtype)
    outer = np.empty((most, num_pairs), tastes.dtype)
    mean = np.empty((num_features, length + lanes), tastes.dtype)
    slope = np.empty((num_features, length + lanes), tastes.dtype)
    bend = np.empty((num_pairs, length + lanes), tastes.dtype)
    weight = np.empty((2, length), tastes.dtype)
    nothing = np.zeros(num_pairs, tastes.dtype)
    for g in range(begin, end):
        first, last = group_start[g], group_start[g + 1]
        n, taste = menu_start[first], tastes[block[g]]
        rows = menu_start[last] - n
        matmul(
            fixed_utility[n:], varying_x, n, 0, num_varying, 1, rows, num_varying,
            taste, 0, length, share, 0,
        )  # fmt: skip
        _answer_probabilities(menu_start, first, last, share, weight, limit)
        likelihood, _ = _draw_weights(weight, num_draws, limit)
        for r in range(rows):
            k = 0
            for d in range(num_features):
                for e in range(d + 1):
                    outer[r, k] = all_x[n + r, d] * all_x[n + r, e]
                    k += 1
        matmul(nothing, outer, 0, 0, 1, num_pairs, num_pairs, rows, share, 0, length, bend, 0)
        slope[:] = 0
        for b in range(first, last):
            matmul(
                nothing, all_x, menu_start[b], 0, 1, num_features, num_features,
                menu_start[b + 1] - menu_start[b], share, menu_start[b] - n, length, mean, 0,
            )  # fmt: skip
            k = 0
            for d in range(num_features):
                for s in range(0, length, lanes):
                    store(slope, d, s, add(load(slope, d, s), load(mean, d, s)))
                for e in range(d + 1):
                    for s in range(0, length, lanes):
                        both = multiply(load(mean, d, s), load(mean, e, s))
                        store(bend, k, s, subtract(load(bend, k, s), both))
                    k += 1
        factor = spread(weight.dtype.type(group_weight[g] / likelihood))
        for s in range(0, length, lanes):
            store(weight, 0, s, multiply(load(weight, 0, s), factor))
        ones, twos = first_moment[block[g]], second_moment[block[g]]
        k = 0
        for d in range(num_features):
            for s in range(0, length, lanes):
                change = multiply(load(weight, 0, s), load(slope, d, s))
                store(ones, d, s, subtract(load(ones, d, s), change))
            for e in range(d + 1):
                for s in range(0, length, lanes):
                    both = multiply(load(slope, d, s), load(slope, e, s))
                    change = subtract(both, load(bend, k, s))
                    store(twos, k, s, multiply_add(load(weight, 0, s), change, load(twos, k, s)))
                k += 1
