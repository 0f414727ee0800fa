"""Hierarchical Bayes logit: draws of the population and of everybody's taste, chains judged."""

from collections.abc import Iterable
from dataclasses import dataclass

from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.encoders.table import TableEncoder
from penchant.errors import ConfigError
from penchant.feedback.channel import default_channels
from penchant.fitting.chains import ChainDiagnostics, diagnose
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.hierarchical import fit_hierarchical
from penchant.fitting.hierarchical_sweep import HierarchicalConfig
from penchant.models.estimator import Estimator, training_batch
from penchant.models.mixed_logit import random_coefficients
from penchant.models.personal_logit import own_tastes
from penchant.numerics.arrays import Array


@dataclass(eq=False)
class HierarchicalLogit(Estimator):
    """beta_person ~ N(mean, Sigma), all drawn from their posterior (Allenby and Rossi 1999).

    Answers that are no choice (pairs with ties, rankings, ratings, clicks, numbers), alone or
    beside choices, are told from the same tastes, each kind by its default likelihood, whose own
    parameters (thresholds, strength of ties) are drawn too, common to all people.
    The estimates are posterior means; `belief_.draws` holds all draws, so that `doubt_draws` and
    `belief_.sample` average over our doubt without a normal approximation. formula, random,
    correlated: as in PersonalLogit. num_chains, num_warmup, num_draws: chains, sweeps thrown away
    and kept in each. mean_scale, spread_scale: of the weak priors, see HierarchicalConfig.
    """

    formula: str = ""
    random: Iterable[str] | None = None
    correlated: bool = True
    num_chains: int = 4
    num_warmup: int = 300
    num_draws: int = 700
    mean_scale: float = 10.0
    spread_scale: float = 5.0
    doubt_draws: int = 0
    group_by: str = "person"
    random_state: int = 0

    def fit(
        self,
        data: Records | Batch,
        *,
        sample_weight: Float[Array, " B"] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> "HierarchicalLogit":
        """Draw; `checkpoint` keeps the finished chains of a fit that is interrupted.

        Raises `DataError` for unusable data, `ConfigError` for unknown features."""
        encoder = TableEncoder(self.formula, group_by=self.group_by) if self.formula else None
        batch, fitted = training_batch(data, encoder, sample_weight)
        names = batch.feature_names
        random = own_tastes(data, names) if self.random is None else self.random
        places = random_coefficients(random or None, names)
        if set(places.values()) != {"normal"}:
            raise ConfigError(
                f"hierarchical Bayes draws normal tastes; got {sorted(set(places.values()))}. Use "
                "MixedLogit for other distributions."
            )
        self.belief_ = fit_hierarchical(
            batch,
            tuple(sorted(places)),
            is_correlated=self.correlated,
            seed=self.random_state,
            channels=default_channels(batch),
            config=HierarchicalConfig(
                num_chains=self.num_chains,
                num_warmup=self.num_warmup,
                num_draws=self.num_draws,
                mean_scale=self.mean_scale,
                spread_scale=self.spread_scale,
            ),
            encoder=fitted,
            checkpoint=checkpoint,
        ).belief
        return self

    def diagnostics(self) -> ChainDiagnostics:
        """R-hat and effective draws of each parameter, in the order of `belief_.theta`."""
        belief = self._belief()
        assert belief.draws is not None
        return diagnose(belief.draws.reshape(self.num_chains, -1, len(belief.theta)))
