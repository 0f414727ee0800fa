"""Mixed logit: tastes that differ between people in ways no column explains."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.encoders.formula import closest
from penchant.encoders.table import TableEncoder
from penchant.errors import ConfigError
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.simulated import SimulatedConfig, fit_simulated
from penchant.models.estimator import Estimator, shrinkage_of, training_batch, with_shrunk
from penchant.numerics.arrays import Array
from penchant.populations.normal import Normal


@dataclass(eq=False)
class MixedLogit(Estimator):
    """p(answers of a person) = E prod_b p(y_b | beta), beta ~ f(theta) (Revelt and Train 1998).

    Answers that are no choice (pairs with ties, rankings, ratings, clicks, numbers), alone or
    beside choices, tell of the same tastes, each kind by its default likelihood, whose own
    parameters (thresholds, strength of ties) are common to all people and stand last.
    formula: the features. random: feature -> distribution ("normal", "lognormal", "triangular",
    "uniform", "truncated", "censored", the one-signed ones also with a minus in front), or the
    names of features with normal coefficients; "option" stands for all its `option[..]`; None
    makes every coefficient normal. correlated: the normal kin among them share a full covariance,
    by its Cholesky factor. price: a feature to estimate in willingness-to-pay space with: all
    other coefficients are then prices, its own (random or not) is -exp(location + ..).

    shrunk: further terms, hundreds of interactions perhaps, whose part-worths are shrunk to zero
    family by family (the terms that begin with the same factor), by an amount that the data tell.
    doubt_draws: average predictions over so many draws of our doubt; 0 predicts at the mode.

    num_draws: of tastes for each person, placed where the person's own taste is likely to be;
    draw_kind: "halton", "sobol", "mlhs" or "random". draws_by_person: every person has a sequence
    of their own instead of sharing one of 256 (1 GB for 10,000 people x 10 coefficients x 500).
    group_by, prior_scale: as in ConditionalLogit, the prior on locations and spreads. The same
    random_state gives the same bits.
    """

    formula: str = ""
    random: Mapping[str, str] | Iterable[str] | None = None
    correlated: bool = False
    price: str | None = None
    shrunk: str = ""
    num_draws: int = 500
    draw_kind: str = "halton"
    draws_by_person: bool = False
    doubt_draws: int = 0
    group_by: str = "person"
    prior_scale: float | None = None
    max_steps: int = 200
    tolerance: float = 1e-8
    num_threads: int = 1
    random_state: int = 0

    def fit(
        self,
        data: Records | Batch,
        *,
        sample_weight: Float[Array, " B"] | None = None,
        start: Float[Array, " M"] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> "MixedLogit":
        """Maximise the simulated likelihood, from `start` if given (an earlier `belief_.theta`);
        `checkpoint` keeps the finished stages of a fit that is interrupted.

        Raises `DataError` for unusable data, `ConfigError` for unknown features or distributions.
        """
        encoder = None
        if self.formula:
            encoder = TableEncoder(with_shrunk(self.formula, self.shrunk), group_by=self.group_by)
        batch, fitted = training_batch(data, encoder, sample_weight)
        self.belief_ = fit_simulated(
            batch,
            self._population(batch.feature_names),
            prior_scale=self.prior_scale,
            shrinkage=shrinkage_of(data, fitted, self.formula, self.shrunk),
            start=start,
            config=SimulatedConfig(
                num_blocks=max(256, batch.num_groups if self.draws_by_person else 0),
                max_steps=self.max_steps,
                tolerance=self.tolerance,
                num_threads=self.num_threads,
            ),
            encoder=fitted,
            checkpoint=checkpoint,
        )
        return self

    def _population(self, feature_names: tuple[str, ...]) -> Normal:
        distributions = random_coefficients(self.random, feature_names, self.price)
        price = None if self.price is None else place_of(self.price, feature_names)[0]
        places = sorted(distributions)
        return Normal(
            random=tuple(places),
            distributions=tuple(distributions[place] for place in places),
            correlated=self.correlated,
            num_draws=self.num_draws,
            seed=self.random_state,
            draw_kind=self.draw_kind,
            price=price,
        )


def random_coefficients(
    random: Mapping[str, str] | Iterable[str] | None,
    feature_names: tuple[str, ...],
    price: str | None = None,
) -> dict[int, str]:
    """Place among the features -> distribution, from the names a user gave."""
    if isinstance(random, str):
        random = (random,)
    asked = {} if random is None else dict.fromkeys(random, "normal")
    if isinstance(random, Mapping):
        asked = dict(random)
    if not asked:
        asked = dict.fromkeys(feature_names, "normal")
        if price is not None:
            asked[price] = "lognormal"
    return {
        place: distribution
        for name, distribution in asked.items()
        for place in place_of(name, feature_names)
    }


def place_of(name: str, feature_names: tuple[str, ...]) -> list[int]:
    """The feature of that name, or all levels `name[..]` of a category; no interactions."""
    places = [
        place
        for place, feature in enumerate(feature_names)
        if feature == name or (feature.startswith(f"{name}[") and ":" not in feature[len(name) :])
    ]
    if not places:
        raise ConfigError(
            f"there is no feature {name!r}; expected one that the formula makes. "
            f"{closest(name, feature_names)}"
        )
    return places
