"""Group-relative policy gradients: several responses to a prompt are each other's baseline.

Legend: B rows (one rollout and one credit unit each), T1 tokens after those before them.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.aggregation import Mean, token_scale
from penchant.policies.language.credit import Credit, Scale, advantage
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.method import (
    Heard,
    OnMethod,
    Seen,
    rows_as_units,
    summed_log_ratio,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupRelative:
    """Credit, ratio and mean of one method. The default is ours: the mean of the others, no scale,
    bounds 0.2 and 0.28, one mean over all tokens, no anchor.

    mean, length: `aggregation.token_scale`. most_weight: bound on the ratio of the trainer's to the
    sampler's probability at the start of an update, None to leave it out.
    """

    leave_one_out: bool = True
    scale: Scale = "none"
    surrogate: Surrogate = field(default_factory=Surrogate)
    mean: Mean = "token"
    length: int | None = None
    most_weight: float | None = 2.0
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        if self.mean == "constant" and self.length is None:
            raise ConfigError(
                "got mean='constant' without a length; expected the most tokens of a response."
            )

    @property
    def smallest_group(self) -> int:
        """A mean with oneself in it leaves nothing of a group of one."""
        return 1 if self.leave_one_out else 2

    @property
    def value_weight(self) -> float:
        return 0.0

    def heard(self, seen: Seen) -> Heard:
        unit_of, group = rows_as_units(seen), seen.rollouts.prompt_of
        credit = self.credit(seen.reward, group, seen.is_scored, summed_log_ratio(seen))
        return Heard(unit_of=unit_of, advantage=to_tokens(credit.advantage, unit_of))

    def credit(
        self,
        reward: Float[Array, " B"],
        group: Int[Array, " B"],
        is_scored: Bool[Array, " B"],
        log_ratio: Float[Array, " B"] | None = None,
    ) -> Credit:
        """The advantage of each rollout among those of its group that have a reward.

        log_ratio: log pi - log pi_reference of each response, which an anchor in the reward costs.
        """
        if self.anchor is not None and self.anchor.place == "reward" and log_ratio is not None:
            reward = reward - self.anchor.strength * log_ratio
        key = np.where(is_scored, group, -1)
        given = np.where(is_scored, reward, 0.0)
        found = advantage(
            given, key, np.arange(len(given)), is_scored,
            leave_one_out=self.leave_one_out, scale=self.scale,
        )  # fmt: skip
        return Credit(
            advantage=np.where(is_scored, found.advantage, 0.0),
            is_valid=found.is_valid & is_scored,
        )

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        return token_scale(unit_of, self.mean, length=self.length, group_of=group)


class OnGroups(OnMethod):
    """On groups of rollouts, without a value."""

    __slots__ = ()
    base: GroupRelative


def grpo(anchor: Anchor | None = None) -> GroupRelative:
    """Shao et al. (2024): z-scores within the group, one's own reward included, clipped at 0.2 both
    ways, the mean over a response's tokens and then over responses. Biased in all three."""
    return GroupRelative(
        leave_one_out=False, scale="group", surrogate=Surrogate(high=0.2), mean="row",
        most_weight=None, anchor=anchor,
    )  # fmt: skip


def rloo(length: int, anchor: Anchor | None = None) -> GroupRelative:
    """Ahmadian et al. (2024): the reward less the mean of the others, no clipping. With a constant
    length (the most tokens of a response) its gradient is unbiased."""
    return GroupRelative(
        surrogate=Surrogate(form="plain"), mean="constant", length=length, most_weight=None,
        anchor=anchor,
    )  # fmt: skip


def dr_grpo(length: int, anchor: Anchor | None = None) -> GroupRelative:
    """Liu et al. (2025): GRPO without its two divisions, by the group's deviation and by a
    response's own length."""
    return GroupRelative(
        leave_one_out=False, surrogate=Surrogate(high=0.2), mean="constant", length=length,
        most_weight=None, anchor=anchor,
    )  # fmt: skip
