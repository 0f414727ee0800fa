"""One response a prompt: what a prompt has earned so far is its baseline, and chooses prompts.

Legend: B rows (one rollout and one credit unit each), P prompts met so far, W places of a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.aggregation import Mean, token_scale
from penchant.policies.language.drift import LastResponses
from penchant.policies.language.gathering import Ask, Gathered
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.method import Heard, Seen, rows_as_units
from penchant.policies.language.trackers import KnownPrompts, ValueTracker, is_first_visit


@dataclass(frozen=True, kw_only=True, slots=True)
class SingleStream:
    """SPO (single stream, 2025): A = r - v, v a Beta belief in the prompt's success that forgets as
    the policy moves; z-scores over the batch. No group, so that none is ever all alike.

    is_whitened: the z-score, which is biased; without it and with a constant length the gradient is
    exact. candidates: problems drawn for each that is tried, by sqrt(v (1 - v)) + 0.05 without
    replacement; 1 takes them as they come. forgetting: a constant in place of what the policy's
    drift on the prompt's last response says. Rewards from 0 to 1. The paper updates the tracker
    after the step and measures drift then; here both are done when the prompt comes again.
    """

    candidates: int = 4
    is_whitened: bool = True
    forgetting: float | None = None
    surrogate: Surrogate = field(default_factory=Surrogate)
    mean: Mean = "token"
    length: int | None = None
    most_weight: float | None = None
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        check_in_loss(self.anchor)
        if self.candidates < 1:
            raise ConfigError(f"got candidates={self.candidates}; expected a problem or more for "
                              "each that is tried.")  # fmt: skip
        if self.forgetting is not None and not 0.0 < self.forgetting <= 1.0:
            raise ConfigError(
                f"got forgetting={self.forgetting}; expected the share of what is known that "
                "stays, above 0 up to 1, or None for what drift says."
            )

    @property
    def smallest_group(self) -> int:
        return 1

    @property
    def value_weight(self) -> float:
        return 0.0

    def gathered(self, ask: Ask) -> Gathered:
        """Answers to the problems that promise most."""
        task = ask.single_answers("a single stream")
        problems = task.draw(self.candidates * ask.num_problems, ask.draws)
        known, tracker = _recalled(ask.memory)
        entry = known.entry([problem.prompt for problem in problems])
        fresh = ValueTracker.new(1)
        weight = np.append(tracker.sampling_weight(), fresh.sampling_weight())[entry]
        taken = ask.draws.choice(
            len(problems), ask.num_problems, replace=False, p=weight / weight.sum()
        )
        return ask.answered([problems[at] for at in np.sort(taken)])

    def heard(self, seen: Seen) -> Heard:
        texts = [problem.prompt for problem in seen.problems]
        known, tracker = _recalled(seen.memory)
        known = known.with_all(texts)
        tracker = tracker.grown(len(known.texts))
        entry, is_scored = known.entry(texts), seen.is_scored
        unit_of = rows_as_units(seen)
        credit = self.credit(seen.reward, tracker.value[entry], is_scored)
        last = LastResponses.recalled(seen.memory)
        moved = self._moved(seen, last, entry)
        tracker = tracker.updated(
            entry[is_scored], seen.reward[is_scored], moved[is_scored], self.forgetting
        )
        memory = {**known.kept(), "successes": tracker.successes, "failures": tracker.failures}
        if self.forgetting is None:
            memory |= last.updated(entry, seen.rollouts).kept()
        return Heard(unit_of=unit_of, advantage=to_tokens(credit, unit_of), memory=memory)

    def credit(
        self, reward: Float[Array, " B"], value: Float[Array, " B"], is_scored: Bool[Array, " B"]
    ) -> Float[Array, " B"]:
        """Reward less what was expected, 0 without a reward."""
        apart = np.where(is_scored, reward - value, 0.0)
        mine = apart[is_scored]
        if not self.is_whitened or len(mine) < 2 or not mine.max() > mine.min():
            return apart
        return np.where(is_scored, (apart - mine.mean()) / (mine.std() + 1e-8), 0.0)

    def _moved(
        self, seen: Seen, last: LastResponses, entry: Int[Array, " B"]
    ) -> Float[Array, " B"]:
        """Nats a token, once for each prompt of the batch."""
        moved = np.zeros(len(entry))
        if self.forgetting is None and seen.model is not None:
            again = is_first_visit(entry) & last.has(entry)
            moved[again] = last.moved(seen.model, entry[again], seen.temperature)
        return moved

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        return token_scale(unit_of, self.mean, length=self.length, group_of=group)


def _recalled(memory: Mapping[str, np.ndarray]) -> tuple[KnownPrompts, ValueTracker]:
    if not memory:
        return KnownPrompts(), ValueTracker.new(0)
    tracker = ValueTracker(successes=memory["successes"], failures=memory["failures"])
    return KnownPrompts.recalled(memory), tracker
