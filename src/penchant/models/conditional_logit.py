"""Conditional logit: one taste for all, in any situation the formula knows."""

from dataclasses import dataclass

from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.encoders.table import TableEncoder
from penchant.feedback.channel import default_channels
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.newton import NewtonConfig
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.pooled_task import Method
from penchant.models.estimator import Estimator, shrinkage_of, training_batch, with_shrunk
from penchant.numerics.arrays import Array


@dataclass(eq=False)
class ConditionalLogit(Estimator):
    """p(j | menu) = exp(u_j) / sum_k exp(u_k), u = x beta (McFadden 1974), by maximum likelihood.

    Answers that are no choice (pairs with ties, rankings, ratings, clicks, numbers), alone or
    beside choices, are told from the same utility, each kind by its default likelihood.
    formula: the features, for instance "option + time + cost + time:purpose"; not needed to fit
    on a batch. shrunk: further terms, hundreds of interactions perhaps, whose part-worths are
    shrunk to zero family by family (the terms that begin with the same factor), by an amount that
    the data tell. group_by: whose rows hang together, for the robust errors. prior_scale: standard
    deviation of each part-worth per standard deviation of its feature; None: no prior unless the
    data push an estimate to infinity. solver: "newton", "lbfgs" (same optimum, made for thousands
    of parameters), or "auto", by their number. doubt_draws: average predictions over so many draws
    of our doubt about the coefficients; 0 predicts at the mode. A coefficient is utility per unit
    of its feature.
    """

    formula: str = ""
    group_by: str = "person"
    shrunk: str = ""
    prior_scale: float | None = None
    doubt_draws: int = 0
    random_state: int = 0
    solver: Method = "auto"
    max_steps: int = 100
    tolerance: float = 1e-12

    def fit(
        self,
        data: Records | Batch,
        *,
        sample_weight: Float[Array, " B"] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> "ConditionalLogit":
        """Maximise the likelihood of the choices. Raises `DataError` for unusable data.

        `checkpoint` keeps the points of the climb, or the rounds in which `shrunk` terms learn how
        much, of a fit that is interrupted.
        """
        encoder = None
        if self.formula:
            encoder = TableEncoder(with_shrunk(self.formula, self.shrunk), group_by=self.group_by)
        batch, fitted = training_batch(data, encoder, sample_weight)
        self.belief_ = fit_pooled(
            batch,
            channels=default_channels(batch),
            prior_scale=self.prior_scale,
            shrinkage=shrinkage_of(data, fitted, self.formula, self.shrunk),
            config=NewtonConfig(max_steps=self.max_steps, tolerance=self.tolerance),
            encoder=fitted,
            method=self.solver,
            checkpoint=checkpoint,
        )
        return self
