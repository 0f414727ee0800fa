"""The log-likelihood of pair counts, its slopes and bends: what a fit climbs.

Legend: Q pairs that met, N items.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.data.pair_counts import PairCounts
from penchant.fitting.paired_terms import Link, Ties, outcome_terms
from penchant.numerics.arrays import Array

# Pairs worked on together by the plain twin: a few columns of these stay in the cache.
_CHUNK = 1 << 15


@dataclass(frozen=True, kw_only=True, eq=False)
class PairModel:
    """How gaps become answers. `ties` is "half" (half a win for either side), "davidson" or
    "rao_kupper"; `link` is "logit" (Bradley-Terry) or "probit" (Thurstone)."""

    ties: Ties = "half"
    link: Link = "logit"

    @property
    def has_tie_parameter(self) -> bool:
        return self.ties != "half"


@dataclass(frozen=True, kw_only=True, eq=False)
class Slopes:
    """gradient: of the log-likelihood to each strength; bend: minus its second derivative to each
    pair's gap; diagonal: the bends each item has a part in. cross, own_slope and own_bend: minus
    the mixed derivatives, the slope, and minus the second derivative, of the tie parameter."""

    gradient: Float[Array, " N"]
    bend: Float[Array, " Q"]
    diagonal: Float[Array, " N"]
    cross: Float[Array, " N"]
    own_slope: float
    own_bend: float


def log_likelihood(
    counts: PairCounts, strengths: Float[Array, " N"], tie_parameter: float, model: PairModel
) -> float:
    """sum_q wins_q log p(first wins) + losses_q log p(second wins) + ties_q log p(tie).

    With half-wins, a tie adds the mean of the logarithms of winning and losing.
    """
    if model.link == "logit":
        try:
            from penchant.fitting import paired_fused as fused
        except ImportError:
            return log_likelihood_plain(counts, strengths, tie_parameter, model)
        return float(fused.value(*_columns(counts), strengths, tie_parameter, model.ties))
    return log_likelihood_plain(counts, strengths, tie_parameter, model)


def slopes(
    counts: PairCounts, strengths: Float[Array, " N"], tie_parameter: float, model: PairModel
) -> Slopes:
    """First and second derivatives, in compiled loops where there are some."""
    if model.link != "logit":
        return slopes_plain(counts, strengths, tie_parameter, model)
    try:
        from penchant.fitting import paired_fused as fused
    except ImportError:
        return slopes_plain(counts, strengths, tie_parameter, model)
    found = fused.slopes(*_columns(counts), strengths, tie_parameter, model.ties)
    gradient, bend, diagonal, cross, own_slope, own_bend = found
    return Slopes(
        gradient=gradient, bend=bend, diagonal=diagonal, cross=cross, own_slope=own_slope,
        own_bend=own_bend,
    )  # fmt: skip


def bend_times(
    counts: PairCounts, bend: Float[Array, " Q"], vector: Float[Array, " N"]
) -> Float[Array, " N"]:
    """Minus the Hessian times a vector: sum_q bend_q (v_i - v_j)(e_i - e_j), without a matrix."""
    try:
        from penchant.fitting import paired_fused as fused
    except ImportError:
        return bend_times_plain(counts, bend, vector)
    out = np.empty(counts.num_items)
    fused.bend_times(counts.first, counts.second, bend, vector, out)
    return out


def bend_times_plain(
    counts: PairCounts, bend: Float[Array, " Q"], vector: Float[Array, " N"]
) -> Float[Array, " N"]:
    """The plain twin of `bend_times`."""
    pull = bend * (vector[counts.first] - vector[counts.second])
    return _to_items(counts, pull, -pull)


def log_likelihood_plain(
    counts: PairCounts, strengths: Float[Array, " N"], tie_parameter: float, model: PairModel
) -> float:
    """The plain twin of `log_likelihood`, for any link."""
    total = 0.0
    for part, amounts in _chunks(counts):
        gap = strengths[counts.first[part]] - strengths[counts.second[part]]
        terms = outcome_terms(gap, tie_parameter, ties=model.ties, link=model.link)
        # What never happened adds nothing, however unlikely it was.
        total += float(np.sum(np.where(amounts > 0, amounts * terms.log_prob, 0.0)))
    return total


def slopes_plain(
    counts: PairCounts, strengths: Float[Array, " N"], tie_parameter: float, model: PairModel
) -> Slopes:
    """The plain twin of `slopes`, for any link."""
    score, bend, cross = (np.empty(counts.num_pairs) for _ in range(3))
    own_slope, own_bend = 0.0, 0.0
    for part, amounts in _chunks(counts):
        gap = strengths[counts.first[part]] - strengths[counts.second[part]]
        terms = outcome_terms(gap, tie_parameter, ties=model.ties, link=model.link)
        score[part] = np.sum(amounts * terms.score, axis=0)
        bend[part] = np.sum(amounts * terms.curvature, axis=0)
        cross[part] = np.sum(amounts * terms.cross, axis=0)
        own_slope += float(np.sum(amounts * terms.tie_score))
        own_bend += float(np.sum(amounts * terms.tie_curvature))
    return Slopes(
        gradient=_to_items(counts, score, -score),
        bend=bend,
        diagonal=_to_items(counts, bend, bend),
        cross=_to_items(counts, cross, -cross),
        own_slope=own_slope,
        own_bend=own_bend,
    )


def _columns(counts: PairCounts) -> tuple[Array, Array, Array, Array, Array]:
    return counts.first, counts.second, counts.first_wins, counts.second_wins, counts.ties


def _chunks(counts: PairCounts) -> Iterator[tuple[slice, Array]]:
    for start in range(0, counts.num_pairs, _CHUNK):
        part = slice(start, start + _CHUNK)
        yield part, np.stack([counts.first_wins[part], counts.second_wins[part], counts.ties[part]])


def _to_items(counts: PairCounts, to_first: Array, to_second: Array) -> Array:
    N = counts.num_items
    total = np.bincount(counts.first, to_first, N) + np.bincount(counts.second, to_second, N)
    # An empty count comes back in whole numbers.
    return total.astype(np.float64, copy=False)
