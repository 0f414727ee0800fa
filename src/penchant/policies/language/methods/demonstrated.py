"""Demonstrations where a prompt is not yet solved, rewards where it is: one gate for each prompt.

Legend: B rows, T1 tokens after those before them.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.gathering import Ask, Gathered
from penchant.policies.language.loss import Surrogate
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups
from penchant.policies.language.methods.method import Heard, Seen
from penchant.policies.language.rollouts import demonstration_ids, written_rollouts


@dataclass(frozen=True, kw_only=True, slots=True)
class GatedDemonstrations(OnGroups):
    """HPT (2025): a prompt with `gate` right answers or fewer drops its rollouts and imitates its
    demonstration instead, by -log pi, one mean over the tokens of such rows, times `weight`; the
    others climb by `base`, normalised apart. With gate -1 it is `base`.

    right_from: the reward from which on an answer is right.
    """

    gate: int = 0
    weight: float = 1.0
    right_from: float = 0.5
    base: GroupRelative = field(default_factory=GroupRelative)

    def __post_init__(self) -> None:
        check_in_loss(self.base.anchor)
        if self.gate < -1 or not self.weight > 0.0:
            raise ConfigError(
                f"got gate={self.gate} and weight={self.weight}; expected right answers, 0 or "
                "more (-1 opens for nobody), and a weight above 0."
            )

    def gathered(self, ask: Ask) -> Gathered:
        """Rollouts, and a demonstration behind them for each prompt that the gate lets in."""
        task = ask.single_answers("a gate to demonstrations")
        problems = task.draw(ask.num_problems, ask.draws)
        batch = ask.answered(problems)
        right = np.bincount(
            batch.rollouts.prompt_of, weights=batch.grades.reward >= self.right_from,
            minlength=len(problems),
        )  # fmt: skip
        gated = np.flatnonzero(right <= self.gate)
        return replace(_with_demonstrations(ask, batch, gated), told={"gated": gated})

    def heard(self, seen: Seen) -> Heard:
        num_shown = len(seen.told["gated"])
        own = np.arange(len(seen.rollouts)) < len(seen.rollouts) - num_shown
        climbs = own & ~np.isin(seen.rollouts.prompt_of, seen.told["gated"])
        heard = self.base.heard(replace(seen, reward=np.where(climbs, seen.reward, np.nan)))
        is_shown = seen.rollouts.is_drawn & ~own[:, None]
        row = np.arange(len(own))[:, None]
        return replace(
            heard, unit_of=np.where(is_shown, row, heard.unit_of),
            shown=np.where(own, 0.0, self.weight),
        )  # fmt: skip


def hpt(length: int, anchor: Anchor | None = None) -> GatedDemonstrations:
    """As published: the group's mean without a scale, no clipping, a constant length."""
    base = GroupRelative(
        leave_one_out=False, surrogate=Surrogate(form="plain"), mean="constant", length=length,
        most_weight=None, anchor=anchor,
    )  # fmt: skip
    return GatedDemonstrations(base=base)


def _with_demonstrations(ask: Ask, batch: Gathered, gated: Int[Array, " _"]) -> Gathered:
    """The demonstrations of these prompts behind the batch: without a reward, which takes them out
    of every statistic."""
    if not len(gated):
        return batch
    first = np.unique(batch.rollouts.prompt_of, return_index=True)[1]
    problems = [batch.problems[first[p]] for p in gated]
    told = [demonstration_ids(ask.model.tokenizer, p.prompt, p.demonstration) for p in problems]
    rows, start = zip(*told)
    shown = written_rollouts(
        rows, np.array(start), gated, ask.model.tokenizer, batch.rollouts.log_prob
    )
    return batch.with_rows(shown, problems)
