"""How sure we may be of an estimate: curvature, and what people's scores say when it misleads.

Legend: M parameters, G groups (people).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from penchant.numerics.arrays import Array

# Of fewer people's scores the sandwich is too narrow.
FEW_PEOPLE = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class Covariances:
    """`classical` trusts the model, `robust` only that people are independent."""

    classical: Float[Array, "M M"]
    robust: Float[Array, "M M"]
    flat_directions: Float[Array, "F M"]  # unit directions about which the data say nothing


def covariances(
    information: Float[Array, "M M"],
    group_scores: Float[Array, "G M"],
    prior_precision: Float[Array, " M"] | None = None,
) -> Covariances:
    """Classical I^-1 and the sandwich I^-1 (G/(G-1) sum_g s_g s_g') I^-1.

    Eicker (1967), Huber (1967), White (1980); clustered by group as in Liang and Zeger (1986).
    A prior counts as one more witness whose score varies as its precision says: where the data are
    silent both errors are then the prior's own, and none pretends to be sure. Along directions
    without information the variance is infinite in truth; there the pseudo-inverse leaves it out
    and `flat_directions` names the direction.
    """
    inverse, flat = invert_information(information)
    num_groups = max(len(group_scores), 2)
    meat = group_scores.T @ group_scores * (num_groups / (num_groups - 1))
    if prior_precision is not None:
        meat = meat + np.diag(prior_precision)
    return Covariances(
        classical=inverse, robust=_symmetric(inverse @ meat @ inverse), flat_directions=flat
    )


def invert_information(
    information: Float[Array, "M M"], relative_floor: float = 1e-11
) -> tuple[Float[Array, "M M"], Float[Array, "F M"]]:
    """The inverse over the directions with information, and the directions without."""
    if information.shape[0] == 0:
        return information, np.zeros((0, 0))
    diagonal = np.abs(np.diag(information))
    scale = 1.0 / np.sqrt(np.maximum(diagonal, 1e-300 + 1e-14 * diagonal.max()))
    values, vectors = np.linalg.eigh(_symmetric(information * scale[:, None] * scale))
    informed = values > relative_floor * max(float(values[-1]), 0.0)
    kept = vectors[:, informed] * scale[:, None]
    inverse = (kept / values[informed]) @ kept.T
    flat = (vectors[:, ~informed] * scale[:, None]).T
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    return _symmetric(inverse), flat / np.where(norm > 0, norm, 1.0)


def effective_parameters(
    covariance: Float[Array, "M M"], prior_precision: Float[Array, " M"]
) -> float | None:
    """M - tr(Cov P): what the data determined (Moody 1992); None where there is no prior."""
    if not np.any(prior_precision):
        return None
    return float(len(prior_precision) - np.diag(covariance) @ prior_precision)


def remarks_on_robust_errors(people: int, determined: float) -> tuple[str, ...]:
    """What to say of robust errors of so many people; determined: parameters that the data did."""
    who = "1 person" if people == 1 else f"{people} people"
    if people <= determined:
        return (
            f"Robust errors need more people than parameters, and rest on {who}: they are left "
            "out, and intervals trust the model.",
        )
    if people < FEW_PEOPLE:
        return (f"Robust errors rest on {who}; below some {FEW_PEOPLE} they are too narrow.",)
    return ()


def widened(found: Covariances, unbounded: Bool[Array, " M"]) -> Float[Array, "M M"]:
    """The sandwich, but never surer than the curvature where only a weak prior bounds a parameter.

    A separated parameter's few people all agree, so that their scores vary little: the sandwich
    would call that certainty.
    """
    classical, robust = np.diag(found.classical), np.diag(found.robust)
    ratio = np.sqrt(classical / np.where(robust > 0, robust, 1.0))
    factor = np.where(unbounded & (ratio > 1.0), ratio, 1.0)
    return found.robust * factor[:, None] * factor


def _symmetric(matrix: Float[Array, "M M"]) -> Float[Array, "M M"]:
    return 0.5 * (matrix + matrix.T)
