"""Answers drawn a window at a time: what has not ended goes on in the next step.

Legend: B rows, N rows left over, T1 tokens after those before them, U tokens of this step's
windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.lm.precision import at_least_single
from penchant.lm.sample import Sampled, sample
from penchant.numerics.arrays import Array
from penchant.policies.language.gathering import Ask, Gathered, judged
from penchant.policies.language.grading import Grades
from penchant.policies.language.loss import Surrogate
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.method import Heard, Seen
from penchant.policies.language.methods.proximal import Proximal, placed
from penchant.policies.language.returns import generalised_advantage
from penchant.policies.language.rollouts import (
    Rollouts,
    check_room,
    check_support,
    prompt_ids,
    written_rollouts,
)
from penchant.policies.language.trackers import joined_texts, parted_texts
from penchant.simulation.tasks.task import Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Windowed:
    """T-PPO (2025): a step draws `window` tokens of each answer at most; what has ended makes room
    for a new problem, the rest goes on in the next step from what was drawn, by the policy as it is
    then.

    The policy learns from this step's windows. Of an answer that goes on advantages reach to the
    cut, beyond which the value of its last token's own state stands (EGAE: a bias; the last token
    before a cut hears of no reward). The value learns from answers that ended alone, at each of
    their tokens what they earned, less what an anchor in the reward still cost from there on; these
    count in the mean over tokens as the windows do. With a window as long as an answer and a trace
    of 1 it is `base`.
    """

    window: int
    base: Proximal = field(default_factory=Proximal)

    def __post_init__(self) -> None:
        if self.window < 1 or self.base.most_weight is not None:
            raise ConfigError(
                f"got window={self.window} with most_weight={self.base.most_weight} of the base; "
                "expected a token or more, and most_weight=None: what is trained was drawn just "
                "now."
            )

    @property
    def surrogate(self) -> Surrogate:
        return self.base.surrogate

    @property
    def most_weight(self) -> float | None:
        return None

    @property
    def anchor(self) -> Anchor | None:
        return self.base.anchor

    @property
    def smallest_group(self) -> int:
        return 1

    @property
    def value_weight(self) -> float:
        return self.base.value_weight

    def gathered(self, ask: Ask) -> Gathered:
        """As many rows as a step has answers: those left over first, then new problems."""
        task = ask.single_answers("an answer drawn in windows")
        check_support(ask.sampling)
        rows = _recalled(ask.memory)
        spare = ask.num_problems * ask.group_size - len(rows)
        fresh = task.draw(-(-spare // ask.group_size), ask.draws) if spare > 0 else ()
        begun = [prompt_ids(ask.model.tokenizer, problem.prompt) for problem in fresh]
        most = ask.sampling.most_tokens
        check_room(begun, most, ask.model.network.window)
        of_new = np.repeat(np.arange(len(fresh)), ask.group_size)[: max(spare, 0)]
        rows += [_Row(fresh[p], list(begun[p]), len(begun[p]), version=ask.version, of=int(p))
                 for p in of_new]  # fmt: skip
        before = np.array([len(row.ids) for row in rows])
        drawn = sample(
            ask.model, [row.ids for row in rows],
            replace(ask.sampling, most_tokens=min(self.window, most)), ask.generator,
        )  # fmt: skip
        for n, row in enumerate(rows):
            row.grow(drawn, n, most)
        rollouts = _rollouts(ask, rows)
        start, place = rollouts.start, np.arange(1, rollouts.is_drawn.shape[1] + 1)[None, :]
        is_over = rollouts.has_ended | (np.array([len(row.ids) for row in rows]) - start >= most)
        over, problems = np.flatnonzero(is_over), tuple(row.problem for row in rows)
        grades = Grades(components={}, reward=np.zeros(0), failed=0)
        if len(over):
            grades = judged(
                rollouts.take(over), [problems[n] for n in over], ask.grade, ask.reward
            ).grades
        grades = grades.at(over, len(rows))
        return Gathered(
            rollouts=rollouts, problems=problems, grades=grades,
            turn_reward=np.nan_to_num(grades.reward)[:, None],
            told={"window": rollouts.is_drawn & (place >= before[:, None]), "is_over": is_over},
            spent=sum(row.wasted for row in rows) - int((before - start).sum()),
        )  # fmt: skip

    def heard(self, seen: Seen) -> Heard:
        assert seen.value is not None, "the trainer gives a value where one is weighed"
        is_over, rollouts = seen.told["is_over"], seen.rollouts
        is_open, is_learnt = ~is_over[:, None], (is_over & seen.is_scored)[:, None]
        window = seen.told["window"] & (is_open | is_learnt)
        rows, places = np.nonzero(window)
        is_last = np.append(rows[1:] != rows[:-1], True)
        reward = np.where(is_last & is_over[rows], np.nan_to_num(seen.reward)[rows], 0.0)
        trained = rollouts.is_drawn & is_learnt
        target = np.where(trained, np.nan_to_num(seen.reward)[:, None], np.nan)
        if self.anchor is not None and self.anchor.place == "reward":
            assert seen.log_ratio is not None, "the trainer reads the reference of an anchor"
            cost = self.anchor.strength * seen.log_ratio
            reward = reward - cost[rows, places]
            target = target - np.cumsum(cost[:, ::-1], axis=1)[:, ::-1]
        advantage = self.credit(reward, seen.value[rows, places], rows, places, is_over)
        trained = trained | window
        unit_of = np.full(trained.shape, -1)
        unit_of[trained] = np.arange(trained.sum())
        return Heard(
            unit_of=unit_of, advantage=placed(advantage, rows, places, trained.shape),
            target=target, memory=_as_arrays(seen),
        )  # fmt: skip

    def credit(
        self,
        reward: Float[Array, " U"],
        value: Float[Array, " U"],
        row: Int[Array, " U"],
        place: Int[Array, " U"],
        is_over: Bool[Array, " B"],
    ) -> Float[Array, " U"]:
        """The advantage of each token of the windows, row after row."""
        beyond = np.zeros(len(is_over))
        is_last = np.append(row[1:] != row[:-1], True)
        cut = is_last & ~is_over[row]
        beyond[row[cut]] = value[cut]
        found = generalised_advantage(
            reward, value, row, place, discount=np.ones(len(row)),
            trace=np.full(len(row), self.base.trace), last_value=beyond,
        )  # fmt: skip
        return self.base.whitened(found)

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        return self.base.token_scale(unit_of, group)


@dataclass
class _Row:
    """An answer while it grows. of: the new problem of this step that it answers, -1 of one left
    over. wasted: tokens drawn beyond the room there was."""

    problem: Problem
    ids: list[int]
    start: int
    log_prob: list[float] = field(default_factory=list)
    entropy: list[float] = field(default_factory=list)
    version: int = 0
    of: int = -1
    wasted: int = 0

    def grow(self, drawn: Sampled, n: int, most: int) -> None:
        room = most - (len(self.ids) - self.start)
        real = drawn.is_text[n]
        self.wasted = max(int(real.sum()) - room, 0)
        if drawn.version is not None and len(self.ids) == self.start:
            self.version = int(drawn.version[n])
        self.ids += drawn.ids[n][real].tolist()[:room]
        self.log_prob += drawn.log_prob[n][real].tolist()[:room]
        self.entropy += drawn.entropy[n][real].tolist()[:room]


def _rollouts(ask: Ask, rows: Sequence[_Row]) -> Rollouts:
    met: dict[tuple[int, tuple[int, ...]], int] = {}
    found = written_rollouts(
        [row.ids for row in rows], np.array([row.start for row in rows]),
        np.array([met.setdefault((row.of, tuple(row.ids[: row.start])), len(met)) for row in rows]),
        ask.model.tokenizer,
        at_least_single(next(iter(ask.model.parameters.values())).new_zeros((0, 0))),
        [np.array(row.log_prob) for row in rows],
    )  # fmt: skip
    entropy = found.log_prob.new_zeros(found.is_drawn.shape)
    for n, row in enumerate(rows):
        entropy[n, np.flatnonzero(found.is_drawn[n])] = entropy.new_tensor(row.entropy)
    return replace(found, entropy=entropy, version=np.array([row.version for row in rows]))


def _as_arrays(seen: Seen) -> dict[str, np.ndarray]:
    """What goes on, end to end, with what takes it apart again."""
    left = np.flatnonzero(~seen.told["is_over"])
    rollouts, problems = seen.rollouts, [seen.problems[n] for n in left.tolist()]
    ids, is_text = rollouts.tokens.ids.cpu().numpy(), rollouts.tokens.is_text.cpu().numpy()
    said, unsure = (a.double().cpu().numpy() for a in (rollouts.log_prob, rollouts.entropy))
    if not len(left):
        return {}
    return {
        "left_prompts": joined_texts([problem.prompt for problem in problems]),
        "left_shown": joined_texts([problem.demonstration for problem in problems]),
        "left_difficulty": np.array([problem.difficulty for problem in problems]),
        "left_size": is_text[left].sum(axis=1), "left_start": rollouts.start[left],
        "left_version": rollouts.versions[left],
        "left_ids": np.concatenate([ids[n][is_text[n]] for n in left]),
        "left_log_prob": np.concatenate([said[n][rollouts.is_drawn[n]] for n in left]),
        "left_entropy": np.concatenate([unsure[n][rollouts.is_drawn[n]] for n in left]),
    }  # fmt: skip


def _recalled(memory: Mapping[str, np.ndarray]) -> list[_Row]:
    if "left_size" not in memory:
        return []
    size, start = memory["left_size"], memory["left_start"]
    ids = np.split(memory["left_ids"], np.cumsum(size)[:-1])
    said, unsure = (np.split(memory[name], np.cumsum(size - start)[:-1])
                    for name in ("left_log_prob", "left_entropy"))  # fmt: skip
    told = zip(parted_texts(memory["left_prompts"]), parted_texts(memory["left_shown"]),
               memory["left_difficulty"])  # fmt: skip
    return [
        _Row(
            Problem(prompt=prompt, demonstration=shown, difficulty=int(difficulty)),
            ids[n].tolist(), int(start[n]), said[n].tolist(), unsure[n].tolist(),
            int(memory["left_version"][n]),
        )
        for n, (prompt, shown, difficulty) in enumerate(told)
    ]  # fmt: skip
