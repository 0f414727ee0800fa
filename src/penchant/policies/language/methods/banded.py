"""Entropy is sought, and held near what it was before at the same turn (EPO, entropy, 2025).

Legend: B rows (one a game), N turns, T1 tokens after those before them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.gathering import Gatherer
from penchant.policies.language.loss import Steer
from penchant.policies.language.methods.method import (
    Heard,
    OnMethod,
    PolicyMethod,
    Seen,
    known_entropy,
)
from penchant.policies.language.methods.proximal import Proximal


@dataclass(frozen=True, kw_only=True, slots=True)
class Banded(OnMethod):
    """`base`, PPO as in the paper, with `bonus` a nat of entropy, and `hold` times `bonus` off for
    each nat outside `low` to `high` times the mean of all earlier batches at that turn, in turns
    from the share `late` of the longest game on.

    A hinge, where the penalty of the paper as released is constant outside its band: no gradient,
    and with its weight of 1 and less entropy above the band would be sought still. Its weight falls
    there by phases, which scale what has no effect and are not here. hold=0 is the plain bonus,
    bonus=0 is `base`.
    """

    bonus: float = 0.001
    hold: float = 10.0
    low: float = 0.0
    high: float = 2.0
    late: float = 0.5
    base: PolicyMethod = field(default_factory=Proximal)

    def __post_init__(self) -> None:
        if isinstance(self.base, Gatherer):
            raise ConfigError(
                f"got {type(self.base).__name__} as the base, which gathers for itself and would "
                "not be asked to; expected a method that is given its episodes, such as Proximal()."
            )
        if not (self.bonus >= 0.0 and self.hold >= 0.0 and 0.0 <= self.late <= 1.0):
            raise ConfigError(
                f"got bonus={self.bonus}, hold={self.hold} and late={self.late}; expected 0 or "
                "more, 0 or more, and a share from 0 to 1."
            )
        if not 0.0 <= self.low <= self.high:
            raise ConfigError(
                f"got a band from {self.low} to {self.high} times the usual; expected low from 0 "
                "up to high."
            )

    def heard(self, seen: Seen) -> Heard:
        heard = self.base.heard(seen)
        if self.bonus == 0.0:
            return heard
        steer, kept = self.steered(
            known_entropy(seen), seen.rollouts.turn_of, seen.turn_reward.shape[1], seen.memory
        )
        return replace(heard, steer=steer, memory={**heard.memory, **kept})

    def steered(
        self,
        entropy: Float[Array, "B T1"],
        turn_of: Int[Array, "B T1"],
        num_turns: int,
        memory: Mapping[str, np.ndarray],
    ) -> tuple[Steer, dict[str, np.ndarray]]:
        """Where entropy is sought and held, by the batches before; and what is kept of them."""
        before = TurnHistory.recalled(memory)
        usual, is_known = before.at(turn_of)
        is_held = is_known & (turn_of >= self.late * num_turns)
        steer = Steer(
            bonus=self.bonus, hold=np.where(is_held, self.hold * self.bonus, 0.0), usual=usual,
            low=self.low, high=self.high,
        )  # fmt: skip
        return steer, before.updated(entropy, turn_of).kept()


@dataclass(frozen=True, kw_only=True, eq=False)
class TurnHistory:
    """Entropy so far, of each turn: the sum over batches of their means a token, and how many
    batches came to that turn."""

    total: Float[Array, " N"]
    num: Int[Array, " N"]

    @classmethod
    def recalled(cls, memory: Mapping[str, np.ndarray]) -> "TurnHistory":
        """What `kept` gave; nothing of an empty memory."""
        nothing = np.zeros(0)
        return cls(
            total=memory.get("entropy_total", nothing),
            num=memory.get("entropy_num", nothing.astype(int)),
        )

    def kept(self) -> dict[str, np.ndarray]:
        return {"entropy_total": self.total, "entropy_num": self.num}

    def at(self, turn_of: Int[Array, "B T1"]) -> tuple[Float[Array, "B T1"], Array]:
        """The mean where each token stands, and whether there is one."""
        num = np.append(self.num, np.zeros(max(int(turn_of.max(initial=0)) + 1 - len(self.num), 0)))
        mean = np.zeros(len(num))
        mean[: len(self.num)] = self.total / np.maximum(self.num, 1)
        turn = np.maximum(turn_of, 0)
        return mean[turn], (turn_of >= 0) & (num[turn] > 0)

    def updated(self, entropy: Float[Array, "B T1"], turn_of: Int[Array, "B T1"]) -> "TurnHistory":
        """With one more batch."""
        mine = turn_of >= 0
        size = max(int(turn_of.max(initial=-1)) + 1, len(self.num))
        num = np.bincount(turn_of[mine], minlength=size)
        mean = np.bincount(turn_of[mine], weights=entropy[mine], minlength=size)
        wider = size - len(self.num)
        return TurnHistory(
            total=np.pad(self.total, (0, wider)) + mean / np.maximum(num, 1),
            num=np.pad(self.num, (0, wider)) + (num > 0),
        )
