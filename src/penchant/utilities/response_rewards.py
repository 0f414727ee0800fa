"""Rewards of responses that look at the group, at history or at the ranks of a list.

What grades one response by itself is a verifier or a reward model; how components are put together
stands in `compose.py`. Lengths are in tokens.

Legend: R rollouts, U units, N items of a list.
"""

import numpy as np
from jaxtyping import Bool, Float

from penchant.numerics.arrays import Array


def gated(hard: Float[Array, "*B"], soft: Float[Array, "*B"], is_met: Bool[Array, "*B"]) -> Array:
    """hard, and soft on top of it only where the hard requirement is met.

    What is merely added (a bonus for format) is learnt first and then farmed; a gate leaves nothing
    to farm. A soft part that is missing where it does not count stays without effect.
    """
    return np.where(is_met, hard + soft, hard)


def brevity_by_history(
    length: Float[Array, " R"], shortest: Float[Array, " R"], is_right: Bool[Array, " R"]
) -> Float[Array, " R"]:
    """cos(pi/2 min(length / shortest, 2)), at least -0.7 if right, at most 0 if wrong (HAPO, 2025).

    shortest: of the right answers to that prompt so far; infinite before the first, which asks for
    no brevity. Being short never pays for a wrong answer.
    """
    known = np.isfinite(shortest)
    share = np.where(known, length / np.where(known, shortest, 1.0), 1.0)
    bonus = np.cos(0.5 * np.pi * np.minimum(share, 2.0))
    return np.where(known, np.where(is_right, np.maximum(bonus, -0.7), np.minimum(bonus, 0.0)), 0.0)


def brevity_in_group(length: Float[Array, " R"], is_right: Bool[Array, " R"]) -> Float[Array, " R"]:
    """1/2 - (length - min) / (max - min) of a prompt's rollouts if right, at most 0 if wrong; 0 if
    all are of one length (Kimi k1.5, 2025)."""
    low, high = length.min(initial=np.inf), length.max(initial=-np.inf)
    if not high > low:
        return np.zeros(len(length))
    bonus = 0.5 - (length - low) / (high - low)
    return np.where(is_right, bonus, np.minimum(bonus, 0.0))


def softened_above(
    reward: Float[Array, "*B"],
    threshold: float = 0.8,
    slope: float = 0.01,
    curve: float = 1.0,
    below: float = 1.0,
) -> Float[Array, "*B"]:
    """t + a log(1 + c (r - t)) above t, t - (exp(b (t - r)) - 1) / (exp(b) - 1) below it.

    So that an inserted true answer does not dwarf the rest of its group (TempSamp-R1, 2025; the
    constants are recalled, not confirmed). It is meant for rewards from 0 to 1; more than 1 below
    the threshold, where the exponential would run away, it goes on in a straight line.
    """
    above = threshold + slope * np.log1p(curve * np.maximum(reward - threshold, 0.0))
    apart = np.maximum(threshold - reward, 0.0)
    bent = np.expm1(below * np.minimum(apart, 1.0)) / np.expm1(below)
    beyond = below * np.maximum(apart - 1.0, 0.0) / -np.expm1(-below)
    return np.where(reward >= threshold, above, threshold - bent - beyond)


def rank_returns(hit: Float[Array, "R N"], *, is_local: bool = False) -> Float[Array, "R N"]:
    """sum_{j >= k} hit_j / log2(j + 1): what the list earns from rank k on (Rank-GRPO, 2025).

    Causal: a rank never pays for the ones before it. is_local: its own hit and nothing else.
    """
    if is_local:
        return np.array(hit, dtype=np.float64)
    gain = hit / np.log2(np.arange(2, hit.shape[1] + 2))
    return np.cumsum(gain[:, ::-1], axis=1)[:, ::-1]


def information_gain(log_p_true: Float[Array, "R U1"]) -> Float[Array, "R U"]:
    """How much each turn raised what the policy itself thinks of the true answer (IGPO, 2025).

    log_p_true: log-probability a token of the true answer, before the first turn and after each;
    the first column is taken off the second, and so on. NaN after a rollout's end stays NaN.
    """
    return np.diff(log_p_true, axis=1)


def clear_of_ease(
    correct: Float[Array, " R"],
    took_easy_way: Bool[Array, " R"],
    is_free: Bool[Array, " R"],
    easy_rate: float,
    threshold: float = 0.5,
    exponent: float = 2.0,
) -> Float[Array, " R"]:
    """correct x (1 - p^a) for a free rollout that took the hard way to an easy question (A2FM).

    easy_rate: p, the share of rollouts forced to answer at once that were right; the question is
    easy if p is above the threshold. Everything else keeps its reward.
    """
    wasteful = is_free & ~took_easy_way & (easy_rate > threshold)
    return correct * np.where(wasteful, 1.0 - easy_rate**exponent, 1.0)
