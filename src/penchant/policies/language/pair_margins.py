"""What a policy says of pairs and lists of answers: what it finds each worth, and in which order.

Legend: B pairs or lists, K answers of each, S kinds of people.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from penchant.lm.language_model import LanguageModel
from penchant.numerics.arrays import Array
from penchant.policies.language.answers import answer_log_probs
from penchant.policies.language.lists import Lists
from penchant.policies.language.pairs import Pairs, pair_answers
from penchant.utilities.implicit import log_ratio_utility


def answer_worths(
    policies: Sequence[LanguageModel],
    reference: LanguageModel,
    pairs: Pairs | Lists,
    *,
    strength: float,
    mean: bool = False,
    at_once: int = 128,
) -> Float[Array, "B K S"]:
    """The implicit utility of each answer under each policy, beside its reference; at_once: about
    how many answers are read together."""
    import torch

    num, found = len(pairs.rows[0]), []
    step = max(1, at_once // num)
    with torch.no_grad():
        for start in range(0, len(pairs), step):
            rows = np.arange(start, min(start + step, len(pairs)))
            answers = pair_answers(reference, pairs, rows)
            told = [answer_log_probs(m, answers, "padded") for m in (*policies, reference)]
            said = [each.unflatten(0, (len(rows), num)) for each, _ in told]
            worth = log_ratio_utility(
                torch.stack(said[:-1], dim=3), said[-1][..., None],
                told[0][1].unflatten(0, (len(rows), num)), strength=strength, mean=mean,
            )  # fmt: skip
            found.append(worth.double().cpu().numpy())
    return np.concatenate(found)


def pair_margins(
    policies: Sequence[LanguageModel],
    reference: LanguageModel,
    pairs: Pairs,
    *,
    strength: float,
    mean: bool = False,
    at_once: int = 64,
) -> Float[Array, "B S"]:
    """u_1 - u_2 of the implicit utilities of each policy beside its reference."""
    worth = answer_worths(
        policies, reference, pairs, strength=strength, mean=mean, at_once=2 * at_once
    )
    found: Array = worth[:, 0] - worth[:, 1]
    return found


def judged_order(
    worth: Float[Array, "B K S"], pairs: Pairs | Lists, share: Float[Array, "B S"]
) -> Float[Array, " B"]:
    """Whether each pair is in the order it was judged to have, by the mean over kinds of the
    chance that the first is preferred (one half where that is even, as of the same text twice); of
    a list the share of its pairs whose order is known. NaN where no order is.

    share: of the kinds, for whoever judged.
    """
    gap = worth[:, :, None] - worth[:, None]
    first = (share[:, None, None] / (1.0 + np.exp(-gap))).sum(axis=3)
    first = np.where(np.all(gap == 0.0, axis=3), 0.5, first)
    first = np.where(first == 0.5, 0.5, first > 0.5)
    if isinstance(pairs, Lists):
        offered, rank = pairs.ranks(np.arange(len(pairs)))
        place = np.where(offered, np.where(rank > 0, rank, rank.max() + 1), 0)
        is_known = (place[:, :, None] < place[:, None]) & offered[:, :, None] & offered[:, None]
        right, num = ((is_known * each).sum(axis=(1, 2)) for each in (first, 1.0))
        return np.where(num > 0, right / np.maximum(num, 1), np.nan)
    wins, one = pairs.first_wins, first[:, 0, 1]
    return np.where(wins == 0.5, np.nan, np.where(wins > 0.5, one, 1.0 - one))
