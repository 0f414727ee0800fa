"""What one vote says about the gap between two items, whatever its outcome: the terms of doubt.

Legend: Q pairs that met, 3 outcomes (the first won, the second won, a tie).

All pair models see only the gap d = s_first - s_second and a tie parameter. The fit needs sums over
outcomes; errors need each outcome's own score, squared before it is summed.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from penchant.feedback import pairwise
from penchant.numerics.arrays import Array, inverse_mills, log_ndtr, log_sigmoid, sigmoid

Link = Literal["logit", "probit"]
Ties = Literal["half", "davidson", "rao_kupper"]


@dataclass(frozen=True, kw_only=True, eq=False)
class OutcomeTerms:
    """Of the log-probability of each outcome. score: derivative to the gap; tie_score: to the tie
    parameter; curvature, cross, tie_curvature: minus the second derivatives."""

    log_prob: Float[Array, "3 Q"]
    score: Float[Array, "3 Q"]
    curvature: Float[Array, "3 Q"]
    tie_score: Float[Array, "3 Q"]
    cross: Float[Array, "3 Q"]
    tie_curvature: Float[Array, "3 Q"]


def outcome_terms(
    gap: Float[Array, " Q"], tie_parameter: float, *, ties: Ties = "half", link: Link = "logit"
) -> OutcomeTerms:
    """The terms of every outcome at each gap.

    "half": a tie is half a win and half a loss, and there is no tie parameter. "davidson" and
    "rao_kupper" are those of `feedback.pairwise`, with its parameters log nu and log eta; at minus
    infinity no tie ever happens, and both are "half".
    """
    if not np.isfinite(tie_parameter):
        return _half_wins(gap, link)
    if ties == "davidson":
        return _davidson(gap, tie_parameter)
    if ties == "rao_kupper" and link == "logit":
        return _rao_kupper(gap, tie_parameter)
    if ties == "rao_kupper":
        return _by_feedback(gap, tie_parameter, link)
    return _half_wins(gap, link)


def _half_wins(gap: Float[Array, " Q"], link: Link) -> OutcomeTerms:
    if link == "logit":
        # One exponential and one logarithm for all six: these are most of what a profile costs.
        small = np.exp(-np.abs(gap))
        likely = 1.0 / (1.0 + small)
        win, rest = np.where(gap >= 0, likely, small * likely), np.log1p(small)
        loss = np.where(gap >= 0, small * likely, likely)
        log_prob = np.stack([np.minimum(gap, 0.0) - rest, np.minimum(-gap, 0.0) - rest])
        slope = np.stack([loss, -win])
        bend = np.broadcast_to(win * loss, (2, len(gap)))
    else:
        log_prob = np.stack([log_ndtr(gap), log_ndtr(-gap)])
        slope = np.stack([inverse_mills(gap), -inverse_mills(-gap)])
        bend = np.stack([slope[0] * (slope[0] + gap), slope[1] * (slope[1] + gap)])
    nothing = np.zeros((3, len(gap)))
    return OutcomeTerms(
        log_prob=_with_half(log_prob), score=_with_half(slope), curvature=_with_half(bend),
        tie_score=nothing, cross=nothing, tie_curvature=nothing,
    )  # fmt: skip


def _with_half(two: Float[Array, "2 Q"]) -> Float[Array, "3 Q"]:
    return np.concatenate([two, two.mean(axis=0, keepdims=True)])


def _davidson(gap: Float[Array, " Q"], log_nu: float) -> OutcomeTerms:
    # Three answers of worth d/2, -d/2 and log nu: each score is "what happened minus its mean".
    worth = np.stack([0.5 * gap, -0.5 * gap, np.full(len(gap), log_nu)])
    top = worth.max(axis=0)
    log_prob = worth - (top + np.log(np.exp(worth - top).sum(axis=0)))
    p = np.exp(log_prob)
    mean = 0.5 * (p[0] - p[1])
    place = np.array([[0.5], [-0.5], [0.0]])
    is_tie = np.array([[0.0], [0.0], [1.0]])
    return OutcomeTerms(
        log_prob=log_prob,
        score=place - mean,
        curvature=_thrice(0.25 * (p[0] + p[1]) - mean**2),
        tie_score=is_tie - p[2],
        cross=_thrice(-mean * p[2]),
        tie_curvature=_thrice(p[2] * (1.0 - p[2])),
    )


def _rao_kupper(gap: Float[Array, " Q"], log_eta: float) -> OutcomeTerms:
    # p(tie) = F(d + eta) F(eta - d) (1 - exp(-2 eta)) for the logistic F: no difference of tails.
    eta = np.exp(log_eta)
    win, loss = sigmoid(gap - eta), sigmoid(-gap - eta)
    win_bend, loss_bend = win * (1.0 - win), loss * (1.0 - loss)
    spread = 2.0 / np.expm1(2.0 * eta)
    score = np.stack([1.0 - win, loss - 1.0, loss - win])
    slope = eta * np.stack([win - 1.0, loss - 1.0, win + loss + spread])
    bend = np.stack([win_bend, loss_bend, win_bend + loss_bend + spread * (spread + 2.0)])
    return OutcomeTerms(
        log_prob=np.stack([
            log_sigmoid(gap - eta), log_sigmoid(-gap - eta),
            log_sigmoid(gap + eta) + log_sigmoid(eta - gap) + np.log(-np.expm1(-2.0 * eta)),
        ]),
        score=score,
        curvature=np.stack([win_bend, loss_bend, win_bend + loss_bend]),
        tie_score=slope,
        cross=eta * np.stack([-win_bend, loss_bend, loss_bend - win_bend]),
        tie_curvature=eta**2 * bend - slope,
    )  # fmt: skip


def _by_feedback(gap: Float[Array, " Q"], log_eta: float, link: Link) -> OutcomeTerms:
    utilities = np.stack([gap, np.zeros(len(gap))], axis=1)
    own = np.full((1, 1), log_eta)
    parts: list[tuple[Array, ...]] = []
    for outcome in range(3):
        answers = np.full(len(gap), outcome)
        s = pairwise.rao_kupper_score(utilities, answers, own, link=link)
        c = pairwise.rao_kupper_curvature(utilities, answers, own, link=link)
        parts.append((
            pairwise.rao_kupper_log_prob(utilities, answers, own, link=link),
            s.utilities[:, 0], c.utilities[:, 0, 0],
            s.parameters[:, 0], c.cross[:, 0, 0], c.parameters[:, 0, 0],
        ))  # fmt: skip
    log_prob, score, curvature, tie_score, cross, tie_curvature = map(np.stack, zip(*parts))
    return OutcomeTerms(
        log_prob=log_prob, score=score, curvature=curvature,
        tie_score=tie_score, cross=cross, tie_curvature=tie_curvature,
    )  # fmt: skip


def _thrice(values: Float[Array, " Q"]) -> Float[Array, "3 Q"]:
    return np.broadcast_to(values, (3, len(values)))
