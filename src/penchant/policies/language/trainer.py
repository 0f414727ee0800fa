"""One trainer for methods of several responses a prompt: draw, grade, credit, update; again.

Everything that the next step depends on is its state (parameters, Adam's memory, both generators),
so that a resumed run is the unbroken one.

Legend: B rows (one a rollout), C rows of one update, T1 tokens after those before them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError, MissingExtraError
from penchant.fitting.language_learner import LanguageLearner, LearnerConfig
from penchant.fitting.processes import number
from penchant.lm.language_model import LanguageModel
from penchant.lm.sample import SampleConfig
from penchant.lm.tokens import fingerprint
from penchant.numerics.arrays import Array
from penchant.policies.language.credit import Credit, is_degenerate
from penchant.policies.language.grading import Grader, Grades, Reward, correct, graded
from penchant.policies.language.loss import to_tokens
from penchant.policies.language.methods.group_relative import GroupRelative
from penchant.policies.language.objective import PolicyObjective, in_parts
from penchant.policies.language.ratio import importance_weight, is_clipped, log_ratio
from penchant.policies.language.rollouts import Rollouts, draw_rollouts
from penchant.policies.language.trainer_state import load_state, save_state
from penchant.simulation.tasks.task import TextTask


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainerConfig:
    """prompts, group_size: problems of a step and responses to each. most_tokens: of a response.
    updates: optimiser steps on one batch of rollouts, each on its share of the prompts, whose
    rollouts stay together where the shares are even. learning_rate: of Adam. learner: how a
    gradient is made and cut. seed: of problems, rollouts and order."""

    prompts: int = 16
    group_size: int = 8
    most_tokens: int = 32
    temperature: float = 1.0
    updates: int = 1
    # At 1e-3 a small decoder soon says one thing to each prompt, and nothing is left to compare.
    learning_rate: float = 3e-4
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("prompts", "group_size", "most_tokens", "updates"):
            if getattr(self, name) < 1:
                raise ConfigError(f"got {name}={getattr(self, name)}; expected 1 or more.")
        if self.updates > self.prompts * self.group_size:
            raise ConfigError(
                f"got updates={self.updates} on {self.prompts * self.group_size} rollouts; "
                "expected a rollout for each at the least."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """What a step saw. reward: mean of the responses that have one, without an anchor's cost;
    failed: at how many grading raised. components: their means. length: tokens a response;
    ended: share that ended by themselves. degenerate: share of groups whose rewards are all alike
    (without an anchor's cost).
    divergence: nats a response from the reference, by k1 (NaN without one). clipped: share of
    tokens whose ratio was stopped in the updates after the first. effective: effective share of
    tokens under the sampler's correction (NaN without it). tokens: drawn so far."""

    step: int
    reward: float
    components: Mapping[str, float]
    failed: int
    length: float
    ended: float
    degenerate: float
    divergence: float
    clipped: float
    effective: float
    tokens: int


class PolicyTrainer:
    """Climbs a reward by a method's gradient. `step()` does one round and says what it saw.

    grade: components of a response, the task's own by default. reward: one number of them, whether
    the answer is right by default. Rollouts without a reward stay out of their group and of the
    update. An anchor's reference is the model as given. Under `torchrun` every process draws and
    grades alike, so that a grader must say the same twice, and takes its share of each update.
    Raises `MissingExtraError` without torch, `ConfigError` for a group of one whose mean it is.
    """

    def __init__(
        self,
        model: LanguageModel,
        task: TextTask,
        method: GroupRelative,
        config: TrainerConfig | None = None,
        *,
        grade: Grader | None = None,
        reward: Reward = correct,
    ) -> None:
        need_torch()
        import torch

        self.task, self.method, self.reward = task, method, reward
        self.grade: Grader = grade or task.grade
        self.config = config or TrainerConfig()
        if self.config.group_size == 1 and not method.leave_one_out:
            raise ConfigError(
                "got group_size=1 for a method that takes off the group's mean, itself included, "
                "which leaves nothing to learn from; expected 2 or more responses to a prompt."
            )
        self._given = model
        self._learner = LanguageLearner(model.parameters, _Nothing(), self.config.learner)
        self._problems = np.random.default_rng(self.config.seed)
        device = next(iter(model.parameters.values())).device
        self._draws = torch.Generator(device=device).manual_seed(self.config.seed)
        self._steps, self._tokens = 0, 0

    @property
    def model(self) -> LanguageModel:
        """The policy as it is now."""
        now = self._learner.parameters
        return self._given.with_parameters({name: value.detach() for name, value in now.items()})

    def step(self) -> StepReport:
        """Draw problems and responses, grade them, update the policy."""
        config, method = self.config, self.method
        problems = self.task.draw(config.prompts, self._problems)
        rollouts = draw_rollouts(
            self.model, [problem.prompt for problem in problems], config.group_size,
            SampleConfig(most_tokens=config.most_tokens, temperature=config.temperature),
            self._draws, version=self._steps,
        )  # fmt: skip
        grades = graded(
            self.grade, self.reward, [problems[p] for p in rollouts.prompt_of], rollouts.responses
        )
        reference = None if method.anchor is None else self._log_probs(self._given, rollouts)
        apart = None if reference is None else _log_ratios(rollouts, reference)
        is_scored = np.isfinite(grades.reward)
        credit = method.credit(grades.reward, rollouts.prompt_of, is_scored, apart)
        clipped, effective = self._update(rollouts, credit, is_scored, reference)
        self._steps, self._tokens = self._steps + 1, self._tokens + int(rollouts.lengths.sum())
        return self._report(rollouts, grades, is_scored, apart, clipped, effective)

    def save(self, folder: Path) -> None:
        """Replace the folder's state by this one; of several processes the first does."""
        if number() > 0:
            return
        arrays = {f"learner.{name}": a for name, a in self._learner.state().items()}
        said = {
            "steps": self._steps,
            "tokens": self._tokens,
            "problems": self._problems.bit_generator.state,
        }
        save_state(folder, arrays | {"draws": self._draws.get_state().numpy()}, said, self._of())

    def restore(self, folder: Path) -> bool:
        """Go on from a folder's state; False where there is none.

        Raises `BeliefError` where it is damaged, `ConfigError` where it is of another run.
        """
        import torch

        found = load_state(folder, self._of())
        if found is None:
            return False
        arrays, said = found
        self._draws.set_state(torch.from_numpy(arrays.pop("draws").copy()))
        self._learner.restore({n.removeprefix("learner."): a for n, a in arrays.items()})
        self._problems.bit_generator.state = said["problems"]
        self._steps, self._tokens = said["steps"], said["tokens"]
        return True

    def _of(self) -> str:
        given = fingerprint([], self._given.parameters)
        return f"{self.task!r}; {self.method!r}; {self.config!r}; from {given}"

    def _log_probs(self, model: LanguageModel, rollouts: Rollouts) -> Float[Array, "B T1"]:
        return in_parts(model, rollouts, self.config.temperature, self.config.learner.at_once)

    def _update(
        self,
        rollouts: Rollouts,
        credit: Credit,
        is_scored: Bool[Array, " B"],
        reference: Float[Array, "B T1"] | None,
    ) -> tuple[float, float]:
        """The optimiser's steps on one batch; shares of stopped tokens and of effective weight."""
        config, method = self.config, self.method
        # Whole groups to an update where shares are even: its advantages then sum to zero, as the
        # baseline meant them to.
        place = self._problems.permutation(config.prompts)[rollouts.prompt_of]
        rows = np.argsort(place, kind="stable")
        rows = rows[is_scored[rows]]
        if not len(rows):
            return 0.0, math.nan
        own = np.arange(len(rollouts))[:, None]
        unit_of = np.where(rollouts.is_drawn & is_scored[:, None], own, -1)
        start, correction, effective = None, None, math.nan
        if config.updates > 1 or method.most_weight is not None:
            start = self._log_probs(self.model, rollouts)
        if start is not None and method.most_weight is not None:
            correction = importance_weight(start, rollouts.log_prob, method.most_weight)
            effective = _effective_share(correction.cpu().numpy()[unit_of >= 0])
        stopped = []
        parts = np.array_split(rows, min(config.updates, len(rows)))
        for turn, part in enumerate(map(np.sort, parts)):
            scale = np.zeros(unit_of.shape)
            scale[part] = method.token_scale(unit_of[part], rollouts.prompt_of[part])
            objective = PolicyObjective(
                model=self._given, rollouts=rollouts, unit_of=unit_of, scale=scale,
                advantage=to_tokens(credit.advantage, unit_of), surrogate=method.surrogate,
                temperature=config.temperature, old=start if turn else None,
                correction=correction, reference=reference, anchor=method.anchor,
            )  # fmt: skip
            if turn:
                stopped.append(self._stopped_share(objective, part))
            self._learner.objective = objective
            self._learner.step(self._heard(part, credit), config.learning_rate)
        return float(np.mean(stopped)) if stopped else 0.0, effective

    def _heard(self, part: Int[Array, " C"], credit: Credit) -> Int[Array, " _"]:
        """The rows that have a gradient: those without credit count in the normaliser, which is
        made, and are not read, unless an anchor in the loss holds them too."""
        anchor = self.method.anchor
        if anchor is not None and anchor.place == "loss":
            return part
        return part[credit.advantage[part] != 0.0]

    def _stopped_share(self, objective: PolicyObjective, part: Int[Array, " C"]) -> float:
        """Of the part's tokens, those whose ratio the bounds stop before its update."""
        surrogate, rows = objective.surrogate, objective.rollouts.take(part)
        if surrogate.form != "clipped" or objective.old is None:
            return 0.0
        width = rows.is_drawn.shape[1]
        now, old = self._log_probs(self.model, rows), objective.old[part, :width]
        unit_of, credit = objective.unit_of[part, :width], objective.advantage[part, :width]
        apart = log_ratio(now.cpu().numpy(), old.cpu().numpy(), unit_of, surrogate.level)
        found = is_clipped(np.exp(apart), credit, surrogate.low, surrogate.high, surrogate.worst)
        return float(found[unit_of >= 0].mean())

    def _report(
        self,
        rollouts: Rollouts,
        grades: Grades,
        is_scored: Bool[Array, " B"],
        apart: Float[Array, " B"] | None,
        clipped: float,
        effective: float,
    ) -> StepReport:
        reward = grades.reward[is_scored]
        groups = np.unique(rollouts.prompt_of[is_scored])
        group = np.where(is_scored, rollouts.prompt_of, -1)
        alive = np.unique(group[~is_degenerate(grades.reward, group, is_scored)])
        return StepReport(
            step=self._steps,
            reward=float(reward.mean()) if len(reward) else math.nan,
            components=grades.means(),
            failed=grades.failed,
            length=float(rollouts.lengths.mean()),
            ended=float(rollouts.has_ended.mean()),
            degenerate=1.0 - len(alive) / len(groups) if len(groups) else math.nan,
            divergence=math.nan if apart is None else float(apart.mean()),
            clipped=clipped,
            effective=effective,
            tokens=self._tokens,
        )


def need_torch() -> None:
    """Raises `MissingExtraError` where torch is not installed."""
    try:
        import torch  # noqa: F401  # asked for, not used here
    except ImportError as error:
        raise MissingExtraError(
            "a language policy needs the package torch, which is not installed. Install the "
            "extra: pip install 'penchant[torch]'."
        ) from error


@dataclass(frozen=True)
class _Nothing:
    """What the learner climbs before the first batch is drawn."""

    def weight(self, examples: Int[Array, " C"]) -> float:
        return 1.0

    def log_prob(self, parameters: Any, examples: Int[Array, " C"]) -> Any:
        raise AssertionError("no batch was drawn")

    def penalty(self, parameters: Any) -> Any:
        return 0.0


def _log_ratios(rollouts: Rollouts, reference: Float[Array, "B T1"]) -> Float[Array, " B"]:
    """log pi - log pi_reference of each response, as it was drawn."""
    apart = (rollouts.log_prob - reference).cpu().numpy()
    return np.where(rollouts.is_drawn, apart, 0.0).sum(axis=1)


def _effective_share(weights: Float[Array, " N"]) -> float:
    """(sum w)^2 / (N sum w^2)."""
    return float(weights.sum() ** 2 / (len(weights) * (weights**2).sum()))
