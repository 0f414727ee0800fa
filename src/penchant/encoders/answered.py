"""What somebody has answered so far, as a context: learning within the forward pass.

Legend: B pairs, D dimensions, G people.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array, add_rows


def answered(
    differences: Float[Array, "B D"],
    answer: Int[Array, " B"],
    person: Int[Array, " B"],
    num_people: int,
    *,
    shrink: float = 4.0,
) -> Float[Array, "G D"]:
    """sum_b (winner - loser) / (n + shrink) of each person: zero for whom nothing is known.

    Crossed with an option's features (`Crossed`) it is linear attention over the history, one
    gradient step of a reward head from zero, which a head fitted over many people turns into the
    step that suits them (Singh et al. 2025, FSPO, write the history into the prompt of a language
    model and meta-learn over people in the same way). shrink: answers that say as much as the
    population does; a learned head makes up for its size, not for its shape in n.
    """
    sign = np.where(answer == 0, 1.0, -1.0)[:, None]
    total = add_rows(np.zeros((num_people, differences.shape[1])), person, differences * sign)
    count = np.bincount(person, minlength=num_people)
    return total / (count + shrink)[:, None]
