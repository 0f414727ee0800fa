"""The conditional logit with linear utilities, value, score and information in one pass.

What `choice.py` says row by row, summed over all choices for utilities u = x beta, on menus laid
one after the other without padding: `information = sum_b w_b Cov_b(x)`, the covariance of the
attributes within each menu under the choice probabilities. Each panel of menus stays in the
processor's cache while everything is computed from it, so the features are read once.

`choice_flat.py` holds the plain NumPy twin; the laws tie the two.

Legend: N options over all menus, B choices, G groups of choices, D features, R rows of a panel.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from penchant.numerics import lanes
from penchant.numerics.arrays import Array

# Doubles in a panel (D x R): 128 KiB stay in the second cache; half and double are no faster.
_PANEL_NUMBERS = 16384
# From here on BLAS beats the plain loop over pairs of features.
_MANY_FEATURES = 24
_LOG2_E = 1.0 / math.log(2.0)
_WIDTH = lanes.DOUBLE.width


def _compiled(function: Callable[..., Any]) -> Any:
    """Compile on first call and keep the machine code on disk.

    Sums may be reordered; that no number is NaN or infinite is not assumed, so that NaN stays NaN.
    Unwraps first: in tests a hook wraps functions in shape checks that no compiler could read.
    """
    return njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})(inspect.unwrap(function))


def value_score_information(
    features: Float[Array, "N D"],
    menu_start: Int[Array, " B1"],
    chosen: Int[Array, " B"],
    weight: Float[Array, " B"],
    beta: Float[Array, " D"],
) -> tuple[float, Float[Array, " D"], Float[Array, "D D"]]:
    """Weighted log-likelihood, its gradient, and minus its second derivatives.

    The options of choice b are `features[menu_start[b]:menu_start[b + 1]]` (float64 or float32),
    of which `chosen[b]` was taken. Sums are float64. A NaN or infinite utility makes the
    log-likelihood NaN.
    """
    return _value_score_information(features, menu_start, chosen, weight, beta)


def log_probabilities(
    features: Float[Array, "N D"], menu_start: Int[Array, " B1"], beta: Float[Array, " D"]
) -> Float[Array, " N"]:
    """The log-probability of every option of every menu."""
    return _log_probabilities(features, menu_start, beta)


def group_scores(
    features: Float[Array, "N D"],
    menu_start: Int[Array, " B1"],
    chosen: Int[Array, " B"],
    weight: Float[Array, " B"],
    group_start: Int[Array, " G1"],
    beta: Float[Array, " D"],
) -> Float[Array, "G D"]:
    """The gradient summed within each group, of choices group_start[g]:group_start[g + 1]."""
    return _group_scores(features, menu_start, chosen, weight, group_start, beta)


@_compiled
def _value_score_information(
    features: Any, menu_start: Any, chosen: Any, weight: Any, beta: Any
) -> Any:
    D, B = features.shape[1], len(weight)
    largest = 1
    for b in range(B):
        largest = max(largest, menu_start[b + 1] - menu_start[b])
    wanted = max(64, _PANEL_NUMBERS // max(D, 1))
    room = max(largest * _WIDTH, wanted)
    panel, weighted = np.zeros(D * room), np.zeros(D * room)
    p, top, total = np.zeros(room), np.zeros(room), np.zeros(room)
    gradient, information = np.zeros(D), np.zeros((D, D))
    log_lik = 0.0
    b = 0
    while b < B:
        # As many menus as fit when all are padded to the largest among them; one register of
        # menus fits always, be they ever so large.
        K, num = menu_start[b + 1] - menu_start[b], 1
        while b + num < B:
            longer = max(K, menu_start[b + num + 1] - menu_start[b + num])
            if num >= _WIDTH and longer * _padded(num + 1) > wanted:
                break
            K, num = longer, num + 1
        step = _padded(num)
        log_lik += _add_panel(
            features,
            menu_start[b : b + num + 1],
            chosen[b : b + num],
            weight[b : b + num],
            beta,
            panel[: D * K * step].reshape(D, K, step),
            weighted[: D * K * step].reshape(D, K * step),
            p[: K * step].reshape(K, step),
            top[:step],
            total[:step],
            gradient,
            information,
        )
        b += num
    for d in range(D):
        for e in range(d):
            information[d, e] = information[e, d]
    return log_lik, gradient, information


@_compiled
def _padded(num: Any) -> Any:
    return (num + _WIDTH - 1) // _WIDTH * _WIDTH


@_compiled
def _add_panel(
    features: Any,
    menu_start: Any,
    chosen: Any,
    weight: Any,
    beta: Any,
    panel: Any,
    weighted: Any,
    p: Any,
    top: Any,
    total: Any,
    gradient: Any,
    information: Any,
) -> Any:
    """Adds what a panel of menus contributes; the arrays from `panel` on are scratch or sums.

    panel[d, k, i] is option k of menu i: menus lie side by side, so that every loop below is a
    vector loop over menus, however short the menus are.
    """
    D, K, _ = panel.shape
    B = len(weight)
    log_lik = 0.0
    p[:] = 0.0
    for d in range(D):
        slope = beta[d]
        for k in range(K):
            for i in range(B):
                row = min(menu_start[i] + k, menu_start[i + 1] - 1)
                panel[d, k, i] = features[row, d]
            for i in range(B):
                p[k, i] += slope * panel[d, k, i]
    top[:] = -np.inf
    for k in range(K):
        for i in range(B):
            top[i] = max(top[i], p[k, i])
    for i in range(B):
        log_lik += weight[i] * (p[chosen[i] - menu_start[i], i] - top[i])
        total[i] = 0.0
    for k in range(K):
        for i in range(B):
            p[k, i] = (p[k, i] - top[i]) * _LOG2_E
            log_lik += 0.0 * p[k, i]
        for i in range(0, p.shape[1], _WIDTH):
            lanes.store(p, k, i, lanes.exp2(lanes.load(p, k, i), 1022.0))
        for i in range(B):
            if menu_start[i] + k >= menu_start[i + 1]:
                p[k, i] = 0.0
            total[i] += p[k, i]
    for i in range(B):
        log_lik -= weight[i] * math.log(total[i])
        total[i] = 1.0 / total[i]
    for k in range(K):
        for i in range(B):
            p[k, i] *= total[i]
        for i in range(B, p.shape[1]):
            p[k, i] = 0.0
    for d in range(D):
        # `top` is free again and holds the means.
        top[:] = 0.0
        for k in range(K):
            for i in range(B):
                top[i] += p[k, i] * panel[d, k, i]
        for k in range(K):
            for i in range(B):
                panel[d, k, i] -= top[i]
        slope = 0.0
        for i in range(B):
            slope += weight[i] * panel[d, chosen[i] - menu_start[i], i]
        gradient[d] += slope
    for k in range(K):
        for i in range(B):
            p[k, i] *= weight[i]
    _add_products(panel.reshape(D, -1), p.reshape(-1), weighted, information)
    return log_lik


@_compiled
def _add_products(panel: Any, p: Any, weighted: Any, information: Any) -> Any:
    """information += panel diag(p) panel', its upper half."""
    D, R = panel.shape
    if D >= _MANY_FEATURES:
        for d in range(D):
            for r in range(R):
                weighted[d, r] = p[r] * panel[d, r]
        information += np.dot(weighted, panel.T)
        return
    for d in range(D):
        for r in range(R):
            weighted[0, r] = p[r] * panel[d, r]
        for e in range(d, D - 1, 2):
            this, that = 0.0, 0.0
            for r in range(R):
                this += weighted[0, r] * panel[e, r]
                that += weighted[0, r] * panel[e + 1, r]
            information[d, e] += this
            information[d, e + 1] += that
        if (D - d) % 2:
            last = 0.0
            for r in range(R):
                last += weighted[0, r] * panel[D - 1, r]
            information[d, D - 1] += last


