"""One trainer for methods that learn from their own responses: draw, grade, credit, update; again.

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
from jaxtyping import Float, Int

from penchant.errors import ConfigError, MissingExtraError
from penchant.fitting.language_learner import LanguageLearner, LearnerConfig
from penchant.fitting.processes import number
from penchant.lm.language_model import LanguageModel
from penchant.lm.low_rank import LowRankConfig
from penchant.lm.precision import for_drawing
from penchant.lm.sample import SampleConfig
from penchant.lm.tokens import fingerprint
from penchant.numerics.arrays import Array
from penchant.policies.language.aggregation import token_scale
from penchant.policies.language.credit import is_degenerate
from penchant.policies.language.gathering import Ask, Gathered, Gatherer, gathered, grader_of
from penchant.policies.language.grading import Grader, OfEpisodes, Reward, correct
from penchant.policies.language.layout import Layout, check_reading, settled
from penchant.policies.language.methods.method import Forgetful, Heard, PolicyMethod, Seen
from penchant.policies.language.objective import PolicyObjective, in_parts
from penchant.policies.language.ratio import OLD, importance_weight, is_clipped, log_ratio
from penchant.policies.language.rollouts import Rollouts, check_support
from penchant.policies.language.row_record import Learnt
from penchant.policies.language.trained import fresh_trained, policy_of
from penchant.policies.language.trainer_state import load_state, save_state
from penchant.simulation.tasks.task import TextTask, WorldTask


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainerConfig:
    """prompts, group_size: problems of a step and responses to each. most_tokens: of a response; in
    a world, of a turn. updates: optimiser steps on one batch of rollouts, each on its share of the
    prompts, whose rollouts stay together where the shares are even; epochs: how often the batch is
    gone through so. learning_rate: of Adam. low_rank: adapters, None trains the whole model.
    layout: "shared" reads what the rollouts of a prompt begin with once, "packed" pads nothing
    either (their numbers are compared with "padded" in the first step); tokens_at_once: about how
    many tokens are read together for a gradient (None: as many rows as the learner says).
    learner: how a gradient is made and cut. seed: of problems, rollouts and order."""

    prompts: int = 16
    group_size: int = 8
    most_tokens: int = 32
    temperature: float = 1.0
    updates: int = 1
    epochs: int = 1
    low_rank: LowRankConfig | None = None
    layout: Layout = "shared"
    tokens_at_once: int | None = None
    # At 1e-3 a small decoder soon says one thing to each prompt, and nothing is left to compare.
    learning_rate: float = 3e-4
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("prompts", "group_size", "most_tokens", "updates", "epochs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"got {name}={getattr(self, name)}; expected 1 or more.")
        check_support(SampleConfig(temperature=self.temperature))
        check_reading(self.layout, self.tokens_at_once)
        if self.updates > self.prompts * self.group_size:
            raise ConfigError(
                f"got updates={self.updates} on {self.prompts * self.group_size} rollouts; "
                "expected a rollout for each at the least."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """What a step saw. reward: mean of the responses that have one, without an anchor's cost, of
    those drawn just now and from the prompt alone where a method adds others;
    failed: at how many grading raised. components: their means. length: tokens a response;
    ended: share that ended by themselves. degenerate: of groups of two responses and more the share
    whose rewards are all alike, without an anchor's cost (NaN where all are of one).
    divergence: nats a response from the reference, by k1 (NaN without one). entropy: nats a token
    of what was drawn from. Length, ended and entropy are of what was drawn just now. clipped:
    share of tokens whose ratio was stopped in the updates after the first. effective: effective
    share of tokens under the sampler's correction (NaN without it). value_error: mean square of
    what a value missed its target by (NaN without one). tokens: drawn so far."""

    step: int
    reward: float
    components: Mapping[str, float]
    failed: int
    length: float
    ended: float
    degenerate: float
    divergence: float
    entropy: float
    clipped: float
    effective: float
    value_error: float
    tokens: int


class PolicyTrainer:
    """Climbs a reward by a method's gradient. `step()` does one round and says what it saw.

    grade: components of a response, the task's own by default. reward: one number of them, whether
    the answer is right by default; a world's turns earn their own and take neither, but for a
    grader of whole episodes (`grading.OfEpisodes`). Rollouts without a reward stay out of their
    group and of the update. An anchor's reference is the model as given. Under `torchrun` every
    process draws and grades alike, so that a grader must say the same twice, and takes its share of
    each update.
    Raises `MissingExtraError` without torch, `ConfigError` for a group of one whose mean it is, and
    for a grader or reward that nobody would ask.
    """

    def __init__(
        self,
        model: LanguageModel,
        task: TextTask | WorldTask,
        method: PolicyMethod,
        config: TrainerConfig | None = None,
        *,
        grade: Grader | None = None,
        reward: Reward = correct,
    ) -> None:
        need_torch()
        import torch

        self.task, self.method, self.reward = task, method, reward
        self.grade: Grader = grade or grader_of(task)
        self.config = config or TrainerConfig()
        check_group(self.config, method)
        if isinstance(task, WorldTask):
            _check_world(method, grade, reward)
        check_follows(model, method)
        self._given = model
        fresh = fresh_trained(
            model, self.config.low_rank, method.value_weight > 0.0,
            torch.Generator().manual_seed(self.config.seed),
        )  # fmt: skip
        self._learner = LanguageLearner(fresh, _Nothing(), self.config.learner)
        self._memory: Mapping[str, np.ndarray] = {}
        self._layout, self._is_tried = self.config.layout, False
        self._problems = np.random.default_rng(self.config.seed)
        device = next(iter(model.parameters.values())).device
        self._draws = torch.Generator(device=device).manual_seed(self.config.seed)
        self._steps, self._tokens = 0, 0
        self._learnt: Learnt | None = None

    @property
    def model(self) -> LanguageModel:
        """The policy as it is now."""
        now = {name: value.detach() for name, value in self._learner.parameters.items()}
        return policy_of(self._given, now, self.config.low_rank)

    @property
    def steps(self) -> int:
        """How many were taken, those before a restored state too."""
        return self._steps

    @property
    def learnt(self) -> Learnt | None:
        """What the last step learnt from, row by row; None before there was one."""
        return self._learnt

    def step(self) -> StepReport:
        """Draw problems and responses, grade them, update the policy."""
        batch = self._gathered()
        rollouts, reward = batch.rollouts, batch.grades.reward
        if not self._is_tried:
            some = rollouts.take(np.flatnonzero(rollouts.prompt_of < 2))
            self._layout, self._is_tried = settled(self.model, some, self._layout), True
        reference = None
        if self.method.anchor is not None:
            reference = self._log_probs(self._given, rollouts)
        seen = Seen(
            rollouts=rollouts, problems=batch.problems, reward=reward,
            components=batch.grades.components, turn_reward=batch.turn_reward,
            observed=batch.observed, memory=self._memory, value=self._values(rollouts),
            log_ratio=None if reference is None else _log_ratios(rollouts, reference),
            told=batch.told, model=self.model, temperature=self.config.temperature,
        )  # fmt: skip
        heard = self.method.heard(seen)
        self._learnt = Learnt(step=self._steps + 1, batch=batch, heard=heard)
        if isinstance(self.method, Forgetful) and self.method.begins_anew:
            self._learner.forget()
        clipped, effective = self._update(rollouts, heard, reference)
        self._memory = heard.memory
        drawn = int(rollouts.lengths.sum()) + batch.spent
        self._steps, self._tokens = self._steps + 1, self._tokens + drawn
        return self._report(batch, seen, heard, clipped, effective)

    def _gathered(self) -> Gathered:
        config = self.config
        sampling = SampleConfig(most_tokens=config.most_tokens, temperature=config.temperature)
        drawn_from = for_drawing(self.model, config.learner.precision)
        if isinstance(self.method, Gatherer):
            return self.method.gathered(Ask(
                model=drawn_from, task=self.task, num_problems=config.prompts,
                group_size=config.group_size, sampling=sampling, draws=self._problems,
                generator=self._draws, grade=self.grade, reward=self.reward, version=self._steps,
                memory=self._memory,
            ))  # fmt: skip
        return gathered(
            drawn_from, self.task, config.prompts, config.group_size, sampling,
            self._problems, self._draws, self.grade, self.reward, version=self._steps,
        )  # fmt: skip

    def _values(self, rollouts: Rollouts) -> Float[Array, "B T1"] | None:
        if self.method.value_weight == 0.0:
            return None
        with self._learner.in_precision():
            said = in_parts(
                self.model, rollouts, 1.0, self.config.learner.at_once, layout=self._layout,
                value=self._learner.parameters,
            )  # fmt: skip
        return said.double().cpu().numpy()

    def save(self, folder: Path) -> None:
        """Replace the folder's state by this one; of several processes the first does, and the
        others bring it their pieces."""
        arrays = {f"learner.{name}": a for name, a in self._learner.state().items()}
        if number() > 0:
            return
        arrays |= {f"memory.{name}": a for name, a in self._memory.items()}
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
        self._memory = {n.removeprefix("memory."): a for n, a in arrays.items()
                        if n.startswith("memory.")}  # fmt: skip
        self._learner.restore({n.removeprefix("learner."): a for n, a in arrays.items()
                               if n.startswith("learner.")})  # fmt: skip
        self._problems.bit_generator.state = said["problems"]
        self._steps, self._tokens = said["steps"], said["tokens"]
        return True

    def _of(self) -> str:
        given = fingerprint([], self._given.parameters)
        return f"{self.task!r}; {self.method!r}; {self.config!r}; from {given}"

    def _log_probs(self, model: LanguageModel, rollouts: Rollouts) -> Float[Array, "B T1"]:
        with self._learner.in_precision():
            return in_parts(
                model, rollouts, self.config.temperature, self.config.learner.at_once,
                layout=self._layout,
            )  # fmt: skip

    def _update(
        self,
        rollouts: Rollouts,
        heard: Heard,
        reference: Float[Array, "B T1"] | None,
    ) -> tuple[float, float]:
        """The optimiser's steps on one batch; shares of stopped tokens and of effective weight."""
        config, method, unit_of = self.config, self.method, heard.unit_of
        rows = np.flatnonzero((unit_of >= 0).any(axis=1))
        if not len(rows):
            return 0.0, math.nan
        start, correction, effective = None, None, math.nan
        if config.updates * config.epochs > 1 or method.most_weight is not None:
            start = self._log_probs(self.model, rollouts)
        if start is not None and method.most_weight is not None:
            correction = importance_weight(start, rollouts.log_prob, method.most_weight)
            correction[heard.kind != OLD] = 1.0  # theirs stands in the ratio
            effective = _effective_share(correction.cpu().numpy()[unit_of >= 0])
        stopped = []
        for turn, part in enumerate(self._shares(rollouts, rows)):
            scale = self._scale(part, rollouts, heard)
            objective = PolicyObjective(
                model=self._given, rollouts=rollouts, unit_of=unit_of, scale=scale,
                advantage=heard.credit, surrogate=method.surrogate,
                temperature=config.temperature, old=start if turn else None,
                denominator=heard.kind,
                correction=correction, reference=reference, anchor=method.anchor,
                low_rank=config.low_rank, target=heard.target, value_weight=method.value_weight,
                steer=heard.steer, layout=self._layout, most_tokens=config.tokens_at_once,
            )  # fmt: skip
            if turn:
                stopped.append(self._stopped_share(objective, part))
            self._learner.objective = objective
            self._learner.step(self._heard(part, heard), config.learning_rate)
        return float(np.mean(stopped)) if stopped else 0.0, effective

    def _scale(
        self, part: Int[Array, " C"], rollouts: Rollouts, heard: Heard
    ) -> Float[Array, "B T1"]:
        """Each component of a mini-batch has a normaliser of its own."""
        unit_of, scale = heard.unit_of, np.zeros(heard.unit_of.shape)
        own, shown = part[~heard.is_shown[part]], part[heard.is_shown[part]]
        scale[own] = self.method.token_scale(unit_of[own], rollouts.prompt_of[own])
        if heard.shown is not None and len(shown):
            scale[shown] = heard.shown[shown][:, None] * token_scale(unit_of[shown], "token")
        return scale

    def _shares(self, rollouts: Rollouts, rows: Int[Array, " C"]) -> list[Int[Array, " _"]]:
        """The rows of each optimiser step, epoch after epoch."""
        found: list[Int[Array, " _"]] = []
        for _ in range(self.config.epochs):
            # Whole groups to an update where shares are even: its advantages then sum to zero, as
            # the baseline meant them to.
            size = max(self.config.prompts, int(rollouts.prompt_of.max()) + 1)
            place = self._problems.permutation(size)[rollouts.prompt_of]
            order = rows[np.argsort(place[rows], kind="stable")]
            parts = np.array_split(order, min(self.config.updates, len(order)))
            found += [np.sort(part) for part in parts]
        return found

    def _heard(self, part: Int[Array, " C"], heard: Heard) -> Int[Array, " _"]:
        """The rows that have a gradient: those without credit count in the normaliser, which is
        made, and are not read, unless an anchor in the loss or a squared one holds them, entropy is
        bent or a value learns there."""
        anchor, is_squared = self.method.anchor, self.method.surrogate.form == "squared"
        if is_squared or heard.steer is not None or heard.target is not None:
            return part
        if anchor is not None and anchor.place == "loss":
            return part
        return part[(heard.credit[part] != 0.0).any(axis=1)]

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
        self, batch: Gathered, seen: Seen, heard: Heard, clipped: float, effective: float
    ) -> StepReport:
        rollouts, is_scored = batch.rollouts, seen.is_scored
        is_plain = is_scored if batch.is_plain is None else is_scored & batch.is_plain
        reward, is_new = seen.reward[is_plain], rollouts.versions >= 0
        drawn = rollouts.is_drawn & is_new[:, None]
        problem = rollouts.prompt_of if batch.group is None else batch.group
        groups = np.flatnonzero(np.bincount(problem[is_scored]) > 1)
        group = np.where(is_scored, problem, -1)
        alive = np.unique(group[~is_degenerate(seen.reward, group, is_scored)])
        apart = seen.log_ratio
        missed = math.nan
        if heard.target is not None and seen.value is not None:
            off = (heard.target - seen.value)[heard.unit_of >= 0]
            missed = (
                float((off[np.isfinite(off)] ** 2).mean()) if np.isfinite(off).any() else missed
            )
        return StepReport(
            step=self._steps,
            reward=float(reward.mean()) if len(reward) else math.nan,
            components=batch.grades.means(batch.is_plain),
            failed=batch.grades.failed,
            length=float(rollouts.lengths[is_new].mean()),
            ended=float(rollouts.has_ended[is_new].mean()),
            degenerate=1.0 - len(alive) / len(groups) if len(groups) else math.nan,
            divergence=math.nan if apart is None else float(apart.sum(axis=1).mean()),
            entropy=float(rollouts.entropy.cpu().numpy()[drawn].mean()),
            clipped=clipped,
            effective=effective,
            value_error=missed,
            tokens=self._tokens,
        )


