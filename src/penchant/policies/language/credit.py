"""Who gets how much of a return: baselines and scales over groups of credit units.

A credit unit is the span of tokens that receives one scalar: a whole rollout (GRPO), a turn, a
step, a segment, a ranked item. Units that share a key pool their statistics; keys are a list, since
methods pool over several groups at a time. Everything here is bookkeeping on returns, which no
gradient passes: NumPy, in double precision.

Order matters: rewards become returns first (`returns.py`), then one baseline is taken off each
decision, then the scale. Rewards centred first and summed afterwards would have as many baselines
as the policy takes turns, so that the baseline would depend on when it stops.

Legend: U units, L keys.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array

Scale = Literal["none", "group", "batch"]
# What GRPO's own code adds to a standard deviation before it divides.
STD_FLOOR = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Credit:
    """advantage: what each unit's tokens are weighted with. is_valid: whether the returns of the
    unit's group differ. Where two or more are equal the advantage is 0; a unit on its own has
    nothing to be compared with and keeps what its baseline leaves."""

    advantage: Float[Array, " U"]
    is_valid: Bool[Array, " U"]


def group_mean(
    returns: Float[Array, " U"], key: Int[Array, " U"], counted: Bool[Array, " U"]
) -> Float[Array, " U"]:
    """The mean return of each unit's group, over the units that are counted.

    counted: one representative of each rollout and group, lest long rollouts, usually failing,
    dominate. A unit without a group (key below 0), or whose group counts nobody, gets 0.
    """
    total, num = _sums(returns, key, counted)
    return np.where(num > 0, total / np.maximum(num, 1), 0.0)


def others_mean(
    returns: Float[Array, " U"],
    key: Int[Array, " U"],
    rollout_of: Int[Array, " U"],
    counted: Bool[Array, " U"],
) -> Float[Array, " U"]:
    """The mean return of the group's other rollouts (leave-one-out: Kool et al. 2019, RLOO).

    Independent of what the unit's own rollout did, so that taking it off leaves the gradient
    unbiased. A unit that only one rollout of its group reached gets 0: to drop it would be biased,
    since whether others reach it depends on the policy too.
    """
    own = np.unique(np.stack([key, rollout_of]), axis=1, return_inverse=True)[1]
    total, num = _sums(returns, key, counted)
    own_total, own_num = _sums(returns, np.where(key >= 0, own.reshape(-1), -1), counted)
    others = num - own_num
    return np.where(others > 0, (total - own_total) / np.maximum(others, 1), 0.0)


def group_deviation(
    returns: Float[Array, " U"], key: Int[Array, " U"], counted: Bool[Array, " U"], ddof: int = 1
) -> Float[Array, " U"]:
    """The deviation within each unit's group; 0 where fewer than ddof + 1 units are counted."""
    apart = returns - group_mean(returns, key, counted)
    total, num = _sums(apart * apart, key, counted)
    return np.where(num > ddof, np.sqrt(total / np.maximum(num - ddof, 1)), 0.0)


def is_degenerate(
    returns: Float[Array, " U"], key: Int[Array, " U"], counted: Bool[Array, " U"]
) -> Bool[Array, " U"]:
    """Whether all counted returns of the unit's group are exactly equal: nothing to learn there.

    Of the whole group and exactly: a spread of rounding is not a difference, and a unit whose
    *others* agree may itself be the one that tells.
    """
    size = int(key.max(initial=-1)) + 1
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    mine = counted & (key >= 0)
    np.minimum.at(low, key[mine], returns[mine])
    np.maximum.at(high, key[mine], returns[mine])
    inside = np.maximum(key, 0)
    same = (low >= high)[inside] if size else np.ones(len(key), dtype=bool)
    return same | (key < 0)


def advantage(
    returns: Float[Array, " U"],
    key: Int[Array, " U"],
    rollout_of: Int[Array, " U"],
    counted: Bool[Array, " U"],
    *,
    leave_one_out: bool = True,
    scale: Scale = "none",
    ddof: int = 1,
) -> Credit:
    """A = (return - baseline) / scale, the baseline a mean over the group.

    leave_one_out: the mean of the others (RLOO; unbiased). Otherwise the mean of all, the unit
    included (GRPO, Shao et al. 2024), which shrinks the gradient by (G - 1) / G. scale: "none" (as
    Dr. GRPO, Liu et al. 2025), "group", each group's standard deviation + 1e-4 (as GRPO), which
    weighs very easy and very hard prompts up, or "batch", one for all. Either scale is biased.
    Where nothing differs there is no deviation to divide by, and nothing is divided.
    """
    if leave_one_out:
        apart = returns - others_mean(returns, key, rollout_of, counted)
    else:
        apart = returns - group_mean(returns, key, counted)
    same = is_degenerate(returns, key, counted)
    # A mean of equal numbers may differ from them by rounding, which a scale would blow up.
    alone = same & (_sums(returns, key, counted)[1] < 2)
    apart = np.where(same & ~alone, 0.0, apart)
    if scale == "group":
        apart = apart / _spread(returns, key, counted, ddof)
    elif scale == "batch":
        apart = apart / _spread(apart, np.zeros(len(key), dtype=np.int64), counted, ddof)
    return Credit(advantage=apart, is_valid=~same)


