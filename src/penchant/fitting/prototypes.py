"""Prototypes from pairs of embedded options, as inner products or as ideal points.

The heads, the likelihood and the climb are those of `head_mixture.py`; the kinds of people are the
mixes of `populations/prototypes.py`.

Legend: B pairs, C columns of the pair, D dimensions, G people, K prototypes, S mixes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.head_mixture import HeadMixture, HeadMixtureConfig, fit_head_mixture
from penchant.fitting.head_mixture_density import take_pairs
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.sgd import hold_out
from penchant.numerics.arrays import Array, log_sum_exp
from penchant.populations.prototypes import Prototypes

Geometry = Literal["product", "distance"]


@dataclass(frozen=True, kw_only=True, eq=False)
class IdealPoints:
    """Where the prototypes would like options to be, in the features' own units; curvature: logits
    lost per squared unit of distance."""

    points: Float[Array, "K D"]
    curvature: float


def fit_prototypes(
    pairs: HeadPairs,
    prototypes: Prototypes,
    *,
    group: Int[Array, " B"],
    rng: np.random.Generator,
    geometry: Geometry = "product",
    model: GapModel | None = None,
    head_scale: float | None = None,
    config: HeadMixtureConfig | None = None,
) -> HeadMixture:
    """Prototypes shared by everybody, people's own mixes summed out (Chen et al. 2024, PAL).

    geometry "product": worth is f' (sum_k w_k p_k). "distance": worth is -c |f - sum_k w_k p_k|^2 =
    2 c f' (sum_k w_k p_k) - c |f|^2 + const, an inner product and one more column with a
    coefficient that everybody shares; on a sphere, where |f| is constant, the two are the same
    model. The column is added behind those that the pairs have.

    `heads.learned` weighs the mixes by somebody's answers, `mean_mix` says which they amount to.
    Raises what `fit_head_mixture` raises.
    """
    if geometry == "distance":
        columns = np.column_stack([pairs.columns, radial_column(pairs)])
        pairs = replace(pairs, columns=columns)
    return fit_head_mixture(
        pairs, prototypes.num_prototypes, rng=rng, group=group, model=model,
        mixing=prototypes.mixing(), head_scale=head_scale, config=config,
    )  # fmt: skip


def radial_column(pairs: HeadPairs) -> Float[Array, "B 1"]:
    """|f_second|^2 - |f_first|^2: what being nearer the origin is worth.

    Raises `DataError` where the pairs hold differences only, whose ends are not known.
    """
    if pairs.second is None:
        raise DataError(
            "ideal points need the features of both options, and these pairs hold differences "
            "only. Give `second`, or use geometry='product'."
        )
    square = (pairs.features.astype(np.float64) ** 2).sum(axis=1)
    return (square[pairs.second] - square[pairs.first])[:, None]


def ideal_points(found: HeadMixture) -> IdealPoints:
    """The points behind heads that were fitted with geometry "distance".

    Raises `DataError` where worth does not fall with distance: there is no best point then.
    """
    curvature = float(found.heads.coefficients[-1]) if len(found.heads.coefficients) else 0.0
    if curvature <= 0:
        raise DataError(
            f"worth does not fall with distance (curvature {curvature:.3g}); expected a positive "
            "one. The data have no ideal points inside the features' range: use "
            "geometry='product'."
        )
    return IdealPoints(points=found.heads.weights / (2.0 * curvature), curvature=curvature)


def mean_mix(found: HeadMixture, log_weights: Float[Array, "G S"]) -> Float[Array, "G K"]:
    """The expected mix of each person, in the simplex."""
    mixing = found.heads.mixing
    return np.exp(log_weights) if mixing is None else np.exp(log_weights) @ mixing


def held_out_people(
    pairs: HeadPairs,
    group: Int[Array, " B"],
    choices: Sequence[Prototypes],
    *,
    rng: np.random.Generator,
    geometry: Geometry = "product",
    share: float = 0.2,
    model: GapModel | None = None,
) -> tuple[float, ...]:
    """Log-probability per answer of people who were left out, for each choice of prototypes.

    log of the sum over mixes of the probability of all their answers: each is foretold from those
    before it. Held-out pairs of people who are known would always ask for more prototypes.
    """
    train, out = hold_out(group, share, int(rng.integers(1 << 30)))
    found = []
    for prototypes in choices:
        _, mine = np.unique(group[train], return_inverse=True)
        fitted = fit_prototypes(
            take_pairs(pairs, train), prototypes, group=mine, rng=rng, geometry=geometry,
            model=model,
        )  # fmt: skip
        columns = pairs.columns[out]
        if geometry == "distance":
            columns = np.column_stack([columns, radial_column(pairs)[out]])
        told = fitted.heads.log_probs(pairs.differences(out), pairs.answer[out], columns)
        _, whose = np.unique(group[out], return_inverse=True)
        total = np.zeros((whose.max() + 1, told.shape[1]))
        np.add.at(total, whose, told)
        evidence = log_sum_exp(total - np.log(told.shape[1]), axis=1)
        found.append(float(evidence.sum() / len(out)))
    return tuple(found)
