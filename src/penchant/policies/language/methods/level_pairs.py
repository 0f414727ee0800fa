"""Levels in place of rewards: every better answer of a group is to be preferred to every worse one.

Legend: B rows (one rollout each), N pairs, T1 tokens after those before them.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array, sigmoid
from penchant.policies.language.aggregation import token_scale
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.method import Heard, Seen, rows_as_units


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelPairs:
    """TRPA (2025): the mean over pairs i above j of a group of -log sigma(h), h = beta (l_i - l_j),
    2.5 times as much where i is of the best level, l = mean_t (log pi - log pi_reference).

    What is an answer's credit here is minus the derivative of that by its l, so that the first
    update on a batch is the loss's own gradient (later ones keep the credit as it was). Only the
    order of rewards counts, not their scale; those of `best_from` and more are of the best level.
    Where no group has two levels, answers are pushed up or down by themselves: the mean of -log
    sigma(l) at the best level, of -log sigma(-l) below. The authors' divergence to the sampler has
    no gradient in the only update of a batch, and is left out.
    """

    strength: float = 0.1
    best_margin: float = 2.5
    best_from: float = 1.0
    anchor: Anchor = field(default_factory=lambda: Anchor(strength=0.0, place="loss"))

    def __post_init__(self) -> None:
        check_in_loss(self.anchor)
        if not (self.strength > 0.0 and self.best_margin > 0.0):
            raise ConfigError(
                f"got strength={self.strength} and best_margin={self.best_margin}; expected both "
                "above 0."
            )

    @property
    def surrogate(self) -> Surrogate:
        return Surrogate(form="plain")

    @property
    def most_weight(self) -> float | None:
        return None

    @property
    def smallest_group(self) -> int:
        return 2

    @property
    def value_weight(self) -> float:
        return 0.0

    def heard(self, seen: Seen) -> Heard:
        if seen.log_ratio is None:
            raise ConfigError(
                "LevelPairs asks for log-ratios to a reference, which this trainer does not hand "
                "over; expected `PolicyTrainer`, or a method of rewards alone."
            )
        unit_of, level = rows_as_units(seen), np.where(seen.is_scored, seen.reward, 0.0)
        mean = seen.log_ratio.sum(axis=1) / np.maximum(seen.rollouts.lengths, 1)
        credit = self.credit(level, seen.rollouts.prompt_of, seen.is_scored, mean)
        return Heard(unit_of=unit_of, advantage=to_tokens(credit, unit_of))

    def credit(
        self,
        level: Float[Array, " B"],
        group: Int[Array, " B"],
        is_scored: Bool[Array, " B"],
        mean_ratio: Float[Array, " B"],
    ) -> Float[Array, " B"]:
        """-B dL / dl of each row; the mean over rows that follows takes the B away again."""
        is_best = level >= self.best_from
        first, second = level_pairs(level, group, is_scored)
        found = np.zeros(len(level))
        if not len(first):
            pushed = np.where(is_best, sigmoid(-mean_ratio), -sigmoid(mean_ratio))
            return np.where(is_scored, pushed * len(level) / max(is_scored.sum(), 1), 0.0)
        slope = self.strength * np.where(is_best[first], self.best_margin, 1.0)
        pull = slope * sigmoid(-slope * (mean_ratio[first] - mean_ratio[second]))
        np.add.at(found, first, pull)
        np.add.at(found, second, -pull)
        return found * len(level) / len(first)

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        return token_scale(unit_of, "row")


def level_pairs(
    level: Float[Array, " B"], group: Int[Array, " B"], is_scored: Bool[Array, " B"]
) -> tuple[Int[Array, " N"], Int[Array, " N"]]:
    """All pairs of rows of a group of which the first is of a higher level."""
    above = (group[:, None] == group) & (level[:, None] > level) & is_scored[:, None] & is_scored
    first, second = np.nonzero(above)
    return first, second
