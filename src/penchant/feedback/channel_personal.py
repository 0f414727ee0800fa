"""Two own parameters of every person behind the common ones of a channel: a shift and a stretch.

Legend: B observations, M parameters of the channel, m of one row, S kinds of people.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array, constant, namespace


def personal_names(batch: Batch, shift: str, stretch: str) -> tuple[str, ...]:
    """`threshold shift [ann]`, `log threshold stretch [ann]` and so on."""
    return tuple(f"{what} [{name}]" for name in batch.group_names for what in (shift, stretch))


def check_personal_scales(shift_scale: float, stretch_scale: float) -> None:
    """Raise `ConfigError` for prior scales that are no standard deviations."""
    if not (shift_scale > 0 and stretch_scale > 0):
        raise ConfigError(
            f"got shift_scale={shift_scale} and stretch_scale={stretch_scale}; expected positive "
            "standard deviations. Where people are not to shift and stretch, leave by_person out."
        )


def personal_precision(
    num: int, num_common: int, shift_scale: float, stretch_scale: float
) -> Float[Array, " M"]:
    """Of the normal priors that hold people's own to zero; the common ones are free."""
    precision = np.zeros(num)
    precision[num_common::2] = shift_scale**-2
    precision[num_common + 1 :: 2] = stretch_scale**-2
    return precision


def personal_index(common: Int[Array, "B m"], block: Block) -> Int[Array, "B m2"]:
    """Which parameters each row has: the common ones and its person's two."""
    own = common.shape[1] + 2 * block.group[:, None] + np.arange(2)
    return np.concatenate([common, own], axis=1)


def transfer_personal(
    parameters: Float[Array, " M *S"],
    num_common: int,
    group_names: tuple[str, ...],
    batch: Batch,
) -> Float[Array, " M2 *S"]:
    """The parameters for the people of another batch: zeros for those the fit did not see."""
    xp = namespace(parameters)
    trailing = tuple(parameters.shape[1:])
    own = parameters[num_common:].reshape((len(group_names), 2, *trailing))
    # The row of zeros at the end is for those the fit did not see.
    own = xp.concat([own, 0.0 * own[:1]], axis=0)
    place = {name: g for g, name in enumerate(group_names)}
    rows = np.array([place.get(name, len(group_names)) for name in batch.group_names])
    own = own[constant(rows, parameters)].reshape((2 * len(rows), *trailing))
    return xp.concat([parameters[:num_common], own], axis=0)
