"""From a text's state to its worth: a linear head, or one hidden layer.

Legend: H numbers of a state, W hidden units; leading axes of parameters are members of an ensemble.
"""

from collections.abc import Mapping

from jaxtyping import Float

from penchant.numerics.arrays import Array, sigmoid


def reward(head: Mapping[str, Array], states: Float[Array, "*B H"]) -> Float[Array, "..."]:
    """r(h) = out' h, or out' silu(hidden' h + bias) where there is a hidden layer.

    out [*M, H] or, with hidden [*M, H, W] and bias [*M, 1, W], [*M, W]. A constant would change no
    comparison, so that there is none.
    """
    outputs = units(head, states)[1] if "hidden" in head else states
    return (outputs @ head["out"][..., None])[..., 0]


def units(
    head: Mapping[str, Array], states: Float[Array, "*B H"]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """How far each hidden unit is open, and what it gives out."""
    inputs = states @ head["hidden"] + head["bias"]
    opening = sigmoid(inputs)
    return opening, inputs * opening
