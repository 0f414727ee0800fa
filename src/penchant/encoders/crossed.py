"""Context times option: features whose linear head judges an option differently in each context.

Legend: B rows, C context features, D option features, E = C D crossed features, T texts.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from penchant.errors import DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Crossed:
    """U(x, a) = (1, psi(x))' M phi(a) = sum_ij psi_i M_ij phi_j + w' phi: resolve the context, then
    judge (Pitis et al. 2024, CARM: a scalar head on [prompt; context; option]).

    The head is linear in the outer product, so that every linear head (ridge by the evidence,
    curvature, doubt) fits the bilinear one exactly. psi and phi are the leading directions of the
    embeddings, centred, in units of their spread: an embedding of 384 by one of 384 would have
    147,456 weights, of which most say nothing.

    context_centre, option_centre; context_axes, option_axes: directions over their spreads.
    """

    context_centre: Float[Array, " P"]
    context_axes: Float[Array, "P C"]
    option_centre: Float[Array, " Q"]
    option_axes: Float[Array, "Q D"]

    @classmethod
    def of(
        cls, contexts: Float[Array, "A P"], options: Float[Array, "T Q"], *,
        num_context: int | None = None, num_option: int | None = None,
    ) -> "Crossed":  # fmt: skip
        """The leading directions of what is given (all of them by default).

        Raises `DataError` where a context or an option is not finite.
        """
        for name, values in (("context", contexts), ("option", options)):
            if not np.isfinite(values).all():
                row = int(np.argmax(~np.isfinite(values).all(axis=1)))
                raise DataError(
                    f"{name} {row} has features that are not finite; expected numbers. Leave it "
                    "out, or embed it again."
                )
        return cls(
            context_centre=contexts.mean(axis=0), context_axes=_axes(contexts, num_context),
            option_centre=options.mean(axis=0), option_axes=_axes(options, num_option),
        )  # fmt: skip

    def contexts(self, contexts: Float[Array, "B P"]) -> Float[Array, "B C1"]:
        """(1, psi): the taste that all contexts share comes first."""
        found = (contexts - self.context_centre) @ self.context_axes
        return np.column_stack([np.ones(len(found)), found])

    def features(
        self, contexts: Float[Array, "B P"], options: Float[Array, "B Q"]
    ) -> Float32[Array, "B E"]:
        """The outer product of each row's context and option; differences of these are pairs.

        One option in two contexts may be compared too: then the head also learns what the contexts
        by themselves are worth, if a constant stands among the options' features.
        """
        option = (options - self.option_centre) @ self.option_axes
        both = self.contexts(contexts)[:, :, None] * option[:, None]
        return both.reshape(len(both), -1).astype(np.float32)


def _axes(values: Float[Array, "N P"], most: int | None) -> Float[Array, "P C"]:
    """Principal directions over their standard deviations; none without spread."""
    centred = values - values.mean(axis=0)
    _, spread, directions = np.linalg.svd(centred, full_matrices=False)
    spread = spread / np.sqrt(max(len(values), 1))
    kept = spread > 1e-6 * max(float(spread.max(initial=0.0)), 1e-300)
    kept[len(kept) if most is None else most :] = False
    return directions[kept].T / spread[kept]
