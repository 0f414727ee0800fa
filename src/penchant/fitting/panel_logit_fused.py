"""The panel mixed logit with one person at a time in the cache, all arithmetic in registers.

A person's utilities for all draws (24 rows x 512 draws in single precision: 48 KB) are made,
exponentiated, weighted and folded into the scores before the next person is looked at; people x
draws x features is never held. Measured on one Zen 5 core in single precision, 5,000 people x 8
choices x 4 options x 10 random coefficients x 512 draws: 23 ms with shared draws, of which the two
matrix products take 11, at 80 % of the peak of the arithmetic units.

Features that make utilities come multiplied by log2(e), so that exp is 2**x. Probabilities of a
draw's answers are multiplied as mantissas with exponents apart: no logarithm per draw, no
underflow. Utility differences beyond 69 (single) or 690 (double) count as that much.

Legend: N rows of differences, B choices, G people, V varying and F fixed features, D all,
R random coefficients, P spreads, C blocks, S draws (padded to whole registers).
"""

import numpy as np

from penchant.numerics.arrays import Array
from penchant.numerics.lanes import (
    add,
    compiled,
    divide,
    exp2,
    exponent,
    is_positive,
    load,
    mantissa,
    multiply,
    multiply_add,
    positive_part,
    spread,
    store,
    subtract,
    total,
)
from penchant.numerics.lanes_product import matmul
from penchant.populations.normal import CENSORED, CONSTANT, EXPONENTIAL, SHARED


@compiled
def answer_probabilities(
    menu_start: Array, first: int, last: int, share: Array, weight: Array, limit: float
) -> None:
    """Utilities in `share` become choice probabilities; `weight`, a mantissa and an exponent for
    each draw, is multiplied by prod p.

    Two registers at once: one alone would wait for its own chain of operations.
    """
    origin = menu_start[first]
    unit = spread(limit / limit)
    lanes = 64 // share.itemsize
    for s in range(0, weight.shape[1], 2 * lanes):
        t = s + lanes
        product_s, product_t = load(weight, 0, s), load(weight, 0, t)
        power_s, power_t = load(weight, 1, s), load(weight, 1, t)
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
def draw_weights(weight: Array, num_draws: int, limit: float) -> tuple[float, float]:
    """Weight of each draw relative to the largest power of two; their sum, and that power."""
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
def dot(a: Array, row: int, b: Array, other: int, length: int) -> float:
    lanes = 64 // b.itemsize
    first = multiply(load(a, row, 0), load(b, other, 0))
    second = multiply(load(a, row, lanes), load(b, other, lanes))
    third = multiply(load(a, row, 2 * lanes), load(b, other, 2 * lanes))
    fourth = multiply(load(a, row, 3 * lanes), load(b, other, 3 * lanes))
    for s in range(4 * lanes, length, 4 * lanes):
        first = multiply_add(load(a, row, s), load(b, other, s), first)
        t = s + lanes
        second = multiply_add(load(a, row, t), load(b, other, t), second)
        t += lanes
        third = multiply_add(load(a, row, t), load(b, other, t), third)
        t += lanes
        fourth = multiply_add(load(a, row, t), load(b, other, t), fourth)
    return total(add(add(first, second), add(third, fourth)))


@compiled
def reset(weight: Array, limit: float) -> None:
    """One as mantissa, zero as exponent, for every draw."""
    lanes = 64 // weight.itemsize
    for s in range(0, weight.shape[1], lanes):
        store(weight, 0, s, spread(limit / limit))
        store(weight, 1, s, spread(limit - limit))


@compiled
def _weigh(a: Array, row: int, weight: Array, other: int, length: int) -> float:
    """a[row] *= weight[other]; returns the sum of what it becomes."""
    lanes = 64 // a.itemsize
    first = multiply(load(a, row, 0), load(weight, other, 0))
    second = multiply(load(a, row, lanes), load(weight, other, lanes))
    store(a, row, 0, first)
    store(a, row, lanes, second)
    for s in range(2 * lanes, length, 2 * lanes):
        t = s + lanes
        one = multiply(load(a, row, s), load(weight, other, s))
        two = multiply(load(a, row, t), load(weight, other, t))
        store(a, row, s, one)
        store(a, row, t, two)
        first, second = add(first, one), add(second, two)
    return total(add(first, second))


@compiled
def multiply_rows(a: Array, row: int, b: Array, other: int, length: int) -> None:
    """a[row] *= b[other]."""
    lanes = 64 // a.itemsize
    for s in range(0, length, lanes):
        store(a, row, s, multiply(load(a, row, s), load(b, other, s)))


