"""The conditional logit with linear utilities, value, score and information in one pass.

What `choice.py` says row by row, summed over all choices for utilities u = x beta, on menus laid
one after the other without padding: `information = sum_b w_b Cov_b(x)`, the covariance of the
attributes within each menu under the choice probabilities. A panel of menus is turned so that
menus lie side by side in vector registers, and stays in the processor's first cache while
everything is computed from it: the features are read once a pass and never copied.

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
from penchant.numerics.lanes_code import DOUBLE

# Doubles in a panel (D x R): they stay in the first cache together with what is made of them.
_PANEL_NUMBERS = 2560
# From here on BLAS beats our own product of features; it wants longer panels.
_MANY_FEATURES = 24
_LONG_PANEL_NUMBERS = 16384
# Asking memory for what is needed this many numbers later saves two fifths of the reading time.
_AHEAD = 1280
_LOG2_E = 1.0 / math.log(2.0)
_LOG_2 = math.log(2.0)
_WIDTH = DOUBLE.width


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
    gradient, information = np.zeros(len(beta)), np.zeros((len(beta), len(beta)))
    value = _pass(
        np.ascontiguousarray(features).reshape(-1),
        menu_start,
        chosen,
        weight,
        np.asarray(beta, dtype=np.float64),
        np.zeros(0, dtype=np.int64),
        np.zeros((0, len(beta))),
        gradient,
        information,
    )
    return value, gradient, information


def with_group_scores(
    features: Float[Array, "N D"],
    menu_start: Int[Array, " B1"],
    chosen: Int[Array, " B"],
    weight: Float[Array, " B"],
    group: Int[Array, " B"],
    num_groups: int,
    beta: Float[Array, " D"],
) -> tuple[float, Float[Array, " D"], Float[Array, "D D"], Float[Array, "G D"]]:
    """`value_score_information`, and the gradient of each group, in the same pass."""
    scores = np.zeros((num_groups, len(beta)))
    gradient, information = np.zeros(len(beta)), np.zeros((len(beta), len(beta)))
    value = _pass(
        np.ascontiguousarray(features).reshape(-1),
        menu_start,
        chosen,
        weight,
        np.asarray(beta, dtype=np.float64),
        group,
        scores,
        gradient,
        information,
    )
    return value, gradient, information, scores


def spreads_within_menus(
    features: Float[Array, "N D"], menu_start: Int[Array, " B1"], weight: Float[Array, " B"]
) -> tuple[Float[Array, " D"], Float[Array, " D"]]:
    """sum_b w_b Var_b(x), each menu's options alike, and the weight of menus where x varies."""
    width = features.shape[1]
    flat = np.ascontiguousarray(features).reshape(-1)
    return _spreads(flat, width, menu_start, weight)


