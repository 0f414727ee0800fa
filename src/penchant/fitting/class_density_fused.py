"""One pass over the choices for all classes at once: everything a class needs stays in the cache.

Legend: N options over all menus, B observations, G groups, S classes, D features.
"""

import inspect

import numpy as np
from numba import njit

from penchant.numerics.arrays import Array


def _class_pass(
    features: Array,
    menu_start: Array,
    chosen: Array,
    weight: Array,
    group_start: Array,
    group_weight: Array,
    log_prior: Array,
    values: Array,
    has_information: bool,
) -> tuple[Array, Array, Array, Array]:
    num_groups, num_classes = log_prior.shape
    num_features = features.shape[1]
    most_rows, most_options, longest = 1, 1, 1
    for g in range(num_groups):
        first, last = group_start[g], group_start[g + 1]
        most_rows = max(most_rows, last - first)
        most_options = max(most_options, menu_start[last] - menu_start[first])
        for b in range(first, last):
            longest = max(longest, menu_start[b + 1] - menu_start[b])
    values_DS = np.ascontiguousarray(values.T)
    probability = np.empty((most_options, num_classes))
    mean = np.empty((most_rows, num_classes, num_features))
    utility = np.empty((longest, num_classes))
    centred = np.empty(num_features)
    log_density = np.zeros((num_groups, num_classes))
    responsibility = np.zeros((num_groups, num_classes))
    scores = np.zeros((num_groups, num_classes, num_features))
    information = np.zeros((num_classes, num_features, num_features))
    for g in range(num_groups):
        origin = menu_start[group_start[g]]
        for b in range(group_start[g], group_start[g + 1]):
            start, stop, row = menu_start[b], menu_start[b + 1], b - group_start[g]
            for n in range(start, stop):
                for s in range(num_classes):
                    utility[n - start, s] = 0.0
                for d in range(num_features):
                    x = features[n, d]
                    for s in range(num_classes):
                        utility[n - start, s] += x * values_DS[d, s]
            for s in range(num_classes):
                top = utility[0, s]
                for k in range(1, stop - start):
                    top = max(top, utility[k, s])
                total = 0.0
                for k in range(stop - start):
                    e = np.exp(utility[k, s] - top)
                    probability[start + k - origin, s] = e
                    total += e
                log_density[g, s] += weight[b] * (
                    utility[chosen[b] - start, s] - top - np.log(total)
                )
                for k in range(stop - start):
                    probability[start + k - origin, s] /= total
                for d in range(num_features):
                    mean[row, s, d] = 0.0
                for n in range(start, stop):
                    p = probability[n - origin, s]
                    for d in range(num_features):
                        mean[row, s, d] += p * features[n, d]
                for d in range(num_features):
                    scores[g, s, d] += weight[b] * (features[chosen[b], d] - mean[row, s, d])
        top = -np.inf
        for s in range(num_classes):
            top = max(top, log_prior[g, s] + log_density[g, s])
        total = 0.0
        for s in range(num_classes):
            responsibility[g, s] = np.exp(log_prior[g, s] + log_density[g, s] - top)
            total += responsibility[g, s]
        for s in range(num_classes):
            responsibility[g, s] /= total
        if not has_information:
            continue
        for b in range(group_start[g], group_start[g + 1]):
            row = b - group_start[g]
            for s in range(num_classes):
                share = group_weight[g] * responsibility[g, s] * weight[b]
                # Below this a person adds nothing that float64 could keep beside the others.
                if share < 1e-14:
                    continue
                for n in range(menu_start[b], menu_start[b + 1]):
                    p = share * probability[n - origin, s]
                    for d in range(num_features):
                        centred[d] = features[n, d] - mean[row, s, d]
                    for d in range(num_features):
                        px = p * centred[d]
                        for e in range(d + 1):
                            information[s, d, e] += px * centred[e]
    for s in range(num_classes):
        for d in range(num_features):
            for e in range(d):
                information[s, e, d] = information[s, d, e]
    return log_density, responsibility, scores, information


# Sums may be reordered (vector units); infinities and NaN keep their meaning.
class_pass = njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})(
    inspect.unwrap(_class_pass)
)