def hierarchical_advantage(
    returns: Float[Array, " U"],
    keys: Int[Array, "L U"],
    counted: Bool[Array, " U"],
    *,
    exponent: float = 1.0,
    scale: Scale = "none",
) -> Credit:
    """sum_k w_k A_k / sum_k w_k over nested groups, w_k = (k + 1)^exponent (HGPO).

    keys: from the widest group (k = 1) to the narrowest; -1 where a unit has none. A_k is the
    return less the group's mean, the unit included; a scale's deviation is the population's.
    Levels at which the group is one unit, or all of its returns are equal, are left out: by
    counting, since a float is never compared with 0.
    """
    weight = (np.arange(1, len(keys) + 1) + 1.0) ** exponent
    total, weights = np.zeros(len(returns)), np.zeros(len(returns))
    for key, w in zip(keys, weight, strict=True):
        level = advantage(returns, key, key, counted, leave_one_out=False, scale=scale, ddof=0)
        total += np.where(level.is_valid, w * level.advantage, 0.0)
        weights += w * level.is_valid
    known = weights > 0
    return Credit(advantage=np.where(known, total / np.where(known, weights, 1.0), 0.0),
                  is_valid=known)  # fmt: skip


def novelty_bonus(
    advantage: Float[Array, " U"],
    mean_log_prob: Float[Array, " U"],
    key: Int[Array, " U"],
    is_right: Bool[Array, " U"],
    counted: Bool[Array, " U"],
    *,
    strength: float,
    most: float,
) -> Float[Array, " U"]:
    """min(max(strength (1 - eta), 0), most max(A, 0)) for a right answer, eta = exp(m - mean of m
    over its group), m its log-probability a token: rare right answers earn more (XRPO, 2025).

    Biased: what was drawn decides its own weight. Without our max(A, 0) a right answer that is
    behind its group would lose.
    """
    eta = np.exp(mean_log_prob - group_mean(mean_log_prob, key, counted))
    bound = most * np.maximum(advantage, 0.0)
    bonus = np.minimum(np.maximum(strength * (1.0 - eta), 0.0), bound)
    return np.where(is_right & counted, bonus, 0.0)


def shrunk_baseline(
    returns: Float[Array, " U"],
    prior: Float[Array, " U"],
    key: Int[Array, " U"],
    rollout_of: Int[Array, " U"],
    counted: Bool[Array, " U"],
    *,
    leave_one_out: bool = True,
) -> Float[Array, " U"]:
    """w mean + (1 - w) prior, w = D / (D + 1/k), D = max(0, (mean - prior)^2 - 1/k) (V0.5).

    Between a predictor's value of the prompt and the mean of its k rollouts, whose variance for
    rewards of -1 and 1 is at most 1/k. As published mean, D and w contain the unit's own return,
    which shrinks the gradient by no fixed factor; with `leave_one_out` they come from the k - 1
    others and leave it unbiased.
    """
    _, num = _sums(returns, key, counted)
    if leave_one_out:
        mean, k = others_mean(returns, key, rollout_of, counted), num - 1
    else:
        mean, k = group_mean(returns, key, counted), num
    noise = 1.0 / np.maximum(k, 1)
    bias = np.maximum(0.0, (mean - prior) ** 2 - noise)
    weight = np.where(k > 0, bias / (bias + noise), 0.0)
    return weight * mean + (1.0 - weight) * prior


def _spread(
    values: Float[Array, " U"], key: Int[Array, " U"], counted: Bool[Array, " U"], ddof: int
) -> Float[Array, " U"]:
    """What a scale divides by: 1 where nothing differs, lest the floor blow a lone return up."""
    deviation = group_deviation(values, key, counted, ddof) + STD_FLOOR
    return np.where(is_degenerate(values, key, counted), 1.0, deviation)


def _sums(
    values: Float[Array, " U"], key: Int[Array, " U"], counted: Bool[Array, " U"]
) -> tuple[Float[Array, " U"], Int[Array, " U"]]:
    """Of each unit's group: the sum of what is counted and how many are; 0 without a group."""
    mine = counted & (key >= 0)
    size = int(key.max(initial=-1)) + 1
    if size == 0:
        return np.zeros(len(key)), np.zeros(len(key), dtype=np.int64)
    total = np.bincount(key[mine], weights=values[mine], minlength=size)
    num = np.bincount(key[mine], minlength=size)
    inside = np.maximum(key, 0)
    return np.where(key >= 0, total[inside], 0.0), np.where(key >= 0, num[inside], 0)
