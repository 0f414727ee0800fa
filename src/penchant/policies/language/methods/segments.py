"""Segments of a response as credit units: what each changed in the chance to be right.

Legend: B rows, S segments of a row, C cuts of all rows, T1 tokens after those before them.
"""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.aggregation import Mean, token_scale
from penchant.policies.language.branching import draw_endings
from penchant.policies.language.credit import others_mean
from penchant.policies.language.gathering import Ask, Gathered
from penchant.policies.language.grading import graded
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.method import Heard, Seen
from penchant.policies.language.rollouts import Rollouts
from penchant.policies.language.token_weights import unsure_tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentRelative:
    """SPO-chain (Guo et al. 2025): A = V(end) - V(start) of each segment, V at a cut the mean of
    `completions` fresh endings from there, at the end the reward.

    A row is cut before every `stride`-th token that was drawn with probability below `most_sure`,
    `most_cuts` times at most. V at the start of a response is the mean of the prompt's others (the
    paper's completions from the prompt). only_unsure: tokens with a choice alone are trained, as
    published (biased: what was drawn decides whether it counts). Without it and with a constant
    length the gradient is exact, since the endings know nothing of the row they value.
    """

    completions: int = 9
    stride: int = 5
    most_cuts: int = 10
    most_sure: float = 0.9
    only_unsure: bool = False
    surrogate: Surrogate = field(default_factory=lambda: Surrogate(high=0.2))
    mean: Mean = "token"
    length: int | None = None
    most_weight: float | None = None
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        check_in_loss(self.anchor)
        if self.completions < 1 or self.stride < 1 or self.most_cuts < 0:
            raise ConfigError(
                f"got completions={self.completions}, stride={self.stride}, most_cuts="
                f"{self.most_cuts}; expected 1 or more, 1 or more, and 0 or more."
            )

    @property
    def smallest_group(self) -> int:
        return 2

    @property
    def value_weight(self) -> float:
        return 0.0

    def gathered(self, ask: Ask) -> Gathered:
        """Rollouts, and of each cut what fresh endings earn; these are counted as spent."""
        task = ask.single_answers("credit by segments")
        batch = ask.answered(task.draw(ask.num_problems, ask.draws))
        at = self.cuts(batch.rollouts)
        value, spent = self._valued(ask, batch, *np.nonzero(at))
        return replace(batch, told={"cut": at, "value": value}, spent=spent)

    def cuts(self, rollouts: Rollouts) -> Bool[Array, "B T1"]:
        """Whether a new segment begins with a token; never with a response's first."""
        has_choice = rollouts.is_drawn & unsure_tokens(
            rollouts.log_prob.double().cpu().numpy(), self.most_sure
        )
        is_first = np.cumsum(rollouts.is_drawn, axis=1) == 1
        count = np.cumsum(has_choice & ~is_first, axis=1)
        begins = has_choice & ~is_first & (count % self.stride == 0)
        return begins & (np.cumsum(begins, axis=1) <= self.most_cuts)

    def _valued(
        self, ask: Ask, batch: Gathered, row: Int[Array, " C"], place: Int[Array, " C"]
    ) -> tuple[Float[Array, " C"], int]:
        """The mean reward of endings drawn from each cut, and how many tokens they took."""
        ids, start = batch.rollouts.tokens.ids.cpu().numpy(), batch.rollouts.start[row]
        begun = [ids[r, : p + 1].tolist() for r, p in zip(row, place)]
        # An ending is no longer than what it stands in for could have become.
        room = ask.sampling.most_tokens - (place + 1 - start)
        ends = draw_endings(
            ask.model, begun, room, ask.sampling, ask.generator, copies=self.completions
        )
        cut_of = np.repeat(np.arange(len(row)), self.completions)
        said = [ask.model.tokenizer.decode([*begun[at][start[at] :], *end])
                for at, end in zip(cut_of, ends, strict=True)]  # fmt: skip
        problems = [batch.problems[row[at]] for at in cut_of]
        reward = graded(ask.grade, ask.reward, problems, said).reward
        there = np.isfinite(reward)
        num = np.bincount(cut_of[there], minlength=len(row))
        total = np.bincount(cut_of[there], weights=reward[there], minlength=len(row))
        return np.where(num > 0, total / np.maximum(num, 1), np.nan), sum(map(len, ends))

    def heard(self, seen: Seen) -> Heard:
        is_drawn, is_scored = seen.rollouts.is_drawn, seen.is_scored
        rows = np.arange(len(is_drawn))
        is_trained = is_drawn & is_scored[:, None]
        segment = np.cumsum(seen.told["cut"] & is_trained, axis=1)
        worth = np.full((len(rows), int(segment.max(initial=0)) + 2), np.nan)
        group = np.where(is_scored, seen.rollouts.prompt_of, -1)
        reward = np.where(is_scored, seen.reward, 0.0)
        worth[:, 0] = others_mean(reward, group, rows, is_scored)
        row, place = np.nonzero(seen.told["cut"])
        mine = np.isfinite(seen.told["value"]) & is_scored[row]
        worth[row[mine], segment[row[mine], place[mine]]] = seen.told["value"][mine]
        worth[rows, segment[:, -1] + 1] = reward
        credit = segment_advantage(worth)
        unit_of = np.where(is_trained, rows[:, None] * credit.shape[1] + segment, -1)
        advantage = to_tokens(credit.reshape(-1), unit_of)
        if self.only_unsure:
            logp = seen.rollouts.log_prob.double().cpu().numpy()
            unit_of = np.where(unsure_tokens(logp, self.most_sure), unit_of, -1)
        return Heard(unit_of=unit_of, advantage=np.where(unit_of >= 0, advantage, 0.0))

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        return token_scale(unit_of, self.mean, length=self.length, group_of=group)


def spo_segments(anchor: Anchor | None = None) -> SegmentRelative:
    """As published: only tokens with a choice are trained, clipped at 0.2."""
    return SegmentRelative(only_unsure=True, anchor=anchor)


def segment_advantage(worth: Float[Array, "B S1"]) -> Float[Array, "B S"]:
    """V(end) - V(start) of each segment from the values at its ends; where no ending at a cut has a
    reward (NaN) the segments on both its sides are one. 0 behind the last."""
    found = np.zeros((len(worth), worth.shape[1] - 1))
    for row, values in enumerate(worth):
        ends = np.flatnonzero(np.isfinite(values))
        for first, last in pairwise(ends):
            found[row, first:last] = values[last] - values[first]
    return found
