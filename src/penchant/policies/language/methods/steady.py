"""Tokens whose update would tear entropy down are left out (entropy dynamics, 2026).

Legend: B rows (one a rollout), T1 tokens after those before them.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from penchant.errors import ConfigError
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups, grpo
from penchant.policies.language.methods.method import Heard, Seen, known_entropy
from penchant.policies.language.token_weights import steady_entropy


@dataclass(frozen=True, kw_only=True, slots=True)
class Steady(OnGroups):
    """Clip_B: `base`, without the tokens of negative advantage whose S = p (H + log p) is more than
    `spread` deviations below the batch's mean (`token_weights.steady_entropy`). They count in the
    mean over tokens. For one update a batch: later ones are no longer of the policy's own draws.
    """

    spread: float = 2.5
    base: GroupRelative = field(default_factory=grpo)

    def __post_init__(self) -> None:
        if not self.spread >= 0.0:
            raise ConfigError(f"got spread={self.spread}; expected 0 deviations or more.")

    def heard(self, seen: Seen) -> Heard:
        heard = self.base.heard(seen)
        kept = steady_entropy(
            known_entropy(seen), seen.rollouts.log_prob.double().cpu().numpy(), heard.advantage,
            heard.unit_of >= 0, self.spread,
        )  # fmt: skip
        return replace(heard, advantage=np.where(kept, heard.advantage, 0.0))
