"""The log-likelihood of latent classes over panels, with its exact first two derivatives.

Legend: G groups (people), S classes, D features, P own parameters of likelihoods, W = D + P,
Q group features, V = W + 1 + Q, M parameters (part-worths class by class, then the router, then
the own parameters, which all classes share).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.feedback.channel_pair import Pair
from penchant.fitting.class_answers import AnswerPanel
from penchant.fitting.class_channels import ChannelPanel
from penchant.fitting.class_choices import ChoicePanel, counted_people
from penchant.fitting.class_panel import ClassPanel, ClassPass
from penchant.fitting.pooled_density import check_common
from penchant.numerics.arrays import Array, log_sum_exp
from penchant.populations.classes import Classes, router_log_weights

# A pair without ties is a choice of two.
_PLAIN = (Choice(), Pair())


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassEvaluation:
    """Value and gradient of the log-posterior, and two informations.

    complete: what it would be were the classes known (block by class; what EM climbs with);
    observed: minus the Hessian, complete less missing (Louis 1982); None unless asked for.
    group_scores: d log p(answers of g) / d theta, unweighted and without the prior.
    """

    value: float
    log_likelihood: float
    gradient: Float[Array, " M"]
    complete: Float[Array, "M M"]
    observed: Float[Array, "M M"] | None
    group_scores: Float[Array, "G M"]
    responsibility: Float[Array, "G S"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassDensity:
    """sum_g v_g log sum_s w[g, s](theta) prod_(b of g) p(y_b | beta_s)^(w_b / v_g) + log prior.

    v_g, the mean weight of a person's rows, counts such people; what differs between the rows of
    one person weighs their evidence. Doubling all weights is therefore meeting everybody twice.
    precision: of a normal prior around zero on each parameter, 0 for none.
    """

    panel: ClassPanel
    group_weight: Float[Array, " G"]
    group_features: Float[Array, "G Q"]
    classes: Classes
    precision: Float[Array, " M"]

    @classmethod
    def from_batch(
        cls, batch: Batch, num_classes: int, channels: tuple[Channel, ...] = (Choice(),)
    ) -> "ClassDensity":
        """Without a prior. Raises `DataError` where the batch holds an answer of a kind that no
        channel serves, `ConfigError` for channels with parameters of single people."""
        check_common(batch, channels, "latent classes cannot tell from the classes")
        panel: ClassPanel
        if all(channel in _PLAIN for channel in channels):
            flat, group_weight = counted_people(batch.flat_choices())
            panel = ChoicePanel(flat=flat)
        else:
            found = AnswerPanel.of(batch, channels) or ChannelPanel.of(batch, channels)
            panel, group_weight = found
        classes = Classes(num_classes)
        size = classes.num_parameters(batch.num_features, batch.group_features.shape[1])
        return cls(
            panel=panel,
            group_weight=group_weight,
            group_features=batch.group_features,
            classes=classes,
            precision=np.zeros(size + panel.num_own),
        )

    def take_groups(self, groups: Int[Array, " H"]) -> "ClassDensity":
        """The density of these people only, under the same prior."""
        return replace(
            self,
            panel=self.panel.take_groups(groups),
            group_weight=self.group_weight[groups],
            group_features=self.group_features[groups],
        )

    @property
    def num_population(self) -> int:
        """The parameters of the classes; those of the likelihoods come after them."""
        return len(self.precision) - self.panel.num_own

    def largest_first(self, theta: Float[Array, " M"]) -> Float[Array, " M"]:
        """The same point with its classes numbered by share."""
        cut = self.num_population
        ordered = self.classes.largest_first(theta[:cut], self.group_features)
        return np.concatenate([ordered, theta[cut:]])

    def run(
        self,
        log_prior: Float[Array, "G S"],
        values: Float[Array, "S D"],
        own: Float[Array, " P"],
    ) -> ClassPass:
        """One pass with these log-weights."""
        return self.panel.run(self.group_weight, log_prior, values, own)

    def evaluate(self, theta: Float[Array, " M"], *, has_observed: bool = False) -> ClassEvaluation:
        """Value and derivatives by Fisher's identity: responsibilities times complete scores."""
        cut, num_features = self.num_population, self.panel.num_features
        values, router = self.classes.split(theta[:cut], self.group_features.shape[1])
        log_prior = router_log_weights(router, self.group_features)
        result = self.run(log_prior, values, theta[cut:])
        reach = np.column_stack([np.ones(len(log_prior)), self.group_features])
        posterior, prior = result.responsibility, np.exp(log_prior)
        weighted = posterior[:, :, None] * result.scores
        scores = np.concatenate(
            [
                weighted[:, :, :num_features].reshape(len(prior), -1),
                ((posterior - prior)[:, 1:, None] * reach[:, None]).reshape(len(prior), -1),
                weighted[:, :, num_features:].sum(axis=1),
            ],
            axis=1,
        )
        log_likelihood = float(
            self.group_weight @ log_sum_exp(log_prior + result.log_density, axis=1)
        )
        complete = self._complete(result.information, prior, reach)
        return ClassEvaluation(
            value=log_likelihood - 0.5 * float(self.precision @ theta**2),
            log_likelihood=log_likelihood,
            gradient=self.group_weight @ scores - self.precision * theta,
            complete=complete,
            observed=complete - self._missing(result, reach) if has_observed else None,
            group_scores=scores,
            responsibility=posterior,
        )

    def _places(self) -> Int[Array, "S V"]:
        """Where in theta the parameters of each class lie: its part-worths, the own parameters,
        which all classes share, and its row of the router. The first class has no such row; its
        places are those after the end."""
        size, cut, width = len(self.precision), self.num_population, self.group_features.shape[1]
        num_classes, num_features = self.classes.num_classes, self.panel.num_features
        start = num_classes * num_features
        router = np.arange(start, cut).reshape(num_classes - 1, 1 + width)
        return np.column_stack(
            [
                np.arange(start).reshape(num_classes, num_features),
                np.tile(np.arange(cut, size), (num_classes, 1)),
                np.concatenate([np.full((1, 1 + width), size), router]),
            ]
        )

    def _complete(
        self,
        information: Float[Array, "S W W"],
        prior: Float[Array, "G S"],
        reach: Float[Array, "G Q1"],
    ) -> Float[Array, "M M"]:
        """Block by class, but for what all share; the router's block is that of a multinomial
        logit."""
        matrix = np.diag(self.precision)
        num_classes, size = information.shape[:2]
        for s, place in enumerate(self._places()[:, :size]):
            matrix[np.ix_(place, place)] += information[s]
        start, stop = num_classes * self.panel.num_features, self.num_population
        width = reach.shape[1]
        mean = (prior[:, 1:, None] * reach[:, None]).reshape(len(prior), -1)
        matrix[start:stop, start:stop] -= (mean * self.group_weight[:, None]).T @ mean
        for s in range(1, num_classes):
            own = slice(start + (s - 1) * width, start + s * width)
            share = self.group_weight * prior[:, s]
            matrix[own, own] += (reach * share[:, None]).T @ reach
        return matrix

    def _missing(self, result: ClassPass, reach: Float[Array, "G Q1"]) -> Float[Array, "M M"]:
        """sum_g v_g Cov(complete score of g | answers of g), the information that not knowing the
        classes costs."""
        posterior, (num_groups, num_classes, size) = result.responsibility, result.scores.shape
        width = size + reach.shape[1]
        # Each class's own part and the router's row it would have: sum_s r_s c_s c_s' - c c'.
        parts = np.empty((num_groups, num_classes, width))
        parts[:, :, :size] = result.scores
        parts[:, :, size:] = reach[:, None]
        mean = (parts * posterior[:, :, None]).reshape(num_groups, -1)
        matrix = -(mean * self.group_weight[:, None]).T @ mean
        for s in range(num_classes):
            own = slice(s * width, (s + 1) * width)
            share = self.group_weight * posterior[:, s]
            matrix[own, own] += (parts[:, s] * share[:, None]).T @ parts[:, s]
        # What belongs to no parameter, a row of the router for the first class, ends behind theta.
        total, place = np.zeros((len(self.precision) + 1,) * 2), self._places().ravel()
        np.add.at(total, (place[:, None], place), matrix)
        return total[:-1, :-1]
