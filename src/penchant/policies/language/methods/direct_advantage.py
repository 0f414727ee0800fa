"""Direct Advantage Policy Optimization: a critic of steps, then a regression on what it says.

Legend: S states (partial answers), E = S x endings, N states and what steps lead to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError, DataError
from penchant.fitting.sgd import TrainConfig, Training
from penchant.lm.language_model import LanguageModel
from penchant.lm.sample import SampleConfig
from penchant.lm.tokens import Tokenizer
from penchant.numerics.arrays import Array
from penchant.policies.language.branching import draw_endings
from penchant.policies.language.grading import Grader, Reward, graded
from penchant.policies.language.rollouts import Rollouts, draw_rollouts
from penchant.policies.language.state_value import StateValue, Tried, fit_state_value
from penchant.policies.language.valued_steps import StepsConfig, ValuedSteps, fit_valued_steps
from penchant.simulation.tasks.task import Problem

EndsStep = Callable[[int], bool]
Chance = Callable[[Sequence[Sequence[int]]], Float[Array, " N"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectAdvantage:
    """endings: fresh ones from every state, whose first steps are the steps that are tried there.
    separators: a step ends with a token whose text ends in one of them, or with the answer.
    critic: how it is learnt. steps: the regression; the critic takes its adapters and learner.
    """

    endings: int = 4
    separators: tuple[str, ...] = (",", "\n")
    critic: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            batch_size=64, max_epochs=3, learning_rate=1e-3, patience=None
        )
    )
    steps: StepsConfig = field(default_factory=StepsConfig)

    def __post_init__(self) -> None:
        if self.endings < 1 or not all(self.separators):
            raise ConfigError(
                f"got endings={self.endings} and separators={self.separators}; expected an ending "
                "or more of each state, and texts that are not empty."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Searched:
    """What was tried. rows: of each ending, prompt and answer up to the end of its first step,
    which begins at `place`, in the state `state_of`. is_final: the step ends the answer. reward: of
    the whole ending, NaN without one. states: rows of tokens. drawn: tokens in all."""

    rows: list[list[int]]
    place: Int[Array, " E"]
    state_of: Int[Array, " E"]
    is_final: Bool[Array, " E"]
    reward: Float[Array, " E"]
    states: list[list[int]]
    drawn: int

    def tried(self) -> Tried:
        """What the critic learns from: each state by all its endings, and what each step led to by
        the ending that it belongs to. An answer that is complete needs no critic."""
        there = np.isfinite(self.reward)
        num = np.bincount(self.state_of[there], minlength=len(self.states)).astype(float)
        right = np.bincount(self.state_of[there], self.reward[there], minlength=len(self.states))
        known, led = np.flatnonzero(num > 0), np.flatnonzero(there & ~self.is_final)
        if not len(known):
            raise DataError(
                "no ending has a reward; expected some from 0 to 1. Mend the grader, or give "
                "answers more room."
            )
        return Tried(
            rows=[*(self.states[s] for s in known), *(self.rows[e] for e in led)],
            right=np.concatenate([right[known], self.reward[led]]),
            num=np.concatenate([num[known], np.ones(len(led))]),
        )

    def valued(self, chance: Chance) -> ValuedSteps:
        """chance: V of rows. A = V(s') - V(s), its reward in place of V(s') where the answer is
        complete."""
        before = chance(self.states)[self.state_of]
        after = np.where(self.is_final, self.reward, chance(self.rows))
        there = np.flatnonzero(np.isfinite(after))
        return ValuedSteps(
            rows=[self.rows[e] for e in there], place=self.place[there],
            advantage=(after - before)[there],
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Advanced:
    """One round. reward: of all endings, NaN where there is none: where all earned the same, the
    critic had nothing to tell apart and what it says of steps is noise. drawn: tokens that it took.
    """

    policy: LanguageModel
    critic: StateValue
    steps: ValuedSteps
    reward: Float[Array, " E"]
    training: Training
    drawn: int


def direct_advantage(
    model: LanguageModel,
    problems: Sequence[Problem],
    config: DirectAdvantage,
    training: TrainConfig,
    sampling: SampleConfig,
    generator: Any,
    grade: Grader,
    reward: Reward,
    *,
    checkpoint: Path | None = None,
) -> Advanced:
    """Liu et al. (2024): the states of one answer to each problem, fresh endings of each, a critic
    of both, frozen, and log pi / pi_model of every step that was tried regressed on its advantage.
    `generator` is torch's. Give the policy back in for the next round.
    """
    found = searched(model, problems, config, sampling, generator, grade, reward)
    critic = fit_state_value(
        model, found.tried(), config.critic, learner=config.steps.learner,
        low_rank=config.steps.low_rank, seed=config.steps.seed,
    )  # fmt: skip
    steps = found.valued(critic.chance)
    policy, done = fit_valued_steps(model, steps, training, config.steps, checkpoint=checkpoint)
    return Advanced(
        policy=policy, critic=critic, steps=steps, reward=found.reward, training=done,
        drawn=found.drawn,
    )  # fmt: skip


def searched(
    model: LanguageModel,
    problems: Sequence[Problem],
    config: DirectAdvantage,
    sampling: SampleConfig,
    generator: Any,
    grade: Grader,
    reward: Reward,
) -> Searched:
    """One answer to each problem, and endings from before each of its steps."""
    tokenizer = model.tokenizer
    prompts = [problem.prompt for problem in problems]
    rollouts = draw_rollouts(model, prompts, 1, sampling, generator)
    ends_step = _ending(tokenizer, config.separators)
    states, row_of = _states(rollouts, ends_step)
    sizes, start = np.array([len(state) for state in states]), rollouts.start[row_of]
    room = sampling.most_tokens - (sizes - start)
    ends = draw_endings(model, states, room, sampling, generator, copies=config.endings)
    state_of = np.repeat(np.arange(len(states)), config.endings)
    whole = [[*states[s], *end] for s, end in zip(state_of, ends, strict=True)]
    said = [tokenizer.decode(ids[start[s] :]) for s, ids in zip(state_of, whole)]
    first = np.array([_first_step(end, ends_step) for end in ends])
    return Searched(
        rows=[ids[: sizes[s] + size] for s, ids, size in zip(state_of, whole, first)],
        place=sizes[state_of], state_of=state_of,
        is_final=first == np.array([len(end) for end in ends]),
        reward=graded(grade, reward, [problems[row_of[s]] for s in state_of], said).reward,
        states=states, drawn=int(rollouts.lengths.sum()) + sum(map(len, ends)),
    )  # fmt: skip


def _states(rollouts: Rollouts, ends_step: EndsStep) -> tuple[list[list[int]], Int[Array, " S"]]:
    """Each row up to the beginning of each of its steps, and which row it is."""
    found, row_of = [], []
    for row, (ids, start, size) in enumerate(
        zip(rollouts.tokens.ids.tolist(), rollouts.start.tolist(), rollouts.lengths.tolist())
    ):
        said = ids[start : start + size]
        cuts = [0, *(at + 1 for at, token in enumerate(said[:-1]) if ends_step(token))]
        found += [ids[: start + cut] for cut in cuts]
        row_of += [row] * len(cuts)
    return found, np.array(row_of)


def _first_step(end: Sequence[int], ends_step: EndsStep) -> int:
    """How many tokens the first step of an ending has."""
    return next((at + 1 for at, token in enumerate(end) if ends_step(token)), len(end))


def _ending(tokenizer: Tokenizer, separators: tuple[str, ...]) -> EndsStep:
    """Whether a step ends with a token."""
    known: dict[int, bool] = {}

    def ends_step(token: int) -> bool:
        if token not in known:
            known[token] = tokenizer.decode([token]).endswith(separators)
        return known[token]

    return ends_step
