"""Credit turn by turn: what an episode earns from a turn on, less what others earn from like ones.

Legend: B rows (one episode each), U turns of all rows, L levels, T1 tokens after those before them.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.aggregation import Mean, token_scale
from penchant.policies.language.credit import Credit, Scale, advantage, hierarchical_advantage
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.method import Heard, Seen, turns_as_units
from penchant.policies.language.returns import return_to_go


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnWise:
    """Return-to-go, then one baseline a decision, then the scale: never the other way round.

    likeness: "turn", the other episodes of the prompt at the same turn (leave one out, unbiased);
    "history", nested groups of turns whose last 1, 2, .. `depth` observations are the same, the
    turn's own included (HGPO, 2026; weights grow with `exponent`). discount: between turns.
    """

    likeness: Literal["turn", "history"] = "turn"
    depth: int = 3
    exponent: float = 1.0
    discount: float = 1.0
    scale: Scale = "none"
    surrogate: Surrogate = field(default_factory=Surrogate)
    mean: Mean = "token"
    most_weight: float | None = None
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        if self.depth < 1 or not 0.0 <= self.discount <= 1.0:
            raise ConfigError(
                f"got depth={self.depth} and discount={self.discount}; expected an observation or "
                "more, and a discount from 0 to 1."
            )

    @property
    def smallest_group(self) -> int:
        return 2

    @property
    def value_weight(self) -> float:
        return 0.0

    def heard(self, seen: Seen) -> Heard:
        unit_of, row, turn = turns_as_units(seen)
        returns = return_to_go(seen.turn_reward[row, turn], row, turn, self.discount)
        if self.anchor is not None and self.anchor.place == "reward":
            returns = returns - self.anchor.strength * self._cost(seen, row, turn)
        credit = self._credit(seen, returns, row, turn)
        return Heard(unit_of=unit_of, advantage=to_tokens(credit.advantage, unit_of))

    def _credit(
        self, seen: Seen, returns: Float[Array, " U"], row: Int[Array, " U"], turn: Int[Array, " U"]
    ) -> Credit:
        group, counted = seen.rollouts.prompt_of[row], np.ones(len(row), dtype=bool)
        if self.likeness == "turn":
            key = group * seen.turn_reward.shape[1] + turn
            return advantage(returns, key, row, counted, scale=self.scale)
        keys = history_keys(seen.observed, group, row, turn, self.depth)
        return hierarchical_advantage(
            returns, keys, counted, exponent=self.exponent, scale=self.scale
        )

    def _cost(
        self, seen: Seen, row: Int[Array, " U"], turn: Int[Array, " U"]
    ) -> Float[Array, " U"]:
        """The log-ratio of what is written from a turn on."""
        assert seen.log_ratio is not None, "the trainer reads the reference of an anchor"
        of_turn = np.zeros(seen.turn_reward.shape)
        there = seen.rollouts.turn_of >= 0
        rows = np.nonzero(there)[0]
        np.add.at(of_turn, (rows, seen.rollouts.turn_of[there]), seen.log_ratio[there])
        return return_to_go(of_turn[row, turn], row, turn)

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        return token_scale(unit_of, self.mean, group_of=group)


def history_keys(
    observed: Array, group: Int[Array, " U"], row: Int[Array, " U"], turn: Int[Array, " U"],
    depth: int,
) -> Int[Array, "L U"]:  # fmt: skip
    """At level k, turns of a prompt whose last k observations are the same share a key; -1 where
    there were not yet so many."""
    keys = np.full((depth, len(row)), -1)
    for level in range(depth):
        known: dict[tuple[object, ...], int] = {}
        for unit, (g, r, t) in enumerate(zip(group, row, turn)):
            if t >= level:
                seen = (int(g), *observed[r][t - level : t + 1])
                keys[level, unit] = known.setdefault(seen, len(known))
    return keys
