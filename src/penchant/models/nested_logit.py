"""Nested logit: options that resemble each other compete more with each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.encoders.table import TableEncoder
from penchant.errors import ConfigError
from penchant.feedback.channel_choice import Choice, Nested
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.newton import NewtonConfig
from penchant.fitting.pooled import fit_pooled
from penchant.models.estimator import Estimator, training_batch
from penchant.numerics.arrays import Array


@dataclass(eq=False)
class NestedLogit(Estimator):
    """Two levels: a nest by its inclusive value, then an option within it (McFadden 1978).

    nests: name of the nest -> names of its options; an option in none stands alone. A nest's scale
    lambda in (0, 1] is 1 where its options are as unlike as all others. The climb starts from the
    conditional logit, since the likelihood is not concave.
    """

    formula: str = ""
    nests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    group_by: str = "person"
    prior_scale: float | None = None
    max_steps: int = 200

    def fit(
        self,
        data: Records | Batch,
        *,
        sample_weight: Float[Array, " B"] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> "NestedLogit":
        """Maximise the likelihood of the choices. `checkpoint` keeps the points of a climb that is
        interrupted. Raises `ConfigError` for nests that do not fit the options, `DataError` for
        unusable data."""
        encoder = TableEncoder(self.formula, group_by=self.group_by) if self.formula else None
        batch, fitted = training_batch(data, encoder, sample_weight)
        names = tuple(self.nests)
        numbers = nest_numbers(self.nests, batch.option_names)
        config = NewtonConfig(max_steps=self.max_steps)
        flat = fit_pooled(batch, channels=(Choice(),), prior_scale=self.prior_scale, config=config)
        self.belief_ = fit_pooled(
            batch,
            channels=(Nested(nests=numbers, nest_names=names),),
            prior_scale=self.prior_scale,
            start=np.concatenate([flat.theta, np.zeros(len(names))]),
            config=config,
            encoder=fitted,
            checkpoint=checkpoint,
        )
        return self


def nest_numbers(
    nests: Mapping[str, tuple[str, ...]], option_names: tuple[str, ...]
) -> tuple[int, ...]:
    """The nest of each option, -1 for one that stands alone.

    Raises `ConfigError` for an option in two nests, one that the data do not have, or no nests.
    """
    if not nests:
        raise ConfigError(
            "a nested logit needs nests, for instance {'rail': ('train', 'swissmetro')}; got none. "
            "Without nests use ConditionalLogit."
        )
    numbers = dict.fromkeys(option_names, -1)
    for number, (nest, members) in enumerate(nests.items()):
        for option in members:
            if option not in numbers:
                raise ConfigError(
                    f"nest {nest!r} names option {option!r}, which the data do not have; expected "
                    f"some of {list(option_names)}."
                )
            if numbers[option] >= 0:
                raise ConfigError(f"option {option!r} is in two nests; expected at most one.")
            numbers[option] = number
    return tuple(numbers[name] for name in option_names)
