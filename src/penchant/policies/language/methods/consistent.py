"""Groups that are all alike learn from the batch: which prompts go well, blended with who did well.

Legend: B rows (one a rollout), P prompts, T1 tokens after those before them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from penchant.errors import ConfigError
from penchant.numerics.arrays import sigmoid
from penchant.policies.language.loss import to_tokens
from penchant.policies.language.methods.anchor import check_in_loss
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups, grpo
from penchant.policies.language.methods.method import Heard, Seen, rows_as_units
from penchant.simulation.tasks.task import after_mark


def last_answer(response: str) -> str:
    """What stands behind the last mark; the whole response where there is none."""
    return after_mark(response) or response


@dataclass(frozen=True, kw_only=True, slots=True)
class Consistent(OnGroups):
    """COPO (2025): A = w A_local + (1 - w) A_global, w = sigma(slope (H - middle)), 0 where A_local
    is. A_local: `base`'s; A_global: the z-score over prompts of a group's mean reward, times 1 -
    H (1 - 1/n) / log2 n where `is_shrunk`. H: bits of entropy of the final answers of a group.

    A group that agrees with itself hears the batch, one that does not hears itself. Biased: the
    group's own mean is in what is added to it.
    """

    slope: float = 20.0
    middle: float = 0.5
    is_shrunk: bool = True
    answer: Callable[[str], str] = last_answer
    base: GroupRelative = field(default_factory=grpo)

    def __post_init__(self) -> None:
        check_in_loss(self.base.anchor)
        if not self.slope >= 0.0:
            raise ConfigError(f"got slope={self.slope}; expected 0 or more.")

    @property
    def smallest_group(self) -> int:
        return 2

    def heard(self, seen: Seen) -> Heard:
        group, unit_of = seen.rollouts.prompt_of, rows_as_units(seen)
        own = self.base.credit(seen.reward, group, seen.is_scored).advantage
        prompts, place = np.unique(group, return_inverse=True)
        level, entropy = np.full(len(prompts), np.nan), np.zeros(len(prompts))
        for p in range(len(prompts)):
            rows = np.flatnonzero((place == p) & seen.is_scored)
            if len(rows):
                said = [self.answer(seen.rollouts.responses[row]) for row in rows]
                entropy[p] = bits(said)
                level[p] = seen.reward[rows].mean() * (
                    1.0 - entropy[p] * (1.0 - 1.0 / len(rows)) / np.log2(max(len(rows), 2))
                    if self.is_shrunk else 1.0
                )  # fmt: skip
        spread = np.nanstd(level) if np.isfinite(level).any() else 0.0
        among = (
            (level - np.nanmean(level)) / (spread + 1e-6) if spread > 0.0 else np.zeros(len(level))
        )
        # Of a group without a level no row is scored either.
        weight = np.where(own == 0.0, 0.0, sigmoid(self.slope * (entropy[place] - self.middle)))
        credit = weight * own + (1.0 - weight) * np.nan_to_num(among)[place]
        return Heard(unit_of=unit_of, advantage=to_tokens(credit, unit_of))


def bits(answers: list[str]) -> float:
    """Entropy in bits of how often each answer was given."""
    share = np.unique(answers, return_counts=True)[1] / len(answers)
    return float(-(share * np.log2(share)).sum() + 0.0)
