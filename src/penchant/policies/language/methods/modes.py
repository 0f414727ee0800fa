"""Some of a group begin as they are told: modes of answering, forced by what stands before.

Legend: B rows, P prompts, M modes, T1 tokens after those before them.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.gathering import Ask, Gathered, judged
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups, grpo
from penchant.policies.language.methods.method import Heard, Seen
from penchant.policies.language.rollouts import draw_rollouts
from penchant.utilities.response_rewards import clear_of_ease


@dataclass(frozen=True, kw_only=True, slots=True)
class Moded(OnGroups):
    """A2FM's rollouts (2025): of each group an equal share begins with each of `modes`, which are
    read and not trained, the rest as the policy will; one mean over all of them.

    modes: what an answer of each mode begins with; the group is divided by one more than there are,
    and free rows take what remains. easy_from: where more than this share of the answers forced
    into the first mode is right, right free answers that do not begin so earn 1 - p^power; None
    leaves rewards alone. With leave-one-out and a constant length its gradient is exactly that of
    the rows' mean worth, each under what it was told to begin with: of forced rows what follows is
    learnt, of free ones the choice of a mode too.
    """

    modes: tuple[str, ...]
    easy_from: float | None = None
    power: float = 2.0
    base: GroupRelative = field(default_factory=grpo)

    def __post_init__(self) -> None:
        check_in_loss(self.base.anchor)
        if not self.modes or not all(self.modes) or len(set(self.modes)) < len(self.modes):
            raise ConfigError(
                f"got modes={self.modes}; expected one or more beginnings of an answer, each of a "
                "letter or more and no two alike."
            )

    @property
    def smallest_group(self) -> int:
        return len(self.modes) + 1

    def gathered(self, ask: Ask) -> Gathered:
        """Free rows first, then those of each mode."""
        task = ask.single_answers("a forced mode")
        problems = task.draw(ask.num_problems, ask.draws)
        mode = self.mode_of_row(ask.group_size)
        encode = ask.model.tokenizer.encode
        rollouts = draw_rollouts(
            ask.model, [problem.prompt for problem in problems], ask.group_size, ask.sampling,
            ask.generator, version=ask.version,
            forced=[encode(self.modes[m]) if m >= 0 else [] for m in np.tile(mode, len(problems))],
        )  # fmt: skip
        batch = judged(rollouts, [problems[p] for p in rollouts.prompt_of], ask.grade, ask.reward)
        of_row = np.tile(mode, len(problems))
        return replace(batch, told={"mode": of_row}, is_plain=of_row < 0)

    def mode_of_row(self, group_size: int) -> Int[Array, " _"]:
        """Of a group: -1 where the policy is free. Raises `ConfigError` for too small a group."""
        share = group_size // (len(self.modes) + 1)
        if share < 1:
            raise ConfigError(
                f"got groups of {group_size} for {len(self.modes)} modes and free answers; "
                f"expected {len(self.modes) + 1} or more."
            )
        forced = np.repeat(np.arange(len(self.modes)), share)
        return np.concatenate([np.full(group_size - len(forced), -1), forced])

    def heard(self, seen: Seen) -> Heard:
        if self.easy_from is None:
            return self.base.heard(seen)
        said = np.array([text.startswith(self.modes[0]) for text in seen.rollouts.responses])
        reward = self.routed(seen.reward, seen.rollouts.prompt_of, seen.told["mode"], said)
        return self.base.heard(replace(seen, reward=reward))

    def routed(
        self,
        reward: Float[Array, " B"],
        prompt: Int[Array, " B"],
        mode: Int[Array, " B"],
        is_first: Bool[Array, " B"],
    ) -> Float[Array, " B"]:
        """Rewards with what a costly mode loses on easy prompts; is_first: answers in the first
        mode, forced or not."""
        found = np.array(reward, dtype=float)
        for p in np.unique(prompt):
            mine, tried = prompt == p, (prompt == p) & (mode == 0) & np.isfinite(reward)
            if self.easy_from is not None and tried.any():
                found[mine] = clear_of_ease(
                    reward[mine], is_first[mine], mode[mine] < 0, float(reward[tried].mean()),
                    self.easy_from, self.power,
                )  # fmt: skip
        return found


def apo(modes: tuple[str, ...], anchor: Anchor | None = None) -> Moded:
    """A2FM's, on GRPO: the first of `modes` is the cheap one, and where more than half of what was
    forced into it is right (the bound is ours), the others earn less. Costs are not asked for."""
    return Moded(modes=modes, easy_from=0.5, base=grpo(anchor))
