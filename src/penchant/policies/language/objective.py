"""What a batch of rollouts says of a policy's parameters: the sum that one update climbs.

Legend: B rows, C rows of a part, T1 tokens after those before them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.lm.language_model import LanguageModel, Parameters
from penchant.lm.low_rank import LowRankConfig
from penchant.numerics.arrays import Array, constant
from penchant.policies.language.aggregation import aggregate
from penchant.policies.language.layout import Layout, groups_within, read_drawn
from penchant.policies.language.loss import (
    Steer,
    Surrogate,
    divergence_loss,
    entropy_loss,
    policy_gradient_loss,
)
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.ratio import OLD, denominator, log_ratio
from penchant.policies.language.rollouts import Rollouts
from penchant.policies.language.trained import policy_of, value_of


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyObjective:
    """Implements `language_learner.Objective`; an example is a row.

    The normaliser stands in `scale`, made of a whole mini-batch before it is divided, so that
    micro-batches and processes change nothing. old: log-probabilities at the start of the update;
    None in its only step, where the policy is its own denominator. correction: constants for
    tokens (the sampler's numbers against the trainer's). reference: log-probabilities of the frozen
    policy, where an anchor holds in the loss. low_rank: what the parameters are thin matrices of.
    denominator: what each row's ratio is against (`ratio.denominator`; None: all against `old`).
    target: what a value should say of each token (NaN: nothing), `value_weight` its squared
    error's. steer: where entropy is sought or held. layout, most_tokens: how rows are read, and
    about how many tokens at once (None: as the learner says).
    """

    model: LanguageModel
    rollouts: Rollouts
    unit_of: Int[Array, "B T1"]
    advantage: Float[Array, "B T1"]
    scale: Float[Array, "B T1"]
    surrogate: Surrogate
    temperature: float = 1.0
    old: Float[Array, "B T1"] | None = None
    denominator: Int[Array, " B"] | None = None
    correction: Float[Array, "B T1"] | None = None
    reference: Float[Array, "B T1"] | None = None
    anchor: Anchor | None = None
    low_rank: LowRankConfig | None = None
    target: Float[Array, "B T1"] | None = None
    value_weight: float = 0.0
    steer: Steer | None = None
    layout: Layout = "shared"
    most_tokens: int | None = None

    def parts(self, examples: Int[Array, " C"]) -> list[Int[Array, " _"]] | None:
        """Rows that are read together: whole groups within the budget of tokens."""
        if self.most_tokens is None:
            return None
        return rows_within(self.rollouts, examples, self.most_tokens, self.layout)

    def weight(self, examples: Int[Array, " C"]) -> float:
        return 1.0

    def log_prob(self, parameters: Parameters, examples: Int[Array, " C"]) -> Any:
        """Minus the loss of these rows."""
        import torch

        part = self.rollouts.take(examples)
        policy = policy_of(self.model, parameters, self.low_rank)
        read = read_drawn(
            policy, part, temperature=self.temperature, layout=self.layout,
            has_entropy=self.steer is not None,
        )  # fmt: skip
        logp = read.placed(read.log_prob, part)
        width = logp.shape[1]

        def mine(values: Array | None) -> Array | None:
            return None if values is None else values[examples, :width]

        unit_of, scale = self.unit_of[examples, :width], self.scale[examples, :width]
        kind = np.full(len(examples), OLD)
        if self.denominator is not None:
            kind = self.denominator[examples]
        against = denominator(
            logp, constant(kind, logp), part.log_prob.to(logp.dtype), mine(self.old)
        )
        loss = policy_gradient_loss(
            logp, against, self.advantage[examples, :width], unit_of, scale, self.surrogate,
            weight=mine(self.correction),
        )  # fmt: skip
        if self.anchor is not None and self.anchor.place == "loss":
            ratio = None
            if self.anchor.is_weighed:
                level = self.surrogate.level
                ratio = log_ratio(logp, against, constant(unit_of, logp), level).exp()
            apart = divergence_loss(
                logp, mine(self.reference), scale, self.anchor.estimator or "k3", ratio=ratio
            )
            loss = loss + self.anchor.strength * apart
        if self.steer is not None:
            entropy = read.placed(read.entropy, part)
            loss = loss + entropy_loss(entropy, scale, self.steer.take(examples, width))
        if self.target is not None:
            said = read.placed(value_of(parameters, read.states), part)
            target = constant(self.target[examples, :width], said)
            # Where there is none the value is its own target: nothing to learn.
            off = 0.5 * (said - torch.where(torch.isnan(target), said.detach(), target)) ** 2
            loss = loss + self.value_weight * aggregate(off, scale)
        return -loss

    def penalty(self, parameters: Parameters) -> Any:
        return 0.0


def rows_within(
    rollouts: Rollouts, examples: Int[Array, " C"], budget: int, layout: Layout = "shared"
) -> list[Int[Array, " _"]]:
    """The rows in parts of about so many tokens, those of a prompt together."""
    sizes = rollouts.tokens.is_text.sum(dim=1).cpu().numpy()[examples]
    start = rollouts.start[examples]
    return [
        examples[part]
        for part in groups_within(
            rollouts.prompt_of[examples], start, sizes - start, budget, layout
        )
    ]


def token_log_probs(
    model: LanguageModel, rollouts: Rollouts, temperature: float, layout: Layout = "shared"
) -> Float[Array, "B T1"]:
    """log pi of each drawn token, under the temperature it was drawn at; autograd goes through."""
    read = read_drawn(model, rollouts, temperature=temperature, layout=layout)
    return read.placed(read.log_prob, rollouts)


def in_parts(
    model: LanguageModel,
    rollouts: Rollouts,
    temperature: float,
    at_once: int,
    *,
    layout: Layout = "shared",
    value: Parameters | None = None,
) -> Float[Array, "B T1"]:
    """The same without a gradient, so many rows at a time; with `value`, what it says instead."""
    import torch

    blank = rollouts.log_prob.new_zeros(rollouts.is_drawn.shape)
    with torch.no_grad():
        for start in range(0, len(rollouts), at_once):
            rows = np.arange(start, min(start + at_once, len(rollouts)))
            part = rollouts.take(rows)
            read = read_drawn(model, part, temperature=temperature, layout=layout)
            said = read.log_prob if value is None else value_of(value, read.states)
            blank[rows, : part.is_drawn.shape[1]] = read.placed(said, part)
    return blank
