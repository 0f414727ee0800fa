"""Normal laws of weights: with all covariances, or each weight by itself.

Legend: D weights, E worths that are linear in them.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array


@runtime_checkable
class NormalLaw(Protocol):
    """What is known of D weights; `plan` [E, D] says what of them worths are made of."""

    @property
    def mean(self) -> Float[Array, " D"]:
        """Of each weight."""
        ...

    def covariance_of(self, plan: Float[Array, "E D"]) -> Float[Array, "E E"]:
        """plan covariance plan'."""
        ...

    def spread(self) -> Float[Array, " D"]:
        """Standard deviation of each weight."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class FullNormal:
    """All covariances: root' root, root lower triangular, which keeps its digits however alike
    features are."""

    mean: Float[Array, " D"]
    root: Float[Array, "D D"]

    @classmethod
    def of(cls, mean: Float[Array, " D"], covariance: Float[Array, "D D"]) -> "FullNormal":
        """Weights without any doubt are allowed."""
        # The Cholesky factor of the matrix turned round is that of the other triangle.
        doubtful = np.flatnonzero(np.diag(covariance) > 0)
        root = np.zeros_like(covariance)
        if len(doubtful):
            part = covariance[np.ix_(doubtful, doubtful)]
            factor = np.linalg.cholesky(part[::-1, ::-1])
            root[np.ix_(doubtful, doubtful)] = factor[::-1, ::-1].T
        return cls(mean=mean, root=root)

    def covariance_of(self, plan: Float[Array, "E D"]) -> Float[Array, "E E"]:
        f = self.root @ plan.T
        return np.asarray(f.T @ f)

    def spread(self) -> Float[Array, " D"]:
        return np.sqrt(np.square(self.root).sum(axis=0))


@dataclass(frozen=True, kw_only=True, eq=False)
class DiagonalNormal:
    """Each weight by itself: for many thousand sparse features, of which a menu names a few."""

    mean: Float[Array, " D"]
    variance: Float[Array, " D"]

    def covariance_of(self, plan: Float[Array, "E D"]) -> Float[Array, "E E"]:
        used = np.flatnonzero(plan.any(axis=0))
        return np.asarray((plan[:, used] * self.variance[used]) @ plan[:, used].T)

    def spread(self) -> Float[Array, " D"]:
        return np.sqrt(self.variance)
