"""Bradley-Terry: one score an item from pairs, ties included."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.feedback.channel_pair import Pair
from penchant.fitting.checkpoint import Checkpoint
from penchant.models.estimator import Estimator, fit_scores
from penchant.numerics.arrays import Array


@dataclass(eq=False)
class BradleyTerry(Estimator):
    """p(i beats j) = 1 / (1 + exp(s_j - s_i)) (Zermelo 1929; Bradley and Terry 1952).

    ties: None (a tie is an error), "davidson" (Davidson 1970) or "rao_kupper" (Rao and Kupper
    1967), whose tie strength is estimated. link: "logit", or "probit" for Thurstone (1927).
    formula: features in place of one score an item. Scores are in logits against the first item.
    """

    formula: str = ""
    ties: Literal["davidson", "rao_kupper"] | None = None
    link: Literal["logit", "probit"] = "logit"
    group_by: str = "person"
    prior_scale: float | None = None

    def fit(
        self,
        data: Records | Batch,
        *,
        sample_weight: Float[Array, " B"] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> "BradleyTerry":
        """Maximise the likelihood of the pairs. `checkpoint` keeps the points of a climb that
        is interrupted. Raises `DataError` for unusable data."""
        self.belief_ = fit_scores(
            data,
            (Pair(ties=self.ties, link=self.link),),
            formula=self.formula,
            group_by=self.group_by,
            prior_scale=self.prior_scale,
            sample_weight=sample_weight,
            checkpoint=checkpoint,
        )
        return self
