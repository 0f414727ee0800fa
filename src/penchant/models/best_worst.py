"""Best-worst scaling: which of these matters most to you, and which least?"""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.feedback.channel_order import BestWorst as BestWorstChannel
from penchant.fitting.checkpoint import Checkpoint
from penchant.models.estimator import Estimator, fit_scores
from penchant.numerics.arrays import Array


@dataclass(eq=False)
class BestWorst(Estimator):
    """Best and worst of a menu: the best first and then the worst of the rest, or both at once.

    Marley and Pihlens (2012), Marley and Louviere (2005). formula: features in place of one score
    an item. Scores are in logits against the first item.
    """

    formula: str = ""
    model: Literal["sequential", "max_diff"] = "sequential"
    group_by: str = "person"
    prior_scale: float | None = None

    def fit(
        self,
        data: Records | Batch,
        *,
        sample_weight: Float[Array, " B"] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> "BestWorst":
        """Maximise the likelihood of both answers. `checkpoint` keeps the points of a climb that
        is interrupted. Raises `DataError` for unusable data."""
        self.belief_ = fit_scores(
            data,
            (BestWorstChannel(model=self.model),),
            formula=self.formula,
            group_by=self.group_by,
            prior_scale=self.prior_scale,
            sample_weight=sample_weight,
            checkpoint=checkpoint,
        )
        return self
