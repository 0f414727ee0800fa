"""Which items to compare next: the vote that settles most of the order, or of the top k, per cost.

Legend: N items, Q pairs that may be asked, V votes of a batch.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.strengths import Strengths
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array, log_ndtr, log_normal_density, sigmoid

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(21)


@dataclass(frozen=True, kw_only=True, eq=False)
class Questions:
    """A batch of comparisons in the order in which they were found worth asking.

    gain: expected nats of order settled by each, given that those before it are asked too. cost: of
    each, where costs were given.
    """

    first: Int[Array, " V"]
    second: Int[Array, " V"]
    gain: Float[Array, " V"]
    cost: Float[Array, " V"] | None = None


def ask_next(
    belief: Strengths,
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    num_votes: int,
    *,
    top: int | None = None,
    cost: Float[Array, " Q"] | None = None,
) -> Questions:
    """A batch of votes, greedily: each the one of largest gain per cost after those before it.

    An answer that is not known yet moves the mean by nothing on average and narrows the covariance
    by a rank-one step, so the next pick looks where doubt is left. The same pair may be asked
    several times. `top` counts only what decides who is among the first k; None the whole order.

    Raises `DataError` for pairs that are no pairs, `ConfigError` for a batch, top or cost that
    makes no sense.
    """
    size = len(belief.items)
    _check(size, first, second, num_votes, top, cost)
    chosen, gains = [], []
    for _ in range(num_votes):
        gain = expected_gain(belief, first, second, top=top)
        pick = int(np.argmax(gain if cost is None else gain / cost))
        chosen.append(pick)
        gains.append(gain[pick])
        a, b = int(first[pick]), int(second[pick])
        information = float(vote_information(*belief.gaps(np.array([a]), np.array([b])))[0])
        belief = replace(belief, covariance=belief.after(a, b, information))
    return Questions(
        first=first[chosen], second=second[chosen], gain=np.array(gains),
        cost=None if cost is None else cost[chosen],
    )  # fmt: skip


def expected_gain(
    belief: Strengths,
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    *,
    top: int | None = None,
) -> Float[Array, " Q"]:
    """Expected fall of sum_{i<j} H(P(i above j)), in nats, from one vote on each pair.

    P(i above j) = Phi(k), k = m_ij / s_ij, is a martingale, and a vote of information h on (a, b)
    gives it the variance phi(k)^2 Delta^2 / s^2, Delta^2 = h (c_i - c_j)^2 / (1 + h s_ab^2) with
    c = C (e_a - e_b). To second order the entropy falls by half of that over Phi(k) Phi(-k) (the
    mutual information of the vote and the order of i and j; Lindley 1956). Summed over pairs it is
    h / (1 + h s_ab^2) (e_a - e_b)' C L C (e_a - e_b), L the Laplacian of the weights
    phi(k)^2 / (2 Phi(k) Phi(-k) s^2): one matrix serves all candidates. With `top`, the sum runs
    over the pairs of an item that is now among the first k and one that is not.
    """
    whole = belief.covariance @ order_laplacian(belief, top) @ belief.covariance
    mean, spread = belief.gaps(first, second)
    information = vote_information(mean, spread)
    quadratic = whole[first, first] + whole[second, second] - 2.0 * whole[first, second]
    return np.asarray(information / (1.0 + information * spread**2) * np.maximum(quadratic, 0.0))


def vote_information(mean: Float[Array, " Q"], spread: Float[Array, " Q"]) -> Float[Array, " Q"]:
    """E p (1 - p) over the gap's belief: what one vote is expected to tell of the gap."""
    p = sigmoid(mean[:, None] + spread[:, None] * _NODES)
    return np.asarray((p * (1.0 - p)) @ _WEIGHTS / _WEIGHTS.sum())


def top_items(belief: Strengths, top: int) -> Int[Array, " K"]:
    """The k items of highest mean, best first; equal means in the order of the items."""
    return np.argsort(-belief.mean, kind="stable")[:top]


def order_laplacian(belief: Strengths, top: int | None) -> Float[Array, "N N"]:
    """L of `expected_gain`: tr(L (C - C')) are the nats of order that a covariance of C' instead
    of C settles."""
    weight = _order_weights(belief, top)
    return np.asarray(np.diag(weight.sum(axis=1)) - weight)


def _order_weights(belief: Strengths, top: int | None) -> Float[Array, "N N"]:
    """phi(k)^2 / (2 Phi(k) Phi(-k) s^2) of every pair whose order matters, 0 elsewhere."""
    size = len(belief.items)
    first, second = np.triu_indices(size, 1)
    mean, spread = belief.gaps(first, second)
    k = mean / np.maximum(spread, 1e-300)
    log_weight = 2.0 * log_normal_density(k) - log_ndtr(k) - log_ndtr(-k)
    value = np.where(spread > 0, 0.5 * np.exp(log_weight) / np.maximum(spread, 1e-150) ** 2, 0.0)
    if top is not None:
        is_in = np.zeros(size, dtype=bool)
        is_in[top_items(belief, top)] = True
        value = np.where(is_in[first] != is_in[second], value, 0.0)
    weight = np.zeros((size, size))
    weight[first, second] = value
    weight[second, first] = value
    return weight


def _check(
    size: int,
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    num_votes: int,
    top: int | None,
    cost: Float[Array, " Q"] | None,
) -> None:
    places = np.concatenate([first, second])
    if not len(first) or places.min() < 0 or places.max() >= size or np.any(first == second):
        raise DataError(
            f"{len(first)} pairs of places were given for {size} items; expected at least one pair "
            f"of two different places from 0 to {size - 1}. Drop pairs that cannot be asked."
        )
    if num_votes < 1 or (top is not None and not 0 < top < size):
        raise ConfigError(
            f"num_votes = {num_votes} and top = {top}; expected at least one vote, and a top of 1 "
            f"to {size - 1} items (None for the whole order)."
        )
    if cost is not None and (cost.shape != first.shape or not np.all((cost > 0) & (cost < np.inf))):
        raise ConfigError(
            f"costs have shape {cost.shape} for {len(first)} pairs, or some are not positive; "
            "expected one positive number a pair, in any unit."
        )
