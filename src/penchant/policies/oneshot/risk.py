"""Decisions that mind the worst off: of kinds of people, and of what we do not know.

Legend: B rounds, K options, S kinds of people, V draws.
"""

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array


def conditional_value_at_risk(
    worth: Float[Array, "*B S"], weight: Float[Array, "*B S"], share: float
) -> Float[Array, "*B"]:
    """The mean worth of the worst off `share` of people (Rockafellar and Uryasev 2000).

    max_t t - E (t - worth)_+ / share: whoever lies on the edge counts with as much of his weight as
    fills the share. 1 is the mean; 0 the worth of the worst off kind that has any weight.

    Raises `ConfigError` for a share that is none.
    """
    check_share(share)
    if share == 0.0:
        return np.where(weight > 0, worth, np.inf).min(axis=-1)
    order = np.argsort(worth, axis=-1, kind="stable")
    law = weight / weight.sum(axis=-1, keepdims=True)
    sorted_law = np.take_along_axis(np.broadcast_to(law, worth.shape), order, axis=-1)
    before = np.cumsum(sorted_law, axis=-1) - sorted_law
    counted = np.clip(share - before, 0.0, sorted_law)
    total = (np.take_along_axis(worth, order, axis=-1) * counted).sum(axis=-1)
    return np.asarray(total / counted.sum(axis=-1))


def careful_lottery(
    worth: Float[Array, "K S"], weight: Float[Array, " S"], share: float
) -> Float[Array, " K"]:
    """The lottery over options with the largest conditional value at risk, by a linear program.

    max_{p, t, z} t - sum_s w_s z_s / share with z_s >= t - sum_k p_k u_ks, z >= 0; with share 0 the
    lottery that serves the worst off kind best (maximin). A kind of people is served by the mean of
    the lottery: it may serve all of them better than any one option does.

    Raises `ConfigError` for a share that is none, `DataError` for worths that are not finite.
    """
    from scipy.optimize import linprog

    check_share(share)
    if not np.isfinite(worth).all():
        raise DataError("some worths are not finite; expected a number for each option and kind.")
    kept = weight > 0
    gains, law = worth[:, kept], weight[kept] / weight[kept].sum()
    num, kinds = gains.shape
    # In order p, t, z; with share 0 a z would never pay.
    short = kinds if share > 0 else 0
    cost = np.concatenate([np.zeros(num), [-1.0], law / share if share > 0 else []])
    rows = np.concatenate([-gains.T, np.ones((kinds, 1)), -np.eye(kinds)[:, :short]], axis=1)
    whole = np.concatenate([np.ones(num), np.zeros(1 + short)])[None]
    bounds = [(0.0, 1.0)] * num + [(None, None)] + [(0.0, None)] * short
    found = linprog(cost, A_ub=rows, b_ub=np.zeros(kinds), A_eq=whole, b_eq=[1.0], bounds=bounds,
                    method="highs")  # fmt: skip
    assert found.status == 0, found.message
    lottery = np.maximum(found.x[:num], 0.0)
    return np.asarray(lottery / lottery.sum())


def with_least_exposure(
    probabilities: Float[Array, "*B K"], least: float | Float[Array, "*B K"]
) -> Float[Array, "*B K"]:
    """The nearest probabilities that give every option at least `least`.

    Nearest by relative entropy: options above their least keep their ratios, p_k = max(least_k, c
    q_k), which is what minimum exposure costs least by (Patil, Ghalme, Nair and Narahari 2021 ask
    it of arms over rounds; here it holds in every round). Where all options together ask for more
    than 1, each gets its part of what all ask for.

    Raises `ConfigError` for exposures below 0.
    """
    asked = np.broadcast_to(np.asarray(least, dtype=np.float64), probabilities.shape)
    if not (asked >= 0).all():
        raise ConfigError(f"the least exposure is {least}; expected a probability, 0 or more.")
    total = asked.sum(axis=-1, keepdims=True)
    asked = np.where(total > 1.0, asked / np.where(total > 0, total, 1.0), asked)
    held = np.zeros(probabilities.shape, dtype=bool)
    # Each round raises one option at least: what was raised must stay so, as the others only fall.
    while True:
        rest = np.where(held, 0.0, probabilities).sum(axis=-1, keepdims=True)
        left = 1.0 - np.where(held, asked, 0.0).sum(axis=-1, keepdims=True)
        scale = np.where(rest > 0, left / np.where(rest > 0, rest, 1.0), 0.0)
        found = np.where(held, asked, scale * probabilities)
        fresh = ~held & (found < asked)
        if not fresh.any():
            break
        held |= fresh
    return found / found.sum(axis=-1, keepdims=True)


def check_share(share: float) -> None:
    """Raises `ConfigError` for a share of people that is none."""
    if not 0.0 <= share <= 1.0:
        raise ConfigError(
            f"the share of people is {share}; expected 0 (the worst off kind) to 1 (all alike)."
        )
