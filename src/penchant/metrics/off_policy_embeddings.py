"""Large menus: weights of what actions have in common instead of the actions themselves.

Legend: B rounds, N options over all menus, E kinds of options that share an embedding.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array


def marginalised_weights(
    target: Float[Array, " N"],
    propensity: Float[Array, " N"],
    kind: Int[Array, " N"],
    row: Int[Array, " N"],
    taken: Int[Array, " B"],
) -> Float[Array, " B"]:
    """pi(e|x) / mu(e|x), the weight of the taken action's kind e (Saito and Joachims 2022).

    pi(e|x) is the sum of pi(a|x) over the options of kind e, so is mu's. `kind` codes the kinds
    from 0 (a genre, a brand, a cluster of embeddings; each option has one). Unbiased where the
    reward depends on the action through its kind alone; support is then needed for kinds only.
    With every option a kind of its own these are the ordinary weights.
    """
    num_kinds = int(kind.max(initial=-1)) + 1
    cell, inverse = np.unique(row * num_kinds + kind, return_inverse=True)
    wanted = np.bincount(inverse, target, minlength=len(cell))[inverse[taken]]
    shown = np.bincount(inverse, propensity, minlength=len(cell))[inverse[taken]]
    with np.errstate(divide="ignore"):
        return np.where(wanted > 0, wanted / shown, 0.0)
