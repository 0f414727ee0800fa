"""Learning from single steps of answers whose worth a frozen critic knows: no pairs, no draws.

Legend: B steps, C steps of one update.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.fitting.language_learner import LanguageLearner, LearnerConfig, Parameters
from penchant.fitting.processes import number
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
from penchant.policies.language.preference import advantage_loss
from penchant.policies.language.trained import fresh_trained, policy_of


@dataclass(frozen=True, kw_only=True, eq=False)
class ValuedSteps:
    """A prompt, what was written up to here and one step more as a row of tokens; the step begins
    at `place`. advantage: what it changes in the chance to be right."""

    rows: Sequence[Sequence[int]]
    place: Int[Array, " B"]
    advantage: Float[Array, " B"]

    def __post_init__(self) -> None:
        if len({len(self.rows), len(self.place), len(self.advantage)}) != 1 or not len(self.rows):
            raise DataError(
                f"got {len(self.rows)} rows, {len(self.place)} places and {len(self.advantage)} "
                "advantages; expected one of each for every step, and one at the least."
            )
        if not np.all(np.isfinite(self.advantage)):
            raise DataError(
                f"{(~np.isfinite(self.advantage)).sum()} of {len(self.advantage)} advantages are "
                "not finite; expected numbers. Leave out steps of which nobody knows what they did."
            )
        check_scored(self.rows, self.place, of="step")

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepsConfig:
    """strength: beta, units of reward a nat of log-ratio: a step that makes sure what was a toss-up
    (0.5) is to become exp(0.5 / beta) times as likely. low_rank: adapters, None trains the whole
    model. layout: as in `direct.DirectConfig`."""

    strength: float = 0.2
    low_rank: LowRankConfig | None = None
    layout: Layout = "packed"
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        check_reading(self.layout)
        if not self.strength > 0.0:
            raise ConfigError(
                f"got strength={self.strength}; expected above 0: without it nothing bounds how "
                "far a step's probability is to move."
            )


def fit_valued_steps(
    model: LanguageModel,
    steps: ValuedSteps,
    training: TrainConfig,
    config: StepsConfig | None = None,
    *,
    checkpoint: Path | None = None,
) -> tuple[LanguageModel, Training]:
    """Minimise the mean of (log pi / pi_reference - A / beta)^2 / 2 over steps (Direct Advantage,
    Liu et al. 2024), the reference being the model as given: regression, and so as steady in the
    fifth pass as in the first."""
    import torch

    config = config or StepsConfig()
    config = replace(
        config,
        layout=settled(model, answers_of(model, steps.rows[:2], steps.place[:2]), config.layout),
    )
    with in_precision(config.learner.precision, next(iter(model.parameters.values())).device):
        reference = frozen_answer_sums(model, steps.rows, steps.place, layout=config.layout)
    objective = _Regressed(model=model, steps=steps, config=config, reference=reference)
    fresh = fresh_trained(model, config.low_rank, False, torch.Generator().manual_seed(config.seed))
    learner = LanguageLearner(fresh, objective, config.learner)
    begun = "" if checkpoint is None else (
        f"{config!r} on {fingerprint(steps.rows, model.parameters)} "
        f"{np.asarray(steps.place).tolist()} {np.asarray(steps.advantage).tolist()}"
    )  # fmt: skip
    done = train(
        learner, np.arange(len(steps)), np.zeros(0, dtype=np.int64), training,
        checkpoint=checkpoint, is_writer=number() == 0, fingerprint=begun,
    )  # fmt: skip
    return policy_of(model, learner.parameters, config.low_rank), done


@dataclass(frozen=True, kw_only=True, eq=False)
class _Regressed:
    """Implements `language_learner.Objective`; an example is a step."""

    model: LanguageModel
    steps: ValuedSteps
    config: StepsConfig
    reference: Float[Array, " B"]

    def weight(self, examples: Int[Array, " C"]) -> float:
        return float(len(examples))

    def log_prob(self, parameters: Parameters, examples: Int[Array, " C"]) -> Any:
        steps, config = self.steps, self.config
        policy = policy_of(self.model, parameters, config.low_rank)
        rows = [steps.rows[e] for e in examples]
        own = answer_sums(policy, rows, steps.place[examples], layout=config.layout)
        utility = config.strength * (own - self.reference[examples])
        return -advantage_loss(utility, steps.advantage[examples], config.strength).sum()

    def penalty(self, parameters: Parameters) -> Any:
        return 0.0
