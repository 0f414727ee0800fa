"""Rollouts where they shrink doubt, solved problems beside hopeless ones, more for rare right
answers (XRPO, 2025).

Legend: B rows (one rollout and one credit unit each), P prompts of a batch, T1 tokens after those
before them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.credit import group_deviation, novelty_bonus
from penchant.policies.language.gathering import Ask, Gathered, judged, together
from penchant.policies.language.loss import to_tokens
from penchant.policies.language.methods.anchor import check_in_loss
from penchant.policies.language.methods.group_relative import GroupRelative, OnGroups, grpo
from penchant.policies.language.methods.method import Heard, Seen, rows_as_units
from penchant.policies.language.rollouts import behind_prompts, draw_rollouts, prompt_ids
from penchant.policies.language.scheduling import where_doubt_falls
from penchant.policies.language.trackers import joined_texts, parted_texts
from penchant.simulation.tasks.task import Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Targeted(OnGroups):
    """`first` rollouts of each prompt; the rest of the step's in `rounds`, to prompts by how much
    one more narrows the interval of their mean, and `bonus` for those seldom tried
    (`scheduling.where_doubt_falls`; answers without a reward count as tried). Prompts that earned
    nothing at first are shown up to `shown` solved problems most like them; right answers that are
    rare in their group gain (`credit.novelty_bonus`, of `sharpness` and `most`).

    room: solved problems kept. between: what stands after each that is shown. right_from: the
    reward from which on an answer is right. is_stripped: rows that saw examples are trained without
    them, as if drawn there (a bias that is meant); otherwise behind them. The constants are ours:
    the paper's were not to be had. Groups as large as `first`, and sharpness 0, leave `base`.
    """

    first: int = 4
    rounds: int = 2
    bonus: float = 0.2
    level: float = 0.05
    shown: int = 2
    room: int = 64
    between: str = "\n"
    sharpness: float = 0.5
    most: float = 0.5
    right_from: float = 0.5
    is_stripped: bool = False
    base: GroupRelative = field(default_factory=grpo)

    def __post_init__(self) -> None:
        check_in_loss(self.base.anchor)
        if self.first < 2 or self.rounds < 1 or not (0.0 < self.level < 1.0 and self.bonus >= 0.0):
            raise ConfigError(
                f"got first={self.first}, rounds={self.rounds}, level={self.level} and "
                f"bonus={self.bonus}; expected 2 or more, which have a deviation, 1 or more, "
                "between 0 and 1, and 0 or more."
            )
        if not all(each >= 0 for each in (self.shown, self.room, self.sharpness, self.most)):
            raise ConfigError(
                f"got shown={self.shown}, room={self.room}, sharpness={self.sharpness} and "
                f"most={self.most}; expected 0 or more of each."
            )
        if self.is_stripped and self.base.most_weight is not None:
            raise ConfigError(
                f"got is_stripped=True with most_weight={self.base.most_weight} of the base; "
                "expected most_weight=None: against who drew them, rows without the examples that "
                "they saw would weigh next to nothing."
            )

    @property
    def smallest_group(self) -> int:
        return 2

    def gathered(self, ask: Ask) -> Gathered:
        """As many rollouts as even groups would be."""
        problems = ask.single_answers("an interval of a prompt's mean").draw(
            ask.num_problems, ask.draws
        )
        num = len(problems)
        parts = [ask.answered(problems, min(self.first, ask.group_size))]
        spare = num * (ask.group_size - min(self.first, ask.group_size))
        prompts = self._prompts(ask, problems, parts[0])
        for left in range(self.rounds, 0, -1):
            share = -(-spare // left)
            often = self._often(parts, num, share)
            parts += [self._answered(ask, problems, prompts, often)] if share else []
            spare -= share
        batch = together(parts)
        group = batch.rollouts.prompt_of % num
        is_seeded = batch.rollouts.prompt_of >= num
        rollouts = batch.rollouts
        if self.is_stripped and is_seeded.any():
            plain = [problem.prompt for problem in problems]
            rollouts = replace(rollouts, prompt_of=group)
            rollouts = behind_prompts(rollouts, plain, ask.model.tokenizer)
        return replace(
            batch, rollouts=rollouts, group=group, told={"group": group}, is_plain=~is_seeded
        )

    def _often(self, parts: Sequence[Gathered], num: int, share: int) -> Int[Array, " P"]:
        prompt = np.concatenate([part.rollouts.prompt_of for part in parts]) % num
        reward = np.concatenate([part.grades.reward for part in parts])
        return self.often(prompt, reward, num, share)

    def often(
        self, prompt: Int[Array, " B"], reward: Float[Array, " B"], num: int, share: int
    ) -> Int[Array, " P"]:
        """How many of the next `share` rollouts each of `num` prompts gets, after these."""
        is_scored = np.isfinite(reward)
        given = np.where(is_scored, reward, 0.0)
        spread = np.zeros(num)
        spread[prompt] = group_deviation(given, prompt, is_scored)
        tried = np.bincount(prompt, minlength=num)
        return where_doubt_falls(spread, tried, share, self.bonus, self.level)

    def _prompts(self, ask: Ask, problems: Sequence[Problem], batch: Gathered) -> list[str]:
        """What each problem is asked by from now on: behind solved ones where all was in vain."""
        solved = _recalled(ask.memory)
        prompt, reward = batch.rollouts.prompt_of, batch.grades.reward
        is_scored = np.isfinite(reward)
        earned = np.full(len(problems), -np.inf)
        np.maximum.at(earned, prompt[is_scored], reward[is_scored])
        # Where every grader failed nothing is known, and nothing is hopeless.
        is_hopeless = np.isfinite(earned) & (earned <= 0.0)
        return [
            self._seeded(ask, problem.prompt, solved) if is_hopeless[p] else problem.prompt
            for p, problem in enumerate(problems)
        ]

    def _seeded(self, ask: Ask, prompt: str, solved: Mapping[str, str]) -> str:
        """The problem behind as many like it as the window has room for, the likest last."""
        room, begun = ask.model.network.window, prompt
        for other in likest(prompt, [text for text in solved if text != prompt], self.shown):
            longer = f"{other}{solved[other]}{self.between}{begun}"
            size = len(prompt_ids(ask.model.tokenizer, longer)) + ask.sampling.most_tokens
            if room and size > room:
                break
            begun = longer
        return begun

    def _answered(
        self, ask: Ask, problems: Sequence[Problem], prompts: list[str], often: Int[Array, " P"]
    ) -> Gathered:
        """Answers behind these prompts, so many to each, graded as answers to the problems."""
        asked = np.flatnonzero(often)
        rollouts = draw_rollouts(
            ask.model, [prompts[p] for p in asked], often[asked], ask.sampling, ask.generator,
            version=ask.version,
        )  # fmt: skip
        own = asked[rollouts.prompt_of].tolist()
        # A prompt of its own where it begins otherwise.
        begins = np.array([prompts[p] != problems[p].prompt for p in own])
        place = np.array(own) + np.where(begins, len(problems), 0)
        rollouts = replace(rollouts, prompt_of=place)
        return judged(rollouts, [problems[p] for p in own], ask.grade, ask.reward)

    def heard(self, seen: Seen) -> Heard:
        rollouts, unit_of = seen.rollouts, rows_as_units(seen)
        said = np.where(rollouts.is_drawn, rollouts.log_prob.double().cpu().numpy(), 0.0)
        mean = said.sum(axis=1) / np.maximum(rollouts.lengths, 1)
        credit = self.credit(seen.reward, mean, seen.told["group"], seen.is_scored)
        solved = _recalled(seen.memory)
        for row in np.flatnonzero(seen.is_scored & (seen.reward >= self.right_from)).tolist():
            prompt, response = seen.problems[row].prompt, rollouts.responses[row]
            # Texts are kept apart by zeros; one that is solved again is the latest.
            if "\0" not in response:
                solved.pop(prompt, None)
                solved[prompt] = response
        kept = list(solved)[len(solved) - min(self.room, len(solved)) :]
        memory = {
            "solved": joined_texts(kept), "answers": joined_texts([solved[text] for text in kept])
        }  # fmt: skip
        return Heard(unit_of=unit_of, advantage=to_tokens(credit, unit_of), memory=memory)

    def credit(
        self,
        reward: Float[Array, " B"],
        mean_log_prob: Float[Array, " B"],
        group: Int[Array, " B"],
        is_scored: Bool[Array, " B"],
    ) -> Float[Array, " B"]:
        """`base`'s, and more for right answers that are rare in their group."""
        found = self.base.credit(reward, group, is_scored).advantage
        return found + novelty_bonus(
            found, mean_log_prob, group, is_scored & (reward >= self.right_from), is_scored,
            strength=self.sharpness, most=self.most,
        )  # fmt: skip


def likest(prompt: str, others: Sequence[str], num: int) -> list[str]:
    """The texts that share most with this one, the likest first (the share of letters in common
    runs, Ratcliff and Metzener 1988)."""

    def likeness(other: str) -> float:
        return SequenceMatcher(None, prompt, other, autojunk=False).ratio()

    return sorted(others, key=likeness, reverse=True)[:num]


def _recalled(memory: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Solved problems and what answered them, the latest last."""
    if "solved" not in memory:
        return {}
    return dict(zip(parted_texts(memory["solved"]), parted_texts(memory["answers"]), strict=True))
