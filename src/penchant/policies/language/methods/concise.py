"""Short right answers: a bonus for brevity against the shortest right answer ever seen to a prompt.

Legend: B rows.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups, grpo
from penchant.policies.language.methods.method import Heard, Seen
from penchant.policies.language.trackers import KnownPrompts, ShortestAnswers
from penchant.utilities.response_rewards import brevity_by_history, brevity_in_group


@dataclass(frozen=True, kw_only=True, slots=True)
class Concise(OnGroups):
    """HAPO (2025): reward + weight cos(pi/2 min(length / shortest, 2)), the shortest right answer
    to that prompt so far being the measure; then `base`'s credit, GRPO's as in the paper.

    is_of_group: instead of history the group's own shortest and longest (Kimi k1.5, 2025), for
    comparison. right_from: the reward from which on an answer is right.
    """

    weight: float = 1.0
    right_from: float = 0.5
    is_of_group: bool = False
    base: GroupRelative = field(default_factory=grpo)

    def __post_init__(self) -> None:
        if self.weight < 0.0:
            raise ConfigError(f"got weight={self.weight}; expected 0 or more: long answers do not "
                              "earn.")  # fmt: skip

    def heard(self, seen: Seen) -> Heard:
        length = seen.rollouts.lengths.astype(float)
        is_right = seen.is_scored & (seen.reward >= self.right_from)
        texts = [problem.prompt for problem in seen.problems]
        prompts = KnownPrompts.recalled(seen.memory).with_all(texts)
        of_row, shortest = prompts.entry(texts), seen.memory.get("shortest", np.zeros(0))
        known = np.full(len(prompts.texts), np.inf)
        known[: len(shortest)] = shortest
        bonus = self._bonus(seen, length, known[of_row], is_right)
        told = replace(seen, reward=seen.reward + self.weight * bonus)
        after = ShortestAnswers(length=known).updated(of_row, length, is_right)
        kept = {**prompts.kept(), "shortest": after.length}
        return replace(self.base.heard(told), memory=kept)

    def _bonus(
        self,
        seen: Seen,
        length: Float[Array, " B"],
        shortest: Float[Array, " B"],
        is_right: Bool[Array, " B"],
    ) -> Float[Array, " B"]:
        if not self.is_of_group:
            return brevity_by_history(length, shortest, is_right)
        found = np.zeros(len(length))
        for prompt in np.unique(seen.rollouts.prompt_of):
            mine = seen.rollouts.prompt_of == prompt
            found[mine] = brevity_in_group(length[mine], is_right[mine])
        return found
