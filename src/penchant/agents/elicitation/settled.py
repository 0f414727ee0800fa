"""How many more votes until the top k is settled: paths of what is still to come.

Legend: N items, Q pairs that may be asked, R paths, V steps of a path.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.strengths import Strengths
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array, ndtr, sigmoid

_ENTRIES_AT_ONCE = 2_000_000  # of covariances along a path: 16 MB


@dataclass(frozen=True, kw_only=True)
class VotesToGo:
    """Votes still needed: the median and the 80 % interval over paths; infinity beyond `horizon`.

    doubt: how probable it is at most, now, that the top k is wrong.
    chance: the share of paths that settle within the horizon.
    """

    median: float
    low: float
    high: float
    doubt: float
    chance: float
    horizon: int


def top_doubt(belief: Strengths, top: int) -> float:
    """sum over the first k and the others of P(the other is above), at most 1: a bound on the
    probability that the k items of highest mean are not the k strongest (Boole)."""
    return min(1.0, float(_doubt(belief.mean[None], belief.covariance[None], top)[0]))


def votes_to_settle(
    belief: Strengths,
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    top: int,
    generator: np.random.Generator,
    *,
    allocation: Float[Array, " Q"] | None = None,
    risk: float = 0.05,
    horizon: int = 100_000,
    num_paths: int = 200,
) -> VotesToGo:
    """When `top_doubt` is first expected at or below `risk`, if votes go on as `allocation` says.

    Each path draws the true strengths r from the belief. V further votes, spread over the pairs in
    proportion to `allocation` (None: evenly), see V J r plus normal noise of covariance V J, J the
    information of one vote at r; noise grows with V as it will in life, in steps of 12 %. The path
    settles where the belief from both, N((P + V J)^-1 (P m + V J r + noise), (P + V J)^-1), is sure
    enough of its own top k. The interval is over paths: what is not known of the strengths, and the
    luck of the votes to come.

    Raises `ConfigError` for a top, risk or allocation that makes no sense.
    """
    size = len(belief.items)
    allocation = np.full(len(first), 1.0) if allocation is None else allocation
    _check(size, first, top, risk, allocation)
    share = allocation / allocation.sum()
    doubt = top_doubt(belief, top)
    if doubt <= risk:
        return VotesToGo(median=0.0, low=0.0, high=0.0, doubt=doubt, chance=1.0, horizon=horizon)
    steps = np.unique(np.round(np.geomspace(1, horizon, 2 + int(np.log(horizon) / 0.12))))
    precision = _precision(belief.covariance)
    needed = np.array([
        _path(belief.mean, precision, strengths, first, second, share, top, risk, steps, generator)
        for strengths in belief.draw(num_paths, generator)
    ])  # fmt: skip
    # Order statistics, not means of neighbours: half of infinity is no number of votes.
    low, median, high = np.quantile(needed, [0.1, 0.5, 0.9], method="inverted_cdf")
    return VotesToGo(
        median=float(median),
        low=float(low),
        high=float(high),
        doubt=doubt,
        chance=float(np.isfinite(needed).mean()),
        horizon=horizon,
    )


def _precision(covariance: Float[Array, "N N"]) -> Float[Array, "N N"]:
    """The inverse of a covariance of which gaps alone count.

    A leaderboard's has no doubt on the mean of its scores, and one by few voters has none in most
    directions. Doubt on the common level changes no gap; where there is none at all, some is put
    in, a millionth of the largest, that no vote could notice.
    """
    whole = covariance + np.diag(covariance).mean()
    values, vectors = np.linalg.eigh(whole)
    return np.asarray((vectors / np.maximum(values, 1e-6 * values[-1])) @ vectors.T)


def _path(
    mean: Float[Array, " N"],
    precision: Float[Array, "N N"],
    strengths: Float[Array, " N"],
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    share: Float[Array, " Q"],
    top: int,
    risk: float,
    steps: Float[Array, " V"],
    generator: np.random.Generator,
) -> float:
    """Votes after which one path is settled, infinity if it is not at the last step."""
    p = sigmoid(strengths[first] - strengths[second])
    bend = share * p * (1.0 - p)
    size = len(mean)
    information = np.zeros((size, size))
    np.add.at(information, (first, second), -bend)
    np.add.at(information, (second, first), -bend)
    information -= np.diag(information.sum(axis=1))
    # One basis in which both the precision and the information are diagonal serves all steps.
    root = np.linalg.cholesky(precision)
    inner = np.linalg.solve(root, np.linalg.solve(root, information).T)
    values, vectors = np.linalg.eigh(inner)
    values = np.maximum(values, 0.0)
    basis = np.linalg.solve(root.T, vectors)
    start, drift = basis.T @ precision @ mean, basis.T @ information @ strengths
    gone = np.diff(steps, prepend=0.0)[:, None]
    noise = np.cumsum(np.sqrt(gone * values) * generator.normal(size=(len(steps), size)), axis=0)
    at_once = max(1, _ENTRIES_AT_ONCE // size**2)
    for begin in range(0, len(steps), at_once):
        part = slice(begin, begin + at_once)
        votes = steps[part, None]
        width = 1.0 / (1.0 + votes * values)
        now = (width * (start + votes * drift + noise[part])) @ basis.T
        settled = _doubt(now, (basis * width[:, None, :]) @ basis.T, top) <= risk
        if settled.any():
            return float(votes[np.argmax(settled), 0])
    return np.inf


def _doubt(
    mean: Float[Array, "V N"], covariance: Float[Array, "V N N"], top: int
) -> Float[Array, " V"]:
    """sum over i in the first k and j outside of Phi((m_j - m_i) / s_ij), row by row."""
    rank = np.argsort(np.argsort(-mean, axis=1, kind="stable"), axis=1)
    crossing = (rank < top)[:, :, None] & (rank >= top)[:, None, :]
    variance = np.einsum("vii->vi", covariance)
    spread = variance[:, :, None] + variance[:, None, :] - 2.0 * covariance
    gap = mean[:, None, :] - mean[:, :, None]
    above = ndtr(gap / np.sqrt(np.maximum(spread, 1e-300)))
    return np.asarray((above * crossing).sum(axis=(1, 2)))


def _check(
    size: int, first: Int[Array, " Q"], top: int, risk: float, allocation: Float[Array, " Q"]
) -> None:
    if not 0 < top < size or not 0 < risk < 1:
        raise ConfigError(
            f"top = {top} and risk = {risk}; expected a top of 1 to {size - 1} items and a risk "
            "between 0 and 1."
        )
    if allocation.shape != first.shape or not (np.all(allocation >= 0) and allocation.sum() > 0):
        raise ConfigError(
            f"the allocation has shape {allocation.shape} for {len(first)} pairs; expected one "
            "share of 0 or more for each, some positive."
        )
