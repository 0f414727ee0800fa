"""How well probabilities foretold each choice, one number per observation.

Legend: B observations, N options over all menus: the options of observation b are the entries
offsets[b]:offsets[b + 1], and `chosen` counts within the menu, from 0.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from penchant.numerics.arrays import Array


def negative_log_likelihood(
    probabilities: Float[Array, " N"], offsets: Int[Array, " B1"], chosen: Int[Array, " B"]
) -> Float[Array, " B"]:
    """Minus the logarithm of the probability of what was chosen, in nats; infinite at 0."""
    with np.errstate(divide="ignore"):
        return -np.log(probabilities[offsets[:-1] + chosen])


def accuracy(
    probabilities: Float[Array, " N"], offsets: Int[Array, " B1"], chosen: Int[Array, " B"]
) -> Float[Array, " B"]:
    """1 where the likeliest option was chosen; 1 / m where it is among m that are likeliest.

    That is the expected accuracy of breaking ties by lot, so it depends on no order of options.
    """
    if not len(chosen):
        return np.zeros(0)
    best = np.maximum.reduceat(probabilities, offsets[:-1])
    is_best = probabilities == np.repeat(best, np.diff(offsets))
    num_best = np.add.reduceat(is_best.astype(np.float64), offsets[:-1])
    return is_best[offsets[:-1] + chosen] / num_best


def brier(
    probabilities: Float[Array, " N"], offsets: Int[Array, " B1"], chosen: Int[Array, " B"]
) -> Float[Array, " B"]:
    """The squared distance of the probabilities from what happened (Brier 1950), from 0 to 2."""
    if not len(chosen):
        return np.zeros(0)
    squares = np.add.reduceat(probabilities**2, offsets[:-1])
    return squares + 1 - 2 * probabilities[offsets[:-1] + chosen]


def chosen_indicator(offsets: Int[Array, " B1"], chosen: Int[Array, " B"]) -> Float[Array, " N"]:
    """1 for every option that was chosen, 0 for the others on its menu."""
    indicator = np.zeros(int(offsets[-1]))
    indicator[offsets[:-1] + chosen] = 1.0
    return indicator


def area_under_curve(score: Real[Array, " N"], is_true: Bool[Array, " N"]) -> float:
    """The chance that one that is true has a higher score than one that is not, ties half: the area
    under the receiver's curve (Hanley and McNeil 1982). NaN where all are alike."""
    if is_true.all() or not is_true.any():
        return float("nan")
    order = np.sort(score[~is_true])
    below, upto = (np.searchsorted(order, score[is_true], side) for side in ("left", "right"))
    return float(np.mean(below + upto) / (2.0 * len(order)))
