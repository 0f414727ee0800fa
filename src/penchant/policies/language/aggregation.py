"""From losses of tokens to one number: a weight for every token, made before a batch is split.

The weights hold the normaliser, which counts the whole batch; the loss is then a plain sum, and
eight micro-batches of one give what one of eight gives. No mode is called after a method, since
"token mean" alone is taken in three ways in the literature.

Legend: B rows, T tokens.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array, constant, namespace

Mean = Literal["token", "row", "constant", "unit", "group"]


def token_scale(
    unit_of: Int[Array, "B T"],
    mean: Mean,
    *,
    length: int | None = None,
    group_of: Int[Array, " B"] | None = None,
) -> Float[Array, "B T"]:
    """The weight of every token, 0 where it is not trained (unit_of below 0).

    mean="token": 1 / trained tokens of the batch. "row": 1 / (rows x tokens of the row), GRPO's.
    "constant": 1 / (rows x `length`), a length given and not measured (Dr. GRPO, Liu et al. 2025):
    the one whose gradient is unbiased, since a measured length depends on what was drawn. "unit": 1
    / (rows x units of the row x tokens of the unit). "group": a token mean within each `group_of`
    (prompt), then the mean of groups. Rows without a trained token count as rows all the same.

    Raises `ConfigError` where a mode lacks what it needs.
    """
    is_trained = unit_of >= 0
    num_rows = max(len(unit_of), 1)
    if mean == "token":
        of_token = np.full(unit_of.shape, float(is_trained.sum()))
    elif mean == "row":
        of_token = num_rows * _of_row(is_trained)
    elif mean == "constant":
        if length is None:
            raise ConfigError(
                "got mean='constant' without a length; expected the tokens a response may have, "
                "such as the most that a rollout generates."
            )
        of_token = np.full(unit_of.shape, float(num_rows * length))
    elif mean == "unit":
        of_token = num_rows * _of_unit(unit_of)
    else:
        if group_of is None:
            raise ConfigError(
                "got mean='group' without group_of; expected the prompt of each row, whose tokens "
                "are averaged before prompts are."
            )
        _, group = np.unique(group_of, return_inverse=True)
        num = np.bincount(group, weights=is_trained.sum(axis=1))
        of_token = np.broadcast_to((np.count_nonzero(num) * num[group])[:, None], unit_of.shape)
    return np.where(is_trained, 1.0 / np.maximum(of_token, 1.0), 0.0)


def aggregate(loss: Float[Array, "B T"], scale: Float[Array, "B T"]) -> Float[Array, ""]:
    """sum scale * loss over the tokens that count; what does not count may be NaN."""
    xp, weight = namespace(loss), constant(scale, loss)
    return xp.sum(xp.where(weight != 0.0, loss, 0.0) * weight)


def _of_row(is_trained: Bool[Array, "B T"]) -> Float[Array, "B T"]:
    return np.broadcast_to(is_trained.sum(axis=1, keepdims=True).astype(float), is_trained.shape)


def _of_unit(unit_of: Int[Array, "B T"]) -> Float[Array, "B T"]:
    """For each token, units of its row times tokens of its unit there."""
    rows = np.broadcast_to(np.arange(len(unit_of))[:, None], unit_of.shape)[unit_of >= 0]
    pairs, place, num = np.unique(
        np.stack([rows, unit_of[unit_of >= 0]]), axis=1, return_inverse=True, return_counts=True
    )
    units = np.bincount(pairs[0], minlength=len(unit_of))
    of_token = np.zeros(unit_of.shape)
    of_token[unit_of >= 0] = num[place.reshape(-1)] * units[rows]
    return of_token
