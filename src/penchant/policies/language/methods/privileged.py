"""Rollouts that saw more than the policy will: a hint in the prompt, left out of what is trained.

Legend: B rows, T1 tokens after those before them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from penchant.errors import ConfigError
from penchant.policies.language.gathering import Ask, Gathered, together
from penchant.policies.language.methods.anchor import check_in_loss
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups, grpo
from penchant.policies.language.methods.method import Heard, Seen
from penchant.policies.language.rollouts import behind_prompts
from penchant.simulation.tasks.task import Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Privileged(OnGroups):
    """PolicyRollout of TriMPI (2025): to each prompt `share` of the group answers with the hint in
    sight, the rest without; one group for mean and scale; ratio and gradient of all rows under the
    prompt without it. Guided rows are treated as if drawn from there: a bias that is meant. With
    share 0 it is `base`.

    hinted: the prompt as the guided rows read it.
    """

    hinted: Callable[[Problem], str]
    share: float = 0.5
    base: GroupRelative = field(default_factory=grpo)

    def __post_init__(self) -> None:
        check_in_loss(self.base.anchor)
        if not 0.0 <= self.share <= 1.0 or self.base.most_weight is not None:
            raise ConfigError(
                f"got share={self.share} with most_weight={self.base.most_weight} of the base; "
                "expected a share from 0 to 1, and most_weight=None: against who drew them, "
                "guided rows would weigh next to nothing."
            )

    def gathered(self, ask: Ask) -> Gathered:
        """Rollouts with and without the hint; of the former what was trained does not show it."""
        task = ask.single_answers("a hint in the prompt")
        problems = task.draw(ask.num_problems, ask.draws)
        num_guided = round(self.share * ask.group_size)
        if num_guided == 0:
            return ask.answered(problems)
        seeing = [replace(problem, prompt=self.hinted(problem)) for problem in problems]
        guided = ask.answered(seeing, np.full(len(problems), num_guided))
        parts = [_stripped(ask, guided, problems)]
        if num_guided < ask.group_size:
            own = np.full(len(problems), ask.group_size - num_guided)
            parts.insert(0, ask.answered(problems, own))
        batch = together(parts)
        # Rows of a prompt stand side by side, those without the hint first.
        place = np.arange(len(batch.rollouts)) % ask.group_size
        is_plain = place < ask.group_size - num_guided
        return replace(batch, is_plain=is_plain, told={"guided": ~is_plain})

    def heard(self, seen: Seen) -> Heard:
        return self.base.heard(seen)


def _stripped(ask: Ask, batch: Gathered, problems: Sequence[Problem]) -> Gathered:
    """The same responses behind the prompts without a hint."""
    prompts = [problem.prompt for problem in problems]
    stripped = behind_prompts(batch.rollouts, prompts, ask.model.tokenizer)
    of_row = tuple(problems[p] for p in batch.rollouts.prompt_of)
    return replace(batch, rollouts=stripped, problems=of_row)
