"""Two views of a text beside those of all others: a loss on what a network makes of texts.

It says nothing of preference, and is no likelihood of an answer: it keeps the texts of a step apart
in the hidden units, so that a few wrong labels cannot fold them together.

Legend: R texts, J the same texts again, W hidden units.
"""

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array, log_sum_exp


def contrast_log_prob(
    one: Float[Array, "*M R W"], other: Float[Array, "*M R W"], temperature: float
) -> Float[Array, "*M R"]:
    """log softmax_j (cos(one_r, other_j) / temperature) at j = r.

    The loss of van den Oord et al. (2018) on views by dropout, as Gao, Yao and Chen (2021, SimCSE)
    take it and Wang et al. (2024) add it to a reward model's.
    """
    alike = _unit(one)[0] @ np.swapaxes(_unit(other)[0], -1, -2) / temperature
    own = np.diagonal(alike, axis1=-2, axis2=-1)
    return own - log_sum_exp(alike, axis=-1)


def contrast_score(
    one: Float[Array, "*M R W"], other: Float[Array, "*M R W"], temperature: float
) -> tuple[Float[Array, "*M R W"], Float[Array, "*M R W"]]:
    """The slopes of its sum over texts, by each view."""
    (left, left_size), (right, right_size) = _unit(one), _unit(other)
    alike = left @ np.swapaxes(right, -1, -2) / temperature
    share = np.exp(alike - log_sum_exp(alike, axis=-1)[..., None])
    pull = (np.eye(alike.shape[-1]) - share) / temperature
    by_left, by_right = pull @ right, np.swapaxes(pull, -1, -2) @ left
    return _along(left, left_size, by_left), _along(right, right_size, by_right)


def _unit(view: Float[Array, "*M R W"]) -> tuple[Array, Array]:
    """Directions, and lengths; a view of zeros has no direction."""
    size = np.sqrt((view**2).sum(axis=-1, keepdims=True)) + 1e-12
    return view / size, size


def _along(unit: Array, size: Array, slope: Array) -> Float[Array, "*M R W"]:
    """The slope by a vector, from that by its direction."""
    return (slope - unit * (unit * slope).sum(axis=-1, keepdims=True)) / size
