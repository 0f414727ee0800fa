"""Latent-class logit: a few kinds of people, and who is likely to be of which kind."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.encoders.table import TableEncoder
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.em import EMConfig
from penchant.fitting.latent_classes import choose_num_classes, fit_latent_classes
from penchant.models.estimator import Estimator, training_batch
from penchant.numerics.arrays import Array


@dataclass(eq=False)
class LatentClassLogit(Estimator):
    """p(answers of a person) = sum_s w_s(z) prod_b p(j_b | beta_s) (Kamakura and Russell 1989).

    Answers that are no choice (pairs with ties, rankings, ratings, clicks, numbers), alone or
    beside choices, are told from the same classes, each kind by its default likelihood, whose own
    parameters (thresholds, strength of ties) all classes share.
    formula: the features of the options. group_formula: what is known of each person, which says
    how likely they are to be of each class, for instance "age + income"; empty for one set of
    shares for all. num_classes: kinds of people, numbered by share; with `most_classes` the number
    from 1 to that many with the smallest M log G - 2 log L is taken instead. num_starts: places
    that EM starts from; more find a better optimum where classes are many. prior_scale: as in
    ConditionalLogit, for the part-worths of each class. router_scale: standard deviation of the
    coefficients of the group formula, log-odds per standard deviation; with many attributes 0.5 or
    so predicts new people better than none.
    """

    formula: str = ""
    group_formula: str = ""
    num_classes: int = 2
    most_classes: int | None = None
    group_by: str = "person"
    num_starts: int = 12
    prior_scale: float | None = None
    router_scale: float | None = None
    random_state: int = 0

    def fit(
        self,
        data: Records | Batch,
        *,
        sample_weight: Float[Array, " B"] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> "LatentClassLogit":
        """Maximise the likelihood from many starts; `checkpoint` keeps the finished runs of a fit
        that is interrupted.

        Raises `DataError` for unusable data.
        """
        encoder = (
            TableEncoder(self.formula, group_formula=self.group_formula, group_by=self.group_by)
            if self.formula
            else None
        )
        batch, fitted = training_batch(data, encoder, sample_weight)
        config = EMConfig(num_starts=self.num_starts)
        if self.most_classes is not None:
            self.belief_ = choose_num_classes(
                batch,
                self.most_classes,
                seed=self.random_state,
                prior_scale=self.prior_scale,
                router_scale=self.router_scale,
                config=config,
                encoder=fitted,
                checkpoint=checkpoint,
            ).best
        else:
            self.belief_ = fit_latent_classes(
                batch,
                self.num_classes,
                rng=np.random.default_rng((self.random_state, self.num_classes)),
                prior_scale=self.prior_scale,
                router_scale=self.router_scale,
                config=config,
                encoder=fitted,
                checkpoint=checkpoint,
            )
        return self
