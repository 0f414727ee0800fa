"""Personal logit: a taste for each person, shrunk towards everybody's as the data say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.encoders.formula import columns_of
from penchant.encoders.formula_parser import parse
from penchant.encoders.table import TableEncoder
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.simulated import SimulatedConfig, fit_simulated
from penchant.models.estimator import (
    Estimator,
    first_factor,
    shrinkage_of,
    training_batch,
    with_shrunk,
)
from penchant.models.mixed_logit import random_coefficients
from penchant.numerics.arrays import Array
from penchant.populations.normal import Normal


@dataclass(eq=False)
class PersonalLogit(Estimator):
    """beta_person ~ N(mean, L L'), the population found from all, each person from their answers.

    Answers that are no choice (pairs with ties, rankings, ratings, clicks, numbers), alone or
    beside choices, are told from the same tastes, each kind by its default likelihood, whose own
    parameters (thresholds, strength of ties) are common to all people.
    Empirical Bayes: the population is the panel mixed logit of highest likelihood; predictions
    with `history` use the posterior of each person given those answers (Laplace's approximation
    around their mode, its draws weighted exactly), and the population for people without any.

    formula, shrunk, prior_scale, doubt_draws, num_threads: as in MixedLogit. random: the features
    whose worth differs between people, as in MixedLogit; None takes all that are no interaction
    with a person or a situation: what the context does is then the same for all. correlated:
    whether knowing one of a person's tastes tells of the others. num_draws: per person, around
    their own mode, so that few serve.
    """

    formula: str = ""
    random: Mapping[str, str] | Iterable[str] | None = None
    correlated: bool = True
    shrunk: str = ""
    num_draws: int = 200
    doubt_draws: int = 0
    group_by: str = "person"
    prior_scale: float | None = None
    max_steps: int = 200
    tolerance: float = 1e-6
    num_threads: int = 1
    random_state: int = 0

    def fit(
        self,
        data: Records | Batch,
        *,
        sample_weight: Float[Array, " B"] | None = None,
        start: Float[Array, " M"] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> "PersonalLogit":
        """Fit the population, from `start` if given (an earlier `belief_.theta`);
        `checkpoint` keeps the finished stages of a fit that is interrupted.

        Raises `DataError` for unusable data, `ConfigError` for unknown features.
        """
        encoder = None
        if self.formula:
            encoder = TableEncoder(with_shrunk(self.formula, self.shrunk), group_by=self.group_by)
        batch, fitted = training_batch(data, encoder, sample_weight)
        self.belief_ = fit_simulated(
            batch,
            self._population(data, batch.feature_names),
            prior_scale=self.prior_scale,
            shrinkage=shrinkage_of(data, fitted, self.formula, self.shrunk),
            start=start,
            config=SimulatedConfig(
                max_steps=self.max_steps, tolerance=self.tolerance, num_threads=self.num_threads
            ),
            encoder=fitted,
            checkpoint=checkpoint,
        )
        return self

    def _population(self, data: Records | Batch, feature_names: tuple[str, ...]) -> Normal:
        random = own_tastes(data, feature_names) if self.random is None else self.random
        distributions = random_coefficients(random or None, feature_names)
        places = sorted(distributions)
        return Normal(
            random=tuple(places),
            distributions=tuple(distributions[place] for place in places),
            correlated=self.correlated,
            num_draws=self.num_draws,
            seed=self.random_state,
        )


def own_tastes(data: Records | Batch, feature_names: tuple[str, ...]) -> tuple[str, ...]:
    """The features that are no interaction with a column of the person or the situation.

    `option[train]:time` is one: each option's minutes may weigh differently. A ready batch does not
    tell columns apart; there only interactions with an option pass.
    """
    if isinstance(data, Records):
        context = {*data.columns("person_feature"), *data.columns("context")}
        # Every feature's name is itself a formula.
        return tuple(
            name
            for name in feature_names
            if context.isdisjoint(
                column.name
                for term in parse(name).terms
                for factor in term.factors
                for column in columns_of(factor)
            )
        )
    return tuple(
        name for name in feature_names if first_factor(name) == name or name.startswith("option[")
    )
