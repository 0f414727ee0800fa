"""Few rows and few tokens teach the most: those whose credit varies, and those that were unsure.

Legend: B rows (one a rollout), T1 tokens after those before them.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from penchant.errors import ConfigError
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups, grpo
from penchant.policies.language.methods.method import Heard, Seen, known_entropy
from penchant.policies.language.scheduling import most_varied
from penchant.policies.language.token_weights import top_share


@dataclass(frozen=True, kw_only=True, slots=True)
class DownSampled(OnGroups):
    """D3S (2025): of the whole batch the share `rows` of rollouts whose advantages vary most, of
    each the share `tokens` of largest |A| times entropy; both shares rise evenly to 1 over `steps`
    batches (0 leaves them as they are). Advantages are `base`'s, of whole groups. With shares of 1
    it is `base`.
    """

    rows: float = 0.25
    tokens: float = 0.2
    steps: int = 100
    base: GroupRelative = field(default_factory=grpo)

    def __post_init__(self) -> None:
        if not (0.0 < self.rows <= 1.0 and 0.0 < self.tokens <= 1.0 and self.steps >= 0):
            raise ConfigError(
                f"got rows={self.rows}, tokens={self.tokens} and steps={self.steps}; expected "
                "shares above 0 and 1 at most, and 0 steps or more."
            )

    def heard(self, seen: Seen) -> Heard:
        done = float(seen.memory.get("steps", np.zeros(1))[0])
        gone = min(done / self.steps, 1.0) if self.steps else 0.0
        of_rows, of_tokens = (s + (1.0 - s) * gone for s in (self.rows, self.tokens))
        heard = self.base.heard(seen)
        trained = heard.unit_of >= 0
        size = np.abs(heard.advantage)
        scored = np.flatnonzero(trained.any(axis=1))
        # All tokens of a rollout have its advantage.
        credit = np.where(trained, heard.advantage, 0.0).sum(axis=1) / trained.sum(axis=1).clip(1)
        kept = scored[most_varied(credit[scored], int(np.ceil(of_rows * len(scored) - 1e-9)))]
        listened = np.zeros_like(trained)
        listened[kept] = trained[kept]
        listened &= top_share(size * known_entropy(seen), trained, of_tokens)
        return replace(
            heard, unit_of=np.where(listened, heard.unit_of, -1),
            memory={"steps": np.array([done + 1.0])},
        )  # fmt: skip
