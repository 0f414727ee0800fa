"""Which ranks the data allow: intervals that hold for all items at once, or as odds.

An item's rank is one more than the number of items better than it; 1 is best. It is known only so
far as differences between items are, which intervals of single scores do not tell.

Legend: N items, R draws.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array

# The steps after the first repeat all of its work to sharpen a few ranks.
_MOST_STEPPED = 300
# Seen in simulation: with 6 voters the drawn maximum of normal values erred in 8 % of worlds of
# equal items instead of 5 %, with 30 voters in 3 %.
_FEW_DEGREES = 20.0
_DIFFERENCES_AT_ONCE = 4_000_000  # 16 MB


@dataclass(frozen=True, kw_only=True, eq=False)
class RankIntervals:
    """rank: by the estimates, ties sharing the better one. low is the best rank that the data
    allow, high the worst. critical: standard errors (normal ones) apart from which two items
    differ; NaN where score intervals decide. above[j, k]: item j is surely above k, found or by way
    of others, which is what low and high count; None where it is not kept."""

    rank: Int[Array, " N"]
    low: Int[Array, " N"]
    high: Int[Array, " N"]
    critical: float
    above: Bool[Array, "N N"] | None = None


def ranks(strengths: Float[Array, " N"]) -> Int[Array, " N"]:
    """One more than the number of items that are stronger."""
    ordered = np.sort(-strengths)
    return np.searchsorted(ordered, -strengths, side="left") + 1


def simultaneous_ranks(
    strengths: Float[Array, " N"],
    covariance: Float[Array, "N N"],
    generator: np.random.Generator,
    *,
    level: float = 0.95,
    island: Int[Array, " N"] | None = None,
    degrees_of_freedom: Float[Array, " N"] | None = None,
    shape: Float[Array, "N N"] | None = None,
    num_draws: int = 1000,
) -> RankIntervals:
    """Rank intervals that all hold together with probability `level`.

    Item j is above k if (s_j - s_k) / se_jk exceeds the `level` quantile of the largest such
    statistic under normal errors, drawn; rejected hypotheses leave the maximum and the rest is
    tried again (Romano and Wolf 2005). Its rank then lies between 1 + the number above it and N -
    the number below it (Mogstad, Romano, Shaikh and Wilhelm 2024, section 3). Items of different
    islands are never told apart.

    Where errors are guesses of V voters, each difference has a denominator of its own: its
    statistic is Student's, with the fewer `degrees_of_freedom` of its two items, and counts as the
    normal value of the same tail probability (step-down min P, Westfall and Young 1993). Of few
    voters a covariance has V - 1 directions, too few for its largest statistic; the draws take the
    `shape` of another, that of the curvature. Below twenty degrees of freedom denominators vary
    more than differences, as if there were more of these than are drawn: the level is then shared
    out among all (Holm 1979), by which many items judged by a handful are hardly told apart.
    """
    errors = difference_errors(covariance, island)
    drawn = covariance if shape is None else shape
    spread = errors if shape is None else difference_errors(shape, island)
    noise = np.ascontiguousarray(normal_draws(drawn, generator, num_draws).T, dtype=np.float32)
    statistic, few = _statistic(strengths, errors), np.zeros(errors.shape, dtype=bool)
    if degrees_of_freedom is not None:
        fewer = np.minimum(degrees_of_freedom[:, None], degrees_of_freedom)
        statistic, few = _normal_value(statistic, fewer), fewer < _FEW_DEGREES
    is_open = np.isfinite(errors)
    np.fill_diagonal(is_open, False)
    above = np.zeros_like(is_open)
    critical = np.inf
    while is_open.any():
        critical = float(np.quantile(_largest(noise, spread, is_open).max(axis=0), level))
        shared = max(critical, _shared_out(level, int(is_open.sum())))
        found = is_open & (statistic > np.where(few, shared, critical))
        above |= found
        is_open &= ~found
        if not found.any() or len(strengths) > _MOST_STEPPED:
            break
    above = _closed(above)
    return RankIntervals(
        rank=ranks(strengths), low=1 + above.sum(axis=0),
        high=len(strengths) - above.sum(axis=1), critical=critical, above=above,
    )  # fmt: skip


def _shared_out(level: float, num_differences: int) -> float:
    """The normal quantile at which so many tests err in 1 - level of all cases at most."""
    from scipy.special import ndtri

    return float(-ndtri((1.0 - level) / num_differences))


def ranks_from_intervals(
    strengths: Float[Array, " N"],
    low: Float[Array, " N"],
    high: Float[Array, " N"],
    *,
    island: Int[Array, " N"] | None = None,
) -> RankIntervals:
    """Ranks that score intervals allow: an item is above those whose intervals end below its own.

    If the score intervals hold all at once, so do these (Klein, Wright and Wieczorek 2020). They
    are wider than those from differences, and cost N log N. See `sidak_level` for intervals that
    hold at once. An item of another island is never above nor below.
    """
    if island is None:
        island = np.zeros(len(strengths), dtype=np.int64)
    N, size = len(low), np.bincount(island)
    # All ends of all islands in one order, a lower end before an equal upper one: how many ends of
    # the other kind came before is a running sum, less those of the islands before.
    is_high = np.arange(2 * N) >= N
    order = np.lexsort((is_high, np.concatenate([low, high]), np.tile(island, 2)))
    before = (np.cumsum(size) - size)[island]
    lows, highs = np.empty(2 * N, dtype=np.int64), np.empty(2 * N, dtype=np.int64)
    lows[order], highs[order] = np.cumsum(~is_high[order]), np.cumsum(is_high[order])
    best = 1 + size[island] - (lows[N:] - before)
    worst = N - (highs[:N] - before)
    return RankIntervals(rank=ranks(strengths), low=best, high=worst, critical=np.nan)


def sidak_level(level: float, num_items: int) -> float:
    """The level of each of `num_items` intervals at which all hold together with `level`.

    level^(1/N), right for independent estimates and conservative for normal ones that vary
    together (Sidak 1967).
    """
    return float(level ** (1.0 / max(num_items, 1)))


def rank_probabilities(draws: Float[Array, "R N"]) -> Float[Array, "N N"]:
    """How often each item (row) has each rank (column, the first the best) among draws.

    Every row and every column adds up to one; equal strengths share their ranks by lot of order.
    """
    num_draws, num_items = draws.shape
    place = np.argsort(np.argsort(-draws, axis=1, kind="stable"), axis=1, kind="stable")
    cell = (np.arange(num_items) * num_items + place).ravel()
    found = np.bincount(cell, minlength=num_items**2) / num_draws
    return found.reshape(num_items, num_items)


def top_probabilities(draws: Float[Array, "R N"], top: int) -> Float[Array, " N"]:
    """How often each item is among the best `top` of the draws. Raises `ConfigError` if top < 1."""
    if not 1 <= top <= draws.shape[1]:
        raise ConfigError(
            f"the best {top} of {draws.shape[1]} items were asked for; expected 1 to "
            f"{draws.shape[1]}."
        )
    best = np.argpartition(-draws, top - 1, axis=1)[:, :top]
    return np.bincount(best.ravel(), minlength=draws.shape[1]) / len(draws)


def difference_errors(
    covariance: Float[Array, "N N"], island: Int[Array, " N"] | None = None
) -> Float[Array, "N N"]:
    """Standard errors of all differences; infinite between islands and where one is infinite."""
    variance = np.diag(covariance)
    # Infinite variances would make NaN of inf - inf; the covariances of such items are zero.
    with np.errstate(invalid="ignore"):
        squared = variance[:, None] + variance - 2.0 * covariance
    squared = np.where(np.isnan(squared), np.inf, np.maximum(squared, 0.0))
    if island is not None:
        squared = np.where(island[:, None] == island, squared, np.inf)
    np.fill_diagonal(squared, 0.0)
    return np.sqrt(squared)


def normal_draws(
    covariance: Float[Array, "N N"], generator: np.random.Generator, num_draws: int
) -> Float[Array, "R N"]:
    """Draws around zero; a covariance of a mean-zero gauge is singular, and its draws sum to 0."""
    finite = np.isfinite(np.diag(covariance))
    kept = np.where(finite[:, None] & finite, covariance, 0.0)
    # A whisper on the diagonal makes the singular direction positive; it moves draws by 1e-6 se.
    jitter = 1e-12 * max(float(np.diag(kept).max(initial=0.0)), 1e-300)
    try:
        root = np.linalg.cholesky(kept + jitter * np.eye(len(kept)))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(kept)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
    return generator.standard_normal((num_draws, len(kept))) @ root.T


def _largest(
    noise: Float[Array, "N R"], errors: Float[Array, "N N"], is_open: Bool[Array, "N N"]
) -> Float[Array, "N R"]:
    """For each item, the largest of its studentised differences to the others, draw by draw."""
    num_items, num_draws = noise.shape
    largest = np.full((num_items, num_draws), -np.inf, dtype=np.float32)
    at_once = max(1, _DIFFERENCES_AT_ONCE // max(num_draws, 1))
    for item in range(num_items):
        others = np.flatnonzero(is_open[item])
        for start in range(0, len(others), at_once):
            some = others[start : start + at_once]
            apart = noise[item] - noise[some]
            apart *= (1.0 / np.maximum(errors[item, some], 1e-30)).astype(np.float32)[:, None]
            np.maximum(largest[item], apart.max(axis=0), out=largest[item])
    return largest


def _closed(above: Bool[Array, "N N"]) -> Bool[Array, "N N"]:
    """Whoever is above somebody is above all whom that one is above: sure if those are, at once."""
    count = -1
    while count != (count := int(above.sum())):
        one = above.astype(np.float32)
        above = above | (one @ one > 0.5)
    return above


def _normal_value(
    statistic: Float[Array, "N N"], degrees: Float[Array, "N N"]
) -> Float[Array, "N N"]:
    """The normal value with the tail probability of Student's statistic, sign and all."""
    from scipy.special import ndtri, stdtr

    finite = np.isfinite(degrees)
    tail = stdtr(np.where(finite, degrees, 1.0), -np.abs(statistic))
    return np.where(finite, -np.sign(statistic) * ndtri(tail), statistic)


def _statistic(strengths: Float[Array, " N"], errors: Float[Array, "N N"]) -> Float[Array, "N N"]:
    apart = strengths[:, None] - strengths
    return np.where(np.isfinite(errors), apart / np.where(errors > 0, errors, 1e-300), 0.0)
