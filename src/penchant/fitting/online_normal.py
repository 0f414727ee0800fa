"""Normal laws of weights after one more thing was told of them.

Legend: D weights, E worths and own parameters that an answer speaks of, R numbers it tells.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from penchant.beliefs.normal_law import DiagonalNormal, FullNormal, NormalLaw
from penchant.fitting.online_laplace import told_beside
from penchant.numerics.arrays import Array


def learnt(
    law: NormalLaw, plan: Float[Array, "E D"], step: Float[Array, " E"], told: Float[Array, "E R"]
) -> NormalLaw:
    """The mean moves by covariance plan' step; told' plan w is known with unit noise each.

    Of a diagonal law covariances are left out again afterwards (assumed density filtering with a
    factorised law, as in Graepel et al. 2010).
    """
    if isinstance(law, FullNormal):
        root = law.root.copy()
        for direction in (plan.T @ told).T:
            _narrow()(root, root @ direction, 1.0)
        return FullNormal(mean=law.mean + law.root.T @ (law.root @ (plan.T @ step)), root=root)
    assert isinstance(law, DiagonalNormal)
    used = np.flatnonzero(plan.any(axis=0))
    direction, mean, variance = plan[:, used].T @ told, law.mean.copy(), law.variance.copy()
    mean[used] += variance[used] * (plan[:, used].T @ step)
    root = np.sqrt(variance[used])[:, None]
    spread_R, along = told_beside(root * direction, np.eye(len(used)))
    # Rounding must leave some doubt.
    variance[used] *= np.maximum(1.0 - (along**2 / (1.0 + spread_R)).sum(axis=1), 1e-15)
    return DiagonalNormal(mean=mean, variance=variance)


def with_further(
    law: NormalLaw, at: int, mean: Float[Array, " N"], variance: Float[Array, " N"]
) -> NormalLaw:
    """Further weights behind the first `at`, independent of all others and of each other."""
    means = np.insert(law.mean, at, mean)
    if isinstance(law, DiagonalNormal):
        return DiagonalNormal(mean=means, variance=np.insert(law.variance, at, variance))
    assert isinstance(law, FullNormal)
    before = np.delete(np.arange(len(means)), np.s_[at : at + len(mean)])
    root = np.diag(np.insert(np.zeros(len(law.mean)), at, np.sqrt(variance)))
    root[np.ix_(before, before)] = law.root
    return FullNormal(mean=means, root=root)


def relaxed(law: NormalLaw, prior: NormalLaw, kept: float) -> NormalLaw:
    """Weights that have moved on: deviations from the prior shrink to `kept` of themselves, and as
    much doubt comes in as makes the prior again where nothing is known (an autoregression whose
    lasting law is the prior)."""
    if kept == 1.0:
        # Nothing to do, and a root that is put together again loses digits.
        return law
    mean = prior.mean + kept * (law.mean - prior.mean)
    if isinstance(law, FullNormal) and isinstance(prior, FullNormal):
        fresh = (1.0 - kept**2) * prior.root.T @ prior.root
        return FullNormal.of(mean, kept**2 * law.root.T @ law.root + fresh)
    assert isinstance(law, DiagonalNormal)
    assert isinstance(prior, DiagonalNormal)
    variance = kept**2 * law.variance + (1.0 - kept**2) * prior.variance
    return DiagonalNormal(mean=mean, variance=variance)


@functools.cache
def _narrow() -> Callable[..., Any]:
    """In compiled loops where numba is."""
    try:
        from penchant.fitting.online_linear_fused import narrow
    except ImportError:
        from penchant.fitting.online_linear_plain import narrow
    return narrow
