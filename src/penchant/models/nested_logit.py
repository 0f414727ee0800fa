"""Nested logit: options that resemble each other compete more with each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.encoders.table import TableEncoder
from penchant.errors import ConfigError
from penchant.feedback.channel import Choice, Nested
from penchant.fitting.newton import NewtonConfig
from penchant.fitting.pooled import fit_pooled
from penchant.models.estimator import Estimator, training_batch
from penchant.numerics.arrays import Array


@dataclass(eq=False)
class NestedLogit(Estimator):
    """Two levels: a nest by its inclusive value, then an option within it (McFadden 1978).

    nests: name of the nest -> names of its options; every option in exactly one. A nest's scale
    lambda in (0, 1] is 1 where its options are as unlike as all others. The climb starts from the
    conditional logit, since the likelihood is not concave.
    """

    formula: str = ""
    nests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    group_by: str = "person"
    prior_scale: float | None = None
    max_steps: int = 200

    def fit(
        self, data: Records | Batch, *, sample_weight: Float[Array, " B"] | None = None
    ) -> "NestedLogit":
        """Maximise the likelihood of the choices. Raises `ConfigError` for nests that do not fit
        the options, `DataError` for unusable data."""
