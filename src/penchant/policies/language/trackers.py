"""What a trainer remembers of each prompt between batches: values that enter and leave explicitly.

Each is a frozen record of arrays, one entry a prompt, to be kept with the checkpoint; an update
gives a new one. Without them a resumed run is another run.

Legend: P prompts, N outcomes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

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

    def grown(self, num_prompts: int) -> "ValueTracker":
        """With entries for prompts met since, of whom nothing is known."""
        new = ValueTracker.new(num_prompts - len(self.successes))
        return ValueTracker(
            successes=np.append(self.successes, new.successes),
            failures=np.append(self.failures, new.failures),
        )

    def updated(
        self,
        prompt: Int[Array, " N"],
        reward: Float[Array, " N"],
        drift: Float[Array, " N"],
        forgetting: float | None = None,
    ) -> "ValueTracker":
        """After outcomes in [0, 1], in their order; drift: nats a token by which the policy has
        moved on that prompt since it was last seen (0 at the first visit).

        Both counts shrink by clip(2^(-drift / 0.06), 0.875, 0.96), or by `forgetting` whatever the
        drift, before the outcome is added.
        Raises `ConfigError` for rewards outside [0, 1].
        """
        check_shares(reward)
        kept = np.clip(2.0 ** (-drift / HALF_DRIFT), SHORTEST, LONGEST)
        kept = kept if forgetting is None else np.full(len(prompt), forgetting)
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


@dataclass(frozen=True, kw_only=True)
class KnownPrompts:
    """Prompts in the order in which they were met: what gives each an entry in the records."""

    texts: tuple[str, ...] = ()

    @classmethod
    def recalled(cls, memory: Mapping[str, np.ndarray]) -> "KnownPrompts":
        """What `kept` gave; none of an empty memory."""
        return cls(texts=parted_texts(memory["prompts"]) if "prompts" in memory else ())

    def with_all(self, prompts: Sequence[str]) -> "KnownPrompts":
        """Those not met before behind the others."""
        return KnownPrompts(texts=tuple(dict.fromkeys((*self.texts, *prompts))))

    def entry(self, prompts: Sequence[str]) -> Int[Array, " N"]:
        """The place of each; -1 of one never met."""
        place = {text: at for at, text in enumerate(self.texts)}
        return np.array([place.get(prompt, -1) for prompt in prompts], dtype=np.int64)

    def kept(self) -> dict[str, np.ndarray]:
        """What is kept with a run are arrays."""
        return {"prompts": joined_texts(self.texts)}


def joined_texts(texts: Sequence[str]) -> UInt8[Array, " _"]:
    """Texts as bytes, each with a zero behind it."""
    return np.frombuffer("".join(f"{t}\0" for t in texts).encode(), dtype=np.uint8).copy()


def parted_texts(joined: UInt8[Array, " _"]) -> tuple[str, ...]:
    """What `joined_texts` put together."""
    return tuple(joined.tobytes().decode().split("\0")[:-1])


def check_shares(reward: Float[Array, " N"]) -> None:
    """Raises `ConfigError` for rewards that are no shares of success."""
    if not np.all((reward >= 0.0) & (reward <= 1.0)):
        raise ConfigError(
            f"a value of prompts got rewards from {np.min(reward):g} to {np.max(reward):g}; "
            "expected 0 to 1, since it keeps shares of success. Rescale the reward."
        )


def is_first_visit(prompt: Int[Array, " N"]) -> Bool[Array, " N"]:
    """Whether a prompt stands here for the first time."""
    found = np.zeros(len(prompt), dtype=bool)
    found[np.unique(prompt, return_index=True)[1]] = True
    return found


def _visits(prompt: Int[Array, " N"]) -> list[Int[Array, " _"]]:
    """Places of each prompt's first outcome, of each one's second, and so on."""
    order = np.argsort(prompt, kind="stable")
    found = prompt[order]
    starts = np.flatnonzero(np.append(True, found[1:] != found[:-1])) if len(found) else found
    sizes = np.diff(np.append(starts, len(found)))
    turn = np.empty(len(found), dtype=np.int64)
    turn[order] = np.arange(len(found)) - np.repeat(starts, sizes)
    return [np.flatnonzero(turn == t) for t in range(int(turn.max(initial=-1)) + 1)]