def check_group(config: TrainerConfig, method: PolicyMethod) -> None:
    """Raises `ConfigError` for groups too small for the method."""
    if config.group_size < method.smallest_group:
        raise ConfigError(
            f"got group_size={config.group_size} for a method that compares the responses to a "
            "prompt, which leaves nothing to learn from; expected "
            f"{method.smallest_group} or more of them."
        )


def _check_world(method: PolicyMethod, grade: Grader | None, reward: Reward) -> None:
    """Raises `ConfigError` for graders and rewards that a world's turns would not heed."""
    if isinstance(grade, OfEpisodes) and isinstance(method, Gatherer):
        raise ConfigError(
            f"got a grader of whole episodes with {type(method).__name__}, which gathers its "
            "episodes for itself and would not ask it; expected no grader, or a method that is "
            "given its episodes (GroupRelative, TurnWise)."
        )
    if not isinstance(grade, OfEpisodes) and (grade is not None or reward is not correct):
        raise ConfigError(
            "got a grader of single answers, or a reward without a grader, for a world, whose "
            "turns earn their own; expected neither, or a grader of whole episodes (OfEpisodes)."
        )


def check_follows(model: LanguageModel, method: PolicyMethod) -> None:
    """Raises `ConfigError` for a method that would take another policy's answers for its own."""
    if model.sampler is not None and not model.sampler.follows and method.most_weight is None:
        raise ConfigError(
            "got a sampler that keeps its weights while the policy learns, and a method without a "
            "correction for that; expected one with `most_weight` (the default method has 2), or a "
            "sampler that is given the weights (ServerSampler(weights=FOLDER))."
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


def _log_ratios(rollouts: Rollouts, reference: Float[Array, "B T1"]) -> Float[Array, "B T1"]:
    """log pi - log pi_reference of each token, as it was drawn."""
    apart = (rollouts.log_prob - reference).double().cpu().numpy()
    return np.where(rollouts.is_drawn, apart, 0.0)


def _effective_share(weights: Float[Array, " N"]) -> float:
    """(sum w)^2 / (N sum w^2)."""
    return float(weights.sum() ** 2 / (len(weights) * (weights**2).sum()))
