"""What a trainer remembers of each prompt between batches: values that enter and leave explicitly.

Each is a frozen record of arrays, one entry a prompt, to be kept with the checkpoint; an update
gives a new one. Without them a resumed run is another run.

Legend: P prompts, N outcomes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array

# A tracker forgets with a memory of 1 / (1 - 0.875) = 8 outcomes at the shortest.
SHORTEST, LONGEST = 0.875, 0.96
# Nats a token by which the policy's drift halves what is remembered.
HALF_DRIFT = 0.06


@dataclass(frozen=True, kw_only=True, eq=False)
class ValueTracker:
    """A Beta belief in each prompt's success, which forgets as the policy moves (SPO, 2025).

    The baseline of a single rollout, without a group: advantage = reward - value, the value from
    before the update. Unbiased, but not invariant to a constant added to all rewards.
    """

    successes: Float[Array, " P"]
    failures: Float[Array, " P"]

    @classmethod
    def new(
        cls,
        num_prompts: int,
        successes: Int[Array, " P"] | None = None,
        probes: int = 0,
    ) -> "ValueTracker":
        """From `probes` rollouts of each prompt, of which so many succeeded: N0 = 8 outcomes' worth
        at (s + 1/2) / (n + 1). Without probes, one half of each (Jeffreys' prior)."""
        if (successes is None) != (probes == 0):
            raise ConfigError(
                f"got probes={probes} and {'no ' if successes is None else ''}successes; expected "
                "both or neither: the number of trial rollouts a prompt and how many succeeded."
            )
        if successes is None:
            half = np.full(num_prompts, 0.5)
            return cls(successes=half, failures=half)
        weight = 1.0 / (1.0 - SHORTEST)
        good = weight * (successes + 0.5) / (probes + 1.0)
        return cls(successes=good, failures=weight - good)

    @property
    def value(self) -> Float[Array, " P"]:
        """Expected reward of each prompt, 0 to 1."""
        return self.successes / (self.successes + self.failures)

    def updated(
        self, prompt: Int[Array, " N"], reward: Float[Array, " N"], drift: Float[Array, " N"]
    ) -> "ValueTracker":
        """After outcomes in [0, 1], in their order; drift: nats a token by which the policy has
        moved on that prompt since it was last seen (0 at the first visit).

        Both counts shrink by clip(2^(-drift / 0.06), 0.875, 0.96) before the outcome is added.
        Raises `ConfigError` for rewards outside [0, 1].
        """
        if np.any((reward < 0.0) | (reward > 1.0)) or not np.all(np.isfinite(reward)):
            raise ConfigError(
                f"a value tracker got rewards from {np.min(reward):g} to {np.max(reward):g}; "
                "expected 0 to 1, since it keeps shares of success. Rescale the reward."
            )
        kept = np.clip(2.0 ** (-drift / HALF_DRIFT), SHORTEST, LONGEST)
        good, bad = self.successes.copy(), self.failures.copy()
        for visit in _visits(prompt):
            p = prompt[visit]
            good[p] = kept[visit] * good[p] + reward[visit]
            bad[p] = kept[visit] * bad[p] + 1.0 - reward[visit]
        return replace(self, successes=good, failures=bad)

    def sampling_weight(self) -> Float[Array, " P"]:
        """sqrt(v (1 - v)) + 0.05: prompts that are neither solved nor hopeless come more often."""
        v = self.value
        return np.sqrt(v * (1.0 - v)) + 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class ShortestAnswers:
    """The shortest right answer seen to each prompt, in tokens; infinite before the first."""

    length: Float[Array, " P"]

    @classmethod
    def new(cls, num_prompts: int) -> "ShortestAnswers":
        return cls(length=np.full(num_prompts, np.inf))

    def updated(
        self, prompt: Int[Array, " N"], length: Float[Array, " N"], is_right: Array
    ) -> "ShortestAnswers":
        """After the answers were rewarded: what they are measured against is what came before."""
        shortest = self.length.copy()
        np.minimum.at(shortest, prompt[is_right], length[is_right])
        return ShortestAnswers(length=shortest)


@dataclass(frozen=True, kw_only=True)
class ReplayBuffer:
    """Successes kept for the day a whole group fails: the last `room` of each prompt (ARPO, 2025).

    What is kept is the caller's: tokens, their log-probabilities when drawn, reward.
    """

    kept: tuple[tuple[object, ...], ...]
    room: int = 8

    def __post_init__(self) -> None:
        if self.room < 1:
            raise ConfigError(f"got room={self.room}; expected room for 1 success or more.")

    @classmethod
    def new(cls, num_prompts: int, room: int = 8) -> "ReplayBuffer":
        return cls(kept=((),) * num_prompts, room=room)

    def updated(self, prompt: int, rollout: object) -> "ReplayBuffer":
        """With one more success of a prompt."""
        mine = (*self.kept[prompt], rollout)[-self.room :]
        return replace(self, kept=(*self.kept[:prompt], mine, *self.kept[prompt + 1 :]))

    def draw(self, prompt: int, choose: Callable[[int], int]) -> object | None:
        """One of the prompt's successes, by `choose(how many)`; None where there is none."""
        mine = self.kept[prompt]
        return mine[choose(len(mine))] if mine else None


def _visits(prompt: Int[Array, " N"]) -> list[Int[Array, " _"]]:
    """Places of each prompt's first outcome, of each one's second, and so on."""
    order = np.argsort(prompt, kind="stable")
    found = prompt[order]
    starts = np.flatnonzero(np.append(True, found[1:] != found[:-1])) if len(found) else found
    sizes = np.diff(np.append(starts, len(found)))
    turn = np.empty(len(found), dtype=np.int64)
    turn[order] = np.arange(len(found)) - np.repeat(starts, sizes)
    return [np.flatnonzero(turn == t) for t in range(int(turn.max(initial=-1)) + 1)]
