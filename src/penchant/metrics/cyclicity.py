"""How far votes are from what any one order expects: statistics for the doubt that taste is cyclic.

Legend: Q pairs that met, N items.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array, log_sigmoid, sigmoid, xlogy


def deviance(
    wins: Float[Array, " Q"], votes: Float[Array, " Q"], log_odds: Float[Array, " Q"]
) -> float:
    """Twice the log-likelihood ratio of a free win probability for each pair against log-odds.

    2 sum_q w log(w / (n p)) + (n - w) log((n - w) / (n (1 - p))) (Wilks 1938). Under a true
    Bradley-Terry model it is chi-squared with Q - N + 1 degrees of freedom if every pair has many
    votes; with few votes a pair it is not, and needs a reference of its own.
    """
    share = wins / np.where(votes > 0, votes, 1.0)
    free = xlogy(wins, share) + xlogy(votes - wins, 1.0 - share)
    held = wins * log_sigmoid(log_odds) + (votes - wins) * log_sigmoid(-log_odds)
    return 2.0 * float((free - held).sum())


def largest_plane(
    num_items: int,
    first: Int[Array, " Q"],
    second: Int[Array, " Q"],
    wins: Float[Array, " Q"],
    votes: Float[Array, " Q"],
    log_odds: Float[Array, " Q"],
) -> float:
    """The largest singular value of the standardised surprises (w - n p) / sqrt(n p (1 - p)).

    The surprises form a skew matrix, whose singular values come in pairs; a large one is a plane in
    which the items go round together (the score test's direction for a skew comparison of one
    block). It hears many small surprises that agree, which the deviance, with one degree of freedom
    a pair, drowns.
    """
    p = sigmoid(log_odds)
    spread = np.sqrt(np.maximum(votes * p * (1.0 - p), 1e-300))
    surprise = np.zeros((num_items, num_items))
    surprise[first, second] = (wins - votes * p) / spread
    surprise[second, first] = -surprise[first, second]
    return float(np.linalg.norm(surprise, 2)) if num_items else 0.0


def bootstrap_p_value(statistic: float, reference: Float[Array, " R"]) -> float:
    """(1 + number of reference values at or above the statistic) / (R + 1): never 0, and valid at
    any R (Davison and Hinkley 1997, section 4.2.3)."""
    above = int(np.count_nonzero(reference >= statistic * (1.0 - 1e-12)))
    return (1.0 + above) / (1.0 + len(reference))
