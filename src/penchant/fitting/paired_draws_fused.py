"""The graph's information times many vectors at once, and its noise, streaming over the pairs.

`paired_draws.py` holds the plain NumPy twin; laws tie the two.

Legend: N items, Q pairs that met, R vectors.
"""

import inspect

from numba import njit

from penchant.numerics.arrays import Array


def _information_product(
    first: Array, second: Array, weight: Array, diagonal: Array, vectors: Array, out: Array
) -> None:
    num_vectors = vectors.shape[1]
    for n in range(len(diagonal)):
        d = diagonal[n]
        for r in range(num_vectors):
            out[n, r] = d * vectors[n, r]
    for q in range(len(first)):
        i, j, w = first[q], second[q], weight[q]
        for r in range(num_vectors):
            out[i, r] -= w * vectors[j, r]
        for r in range(num_vectors):
            out[j, r] -= w * vectors[i, r]


def _signed_sums(first: Array, second: Array, push: Array, bits: Array, out: Array) -> None:
    num_draws = out.shape[1]
    for q in range(len(first)):
        i, j, p, word = first[q], second[q], push[q], bits[q]
        for r in range(num_draws):
            signed = p if (word >> r) & 1 else -p
            out[i, r] += signed
            out[j, r] -= signed


# Only fusing of products and sums is allowed: no sum is reordered.
information_product = njit(cache=True, nogil=True, fastmath={"contract"})(
    inspect.unwrap(_information_product)
)
signed_sums = njit(cache=True, nogil=True)(inspect.unwrap(_signed_sums))
