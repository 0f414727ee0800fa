"""Whether judgements follow their context: reversals, and contrasts of near contexts.

Legend: B pairs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Shares in 0 to 1; a tie counts as half.

    response: of pairs of contexts, how often an option fits its own context better than the other's
    option does, r(I, R) > r(I, R'). instruction: how often it is worth more in its own context than
    in the other, r(I, R) > r(I', R), which within-context pairs alone do not determine.
    """

    response: float
    instruction: float


def pair_accuracy(gap: Float[Array, " B"]) -> float:
    """Share of gaps above zero, ties as half.

    With both contexts of a reversed pair scored, a model that ignores them is right in exactly one
    of every two, whatever it thinks; with one context a pair it may be lucky.
    """
    return float(np.mean((gap > 0) + 0.5 * (gap == 0)))


def flip_rate(gap: Float[Array, " B"], negated: Float[Array, " B"]) -> float:
    """How often the decision turns round when the context is turned into its opposite."""
    return pair_accuracy(-gap * negated)


def contrast(
    own: Float[Array, " B"], other_option: Float[Array, " B"], other_context: Float[Array, " B"]
) -> Contrast:
    """Contrast consistency (Shen et al. 2023): rewards of an option in its own context, of the
    other context's option there, and of the option in the other context."""
    return Contrast(
        response=pair_accuracy(own - other_option), instruction=pair_accuracy(own - other_context)
    )
