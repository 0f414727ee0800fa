"""Answers under logit noise for latent classes, as the plain choices that they are made of.

Of menus of four a pass takes 1.5 (votes), 2.2 (rankings) and 3.6 times (ratings of all four) the
fused pass over as many choices, where `class_channels`, which knows every kind of answer, takes 6
to 12 (16,000 answers, ten features, three classes).

Legend: G groups (people), S classes, D features, T columns beside them, P own parameters,
W = D + P.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch import Batch
from penchant.feedback.as_choices import as_choices
from penchant.feedback.channel_contract import Channel
from penchant.feedback.own_columns import OwnColumns
from penchant.fitting.class_choices import ChoicePanel
from penchant.fitting.class_panel import ClassPass, people_counted
from penchant.fitting.pooled_task import rows_of_groups
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class AnswerPanel:
    """Choices that have columns beside their features; what multiplies these is common to all
    classes, and made of the own parameters (thresholds, bars, tie strength)."""

    choices: ChoicePanel
    columns: OwnColumns
    num_features: int
    answered: Bool[Array, " G"]

    @classmethod
    def of(
        cls, batch: Batch, channels: tuple[Channel, ...]
    ) -> tuple["AnswerPanel", Float[Array, " G"]] | None:
        """The panel and how many such people each stands for; None where an answer is no choice."""
        made = as_choices(batch, channels)
        if made is None:
            return None
        group_weight, flat = people_counted(batch), made.choices.flat_choices()
        group = np.repeat(np.arange(batch.num_groups), np.diff(flat.group_start))
        share = np.where(group_weight > 0, group_weight, 1.0)[group]
        panel = cls(
            choices=ChoicePanel(flat=replace(flat, weight=flat.weight / share)),
            columns=made.columns.shared_out(group_weight),
            num_features=batch.num_features,
            answered=rows_of_groups(batch) > 0,
        )
        return panel, group_weight

    @property
    def num_own(self) -> int:
        """P, of all kinds of answers together."""
        return self.columns.num_parameters

    def take_groups(self, groups: Int[Array, " H"]) -> "AnswerPanel":
        """The answers of these people only; own parameters keep their places."""
        return replace(
            self,
            choices=self.choices.take_groups(groups),
            columns=self.columns.take_groups(groups),
            answered=self.answered[groups],
        )

    def run(
        self,
        group_weight: Float[Array, " G"],
        log_prior: Float[Array, "G S"],
        values: Float[Array, "S D"],
        own: Float[Array, " P"],
    ) -> ClassPass:
        """One pass over the choices, its derivatives led back to the own parameters."""
        columns, cut = self.columns, self.num_features
        beside = np.tile(columns.coefficients(own), (len(values), 1))
        inner = self.choices.run(
            group_weight, log_prior, np.concatenate([values, beside], axis=1), np.zeros(0)
        )
        jacobian, gaps = columns.jacobian(own), columns.gap_term(own)
        chain = np.zeros((cut + len(jacobian), cut + len(own)))
        chain[:cut, :cut], chain[cut:, cut:] = np.eye(cut), jacobian
        scores = inner.scores @ chain
        scores[:, :, cut:] += gaps.score[:, None]
        information = chain.T @ inner.information @ chain
        share = group_weight[:, None] * inner.responsibility
        pull = np.einsum("gs,gst->st", share, inner.scores[:, :, cut:])
        for s in range(len(values)):
            information[s, cut:, cut:] -= columns.bend(own, pull[s])
            information[s, cut:, cut:] += columns.gap_information(own, share[:, s])
        return ClassPass(
            log_density=inner.log_density + gaps.value[:, None],
            # A factor that all classes have in common tells nothing of the class.
            responsibility=inner.responsibility,
            scores=scores,
            information=information,
        )
