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
R random coefficients, P spreads, C blocks, S draws (padded to whole registers), K pairs of
features.
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
    matmul,
    multiply,
    multiply_add,
    positive_part,
    spread,
    store,
    subtract,
    total,
)

# The shapes of a coefficient, as populations.normal.TasteRecipe has them.
_SHARED, _EXPONENTIAL, _CENSORED, _CONSTANT = 0, 2, 3, 4


@compiled
def _answer_probabilities(
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
def _draw_weights(weight: Array, num_draws: int, limit: float) -> tuple[float, float]:
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
def _dot(a: Array, row: int, b: Array, other: int, length: int) -> float:
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
def _row_sum(a: Array, row: int, length: int) -> float:
    lanes = 64 // a.itemsize
    sums = load(a, row, 0)
    for s in range(lanes, length, lanes):
        sums = add(sums, load(a, row, s))
    return total(sums)


@compiled
def _reset(weight: Array, limit: float) -> None:
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
def _multiply_rows(a: Array, row: int, b: Array, other: int, length: int) -> None:
    """a[row] *= b[other]."""
    lanes = 64 // a.itemsize
    for s in range(0, length, lanes):
        store(a, row, s, multiply(load(a, row, s), load(b, other, s)))


@compiled
def _add_product(a: Array, row: int, b: Array, one: int, c: Array, two: int, length: int) -> None:
    """a[row] += b[one] * c[two]."""
    lanes = 64 // a.itemsize
    for s in range(0, length, lanes):
        product = multiply_add(load(b, one, s), load(c, two, s), load(a, row, s))
        store(a, row, s, product)


@compiled
def _price_slope(slope: Array, tastes: Array, price: int, length: int) -> None:
    """slope[price] = sum_v taste_v slope_v: the price's coefficient multiplies every taste."""
    _multiply_rows(slope, price, tastes, price, length)
    for d in range(tastes.shape[0]):
        if d != price:
            _add_product(slope, price, tastes, d, slope, d, length)


@compiled
def _triangular_product(start: Array, root: Array, b: Array, length: int, out: Array) -> None:
    """out = start + root @ b for a lower triangular root: the zeros above it are mostly skipped."""
    size = root.shape[0]
    for r in range(0, size, 4):
        rows = min(4, size - r)
        matmul(start, r, root, r, 0, size, 1, rows, r + rows, b, 0, length, out, r)


@compiled
def _most_rows(menu_start: Array, group_start: Array, begin: int, end: int) -> int:
    most = 1
    for g in range(begin, end):
        most = max(most, menu_start[group_start[g + 1]] - menu_start[group_start[g]])
    return most


@compiled
def _own_deviates(
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
def _own_tastes(
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
        if kind == _SHARED:
            for s in range(0, length, lanes):
                store(taste, v, s, load(values, v, s))
                store(slope, v, s, load(shared_slopes, v, s))
            continue
        start, own = spread(location[v]), spread(root[r, r])
        if kind == _CONSTANT:
            own = nothing
        if not is_dense:
            for s in range(0, length, lanes):
                store(taste, v, s, multiply_add(own, load(z, max(r, 0), s), start))
            if kind != _CONSTANT:
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
            if kind == _EXPONENTIAL:
                value = exp2(multiply(base_2, value), limit)
                change = value
            elif kind == _CENSORED:
                change = is_positive(value)
                value = positive_part(value)
            store(taste, v, s, multiply(side, value))
            store(slope, v, s, multiply(side, change))
    if price < 0:
        return
    for s in range(0, length, lanes):
        scale = load(taste, price, s)
        if code[price] == _CONSTANT:
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
    share = np.empty((_most_rows(menu_start, group_start, begin, end), length + lanes), basis.dtype)
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
        _reset(weight, limit)
        # One block of tastes stands for all where no coefficient is read from it.
        c = b if len(tastes) > 1 else 0
        taste, change, moves = tastes[c], slopes[c], basis[c]
        if has_own:
            _own_deviates(
                centre[g], own_root[g], own_inverse[g], is_kin, num_wide, num_draws, deviates[b],
                moves, z, weight, length, half, limit,
            )  # fmt: skip
            _own_tastes(
                code, row, sign, location, root, price, z, taste, change, own_taste, own_slope,
                length, log2_e, limit, has_slopes, is_dense,
            )  # fmt: skip
            taste, change, moves = own_taste, own_slope, z
        matmul(
            fixed_utility, n, varying_x, n, 0, num_varying, 1, rows, num_varying,
            taste, 0, length, share, 0,
        )  # fmt: skip
        _answer_probabilities(menu_start, first, last, share, weight, limit)
        likelihood, power = _draw_weights(weight, num_draws, limit)
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
            result = _dot(slope, coefficient[p], moves, draw[p], length)
            scores[g, num_varying + num_fixed + p] = factor * result
        for d in range(num_fixed):
            scores[g, num_varying + d] = 0.0
        if num_fixed > 0:
            for r in range(rows):
                mean = _dot(share, r, weight, 0, length) / likelihood
                for d in range(num_fixed):
                    scores[g, num_varying + d] -= mean * fixed_x[n + r, d]


@compiled
def _person_information(
    all_x: Array,
    menu_start: Array,
    first: int,
    last: int,
    share: Array,
    outer: Array,
    nothing: Array,
    mean: Array,
    slope: Array,
    bend: Array,
    length: int,
) -> None:
    """slope = sum_b E[x] and bend = sum_b Cov[x] over the options of each choice, for all draws."""
    lanes = 64 // share.itemsize
    n, num_features, num_pairs = menu_start[first], all_x.shape[1], bend.shape[0]
    rows = menu_start[last] - n
    for r in range(rows):
        k = 0
        for d in range(num_features):
            for e in range(d + 1):
                outer[r, k] = all_x[n + r, d] * all_x[n + r, e]
                k += 1
    matmul(nothing, 0, outer, 0, 0, 1, num_pairs, num_pairs, rows, share, 0, length, bend, 0)
    for d in range(num_features):
        for s in range(0, length, lanes):
            store(slope, d, s, spread(nothing[0]))
    for b in range(first, last):
        matmul(
            nothing, 0, all_x, menu_start[b], 0, 1, num_features, num_features,
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
        n = menu_start[first]
        rows = menu_start[last] - n
        _reset(weight, limit)
        matmul(
            fixed_utility, n, varying_x, n, 0, num_varying, 1, rows, num_varying,
            tastes[block[g]], 0, length, share, 0,
        )  # fmt: skip
        _answer_probabilities(menu_start, first, last, share, weight, limit)
        likelihood, _ = _draw_weights(weight, num_draws, limit)
        _person_information(
            all_x, menu_start, first, last, share, outer, nothing, mean, slope, bend, length
        )
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
                    added = multiply_add(load(weight, 0, s), change, load(twos, k, s))
                    store(twos, k, s, added)
                k += 1


@compiled
def _contract(
    bend: Array, moves: Array, scratch: Array, start: Array, draw: Array, length: int,
    hessian: Array,
) -> None:  # fmt: skip
    """hessian += sum_s sum_de bend_de c_d c_e', c_d = (1, moves[draw[p]] for the spreads p of d).

    `start` bounds each feature's spreads among all; parameters are features, then spreads.
    """
    size = len(start) - 1
    k = 0
    for d in range(size):
        for e in range(d + 1):
            value = _row_sum(bend, k, length)
            hessian[d, e] += value
            if d != e:
                hessian[e, d] += value
            for q in range(start[e], start[e + 1]):
                value = _dot(bend, k, moves, draw[q], length)
                hessian[d, size + q] += value
                hessian[size + q, d] += value
            for p in range(start[d], start[d + 1]):
                lanes = 64 // bend.itemsize
                for s in range(0, length, lanes):
                    store(scratch, 0, s, multiply(load(bend, k, s), load(moves, draw[p], s)))
                if d != e:
                    value = _row_sum(scratch, 0, length)
                    hessian[e, size + p] += value
                    hessian[size + p, e] += value
                for q in range(start[e], start[e + 1]):
                    value = _dot(scratch, 0, moves, draw[q], length)
                    hessian[size + p, size + q] += value
                    if d != e:
                        hessian[size + q, size + p] += value
            k += 1


@compiled
def panel_curvature(
    varying_x: Array,
    all_x: Array,
    fixed_utility: Array,
    menu_start: Array,
    group_start: Array,
    group_weight: Array,
    block: Array,
    values: Array,
    slopes: Array,
    bends: Array,
    basis: Array,
    bend_basis: Array,
    start: Array,
    draw: Array,
    price: int,
    has_slopes: bool,
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
    hessian: Array,
) -> None:
    """Adds E[J'(h h' - A) J + h'd2 taste] of people begin:end, who have deviates of their own.

    Parameters are the V varying features, the fixed ones, then the spreads; `all_x` has its columns
    in that order, `start` [D + 1] bounds each feature's spreads.
    """
    num_varying, num_features, length = varying_x.shape[1], all_x.shape[1], basis.shape[2]
    num_pairs = num_features * (num_features + 1) // 2
    lanes = 64 // basis.itemsize
    wide, dtype = length + lanes, basis.dtype
    most = _most_rows(menu_start, group_start, begin, end)
    share, outer = np.empty((most, wide), dtype), np.empty((most, num_pairs), dtype)
    mean, slope = np.empty((num_features, wide), dtype), np.empty((num_features, wide), dtype)
    bend, scratch = np.empty((num_pairs, wide), dtype), np.empty((1, wide), dtype)
    taste, change = np.empty((num_varying, wide), dtype), np.empty((num_varying, wide), dtype)
    pull = np.empty((num_varying, wide), dtype)
    z = np.empty((basis.shape[1], wide), dtype)
    weight, nothing = np.empty((2, length), dtype), np.zeros(num_pairs, dtype)
    half = log2_e / (limit / limit + limit / limit)
    is_dense = price < 0 and len(draw) > 2 * num_varying and num_varying == root.shape[0]
    scale = np.empty((1, wide), dtype)
    for g in range(begin, end):
        first, last = group_start[g], group_start[g + 1]
        n, b = menu_start[first], block[g]
        rows = menu_start[last] - n
        c = b if len(values) > 1 else 0
        _reset(weight, limit)
        _own_deviates(
            centre[g], own_root[g], own_inverse[g], is_kin, num_wide, num_draws, deviates[b],
            basis[c], z, weight, length, half, limit,
        )  # fmt: skip
        _own_tastes(
            code, row, sign, location, root, price, z, values[c], slopes[c], taste, change, length,
            log2_e, limit, has_slopes, is_dense,
        )  # fmt: skip
        matmul(
            fixed_utility, n, varying_x, n, 0, num_varying, 1, rows, num_varying,
            taste, 0, length, share, 0,
        )  # fmt: skip
        _answer_probabilities(menu_start, first, last, share, weight, limit)
        likelihood, _ = _draw_weights(weight, num_draws, limit)
        _person_information(
            all_x, menu_start, first, last, share, outer, nothing, mean, slope, bend, length
        )
        factor = spread(weight.dtype.type(group_weight[g] / likelihood))
        for s in range(0, length, lanes):
            store(weight, 0, s, multiply(load(weight, 0, s), factor))
        # bend becomes w (h h' - A), slope becomes w h.
        k = 0
        for d in range(num_features):
            for e in range(d + 1):
                for s in range(0, length, lanes):
                    both = multiply(load(slope, d, s), load(slope, e, s))
                    both = subtract(both, load(bend, k, s))
                    store(bend, k, s, multiply(load(weight, 0, s), both))
                k += 1
        for s in range(0, length, lanes):
            store(weight, 0, s, subtract(spread(limit - limit), load(weight, 0, s)))
        for d in range(num_features):
            _multiply_rows(slope, d, weight, 0, length)
        if price >= 0:
            # Before any slope: pull_d = sum_e taste_e (w (h h' - A))_de + w h_d.
            for d in range(num_varying):
                for s in range(0, length, lanes):
                    store(pull, d, s, load(slope, d, s))
                for e in range(num_varying):
                    k = max(d, e) * (max(d, e) + 1) // 2 + min(d, e)
                    _add_product(pull, d, bend, k, taste, e, length)
        for d in range(num_varying if has_slopes else 0):
            # The second derivative of exp is exp; of the shared ones it stands in `bends`.
            k = d * (d + 1) // 2 + d
            for e in range(num_features):
                j = max(d, e) * (max(d, e) + 1) // 2 + min(d, e)
                _multiply_rows(bend, j, change, d, length)
                if e == d:
                    _multiply_rows(bend, j, change, d, length)
            if code[d] == _EXPONENTIAL and d != price:
                _add_product(bend, k, slope, d, change, d, length)
        if price >= 0:
            for d in range(num_varying):
                j = max(d, price) * (max(d, price) + 1) // 2 + min(d, price)
                for s in range(0, length, lanes):
                    store(bend, j, s, multiply(load(pull, d, s), load(change, d, s)))
            j = price * (price + 1) // 2 + price
            for s in range(0, length, lanes):
                store(bend, j, s, spread(limit - limit))
            for d in range(num_varying):
                _add_product(bend, j, pull, d, taste, d, length)
        _contract(bend, z, scratch, start, draw, length, hessian)
        for d in range(num_varying):
            if code[d] == _SHARED:
                for s in range(0, length, lanes):
                    store(scratch, 0, s, multiply(load(slope, d, s), load(bends[c], d, s)))
                if price >= 0:
                    for s in range(0, length, lanes):
                        store(scale, 0, s, subtract(spread(limit - limit), load(taste, price, s)))
                    _multiply_rows(scratch, 0, scale, 0, length)
                hessian[d, d] += _row_sum(scratch, 0, length)
                for p in range(start[d], start[d + 1]):
                    once = _dot(scratch, 0, bend_basis[c], draw[p], length)
                    hessian[d, num_features + p] += once
                    hessian[num_features + p, d] += once
                    _multiply_rows(scratch, 0, bend_basis[c], draw[p], length)
                    twice = _dot(scratch, 0, bend_basis[c], draw[p], length)
                    hessian[num_features + p, num_features + p] += twice


@compiled
def _solve(matrix: Array, lower: Array, right: Array) -> float:
    """right becomes matrix^-1 right by Cholesky; returns its largest entry.

    By hand because numba takes four seconds to compile its own.
    """
    size = len(right)
    for i in range(size):
        for j in range(i + 1):
            value = matrix[i, j]
            for k in range(j):
                value -= lower[i, k] * lower[j, k]
            lower[i, j] = np.sqrt(value) if i == j else value / lower[j, j]
    for i in range(size):
        for k in range(i):
            right[i] -= lower[i, k] * right[k]
        right[i] /= lower[i, i]
    largest = 0.0
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            right[i] -= lower[k, i] * right[k]
        right[i] /= lower[i, i]
        largest = max(largest, abs(right[i]))
    return largest


@compiled
def posterior_modes(
    x: Array,
    fixed_utility: Array,
    menu_start: Array,
    group_start: Array,
    code: Array,
    row: Array,
    sign: Array,
    location: Array,
    root: Array,
    shared: Array,
    price: int,
    is_kin: Array,
    max_steps: int,
    begin: int,
    end: int,
    mode: Array,
    precision: Array,
) -> None:
    """Each person's most likely deviates, given their answers, and the curvature there.

    Newton with the Gauss-Newton curvature I + J'A J, which is positive, from `mode` on. `shared`
    stands for coefficients that are no function of a normal deviate.
    """
    num_varying, size = x.shape[1], root.shape[0]
    most = _most_rows(menu_start, group_start, begin, end)
    odds, taste, change = np.empty(most), np.empty(num_varying), np.empty(num_varying)
    mean, slope = np.empty(num_varying), np.empty(num_varying)
    info, jacobian = np.empty((num_varying, num_varying)), np.zeros((num_varying, size))
    moved, trial, gradient = np.empty((num_varying, size)), np.empty(size), np.empty(size)
    lower = np.zeros((size, size))
    for g in range(begin, end):
        first, last = group_start[g], group_start[g + 1]
        n = menu_start[first]
        value, length, steps = -np.inf, 1.0, 0
        for r in range(size):
            trial[r] = mode[g, r]
        while True:
            here = 0.0
            for r in range(size):
                here -= 0.5 * trial[r] * trial[r]
            for v in range(num_varying):
                eta = location[v]
                if code[v] == _SHARED:
                    eta = shared[v]
                elif code[v] != _CONSTANT:
                    for e in range(row[v] + 1):
                        eta += root[row[v], e] * trial[e]
                taste[v], change[v] = eta, 1.0
                if code[v] == _EXPONENTIAL:
                    taste[v] = np.exp(min(eta, 50.0))
                    change[v] = taste[v]
                elif code[v] == _CENSORED:
                    taste[v], change[v] = max(eta, 0.0), 1.0 if eta > 0 else 0.0
                if code[v] != _SHARED:
                    taste[v] *= sign[v]
                    change[v] *= sign[v]
            if price >= 0:
                scale = np.exp(taste[price]) if code[price] == _CONSTANT else abs(taste[price])
                for v in range(num_varying):
                    taste[v] *= scale
                    change[v] *= scale
                taste[price], change[price] = -scale, 0.0
            for v in range(num_varying):
                slope[v] = 0.0
                for w in range(v + 1):
                    info[v, w] = 0.0
            for b in range(first, last):
                norm, top = 0.0, 0.0
                for m in range(menu_start[b], menu_start[b + 1]):
                    utility = fixed_utility[m]
                    for v in range(num_varying):
                        utility += x[m, v] * taste[v]
                    odds[m - n] = utility
                    top = max(top, utility)
                norm = np.exp(-top)
                for m in range(menu_start[b], menu_start[b + 1]):
                    odds[m - n] = np.exp(odds[m - n] - top)
                    norm += odds[m - n]
                here -= top + np.log(norm)
                for v in range(num_varying):
                    mean[v] = 0.0
                for m in range(menu_start[b], menu_start[b + 1]):
                    p = odds[m - n] / norm
                    for v in range(num_varying):
                        weighted = p * x[m, v]
                        mean[v] += weighted
                        for w in range(v + 1):
                            info[v, w] += weighted * x[m, w]
                for v in range(num_varying):
                    slope[v] -= mean[v]
                    for w in range(v + 1):
                        info[v, w] -= mean[v] * mean[w]
            if not here >= value:
                if length < 1e-6:
                    break
                length *= 0.25
                for r in range(size):
                    trial[r] = mode[g, r] + length * gradient[r]
                continue
            value = here
            for r in range(size):
                mode[g, r] = trial[r]
            for v in range(num_varying):
                for w in range(v):
                    info[w, v] = info[v, w]
                for e in range(size):
                    jacobian[v, e] = 0.0
                    if code[v] != _SHARED and code[v] != _CONSTANT and is_kin[e]:
                        jacobian[v, e] = change[v] * root[row[v], e]
                    if price >= 0 and code[price] != _CONSTANT:
                        jacobian[v, e] += taste[v] * root[row[price], e]
            for v in range(num_varying):
                for e in range(size):
                    result = 0.0
                    for w in range(num_varying):
                        result += info[v, w] * jacobian[w, e]
                    moved[v, e] = result
            for e in range(size):
                gradient[e] = -trial[e]
                for v in range(num_varying):
                    gradient[e] += jacobian[v, e] * slope[v]
                for f in range(e + 1):
                    result = 1.0 if e == f else 0.0
                    for v in range(num_varying):
                        result += jacobian[v, e] * moved[v, f]
                    precision[g, e, f] = result
                    precision[g, f, e] = result
            largest = _solve(precision[g], lower, gradient)
            steps += 1
            if largest < 0.05 or steps >= max_steps:
                break
            length = 1.0
            for r in range(size):
                trial[r] = mode[g, r] + gradient[r]
