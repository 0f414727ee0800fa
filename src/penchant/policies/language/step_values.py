"""Actions valued by how much likelier a policy finds them than its reference, and choices by that.

A policy taught by pairs of siblings need not act itself: its log-ratios say which action of any
other policy is good (step-level Q, Zhai et al. 2024).

Legend: B rows, N candidates, U actions.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.lm.language_model import LanguageModel
from penchant.numerics.arrays import Array
from penchant.policies.language.answers import answer_log_probs, answers_of


def step_values(
    policy: LanguageModel,
    reference: LanguageModel,
    rows: Sequence[Sequence[int]],
    actions: Sequence[Sequence[int]],
    *,
    strength: float = 0.1,
    at_once: int = 256,
) -> Float[Array, " U"]:
    """Q(h, a) = beta sum_t (log pi - log pi_reference) over an action's tokens, after its row.

    Known up to a constant of the history, as every worth that pairs teach: values of one history
    are to be compared, those of two are not.
    """
    import torch

    found = []
    with torch.no_grad():
        for first in range(0, len(rows), at_once):
            mine = rows[first : first + at_once]
            whole = [[*row, *did] for row, did in zip(mine, actions[first : first + at_once])]
            answers = answers_of(policy, whole, np.array([len(row) for row in mine]))
            told, other = (
                answer_log_probs(model, answers, "padded")[0].sum(dim=1).double()
                for model in (policy, reference)
            )
            found.append((strength * (told - other)).cpu().numpy())
    return np.concatenate(found)


@dataclass(frozen=True, kw_only=True, eq=False)
class BestOf:
    """Implements `episodes.Chooser`: of `num` actions drawn the one of the highest value."""

    num: int
    policy: LanguageModel
    reference: LanguageModel

    def __post_init__(self) -> None:
        _check(self.num)

    def __call__(
        self, rows: Sequence[Sequence[int]], candidates: Sequence[Sequence[Sequence[int]]]
    ) -> Int[Array, " B"]:
        told = step_values(
            self.policy, self.reference, [row for row in rows for _ in range(self.num)],
            [did for mine in candidates for did in mine],
        )  # fmt: skip
        return told.reshape(len(rows), self.num).argmax(axis=1)


@dataclass(frozen=True, kw_only=True)
class MostOften:
    """Implements `episodes.Chooser`: of `num` actions drawn the one that was drawn most often, of
    several the one drawn first."""

    num: int

    def __post_init__(self) -> None:
        _check(self.num)

    def __call__(
        self, rows: Sequence[Sequence[int]], candidates: Sequence[Sequence[Sequence[int]]]
    ) -> Int[Array, " B"]:
        chosen = []
        for mine in candidates:
            said = [tuple(did) for did in mine]
            # Equal counts stay in the order in which they were met first.
            chosen.append(said.index(Counter(said).most_common(1)[0][0]))
        return np.array(chosen, dtype=int)


def _check(num: int) -> None:
    if num < 1:
        raise ConfigError(f"got num={num}; expected an action or more to choose from.")
