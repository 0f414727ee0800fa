"""Plain choices for latent classes: one pass over a ragged table, fused where numba is installed.

Legend: N options over all menus, B observations, G groups (people), S classes, D features.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch import FlatChoices
from penchant.fitting.class_panel import ClassPass
from penchant.numerics.arrays import Array, log_sum_exp


@dataclass(frozen=True, kw_only=True, eq=False)
class ChoicePanel:
    """Choices sorted by person; a choice has no parameters of its own."""

    flat: FlatChoices

    @property
    def num_features(self) -> int:
        """D."""
        return int(self.flat.features.shape[1])

    @property
    def num_own(self) -> int:
        """A plain choice has none."""
        return 0

    @property
    def answered(self) -> Bool[Array, " G"]:
        """Who made a choice at all."""
        return np.diff(self.flat.group_start) > 0

    def take_groups(self, groups: Int[Array, " H"]) -> "ChoicePanel":
        """The choices of these people only."""
        flat = self.flat
        rows = _ranges(flat.group_start, groups)
        options = _ranges(flat.menu_start, rows)
        sizes = np.diff(flat.menu_start)[rows]
        menu_start = np.concatenate([[0], np.cumsum(sizes)])
        counts = np.diff(flat.group_start)[groups]
        return ChoicePanel(
            flat=FlatChoices(
                features=flat.features[options],
                menu_start=menu_start,
                chosen=menu_start[:-1] + (flat.chosen - flat.menu_start[:-1])[rows],
                weight=flat.weight[rows],
                group_start=np.concatenate([[0], np.cumsum(counts)]),
                row=flat.row[rows],
            )
        )

    def run(
        self,
        group_weight: Float[Array, " G"],
        log_prior: Float[Array, "G S"],
        values: Float[Array, "S D"],
        own: Float[Array, " P"],
    ) -> ClassPass:
        """One pass with these log-weights, fused where numba is installed; `own` is empty."""
        try:
            from penchant.fitting.class_density_fused import class_pass as fused
        except ImportError:
            return class_pass(self.flat, group_weight, log_prior, values)
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
                        group_weight,
                        np.ascontiguousarray(log_prior),
                        np.ascontiguousarray(values),
                        True,
                    ),
                )
            )
        )


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
    return replace(flat, weight=flat.weight / share), group_weight
