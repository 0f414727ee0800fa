"""Ordinal ratings: stars as cuts through a worth, with every person's own way of using them."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.feedback.channel_option import Rating
from penchant.fitting.checkpoint import Checkpoint
from penchant.models.estimator import Estimator, fit_scores
from penchant.numerics.arrays import Array


@dataclass(eq=False)
class OrdinalRatings(Estimator):
    """p(level <= l) = F(threshold_l - u) (McCullagh 1980), F logistic or normal.

    by_person: every person has a shift and a stretch of the common thresholds, shrunk to them.
    formula: features in place of one score an item.
    """

    levels: int = 5
    formula: str = ""
    by_person: bool = False
    link: Literal["logit", "probit"] = "logit"
    group_by: str = "person"
    prior_scale: float | None = None

    def fit(
        self,
        data: Records | Batch,
        *,
        sample_weight: Float[Array, " B"] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> "OrdinalRatings":
        """Maximise the likelihood of the ratings. `checkpoint` keeps the points of a climb that
        is interrupted. Raises `DataError` for unusable data."""
        known = isinstance(data, Records | Batch) and len(data.scale) == self.levels
        channel = Rating(
            levels=self.levels,
            by_person=self.by_person,
            link=self.link,
            labels=data.scale if known else (),
        )
        self.belief_ = fit_scores(
            data,
            (channel,),
            formula=self.formula,
            group_by=self.group_by,
            prior_scale=self.prior_scale,
            sample_weight=sample_weight,
            checkpoint=checkpoint,
        )
        return self
