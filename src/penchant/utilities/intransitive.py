"""Comparisons that no worth explains: a skew form of embeddings, and its split in order and cycle.

A comparison c[i, j] is the log-odds that i is preferred to j; c[j, i] = -c[i, j]. A worth is the
special case c[i, j] = u_i - u_j.

Legend: N items, E numbers of an embedding (two per block), L blocks.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array, namespace


def skew_comparison(
    first: Float[Array, "*B E"], second: Float[Array, "*B E"], gates: Float[Array, "*#B L"]
) -> Float[Array, "*B"]:
    """Log-odds that the first is preferred, from what each item is embedded as.

    c(a, b) = sum_l gate_l (a_l1 b_l2 - a_l2 b_l1). Every block is a plane, and in it an item is
    preferred to those up to half a turn anticlockwise of it. Zhang et al. 2024 (general preference
    model), with lengths free as in their best checkpoints. One block with a_l2 = 1 everywhere is
    Bradley-Terry: c is the difference of the a_l1.
    """
    turned = first[..., 0::2] * second[..., 1::2] - first[..., 1::2] * second[..., 0::2]
    return namespace(first).sum(gates * turned, axis=-1)


def skew_matrix(embedding: Float[Array, "N E"], gates: Float[Array, " L"]) -> Float[Array, "N N"]:
    """`skew_comparison` of every item with every other: skew-symmetric, of rank 2 L at most."""
    half = (embedding[:, 0::2] * gates) @ embedding[:, 1::2].T
    return half - half.T


def embed_skew(comparison: Float[Array, "N N"], num_blocks: int) -> Float[Array, "N E"]:
    """The embedding, gates all 1, whose skew matrix is nearest to a comparison in squares.

    A skew matrix is a sum of turning planes sigma_l (y_l x_l' - x_l y_l') with falling sigma (its
    real Schur form); the first L of them are its best approximation of rank 2 L (Eckart and Young
    1936). Every skew matrix of rank 2 L or less is met exactly.
    """
    # i times a skew matrix is Hermitian, with eigenvalues in pairs +-sigma.
    values, vectors = np.linalg.eigh(1j * comparison)
    largest = np.argsort(values)[::-1][:num_blocks]
    size = np.sqrt(2.0 * np.maximum(values[largest], 0.0))
    embedding = np.zeros((len(comparison), 2 * num_blocks))
    embedding[:, 0 : 2 * len(largest) : 2] = vectors[:, largest].imag * size
    embedding[:, 1 : 2 * len(largest) : 2] = vectors[:, largest].real * size
    return embedding


@dataclass(frozen=True, kw_only=True, eq=False)
class HodgeSplit:
    """A comparison = gradient + cyclic, on the pairs that met (zero elsewhere).

    strengths: gradient[i, j] = strengths_i - strengths_j, mean zero within each connected part.
    cyclic_share: the weighted sum of squares of the cyclic part over that of the whole, 0 to 1;
    0 for a comparison that is zero everywhere.
    """

    strengths: Float[Array, " N"]
    gradient: Float[Array, "N N"]
    cyclic: Float[Array, "N N"]
    cyclic_share: float


def hodge_split(
    comparison: Float[Array, "N N"], weight: Float[Array, "N N"] | None = None
) -> HodgeSplit:
    """The order nearest to a comparison, and the cycles that no order explains.

    The strengths minimise sum_{i<j} w_ij (c_ij - (r_i - r_j))^2, weighted least squares on the
    graph of comparisons: L r = div, L = diag(w 1) - w, its Laplacian, and div_i = sum_j w_ij c_ij
    (Jiang, Lim, Yao and Ye 2011). What is left has no divergence: at every item, what flows in
    flows out. With equal weights r_i is the mean of row i. Weights are, for instance, votes times
    p (1 - p); None weighs every pair alike; a pair of weight 0 never met.

    Raises `DataError` for a comparison that is not skew, or weights that are not symmetric.
    """
    size = len(comparison)
    weight = 1.0 - np.eye(size) if weight is None else weight * (1.0 - np.eye(size))
    _check(comparison, weight)
    laplacian = np.diag(weight.sum(axis=1)) - weight
    divergence = (weight * comparison).sum(axis=1)
    # The least-norm solution is orthogonal to the constants of every connected part.
    strengths = np.linalg.lstsq(laplacian, divergence, rcond=None)[0]
    met = weight > 0
    gradient = np.where(met, strengths[:, None] - strengths, 0.0)
    cyclic = np.where(met, comparison, 0.0) - gradient
    whole = float((weight * np.where(met, comparison, 0.0) ** 2).sum())
    share = float((weight * cyclic**2).sum()) / whole if whole > 0 else 0.0
    return HodgeSplit(strengths=strengths, gradient=gradient, cyclic=cyclic, cyclic_share=share)


@dataclass(frozen=True)
class Cycle:
    """Items of which each is preferred to the next, and the last to the first.

    curl: the sum of log-odds around it, in nats; 0 where an order explains them.
    """

    items: tuple[int, int, int]
    curl: float


def strongest_cycles(
    comparison: Float[Array, "N N"], met: Bool[Array, "N N"], top: int = 10
) -> tuple[Cycle, ...]:
    """The triples that go round, by how far c_ij + c_jk + c_ki is from zero, strongest first.

    Only triples whose three preferences all point the same way round; the sum is the curl of Jiang
    et al. 2011. Each starts with its smallest item.
    """
    found = []
    for low in range(len(comparison) - 2):
        others = low + 1 + np.flatnonzero(met[low, low + 1 :])
        j, k = (others[index] for index in np.triu_indices(len(others), 1))
        j, k = j[met[j, k]], k[met[j, k]]
        legs = np.stack([comparison[low, j], comparison[j, k], comparison[k, low]])
        round_ = np.flatnonzero((legs > 0).all(axis=0) | (legs < 0).all(axis=0))
        curl = legs[:, round_].sum(axis=0)
        found += [
            Cycle((low, int(a), int(b)) if c > 0 else (low, int(b), int(a)), abs(float(c)))
            for a, b, c in zip(j[round_], k[round_], curl)
        ]
        found = sorted(found, key=lambda cycle: -cycle.curl)[:top]
    return tuple(found)


def comparison_matrix(
    num_items: int,
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    values: Float[Array, " Q"],
) -> Float[Array, "N N"]:
    """Values of pairs as a skew matrix; zero for pairs that are not named."""
    matrix = np.zeros((num_items, num_items))
    matrix[first, second] = values
    matrix[second, first] = -values
    return matrix


def _check(comparison: Float[Array, "N N"], weight: Float[Array, "N N"]) -> None:
    relevant = np.where(weight > 0, comparison, 0.0)
    if not np.all(np.isfinite(relevant)):
        raise DataError(
            "the comparison has entries that are not finite where its weight is positive; expected "
            "log-odds. A pair that one side always won has none: add half a vote to each side."
        )
    if not np.allclose(relevant, -relevant.T, atol=1e-9):
        raise DataError(
            "the comparison is not skew-symmetric; expected c[j, i] = -c[i, j]. Take "
            "(c - c.T) / 2, or the log-odds of preferences with p[i, j] + p[j, i] = 1."
        )
    if np.any(weight < 0) or not np.allclose(weight, weight.T):
        raise DataError(
            "the weights are negative or not symmetric; expected w[i, j] = w[j, i] of 0 or more, "
            "such as the number of votes of the pair."
        )
