"""What a batch of rollouts says of a policy's parameters: the sum that one update climbs.

Legend: B rows, C rows of a part, T1 tokens after those before them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.lm.language_model import LanguageModel, Parameters
from penchant.lm.log_probs import log_probs
from penchant.numerics.arrays import Array
from penchant.policies.language.loss import Surrogate, divergence_loss, policy_gradient_loss
from penchant.policies.language.methods.group_relative import Anchor
from penchant.policies.language.rollouts import Rollouts


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyObjective:
    """Implements `language_learner.Objective`; an example is a row.

    The normaliser stands in `scale`, made of a whole mini-batch before it is divided, so that
    micro-batches and processes change nothing. old: log-probabilities at the start of the update;
    None in its only step, where the policy is its own denominator. correction: constants for
    tokens (the sampler's numbers against the trainer's). reference: log-probabilities of the frozen
    policy, where an anchor holds in the loss.
    """

    model: LanguageModel
    rollouts: Rollouts
    unit_of: Int[Array, "B T1"]
    advantage: Float[Array, "B T1"]
    scale: Float[Array, "B T1"]
    surrogate: Surrogate
    temperature: float = 1.0
    old: Float[Array, "B T1"] | None = None
    correction: Float[Array, "B T1"] | None = None
    reference: Float[Array, "B T1"] | None = None
    anchor: Anchor | None = None

    def weight(self, examples: Int[Array, " C"]) -> float:
        return 1.0

    def log_prob(self, parameters: Parameters, examples: Int[Array, " C"]) -> Any:
        """Minus the loss of these rows."""
        part = self.rollouts.take(examples)
        logp = token_log_probs(self.model.with_parameters(parameters), part, self.temperature)
        width = logp.shape[1]

        def mine(values: Array | None) -> Array | None:
            return None if values is None else values[examples, :width]

        unit_of, scale = self.unit_of[examples, :width], self.scale[examples, :width]
        loss = policy_gradient_loss(
            logp, logp.detach() if self.old is None else mine(self.old),
            self.advantage[examples, :width], unit_of, scale, self.surrogate,
            weight=mine(self.correction),
        )  # fmt: skip
        if self.anchor is not None and self.anchor.place == "loss":
            apart = divergence_loss(
                logp, mine(self.reference), scale, self.anchor.estimator or "k3"
            )
            loss = loss + self.anchor.strength * apart
        return -loss

    def penalty(self, parameters: Parameters) -> Any:
        return 0.0


def token_log_probs(
    model: LanguageModel, rollouts: Rollouts, temperature: float
) -> Float[Array, "B T1"]:
    """log pi of each token, under the temperature it was drawn at; autograd goes through."""
    return log_probs(model, rollouts.tokens, temperature=temperature).log_prob


def in_parts(
    model: LanguageModel, rollouts: Rollouts, temperature: float, at_once: int
) -> Float[Array, "B T1"]:
    """The same without a gradient, so many rows at a time."""
    import torch

    blank = rollouts.log_prob.new_zeros(rollouts.is_drawn.shape)
    with torch.no_grad():
        for start in range(0, len(rollouts), at_once):
            rows = np.arange(start, min(start + at_once, len(rollouts)))
            found = token_log_probs(model, rollouts.take(rows), temperature)
            blank[rows, : found.shape[1]] = found
    return blank
