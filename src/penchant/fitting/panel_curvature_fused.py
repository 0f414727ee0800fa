"""Second derivatives of the panel mixed logit, one person at a time in the cache.

Built from the parts of `panel_logit_fused.py`. Numba's disk cache does not see changes made there:
after editing it, delete this room's `__pycache__`.

From draws to probabilities and weights each pass makes the same five calls, which are written out:
one function around them would take some thirty arguments and compile once more for each pass.

Legend: N rows of differences, G people, V varying and F fixed features, D all, P spreads,
C blocks, S draws (padded to whole registers), K pairs of features.
"""

import numpy as np

from penchant.fitting.panel_logit_fused import (
    add_product,
    answer_probabilities,
    dot,
    draw_weights,
    most_rows,
    multiply_rows,
    own_deviates,
    own_tastes,
    reset,
)
from penchant.numerics.arrays import Array
from penchant.numerics.lanes import (
    add,
    compiled,
    load,
    multiply,
    multiply_add,
    spread,
    store,
    subtract,
    total,
)
from penchant.numerics.lanes_product import matmul
from penchant.populations.normal import EXPONENTIAL, SHARED


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
    most = most_rows(menu_start, group_start, begin, end)
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
        reset(weight, limit)
        matmul(
            fixed_utility, n, varying_x, n, 0, num_varying, 1, rows, num_varying,
            tastes[block[g]], 0, length, share, 0,
        )  # fmt: skip
        answer_probabilities(menu_start, first, last, share, weight, limit)
        likelihood, _ = draw_weights(weight, num_draws, limit)
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
def _row_sum(a: Array, row: int, length: int) -> float:
    lanes = 64 // a.itemsize
    sums = load(a, row, 0)
    for s in range(lanes, length, lanes):
        sums = add(sums, load(a, row, s))
    return total(sums)


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
                value = dot(bend, k, moves, draw[q], length)
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
                    value = dot(scratch, 0, moves, draw[q], length)
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
    most = most_rows(menu_start, group_start, begin, end)
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
        reset(weight, limit)
        own_deviates(
            centre[g], own_root[g], own_inverse[g], is_kin, num_wide, num_draws, deviates[b],
            basis[c], z, weight, length, half, limit,
        )  # fmt: skip
        own_tastes(
            code, row, sign, location, root, price, z, values[c], slopes[c], taste, change, length,
            log2_e, limit, has_slopes, is_dense,
        )  # fmt: skip
        matmul(
            fixed_utility, n, varying_x, n, 0, num_varying, 1, rows, num_varying,
            taste, 0, length, share, 0,
        )  # fmt: skip
        answer_probabilities(menu_start, first, last, share, weight, limit)
        likelihood, _ = draw_weights(weight, num_draws, limit)
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
            multiply_rows(slope, d, weight, 0, length)
        if price >= 0:
            # Before any slope: pull_d = sum_e taste_e (w (h h' - A))_de + w h_d.
            for d in range(num_varying):
                for s in range(0, length, lanes):
                    store(pull, d, s, load(slope, d, s))
                for e in range(num_varying):
                    k = max(d, e) * (max(d, e) + 1) // 2 + min(d, e)
                    add_product(pull, d, bend, k, taste, e, length)
        for d in range(num_varying if has_slopes else 0):
            # The second derivative of exp is exp; of the shared ones it stands in `bends`.
            k = d * (d + 1) // 2 + d
            for e in range(num_features):
                j = max(d, e) * (max(d, e) + 1) // 2 + min(d, e)
                multiply_rows(bend, j, change, d, length)
                if e == d:
                    multiply_rows(bend, j, change, d, length)
            if code[d] == EXPONENTIAL and d != price:
                add_product(bend, k, slope, d, change, d, length)
        if price >= 0:
            for d in range(num_varying):
                j = max(d, price) * (max(d, price) + 1) // 2 + min(d, price)
                for s in range(0, length, lanes):
                    store(bend, j, s, multiply(load(pull, d, s), load(change, d, s)))
            j = price * (price + 1) // 2 + price
            for s in range(0, length, lanes):
                store(bend, j, s, spread(limit - limit))
            for d in range(num_varying):
                add_product(bend, j, pull, d, taste, d, length)
        _contract(bend, z, scratch, start, draw, length, hessian)
        for d in range(num_varying):
            if code[d] == SHARED:
                for s in range(0, length, lanes):
                    store(scratch, 0, s, multiply(load(slope, d, s), load(bends[c], d, s)))
                if price >= 0:
                    for s in range(0, length, lanes):
                        store(scale, 0, s, subtract(spread(limit - limit), load(taste, price, s)))
                    multiply_rows(scratch, 0, scale, 0, length)
                hessian[d, d] += _row_sum(scratch, 0, length)
                for p in range(start[d], start[d + 1]):
                    once = dot(scratch, 0, bend_basis[c], draw[p], length)
                    hessian[d, num_features + p] += once
                    hessian[num_features + p, d] += once
                    multiply_rows(scratch, 0, bend_basis[c], draw[p], length)
                    twice = dot(scratch, 0, bend_basis[c], draw[p], length)
                    hessian[num_features + p, num_features + p] += twice
