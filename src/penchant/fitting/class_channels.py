"""Every kind of answer for latent classes: rankings, ratings, graded pairs and what channels know.

One class at a time by the pooled density, so that whatever can be fitted with one taste can be
fitted with classes, at several times the cost of `class_answers`, which takes answers apart into
choices where they are made of them.

Legend: B observations, G groups (people), S classes, D features, P own parameters, W = D + P.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch import Batch
from penchant.feedback.channel_contract import Channel
from penchant.fitting.class_panel import ClassPass, people_counted
from penchant.fitting.pooled_density import PooledDensity
from penchant.fitting.pooled_task import rows_of_groups
from penchant.numerics.arrays import Array, log_sum_exp
from penchant.utilities.linear import Linear


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelPanel:
    """Any mix of answers, each kind by the channel that serves it.

    Thresholds, tie strength and other own parameters are one set for all classes: they say how a
    worth becomes an answer, which is a matter of the question and not of taste; and classes of
    people who use a scale differently would be found before classes who differ in taste.
    """

    density: PooledDensity

    @classmethod
    def of(
        cls, batch: Batch, channels: tuple[Channel, ...]
    ) -> tuple["ChannelPanel", Float[Array, " G"]]:
        """The panel and how many such people each stands for: the mean weight of their rows."""
        group_weight = people_counted(batch)
        sizes = tuple(channel.num_parameters(batch) for channel in channels)
        density = PooledDensity(
            batch=batch,
            utility=Linear(),
            channels=channels,
            sizes=sizes,
            prior_precision=np.zeros(batch.num_features + sum(sizes)),
        )
        share = 1.0 / np.where(group_weight > 0, group_weight, 1.0)
        return cls(density=density.reweighted(share)), group_weight

    @property
    def num_features(self) -> int:
        """D."""
        return self.density.num_tastes

    @property
    def num_own(self) -> int:
        """P, of all channels together."""
        return sum(self.density.sizes)

    @property
    def answered(self) -> Bool[Array, " G"]:
        """Who gave an answer at all."""
        return rows_of_groups(self.density.batch) > 0

    def take_groups(self, groups: Int[Array, " H"]) -> "ChannelPanel":
        """The answers of these people only; own parameters keep their places."""
        taken = self.density.batch.take_groups(groups)
        return ChannelPanel(density=replace(self.density, batch=taken))

    def run(
        self,
        group_weight: Float[Array, " G"],
        log_prior: Float[Array, "G S"],
        values: Float[Array, "S D"],
        own: Float[Array, " P"],
    ) -> ClassPass:
        """One pass, class by class."""
        thetas = [np.concatenate([taste, own]) for taste in values]
        log_density = np.stack([self.density.group_log_prob(theta) for theta in thetas], axis=1)
        joint = log_prior + log_density
        responsibility = np.exp(joint - log_sum_exp(joint, axis=1)[:, None])
        share = group_weight[:, None] * responsibility
        return ClassPass(
            log_density=log_density,
            responsibility=responsibility,
            scores=np.stack([self.density.group_scores(theta) for theta in thetas], axis=1),
            information=np.stack(
                [
                    self.density.reweighted(share[:, s]).information(theta)
                    for s, theta in enumerate(thetas)
                ]
            ),
        )
