"""Linear systems whose matrix is known as a product only.

`fitting/paired_draws.py` solves for many right sides at once, where one compiled pass over the
pairs serves them all and each stops on its own; that loop stays there.

Legend: M unknowns.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array


def conjugate_gradients(
    times: Callable[[Float[Array, " M"]], Float[Array, " M"]],
    target: Float[Array, " M"],
    diagonal: Float[Array, " M"],
    *,
    tolerance: float,
    max_steps: int,
    flat: float = 0.0,
    precondition: Callable[[Float[Array, " M"]], Float[Array, " M"]] | None = None,
) -> Float[Array, " M"]:
    """x with A x = target, A positive semi-definite and known by its products `times`.

    Hestenes and Stiefel (1952) with a diagonal of about A's own as preconditioner (Nocedal and
    Wright 2006, algorithm 5.3). Ends when the residual, in units of that diagonal, is below
    `tolerance` of the target, or after `max_steps`. Stops short at a direction that bends less
    than `flat` times what the diagonal expects of it, as Steihaug (1983) does: what was found
    until then still goes uphill. `precondition` stands for a division by the diagonal where more of
    A is known.
    """

    def divided(residual: Float[Array, " M"]) -> Float[Array, " M"]:
        return residual / diagonal if precondition is None else precondition(residual)

    x, residual = np.zeros_like(target), target.copy()
    scaled = divided(residual)
    direction, size = scaled.copy(), float(residual @ scaled)
    goal = tolerance**2 * size
    for _ in range(max_steps):
        if size <= goal or size == 0.0:
            break
        product = times(direction)
        bend = float(direction @ product)
        expected = float(direction @ (diagonal * direction)) if flat else 0.0
        if bend <= flat * expected:
            break
        length = size / bend
        x += length * direction
        residual -= length * product
        scaled = divided(residual)
        size, before = float(residual @ scaled), size
        direction = scaled + (size / before) * direction
    return x
