"""Plackett-Luce: one score an item from rankings, full or partial, ties included."""

from dataclasses import dataclass

from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.feedback.channel_order import Ranking
from penchant.fitting.checkpoint import Checkpoint
from penchant.models.estimator import Estimator, fit_scores
from penchant.numerics.arrays import Array


@dataclass(eq=False)
class PlackettLuce(Estimator):
    """p(ranking) = product over places of exp(s) / sum of exp(s) of what is left.

    Luce (1959), Plackett (1975). Items without a rank stood on the menu and came after all ranked
    ones (top-k rankings); tied items are summed over the orders they could have had. formula:
    features in place of one score an item. Scores are in logits against the first item.
    """

    formula: str = ""
    group_by: str = "person"
    prior_scale: float | None = None

    def fit(
        self,
        data: Records | Batch,
        *,
        sample_weight: Float[Array, " B"] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> "PlackettLuce":
        """Maximise the likelihood of the rankings. `checkpoint` keeps the points of a climb that
        is interrupted. Raises `DataError` for unusable data."""
        self.belief_ = fit_scores(
            data,
            (Ranking(),),
            formula=self.formula,
            group_by=self.group_by,
            prior_scale=self.prior_scale,
            sample_weight=sample_weight,
            checkpoint=checkpoint,
        )
        return self
