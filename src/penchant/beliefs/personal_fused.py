"""Each person's posterior, person by person: their choices stay in the cache while Newton runs.

Legend: N options over all menus, B observations, G groups (people), R random tastes, S draws,
n options and m menus of one person. z are tastes in standard units: b = root z.
"""

import inspect

import numpy as np
from numba import njit

from penchant.numerics.arrays import Array


def _log_joint(
    utility: Array, menu: Array, chosen: Array, weight: Array, z: Array, probability: Array
) -> float:
    """log p(answers | z) - z'z / 2; leaves the choice probabilities behind."""
    total = 0.0
    for r in range(len(z)):
        total -= 0.5 * z[r] * z[r]
    for m in range(len(weight)):
        top = utility[menu[m]]
        for n in range(menu[m] + 1, menu[m + 1]):
            top = max(top, utility[n])
        norm = 0.0
        for n in range(menu[m], menu[m + 1]):
            probability[n] = np.exp(utility[n] - top)
            norm += probability[n]
        for n in range(menu[m], menu[m + 1]):
            probability[n] /= norm
        total += weight[m] * (utility[chosen[m]] - top - np.log(norm))
    return total


def _slope_and_bend(
    design: Array, menu: Array, chosen: Array, weight: Array, z: Array, probability: Array,
    mean: Array, slope: Array, bend: Array,
) -> None:  # fmt: skip
    """Gradient of the log joint, and minus its Hessian: I + sum of the menus' covariances."""
    size = len(z)
    for r in range(size):
        slope[r] = -z[r]
        for q in range(size):
            bend[r, q] = 1.0 if r == q else 0.0
    for m in range(len(weight)):
        for r in range(size):
            mean[r] = 0.0
        for n in range(menu[m], menu[m + 1]):
            for r in range(size):
                mean[r] += probability[n] * design[n, r]
        for r in range(size):
            slope[r] += weight[m] * (design[chosen[m], r] - mean[r])
        for n in range(menu[m], menu[m + 1]):
            share = weight[m] * probability[n]
            for r in range(size):
                pull = share * (design[n, r] - mean[r])
                for q in range(r + 1):
                    bend[r, q] += pull * (design[n, q] - mean[q])


def _factor(bend: Array, lower: Array) -> None:
    """Cholesky root of the lower triangle of `bend`, which is at least the identity."""
    for r in range(len(bend)):
        for q in range(r + 1):
            total = bend[r, q]
            for t in range(q):
                total -= lower[r, t] * lower[q, t]
            lower[r, q] = np.sqrt(total) if r == q else total / lower[q, q]


def _solve(lower: Array, right: Array, out: Array) -> None:
    """out = (lower lower')^-1 right."""
    size = len(right)
    for r in range(size):
        total = right[r]
        for q in range(r):
            total -= lower[r, q] * out[q]
        out[r] = total / lower[r, r]
    for r in range(size - 1, -1, -1):
        total = out[r]
        for q in range(r + 1, size):
            total -= lower[q, r] * out[q]
        out[r] = total / lower[r, r]


_FAST = {"reassoc", "contract", "nsz"}
log_joint = njit(cache=True, nogil=True, fastmath=_FAST)(inspect.unwrap(_log_joint))
slope_and_bend = njit(cache=True, nogil=True, fastmath=_FAST)(inspect.unwrap(_slope_and_bend))
factor = njit(cache=True, nogil=True)(inspect.unwrap(_factor))
solve = njit(cache=True, nogil=True)(inspect.unwrap(_solve))


def _load(
    features: Array, mean: Array, random: Array, root: Array, start: int, stop: int,
    offset: Array, design: Array,
) -> None:  # fmt: skip
    """What all people share of each option's worth, and the option's features in units of z."""
    for n in range(start, stop):
        total = 0.0
        for d in range(len(mean)):
            total += features[n, d] * mean[d]
        offset[n - start] = total
        for q in range(len(random)):
            total = 0.0
            for r in range(q, len(random)):
                total += features[n, random[r]] * root[r, q]
            design[n - start, q] = total


load = njit(cache=True, nogil=True, fastmath=_FAST)(inspect.unwrap(_load))


