"""Rewards made of rewards: rules where they decide, models elsewhere, rubrics, pages, weights.

A score that is not there (a grader that crashed, a judge that refused) is NaN here, and what needs
it is NaN: zero would be a verdict. Whoever can do without one says so with `missing="leave_out"`,
and the rest then speaks for the whole.

Legend: B prompts or steps, K options (responses, rollouts), M components, C criteria of a rubric,
I items of a page, T and U tokens or sentences, E numbers of an embedding.
"""

from typing import Literal

from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array, namespace

Missing = Literal["spread", "leave_out"]


def weighted_sum(
    scores: Float[Array, "*B M"], weights: Float[Array, "*#B M"], missing: Missing = "spread"
) -> Float[Array, "*B"]:
    """R = sum_m w_m r_m; weights of one's own, of a prompt or of a step are only another shape.

    missing="spread": NaN where a component of weight other than 0 is missing. "leave_out": the sum
    over those present, times total weight over theirs, which takes weights of one sign; NaN where
    none is left. Scores should share a unit (`in_own_spread`): a sum of points and log-odds means
    nothing. Controlled generation with weights for each sentence is this with a row a sentence.

    Raises `ConfigError` for weights of both signs where components are to be left out.
    """
    xp = namespace(scores)
    needed = xp.broadcast_to(weights != 0.0, scores.shape)
    there = ~xp.isnan(scores)
    total = xp.sum(xp.where(there & needed, weights * xp.where(there, scores, 0.0), 0.0), axis=-1)
    if missing == "spread":
        return xp.where(xp.all(there | ~needed, axis=-1), total, xp.nan)
    if xp.any(weights < 0.0) and xp.any(weights > 0.0):
        raise ConfigError(
            "got weights of both signs with missing='leave_out'; expected one sign, since what is "
            "left then speaks for the whole. Turn a cost into a score (its negative) first."
        )
    whole = xp.sum(weights * xp.ones_like(scores), axis=-1)
    left = xp.sum(xp.where(there, weights * xp.ones_like(scores), 0.0), axis=-1)
    return xp.where(left != 0.0, total * whole / xp.where(left != 0.0, left, 1.0), xp.nan)


def in_own_spread(scores: Float[Array, "N M"]) -> Float[Array, "N M"]:
    """Each component less its mean, over its standard deviation, both of what is there.

    HARMO's sum (hybrid + length + format) is unweighted, so that the component with the largest
    numbers decides: reviewers' objection, met here. A component that never varies is 0.
    """
    xp = namespace(scores)
    there = ~xp.isnan(scores)
    count = xp.sum(xp.astype(there, scores.dtype), axis=0)
    count = xp.where(count > 0.0, count, 1.0)
    mean = xp.sum(xp.where(there, scores, 0.0), axis=0) / count
    apart = scores - mean
    spread = (xp.sum(xp.where(there, apart, 0.0) ** 2, axis=0) / count) ** 0.5
    # A constant that no float holds exactly has a spread of rounding.
    varies = spread > 1e-12 * xp.abs(mean)
    return xp.where(varies, apart / xp.where(varies, spread, 1.0), 0.0 * apart)


def hybrid(
    rule: Float[Array, "B K"], model: Float[Array, "B K"], has_rule: Bool[Array, " B"]
) -> Float[Array, "B K"]:
    """The rule's verdict where the prompt can be checked, a reward model's elsewhere (HARMO 2025).

    A rule that failed on a prompt it should have checked is missing, not the model's to replace.
    """
    return namespace(rule).where(has_rule[:, None], rule, model)


def switchboard(scores: Float[Array, "B K M"], channel: Int[Array, " B"]) -> Float[Array, "B K"]:
    """The component that the prompt's kind of task names (Mixed-R1 2025): one verifier each.

    A kind for which there is no verifier (any other number, -1 say) leaves the score missing.
    """
    xp = namespace(scores)
    picked = xp.full_like(scores[:, :, 0], xp.nan)
    for m in range(scores.shape[2]):
        picked = xp.where((channel == m)[:, None], scores[:, :, m], picked)
    return picked


def rubric(
    met: Float[Array, "B K C"], points: Float[Array, "B C"], missing: Missing = "spread"
) -> Float[Array, "B K"]:
    """sum of points met / sum of positive points, at most 1 (ORBIT 2025, as HealthBench scores).

    met: 1, 0 or a degree between; NaN where the judge gave none. points: signed, 0 where a prompt
    has no such criterion. ORBIT's own code counts a judge that failed as 0. "leave_out" drops the
    criterion above and below the line for that response. NaN for a prompt without a positive one.
    """
    xp = namespace(met)
    asked, there = points[:, None, :] != 0.0, ~xp.isnan(met)
    gained = xp.sum(xp.where(asked & there, points[:, None, :] * met, 0.0), axis=-1)
    counted = xp.broadcast_to(points[:, None, :] > 0.0, met.shape)
    if missing == "leave_out":
        counted = counted & there
    above = xp.sum(xp.where(counted, points[:, None, :] * xp.ones_like(met), 0.0), axis=-1)
    known = above > 0.0
    if missing == "spread":
        known = known & xp.all(there | ~asked, axis=-1)
    return xp.where(known, gained / xp.where(above > 0.0, above, 1.0), xp.nan)


def page(
    whole: Float[Array, "B K"], items: Float[Array, "B K I"], item_weight: float = 1.0
) -> Float[Array, "B K"]:
    """R_page + weight sum_i r_i (PageLLM 2025, form inferred): two grains of one arrangement."""
    return whole + item_weight * namespace(items).sum(items, axis=-1)


def length_penalty(
    length: Float[Array, "B K"],
    correct: Bool[Array, "B K"],
    *,
    tolerance: float,
    largest: float,
) -> Float[Array, "B K"]:
    """-largest min(1, (length / mean length of the group's correct - 1) / tolerance), 0 if shorter.

    Relative to correct samples of the same prompt, so that a hard prompt may take its length;
    where none is correct there is nothing to be longer than, and no penalty. A length that is
    missing leaves its own penalty missing and is no part of the mean. After HARMO (2025), whose
    caps are known and whose form is inferred.
    """
    xp = namespace(length)
    there = ~xp.isnan(length)
    counted = correct & there
    count = xp.sum(xp.astype(counted, length.dtype), axis=1)
    mean = xp.sum(xp.where(counted, length, 0.0), axis=1) / xp.where(count > 0.0, count, 1.0)
    over = length / xp.where(mean > 0.0, mean, 1.0)[:, None] - 1.0
    size = xp.clip(over / tolerance, 0.0, 1.0)
    penalty = xp.where((mean > 0.0)[:, None], -largest * size, 0.0)
    return xp.where(there, penalty, xp.nan)


def mutual_match(first: Float[Array, "T E"], second: Float[Array, "U E"]) -> Float[Array, ""]:
    """(mean_t max_u cos + mean_u max_t cos) / 2: how well two texts cover one another, -1 to 1.

    Bidirectional max-average similarity of open answers (Mixed-R1 2025): a truncated answer is
    covered but does not cover. Rows of zeros match nothing.
    """
    xp = namespace(first)
    cosine = _unit(first) @ _unit(second).T
    return 0.5 * (xp.mean(xp.max(cosine, axis=1)) + xp.mean(xp.max(cosine, axis=0)))


def _unit(rows: Float[Array, "T E"]) -> Float[Array, "T E"]:
    xp = namespace(rows)
    size = xp.sum(rows * rows, axis=1, keepdims=True) ** 0.5
    return rows / xp.where(size > 0.0, size, 1.0)
