"""The log-likelihood of latent classes over panels, with its exact first two derivatives.

Legend: N options over all menus, B observations, G groups (people), S classes, D features,
Q group features, M parameters (part-worths class by class, then the router).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, FlatChoices
from penchant.numerics.arrays import Array, log_sum_exp
from penchant.populations.classes import Classes, router_log_weights


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassPass:
    """What one pass over the choices tells: log p(answers of g | class s) and the posterior of s,
    the score of each class's part-worths given the class, and the expected information of each
    class, its people weighted by their posterior."""

    log_density: Float[Array, "G S"]
    responsibility: Float[Array, "G S"]
    scores: Float[Array, "G S D"]
    information: Float[Array, "S D D"]


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

    flat: FlatChoices
    group_weight: Float[Array, " G"]
    group_features: Float[Array, "G Q"]
    classes: Classes
    precision: Float[Array, " M"]

    @classmethod
    def from_batch(cls, batch: Batch, num_classes: int) -> "ClassDensity":
        """Without a prior. Raises `DataError` where the batch holds anything but choices."""
        flat, group_weight = counted_people(batch.flat_choices())
        classes = Classes(num_classes)
        size = classes.num_parameters(batch.num_features, batch.group_features.shape[1])
        return cls(
            flat=flat,
            group_weight=group_weight,
            group_features=batch.group_features,
            classes=classes,
            precision=np.zeros(size),
        )

    def take_groups(self, groups: Int[Array, " H"]) -> "ClassDensity":
        """The density of these people only, under the same prior."""
        flat = self.flat
        rows = _ranges(flat.group_start, groups)
        options = _ranges(flat.menu_start, rows)
        sizes = np.diff(flat.menu_start)[rows]
        menu_start = np.concatenate([[0], np.cumsum(sizes)])
        counts = np.diff(flat.group_start)[groups]
        return replace(
            self,
            flat=FlatChoices(
                features=flat.features[options],
                menu_start=menu_start,
                chosen=menu_start[:-1] + (flat.chosen - flat.menu_start[:-1])[rows],
                weight=flat.weight[rows],
                group_start=np.concatenate([[0], np.cumsum(counts)]),
                row=flat.row[rows],
            ),
            group_weight=self.group_weight[groups],
            group_features=self.group_features[groups],
        )

    def run(self, log_prior: Float[Array, "G S"], values: Float[Array, "S D"]) -> ClassPass:
        """One pass with these log-weights, fused where numba is installed."""
        try:
            from penchant.fitting.class_density_fused import class_pass as fused
        except ImportError:
            return class_pass(self.flat, self.group_weight, log_prior, values)
        flat = self.flat
        return ClassPass(
            **dict(
                zip(
                    ("log_density", "responsibility", "scores", "information"),
                    fused(
                        flat.features,
                        flat.menu_start,
                        flat.chosen,
                        flat.weight,
                        flat.group_start,
                        self.group_weight,
                        np.ascontiguousarray(log_prior),
                        np.ascontiguousarray(values),
                        True,
                    ),
                )
            )
        )

    def evaluate(self, theta: Float[Array, " M"], *, has_observed: bool = False) -> ClassEvaluation:
        """Value and derivatives by Fisher's identity: responsibilities times complete scores."""
        values, router = self.classes.split(theta, self.group_features.shape[1])
        log_prior = router_log_weights(router, self.group_features)
        result = self.run(log_prior, values)
        reach = np.column_stack([np.ones(len(log_prior)), self.group_features])
        posterior, prior = result.responsibility, np.exp(log_prior)
        scores = np.concatenate(
            [
                (posterior[:, :, None] * result.scores).reshape(len(prior), -1),
                ((posterior - prior)[:, 1:, None] * reach[:, None]).reshape(len(prior), -1),
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

    def _complete(
        self,
        information: Float[Array, "S D D"],
        prior: Float[Array, "G S"],
        reach: Float[Array, "G Q1"],
    ) -> Float[Array, "M M"]:
        """Block by class; the router's block is that of a multinomial logit."""
        matrix = np.diag(self.precision)
        num_classes, num_features = information.shape[:2]
        for s in range(num_classes):
            own = slice(s * num_features, (s + 1) * num_features)
            matrix[own, own] += information[s]
        start, width = num_classes * num_features, reach.shape[1]
        mean = (prior[:, 1:, None] * reach[:, None]).reshape(len(prior), -1)
        matrix[start:, start:] -= (mean * self.group_weight[:, None]).T @ mean
        for s in range(1, num_classes):
            own = slice(start + (s - 1) * width, start + s * width)
            share = self.group_weight * prior[:, s]
            matrix[own, own] += (reach * share[:, None]).T @ reach
        return matrix

    def _missing(self, result: ClassPass, reach: Float[Array, "G Q1"]) -> Float[Array, "M M"]:
        """sum_g v_g Cov(complete score of g | answers of g), the information that not knowing the
        classes costs."""
        posterior, (num_groups, num_classes, num_features) = (
            result.responsibility,
            result.scores.shape,
        )
        width = num_features + reach.shape[1]
        # Each class's own part and the router's row it would have: sum_s r_s c_s c_s' - c c'.
        parts = np.empty((num_groups, num_classes, width))
        parts[:, :, :num_features] = result.scores
        parts[:, :, num_features:] = reach[:, None]
        mean = (parts * posterior[:, :, None]).reshape(num_groups, -1)
        matrix = -(mean * self.group_weight[:, None]).T @ mean
        for s in range(num_classes):
            own = slice(s * width, (s + 1) * width)
            share = self.group_weight * posterior[:, s]
            matrix[own, own] += (parts[:, s] * share[:, None]).T @ parts[:, s]
        # The first class has no row in the router.
        place = np.arange(num_classes * width).reshape(num_classes, width)
        kept = np.r_[place[:, :num_features].ravel(), place[1:, num_features:].ravel()]
        return matrix[np.ix_(kept, kept)]


def class_pass(
    flat: FlatChoices,
    group_weight: Float[Array, " G"],
    log_prior: Float[Array, "G S"],
    values: Float[Array, "S D"],
) -> ClassPass:
    """The plain twin of `class_density_fused.class_pass`."""
    starts, sizes = flat.menu_start[:-1], np.diff(flat.menu_start)
    group = np.repeat(np.arange(len(log_prior)), np.diff(flat.group_start))
    utilities = flat.features @ values.T
    top = np.maximum.reduceat(utilities, starts)
    expo = np.exp(utilities - np.repeat(top, sizes, axis=0))
    total = np.add.reduceat(expo, starts)
    probability = expo / np.repeat(total, sizes, axis=0)
    log_density = np.zeros(log_prior.shape)
    chosen = utilities[flat.chosen] - top - np.log(total)
    np.add.at(log_density, group, chosen * flat.weight[:, None])
    joint = log_prior + log_density
    responsibility = np.exp(joint - log_sum_exp(joint, axis=1)[:, None])
    scores = np.zeros((*log_prior.shape, values.shape[1]))
    information = np.zeros((len(values), values.shape[1], values.shape[1]))
    for s in range(len(values)):
        mean = np.add.reduceat(probability[:, s, None] * flat.features, starts)
        residual = flat.features[flat.chosen] - mean
        np.add.at(scores[:, s], group, residual * flat.weight[:, None])
        share = (group_weight * responsibility[:, s])[group] * flat.weight
        centred = flat.features - np.repeat(mean, sizes, axis=0)
        weighted = centred * (np.repeat(share, sizes) * probability[:, s])[:, None]
        information[s] = weighted.T @ centred
    return ClassPass(
        log_density=log_density,
        responsibility=responsibility,
        scores=scores,
        information=information,
    )


def _ranges(start: Int[Array, " B1"], which: Int[Array, " H"]) -> Int[Array, " N"]:
    """The concatenation of the ranges start[h] .. start[h + 1] for each h asked for."""
    size = np.diff(start)[which]
    shift = np.repeat(start[which] - np.concatenate([[0], np.cumsum(size)[:-1]]), size)
    return shift + np.arange(size.sum())


def counted_people(flat: FlatChoices) -> tuple[FlatChoices, Float[Array, " G"]]:
    """Rows' weights taken apart into how many such people and how much each row says."""
    counts = np.diff(flat.group_start)
    group = np.repeat(np.arange(len(counts)), counts)
    total = np.bincount(group, weights=flat.weight, minlength=len(counts))
    group_weight = total / np.maximum(counts, 1)
    share = np.where(group_weight > 0, group_weight, 1.0)[group]
    fields = {name: getattr(flat, name) for name in
              ("features", "menu_start", "chosen", "group_start", "row")}  # fmt: skip
    return FlatChoices(weight=flat.weight / share, **fields), group_weight
