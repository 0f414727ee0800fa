"""Proximal policy optimisation: a learnt value of every token is the baseline of the next.

Legend: B rows (one rollout each), T1 tokens after those before them, U units (tokens drawn).
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.aggregation import Mean, token_scale
from penchant.policies.language.loss import Surrogate
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.method import Heard, Seen, rows_as_units
from penchant.policies.language.returns import generalised_advantage


@dataclass(frozen=True, kw_only=True, slots=True)
class Proximal:
    """Schulman et al. (2017) with generalised advantages (2016), every token a step.

    What a turn earned comes with its last token. discount: between turns only, since a long action
    is no later one (POAD, 2024); trace: lambda, of every token. is_whitened: advantages less their
    mean over the batch, over their deviation, as the released code does (biased). value_weight: of
    the value's squared error; the value reads the policy's own states. An anchor in the reward
    costs each token its log-ratio, as in Ouyang et al. (2022).
    """

    discount: float = 1.0
    trace: float = 0.95
    is_whitened: bool = True
    value_weight: float = 0.5
    surrogate: Surrogate = field(default_factory=lambda: Surrogate(high=0.2))
    mean: Mean = "token"
    length: int | None = None
    most_weight: float | None = None
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        if not (0.0 <= self.discount <= 1.0 and 0.0 <= self.trace <= 1.0):
            raise ConfigError(
                f"got discount={self.discount} and trace={self.trace}; expected both from 0 to 1."
            )
        if not self.value_weight > 0.0:
            raise ConfigError(
                f"got value_weight={self.value_weight}; expected above 0, or the value that is the "
                "baseline would never learn."
            )

    @property
    def smallest_group(self) -> int:
        return 1

    def heard(self, seen: Seen) -> Heard:
        assert seen.value is not None, "the trainer gives a value where one is weighed"
        own = rows_as_units(seen)
        rows, places = np.nonzero(own >= 0)
        turn = seen.rollouts.turn_of[rows, places]
        is_last = np.append((rows[1:] != rows[:-1]) | (turn[1:] != turn[:-1]), True)
        reward = np.where(is_last, seen.turn_reward[rows, turn], 0.0)
        if self.anchor is not None and self.anchor.place == "reward":
            assert seen.log_ratio is not None, "the trainer reads the reference of an anchor"
            reward = reward - self.anchor.strength * seen.log_ratio[rows, places]
        value = seen.value[rows, places]
        found = generalised_advantage(
            reward, value, rows, places, discount=np.where(is_last, self.discount, 1.0),
            trace=np.full(len(rows), self.trace),
        )  # fmt: skip
        target, found = found + value, self.whitened(found)
        unit_of = np.full(own.shape, -1)
        unit_of[rows, places] = np.arange(len(rows))
        return Heard(
            unit_of=unit_of, advantage=placed(found, rows, places, own.shape),
            target=placed(target, rows, places, own.shape),
        )  # fmt: skip

    def whitened(self, advantage: Float[Array, " U"]) -> Float[Array, " U"]:
        """Less the mean over the batch, over the deviation, where that is asked for."""
        if not self.is_whitened or len(advantage) < 2:
            return advantage
        return (advantage - advantage.mean()) / (advantage.std() + 1e-8)

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        return token_scale(unit_of, self.mean, length=self.length, group_of=group)


def retroformer(anchor: Anchor | None = None) -> Proximal:
    """Yao et al. (2024): a turn is a reflection and earns what the next trial gained over the last
    one, and nothing of what later reflections gain. Its replay of kept reflections is left out."""
    return Proximal(discount=0.0, anchor=anchor)


def placed(
    values: Float[Array, " U"], rows: Int[Array, " U"], places: Int[Array, " U"], shape: tuple
) -> Float[Array, "B T1"]:
    """Units where they stand, 0 elsewhere."""
    found = np.zeros(shape)
    found[rows, places] = values
    return found
