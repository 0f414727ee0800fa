"""Means and variances of options told by two sides (`named_weights.py`), in one compiled loop.

Legend: K options, M features of options and N of the situation, each with 1.
"""

import inspect

import numpy as np
from jaxtyping import Float
from numba import njit

from penchant.numerics.arrays import Array


def _moments(
    features: Float[Array, "K M"], context: Float[Array, " N"], mean: Float[Array, "M N"],
    covariance: Float[Array, "M*M N*N"], worth: Float[Array, " K"], variance: Float[Array, " K"],
) -> None:  # fmt: skip
    """Fills `worth` with x' (mean c) and `variance` with x' C x, where C[m, m'] is the sum over n,
    n' of covariance[mm', nn'] c[n] c[n']: the situation first, which all options share."""
    (K, M), N = features.shape, len(context)
    shared = np.empty((M, M))
    towards = np.zeros(M)
    both = np.empty(N * N)
    for n in range(N):
        for j in range(N):
            both[n * N + j] = context[n] * context[j]
    for m in range(M):
        for n in range(N):
            towards[m] += mean[m, n] * context[n]
        # Twice what is off the diagonal stands for both of its halves.
        for j in range(m + 1):
            total = 0.0
            for n in range(N * N):
                total += covariance[m * M + j, n] * both[n]
            shared[m, j] = total if j == m else 2.0 * total
    for k in range(K):
        first, second = 0.0, 0.0
        for m in range(M):
            inner = 0.0
            for j in range(m + 1):
                inner += shared[m, j] * features[k, j]
            first += features[k, m] * towards[m]
            second += features[k, m] * inner
        worth[k], variance[k] = first, second


# Sums may be reordered, so that several terms are added at once.
moments = njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})(inspect.unwrap(_moments))