@_compiled
def _log_probabilities(features: Any, menu_start: Any, beta: Any) -> Any:
    log_p = np.empty(len(features))
    for b in range(len(menu_start) - 1):
        _menu_log_probabilities(features, menu_start[b], menu_start[b + 1], beta, log_p)
    return log_p


@_compiled
def _menu_log_probabilities(features: Any, start: Any, stop: Any, beta: Any, log_p: Any) -> Any:
    top = -np.inf
    for n in range(start, stop):
        utility = 0.0
        for d in range(len(beta)):
            utility += features[n, d] * beta[d]
        log_p[n] = utility
        top = max(top, utility)
    total = 0.0
    for n in range(start, stop):
        total += math.exp(log_p[n] - top)
    log_total = math.log(total)
    for n in range(start, stop):
        log_p[n] = log_p[n] - top - log_total


@_compiled
def _group_scores(
    features: Any, menu_start: Any, chosen: Any, weight: Any, group_start: Any, beta: Any
) -> Any:
    scores = np.zeros((len(group_start) - 1, len(beta)))
    log_p = np.empty(len(features))
    for g in range(len(group_start) - 1):
        for b in range(group_start[g], group_start[g + 1]):
            _menu_log_probabilities(features, menu_start[b], menu_start[b + 1], beta, log_p)
            for n in range(menu_start[b], menu_start[b + 1]):
                share = weight[b] * math.exp(log_p[n])
                for d in range(len(beta)):
                    # Differences to the chosen option keep the digits that large features cost.
                    scores[g, d] += share * (features[chosen[b], d] - features[n, d])
    return scores
