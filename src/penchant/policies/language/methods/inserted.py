"""The known right answer joins its prompt's group, as one more member that nobody drew.

Legend: B rows, T1 tokens after those before them.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.gathering import Ask, Gathered, judged
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups, grpo
from penchant.policies.language.methods.method import Heard, Seen
from penchant.policies.language.ratio import ITSELF, OLD
from penchant.policies.language.rollouts import demonstration_ids, written_rollouts
from penchant.utilities.response_rewards import softened_above


@dataclass(frozen=True, kw_only=True, slots=True)
class WithTruth(OnGroups):
    """TempSamp-R1 (2025): each group has its prompt's demonstration beside what was drawn, graded
    as any answer, its reward times `worth`; `is_softened` bends all rewards before they are centred
    (`response_rewards.softened_above`), so that the right answer does not dwarf the rest.

    Nobody drew it, so that no ratio can correct for who did: its denominator is the policy itself,
    a ratio of 1, and its gradient that of its own log pi times its advantage. What it adds to the
    gradient is a pull towards it, (r - mean of the others) grad log pi, which no baseline takes
    away: a bias that is meant. Drawn answers keep the exact gradient where one leaves oneself out.
    """

    worth: float = 1.0
    is_softened: bool = True
    base: GroupRelative = field(default_factory=grpo)

    def __post_init__(self) -> None:
        check_in_loss(self.base.anchor)
        if not self.worth > 0.0 or self.base.most_weight is not None:
            raise ConfigError(
                f"got worth={self.worth} with most_weight={self.base.most_weight} of the base; "
                "expected a worth above 0 (0.8 holds the answer back), and most_weight=None: what "
                "nobody drew has no sampler to be corrected for."
            )

    @property
    def smallest_group(self) -> int:
        """The answer is company enough."""
        return 1

    def gathered(self, ask: Ask) -> Gathered:
        """Rollouts, and behind them the demonstration of each prompt with its reward."""
        task = ask.single_answers("an inserted answer")
        problems = task.draw(ask.num_problems, ask.draws)
        batch = ask.answered(problems)
        told = [demonstration_ids(ask.model.tokenizer, p.prompt, p.demonstration) for p in problems]
        rows, start = zip(*told)
        shown = written_rollouts(
            rows, np.array(start), np.arange(len(problems)), ask.model.tokenizer,
            batch.rollouts.log_prob,
        )  # fmt: skip
        grades = judged(shown, problems, ask.grade, ask.reward).grades
        is_drawn = np.arange(len(batch.rollouts) + len(shown)) < len(batch.rollouts)
        whole = batch.with_rows(shown, problems, self.worth * grades.reward)
        failed = batch.grades.failed + grades.failed
        return replace(
            whole, told={"inserted": ~is_drawn}, is_plain=is_drawn,
            grades=replace(whole.grades, failed=failed),
        )  # fmt: skip

    def heard(self, seen: Seen) -> Heard:
        reward = self.weighed(seen.reward)
        heard = self.base.heard(replace(seen, reward=reward))
        return replace(heard, denominator=np.where(seen.told["inserted"], ITSELF, OLD))

    def weighed(self, reward: Float[Array, " B"]) -> Float[Array, " B"]:
        """As the group compares them."""
        return softened_above(reward) if self.is_softened else reward


def temp_samp(anchor: Anchor | None = None) -> WithTruth:
    """As published, on GRPO; of rewards that are only 0 or 1 bending changes nothing but scale."""
    return WithTruth(base=grpo(anchor))
