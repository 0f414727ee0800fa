"""Each batch is a problem of its own: rewards to climb, and a square that holds the policy near
where the batch was drawn (Kimi k1.5, 2025).

Legend: B rows (one rollout and one credit unit each), P prompts met so far, T1 tokens after those
before them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.aggregation import token_scale
from penchant.policies.language.credit import advantage
from penchant.policies.language.gathering import Ask, Gathered
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.method import Heard, Seen, rows_as_units
from penchant.policies.language.trackers import KnownPrompts
from penchant.utilities.response_rewards import brevity_in_group

# Weight of a prompt that has always been solved: some are needed where all are.
_SOLVED = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirrored:
    """The mean over rollouts of (r - mean) log pi - (tau / 2) (log pi / pi_start)^2, tau `pull`,
    pi_start the policy that the batch found; Adam begins anew with every batch. The square holds
    from the second optimiser step on a batch on (`TrainerConfig`'s `updates` or `epochs`): of one
    step alone nothing is left of `pull`, and of Adam that begins anew the signs of the gradient.

    brevity: weight of 1/2 - (length - min) / (max - min) of a prompt's rollouts, at most 0 of wrong
    ones (`response_rewards.brevity_in_group`), which grows from 0 over `ramp` batches. candidates:
    problems drawn for each that is tried, by 1 - the share of right answers so far, without
    replacement; 1 takes them as they come. right_from: the reward from which on an answer is right.
    pull and ramp are ours; the paper's easy-to-hard order, cut rollouts that go on (`Windowed`) and
    ways from long to short answers are not here.
    """

    pull: float = 0.1
    brevity: float = 0.0
    ramp: int = 100
    candidates: int = 4
    right_from: float = 0.5
    begins_anew: bool = True
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        check_in_loss(self.anchor)
        if not (self.pull >= 0.0 and self.brevity >= 0.0):
            raise ConfigError(
                f"got pull={self.pull} and brevity={self.brevity}; expected 0 or more: the policy "
                "is not driven away, and long answers do not earn."
            )
        if self.ramp < 0 or self.candidates < 1:
            raise ConfigError(
                f"got ramp={self.ramp} and candidates={self.candidates}; expected 0 batches or "
                "more, and a problem or more for each that is tried."
            )

    @property
    def surrogate(self) -> Surrogate:
        return Surrogate(form="squared", pull=self.pull)

    @property
    def most_weight(self) -> float | None:
        return None

    @property
    def smallest_group(self) -> int:
        return 2

    @property
    def value_weight(self) -> float:
        return 0.0

    def gathered(self, ask: Ask) -> Gathered:
        """Answers to the problems that are solved seldom."""
        task = ask.single_answers("a share of right answers")
        problems = task.draw(self.candidates * ask.num_problems, ask.draws)
        if self.candidates == 1:
            return ask.answered(problems)
        failing = Successes.recalled(ask.memory).failing([problem.prompt for problem in problems])
        taken = ask.draws.choice(
            len(problems), ask.num_problems, replace=False, p=failing / failing.sum()
        )
        return ask.answered([problems[at] for at in np.sort(taken)])

    def heard(self, seen: Seen) -> Heard:
        done = int(seen.memory.get("batches", np.zeros(1))[0])
        is_right = seen.is_scored & (seen.reward >= self.right_from)
        unit_of = rows_as_units(seen)
        found = to_tokens(self.credit(seen, is_right, done), unit_of)
        texts = [problem.prompt for problem in seen.problems]
        after = Successes.recalled(seen.memory).updated(
            [text for text, mine in zip(texts, seen.is_scored) if mine], is_right[seen.is_scored]
        )
        memory = {**after.kept(), "batches": np.array([done + 1])}
        return Heard(unit_of=unit_of, advantage=found, memory=memory)

    def credit(self, seen: Seen, is_right: Array, done: int) -> Float[Array, " B"]:
        """Reward and brevity less the group's mean, after so many batches; 0 without a reward."""
        prompt, is_scored = seen.rollouts.prompt_of, seen.is_scored
        given = np.where(is_scored, seen.reward, 0.0)
        weight = self.brevity * (min(done / self.ramp, 1.0) if self.ramp else 1.0)
        if weight > 0.0:
            length = seen.rollouts.lengths.astype(float)
            for p in np.unique(prompt):
                mine = is_scored & (prompt == p)
                given[mine] += weight * brevity_in_group(length[mine], is_right[mine])
        key = np.where(is_scored, prompt, -1)
        found = advantage(given, key, np.arange(len(key)), is_scored, leave_one_out=False)
        return np.where(is_scored, found.advantage, 0.0)

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """One over the rollouts, of a whole mini-batch."""
        return token_scale(unit_of, "constant", length=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Successes:
    """How often each prompt was tried, and solved."""

    prompts: KnownPrompts
    tried: Float[Array, " P"]
    solved: Float[Array, " P"]

    @classmethod
    def recalled(cls, memory: Mapping[str, np.ndarray]) -> "Successes":
        """What `kept` gave; nothing of an empty memory."""
        nothing = np.zeros(0)
        return cls(
            prompts=KnownPrompts.recalled(memory), tried=memory.get("tried", nothing),
            solved=memory.get("solved", nothing),
        )  # fmt: skip

    def kept(self) -> dict[str, np.ndarray]:
        return {**self.prompts.kept(), "tried": self.tried, "solved": self.solved}

    def failing(self, texts: list[str]) -> Float[Array, " _"]:
        """1 - the share of right answers, 1 of prompts not met yet, never quite 0."""
        share = np.append(self.solved / np.maximum(self.tried, 1.0), 0.0)
        return np.maximum(1.0 - share[self.prompts.entry(texts)], _SOLVED)

    def updated(self, texts: list[str], is_right: Array) -> "Successes":
        """After answers to these."""
        prompts = self.prompts.with_all(texts)
        more = len(prompts.texts) - len(self.tried)
        tried, solved = (np.pad(each, (0, more)) for each in (self.tried, self.solved))
        entry = prompts.entry(texts)
        np.add.at(tried, entry, 1.0)
        np.add.at(solved, entry, np.asarray(is_right, dtype=float))
        return replace(self, prompts=prompts, tried=tried, solved=solved)
