"""What a game came to goes to all of its turns, each of which is a sample like any other.

Legend: B rows (one a game), T1 tokens after those before them.
"""

from dataclasses import dataclass, field

import numpy as np

from penchant.policies.language.credit import advantage
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups, grpo
from penchant.policies.language.methods.method import Heard, Seen, turns_as_units
from penchant.policies.language.returns import first_of_rollout


@dataclass(frozen=True, kw_only=True, slots=True)
class Pooled(OnGroups):
    """Flow-GRPO of AgentFlow (2025): mean and scale over all turns of all games of a world, as
    released, so that long games weigh more; is_pooled=False counts each game once, which is `base`.
    """

    is_pooled: bool = True
    base: GroupRelative = field(default_factory=grpo)

    def __post_init__(self) -> None:
        check_in_loss(self.base.anchor)

    def heard(self, seen: Seen) -> Heard:
        unit_of, row, turn = turns_as_units(seen)
        counted = np.ones(len(row), dtype=bool)
        if not self.is_pooled:
            counted = first_of_rollout(row, turn)
        # A rollout leaves itself out, not the turn alone.
        credit = advantage(
            seen.reward[row], seen.rollouts.prompt_of[row], row, counted,
            leave_one_out=self.base.leave_one_out, scale=self.base.scale,
        ).advantage  # fmt: skip
        return Heard(unit_of=unit_of, advantage=to_tokens(credit, unit_of))


def flow_grpo(anchor: Anchor | None = None, is_pooled: bool = True) -> Pooled:
    """As published but for its anchor, k3 of 0.001 in the loss: z-scores, bounds 0.2 and 0.3, the
    mean over a turn's tokens, then over a game's turns, then over games."""
    base = GroupRelative(
        leave_one_out=False, scale="group", surrogate=Surrogate(high=0.3), mean="unit",
        most_weight=None, anchor=anchor,
    )  # fmt: skip
    return Pooled(base=base, is_pooled=is_pooled)
