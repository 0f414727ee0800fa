"""What good and bad answers share is not unlearnt with the bad ones (GTPO, 2025).

Legend: B rows, T1 tokens after those before them.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array
from penchant.policies.language.aggregation import token_scale
from penchant.policies.language.credit import advantage
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.method import Heard, Seen, known_entropy, rows_as_units
from penchant.policies.language.ratio import ITSELF
from penchant.policies.language.token_weights import conflict_weights


@dataclass(frozen=True, kw_only=True, slots=True)
class ConflictAware:
    """A = reward less the group's mean and `entropy_cost` times the answer's mean entropy; tokens
    shared by good and bad answers count twice on the good and not at all on the bad. No clipping,
    no reference, a ratio of 1 in later updates too. Answers whose mean entropy (nats) is above
    `most_entropy` are left out, if that of the first batch was below it (None keeps all; the
    release has 0.7). The mean over an answer's tokens, then over answers; is_divided: each answer
    by its number of shared tokens too, as released.
    """

    entropy_cost: float = 0.1
    most_entropy: float | None = math.log(2.0)
    is_divided: bool = False
    surrogate: Surrogate = field(default_factory=lambda: Surrogate(form="plain"))
    most_weight: float | None = None
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        check_in_loss(self.anchor)

    @property
    def smallest_group(self) -> int:
        return 2

    @property
    def value_weight(self) -> float:
        return 0.0

    def heard(self, seen: Seen) -> Heard:
        rollouts, is_scored = seen.rollouts, seen.is_scored
        unit_of, group = rows_as_units(seen), np.where(is_scored, rollouts.prompt_of, -1)
        credit = advantage(
            np.where(is_scored, seen.reward, 0.0), group, np.arange(len(group)), is_scored,
            leave_one_out=False,
        ).advantage  # fmt: skip
        mean = known_entropy(seen).sum(axis=1) / np.maximum(rollouts.lengths, 1)
        known = mean[is_scored] if is_scored.any() else mean
        first = seen.memory.get("first_entropy", np.array([known.mean()]))
        if self.most_entropy is not None and first[0] <= self.most_entropy:
            unit_of = np.where((mean > self.most_entropy)[:, None], -1, unit_of)
        weight = self._weights(seen, credit)
        if self.is_divided:
            weight = weight / (weight != 1.0).sum(axis=1, keepdims=True).clip(1)
        found = to_tokens(credit - self.entropy_cost * mean, unit_of) * weight
        return Heard(
            unit_of=unit_of, advantage=found, memory={"first_entropy": first},
            denominator=np.full(len(rollouts), ITSELF),
        )  # fmt: skip

    def _weights(self, seen: Seen, credit: Float[Array, " B"]) -> Float[Array, "B T1"]:
        """Of the responses' own tokens, put where they stand in the rows."""
        rollouts = seen.rollouts
        length, ids = rollouts.lengths, rollouts.tokens.ids[:, 1:].cpu().numpy()
        own = np.full((len(length), int(length.max(initial=1))), -1)
        mine = np.arange(own.shape[1])[None, :] < length[:, None]
        own[mine] = ids[rollouts.is_drawn]
        # Of groups that are all alike nothing is good or bad.
        group = np.where(credit != 0.0, rollouts.prompt_of, -1 - np.arange(len(credit)))
        found = np.ones(rollouts.is_drawn.shape)
        found[rollouts.is_drawn] = conflict_weights(own, length, credit > 0.0, group)[mine]
        return found

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        return token_scale(unit_of, "row")