@compiled
def add_product(a: Array, row: int, b: Array, one: int, c: Array, two: int, length: int) -> None:
    """a[row] += b[one] * c[two]."""
    lanes = 64 // a.itemsize
    for s in range(0, length, lanes):
        product = multiply_add(load(b, one, s), load(c, two, s), load(a, row, s))
        store(a, row, s, product)


@compiled
def _price_slope(slope: Array, tastes: Array, price: int, length: int) -> None:
    """slope[price] = sum_v taste_v slope_v: the price's coefficient multiplies every taste."""
    multiply_rows(slope, price, tastes, price, length)
    for d in range(tastes.shape[0]):
        if d != price:
            add_product(slope, price, tastes, d, slope, d, length)


@compiled
def _triangular_product(start: Array, root: Array, b: Array, length: int, out: Array) -> None:
    """out = start + root @ b for a lower triangular root: the zeros above it are mostly skipped."""
    size = root.shape[0]
    for r in range(0, size, 4):
        rows = min(4, size - r)
        matmul(start, r, root, r, 0, size, 1, rows, r + rows, b, 0, length, out, r)


@compiled
def most_rows(menu_start: Array, group_start: Array, begin: int, end: int) -> int:
    most = 1
    for g in range(begin, end):
        most = max(most, menu_start[group_start[g + 1]] - menu_start[group_start[g]])
    return most


@compiled
def own_deviates(
    centre: Array, root: Array, inverse: Array, is_kin: Array, num_wide: int, num_draws: int,
    draws: Array, basis: Array, z: Array, weight: Array, length: int, half: float, limit: float,
) -> None:  # fmt: skip
    """Deviates z from a mixture: the first num_wide draws from the population, the others around
    the person's own, centre + root @ draws. `weight` gets population over mixture density.

    Rows that are no normal deviates get their shared basis and no weight. half: log2(e) / 2.
    """
    lanes = 64 // z.itemsize
    size = z.shape[0]
    _triangular_product(centre, root, draws, length, z)
    volume = 0.0
    for r in range(size):
        if is_kin[r]:
            volume -= np.log2(root[r, r])
    start, factor, unit = spread(z.dtype.type(volume)), spread(half), spread(limit / limit)
    wide = spread(z.dtype.type(num_wide / num_draws))
    narrow = spread(z.dtype.type(1.0 - num_wide / num_draws))
    for s in range(0, length, lanes):
        # log2 of own over population density, at draws from the one or the other.
        power = start
        for r in range(size):
            if is_kin[r]:
                other = load(draws, r, s)
                own = load(z, r, s)
                if s < num_wide:
                    own = other
                    store(z, r, s, own)
                    other = spread(limit - limit)
                    for e in range(r + 1):
                        apart = subtract(load(draws, e, s), spread(centre[e]))
                        other = multiply_add(spread(inverse[r, e]), apart, other)
                change = subtract(multiply(own, own), multiply(other, other))
                power = multiply_add(factor, change, power)
        mixed = divide(unit, multiply_add(narrow, exp2(power, limit), wide))
        store(weight, 0, s, mantissa(mixed))
        store(weight, 1, s, exponent(mixed))
    for r in range(size):
        if not is_kin[r]:
            for s in range(0, length, lanes):
                store(z, r, s, load(basis, r, s))


