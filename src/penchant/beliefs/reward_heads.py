"""Several reward heads and who follows which: what a fit of a mixture of heads leaves.

Legend: B pairs, D dimensions, K heads, S kinds of people (each a mix of heads), G groups, Q context
features, C columns of the pair, M own parameters of the likelihood, A answers.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.posterior import group_log_likelihood, responsibilities
from penchant.beliefs.storage import load_value, save_value
from penchant.errors import BeliefError, DataError
from penchant.feedback.gap import GapModel
from penchant.numerics.arrays import Array
from penchant.populations.classes import router_log_weights


@dataclass(frozen=True, kw_only=True, eq=False)
class RewardHeads:
    """r_s(f) = sum_k mixing[s, k] f' head_k, and p(s | context) = softmax of (0, router rows).

    pooled: "outside" the link, p(y) = sum_s w_s p(y | r_s), people who differ; or "inside",
    p(y | sum_s w_s r_s), one mind that trades off. mixing: None where kind s follows head s.
    router: intercept first, for the kinds after the first; centre, scale: of the context.
    coefficients: of the pair's own columns (first shown, say), the same for everybody.
    """

    weights: Float[Array, "K D"]
    router: Float[Array, "R Q1"]
    centre: Float[Array, " Q"]
    scale: float
    model: GapModel
    own: Float[Array, " M"]
    coefficients: Float[Array, " C"]
    pooled: Literal["outside", "inside"] = "outside"
    mixing: Float[Array, "S K"] | None = None

    @property
    def kinds(self) -> Float[Array, "S D"]:
        """The weights of each kind of people."""
        return self.weights if self.mixing is None else self.mixing @ self.weights

    def log_weights(self, context: Float[Array, "G Q"]) -> Float[Array, "G S"]:
        """log p(kind | context) of each group, before it answers anything.

        Raises `DataError` for another number of context features than the router was fitted on.
        """
        if context.shape[1] != len(self.centre):
            raise DataError(
                f"the context has {context.shape[1]} features; the router was fitted on "
                f"{len(self.centre)}. Give the same features in the same order."
            )
        if not self.router.size:
            num = len(self.kinds)
            return np.full((len(context), num), -np.log(num))
        return router_log_weights(self.router, (context - self.centre) / self.scale)

    def gaps(
        self, differences: Float[Array, "B D"], columns: Float[Array, "B C"] | None = None
    ) -> Float[Array, "B S"]:
        """How much more the first is worth than the second to each kind, in logits."""
        gap = differences @ self.kinds.T
        return gap if columns is None else gap + (columns @ self.coefficients)[:, None]

    def log_probs(
        self,
        differences: Float[Array, "B D"],
        answer: Int[Array, " B"],
        columns: Float[Array, "B C"] | None = None,
    ) -> Float[Array, "B S"]:
        """log p(answer | kind)."""
        gap = self.gaps(differences, columns)
        return self.model.log_prob(gap.astype(np.float64), answer, self.own[None, :, None])

    def probabilities(
        self,
        differences: Float[Array, "B D"],
        log_weights: Float[Array, "#B S"],
        columns: Float[Array, "B C"] | None = None,
    ) -> Float[Array, "B A"]:
        """Of every answer, to whom the kinds have these weights; pooled as the heads were."""
        gap = self.gaps(differences, columns).astype(np.float64)
        weight = np.exp(log_weights)
        if self.pooled == "inside":
            return self.model.probabilities((gap * weight).sum(axis=1), self.own[None])
        each = self.model.probabilities(gap, self.own[None, :, None])
        return (each * weight[:, None]).sum(axis=2)

    def learned(
        self,
        log_weights: Float[Array, "#G S"],
        differences: Float[Array, "B D"],
        answer: Int[Array, " B"],
        group: Int[Array, " B"],
        columns: Float[Array, "B C"] | None = None,
        learning_rate: float = 1.0,
    ) -> Float[Array, "G S"]:
        """log-weights after some answers: closed form, no fitting.

        w_s proportional to w_s exp(learning_rate sum_b log p(y_b | s)): Hedge (Freund and Schapire
        1997) on the log loss. At rate 1 it is Bayes' rule, p(kind | context, answers); below, it
        trusts answers less, for judges who are not one of the kinds.
        """
        told = self.log_probs(differences, answer, columns)
        num = len(log_weights) if len(log_weights) > 1 else int(group.max(initial=0)) + 1
        weight = np.full(len(group), learning_rate)
        return responsibilities(log_weights, group_log_likelihood(told, group, weight, num))

    def save(self, folder: str | Path) -> None:
        """Write the heads into `folder` (made if absent), as a belief is written."""
        save_value(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> "RewardHeads":
        """Read what `save` wrote. Raises `BeliefError` where it is damaged or something else."""
        found = load_value(Path(folder))
        if not isinstance(found, cls):
            raise BeliefError(
                f"{folder} holds a {type(found).__name__}; expected the heads that "
                "`RewardHeads.save` wrote. A reward model is read by `RewardScorer.load`."
            )
        return found

    def average(self) -> "RewardHeads":
        """The heads with every weight constant: what they say once the context is forgotten."""
        return replace(self, router=self.router[:, :1], centre=self.centre[:0])