@_compiled
def _pass(
    flat: Any,
    menu_start: Any,
    chosen: Any,
    weight: Any,
    beta: Any,
    group: Any,
    scores: Any,
    gradient: Any,
    information: Any,
) -> Any:
    """The log-likelihood; adds to `scores` and `information` unless they are empty."""
    D, B = len(beta), len(weight)
    is_wide = D >= _MANY_FEATURES
    largest = smallest = 1
    if B > 0:
        largest = smallest = menu_start[1] - menu_start[0]
    for b in range(B):
        size = menu_start[b + 1] - menu_start[b]
        largest, smallest = max(largest, size), min(smallest, size)
    wanted = max(64, (_LONG_PANEL_NUMBERS if is_wide else _PANEL_NUMBERS) // max(D, 1))
    room = max(largest * _WIDTH, wanted)
    # Three rows of zeros behind the features: the product is made two by four features at a time.
    panel = np.zeros((D + 3) * room)
    weighted = np.zeros(D * room if is_wide and len(information) > 0 else 0)
    p, taken, slopes = np.zeros(room), np.zeros(room), np.zeros(D * room)
    at, of_menu = np.zeros(room, dtype=np.int64), np.zeros((2, room))
    place = np.zeros(D * largest, dtype=np.int64)
    sums = np.zeros((2 + D, _WIDTH))  # the log-likelihood, what is not finite, the gradient
    products = np.zeros((0 if is_wide else 8 * _num_tiles(D), _WIDTH))
    b = 0
    while b < B:
        # As many menus as fit when all are padded to the largest among them; one register of
        # menus fits always, be they ever so large.
        K = least = menu_start[b + 1] - menu_start[b]
        num = 1
        if largest == smallest:
            num = min(B - b, max(_WIDTH, wanted // K // _WIDTH * _WIDTH))
        while b + num < B and largest > smallest:
            size = menu_start[b + num + 1] - menu_start[b + num]
            if num >= _WIDTH and max(K, size) * _padded(num + 1) > wanted:
                break
            K, least, num = max(K, size), min(least, size), num + 1
        step = _padded(num)
        rows = panel[: (D + 3) * K * step].reshape((D + 3) * K, step)
        rows[D * K :] = 0.0
        of_panel = menu_start[b : b + num + 1]
        p_of, taken_of = p[: K * step].reshape(K, step), taken[: K * step].reshape(K, step)
        slopes_of = slopes[: D * step].reshape(D, step)
        _fill(flat, D, of_panel, K, rows, place, at)
        _choose(
            rows,
            of_panel,
            K,
            least,
            chosen[b : b + num],
            weight[b : b + num],
            beta,
            p_of,
            taken_of,
            of_menu,
            sums,
        )
        _centre(rows, K, p_of, taken_of, of_menu, slopes_of, sums)
        if len(scores) > 0:
            _add_scores(slopes_of, group[b : b + num], scores)
        if len(information) > 0 and is_wide:
            _add_wide_products(rows[: D * K].reshape(D, -1), p[: K * step], weighted, information)
        elif len(information) > 0:
            _add_products(rows.reshape(D + 3, -1), p[: K * step].reshape(1, -1), D, products)
        b += num
    for d in range(D):
        gradient[d] += lanes.total(lanes.load(sums, 2 + d, 0))
    if len(information) > 0 and not is_wide:
        _sum_tiles(products, D, information)
    for d in range(len(information)):
        for e in range(d):
            information[d, e] = information[e, d]
    return lanes.total(lanes.load(sums, 0, 0)) + lanes.total(lanes.load(sums, 1, 0))


@_compiled
def _spreads(flat: Any, D: Any, menu_start: Any, weight: Any) -> Any:
    B, largest = len(weight), 1
    for b in range(B):
        largest = max(largest, menu_start[b + 1] - menu_start[b])
    # Menus of one length or many: eight of them at a time, padded to the largest.
    panel, share = np.zeros((D * largest, _WIDTH)), np.zeros((largest, _WIDTH))
    at, place = np.zeros(_WIDTH, dtype=np.int64), np.zeros(D * largest, dtype=np.int64)
    of_menu, total, count = np.zeros((1, _WIDTH)), np.zeros((D, _WIDTH)), np.zeros((D, _WIDTH))
    for b in range(0, B, _WIDTH):
        num = min(_WIDTH, B - b)
        K = 1
        for i in range(num):
            K = max(K, menu_start[b + i + 1] - menu_start[b + i])
        of_menu[:] = 0.0
        for i in range(num):
            of_menu[0, i] = weight[b + i]
            size = menu_start[b + i + 1] - menu_start[b + i]
            for k in range(K):
                share[k, i] = 1.0 / size if k < size else 0.0
        _fill(flat, D, menu_start[b : b + num + 1], K, panel[: D * K], place, at)
        here = lanes.load(of_menu, 0, 0)
        for d in range(D):
            mean = square = lanes.spread(0.0)
            # Seen from the first option: what is constant is then exactly so.
            first = lanes.load(panel, d * K, 0)
            for k in range(K):
                x = lanes.subtract(lanes.load(panel, d * K + k, 0), first)
                mean = lanes.multiply_add(lanes.load(share, k, 0), x, mean)
            mean = lanes.add(mean, first)
            for k in range(K):
                x = lanes.subtract(lanes.load(panel, d * K + k, 0), mean)
                x = lanes.multiply(x, x)
                square = lanes.multiply_add(lanes.load(share, k, 0), x, square)
            varies = lanes.is_positive(square)
            lanes.store(total, d, 0, lanes.multiply_add(here, square, lanes.load(total, d, 0)))
            lanes.store(count, d, 0, lanes.multiply_add(here, varies, lanes.load(count, d, 0)))
    sums, varying = np.zeros(D), np.zeros(D)
    for d in range(D):
        sums[d] = lanes.total(lanes.load(total, d, 0))
        varying[d] = lanes.total(lanes.load(count, d, 0))
    return sums, varying


@_compiled
def _padded(num: Any) -> Any:
    return (num + _WIDTH - 1) // _WIDTH * _WIDTH


@_compiled
def _fill(flat: Any, D: Any, menu_start: Any, K: Any, panel: Any, place: Any, at: Any) -> Any:
    """panel[d K + k, i] is feature d of option k of menu i.

    Menus smaller than K go on with the rows behind them, which `_choose` gives no probability;
    the last menu is repeated to the end of its register.
    """
    num, step = len(menu_start) - 1, panel.shape[1]
    for i in range(step):
        at[i] = menu_start[min(i, num - 1)] * D
    for k in range(K):
        for d in range(D):
            place[k * D + d] = d * K + k
    if K * D < _WIDTH or at[step - 1] + K * D > len(flat):
        for k in range(K):
            for d in range(D):
                for i in range(step):
                    panel[d * K + k, i] = flat[min(at[i] + k * D, len(flat) - D) + d]
        return
    for i in range(0, step, _WIDTH):
        for c in range(0, K * D, _WIDTH):
            # The last square overlaps the one before rather than reach behind the menu.
            column = min(c, K * D - _WIDTH)
            for line in range(_WIDTH):
                lanes.prefetch(flat, at[i] + _AHEAD + (c + line) * _WIDTH)
            lanes.transpose(flat, at, column, panel, place, column, i)


@_compiled
def _choose(
    panel: Any,
    menu_start: Any,
    K: Any,
    least: Any,
    chosen: Any,
    weight: Any,
    beta: Any,
    p: Any,
    taken: Any,
    of_menu: Any,
    sums: Any,
) -> Any:
    """Probabilities to `p`, 1 to `taken` where chosen, weights to `of_menu[0]`.

    Adds the log-likelihood to sums[0], and to sums[1] zero or NaN. Short loops one after the other
    let the processor work on several registers of menus at a time.
    """
    D, B, step = len(beta), len(weight), p.shape[1]
    zero, log2_e = lanes.spread(0.0), lanes.spread(_LOG2_E)
    taken[:] = 0.0
    of_menu[0, :step] = 0.0
    for i in range(B):
        taken[chosen[i] - menu_start[i], i] = 1.0
        of_menu[0, i] = weight[i]
    bad = lanes.load(sums, 1, 0)
    for i in range(0, step, _WIDTH):
        won = zero
        for k in range(K):
            utility = zero
            for d in range(D):
                slope = lanes.spread(beta[d])
                utility = lanes.multiply_add(lanes.load(panel, d * K + k, i), slope, utility)
            bad = lanes.multiply_add(utility, zero, bad)
            won = lanes.multiply_add(lanes.load(taken, k, i), utility, won)
            lanes.store(p, k, i, utility)
        lanes.store(of_menu, 1, i, won)
    lanes.store(sums, 1, 0, bad)
    if least < K:
        _blank(p, menu_start, -np.inf)
    for i in range(0, step, _WIDTH):
        top = lanes.load(p, 0, i)
        for k in range(1, K):
            top = lanes.maximum(top, lanes.load(p, k, i))
        for k in range(K):
            gap = lanes.multiply(lanes.subtract(lanes.load(p, k, i), top), log2_e)
            lanes.store(p, k, i, lanes.exp2(gap, 1022.0))
        lanes.store(of_menu, 1, i, lanes.subtract(lanes.load(of_menu, 1, i), top))
    if least < K:
        _blank(p, menu_start, 0.0)
    log_lik = lanes.load(sums, 0, 0)
    for i in range(0, step, _WIDTH):
        total = lanes.load(p, 0, i)
        for k in range(1, K):
            total = lanes.add(total, lanes.load(p, k, i))
        gain = lanes.subtract(lanes.load(of_menu, 1, i), _log(total))
        log_lik = lanes.multiply_add(lanes.load(of_menu, 0, i), gain, log_lik)
        share = lanes.divide(lanes.spread(1.0), total)
        for k in range(K):
            lanes.store(p, k, i, lanes.multiply(lanes.load(p, k, i), share))
    lanes.store(sums, 0, 0, log_lik)


@_compiled
def _centre(panel: Any, K: Any, p: Any, taken: Any, of_menu: Any, slopes: Any, sums: Any) -> Any:
    """The panel seen from each menu's mean, where large features cost no digits.

    Weight times what was chosen, seen from there, to `slopes`; its sum is added to sums[2:].
    Probabilities times weight to `p`.
    """
    zero = lanes.spread(0.0)
    for d in range(len(slopes)):
        gradient = lanes.load(sums, 2 + d, 0)
        for i in range(0, p.shape[1], _WIDTH):
            mean = zero
            for k in range(K):
                x = lanes.load(panel, d * K + k, i)
                mean = lanes.multiply_add(lanes.load(p, k, i), x, mean)
            slope = zero
            for k in range(K):
                x = lanes.subtract(lanes.load(panel, d * K + k, i), mean)
                slope = lanes.multiply_add(lanes.load(taken, k, i), x, slope)
                lanes.store(panel, d * K + k, i, x)
            slope = lanes.multiply(lanes.load(of_menu, 0, i), slope)
            gradient = lanes.add(gradient, slope)
            lanes.store(slopes, d, i, slope)
        lanes.store(sums, 2 + d, 0, gradient)
    for k in range(K):
        for i in range(0, p.shape[1], _WIDTH):
            lanes.store(p, k, i, lanes.multiply(lanes.load(p, k, i), lanes.load(of_menu, 0, i)))


@_compiled
def _blank(p: Any, menu_start: Any, value: Any) -> Any:
    """`value` wherever a menu has no such option."""
    for i in range(len(menu_start) - 1):
        for k in range(menu_start[i + 1] - menu_start[i], p.shape[0]):
            p[k, i] = value


@_compiled
def _log(x: Any) -> Any:
    """log x in all lanes, x at least 1: the series of 2 artanh((m - 1)/(m + 1)), m the mantissa.

    (m - 1)/(m + 1) is below 1/3; the first term left out is 1e-17 of the sum.
    """
    one = lanes.spread(1.0)
    fraction = lanes.mantissa(x)
    root = lanes.divide(lanes.subtract(fraction, one), lanes.add(fraction, one))
    square = lanes.multiply(root, root)
    series = lanes.spread(2.0 / 33.0)
    for n in range(31, 0, -2):
        series = lanes.multiply_add(series, square, lanes.spread(2.0 / n))
    return lanes.multiply_add(lanes.exponent(x), lanes.spread(_LOG_2), lanes.multiply(root, series))


@_compiled
def _add_scores(slopes: Any, group: Any, scores: Any) -> Any:
    for i in range(len(group)):
        for d in range(len(slopes)):
            scores[group[i], d] += slopes[d, i]


@_compiled
def _num_tiles(D: Any) -> Any:
    num = 0
    for d in range(0, D, 2):
        num += (D - d + 3) // 4
    return num


@_compiled
def _add_products(panel: Any, p: Any, D: Any, products: Any) -> Any:
    """products += panel diag(p) panel', its upper half, in tiles of two by four features."""
    R = panel.shape[1]
    tile = 0
    for d in range(0, D, 2):
        for e in range(d, D, 4):
            a0, a1 = lanes.load(products, tile, 0), lanes.load(products, tile + 1, 0)
            a2, a3 = lanes.load(products, tile + 2, 0), lanes.load(products, tile + 3, 0)
            b0, b1 = lanes.load(products, tile + 4, 0), lanes.load(products, tile + 5, 0)
            b2, b3 = lanes.load(products, tile + 6, 0), lanes.load(products, tile + 7, 0)
            for r in range(0, R, _WIDTH):
                here = lanes.load(p, 0, r)
                a = lanes.multiply(here, lanes.load(panel, d, r))
                b = lanes.multiply(here, lanes.load(panel, d + 1, r))
                x = lanes.load(panel, e, r)
                a0, b0 = lanes.multiply_add(a, x, a0), lanes.multiply_add(b, x, b0)
                x = lanes.load(panel, e + 1, r)
                a1, b1 = lanes.multiply_add(a, x, a1), lanes.multiply_add(b, x, b1)
                x = lanes.load(panel, e + 2, r)
                a2, b2 = lanes.multiply_add(a, x, a2), lanes.multiply_add(b, x, b2)
                x = lanes.load(panel, e + 3, r)
                a3, b3 = lanes.multiply_add(a, x, a3), lanes.multiply_add(b, x, b3)
            lanes.store(products, tile, 0, a0)
            lanes.store(products, tile + 1, 0, a1)
            lanes.store(products, tile + 2, 0, a2)
            lanes.store(products, tile + 3, 0, a3)
            lanes.store(products, tile + 4, 0, b0)
            lanes.store(products, tile + 5, 0, b1)
            lanes.store(products, tile + 6, 0, b2)
            lanes.store(products, tile + 7, 0, b3)
            tile += 8


@_compiled
def _sum_tiles(products: Any, D: Any, information: Any) -> Any:
    tile = 0
    for d in range(0, D, 2):
        for e in range(d, D, 4):
            for half in range(2):
                for n in range(4):
                    if d + half < D and e + n < D:
                        information[d + half, e + n] = lanes.total(
                            lanes.load(products, tile + 4 * half + n, 0)
                        )
            tile += 8


@_compiled
def _add_wide_products(panel: Any, p: Any, weighted: Any, information: Any) -> Any:
    """information += panel diag(p) panel', all of it, by BLAS."""
    D, R = panel.shape
    scaled = weighted[: D * R].reshape(D, R)
    for d in range(D):
        for r in range(R):
            scaled[d, r] = p[r] * panel[d, r]
    information += np.dot(scaled, panel.T)