@compiled
def own_tastes(
    code: Array, row: Array, sign: Array, location: Array, root: Array, price: int, z: Array,
    values: Array, shared_slopes: Array, taste: Array, slope: Array, length: int, log2_e: float,
    limit: float, has_slopes: bool, is_dense: bool,
) -> None:  # fmt: skip
    """Tastes and their slopes from a person's own deviates."""
    lanes = 64 // z.itemsize
    nothing, unit, base_2 = spread(limit - limit), spread(limit / limit), spread(log2_e)
    if is_dense:
        _triangular_product(location, root, z, length, taste)
    for v in range(taste.shape[0]):
        r, kind, side = row[v], code[v], spread(sign[v])
        if kind == SHARED:
            for s in range(0, length, lanes):
                store(taste, v, s, load(values, v, s))
                store(slope, v, s, load(shared_slopes, v, s))
            continue
        start, own = spread(location[v]), spread(root[r, r])
        if kind == CONSTANT:
            own = nothing
        if not is_dense:
            for s in range(0, length, lanes):
                store(taste, v, s, multiply_add(own, load(z, max(r, 0), s), start))
            if kind != CONSTANT:
                for e in range(r):
                    if root[r, e] != 0.0:
                        other = spread(root[r, e])
                        for s in range(0, length, lanes):
                            value = multiply_add(other, load(z, e, s), load(taste, v, s))
                            store(taste, v, s, value)
        if not has_slopes:
            continue
        for s in range(0, length, lanes):
            value, change = load(taste, v, s), unit
            if kind == EXPONENTIAL:
                value = exp2(multiply(base_2, value), limit)
                change = value
            elif kind == CENSORED:
                change = is_positive(value)
                value = positive_part(value)
            store(taste, v, s, multiply(side, value))
            store(slope, v, s, multiply(side, change))
    if price < 0:
        return
    for s in range(0, length, lanes):
        scale = load(taste, price, s)
        if code[price] == CONSTANT:
            scale = exp2(multiply(base_2, scale), limit)
        else:
            scale = multiply(spread(sign[price]), scale)
        for v in range(taste.shape[0]):
            store(taste, v, s, multiply(scale, load(taste, v, s)))
            store(slope, v, s, multiply(scale, load(slope, v, s)))
        store(taste, price, s, subtract(nothing, scale))
        store(slope, price, s, unit)


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
    has_slopes: bool,
    has_own: bool,
    centre: Array,
    own_root: Array,
    own_inverse: Array,
    is_kin: Array,
    num_wide: int,
    deviates: Array,
    code: Array,
    row: Array,
    sign: Array,
    location: Array,
    root: Array,
    num_draws: int,
    limit: float,
    log2_e: float,
    begin: int,
    end: int,
    log_likelihood: Array,
    scores: Array,
) -> None:
    """People begin:end into log_likelihood [G] and scores [G, V + F + P].

    With has_own each person's deviates are centre + own_root @ deviates and tastes are made from
    them; otherwise all people of a block share the tastes, slopes and basis given.
    """
    num_varying, num_fixed, length = varying_x.shape[1], fixed_x.shape[1], basis.shape[2]
    lanes = 64 // basis.itemsize
    # One register more than a power of two, or all rows would compete for the same cache lines.
    share = np.empty((most_rows(menu_start, group_start, begin, end), length + lanes), basis.dtype)
    slope = np.empty((num_varying, length + lanes), basis.dtype)
    own_taste = np.empty((num_varying, length + lanes), basis.dtype)
    own_slope = np.empty((num_varying, length + lanes), basis.dtype)
    z = np.empty((basis.shape[1], length + lanes), basis.dtype)
    weight = np.empty((2, length), basis.dtype)
    nothing = np.zeros(num_varying, basis.dtype)
    half, log_2 = log2_e / (limit / limit + limit / limit), np.log(2.0)
    is_dense = price < 0 and len(draw) > 2 * num_varying and num_varying == root.shape[0]
    for g in range(begin, end):
        first, last = group_start[g], group_start[g + 1]
        n, b = menu_start[first], block[g]
        rows = menu_start[last] - n
        reset(weight, limit)
        # One block of tastes stands for all where no coefficient is read from it.
        c = b if len(tastes) > 1 else 0
        taste, change, moves = tastes[c], slopes[c], basis[c]
        if has_own:
            own_deviates(
                centre[g], own_root[g], own_inverse[g], is_kin, num_wide, num_draws, deviates[b],
                moves, z, weight, length, half, limit,
            )  # fmt: skip
            own_tastes(
                code, row, sign, location, root, price, z, taste, change, own_taste, own_slope,
                length, log2_e, limit, has_slopes, is_dense,
            )  # fmt: skip
            taste, change, moves = own_taste, own_slope, z
        matmul(
            fixed_utility, n, varying_x, n, 0, num_varying, 1, rows, num_varying,
            taste, 0, length, share, 0,
        )  # fmt: skip
        answer_probabilities(menu_start, first, last, share, weight, limit)
        likelihood, power = draw_weights(weight, num_draws, limit)
        log_likelihood[g] = np.log(likelihood / num_draws) + power * log_2
        matmul(
            nothing, 0, varying_x, n, 0, 1, num_varying, num_varying, rows,
            share, 0, length, slope, 0,
        )  # fmt: skip
        # The features behind `slope` were in units of log2(e).
        factor = -log_2 / likelihood
        for v in range(num_varying):
            scores[g, v] = factor * _weigh(slope, v, weight, 0, length)
        if price >= 0:
            _price_slope(slope, taste, price, length)
        if has_slopes:
            for v in range(num_varying):
                scores[g, v] = factor * _weigh(slope, v, change, v, length)
        for p in range(len(draw)):
            result = dot(slope, coefficient[p], moves, draw[p], length)
            scores[g, num_varying + num_fixed + p] = factor * result
        for d in range(num_fixed):
            scores[g, num_varying + d] = 0.0
        if num_fixed > 0:
            for r in range(rows):
                mean = dot(share, r, weight, 0, length) / likelihood
                for d in range(num_fixed):
                    scores[g, num_varying + d] -= mean * fixed_x[n + r, d]
