"""Of each group the best and the worst are heard, half each: the contrast at half the rows.

Legend: B rows (one a rollout), T1 tokens after those before them.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups, grpo
from penchant.policies.language.methods.method import Heard, Seen
from penchant.policies.language.scheduling import extremes


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrastive(OnGroups):
    """Contrastive selection of ChatShopBuddy (2026): `share` of each group, the best by reward and
    the worst, short successes and long failures first among equals (a rule that is inferred); mean
    and scale are of what is kept. With share 1 it is `base`.
    """

    share: float = 0.5
    base: GroupRelative = field(default_factory=grpo)

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ConfigError(f"got share={self.share}; expected above 0 and 1 at most.")

    @property
    def smallest_group(self) -> int:
        """A best and a worst, or what `base` asks for."""
        return max(2, self.base.smallest_group)

    def heard(self, seen: Seen) -> Heard:
        length = seen.rollouts.lengths.astype(float)
        kept = self.kept(seen.reward, seen.rollouts.prompt_of, length)
        return self.base.heard(replace(seen, reward=np.where(kept, seen.reward, np.nan)))

    def kept(
        self, reward: Float[Array, " B"], prompt: Int[Array, " B"], length: Float[Array, " B"]
    ) -> Bool[Array, " B"]:
        """The rows that are heard; none without a reward (NaN)."""
        kept = np.zeros(len(reward), dtype=bool)
        for p in np.unique(prompt):
            rows = np.flatnonzero((prompt == p) & np.isfinite(reward))
            num = min(len(rows), max(2, round(self.share * len(rows))))
            kept[rows[extremes(reward[rows], length[rows], num)]] = True
        return kept
