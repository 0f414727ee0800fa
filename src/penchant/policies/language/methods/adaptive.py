"""An anchor whose strength looks for itself: as strong as a given divergence from the start asks.

Legend: B rows (one rollout each), T1 tokens after those before them.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from penchant.errors import ConfigError
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.method import (
    Heard,
    OnMethod,
    Seen,
    summed_log_ratio,
)
from penchant.policies.language.methods.proximal import Proximal

_STRENGTH = "anchor_strength"
# By how much a batch may miss the target and be heard in full.
_MOST = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptiveAnchor(OnMethod):
    """PPO whose anchor in the reward is strengthened where the policy is further from its start
    than `target` nats a response, weakened where it is nearer (Ziegler et al. 2019):
    beta <- beta (1 + gain clip(divergence / target - 1, -0.2, 0.2)), after each batch.

    base: its anchor's strength is the first. As directional stimulus prompting (Li et al. 2023)
    trains its hints.
    """

    target: float = 2.0
    gain: float = 0.1
    base: Proximal = field(
        default_factory=lambda: Proximal(anchor=Anchor(strength=0.05, place="reward"))
    )

    def __post_init__(self) -> None:
        anchor = self.base.anchor
        if anchor is None or anchor.place != "reward" or not anchor.strength > 0.0:
            raise ConfigError(
                f"got a base with anchor={anchor}; expected one in the reward of a strength above "
                "0, which is multiplied: Anchor(strength=0.05, place='reward')."
            )
        if not (self.target > 0.0 and 0.0 < self.gain < 1.0 / _MOST):
            raise ConfigError(
                f"got target={self.target} and gain={self.gain}; expected nats above 0, and a gain "
                f"above 0 and below {1.0 / _MOST:g}, at which the strength could turn negative."
            )

    def heard(self, seen: Seen) -> Heard:
        assert self.base.anchor is not None, "asked for when it was made"
        strength = float(seen.memory.get(_STRENGTH, self.base.anchor.strength))
        base = replace(self.base, anchor=replace(self.base.anchor, strength=strength))
        heard = base.heard(seen)
        after = strength * (1.0 + self.gain * self._missed(seen))
        return replace(heard, memory={**heard.memory, _STRENGTH: np.array(after)})

    def _missed(self, seen: Seen) -> float:
        """By what share the batch is further than the target, no more than a fifth either way."""
        apart = summed_log_ratio(seen)
        assert apart is not None, "the trainer reads the reference of an anchor"
        if not seen.is_scored.any():
            return 0.0
        share = float(apart[seen.is_scored].mean()) / self.target - 1.0
        return float(np.clip(share, -_MOST, _MOST))
