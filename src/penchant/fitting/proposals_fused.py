"""The modes of people's posteriors, around which the panel logit's proposals stand.

The compiled form of `proposals.posterior_modes`.

Legend: N rows of differences, G people, V varying features, R random coefficients.
"""

import numpy as np

from penchant.numerics.arrays import Array
from penchant.numerics.lanes import compiled
from penchant.populations.normal import CENSORED, CONSTANT, EXPONENTIAL, SHARED


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
    most = 1
    for g in range(begin, end):
        most = max(most, menu_start[group_start[g + 1]] - menu_start[group_start[g]])
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
                if code[v] == SHARED:
                    eta = shared[v]
                elif code[v] != CONSTANT:
                    for e in range(row[v] + 1):
                        eta += root[row[v], e] * trial[e]
                taste[v], change[v] = eta, 1.0
                if code[v] == EXPONENTIAL:
                    taste[v] = np.exp(min(eta, 50.0))
                    change[v] = taste[v]
                elif code[v] == CENSORED:
                    taste[v], change[v] = max(eta, 0.0), 1.0 if eta > 0 else 0.0
                if code[v] != SHARED:
                    taste[v] *= sign[v]
                    change[v] *= sign[v]
            if price >= 0:
                scale = np.exp(taste[price]) if code[price] == CONSTANT else abs(taste[price])
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
                    if code[v] != SHARED and code[v] != CONSTANT and is_kin[e]:
                        jacobian[v, e] = change[v] * root[row[v], e]
                    if price >= 0 and code[price] != CONSTANT:
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
