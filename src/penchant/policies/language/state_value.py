"""The chance that an answer ends right, read off what there is of it: a critic, learnt and frozen.

Legend: N partial answers, C of a step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.fitting.language_learner import LanguageLearner, LearnerConfig, Parameters
from penchant.fitting.sgd import TrainConfig, train
from penchant.lm.language_model import LanguageModel
from penchant.lm.low_rank import LowRankConfig
from penchant.lm.tokens import last_states, padded
from penchant.numerics.arrays import Array, constant, log_sigmoid, sigmoid
from penchant.policies.language.trained import fresh_trained, policy_of, value_of

# Partial answers that are read at a time where no gradient is wanted.
_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Tried:
    """Prompts with what there is of an answer, as rows of tokens; of `num` ways to end each `right`
    were right (a sum of rewards from 0 to 1)."""

    rows: Sequence[Sequence[int]]
    right: Float[Array, " N"]
    num: Float[Array, " N"]

    def __post_init__(self) -> None:
        if len({len(self.rows), len(self.right), len(self.num)}) != 1 or not len(self.rows):
            raise DataError(
                f"got {len(self.rows)} rows, {len(self.right)} sums of rewards and {len(self.num)} "
                "counts; expected one of each for every partial answer, and one at the least."
            )
        bad = ~((self.num > 0) & (self.right >= 0.0) & (self.right <= self.num))
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(
                f"partial answer {row} has {self.right[row]:g} right of {self.num[row]:g} ends "
                f"({bad.sum()} of {len(bad)} are like this); expected from 0 to all, of one or "
                "more. Rewards are to be from 0 to 1; leave out what was never ended."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class StateValue:
    """V(s) = sigma(w' h(s) + b), h the state of a copy of the policy after the last token."""

    model: LanguageModel
    parameters: Parameters
    low_rank: LowRankConfig | None = None

    def chance(self, rows: Sequence[Sequence[int]]) -> Float[Array, " N"]:
        """That each ends right."""
        import torch

        with torch.no_grad():
            parts = [
                sigmoid(self.logit(rows[at : at + _AT_ONCE]))
                for at in range(0, len(rows), _AT_ONCE)
            ]
        return torch.cat(parts).double().cpu().numpy() if parts else np.zeros(0)

    def logit(self, rows: Sequence[Sequence[int]]) -> Float[Array, " N"]:
        """Of that chance; autograd goes through."""
        policy = policy_of(self.model, self.parameters, self.low_rank)
        device = next(iter(self.model.parameters.values())).device
        tokens = padded(rows, policy.tokenizer.pad).to(device)
        states = policy.network.read(policy.parameters, tokens).states
        return value_of(self.parameters, last_states(states, tokens.is_text))


def fit_state_value(
    model: LanguageModel,
    tried: Tried,
    training: TrainConfig,
    *,
    learner: LearnerConfig | None = None,
    low_rank: LowRankConfig | None = None,
    seed: int = 0,
) -> StateValue:
    """Climb sum_s right_s log V(s) + (num_s - right_s) log (1 - V(s)), the cross-entropy of Monte-
    Carlo accuracies (Liu et al. 2024), from a copy of the policy and V = 1/2 everywhere: the whole
    of it, or adapters, which `seed` draws."""
    import torch

    fresh = fresh_trained(model, low_rank, True, torch.Generator().manual_seed(seed))
    objective = _Ends(model=model, tried=tried, low_rank=low_rank)
    climber = LanguageLearner(fresh, objective, learner)
    train(climber, np.arange(len(tried.rows)), np.zeros(0, dtype=np.int64), training)
    return StateValue(model=model, parameters=climber.parameters, low_rank=low_rank)


def ends_log_prob(
    logit: Float[Array, " N"], right: Float[Array, " N"], num: Float[Array, " N"]
) -> Float[Array, " N"]:
    """right log sigma(v) + (num - right) log sigma(-v), the binomial law but for its constant."""
    good, all_of_it = constant(right, logit), constant(num, logit)
    return good * log_sigmoid(logit) + (all_of_it - good) * log_sigmoid(-logit)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ends:
    """Implements `language_learner.Objective`; an example is a partial answer."""

    model: LanguageModel
    tried: Tried
    low_rank: LowRankConfig | None

    def weight(self, examples: Int[Array, " C"]) -> float:
        return float(self.tried.num[examples].sum())

    def log_prob(self, parameters: Parameters, examples: Int[Array, " C"]) -> Any:
        critic = StateValue(model=self.model, parameters=parameters, low_rank=self.low_rank)
        logit = critic.logit([self.tried.rows[e] for e in examples])
        return ends_log_prob(logit, self.tried.right[examples], self.tried.num[examples]).sum()

    def penalty(self, parameters: Parameters) -> Any:
        return 0.0