def _laplace(
    features: Array, menu_start: Array, chosen: Array, weight: Array, group_start: Array,
    mean: Array, random: Array, root: Array, start: Array, max_steps: int, tolerance: float,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    num_groups, size = start.shape
    longest = 1
    for g in range(num_groups):
        longest = max(longest, menu_start[group_start[g + 1]] - menu_start[group_start[g]])
    offset, design = np.empty(longest), np.empty((longest, size))
    utility, probability = np.empty(longest), np.empty(longest)
    centre, slope, step = np.empty(size), np.empty(size), np.empty(size)
    bend, trial = np.empty((size, size)), np.empty(size)
    modes, roots = start.copy(), np.zeros((num_groups, size, size))
    values, decrements = np.zeros(num_groups), np.zeros(num_groups)
    for g in range(num_groups):
        first, last = group_start[g], group_start[g + 1]
        origin, stop = menu_start[first], menu_start[last]
        load(features, mean, random, root, origin, stop, offset, design)
        menu = menu_start[first : last + 1] - origin
        picked, heavy = chosen[first:last] - origin, weight[first:last]
        z, lower = modes[g], roots[g]
        for n in range(stop - origin):
            utility[n] = offset[n]
            for r in range(size):
                utility[n] += design[n, r] * z[r]
        here = log_joint(utility, menu, picked, heavy, z, probability)
        for _ in range(max_steps):
            slope_and_bend(design, menu, picked, heavy, z, probability, centre, slope, bend)
            factor(bend, lower)
            solve(lower, slope, step)
            decrement = 0.0
            for r in range(size):
                decrement += 0.5 * slope[r] * step[r]
            decrements[g] = decrement
            if decrement <= tolerance:
                break
            length = 1.0
            for _ in range(40):
                for r in range(size):
                    trial[r] = z[r] + length * step[r]
                for n in range(stop - origin):
                    utility[n] = offset[n]
                    for r in range(size):
                        utility[n] += design[n, r] * trial[r]
                there = log_joint(utility, menu, picked, heavy, trial, probability)
                if there >= here - 1e-13 * abs(here):
                    break
                length *= 0.5
            here = there
            for r in range(size):
                z[r] = trial[r]
        values[g] = here
    return modes, roots, values, decrements


laplace = njit(cache=True, nogil=True, fastmath=_FAST)(inspect.unwrap(_laplace))


def _weigh(
    features: Array, menu_start: Array, chosen: Array, weight: Array, group_start: Array,
    mean: Array, random: Array, root: Array, modes: Array, roots: Array, noise: Array,
) -> tuple[Array, Array]:  # fmt: skip
    num_groups, size = modes.shape
    num_blocks, num_draws, longest = len(noise), noise.shape[1], 1
    for g in range(num_groups):
        longest = max(longest, menu_start[group_start[g + 1]] - menu_start[group_start[g]])
    offset, design = np.empty(longest), np.empty((longest, size))
    utility, probability = np.empty(longest), np.empty(longest)
    draws = np.empty((num_groups, num_draws, size))
    log_ratio = np.empty((num_groups, num_draws))
    for g in range(num_groups):
        first, last = group_start[g], group_start[g + 1]
        origin, stop = menu_start[first], menu_start[last]
        load(features, mean, random, root, origin, stop, offset, design)
        menu = menu_start[first : last + 1] - origin
        picked, heavy = chosen[first:last] - origin, weight[first:last]
        lower = roots[g]
        log_volume = 0.0
        for r in range(size):
            log_volume -= np.log(lower[r, r])
        for s in range(num_draws):
            z = draws[g, s]
            square = 0.0
            for r in range(size - 1, -1, -1):
                total = noise[g % num_blocks, s, r]
                square += total * total
                for q in range(r + 1, size):
                    total -= lower[q, r] * (z[q] - modes[g, q])
                z[r] = modes[g, r] + total / lower[r, r]
            for n in range(stop - origin):
                utility[n] = offset[n]
                for r in range(size):
                    utility[n] += design[n, r] * z[r]
            joint = log_joint(utility, menu, picked, heavy, z, probability)
            log_ratio[g, s] = joint + 0.5 * square + log_volume
    return draws, log_ratio


weigh = njit(cache=True, nogil=True, fastmath=_FAST)(inspect.unwrap(_weigh))
