"""Whether Markov chains have met, and how many independent draws theirs are worth.

Legend: C chains, T draws of each, M parameters.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.errors import DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class ChainDiagnostics:
    """r_hat: 1 where chains agree, above 1.01 they have not met. bulk_ess, tail_ess: independent
    draws that the chains are worth for the mean, and for the 5 % and 95 % quantiles."""

    r_hat: Float[Array, " M"]
    bulk_ess: Float[Array, " M"]
    tail_ess: Float[Array, " M"]


def diagnose(draws: Float[Array, "C T M"]) -> ChainDiagnostics:
    """Rank-normalised split R-hat and effective sizes (Vehtari, Gelman, Simpson, Carpenter and
    Buerkner 2021).

    Raises `DataError` for chains of fewer than four draws.
    """
    if draws.shape[1] < 4:
        raise DataError(
            f"chains of {draws.shape[1]} draws cannot be judged; expected four or more. Raise "
            "num_draws."
        )
    halves = _split(draws)
    folded = np.abs(halves - np.median(halves, axis=(0, 1)))
    num_parameters = draws.shape[2]
    r_hat, bulk, tail = (np.empty(num_parameters) for _ in range(3))
    for m in range(num_parameters):
        normal = _normal_scores(halves[:, :, m])
        r_hat[m] = max(_r_hat(normal), _r_hat(_normal_scores(folded[:, :, m])))
        bulk[m] = _effective_size(normal)
        tail[m] = min(
            _effective_size((halves[:, :, m] <= quantile).astype(np.float64))
            for quantile in np.quantile(halves[:, :, m], (0.05, 0.95))
        )
    return ChainDiagnostics(r_hat=r_hat, bulk_ess=bulk, tail_ess=tail)


def _split(draws: Float[Array, "C T M"]) -> Float[Array, "C2 T2 M"]:
    """Each chain as two halves: a chain that drifts then disagrees with itself."""
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]])


def _normal_scores(chains: Float[Array, "C T"]) -> Float[Array, "C T"]:
    """Normal quantiles of the ranks, (r - 3/8) / (n + 1/4) (Blom 1958); ties share a rank."""
    from scipy.special import ndtri

    _, place, counts = np.unique(chains, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - 0.5 * (counts - 1)
    return ndtri((ranks[place.reshape(chains.shape)] - 0.375) / (chains.size + 0.25))


def _r_hat(chains: Float[Array, "C T"]) -> float:
    """sqrt of (within and between) over within variance (Gelman and Rubin 1992)."""
    length = chains.shape[1]
    within = chains.var(axis=1, ddof=1).mean()
    between = length * chains.mean(axis=1).var(ddof=1)
    if within == 0.0:  # who stands still has met nobody
        return float("inf")
    return float(np.sqrt((length - 1) / length + between / (length * within)))


def _effective_size(chains: Float[Array, "C T"]) -> float:
    """C T / (1 + 2 sum of autocorrelations), cut where their pairs turn negative and made to fall
    (Geyer 1992)."""
    length = chains.shape[1]
    centred = chains - chains.mean(axis=1, keepdims=True)
    size = 2 ** int(np.ceil(np.log2(2 * length)))
    spectrum = np.fft.rfft(centred, size, axis=1)
    covariance = np.fft.irfft(spectrum * spectrum.conj(), size, axis=1)[:, :length] / length
    within = covariance[:, 0].mean() * length / (length - 1)
    pooled = within * (length - 1) / length + chains.mean(axis=1).var(ddof=1)
    if pooled == 0.0:
        return float("nan")
    correlation = 1.0 - (within - covariance.mean(axis=0)) / pooled
    correlation[0] = 1.0
    pairs = correlation[: 2 * (length // 2)].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs < 0)
    kept = pairs[: negative[0]] if len(negative) else pairs
    time = max(2.0 * np.minimum.accumulate(kept).sum() - 1.0, 1.0 / np.log10(chains.size))
    return float(chains.size / time)
