"""What a policy says of pairs of answers: by how much it finds the first worth more.

Legend: B pairs, S kinds of people.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from penchant.lm.language_model import LanguageModel
from penchant.numerics.arrays import Array
from penchant.policies.language.answers import answer_log_probs
from penchant.policies.language.pairs import Pairs, pair_answers
from penchant.utilities.implicit import log_ratio_utility


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
    import torch

    found = []
    with torch.no_grad():
        for start in range(0, len(pairs), at_once):
            rows = np.arange(start, min(start + at_once, len(pairs)))
            answers = pair_answers(reference, pairs, rows)
            told = [answer_log_probs(m, answers, "padded") for m in (*policies, reference)]
            said = [each.unflatten(0, (len(rows), 2)) for each, _ in told]
            worth = log_ratio_utility(
                torch.stack(said[:-1], dim=3), said[-1][..., None],
                told[0][1].unflatten(0, (len(rows), 2)), strength=strength, mean=mean,
            )  # fmt: skip
            found.append((worth[:, 0] - worth[:, 1]).double().cpu().numpy())
    return np.concatenate(found)
