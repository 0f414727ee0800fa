"""The conditional logit with linear utilities on menus laid one after the other, all at once.

Plain NumPy, one step after another: what `choice_fused.py` computes in one pass, and what serves
where numba is not installed.

Legend: N options over all menus, B choices, G groups of choices, D features.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array


def value_score_information(
    features: Float[Array, "N D"],
    menu_start: Int[Array, " B1"],
    chosen: Int[Array, " B"],
    weight: Float[Array, " B"],
    beta: Float[Array, " D"],
) -> tuple[float, Float[Array, " D"], Float[Array, "D D"]]:
    """Weighted log-likelihood, its gradient, and minus its second derivatives.

    The options of choice b are `features[menu_start[b]:menu_start[b + 1]]`, of which the one at
    `chosen[b]` was taken. sum_b w_b times log p(chosen), x_chosen - mean(x), Cov(x), where mean
    and covariance are those within the menu under the choice probabilities (McFadden 1974).
    """
    log_p = log_probabilities(features, menu_start, beta)
    p = np.exp(log_p)
    menu = np.repeat(np.arange(len(weight)), np.diff(menu_start))
    mean = np.add.reduceat(p[:, None] * features, menu_start[:-1], axis=0)
    centred = features - mean[menu]
    information = centred.T @ ((weight[menu] * p)[:, None] * centred)
    return float(weight @ log_p[chosen]), weight @ centred[chosen], information


def log_probabilities(
    features: Float[Array, "N D"], menu_start: Int[Array, " B1"], beta: Float[Array, " D"]
) -> Float[Array, " N"]:
    """The log-probability of every option of every menu."""
    utilities = np.asarray(features @ beta, dtype=np.float64)
    sizes = np.diff(menu_start)
    gaps = utilities - np.repeat(np.maximum.reduceat(utilities, menu_start[:-1]), sizes)
    log_total = np.log(np.add.reduceat(np.exp(gaps), menu_start[:-1]))
    return gaps - np.repeat(log_total, sizes)


def group_scores(
    features: Float[Array, "N D"],
    menu_start: Int[Array, " B1"],
    chosen: Int[Array, " B"],
    weight: Float[Array, " B"],
    group_start: Int[Array, " G1"],
    beta: Float[Array, " D"],
) -> Float[Array, "G D"]:
    """The gradient summed within each group, of choices group_start[g]:group_start[g + 1]."""
    p = np.exp(log_probabilities(features, menu_start, beta))
    mean = np.add.reduceat(p[:, None] * features, menu_start[:-1], axis=0)
    scores = np.zeros((len(group_start) - 1, features.shape[1]))
    group = np.repeat(np.arange(len(scores)), np.diff(group_start))
    np.add.at(scores, group, weight[:, None] * (features[chosen] - mean))
    return scores
