"""Neural logit: worths from small networks, for tastes that no formula foresaw."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief, Encoder
from penchant.beliefs.marginal import marginal_features, row_weights
from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.encoders.context import ContextEncoder
from penchant.encoders.table import TableEncoder
from penchant.encoders.text import TextEncoder
from penchant.errors import ConfigError
from penchant.feedback.channel import default_channels
from penchant.feedback.channel_contract import Channel
from penchant.fitting.neural import fit_neural
from penchant.fitting.neural_learner import NetworkConfig
from penchant.fitting.sgd import Look, TrainConfig
from penchant.models.estimator import Estimator, training_batch
from penchant.models.summary import Summary, summarise
from penchant.numerics.arrays import Array
from penchant.utilities.neural import Activation


@dataclass(frozen=True, kw_only=True)
class Slope:
    """What one unit more of a feature is worth on average over the options shown, with 95 %."""

    feature: str
    value: float
    se: float
    low: float
    high: float


@dataclass(eq=False)
class NeuralLogit(Estimator):
    """u = w'x + network(x, context), answered as the data say: choice, pair, ranking, rating ...

    formula: features of the options, as elsewhere; not needed to fit on a batch. context: columns
    of the rows that the network may combine with them, for instance "purpose + age". text: a
    `TextEncoder`, in place of both. channels: likelihoods, if not the default one for each kind of
    feedback. hidden, activation, sees_menu, has_linear, weight_decay, held_out_share,
    num_networks: see `NetworkConfig`. batch_size, max_epochs, learning_rate, patience: see
    `TrainConfig`. checkpoint: a folder from which an interrupted fit goes on. doubt_draws: average
    predictions over so many draws of our doubt; 0 predicts at the mean worths.
    Training needs the extra `torch`; a saved belief needs none.
    """

    formula: str = ""
    context: str = ""
    text: TextEncoder | None = None
    group_by: str = "person"
    channels: tuple[Channel, ...] | None = None
    hidden: tuple[int, ...] = (32, 16)
    activation: Activation = "silu"
    sees_menu: bool = False
    has_linear: bool = True
    weight_decay: float = 0.01
    held_out_share: float = 0.15
    num_networks: int = 8
    batch_size: int = 256
    max_epochs: int = 200
    learning_rate: float = 0.01
    patience: int = 8
    checkpoint: str | None = None
    doubt_draws: int = 0
    random_state: int = 0

    def fit(
        self,
        data: Records | Batch,
        *,
        sample_weight: Float[Array, " B"] | None = None,
        on_look: Callable[[int, Look], None] | None = None,
    ) -> "NeuralLogit":
        """Train on the answers. `on_look(network, look)` sees how the training goes.

        Raises `DataError` for unusable data, `MissingExtraError` without torch.
        """
        encoder = self._encoder(data)
        batch = encoder.encode(data) if encoder is not None and isinstance(data, Records) else data
        batch, _ = training_batch(batch, None, sample_weight)
        linear = None
        if isinstance(encoder, ContextEncoder):
            linear = tuple(range(encoder.num_option_features))
        self.belief_ = fit_neural(
            batch,
            default_channels(batch) if self.channels is None else self.channels,
            network=NetworkConfig(
                hidden=tuple(self.hidden),
                activation=self.activation,
                sees_menu=self.sees_menu,
                has_linear=self.has_linear,
                weight_decay=self.weight_decay,
                held_out_share=self.held_out_share,
                num_networks=self.num_networks,
            ),
            training=TrainConfig(
                batch_size=self.batch_size,
                max_epochs=self.max_epochs,
                learning_rate=self.learning_rate,
                patience=self.patience,
                seed=self.random_state,
            ),
            linear=linear,
            encoder=encoder,
            checkpoint=None if self.checkpoint is None else Path(self.checkpoint),
            on_look=on_look,
        )
        return self

    def summary(self) -> Summary:
        """The fit, and the likelihoods' own parameters; a network's weights mean nothing alone.

        `average_slopes` tells what features are worth.
        """
        full, own = summarise(self._belief(), title="NeuralLogit"), self._belief().channel_sizes
        return replace(full, coefficients=full.coefficients[len(full.coefficients) - sum(own) :])

    def average_slopes(self, records: Records, num_draws: int = 200) -> tuple[Slope, ...]:
        """d u / d feature of every number among the options' features, averaged over what was
        shown: where a linear model has its part-worths. Intervals from draws of our doubt."""
        belief = self._belief()
        rng = np.random.default_rng(self.random_state)
        drawn = np.stack([one.theta for one in belief.sample(num_draws, rng)])
        return tuple(
            _slope(belief, records, name, drawn) for name in records.columns("feature")
            if belief.encoder is not None and _is_number(records, name)
        )  # fmt: skip

    def _encoder(self, data: Records | Batch) -> Encoder | None:
        if not isinstance(data, Records):
            return None
        if self.text is not None:
            return self.text.fit(data)
        if not self.formula:
            raise ConfigError(
                "records need a formula that says which features matter, for instance "
                "'option + time + cost' (and `context`, say 'purpose + age'), or a TextEncoder as "
                "`text`; got none."
            )
        if self.context:
            return ContextEncoder.of(self.formula, self.context, self.group_by).fit(data)
        return replace(
            TableEncoder(self.formula, group_by=self.group_by).fit(data), unseen="reference"
        )


def _slope(belief: Belief, records: Records, name: str, drawn: Float[Array, "N M"]) -> Slope:
    weight = row_weights(belief.encode(records))
    features_BT = marginal_features(belief, records, name, None)
    mean_T = weight @ features_BT / weight.sum()
    values = drawn[:, : len(mean_T)] @ mean_T
    low, high = np.quantile(values, [0.025, 0.975])
    return Slope(
        feature=name,
        value=float(belief.theta[: len(mean_T)] @ mean_T),
        se=float(values.std()),
        low=float(low),
        high=float(high),
    )


def _is_number(records: Records, name: str) -> bool:
    from penchant.data.columns import is_number

    return is_number(records.options[name].type)
