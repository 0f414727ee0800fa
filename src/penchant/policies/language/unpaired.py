"""Learning from single answers that were found good or bad, without pairs.

Legend: B answers, C answers of a step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError, DataError
from penchant.fitting.language_learner import LanguageLearner, LearnerConfig, Parameters
from penchant.fitting.processes import num_processes, number
from penchant.fitting.sgd import TrainConfig, Training, train
from penchant.lm.language_model import LanguageModel
from penchant.lm.low_rank import LowRankConfig
from penchant.lm.precision import in_precision
from penchant.lm.tokens import fingerprint
from penchant.numerics.arrays import Array
from penchant.policies.language.answers import (
    answer_sums,
    answers_of,
    check_scored,
    frozen_answer_sums,
)
from penchant.policies.language.layout import Layout, check_reading, settled
from penchant.policies.language.preference import unpaired_loss
from penchant.policies.language.trained import fresh_trained, policy_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """An answer to a prompt as a row of tokens, from `place` on. is_desired: how it was judged.
    own: of several turns, which tokens the policy wrote, the only ones that are scored (M-KTO,
    Xiong et al. 2024); None: all from `place` on."""

    rows: Sequence[Sequence[int]]
    place: Int[Array, " B"]
    is_desired: Bool[Array, " B"]
    own: Sequence[Sequence[bool]] | None = None

    def __post_init__(self) -> None:
        if len({len(self.rows), len(self.place), len(self.is_desired)}) != 1 or len(self.rows) < 2:
            raise DataError(
                f"got {len(self.rows)} rows, {len(self.place)} places and {len(self.is_desired)} "
                "judgements; expected one each of every answer, and two answers at the least."
            )
        if not 0 < np.sum(self.is_desired) < len(self.rows):
            raise DataError(
                f"{int(np.sum(self.is_desired))} of {len(self.rows)} answers are desired; expected "
                "both kinds: nothing else says which way to go. Add the other one."
            )
        check_scored(self.rows, self.place, self.own)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class UnpairedConfig:
    """strength: beta, nats of utility a nat of log-ratio. desired_weight, undesired_weight: of the
    two kinds; None weighs the rarer one up until both count alike. low_rank: adapters, None trains
    the whole model. layout: as in `direct.DirectConfig`. learner: `at_once` holds a whole batch,
    whose usual level is one number."""

    strength: float = 0.1
    desired_weight: float | None = None
    undesired_weight: float | None = None
    low_rank: LowRankConfig | None = None
    layout: Layout = "packed"
    learner: LearnerConfig = field(default_factory=lambda: LearnerConfig(at_once=64))
    seed: int = 0

    def __post_init__(self) -> None:
        check_reading(self.layout)
        weights = (self.desired_weight, self.undesired_weight)
        if not self.strength > 0.0 or any(w is not None and not w > 0.0 for w in weights):
            raise ConfigError(
                f"got strength={self.strength} and weights {weights}; expected them above 0: what "
                "is desired would be unlearnt, or one kind of answer teach nothing."
            )


def fit_unpaired(
    model: LanguageModel,
    judged: Judged,
    training: TrainConfig,
    config: UnpairedConfig | None = None,
    *,
    checkpoint: Path | None = None,
) -> tuple[LanguageModel, Training]:
    """Ethayarajh et al. (2024, KTO): minus `preference.unpaired_loss`, the usual level of a batch
    being beta times the mean log-ratio of answers that belong to the prompt before, at least 0.

    Raises `ConfigError` where a batch is not read in one go, by one process: its level would depend
    on the parts.
    """
    import torch

    config = config or UnpairedConfig()
    if training.batch_size > config.learner.at_once:
        raise ConfigError(
            f"got batch_size={training.batch_size} with at_once={config.learner.at_once}; expected "
            "batches that are read in one go: the usual level is a whole batch's. Raise at_once."
        )
    if num_processes() > 1:
        raise ConfigError(
            f"got {num_processes()} processes, each of which would see a part of a batch; expected "
            "one: the usual level is a whole batch's. Start it without torchrun."
        )
    good = int(np.sum(judged.is_desired))
    bad = len(judged) - good
    config = replace(
        config,
        desired_weight=config.desired_weight or max(1.0, bad / good),
        undesired_weight=config.undesired_weight or max(1.0, good / bad),
        layout=settled(model, answers_of(model, judged.rows[:2], judged.place[:2]), config.layout),
    )
    with in_precision(config.learner.precision, next(iter(model.parameters.values())).device):
        reference = frozen_answer_sums(model, judged.rows, judged.place, judged.own, config.layout)
    objective = _Unpaired(model=model, judged=judged, config=config, reference=reference)
    fresh = fresh_trained(model, config.low_rank, False, torch.Generator().manual_seed(config.seed))
    learner = LanguageLearner(fresh, objective, config.learner)
    begun = "" if checkpoint is None else (
        f"{config!r} on {fingerprint(judged.rows, model.parameters)} "
        f"{np.asarray(judged.place).tolist()} {np.asarray(judged.is_desired).tolist()} {judged.own}"
    )  # fmt: skip
    done = train(
        learner, np.arange(len(judged)), np.zeros(0, dtype=np.int64), training,
        checkpoint=checkpoint, is_writer=number() == 0, fingerprint=begun,
    )  # fmt: skip
    return policy_of(model, learner.parameters, config.low_rank), done


def some_answers(judged: Judged, rows: Int[Array, " C"]) -> Judged:
    """A part of them."""
    return Judged(
        rows=[judged.rows[b] for b in rows], place=judged.place[rows],
        is_desired=judged.is_desired[rows],
        own=None if judged.own is None else [judged.own[b] for b in rows],
    )  # fmt: skip


def answer_log_ratios(
    policy: LanguageModel, reference: LanguageModel, judged: Judged, rows: Int[Array, " C"]
) -> Float[Array, " C"]:
    """log pi - log pi_reference of some answers."""
    mine, some = _own(judged, rows), [judged.rows[b] for b in rows]
    told = (
        frozen_answer_sums(model, some, judged.place[rows], mine, "padded")
        for model in (policy, reference)
    )
    own, other = (part.double().cpu().numpy() for part in told)
    return own - other


@dataclass(frozen=True, kw_only=True, eq=False)
class _Unpaired:
    """Implements `language_learner.Objective`; an example is an answer."""

    model: LanguageModel
    judged: Judged
    config: UnpairedConfig
    reference: Float[Array, " B"]

    def weight(self, examples: Int[Array, " C"]) -> float:
        return float(len(examples))

    def log_prob(self, parameters: Parameters, examples: Int[Array, " C"]) -> Any:
        import torch

        config, judged = self.config, self.judged
        policy = policy_of(self.model, parameters, config.low_rank)
        rows = [judged.rows[e] for e in examples]
        mine = _own(judged, examples)
        own = answer_sums(policy, rows, judged.place[examples], mine, config.layout)
        utility = config.strength * (own - self.reference[examples])
        usual = config.strength * self._drift(policy, examples)
        loss = unpaired_loss(
            utility, torch.from_numpy(judged.is_desired[examples]).to(utility.device), usual[None],
            desired_weight=config.desired_weight or 1.0,
            undesired_weight=config.undesired_weight or 1.0,
        )  # fmt: skip
        return -loss.sum()

    def penalty(self, parameters: Parameters) -> Any:
        return 0.0

    def _drift(self, policy: LanguageModel, examples: Int[Array, " C"]) -> Any:
        """The mean log-ratio of answers beside prompts that they do not answer: how far the policy
        has gone from its reference, without a draw."""
        import torch

        judged, window = self.judged, self.model.network.window
        rows = [
            # Answer and prompt may be longer together than either with its own.
            [*judged.rows[e][: judged.place[e]], *judged.rows[o][judged.place[o] :]][:window]
            for e, o in zip(examples, np.roll(examples, 1))
        ]
        own = None
        if judged.own is not None:
            own = [
                [*judged.own[e][: judged.place[e]], *judged.own[o][judged.place[o] :]][:window]
                for e, o in zip(examples, np.roll(examples, 1))
            ]
        with torch.no_grad():
            told = [
                answer_sums(model, rows, judged.place[examples], own, self.config.layout)
                for model in (policy, self.model)
            ]
        return (told[0] - told[1]).mean()


def _own(judged: Judged, rows: Int[Array, " C"]) -> Sequence[Sequence[bool]] | None:
    return None if judged.own is None else [judged.own[b] for b in rows]
