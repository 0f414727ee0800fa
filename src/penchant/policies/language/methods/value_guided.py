"""A learnt value of prompts says which are tried, how often, and what their answers are held to.

Legend: B rows (one rollout and one credit unit each), P prompts of a batch, D numbers of a state.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.credit import shrunk_baseline
from penchant.policies.language.gathering import Ask, Gathered, together
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups
from penchant.policies.language.methods.method import Heard, Seen, rows_as_units
from penchant.policies.language.prompt_value import PromptValue, prompt_states
from penchant.policies.language.scheduling import budget, is_one_more_worth_it, nearest_to_half
from penchant.policies.language.trackers import check_shares
from penchant.simulation.tasks.task import Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueGuided(OnGroups):
    """One value head (`prompt_value.py`), three uses; the page of each is a function below.

    candidates: problems drawn for each that is tried, those nearest to one half being taken.
    spending: "even"; "failures", the step's rollouts where most failures stand beside a success,
    `least` to `most` a prompt; "until_sure", a group first and then `stride` more while they make
    the baseline surer by their cost, up to `most`. baseline: "group", which is `base`'s, and the
    value where one leaves oneself out and is alone; or "shrunk" between the value and the mean
    (V0.5), of the others where `base` leaves oneself out, of all as published. Rewards from 0 to 1.
    The mean over tokens, ratio and anchor are `base`'s too.
    """

    candidates: int = 1
    spending: Literal["even", "failures", "until_sure"] = "even"
    least: int = 2
    most: int = 16
    stride: int = 2
    baseline: Literal["group", "shrunk"] = "group"
    base: GroupRelative = field(default_factory=GroupRelative)

    def __post_init__(self) -> None:
        check_in_loss(self.base.anchor)
        if not (self.candidates >= 1 and 1 <= self.least <= self.most and self.stride >= 1):
            raise ConfigError(
                f"got candidates={self.candidates}, least={self.least}, most={self.most}, "
                f"stride={self.stride}; expected 1 or more, and no more least than most."
            )

    @property
    def smallest_group(self) -> int:
        return 1 if self.baseline == "shrunk" else self.base.smallest_group

    def gathered(self, ask: Ask) -> Gathered:
        """Answers to the problems taken. Raises `ConfigError` for groups of more than `most`."""
        if self.spending != "even" and ask.group_size > self.most:
            raise ConfigError(
                f"got groups of {ask.group_size} for a method that draws {self.most} responses to "
                f"a prompt at most; expected groups of {self.most} or fewer, or a larger `most`."
            )
        task = ask.single_answers("a value of prompts")
        problems = task.draw(self.candidates * ask.num_problems, ask.draws)
        states = prompt_states(ask.model, [problem.prompt for problem in problems])
        value = PromptValue.recalled(ask.memory, states.shape[1]).value(states)
        taken = nearest_to_half(value, ask.num_problems)
        value, states = value[taken], states[taken]
        batch = self._spent(ask, [problems[at] for at in taken], value)
        return replace(batch, told={"value": value, "states": states})

    def _spent(self, ask: Ask, problems: list[Problem], value: Float[Array, " P"]) -> Gathered:
        if self.spending == "even":
            return ask.answered(problems)
        if self.spending == "failures":
            total = ask.num_problems * ask.group_size
            least = min(self.least, ask.group_size)
            return ask.answered(problems, budget(value, total, least, self.most))
        parts = [ask.answered(problems)]
        while len(open_ := self._unsure_of(parts, value)):
            more = ask.answered([problems[p] for p in open_], np.full(len(open_), self.stride))
            back = replace(more.rollouts, prompt_of=open_[more.rollouts.prompt_of])
            parts.append(replace(more, rollouts=back))
        return together(parts)

    def _unsure_of(self, parts: list[Gathered], value: Float[Array, " P"]) -> Int[Array, " _"]:
        prompt = np.concatenate([part.rollouts.prompt_of for part in parts])
        return self.unsure(prompt, np.concatenate([part.grades.reward for part in parts]), value)

    def unsure(
        self, prompt: Int[Array, " B"], reward: Float[Array, " B"], value: Float[Array, " P"]
    ) -> Int[Array, " _"]:
        """Prompts of which `stride` more rollouts are worth drawing after these."""
        is_scored = np.isfinite(reward)
        num = np.bincount(prompt, minlength=len(value))
        right = np.bincount(prompt[is_scored], weights=reward[is_scored], minlength=len(value))
        scored = np.bincount(prompt[is_scored], minlength=len(value))
        mean = 2.0 * right / np.maximum(scored, 1) - 1.0
        worth = is_one_more_worth_it(mean, 2.0 * value - 1.0, np.maximum(scored, 1))
        return np.flatnonzero(worth & (scored > 0) & (num + self.stride <= self.most))

    def heard(self, seen: Seen) -> Heard:
        """Credit and what the value learnt. Raises `ConfigError` for rewards outside [0, 1]."""
        check_shares(seen.reward[seen.is_scored])
        prompt, is_scored = seen.rollouts.prompt_of, seen.is_scored
        states, value = seen.told["states"], seen.told["value"]
        unit_of = rows_as_units(seen)
        credit = self.credit(seen.reward, value[prompt], prompt, is_scored)
        num = np.bincount(prompt[is_scored], minlength=len(value))
        total = np.bincount(prompt[is_scored], weights=seen.reward[is_scored], minlength=len(value))
        after = PromptValue.recalled(seen.memory, states.shape[1]).updated(
            states, total / np.maximum(num, 1), num.astype(float)
        )
        advantage = to_tokens(credit, unit_of)
        return Heard(unit_of=unit_of, advantage=advantage, memory=after.kept())

    def credit(
        self,
        reward: Float[Array, " B"],
        value: Float[Array, " B"],
        group: Int[Array, " B"],
        is_scored: Bool[Array, " B"],
    ) -> Float[Array, " B"]:
        """Reward less its baseline, 0 without a reward."""
        given, key = np.where(is_scored, reward, 0.0), np.where(is_scored, group, -1)
        if self.baseline == "shrunk":
            # The noise 1/k that the shrinkage knows is of rewards of -1 and 1.
            held = shrunk_baseline(
                2.0 * given - 1.0, 2.0 * value - 1.0, key, np.arange(len(given)), is_scored,
                leave_one_out=self.base.leave_one_out,
            )  # fmt: skip
            return np.where(is_scored, given - 0.5 * (held + 1.0), 0.0)
        found = self.base.credit(reward, group, is_scored).advantage
        size = np.bincount(key[is_scored], minlength=len(value) + 1)[np.maximum(key, 0)]
        alone = is_scored & (size < 2) & self.base.leave_one_out
        return np.where(alone, given - value, found)


def prompt_curriculum(anchor: Anchor | None = None) -> ValueGuided:
    """PCL (2025): four problems drawn for each that is tried, those foretold to succeed half the
    time; the group's mean without a scale, on-policy without clipping."""
    base = GroupRelative(
        leave_one_out=False, surrogate=Surrogate(form="plain"), most_weight=None, anchor=anchor
    )
    return ValueGuided(candidates=4, base=base)


def useful_budget(anchor: Anchor | None = None) -> ValueGuided:
    """V0 (2026): the step's rollouts go where failures stand beside a success; the others' mean."""
    return ValueGuided(spending="failures", base=GroupRelative(anchor=anchor))


def shrunk_prior(anchor: Anchor | None = None) -> ValueGuided:
    """V0.5 (2026): a group (of 4 there) to 16 rollouts a prompt, until more are not worth it; held
    to the foretold value, moved to the others' mean as far as the two are surely apart."""
    base = GroupRelative(anchor=anchor)
    return ValueGuided(spending="until_sure", baseline="shrunk", base=base)
