"""Error components: options that share what no column says are closer substitutes."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.encoders.table import TableEncoder
from penchant.errors import ConfigError
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.simulated import SimulatedConfig, fit_simulated
from penchant.models.estimator import Estimator, training_batch
from penchant.models.mixed_logit import place_of
from penchant.numerics.arrays import Array
from penchant.populations.normal import Normal


@dataclass(eq=False)
class ErrorComponents(Estimator):
    """u_k = x_k beta + sum_c sd_c z_pc [k in c], z standard normal (Brownstone and Train 1999).

    components: a label -> the options that share it, for instance {"rail": ("train", "tram")}. The
    components are the person's, the same through all their choices; with group_by="row" each
    choice has its own, which is the mixed logit's likeness of a nested logit. sd_c is reported as
    `sd(when(option in [..]))`. num_draws, draw_kind, random_state, prior_scale: as in MixedLogit.
    """

    formula: str = ""
    components: Mapping[str, Iterable[str]] = field(default_factory=dict)
    num_draws: int = 500
    draw_kind: str = "halton"
    group_by: str = "person"
    prior_scale: float | None = None
    max_steps: int = 200
    tolerance: float = 1e-8
    random_state: int = 0

    def fit(
        self,
        data: Records | Batch,
        *,
        sample_weight: Float[Array, " B"] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> "ErrorComponents":
        """Maximise the simulated likelihood. Raises `ConfigError` where no component is named.

        `checkpoint` keeps the finished stages of a fit that is interrupted.
        """
        if not self.components or not self.formula or not isinstance(data, Records):
            raise ConfigError(
                "error components need records, a formula and at least one component, for "
                "instance components={'rail': ('train', 'tram')}; got "
                f"{type(data).__name__}, {self.formula!r} and {dict(self.components)}."
            )
        terms = [_term(options) for options in self.components.values()]
        formula = " + ".join([self.formula, *terms])
        encoder = TableEncoder(formula, group_by=self.group_by)
        batch, fitted = training_batch(data, encoder, sample_weight)
        names = [TableEncoder(term).fit(data).feature_names[0] for term in terms]
        places = tuple(place_of(name, batch.feature_names)[0] for name in names)
        # A component is a combination of the options' constants: that is no fault here.
        notes = TableEncoder(self.formula, group_by=self.group_by).fit(data).encode(data).notes
        self.belief_ = fit_simulated(
            dataclasses.replace(batch, notes=notes),
            Normal(
                random=places,
                distributions=("normal",) * len(places),
                num_draws=self.num_draws,
                seed=self.random_state,
                draw_kind=self.draw_kind,
                centred=places,
            ),
            prior_scale=self.prior_scale,
            config=SimulatedConfig(max_steps=self.max_steps, tolerance=self.tolerance),
            encoder=fitted,
            checkpoint=checkpoint,
        )
        return self


def _term(options: Iterable[str]) -> str:
    quoted = [f"'{option}'" for option in ((options,) if isinstance(options, str) else options)]
    return f"option[{quoted[0]}]" if len(quoted) == 1 else f"when(option in [{', '.join(quoted)}])"
