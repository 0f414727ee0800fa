"""When a whole group fails, one of its failures makes room for a success from before.

Legend: B rows, N successes kept, W places of a row, T1 tokens after those before them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.gathering import Ask, Gathered
from penchant.policies.language.methods.anchor import check_in_loss
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups, grpo
from penchant.policies.language.methods.method import Heard, Seen
from penchant.policies.language.ratio import BEHAVIOUR, OLD
from penchant.policies.language.rollouts import put_together, written_rollouts
from penchant.policies.language.trackers import KnownPrompts, ReplayBuffer


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed(OnGroups):
    """ARPO (2025): a group whose rewards spread less than `least_spread` around a mean below
    `most_mean` takes one of the last `room` successes of its prompt in place of a failure.

    success_from: the reward above which a rollout is kept. is_corrected: the replayed row's ratio
    is against who drew it then; otherwise against the policy now, as released, and nothing corrects
    its age. With room 0 it is `base`.
    """

    room: int = 8
    success_from: float = 0.1
    least_spread: float = 0.05
    most_mean: float = 0.2
    is_corrected: bool = True
    base: GroupRelative = field(default_factory=grpo)

    def __post_init__(self) -> None:
        check_in_loss(self.base.anchor)
        if self.room < 0 or self.base.most_weight is not None:
            raise ConfigError(
                f"got room={self.room} with most_weight={self.base.most_weight} of the base; "
                "expected 0 or more, and most_weight=None: the ratio of a replayed row says how "
                "old it is."
            )

    @property
    def most_weight(self) -> float | None:
        return None

    @property
    def smallest_group(self) -> int:
        return 2

    def gathered(self, ask: Ask) -> Gathered:
        """Rollouts, some failures replaced by what is remembered."""
        task = ask.single_answers("a memory of successes")
        batch = ask.answered(task.draw(ask.num_problems, ask.draws))
        known, buffer = self._recalled(ask.memory)
        chosen: dict[int, _Success] = {}
        entry = known.entry([problem.prompt for problem in batch.problems])
        for row in self._hopeless(batch):
            if 0 <= entry[row] < len(buffer.kept):
                found = buffer.draw(int(entry[row]), lambda num: int(ask.draws.integers(num)))
                if isinstance(found, _Success):
                    chosen[int(row)] = found
        return _inserted(batch, chosen, ask) if chosen else batch

    def _hopeless(self, batch: Gathered) -> Int[Array, " _"]:
        """The worst row of each group in which all fail alike."""
        reward, prompt = batch.grades.reward, batch.rollouts.prompt_of
        found = []
        for p in np.unique(prompt):
            rows = np.flatnonzero((prompt == p) & np.isfinite(reward))
            mine = reward[rows]
            if len(rows) and mine.std() < self.least_spread and mine.mean() < self.most_mean:
                found.append(int(rows[mine.argmin()]))
        return np.array(found, dtype=np.int64)

    def heard(self, seen: Seen) -> Heard:
        is_replayed = seen.told.get("replayed", np.zeros(len(seen.rollouts), dtype=bool))
        heard = self.base.heard(seen)
        kind = np.where(is_replayed & self.is_corrected, BEHAVIOUR, OLD)
        return replace(heard, denominator=kind, memory=self._remembered(seen, is_replayed))

    def _remembered(self, seen: Seen, is_replayed: Bool[Array, " B"]) -> dict[str, np.ndarray]:
        known, buffer = self._recalled(seen.memory)
        if self.room == 0:
            return {}
        texts = [problem.prompt for problem in seen.problems]
        known = known.with_all(texts)
        buffer = replace(buffer, kept=buffer.kept + ((),) * (len(known.texts) - len(buffer.kept)))
        tokens, rollouts = seen.rollouts.tokens, seen.rollouts
        is_text, ids = tokens.is_text.cpu().numpy(), tokens.ids.cpu().numpy()
        said = rollouts.log_prob.double().cpu().numpy()
        entry = known.entry(texts)
        for row in np.flatnonzero((seen.reward > self.success_from) & ~is_replayed):
            kept = _Success(
                ids=ids[row][is_text[row]], start=int(rollouts.start[row]),
                log_prob=said[row][rollouts.is_drawn[row]], reward=float(seen.reward[row]),
            )  # fmt: skip
            buffer = buffer.updated(int(entry[row]), kept)
        return {**known.kept(), **_as_arrays(buffer)}

    def _recalled(self, memory: Mapping[str, np.ndarray]) -> tuple[KnownPrompts, ReplayBuffer]:
        known = KnownPrompts.recalled(memory)
        buffer = ReplayBuffer.new(len(known.texts), room=max(self.room, 1))
        if self.room == 0 or "replay_of" not in memory:
            return known, buffer
        ends, said = np.cumsum(memory["replay_size"]), np.cumsum(memory["replay_said"])
        lists: list[list[object]] = [[] for _ in known.texts]
        for n, prompt in enumerate(memory["replay_of"]):
            size, num = int(memory["replay_size"][n]), int(memory["replay_said"][n])
            lists[prompt].append(_Success(
                ids=memory["replay_ids"][ends[n] - size : ends[n]], start=size - num,
                log_prob=memory["replay_log_prob"][said[n] - num : said[n]],
                reward=float(memory["replay_reward"][n]),
            ))  # fmt: skip
        return known, replace(buffer, kept=tuple(tuple(mine) for mine in lists))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Success:
    """log_prob: of the tokens from `start` on, when they were drawn."""

    ids: Int[Array, " _"]
    start: int
    log_prob: Float[Array, " _"]
    reward: float


def _as_arrays(buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    """Successes end to end, with what takes them apart again."""
    kept = [(p, each) for p, mine in enumerate(buffer.kept) for each in mine
            if isinstance(each, _Success)]  # fmt: skip
    if not kept:
        return {}
    return {
        "replay_of": np.array([p for p, _ in kept]),
        "replay_size": np.array([len(each.ids) for _, each in kept]),
        "replay_said": np.array([len(each.log_prob) for _, each in kept]),
        "replay_ids": np.concatenate([each.ids for _, each in kept]),
        "replay_log_prob": np.concatenate([each.log_prob for _, each in kept]),
        "replay_reward": np.array([each.reward for _, each in kept]),
    }


def _inserted(batch: Gathered, chosen: dict[int, "_Success"], ask: Ask) -> Gathered:
    """The batch with these rows in place of what was drawn there; their cost stays counted."""
    rollouts, rows = batch.rollouts, np.array(sorted(chosen))
    kept = [chosen[int(row)] for row in rows]
    written = written_rollouts(
        [each.ids.tolist() for each in kept], np.array([each.start for each in kept]),
        rollouts.prompt_of[rows], ask.model.tokenizer, rollouts.log_prob,
        [each.log_prob for each in kept],
    )  # fmt: skip
    order = np.arange(len(rollouts))
    order[rows] = len(rollouts) + np.arange(len(rows))
    both = put_together([rollouts, written]).take(order)
    reward = batch.grades.reward.copy()
    reward[rows] = [each.reward for each in kept]
    is_replayed = np.isin(np.arange(len(reward)), rows)
    spent = int(rollouts.lengths[rows].sum() - written.lengths.sum())
    return replace(
        batch, rollouts=both, grades=replace(batch.grades, reward=reward),
        turn_reward=np.where(np.isfinite(reward), reward, 0.0)[:, None],
        told={"replayed": is_replayed}, spent=spent, is_plain=~is_replayed,
    )  # fmt: skip
